//! Who writes and who reads, in words: ranges of releases where they are ranges.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::{Backend, Build, BuildId, Tool};

/// Writers and their readers, by their places among the matrix's writers and readers.
pub(super) type Pairs = BTreeMap<usize, BTreeSet<usize>>;

/// The place of a build among `builds`.
pub(super) fn place(builds: &[&Build], id: &BuildId) -> usize {
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

/// A set of builds, by their places among `builds`, in words: by backend, as a range of versions where it is one among those that took part. nft is not of
/// the backend that is called after it.
pub fn in_words(chosen: &BTreeSet<usize>, builds: &[&Build]) -> String {
    let kinds = [
        (Tool::Iptables, Backend::Nft, "nft"),
        (Tool::Iptables, Backend::Legacy, "legacy"),
        (Tool::Nft, Backend::Nft, "nft itself"),
    ];
    let mut words = Vec::new();
    for (tool, backend, name) in kinds {
        let of_backend = builds
            .iter()
            .enumerate()
            .filter(|(_, build)| build.tool == tool && build.backend == backend);
        let mut of_backend: Vec<(usize, &Build)> = of_backend.map(|(at, b)| (at, *b)).collect();
        of_backend.sort_by(|(_, one), (_, other)| one.version.cmp(&other.version));
        let in_it: Vec<bool> = of_backend
            .iter()
            .map(|(at, _)| chosen.contains(at))
            .collect();
        if in_it.contains(&true) {
            let names: Vec<&str> = of_backend.iter().map(|(_, build)| stem(build)).collect();
            words.push(format!("{name} {}", range_in_words(&names, &in_it)));
        }
    }
    words.join(" and ")
}

/// The id without the backend.
fn stem(build: &Build) -> &str {
    let id = build.id.as_str();
    let stem = id.strip_suffix(build.backend.as_str());
    stem.map_or(id, |stem| stem.trim_end_matches('-'))
}

/// Those of `names`, which are in order, that are in it: as a range where they are one.
pub fn range_in_words(names: &[&str], in_it: &[bool]) -> String {
    let count = in_it.iter().filter(|in_it| **in_it).count();
    let first = in_it.iter().position(|in_it| *in_it).unwrap_or(0);
    let last = in_it.iter().rposition(|in_it| *in_it).unwrap_or(0);
    let is_range = last - first + 1 == count;
    match (first, last) {
        (0, last) if is_range && last + 1 == in_it.len() => "(every release)".to_owned(),
        (0, last) if is_range => format!("up to {}", names[last]),
        (first, last) if is_range && last + 1 == in_it.len() => format!("from {} on", names[first]),
        (first, last) if is_range && first == last => names[first].to_owned(),
        (first, last) if is_range => format!("{} to {}", names[first], names[last]),
        _ => {
            let chosen = names.iter().zip(in_it).filter(|(_, in_it)| **in_it);
            chosen.map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
        }
    }
}

/// Several things that came to harm, in as few words as it takes: of `match mark lost` and `tcp --dport lost`
/// `match mark, tcp --dport lost`.
pub(super) fn together(what: &BTreeSet<String>) -> String {
    let mut by_how: Vec<(&str, Vec<&str>)> = Vec::new();
    for said in what.iter().flat_map(|said| said.split("; ")) {
        let ends = [" lost", " altered", " added"].into_iter();
        let (part, how) = ends
            .filter_map(|end| Some((said.strip_suffix(end)?, end)))
            .next()
            .unwrap_or((said, ""));
        let parts = part.split(", ").filter(|_| !how.is_empty());
        let parts: Vec<&str> = if how.is_empty() {
            vec![part]
        } else {
            parts.collect()
        };
        let at = by_how.iter().position(|(known, _)| *known == how);
        let at = at.unwrap_or_else(|| {
            by_how.push((how, Vec::new()));
            by_how.len() - 1
        });
        for part in parts {
            if !by_how[at].1.contains(&part) {
                by_how[at].1.push(part);
            }
        }
    }
    let words = by_how.iter().map(|(how, parts)| match *how {
        "" => parts.join("; "),
        how => format!("{}{how}", parts.join(", ")),
    });
    words.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::catalog::{Digest, Origin, Version};

    #[test]
    fn nft_itself_is_no_release_of_the_nft_backend() {
        let digest: Digest = "0".repeat(64).parse().expect("a digest");
        let build = |tool, image: &str, version: &str| Build {
            id: BuildId::of_tool(tool, image, Backend::Nft),
            version: Version::new(version),
            tool,
            backend: Backend::Nft,
            origin: Origin::Debian,
            key: digest.clone(),
            digest: digest.clone(),
            libnftnl: None,
            banner: String::new(),
        };
        let builds = [
            build(Tool::Iptables, "1.8.4", "1.8.4"),
            build(Tool::Iptables, "1.8.5", "1.8.5"),
            build(Tool::Nft, "debian-nft-0.9.8-1", "0.9.8-1"),
            build(Tool::Nft, "debian-nft-1.0.6-1", "1.0.6-1"),
        ];
        let builds: Vec<&Build> = builds.iter().collect();
        let words = |chosen: &[usize]| in_words(&chosen.iter().copied().collect(), &builds);
        assert_eq!(words(&[0]), "nft up to 1.8.4");
        assert_eq!(words(&[2, 3]), "nft itself (every release)");
        assert_eq!(
            words(&[1, 3]),
            "nft from 1.8.5 on and nft itself from debian-nft-1.0.6-1 on"
        );
    }

    #[rstest]
    #[case(&["match mark lost", "tcp --dport lost"], "match mark, tcp --dport lost")]
    #[case(&["match mark lost; source altered", "match mark, state lost"], "match mark, state lost; source altered")]
    #[case(&["-D deletes another rule", "the whole rule"], "-D deletes another rule; the whole rule")]
    fn what_is_lost_the_same_way_is_said_together(#[case] what: &[&str], #[case] words: &str) {
        let what = what.iter().map(|said| (*said).to_owned()).collect();
        assert_eq!(together(&what), words);
    }

    #[rstest]
    #[case("11111", "(every release)")]
    #[case("11000", "up to 1.8.5")]
    #[case("10000", "up to 1.8.4")]
    #[case("00111", "from 1.8.6 on")]
    #[case("00001", "from 1.8.8 on")]
    #[case("01110", "1.8.5 to 1.8.7")]
    #[case("01000", "1.8.5")]
    #[case("10100", "1.8.4, 1.8.6")]
    fn a_set_of_releases_is_a_range_where_it_is_one(#[case] in_it: &str, #[case] words: &str) {
        let in_it: Vec<bool> = in_it.bytes().map(|byte| byte == b'1').collect();
        let names = ["1.8.4", "1.8.5", "1.8.6", "1.8.7", "1.8.8"];
        assert_eq!(range_in_words(&names, &in_it), words);
    }
}
