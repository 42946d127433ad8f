//! Which builds may live side by side with these rules, and the least change that makes all of them safe.

use std::collections::BTreeMap;

use super::published::{Damage, Known, Published, PublishedBuild};
use crate::catalog::{Backend, BuildId, Tool};

/// Somebody who writes and reads rules on the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// As it was named: `host`, `kube-router@1.5.1`.
    pub name: String,
    /// The build that stands for it.
    pub build: BuildId,
}

/// A writer and a reader, and what is known of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair<'a> {
    /// Who writes, by its place among the members.
    pub writer: usize,
    /// Who reads.
    pub reader: usize,
    /// What comes to harm.
    pub known: Known<'a>,
}

impl Pair<'_> {
    /// What comes to harm; none where nothing does, or nothing is known.
    pub fn harms(&self) -> Vec<&Damage> {
        match &self.known {
            Known::Ran(_, damages) => damages.iter().copied().filter(|of| of.is_harm()).collect(),
            Known::Not => Vec::new(),
        }
    }
}

/// Members that get another build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Their places among the members.
    pub members: Vec<usize>,
    /// What they get: for each backend that they use, the build.
    pub builds: BTreeMap<Backend, BuildId>,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice<'a> {
    /// Every writer with every reader of another build.
    pub pairs: Vec<Pair<'a>>,
    /// The least change that makes all pairs safe; none where none is known, or none is needed.
    pub change: Option<Change>,
}

impl Advice<'_> {
    /// Whether every pair is known, and safe.
    pub fn is_safe(&self) -> bool {
        let is_safe = |pair: &Pair<'_>| pair.known != Known::Not && pair.harms().is_empty();
        self.pairs.iter().all(is_safe)
    }
}

/// What `published` says of `members`, in the scenarios that `is_asked` names.
pub fn advise<'a>(
    published: &'a Published,
    members: &[Member],
    is_asked: impl Fn(&str) -> bool + Copy,
) -> Advice<'a> {
    let places = 0..members.len();
    let pairs = places
        .clone()
        .flat_map(|writer| places.clone().map(move |reader| (writer, reader)));
    let others = pairs.filter(|(writer, reader)| members[*writer].build != members[*reader].build);
    let pairs: Vec<Pair<'_>> = others
        .map(|(writer, reader)| Pair {
            writer,
            reader,
            known: published.pair(&members[writer].build, &members[reader].build, is_asked),
        })
        .collect();
    let mut advice = Advice {
        pairs,
        change: None,
    };
    if !advice.is_safe() {
        advice.change = least_change(published, members, is_asked);
    }
    advice
}

/// The fewest members that must get another build: all of them the same release. A release that another member has is
/// preferred, then the newest. The host, which is the first member, keeps its own where that is as good.
fn least_change(
    published: &Published,
    members: &[Member],
    is_asked: impl Fn(&str) -> bool + Copy,
) -> Option<Change> {
    let is_safe = |builds: &[BuildId]| {
        let mut pairs = builds
            .iter()
            .flat_map(|writer| builds.iter().map(move |reader| (writer, reader)));
        pairs.all(|(writer, reader)| {
            writer == reader
                || match published.pair(writer, reader, is_asked) {
                    Known::Ran(_, damages) => damages.iter().all(|damage| !damage.is_harm()),
                    Known::Not => false,
                }
        })
    };
    let targets = targets(published, members);
    for chosen in subsets(members.len()) {
        for target in &targets {
            let changed = members.iter().enumerate().map(|(place, member)| {
                let backend = published.build(member.build.as_str())?.backend;
                match chosen.contains(&place) {
                    true => target.get(&backend).cloned(),
                    false => Some(member.build.clone()),
                }
            });
            let Some(changed) = changed.collect::<Option<Vec<BuildId>>>() else {
                continue;
            };
            let keeps_one = chosen
                .iter()
                .any(|place| changed[*place] == members[*place].build);
            if !keeps_one && is_safe(&changed) {
                return Some(Change {
                    members: chosen.clone(),
                    builds: target.clone(),
                });
            }
        }
    }
    None
}

