//! `REPORT.md`: a loss as a bug tracker takes it. What a maintainer asks first stands first.

use std::fmt::Write;

use super::markdown::escape;
use super::terminal::{inert, sign};
use crate::catalog::{Build, BuildId, Tool};
use crate::evidence::{Damaged, History, Loss, LossKind, Since, Smaller, Standing};
use crate::judge::verdict::{Effect, Verdict};
use crate::judge::{Cell, ChainVerdict, RuleVerdict};
use crate::matrix::Matrix;
use crate::scenario::Scenario;

/// All that a report is made of.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    /// What it is about.
    pub loss: &'a Loss,
    /// The scenario that it was found in.
    pub found_in: &'a Scenario,
    /// Its cell, with the packets that were sent.
    pub whole: &'a Cell,
    /// The least rules that show it, as text.
    pub least: &'a str,
    /// The rule or chain of the least rules that suffers.
    pub damaged: Damaged<'a>,
    /// The least rules in every pairing.
    pub matrix: &'a Matrix,
    /// Who writes.
    pub writer: &'a Build,
    /// Who reads.
    pub reader: &'a Build,
    /// Since when.
    pub history: &'a History,
    /// How it was shrunk.
    pub shrunk: Shrunk,
    /// What `reproduce.sh` came to where this report was made.
    pub tried: Tried,
    /// Whether there is a backtrace; none of what is no crash.
    pub backtrace: Option<Backtrace>,
    /// The files beside it, each with what it is.
    pub files: &'a [(&'a str, &'a str)],
}

/// How a ruleset was shrunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shrunk {
    /// What it was.
    pub from: Smaller,
    /// What is left.
    pub to: Smaller,
    /// How many rulesets were tried.
    pub tried: usize,
    /// Whether the steps ran out before it was as small as it gets.
    pub cut_short: bool,
}

/// What `reproduce.sh` came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tried {
    /// It ended with this status.
    Ended(i32),
    /// It was not run.
    Not,
}

/// Whether gdb said where a crash happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backtrace {
    /// It did: `backtrace.txt`.
    Kept,
    /// gdb is there, and the crash did not come again.
    NotAgain,
    /// There is no gdb.
    NoDebugger,
}

/// The report.
pub fn render(evidence: &Evidence<'_>) -> String {
    let Evidence { writer, reader, .. } = evidence;
    let mut page = format!(
        "# {} ({} writes, {} reads)\n\n",
        escape(&evidence.loss.in_words()),
        writer.id,
        reader.id
    );
    page.push_str(&standing(evidence));
    page.push_str(&what_happens(evidence));
    page.push_str(&consequence(evidence));
    page.push_str(&reproduce(evidence));
    page.push_str(&versions(evidence));
    page.push_str(&pairings(evidence));
    page.push_str(&shrunk(evidence));
    page.push_str("## Files\n\n");
    for (name, what) in evidence.files {
        let _ = writeln!(page, "- `{name}`: {what}");
    }
    page
}

