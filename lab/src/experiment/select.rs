//! What names and globs choose of what exists.

use glob::Pattern;
use miette::miette;

use super::failure::{Failure, OrFailure};
use crate::catalog::{Build, BuildId, Missing};

/// A pattern that names nothing.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("no {kind} is called `{pattern}`, and as a glob it matches none")]
#[diagnostic(help("{nearest}"))]
pub struct NoMatch {
    kind: &'static str,
    pattern: String,
    nearest: String,
}

/// Those of `items` whose name is one of `patterns` or matches one, in the order of `items`; all where there is no
/// pattern.
///
/// # Errors
/// A pattern that matches nothing: the names that exist, nearest first.
pub fn select<'a, T>(
    kind: &'static str,
    items: &'a [T],
    name: impl Fn(&T) -> &str,
    patterns: &[String],
) -> Result<Vec<&'a T>, NoMatch> {
    if patterns.is_empty() {
        return Ok(items.iter().collect());
    }
    let mut chosen = vec![false; items.len()];
    for pattern in patterns {
        let glob = Pattern::new(pattern);
        let matches = |item: &T| {
            name(item) == pattern || glob.as_ref().is_ok_and(|glob| glob.matches(name(item)))
        };
        let mut any = false;
        for (chosen, item) in chosen.iter_mut().zip(items) {
            let matches = matches(item);
            *chosen |= matches;
            any |= matches;
        }
        if !any {
            let names: Vec<&str> = items.iter().map(&name).collect();
            return Err(NoMatch {
                kind,
                pattern: pattern.clone(),
                nearest: nearest(kind, pattern, names),
            });
        }
    }
    Ok(items
        .iter()
        .zip(chosen)
        .filter_map(|(item, chosen)| chosen.then_some(item))
        .collect())
}

fn nearest(kind: &str, pattern: &str, mut names: Vec<&str>) -> String {
    if names.is_empty() {
        return "there is none at all".to_owned();
    }
    names.sort_by(|one, other| {
        let similarity = |name: &str| strsim::jaro_winkler(pattern, name);
        similarity(other).total_cmp(&similarity(one))
    });
    let all = names.len();
    if all > NAMED_ALL {
        names.truncate(NEAREST);
    }
    let rest = match all - names.len() {
        0 => String::new(),
        more => format!(" and {more} more; {} names all", lists(kind)),
    };
    format!("these exist, nearest first: {}{rest}", names.join(", "))
}

/// So few names are all named.
const NAMED_ALL: usize = 8;

/// Of more, so many are.
const NEAREST: usize = 5;

/// The command that names all.
fn lists(kind: &str) -> &'static str {
    match kind {
        "scenario" => "`iptables-lab scenarios list`",
        _ => "`iptables-lab builds list`",
    }
}

/// The available builds that the patterns name. A build that exists but cannot be had is another thing than one that
/// does not exist.
///
/// # Errors
/// A pattern that names no build, or only builds that cannot be had.
pub fn chosen_builds(
    available: &[Build],
    missing: &[Missing],
    patterns: &[String],
) -> Result<Vec<Build>, Failure> {
    let ids: Vec<&BuildId> = available
        .iter()
        .map(|build| &build.id)
        .chain(missing.iter().map(|missing| &missing.id))
        .collect();
    for pattern in patterns {
        let pattern = std::slice::from_ref(pattern);
        let named = select("build", &ids, |id| id.as_str(), pattern).or_bad_input()?;
        let is_named = |id: &BuildId| named.contains(&&id);
        if !available.iter().any(|build| is_named(&build.id)) {
            let reasons = missing.iter().filter(|missing| is_named(&missing.id));
            let reasons = reasons.map(|missing| format!("{}: {}", missing.id, missing.reason));
            let reasons: Vec<String> = reasons.collect();
            let error = miette!("what was asked for cannot be had: {}", reasons.join("; "));
            return Err(Failure::lacks(error));
        }
    }
    let named = select("build", &ids, |id| id.as_str(), patterns).or_bad_input()?;
    let is_named = |build: &&Build| named.contains(&&&build.id);
    Ok(available.iter().filter(is_named).cloned().collect())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const NAMES: [&str; 4] = [
        "1.8.7-nft",
        "1.8.8-nft",
        "1.8.8-legacy",
        "debian-1.8.7-1-nft",
    ];

    #[rstest]
    #[case(&[], &NAMES)]
    #[case(&["1.8.8-nft"], &["1.8.8-nft"])]
    #[case(&["1.8.8-*"], &["1.8.8-nft", "1.8.8-legacy"])]
    #[case(&["*-nft", "1.8.8-nft"], &["1.8.7-nft", "1.8.8-nft", "debian-1.8.7-1-nft"])]
    fn names_and_globs_choose_in_the_order_of_the_items(
        #[case] patterns: &[&str],
        #[case] chosen: &[&str],
    ) {
        let patterns: Vec<String> = patterns
            .iter()
            .map(|pattern| (*pattern).to_owned())
            .collect();
        let found = select("build", &NAMES, |name| name, &patterns).unwrap();
        assert_eq!(found.into_iter().copied().collect::<Vec<_>>(), chosen);
    }

    #[test]
    fn what_matches_nothing_is_told_the_nearest_names_first() {
        let error = select("build", &NAMES, |name| name, &["1.8.7-ntf".to_owned()]).unwrap_err();
        assert!(
            error
                .nearest
                .starts_with("these exist, nearest first: 1.8.7-nft, "),
            "{}",
            error.nearest
        );
    }

    #[test]
    fn of_many_names_only_the_nearest_are_named() {
        let many: Vec<String> = (0..80)
            .map(|n| format!("scenario-{n}"))
            .chain(["kube-firewall".to_owned(), "kube-router".to_owned()])
            .collect();
        let pattern = ["kube-firewal".to_owned()];
        let error = select("scenario", &many, |name| name, &pattern).unwrap_err();
        let (names, rest) = error.nearest.split_once(" and ").unwrap();
        assert!(names.starts_with("these exist, nearest first: kube-firewall, kube-router, "));
        assert_eq!(names.split(", ").count(), 1 + NEAREST);
        assert_eq!(rest, "77 more; `iptables-lab scenarios list` names all");
    }
}
