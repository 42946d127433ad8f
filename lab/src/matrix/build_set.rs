//! Sets of the builds that took part, and which of them are ranges of releases.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Serialize, Serializer};

use crate::catalog::{Backend, Build, BuildId, Origin, Tool, Variant, Version};

/// Writers and their readers, by their places among the matrix's writers and readers.
pub(super) type Pairs = BTreeMap<usize, BTreeSet<usize>>;

/// The place of a build among `builds`.
pub(crate) fn place(builds: &[&Build], id: &BuildId) -> usize {
    let found = builds.iter().position(|build| &build.id == id);
    found.unwrap_or(usize::MAX)
}

/// The writers that share their readers, together.
pub(super) fn rectangles(pairs: &Pairs) -> Vec<(BTreeSet<usize>, BTreeSet<usize>)> {
    let mut by_readers: Vec<(BTreeSet<usize>, BTreeSet<usize>)> = Vec::new();
    for (writer, readers) in pairs {
        match by_readers.iter_mut().find(|(_, known)| known == readers) {
            Some((writers, _)) => {
                writers.insert(*writer);
            }
            None => by_readers.push((BTreeSet::from([*writer]), readers.clone())),
        }
    }
    by_readers
}

/// What a set must know of a build.
#[derive(Debug, Clone, Copy)]
pub struct Member<'a> {
    /// Its id.
    pub id: &'a BuildId,
    /// Its version.
    pub version: &'a Version,
    /// Which program it is.
    pub tool: Tool,
    /// Which kernel interface it speaks.
    pub backend: Backend,
    /// What it is without.
    pub variant: Option<&'a Variant>,
    /// Who made it.
    pub origin: Origin,
}

impl<'a> From<&'a Build> for Member<'a> {
    fn from(build: &'a Build) -> Self {
        Member {
            id: &build.id,
            version: &build.version,
            tool: build.tool,
            backend: build.backend,
            variant: build.variant.as_ref(),
            origin: build.origin,
        }
    }
}

impl Member<'_> {
    fn name(&self) -> BuildName {
        let stem = self.id.stem(self.tool, self.backend);
        let kind = match self.origin {
            Origin::Upstream | Origin::Debian => NameKind::Released,
            Origin::Own if stem == self.version.as_str() => NameKind::InPlace,
            Origin::Own => NameKind::Own,
        };
        BuildName { stem, kind }
    }
}

/// Some of the builds that ran, all in one role. In JSON: their ids.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct BuildSet {
    ids: BTreeSet<BuildId>,
    spans: Vec<Span>,
    /// The programs of which every build that ran is in the set.
    whole: BTreeSet<(Tool, Backend)>,
}

impl Serialize for BuildSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.ids.serialize(serializer)
    }
}

/// Builds of one tool and backend between which no build ran that is not in the set.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// Which program they are.
    pub tool: Tool,
    /// Which kernel interface they speak.
    pub backend: Backend,
    /// Their names, the oldest first. An own build stands alone.
    pub names: Vec<BuildName>,
}

/// How a build is called among those of its tool and backend.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct BuildName {
    /// Its id without its tool and backend.
    pub stem: String,
    /// Whose name it is.
    pub kind: NameKind,
}

/// Whose name a build has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NameKind {
    /// A release's, or a distribution's package's.
    Released,
    /// A release's, whose place the user's own build takes.
    InPlace,
    /// The user's own.
    Own,
}