/// Is the newest release affected, was it mended, or is it an old one that nobody can mend any more?
fn standing(evidence: &Evidence<'_>) -> String {
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
                release(evidence.matrix, first)
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

/// The release that a build is of.
fn release<'a>(matrix: &'a Matrix, id: &'a BuildId) -> &'a str {
    let mut builds = matrix.builds.iter();
    let build = builds.find(|build| &build.id == id);
    build.map_or(id.as_str(), |build| build.version.release())
}

fn or_none(words: &str) -> &str {
    match words {
        "" => "none",
        words => words,
    }
}

fn what_happens(evidence: &Evidence<'_>) -> String {
    let mut text = "## What happens\n\n".to_owned();
    let _ = writeln!(text, "The writer is given:\n\n{}", fenced(evidence.least));
    match evidence.damaged {
        Damaged::Rule(rule) => {
            of_rule(&mut text, rule, evidence.loss.kind);
            let mut crashes = evidence.whole.crashes.iter();
            let crash = crashes.find(|crash| crash.by == evidence.reader.id);
            if let (LossKind::Crashed, Some(crash)) = (evidence.loss.kind, crash) {
                let _ = writeln!(text, "What dies is {}.", code(&crash.argv.join(" ")));
            }
            let is_unproved = rule.lost.is_empty() && rule.witness_after.is_some();
            let in_kernel = [LossKind::Lossy, LossKind::Changed].contains(&evidence.loss.kind);
            if evidence.writer.tool == Tool::Nft && is_unproved && in_kernel {
                text.push_str(
                    "\nOf what nft itself wrote no print proves anything. The kernel's expressions are others than before, and \
                     whether they mean the same is not known here.\n",
                );
            }
        }
        Damaged::Chain(chain) => of_chain(&mut text, chain),
    }
    text.push_str(backtrace(evidence.backtrace));
    let _ = writeln!(text, "\n## Expected\n\n{}\n", expected(evidence.loss.kind));
    text
}

fn of_rule(text: &mut String, rule: &RuleVerdict, kind: LossKind) {
    let mut step = |what: &str, said: Option<&str>| {
        if let Some(said) = said {
            let _ = writeln!(text, "{what}:\n\n{}", fenced(said));
        }
    };
    step("It prints of the rule", rule.written.as_deref());
    step("The reader prints", rule.read.as_deref());
    step(
        "A third build (the newest) prints before the reader restored what it had printed",
        rule.witness_before.as_deref(),
    );
    step("and after", rule.witness_after.as_deref());
    step("The writer then prints", rule.reread.as_deref());
    if kind == LossKind::FoundWrong {
        step(
            "The reader's -C finds the rule with",
            rule.near_miss.as_deref(),
        );
    }
    if let Some(reason) = &rule.reason {
        let _ = writeln!(text, "{}:\n\n{}", said_by(kind), fenced(reason));
    }
    let mut differ = |how: &str, changes: &[crate::ruleset::Change]| {
        for change in changes {
            let side = |side: &Option<String>| {
                side.as_ref()
                    .map_or("nothing".to_owned(), |words| code(words))
            };
            let _ = writeln!(
                text,
                "- {} {how}: {} is now {}",
                code(&change.part),
                side(&change.from),
                side(&change.to)
            );
        }
    };
    differ("is lost", &rule.lost);
    differ("is altered", &rule.altered);
    differ("is added", &rule.added);
}

/// Whose words a reason is in.
fn said_by(kind: LossKind) -> &'static str {
    match kind {
        LossKind::Crashed | LossKind::TimedOut => "How the reader ends",
        LossKind::Unrestorable | LossKind::Refused => "The reader says",
        LossKind::FoundWrong
        | LossKind::Lossy
        | LossKind::Changed
        | LossKind::Chain
        | LossKind::Misread
        | LossKind::Unreadable
        | LossKind::NotFound => "What is said of it",
    }
}

fn of_chain(text: &mut String, chain: &ChainVerdict) {
    let named = |policy: &Option<String>| policy.as_deref().map_or("none".to_owned(), code);
    let _ = writeln!(
        text,
        "The reader prints the table and restores what it printed. Then, of the chain {} in the table {}:\n\n{}\n\
         - policy before: {}\n- policy after: {}",
        code(&chain.chain),
        code(&chain.table),
        fenced(chain.reason.as_deref().unwrap_or("it is another chain")),
        named(&chain.policy_before),
        named(&chain.policy_after)
    );
}

fn backtrace(backtrace: Option<Backtrace>) -> &'static str {
    match backtrace {
        None => "",
        Some(Backtrace::Kept) => {
            "\nWhere it dies, gdb says in `backtrace.txt`. Distributions strip their binaries: with a built source tree \
             (`READER=/path/to/iptables KEEP=FOLDER ./reproduce.sh`) it has the functions' names.\n"
        }
        Some(Backtrace::NotAgain) => {
            "\nThere is no backtrace: under gdb the crash did not come again, or gdb could not run the reader.\n"
        }
        Some(Backtrace::NoDebugger) => {
            "\nThere is no backtrace: gdb is not at hand where this report was made. Where it is, \
             `KEEP=FOLDER ./reproduce.sh` writes one.\n"
        }
    }
}

fn expected(kind: LossKind) -> &'static str {
    match kind {
        LossKind::Lossy | LossKind::Changed => {
            "The reader prints the rule that the kernel holds, and after it restored what it printed the kernel holds the \
             same rule; or it refuses, with a message and a nonzero exit status."
        }
        LossKind::Chain => {
            "After the reader restored what it printed, the chain is there as before, with its hook, its policy and no more \
             rules; or the reader refuses, with a message and a nonzero exit status."
        }
        LossKind::Misread => {
            "After the reader restored what it printed, the writer prints its rule as before; or it refuses, with a \
             message and a nonzero exit status."
        }
        LossKind::Unreadable => {
            "After the reader restored what it printed, the writer can print its table."
        }
        LossKind::FoundWrong => "`-C` of a rule that is not there ends with exit status 1.",
        LossKind::NotFound => "`-C` of a rule that is there ends with exit status 0.",
        LossKind::Crashed => "The reader ends by itself.",
        LossKind::TimedOut => "The reader ends.",
        LossKind::Unrestorable => "A build restores what it printed itself.",
        LossKind::Refused => "The reader prints the table.",
    }
}

