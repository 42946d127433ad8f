//! Provides the builds that the chosen pairings need, and nothing else: writers, readers, and who says what the kernel holds.

use std::collections::BTreeSet;

use super::failure::{Failure, OrFailure};
use super::select::select;
use super::session::{self, Session};
use crate::catalog::{Backend, Build, BuildId, Image, Origin, Tool, Variant, Version, debian_name};
use crate::images::{self, Effort, Provision};
use crate::plan::{self, witness};
use crate::scenario::Scenario;

/// Who is to write and to read, by ids and globs; every build where none is named.
#[derive(Debug, Clone, Copy)]
pub struct Pairs<'a> {
    /// Who writes.
    pub writers: &'a [String],
    /// Who reads.
    pub readers: &'a [String],
    /// The backend of both; any where none is named.
    pub backend: Option<Backend>,
}

impl Session {
    /// The builds that pairs of these need in `scenarios`, of those that can be had.
    ///
    /// # Errors
    /// A pattern that no build can match, a machine that lacks what every build needs, or someone interrupted.
    pub async fn provide_for(
        &self,
        scenarios: &[Scenario],
        pairs: Pairs<'_>,
    ) -> Result<Provision, Failure> {
        let writing: BTreeSet<Tool> = scenarios.iter().map(Scenario::tool).collect();
        let known = self.known();
        let writers = |image: &Image| writing.contains(&image.tool) && image.is_unasked();
        let writers = known.named(pairs.writers, writers)?;
        let readers = known.named(pairs.readers, Image::is_unasked)?;
        let images =
            self.images(|image| writers.contains(&image.name) || readers.contains(&image.name));
        let mut asked = names(&images);
        let mut provision = match pairs.writers.is_empty() && pairs.readers.is_empty() {
            true => self.provide(images, Effort::Usual).await?,
            false => self.try_provide(images, Effort::Usual).await?,
        };
        let beside = tools_beside(scenarios);
        for kind in bystanders(&provision, pairs, &beside) {
            self.add_witnesses(&mut provision, &mut asked, kind, None)
                .await?;
        }
        for kind in witnesses(&provision, pairs, &beside) {
            self.add_witnesses(&mut provision, &mut asked, kind, Some(pairs.readers))
                .await?;
        }
        Ok(provision)
    }

    /// The builds of these ids, and the newest of each of their backends that can be had: it may be what they are told to use
    /// instead, so it has its own witness. A name of `perhaps` that no build can have is passed over.
    ///
    /// # Errors
    /// An id that no build can have, or someone interrupted.
    pub async fn provide_with_newest(
        &self,
        ids: &[BuildId],
        perhaps: &[BuildId],
    ) -> Result<Provision, Failure> {
        let known = self.known();
        let pattern = |id: &BuildId| glob::Pattern::escape(id.as_str());
        let ids: Vec<String> = ids.iter().map(pattern).collect();
        let mut named = known.named(&ids, |_| false)?;
        for id in perhaps {
            named.extend(known.named(&[pattern(id)], |_| false).unwrap_or_default());
        }
        let images = self.images(|image| named.contains(&image.name));
        let mut asked = names(&images);
        let mut provision = self.try_provide(images, Effort::Usual).await?;
        let pairs = Pairs {
            writers: &ids,
            readers: &ids,
            backend: None,
        };
        for kind in witnesses(&provision, pairs, &BTreeSet::new()) {
            self.add_witnesses(&mut provision, &mut asked, kind, Some(&[]))
                .await?;
        }
        Ok(provision)
    }

    /// Adds every build of the tool and backend of one of `like` to a provision, but for those that run only where they are named.
    ///
    /// # Errors
    /// The store or the daemon fails, or someone interrupted.
    pub async fn provide_alike(
        &self,
        provision: &mut Provision,
        like: [&Build; 2],
    ) -> Result<(), Failure> {
        let is_alike = |image: &Image| {
            let mut like = like.iter();
            like.any(|of| image.tool == of.tool && image.backends.contains(&of.backend))
        };
        let ready = provision.builds.iter().map(|ready| &ready.build.id);
        let missing = provision.missing.iter().map(|missing| &missing.id);
        let known: BTreeSet<&BuildId> = ready.chain(missing).collect();
        let is_tried = |of: &KnownImage<'_>| of.ids.iter().any(|id| known.contains(id));
        let images = self.known().0.into_iter();
        let images = images.filter(|of| is_alike(of.image) && of.image.is_unasked());
        let images = images.filter(|of| !is_tried(of));
        let images: Vec<Image> = images.map(|of| of.image.clone()).collect();
        provision.join(self.try_provide(images, Effort::Usual).await?);
        Ok(())
    }

    /// The images of the catalog that are needed.
    fn images(&self, is_needed: impl Fn(&Image) -> bool) -> Vec<Image> {
        let images = self.catalog.images.iter();
        images.filter(|image| is_needed(image)).cloned().collect()
    }

