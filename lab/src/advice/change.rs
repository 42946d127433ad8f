//! The least change that makes a node's builds safe for each other: the fewest members, each with a newer release of what it
//! ships, in the backend that it uses.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use super::changes::Changes;
use super::member::Member;
use super::pair::{Pair, Safety, is_cross, pair};
use super::products::{Product, Products};
use super::published::{Published, Untested};
use crate::catalog::{Backend, BuildId, Tool, Version};
use crate::plan::Operation;

/// Members that get a newer iptables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What each of them gets.
    pub members: Vec<Newer>,
}

/// What one member gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Newer {
    /// Its place among the members.
    pub member: usize,
    /// The release of iptables: `1.8.9`.
    pub release: String,
    /// Whether every newer release that was tested is as good.
    pub or_newer: bool,
    /// The product's own version that ships such a release, where one is known.
    pub product: Option<NewerProduct>,
}

/// A version of a product that ships a good release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewerProduct {
    /// `kube-router`.
    pub name: String,
    /// `2.1.0`.
    pub version: Version,
    /// What it ships.
    pub package: String,
    /// The build that was tested for it, where that only stands in for it.
    pub tested_as: Option<BuildId>,
    /// Whether the later versions that are known ship good ones too.
    pub or_newer: bool,
}

/// The fewest members that must get something newer. The host, which is the first member, keeps its own where that is as good.
/// `pairs` are as they are today: what was not tested today need not be tested then.
pub(super) fn least_change(
    published: &Published,
    products: &Products,
    members: &[Member],
    pairs: &[Pair<'_>],
    is_asked: impl Fn(&str) -> bool + Copy,
) -> Option<Change> {
    let today = Today {
        missing: pairs
            .iter()
            .flat_map(|pair| &pair.missing)
            .copied()
            .collect(),
        untested: pairs
            .iter()
            .flat_map(|pair| &pair.untested)
            .map(|of| place(of))
            .collect(),
    };
    let judge = Judge {
        published,
        today,
        is_asked,
        known: RefCell::default(),
    };
    let releases = releases(published);
    let subsets = subsets(members.len()).into_iter();
    let mut changes =
        subsets.filter_map(|chosen| judge.change(products, members, &chosen, &releases));
    changes.next()
}

/// What is not tested as it is today.
struct Today {
    missing: BTreeSet<Operation>,
    untested: BTreeSet<Place>,
}

/// A rule of a scenario, and the operation that has no verdict about it.
type Place = (String, String, String, Option<usize>, Option<Operation>);

fn place(of: &Untested) -> Place {
    let family = format!("{} {}", of.family, of.scenario);
    (
        family,
        of.table.clone(),
        of.chain.clone(),
        of.index,
        of.operation,
    )
}

/// The upstream releases that builds are of, the oldest first, each with its images: the release itself, and packages of it.
fn releases(published: &Published) -> Vec<(Version, Vec<String>)> {
    let mut releases: BTreeMap<Version, BTreeSet<String>> = BTreeMap::new();
    for build in &published.builds {
        let image = build.id.as_str().strip_suffix(build.backend.as_str());
        let image = image.and_then(|image| image.strip_suffix('-'));
        let Some(image) = image.filter(|_| build.tool == Tool::Iptables) else {
            continue;
        };
        // Builds of somebody's own are of no release that others can get.
        let version = build.version.as_str();
        if image == version || image.strip_prefix("debian-") == Some(version) {
            let images = releases.entry(release(&build.version)).or_default();
            images.insert(image.to_owned());
        }
    }
    let listed =
        |(release, images): (Version, BTreeSet<String>)| (release, images.into_iter().collect());
    releases.into_iter().map(listed).collect()
}

/// A package's version without its revision.
fn release(version: &Version) -> Version {
    Version::new(version.release())
}

/// A writer's and a reader's build, and how each changes rules.
type Pairing = (BuildId, BuildId, Changes, Changes);

struct Judge<'a, F> {
    published: &'a Published,
    today: Today,
    is_asked: F,
    known: RefCell<BTreeMap<Pairing, bool>>,
}