/// What members can get, the preferred first: each release with its builds of both backends.
fn targets(published: &Published, members: &[Member]) -> Vec<BTreeMap<Backend, BuildId>> {
    let is_iptables = |build: &&PublishedBuild| build.tool == Tool::Iptables;
    let mut releases: BTreeMap<String, Vec<&PublishedBuild>> = BTreeMap::new();
    for build in published.builds.iter().filter(is_iptables) {
        let image = build.id.as_str().trim_end_matches(build.backend.as_str());
        releases.entry(image.to_owned()).or_default().push(build);
    }
    let mut releases: Vec<Vec<&PublishedBuild>> = releases.into_values().collect();
    let is_there = |of: &[&PublishedBuild]| {
        let mut members = members.iter();
        members.any(|member| of.iter().any(|build| build.id == member.build))
    };
    releases.sort_by(|one, other| {
        let version = |of: &[&PublishedBuild]| of.first().map(|build| build.version.clone());
        let by_version = version(other).cmp(&version(one));
        is_there(other).cmp(&is_there(one)).then(by_version)
    });
    let of_release = |builds: Vec<&PublishedBuild>| {
        builds
            .into_iter()
            .map(|build| (build.backend, build.id.clone()))
            .collect()
    };
    releases.into_iter().map(of_release).collect()
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn members(builds: &[&str]) -> Vec<Member> {
        let published = Published::embedded().unwrap();
        let member = |id: &&str| Member {
            name: (*id).to_owned(),
            build: published
                .build(id)
                .unwrap_or_else(|| panic!("{id}"))
                .id
                .clone(),
        };
        builds.iter().map(member).collect()
    }

    /// With kubelet's own rule: what started it all.
    #[rstest]
    #[case::newer(&["debian-1.8.9-2-nft", "debian-1.8.11-2-nft"], &[], None)]
    #[case::same(&["debian-1.8.9-2-nft", "debian-1.8.9-2-nft"], &[], None)]
    #[case::cross(&["debian-1.8.9-2-nft", "debian-1.8.11-2-legacy"], &[], None)]
    #[case::old_pod(
        &["debian-1.8.9-2-nft", "debian-1.8.7-1-nft"],
        &[(0, 1), (1, 0)],
        Some((&[1][..], "debian-1.8.9-2-nft"))
    )]
    #[case::old_host(
        &["debian-1.8.7-1-nft", "debian-1.8.9-2-nft", "debian-1.8.11-2-nft"],
        &[(0, 1), (0, 2), (1, 0), (2, 0)],
        Some((&[0][..], "debian-1.8.11-2-nft"))
    )]
    #[case::two_old_pods(
        &["debian-1.8.9-2-nft", "debian-1.8.7-1-nft", "debian-1.8.11-2-nft", "debian-1.8.7-1-nft"],
        &[(0, 1), (0, 3), (1, 0), (1, 2), (2, 1), (2, 3), (3, 0), (3, 2)],
        Some((&[1, 3][..], "debian-1.8.11-2-nft"))
    )]
    fn the_least_change_is_the_fewest_members(
        #[case] builds: &[&str],
        #[case] unsafe_pairs: &[(usize, usize)],
        #[case] change: Option<(&[usize], &str)>,
    ) {
        let published = Published::embedded().unwrap();
        let members = members(builds);
        let advice = advise(&published, &members, |scenario| scenario == "kube-firewall");
        let harmed = advice.pairs.iter().filter(|pair| !pair.harms().is_empty());
        let harmed: Vec<(usize, usize)> = harmed.map(|pair| (pair.writer, pair.reader)).collect();
        assert_eq!(harmed, unsafe_pairs);
        assert_eq!(advice.is_safe(), unsafe_pairs.is_empty());
        let found = advice.change.as_ref().map(|change| {
            let build = &change.builds[&Backend::Nft];
            (change.members.as_slice(), build.as_str())
        });
        assert_eq!(found, change);
    }

    #[test]
    fn what_was_not_run_is_not_safe() {
        let published = Published::embedded().unwrap();
        let members = members(&["debian-1.8.9-2-nft", "debian-1.8.11-2-nft"]);
        let advice = advise(&published, &members, |scenario| {
            scenario == "no-such-scenario"
        });
        assert!(!advice.is_safe());
        assert!(advice.pairs.iter().all(|pair| pair.known == Known::Not));
        // One build for all is safe even so.
        let change = advice.change.unwrap();
        assert_eq!(change.members, [1]);
        assert_eq!(change.builds[&Backend::Nft], members[0].build);
    }
}