    /// Provides witnesses of a tool and backend, the newest first, until one is had that these readers have in a run of all builds;
    /// without readers, until one is had whoever reads: a bystander may be the reader itself.
    async fn add_witnesses(
        &self,
        provision: &mut Provision,
        asked: &mut BTreeSet<String>,
        kind: (Tool, Backend),
        readers: Option<&[String]>,
    ) -> Result<(), Failure> {
        while let Some(image) = self.newer_witness(provision, kind, readers, asked) {
            asked.insert(image.name.clone());
            provision.join(self.try_provide(vec![image], Effort::Usual).await?);
        }
        Ok(())
    }

    /// What is known of the images' builds without fetching anything.
    fn known(&self) -> Known<'_> {
        let request = self.request(Vec::new(), Effort::Usual);
        let images = self.catalog.images.iter().map(|image| {
            let found = images::version_in_store(&request, image);
            KnownImage {
                image,
                is_settled: found.is_some() || image.origin != Origin::Debian,
                ids: match &found {
                    Some(version) => image.ids_of(&image.name_of(version)),
                    None => image.ids(),
                },
                version: found.or_else(|| image.version.clone()),
            }
        });
        Known(images.collect())
    }

    /// The newest image that was not asked for yet and would be a witness of a tool and backend before those that are there: readers
    /// have then the witness that a run of all builds gives them. None where those that are there are it.
    fn newer_witness(
        &self,
        provision: &Provision,
        (tool, backend): (Tool, Backend),
        readers: Option<&[String]>,
        asked: &BTreeSet<String>,
    ) -> Option<Image> {
        let builds = session::builds(provision);
        let first = witness(&builds, tool, backend, None);
        let is_reader = |build: &&Build| readers.is_some_and(|readers| matches(readers, &build.id));
        // No build is its own witness: where the newest one reads, the next newest is needed too.
        let least = match first.filter(is_reader) {
            Some(reader) => witness(&builds, tool, backend, Some(&reader.id)),
            None => first,
        };
        let known = self.known();
        let candidates = known.0.iter().filter(|of| {
            of.image.tool == tool
                && of.image.is_unasked()
                && of.image.backends.contains(&backend)
                && !asked.contains(&of.image.name)
        });
        let newest = candidates.max_by_key(|of| of.rank(backend))?;
        let is_newer = least.is_none_or(|least| {
            let least = rank_of(
                least.variant.as_ref(),
                (least.tool, least.origin),
                Some(&least.version),
                least.id.as_str(),
            );
            newest.rank(backend) > least
        });
        is_newer.then(|| newest.image.clone())
    }
}

/// The images, with what is known of their builds before anything is fetched.
struct Known<'a>(Vec<KnownImage<'a>>);

struct KnownImage<'a> {
    image: &'a Image,
    /// The ids of its builds, as far as they are known.
    ids: Vec<BuildId>,
    /// Its version, as far as it is known.
    version: Option<Version>,
    /// Whether these are what it will really have: a suite of Debian's may have moved on.
    is_settled: bool,
}

impl KnownImage<'_> {
    /// How good a witness it is.
    fn rank(&self, backend: Backend) -> Rank {
        let ids = self.ids.iter().zip(&self.image.backends);
        let mut of_backend = ids.filter(|(_, of)| **of == backend);
        let id = of_backend.next().map_or("", |(id, _)| id.as_str());
        rank_of(
            self.image.variant.as_ref(),
            (self.image.tool, self.image.origin),
            self.version.as_ref(),
            id,
        )
    }

    /// Whether a build of it may have an id that begins so, once its version is known.
    fn may_be(&self, stem: &str) -> bool {
        let begin = debian_name(self.image.tool, "", None);
        !self.is_settled && (stem.starts_with(&begin) || begin.starts_with(stem))
    }
}

/// How good a witness is, as [`witness`] has it: one that lacks nothing before others, upstream's iptables before all others, then
/// the newest; one whose version is not known yet may be the newest.
type Rank = (bool, bool, bool, Option<Version>, String);

fn rank_of(
    variant: Option<&Variant>,
    (tool, origin): (Tool, Origin),
    version: Option<&Version>,
    id: &str,
) -> Rank {
    let is_unknown = version.is_none();
    let is_upstream = plan::is_witness_first(tool, origin);
    let is_whole = variant.is_none();
    (
        is_whole,
        is_upstream,
        is_unknown,
        version.cloned(),
        id.to_owned(),
    )
}