impl<F: Fn(&str) -> bool + Copy> Judge<'_, F> {
    /// What makes all safe when just the chosen members change; none where nothing does.
    fn change(
        &self,
        products: &Products,
        members: &[Member],
        chosen: &[usize],
        releases: &[(Version, Vec<String>)],
    ) -> Option<Change> {
        let oldest = |release: &Version| {
            let mut changed = chosen.iter().map(|place| self.release_of(&members[*place]));
            changed.all(|of| of.is_some_and(|of| of < *release))
        };
        let newer: Vec<&(Version, Vec<String>)> = releases
            .iter()
            .filter(|(release, _)| oldest(release))
            .collect();
        let with = |image: &str| {
            let mut changed = members.to_vec();
            for place in chosen {
                changed[*place].build = BuildId::new(image, members[*place].backend());
            }
            changed
        };
        let is_good = |images: &[String]| {
            let there = images
                .iter()
                .filter(|image| self.has_all(image, members, chosen));
            let mut there = there.peekable();
            there.peek().is_some() && there.all(|image| self.is_safe(&with(image)))
        };
        let good: Vec<bool> = newer.iter().map(|(_, images)| is_good(images)).collect();
        let (at, or_newer) = first_of_the_last_good(&good)?;
        let (release, images) = newer[at];
        let image = images
            .iter()
            .find(|image| self.has_all(image, members, chosen))?;
        let then = with(image);
        let of_member = |place: &usize| Newer {
            member: *place,
            release: release.to_string(),
            or_newer,
            product: self.product(products, &then, *place),
        };
        Some(Change {
            members: chosen.iter().map(of_member).collect(),
        })
    }

    /// The earliest later version of a member's product that is as good, and all after it.
    fn product(
        &self,
        products: &Products,
        members: &[Member],
        place: usize,
    ) -> Option<NewerProduct> {
        let member = &members[place];
        let backend = member.backend();
        let uses = |of: &Product| of.backend.beside(backend) == backend;
        let later = products.later(member.product.as_ref()?);
        let later: Vec<&Product> = later.into_iter().filter(|of| uses(of)).collect();
        let is_good = |of: &&Product| {
            let mut changed = members.to_vec();
            changed[place] = Member::of_product(&member.name, of, backend);
            self.published
                .build(changed[place].build.as_str())
                .is_some()
                && self.is_safe(&changed)
        };
        let good: Vec<bool> = later.iter().map(is_good).collect();
        let (at, is_several) = first_of_the_last_good(&good)?;
        let first = later[at];
        let build = Member::of_product(&member.name, first, backend).build;
        Some(NewerProduct {
            name: first.name.clone(),
            version: first.from.clone(),
            package: first.package.clone(),
            tested_as: first.stands_in.then_some(build),
            or_newer: is_several || first.from != first.to,
        })
    }

    fn release_of(&self, member: &Member) -> Option<Version> {
        let build = self.published.build(member.build.as_str())?;
        Some(release(&build.version))
    }

    /// Whether an image has a build for each backend that the chosen members use.
    fn has_all(&self, image: &str, members: &[Member], chosen: &[usize]) -> bool {
        let backends: BTreeSet<Backend> = chosen
            .iter()
            .map(|place| members[*place].backend())
            .collect();
        let mut backends = backends.into_iter();
        backends.all(|of| {
            self.published
                .build(BuildId::new(image, of).as_str())
                .is_some()
        })
    }

    /// Whether no member does harm to another one of its backend, and no more is untested than today.
    fn is_safe(&self, members: &[Member]) -> bool {
        let mut pairs = members.iter().enumerate().flat_map(|(at, writer)| {
            let others = members
                .iter()
                .enumerate()
                .filter(move |(other, _)| *other != at);
            others.map(move |(_, reader)| (writer, reader))
        });
        pairs.all(|(writer, reader)| {
            is_cross(writer.backend(), reader.backend()) || self.is_pair_safe(writer, reader)
        })
    }

    fn is_pair_safe(&self, writer: &Member, reader: &Member) -> bool {
        let builds = (writer.build.clone(), reader.build.clone());
        let key = (builds.0, builds.1, writer.changes, reader.changes);
        if let Some(known) = self.known.borrow().get(&key) {
            return *known;
        }
        let found = pair(self.published, writer, reader, self.is_asked);
        let is_known = found
            .missing
            .iter()
            .all(|of| self.today.missing.contains(of));
        let is_tested = found
            .untested
            .iter()
            .all(|of| self.today.untested.contains(&place(of)));
        let is_safe = found.safety < Safety::NotTested
            || found.safety == Safety::NotTested && !found.scenarios.is_empty();
        let is_safe = is_safe && is_known && is_tested;
        self.known.borrow_mut().insert(key, is_safe);
        is_safe
    }
}

/// Where the good ones begin that go on to the last, and whether that is several; the last good one where the last is not good.
fn first_of_the_last_good(good: &[bool]) -> Option<(usize, bool)> {
    let last = good.iter().rposition(|is_good| *is_good)?;
    if last + 1 < good.len() {
        return Some((last, false));
    }
    let first = good
        .iter()
        .rposition(|is_good| !is_good)
        .map_or(0, |bad| bad + 1);
    Some((first, first < last))
}

/// Every set of places, the smallest first; among equally small ones those without the first place come first.
fn subsets(count: usize) -> Vec<Vec<usize>> {
    // Nobody has more than a handful of builds on a node.
    let count = count.min(10);
    let mut subsets: Vec<Vec<usize>> = (1..1usize << count)
        .map(|bits| (0..count).filter(|place| bits >> place & 1 == 1).collect())
        .collect();
    subsets.sort_by_key(|places: &Vec<usize>| (places.len(), places.contains(&0), places.clone()));
    subsets
}
