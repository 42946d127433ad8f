//! Since when a loss is there and whether it is fixed, in words; and how to find the commits.

use std::fmt::Write;

use super::super::wording::{self, builds};
use super::reproducer::compile;
use super::{Evidence, binary, capital, fenced, release};
use crate::catalog::{BuildId, Origin, Tool};
use crate::evidence::{Since, Standing};
use crate::judge::verdict::Verdict;
use crate::matrix::{BuildSet, Member, NameKind};

/// Does the newest release have it, since when, or which release fixed it: then packages of older ones need a backport.
pub(super) fn standing(evidence: &Evidence<'_>) -> String {
    let Evidence { history, loss, .. } = evidence;
    let (role, other) = match loss.kind().is_seen_by_writer() {
        true => ("writer", "reader"),
        false => ("reader", "writer"),
    };
    let mut text = match &history.standing {
        Standing::Open { newest, since } => {
            let since = match since {
                Some(Since { first, before }) => {
                    format!("{first} is the first {role} with it; {before} does not have it.")
                }
                None => format!("Every {role} that was run has it."),
            };
            format!("**Not fixed: {newest}, the newest {role} that was run, has it.** {since}")
        }
        Standing::Mended {
            first,
            last,
            newest,
        } => fixed(evidence, role, [first, last, newest]),
        Standing::Unknown => {
            format!("**Not known whether it is fixed: no other {role} was run.**")
        }
    };
    if let Some(Since { first, before }) = &history.since {
        let _ = write!(
            text,
            " {}s: since {first}. With {before} as the {other} it does not happen.",
            capital(other)
        );
    }
    if loss.kind().is_seen_by_writer() {
        text.push_str(" The writer is at fault: it prints what the reader restored differently from what it wrote itself.");
    }
    let _ = write!(
        text,
        "\n\n- Readers that have it with this writer: {}\n- Writers that have it with this reader: {}\n\nOnly builds that were run \
         are named: see the versions and the table below.\n\n",
        or_none(&history.readers),
        or_none(&history.writers)
    );
    text
}

/// Which release fixed it, and who still needs that.
fn fixed(evidence: &Evidence<'_>, role: &str, [first, last, newest]: [&BuildId; 3]) -> String {
    let instead = instead(evidence, newest);
    let of = |id: &BuildId| {
        let mut builds = evidence.matrix.builds.iter();
        builds.find(|build| &build.id == id)
    };
    let by = format!("{first} is the first {role} without it, {last} the last with it");
    // An own build counts as the release that it is named after where ranges take it for that, too.
    let members = evidence.matrix.builds.iter().map(Member::from);
    let set = BuildSet::of(members, |id| id == first);
    let mut names = set.spans().iter().flat_map(|span| &span.names);
    let is_release = names.any(|name| name.kind == NameKind::Released);
    let is_package = of(first).is_some_and(|build| build.origin == Origin::Debian);
    let (release, before) = (
        release(evidence.matrix, first),
        release(evidence.matrix, last),
    );
    match is_release {
        // A package that has it not, of a release that has it, has the fix on its own.
        true if release == before && is_package => format!(
            "**Fixed in the package {first}; {by}.**{instead} Other packages of {release} and older releases need the fix \
             backported."
        ),
        true => {
            // A release between the two may have been the first, where none was run.
            let or_before = if follows(release, before) {
                ""
            } else {
                " or before"
            };
            format!(
                "**Fixed upstream in {release}{or_before}: {by}.**{instead} Packages of older releases need the fix backported."
            )
        }
        false => {
            format!("**Fixed in {first}: {by}.**{instead} Older builds need the fix backported.")
        }
    }
}

/// Whether no release lies between two: `1.8.12` comes right after `1.8.11`.
fn follows(release: &str, before: &str) -> bool {
    let split = |version: &str| {
        let (series, number) = version.rsplit_once('.')?;
        Some((series.to_owned(), number.parse::<u32>().ok()?))
    };
    let one_more = |(series, number)| Some((series, number + 1));
    split(before).and_then(one_more) == split(release)
}