fn consequence(evidence: &Evidence<'_>) -> String {
    let Evidence { whole, loss, .. } = evidence;
    let mut text = "## Consequence\n\n".to_owned();
    let changed = whole
        .probes
        .iter()
        .filter(|probe| probe.worst() != Effect::AsBefore);
    let shown: Vec<String> = changed
        .map(|probe| {
            let then = probe.then.values().next();
            format!(
                "- packet {}: {} with the rules as written, {} after the reader's rewrite",
                code(&probe.name),
                escape(probe.written.as_deref().unwrap_or("not sent")),
                escape(then.map_or("otherwise", String::as_str))
            )
        })
        .collect();
    let damaged = loss.shown_by(whole);
    let consequence = damaged.and_then(|damaged| match damaged {
        Damaged::Rule(rule) => rule.consequence.or(rule.potential),
        Damaged::Chain(chain) => chain.consequence,
    });
    let sentence = match (consequence, shown.is_empty()) {
        (Some(of_rule), false) => format!("{of_rule}: {}, as packets showed.", of_rule.meaning()),
        (Some(of_rule), true) if loss.kind.is_seen_by_writer() => format!(
            "{of_rule}, once the writer writes back what it reads: {}. Until then the kernel holds the right rule.",
            of_rule.meaning()
        ),
        (Some(of_rule), true) => format!(
            "{of_rule}: {}. That is concluded from the rules; no packet was sent, or none met the rule.",
            of_rule.meaning()
        ),
        (None, _) => none_known(loss.kind).to_owned(),
    };
    let _ = writeln!(text, "{}\n", capital(&sentence));
    if !shown.is_empty() {
        let _ = writeln!(
            text,
            "In the whole of `{}`:\n\n{}\n",
            evidence.found_in.name,
            shown.join("\n")
        );
    }
    text
}

/// What stands for a consequence where the kernel's rules stay as they are.
fn none_known(kind: LossKind) -> &'static str {
    match kind {
        LossKind::Crashed | LossKind::TimedOut => {
            "the reader cannot print the table at all, and neither keep nor repair what is in it. No rule in the kernel is \
             another one."
        }
        LossKind::Refused | LossKind::Unrestorable => {
            "the reader can neither keep nor repair what is in the table, and says so. No rule in the kernel is another one."
        }
        LossKind::FoundWrong
        | LossKind::Lossy
        | LossKind::Changed
        | LossKind::Chain
        | LossKind::Misread
        | LossKind::Unreadable
        | LossKind::NotFound => "None that is known for packets.",
    }
}

fn reproduce(evidence: &Evidence<'_>) -> String {
    let Evidence { writer, reader, .. } = evidence;
    let tried = match evidence.tried {
        Tried::Ended(1) => {
            "Run where this report was made, it ended with exit status 1: the loss is there."
                .to_owned()
        }
        Tried::Ended(status) => format!(
            "**Run where this report was made, it ended with exit status {status}, so it does not show the loss there**; the \
             recording does."
        ),
        Tried::Not => "It was not run where this report was made.".to_owned(),
    };
    let mut text = format!(
        "## To reproduce\n\n{}\n{tried} It needs two binaries (or source trees, root filesystems, container images: its head \
         says how they are named), and makes a network namespace of its own. Exit status 1 while the loss is there, 0 when \
         it is gone, 125 when it cannot be tried.\n\n",
        fenced(&format!(
            "WRITER={} READER={} sh ./reproduce.sh",
            binary(writer),
            binary(reader)
        ))
    );
    text.push_str(&bisect(evidence));
    text
}

/// Where one may have a build's binary.
fn binary(build: &Build) -> String {
    match build.tool {
        Tool::Iptables => format!(
            "/path/to/{}/xtables-{}-multi",
            build.version.release(),
            build.backend
        ),
        Tool::Nft => format!("/path/to/{}/nft", build.version.release()),
    }
}