impl BuildSet {
    /// Those of `ran` that `is_in` names. All builds that ran in their role are in `ran`, in any order.
    ///
    /// A range is of releases and packages that ran, one after the other by version. An own build is never in a range: what it holds is not known from its
    /// name, and in a release's place it ends a range. But where no release ran at all, the own builds that were named like releases
    /// take their places in ranges, too.
    pub fn of<'a>(
        ran: impl IntoIterator<Item = Member<'a>>,
        is_in: impl Fn(&BuildId) -> bool,
    ) -> BuildSet {
        let mut by_kind: BTreeMap<(Tool, Backend, Option<&Variant>), Vec<Member<'a>>> =
            BTreeMap::new();
        for member in ran {
            let kind = (member.tool, member.backend, member.variant);
            by_kind.entry(kind).or_default().push(member);
        }
        let mut set = BuildSet::default();
        let lacking = by_kind
            .iter()
            .filter(|(_, of)| !of.iter().all(|of| is_in(of.id)));
        let lacking: BTreeSet<_> = lacking
            .map(|((tool, backend, _), _)| (*tool, *backend))
            .collect();
        for ((tool, backend, _), members) in &mut by_kind {
            members.sort_by_key(|member| member.version);
            if !lacking.contains(&(*tool, *backend)) {
                set.whole.insert((*tool, *backend));
            }
            let chosen = members.iter().filter(|member| is_in(member.id));
            set.ids.extend(chosen.map(|member| member.id.clone()));
            set.spans.extend(spans(members, &is_in));
        }
        set
    }

    /// Those at the places `chosen` among `builds`.
    pub(super) fn at(chosen: &BTreeSet<usize>, builds: &[&Build]) -> BuildSet {
        let chosen = chosen.iter().filter_map(|place| builds.get(*place));
        let chosen: BTreeSet<&BuildId> = chosen.map(|build| &build.id).collect();
        let ran = builds.iter().map(|build| Member::from(*build));
        BuildSet::of(ran, |id| chosen.contains(id))
    }

    /// Their ids.
    pub fn ids(&self) -> impl Iterator<Item = &BuildId> {
        self.ids.iter()
    }

    /// The ranges that they make, by tool and backend, the oldest first; own builds behind them, each alone.
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// Whether every build that ran of a span's program is in the set.
    pub fn has_every(&self, span: &Span) -> bool {
        self.whole.contains(&(span.tool, span.backend))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

/// The ranges of builds of one tool and backend, which are in order; and those that stand alone.
fn spans(members: &[Member<'_>], is_in: impl Fn(&BuildId) -> bool) -> Vec<Span> {
    let has_releases = members.iter().any(|of| of.origin == Origin::Upstream);
    let is_ranged = |name: &BuildName| match name.kind {
        NameKind::Released => true,
        NameKind::InPlace => !has_releases,
        NameKind::Own => false,
    };
    let (mut ranges, mut alone): (Vec<Span>, Vec<Span>) = (Vec::new(), Vec::new());
    let mut is_open = false;
    for member in members {
        let (name, is_in) = (member.name(), is_in(member.id));
        let span = |name: BuildName| Span {
            tool: member.tool,
            backend: member.backend,
            names: vec![name],
        };
        if is_ranged(&name) {
            let name = BuildName {
                kind: NameKind::Released,
                ..name
            };
            match ranges.last_mut().filter(|_| is_open) {
                _ if !is_in => {}
                Some(last) => last.names.push(name),
                None => ranges.push(span(name)),
            }
            is_open = is_in;
            continue;
        }
        is_open &= name.kind == NameKind::Own;
        if is_in {
            alone.push(span(name));
        }
    }
    ranges.extend(alone);
    ranges
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::catalog::Digest;

    /// Builds by name: `1.8.4`, `debian-1.8.9-2`, `own:1.8.8`, `own:patched=1.8.8`, `legacy:1.8.4`, `nft:1.0.6`.
    fn build(name: &str) -> Build {
        let (kind, name) = name.split_once(':').unwrap_or(("", name));
        let (name, version) = match name.split_once('=') {
            Some((name, version)) => (name, version),
            None => (name, name.trim_start_matches("debian-")),
        };
        let (tool, backend) = match kind {
            "nft" => (Tool::Nft, Backend::Nft),
            "legacy" => (Tool::Iptables, Backend::Legacy),
            _ => (Tool::Iptables, Backend::Nft),
        };
        let image = match tool {
            Tool::Iptables => name.to_owned(),
            Tool::Nft => format!("debian-nft-{name}"),
        };
        let origin = match (kind, name) {
            ("own", _) => Origin::Own,
            (_, name) if name.starts_with("debian-") => Origin::Debian,
            _ => Origin::Upstream,
        };
        let digest: Digest = "0".repeat(64).parse().expect("a digest");
        Build {
            id: BuildId::of_tool(tool, &image, backend),
            variant: None,
            version: Version::new(version),
            tool,
            backend,
            origin,
            key: digest.clone(),
            digest,
            libnftnl: None,
            banner: String::new(),
        }
    }

    /// The spans of those of `ran` that have a star: `1.8.4..1.8.6` where it is more than one.
    fn spans_of(ran: &str) -> String {
        let builds: Vec<(bool, Build)> = ran
            .split_whitespace()
            .map(|name| (name.ends_with('*'), build(name.trim_end_matches('*'))))
            .collect();
        let chosen = builds.iter().filter(|(is_in, _)| *is_in);
        let chosen: Vec<&BuildId> = chosen.map(|(_, build)| &build.id).collect();
        let members = builds.iter().map(|(_, build)| Member::from(build));
        let set = BuildSet::of(members, |id| chosen.contains(&id));
        assert_eq!(set.ids().count(), chosen.len());
        let spans = set.spans().iter().map(|span| {
            let name = |name: &BuildName| match name.kind {
                NameKind::Released => name.stem.clone(),
                NameKind::InPlace => format!("({})", name.stem),
                NameKind::Own => format!("[{}]", name.stem),
            };
            let names = (span.names.first(), span.names.last());
            let (Some(first), Some(last)) = names else {
                return "nothing".to_owned();
            };
            match first == last {
                true => format!("{}-{} {}", span.tool, span.backend, name(first)),
                false => format!(
                    "{}-{} {}..{}",
                    span.tool,
                    span.backend,
                    name(first),
                    name(last)
                ),
            }
        });
        spans.collect::<Vec<_>>().join(", ")
    }

    #[rstest]
    #[case::only_that_one_ran("1.8.8*", "iptables-nft 1.8.8")]
    #[case::the_ends_are_builds_that_ran(
        "1.8.4* 1.8.5* 1.8.7* 1.8.13",
        "iptables-nft 1.8.4..1.8.7"
    )]
    #[case::what_is_left_out_ends_a_range(
        "1.8.4* 1.8.5 1.8.6* 1.8.7*",
        "iptables-nft 1.8.4, iptables-nft 1.8.6..1.8.7"
    )]
    #[case::by_version("1.8.10* 1.8.9* debian-1.8.9-2*", "iptables-nft 1.8.9..1.8.10")]
    #[case::a_package_at_the_end(
        "1.8.7* debian-1.8.7-1* 1.8.8",
        "iptables-nft 1.8.7..debian-1.8.7-1"
    )]
    #[case::a_package_ends_a_range(
        "1.8.9* debian-1.8.9-2 1.8.10*",
        "iptables-nft 1.8.9, iptables-nft 1.8.10"
    )]
    #[case::backends_apart(
        "legacy:1.8.4* legacy:1.8.5* 1.8.4*",
        "iptables-nft 1.8.4, iptables-legacy 1.8.4..1.8.5"
    )]
    #[case::nft_is_no_release_of_the_backend_nft(
        "1.8.4* nft:0.9.8* nft:1.0.6*",
        "iptables-nft 1.8.4, nft-nft debian-0.9.8..debian-1.0.6"
    )]
    #[case::an_own_build_stands_by_name(
        "1.8.7* own:patched=1.8.8* 1.8.9*",
        "iptables-nft 1.8.7..1.8.9, iptables-nft [patched]"
    )]
    #[case::an_own_build_ends_no_range(
        "1.8.7* own:patched=1.8.8 1.8.9*",
        "iptables-nft 1.8.7..1.8.9"
    )]
    #[case::an_own_build_in_the_place_of_a_release(
        "1.8.7* own:1.8.8* 1.8.9*",
        "iptables-nft 1.8.7, iptables-nft 1.8.9, iptables-nft (1.8.8)"
    )]
    #[case::which_ends_a_range("1.8.7* own:1.8.8 1.8.9*", "iptables-nft 1.8.7, iptables-nft 1.8.9")]
    #[case::only_such(
        "own:1.8.7* own:1.8.8* debian-1.8.9-2* own:1.8.9* own:mine=1.8.8*",
        "iptables-nft 1.8.7..debian-1.8.9-2, iptables-nft [mine]"
    )]
    #[case::none("1.8.4 1.8.5", "")]
    fn a_range_is_of_builds_that_ran(#[case] ran: &str, #[case] spans: &str) {
        assert_eq!(spans_of(ran), spans);
    }

    #[test]
    fn in_json_it_is_ids() {
        let build = build("1.8.8");
        let set = BuildSet::of([Member::from(&build)], |_| true);
        let json = serde_json::to_string(&set).expect("ids have a JSON form");
        assert_eq!(json, r#"["1.8.8-nft"]"#);
    }
}