/// What becomes of the rules with the newest build in the place of the one at fault, where that is not what they were.
fn instead(evidence: &Evidence<'_>, newest: &BuildId) -> String {
    let (writer, reader) = match evidence.loss.kind().is_seen_by_writer() {
        true => (newest, &evidence.reader.id),
        false => (&evidence.writer.id, newest),
    };
    let mut cells = evidence.matrix.cells.iter();
    let cell = cells.find(|cell| &cell.writer == writer && &cell.reader == reader);
    match cell.filter(|cell| cell.verdict != Verdict::Same) {
        Some(cell) => format!(
            " With {newest} the verdict is `{}`: {}.",
            cell.verdict,
            wording::verdict_meaning(cell.verdict)
        ),
        None => String::new(),
    }
}

fn or_none(set: &BuildSet) -> String {
    match set.is_empty() {
        true => "none".to_owned(),
        false => builds(set),
    }
}

/// A side of a loss whose commits are looked for.
struct Side {
    /// The variable that names its source tree.
    role: &'static str,
    /// Whose tree it is.
    tool: Tool,
    /// What names the other side, which stays.
    fixed: String,
}

/// Whose source tree it takes.
fn project(tool: Tool) -> &'static str {
    match tool {
        Tool::Iptables => "the tree of iptables",
        Tool::Nft => "the tree of nftables",
    }
}

/// How to find the commits in a source tree: the one that mended it, or brought it, on either side.
pub(super) fn bisect(evidence: &Evidence<'_>) -> String {
    let Evidence {
        history,
        writer,
        reader,
        loss,
        ..
    } = evidence;
    let between = |first: &BuildId, before: &BuildId| {
        let (first, before) = (
            release(evidence.matrix, first),
            release(evidence.matrix, before),
        );
        (first != before).then(|| (format!("v{first}"), format!("v{before}")))
    };
    let as_reader = Side {
        role: "READER",
        tool: reader.tool,
        fixed: format!("WRITER={}", binary(writer)),
    };
    let as_writer = Side {
        role: "WRITER",
        tool: writer.tool,
        fixed: format!("READER={}", binary(reader)),
    };
    let (at_fault, other) = match loss.kind().is_seen_by_writer() {
        true => (as_writer, as_reader),
        false => (as_reader, as_writer),
    };
    let run = |Side { role, tool, fixed }: &Side, more: &str| {
        let compile = compile(*tool);
        format!(
            "{fixed} {more}git bisect run sh -c '{compile} || exit 125; {role}=$PWD sh /path/to/reproduce.sh'"
        )
    };
    let brought = |side: &Side, since: &Since| {
        let (first, before) = between(&since.first, &since.before)?;
        Some(format!(
            "The commit that brought it, with {} as the {}:\n\n{}\n",
            project(side.tool),
            side.role.to_lowercase(),
            fenced(&format!(
                "git bisect start {first} {before}\n{}",
                run(side, "")
            ))
        ))
    };
    let of_fault = match &history.standing {
        Standing::Mended { first, last, .. } => between(first, last).map(|(first, last)| {
            format!(
                "The commit that fixed it, with {} as the {} (`FIND=fix` exchanges the exit statuses 0 and 1):\n\n{}\n",
                project(at_fault.tool),
                at_fault.role.to_lowercase(),
                fenced(&format!(
                    "git bisect start --term-old=broken --term-new=fixed {first} {last}\n{}",
                    run(&at_fault, "FIND=fix ")
                ))
            )
        }),
        Standing::Open {
            since: Some(since), ..
        } => brought(&at_fault, since),
        Standing::Open { since: None, .. } | Standing::Unknown => None,
    };
    let of_other = history
        .since
        .as_ref()
        .and_then(|since| brought(&other, since));
    let found: Vec<String> = of_fault.into_iter().chain(of_other).collect();
    match found.is_empty() {
        true => String::new(),
        false => format!(
            "In a clean git tree, on a machine with autoconf, libtool, bison, flex, libmnl{}:\n\n{}",
            match [writer.tool, reader.tool].contains(&Tool::Nft) {
                true => ", libnftnl and GMP",
                false => " and libnftnl",
            },
            found.concat()
        ),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("1.8.12", "1.8.11", true)]
    #[case("1.8.10", "1.8.9", true)]
    #[case("1.8.9", "1.8.7", false)]
    #[case("1.0.0", "0.9.9", false)]
    #[case("own", "1.8.7", false)]
    fn a_release_that_follows_another_is_the_one_that_fixed_it(
        #[case] release: &str,
        #[case] before: &str,
        #[case] is_next: bool,
    ) {
        assert_eq!(follows(release, before), is_next);
    }
}