/// How to find the commits in a source tree of iptables: the one that mended it, or brought it, on either side.
fn bisect(evidence: &Evidence<'_>) -> String {
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

fn versions(evidence: &Evidence<'_>) -> String {
    let matrix = evidence.matrix;
    let mut text = "## Versions\n\n| | build | `--version` | made by | libnftnl | root filesystem |\n|---|---|---|---|---|---|\n".to_owned();
    for (role, build) in [("writer", evidence.writer), ("reader", evidence.reader)] {
        let _ = writeln!(
            text,
            "| {role} | {} | {} | {} | {} | sha256 {} |",
            build.id,
            escape(&build.banner),
            build.origin.as_str(),
            build.libnftnl.as_deref().unwrap_or("unknown"),
            build.digest.short()
        );
    }
    let host = &matrix.host;
    let _ = writeln!(
        text,
        "\nLinux {} ({}), through {}; iptables-lab {}; {}.\n",
        escape(&host.kernel),
        escape(&host.arch),
        escape(&host.engine),
        matrix.lab.version,
        matrix.started
    );
    if let Some(source) = &evidence.found_in.source {
        let _ = writeln!(
            text,
            "The rule is from {} {}: <{}>\n",
            escape(&source.project),
            escape(&source.version),
            source.url.replace(['<', '>', ' ', '\n'], "")
        );
    }
    text
}

/// Every writer and reader of the two backends, with the least rules.
fn pairings(evidence: &Evidence<'_>) -> String {
    let Evidence {
        matrix,
        loss,
        writer,
        reader,
        ..
    } = evidence;
    let alike = |builds: Vec<&Build>, like: &Build| -> Vec<BuildId> {
        let alike = builds
            .into_iter()
            .filter(|of| of.tool == like.tool && of.backend == like.backend);
        alike.map(|build| build.id.clone()).collect()
    };
    let writers = alike(matrix.writers(), writer);
    let readers = alike(matrix.readers(), reader);
    let mut text = "## All pairings with these rules\n\nWriters down, readers across. **X**: this loss is there.\n\n|".to_owned();
    for reader in &readers {
        let _ = write!(text, " | {reader}");
    }
    let _ = writeln!(text, " |\n|---{}|", "|:-:".repeat(readers.len()));
    let mut signs = Vec::new();
    for writer in &writers {
        let _ = write!(text, "| {writer}");
        for reader in &readers {
            let mut cells = matrix.cells.iter();
            let cell = cells.find(|cell| &cell.writer == writer && &cell.reader == reader);
            let shown = match cell {
                Some(cell) if loss.shown_by(cell).is_some() => "**X**".to_owned(),
                Some(cell) => {
                    if !signs.contains(&cell.verdict) {
                        signs.push(cell.verdict);
                    }
                    format!("`{}`", sign(cell.verdict))
                }
                None => String::new(),
            };
            let _ = write!(text, " | {shown}");
        }
        text.push_str(" |\n");
    }
    signs.sort_by_key(|verdict| verdict.severity());
    text.push('\n');
    for verdict in signs {
        let _ = writeln!(
            text,
            "- `{}` {verdict}: {}",
            sign(verdict),
            verdict.meaning()
        );
    }
    let missing = matrix.missing.iter().filter(|missing| {
        let id = missing.id.as_str();
        [writer, reader]
            .iter()
            .any(|of| id.ends_with(of.backend.as_str()))
    });
    for (reason, ids) in super::by_reason(missing) {
        let _ = writeln!(text, "- not run: {}: {}", ids.join(", "), escape(reason));
    }
    text.push('\n');
    text
}

fn shrunk(evidence: &Evidence<'_>) -> String {
    let Shrunk {
        from,
        to,
        tried,
        cut_short,
    } = evidence.shrunk;
    let end = match cut_short {
        true => "the steps ran out, so a smaller one may show it too",
        false => "nothing more can be left out",
    };
    format!(
        "## How it was found\n\nIn the scenario `{}` ({}): {} of {} words, shrunk to {} of {} words over {tried} rulesets that \
         were tried; {end}.\n\n",
        evidence.found_in.name,
        escape(&evidence.found_in.title),
        rules(from.rules),
        from.words,
        rules(to.rules),
        to.words
    )
}

fn rules(count: usize) -> String {
    match count {
        0 => "no rule".to_owned(),
        1 => "1 rule".to_owned(),
        count => format!("{count} rules"),
    }
}

/// Text of builds and scenarios in a block of code that nothing in it can end.
fn fenced(text: &str) -> String {
    let text = inert(text);
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}\n{}\n{fence}\n", text.trim_end_matches('\n'))
}

/// Text of builds and scenarios as code within a line.
fn code(text: &str) -> String {
    let text = inert(text).replace(['\n', '\t'], " ");
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    match longest {
        0 => format!("`{text}`"),
        longest => {
            let fence = "`".repeat(longest + 1);
            format!("{fence} {text} {fence}")
        }
    }
}

fn capital(text: &str) -> String {
    let mut rest = text.chars();
    let first = rest.next().map(|first| first.to_uppercase().to_string());
    first.unwrap_or_default() + rest.as_str()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("-j DROP", "```\n-j DROP\n```\n")]
    #[case("a ``` b\n", "````\na ``` b\n````\n")]
    fn nothing_ends_a_block_of_code_but_its_own_end(#[case] text: &str, #[case] block: &str) {
        assert_eq!(fenced(text), block);
    }

    #[rstest]
    #[case("-j DROP", "`-j DROP`")]
    #[case("a`b", "`` a`b ``")]
    fn code_within_a_line_is_as_it_is(#[case] text: &str, #[case] written: &str) {
        assert_eq!(code(text), written);
    }
}