impl Known<'_> {
    /// The names of the images whose builds the patterns may name; of all that `suits` where there is no pattern.
    ///
    /// # Errors
    /// A pattern that no build can match.
    fn named(
        &self,
        patterns: &[String],
        suits: impl Fn(&Image) -> bool,
    ) -> Result<BTreeSet<String>, Failure> {
        let images = self.0.iter().map(|of| of.image);
        if patterns.is_empty() {
            let suiting = images.filter(|image| suits(image));
            return Ok(suiting.map(|image| image.name.clone()).collect());
        }
        let ids: Vec<(&BuildId, &Image)> = self
            .0
            .iter()
            .flat_map(|of| of.ids.iter().map(|id| (id, of.image)))
            .collect();
        let mut named = BTreeSet::new();
        for pattern in patterns {
            let of_pattern = std::slice::from_ref(pattern);
            let found = select("build", &ids, |(id, _)| id.as_str(), of_pattern);
            // A glob may match more once versions are known, a name only if it is not known yet.
            let stem = stem(pattern);
            let maybe: Vec<&Image> = match (&found, stem.len() < pattern.len()) {
                (Ok(_), false) => Vec::new(),
                _ => {
                    let all = self.0.iter().filter(|of| of.may_be(stem));
                    all.map(|of| of.image).collect()
                }
            };
            let found: Vec<&Image> = match found {
                Ok(found) => found.into_iter().map(|(_, image)| *image).collect(),
                Err(_) if !maybe.is_empty() => Vec::new(),
                Err(none) => return Err(none).or_bad_input(),
            };
            let all: Vec<&Image> = found.into_iter().chain(maybe).collect();
            let meant = all.iter().filter(|image| is_meant(pattern, image));
            let meant: Vec<&Image> = meant.copied().collect();
            let meant = if meant.is_empty() { all } else { meant };
            named.extend(meant.into_iter().map(|image| image.name.clone()));
        }
        Ok(named)
    }
}

/// Whether a pattern that an image matches means it: one of the lab's that something was taken out of is meant where its variant is said.
fn is_meant(pattern: &str, image: &Image) -> bool {
    let is_said = |variant: &Variant| pattern.contains(variant.as_str());
    image.is_unasked() || image.variant.as_ref().is_none_or(is_said)
}

/// What images are called.
fn names(images: &[Image]) -> BTreeSet<String> {
    images.iter().map(|image| image.name.clone()).collect()
}

/// What a glob's matches begin with: all of it where it is none.
fn stem(pattern: &str) -> &str {
    pattern
        .split(['*', '?', '[', '{', '\\'])
        .next()
        .unwrap_or_default()
}

/// Whether an id is one of the patterns or matches one; any does where there is none.
fn matches(patterns: &[String], id: &BuildId) -> bool {
    let ids = [id];
    let is_it = |pattern: &String| {
        let pattern = std::slice::from_ref(pattern);
        select("build", &ids, |id| id.as_str(), pattern).is_ok()
    };
    patterns.is_empty() || patterns.iter().any(is_it)
}

/// The tools that write layers beside the writer's.
fn tools_beside(scenarios: &[Scenario]) -> BTreeSet<Tool> {
    scenarios.iter().flat_map(Scenario::tools_beside).collect()
}

/// Of which tools and backends the bystanders are, where these `tools` write layers beside those of these pairs' writers.
fn bystanders(
    provision: &Provision,
    pairs: Pairs<'_>,
    tools: &BTreeSet<Tool>,
) -> BTreeSet<(Tool, Backend)> {
    let builds = provision.builds.iter().map(|ready| &ready.build);
    let writing = builds.filter(|build| matches(pairs.writers, &build.id));
    let backends: BTreeSet<Backend> = writing.map(|build| build.backend).collect();
    let kinds = tools
        .iter()
        .flat_map(|tool| backends.iter().map(move |backend| (*tool, *backend)));
    kinds
        .filter(|(tool, backend)| tool.commands().has_backend(*backend))
        .collect()
}

/// Of which tools and backends the witnesses are of what these pairs write, and of what the tools `beside` write with them.
fn witnesses(
    provision: &Provision,
    pairs: Pairs<'_>,
    beside: &BTreeSet<Tool>,
) -> BTreeSet<(Tool, Backend)> {
    let builds = || provision.builds.iter().map(|ready| &ready.build);
    let writing = builds().filter(|build| matches(pairs.writers, &build.id));
    let reading = builds().filter(|build| matches(pairs.readers, &build.id));
    let reading: BTreeSet<Tool> = reading.map(|build| build.tool).collect();
    let of_writer = |(writer, backend): (Tool, Backend)| {
        let tools = reading.iter();
        let kinds = tools.map(move |reader| (writer.commands().witness(*reader), backend));
        kinds.collect::<Vec<_>>()
    };
    let own = writing.map(|build| (build.tool, build.backend));
    let all = own.chain(bystanders(provision, pairs, beside));
    all.flat_map(of_writer).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::catalog::Catalog;

    #[rstest]
    #[case("debian-1.8.7*", "debian-1.8.7-1", true)]
    #[case("debian-1.8.7*", "debian-1.8.7-1.no-u32", false)]
    #[case("debian-*.no-u32-nft", "debian-1.8.7-1.no-u32", true)]
    #[case("nft-*", "nft-1.0.6.1", true)]
    #[case("debian-nft-*", "debian-nft-1.1.3-1.no-xtables", true)]
    fn a_glob_means_what_something_was_taken_out_of_where_it_says_so(
        #[case] pattern: &str,
        #[case] name: &str,
        #[case] is_it: bool,
    ) {
        let catalog = Catalog::load(&[]).unwrap();
        let mut images = catalog.images.iter();
        let image = images.find(|image| image.name == name).unwrap();
        assert_eq!(is_meant(pattern, image), is_it);
    }
}
