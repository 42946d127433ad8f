//! Since when a loss is there and whether it is mended, in words; and how to find the commits.

use std::fmt::Write;

use super::super::wording::builds;
use super::{Evidence, binary, fenced, release};
use crate::catalog::{BuildId, Tool};
use crate::evidence::{Since, Standing};
use crate::judge::verdict::Verdict;
use crate::matrix::BuildSet;

/// Is the newest release affected, was it mended, or is it an old one that nobody can mend any more?
pub(super) fn standing(evidence: &Evidence<'_>) -> String {
    let Evidence { history, loss, .. } = evidence;
    let (role, at_fault, other) = match loss.kind.is_seen_by_writer() {
        true => ("writer", evidence.writer, "reader"),
        false => ("reader", evidence.reader, "writer"),
    };
    let mut text = match &history.standing {
        Standing::Open { newest, since } => {
            let since = match since {
                Some(Since { first, before }) => format!(
                    "{first} is the first that was run with it, {before} the last before that without."
                ),
                None => format!("No {role} that was run is without it."),
            };
            format!("**Not mended: {newest}, the newest {role} that was run, has it.** {since}")
        }
        Standing::Mended {
            first,
            last,
            newest,
        } => {
            let instead = instead(evidence, newest);
            format!(
                "**Mended as far as the {role} goes: {newest}, the newest that was run, does not have it; {first} is the first \
                 without it, {last} the last with it.**{instead} {} is an old {role}, and nobody can mend it any more: who ships it \
                 must ship {} or newer.",
                at_fault.id,
                since_when(evidence, first, last)
            )
        }
        Standing::Unknown => {
            format!("**No other {role} was run, so it is not known whether it is mended.**")
        }
    };
    if let Some(Since { first, before }) = &history.since {
        let _ = write!(
            text,
            " As the {other} it begins with {first}: with {before} in its place it is not seen."
        );
    }
    if loss.kind.is_seen_by_writer() {
        text.push_str(" It is the writer that misreads: what the reader restored, it reads otherwise than what it wrote itself.");
    }
    let _ = write!(
        text,
        "\n\nReaders that have it with this writer: {}. Writers that have it with this reader: {}. A release here is one that was \
         run: see the versions and the table below.\n\n",
        or_none(&history.readers),
        or_none(&history.writers)
    );
    text
}

/// The release from which on it is mended; the build itself where an older one of the same release is not.
fn since_when<'a>(evidence: &'a Evidence<'_>, first: &'a BuildId, last: &BuildId) -> &'a str {
    match release(evidence.matrix, first) {
        release if release != self::release(evidence.matrix, last) => release,
        _ => first.as_str(),
    }
}

/// What becomes of the rules with the newest build in the place of the one at fault, where that is not what they were.
fn instead(evidence: &Evidence<'_>, newest: &BuildId) -> String {
    let (writer, reader) = match evidence.loss.kind.is_seen_by_writer() {
        true => (newest, &evidence.reader.id),
        false => (&evidence.writer.id, newest),
    };
    let mut cells = evidence.matrix.cells.iter();
    let cell = cells.find(|cell| &cell.writer == writer && &cell.reader == reader);
    match cell.filter(|cell| cell.verdict != Verdict::Same) {
        Some(cell) => format!(
            " With {newest} it is `{}` instead: {}.",
            cell.verdict,
            cell.verdict.meaning()
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

/// How to find the commits in a source tree of iptables: the one that mended it, or brought it, on either side.
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
    let as_reader = ("READER", format!("WRITER={}", binary(writer)));
    let as_writer = ("WRITER", format!("READER={}", binary(reader)));
    let (at_fault, other) = match loss.kind.is_seen_by_writer() {
        true => (as_writer, as_reader),
        false => (as_reader, as_writer),
    };
    let run = |(tree, fixed): &(&str, String), more: &str| {
        format!(
            "{fixed} {more}git bisect run sh -c './autogen.sh && ./configure --disable-shared --enable-static \
             --disable-connlabel && make -j2 || exit 125; {tree}=$PWD sh /path/to/reproduce.sh'"
        )
    };
    let is_iptables = |tree: &str| tree == "READER" || writer.tool == Tool::Iptables;
    let brought = |side: &(&str, String), since: &Since| {
        let (first, before) =
            between(&since.first, &since.before).filter(|_| is_iptables(side.0))?;
        Some(format!(
            "The commit since which it is seen, with the tree as the {}:\n\n{}\n",
            side.0.to_lowercase(),
            fenced(&format!(
                "git bisect start {first} {before}\n{}",
                run(side, "")
            ))
        ))
    };
    let of_fault = match &history.standing {
        Standing::Mended { first, last, .. } => between(first, last).map(|(first, last)| {
            format!(
                "The commit that mended it, with the tree as the {} (`FIND=fix` exchanges the exit statuses 0 and 1):\n\n{}\n",
                at_fault.0.to_lowercase(),
                fenced(&format!(
                    "git bisect start --term-old=broken --term-new=mended {first} {last}\n{}",
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
            "In a git tree of iptables (clean, with autoconf, libtool, bison, flex, libmnl and libnftnl at hand):\n\n{}",
            found.concat()
        ),
    }
}
