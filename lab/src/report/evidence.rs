//! `REPORT.md`: a loss as a bug tracker takes it. What a maintainer asks first stands first.

use std::fmt::Write;

use super::terminal::{inert, sign};
use crate::catalog::{Build, BuildId, Tool};
use crate::evidence::{History, Loss, LossKind, Smaller, Standing};
use crate::judge::verdict::Effect;
use crate::judge::{Cell, RuleVerdict};
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
    /// The rule of that cell that suffers.
    pub whole_rule: &'a RuleVerdict,
    /// The least rules that show it, as text.
    pub least: &'a str,
    /// The rule of the least rules that suffers.
    pub rule: &'a RuleVerdict,
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

/// The report.
pub fn render(evidence: &Evidence<'_>) -> String {
    let Evidence { writer, reader, .. } = evidence;
    let mut page = format!(
        "# {}: {} writes, {} reads\n\n",
        plain(&evidence.loss.in_words()),
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

/// Is the newest release affected, was it mended, or is it an old reader that nobody can mend any more?
fn standing(evidence: &Evidence<'_>) -> String {
    let Evidence {
        history, reader, ..
    } = evidence;
    let mut text = match &history.standing {
        Standing::Open { newest, since } => {
            let since = since.as_ref().map(|since| {
                format!(
                    ", and so is every reader from {} on; {} is not",
                    since.first, since.before
                )
            });
            format!(
                "**The newest release that was run is affected: {newest}, as the reader{}.**",
                since.unwrap_or_default()
            )
        }
        Standing::Mended {
            first,
            last,
            newest,
        } => format!(
            "**Mended as far as the reader goes: {first} and what is newer (up to {newest}) is not affected, {last} still \
             is.** {} is an old reader, and nobody can mend it any more: who ships it must ship a newer one.",
            reader.id
        ),
        Standing::Unknown => {
            "**No other reader was run, so it is not known whether it is mended.**".to_owned()
        }
    };
    let _ = write!(
        text,
        "\n\nWith this writer, readers are affected: {}. With this reader, writers: {}.",
        or_none(&history.readers),
        or_none(&history.writers)
    );
    if let Some(since) = &history.since_writer {
        let _ = write!(
            text,
            " As the writer it begins with {}: the same reader keeps what {} wrote.",
            since.first, since.before
        );
    }
    if matches!(evidence.loss.kind, LossKind::Misread | LossKind::Unreadable) {
        text.push_str(
            " It is the writer that reads otherwise what the reader restored: where writers of newer releases are not \
             affected, the writer is the old one that nobody can mend any more.",
        );
    }
    text.push_str("\n\n");
    text
}

fn or_none(words: &str) -> &str {
    match words {
        "" => "none",
        words => words,
    }
}

fn what_happens(evidence: &Evidence<'_>) -> String {
    let Evidence { loss, rule, .. } = evidence;
    let mut text = "## What happens\n\n".to_owned();
    let _ = writeln!(text, "The writer is given:\n\n{}", fenced(evidence.least));
    let mut step = |what: &str, said: &Option<String>| {
        if let Some(said) = said {
            let _ = writeln!(text, "{what}:\n\n{}", fenced(said));
        }
    };
    step("It prints of the rule", &rule.written);
    step("The reader prints", &rule.read);
    step(
        "A third build (the newest) prints before the reader restored what it had printed",
        &rule.witness_before,
    );
    step("and after", &rule.witness_after);
    step("The writer then prints", &rule.reread);
    if let Some(near_miss) = &rule.near_miss {
        step(
            "The reader's -C finds the rule with",
            &Some(near_miss.clone()),
        );
    }
    if let Some(reason) = &rule.reason {
        let _ = writeln!(text, "It says:\n\n{}", fenced(reason));
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
    let _ = writeln!(text, "\n## Expected\n\n{}\n", expected(loss.kind));
    text
}

fn expected(kind: LossKind) -> &'static str {
    match kind {
        LossKind::Lossy | LossKind::Changed => {
            "The reader prints the rule that the kernel holds, and after it restored what it printed the kernel holds the \
             same rule; or it refuses, with a message and a nonzero exit status."
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
    let Evidence {
        whole_rule: rule,
        whole,
        ..
    } = evidence;
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
                plain(probe.written.as_deref().unwrap_or("not sent")),
                plain(then.map_or("otherwise", String::as_str))
            )
        })
        .collect();
    let of_rule = rule.consequence.or(rule.potential);
    let sentence = match (of_rule, shown.is_empty()) {
        (Some(of_rule), false) => format!("{of_rule}: {}, as packets showed.", of_rule.meaning()),
        (Some(of_rule), true) => format!(
            "{of_rule}: {}. That is concluded from the rules; no packet was sent, or none met the rule.",
            of_rule.meaning()
        ),
        (None, _) => "None that is known: no rule in the kernel is another one.".to_owned(),
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

fn reproduce(evidence: &Evidence<'_>) -> String {
    let Evidence { writer, reader, .. } = evidence;
    let multi =
        |build: &Build| format!("/path/to/{}/xtables-{}-multi", build.version, build.backend);
    let tried = match evidence.tried {
        Tried::Ended(status) => {
            format!("Run where this report was made, it ended with exit status {status}.")
        }
        Tried::Not => "It was not run where this report was made.".to_owned(),
    };
    format!(
        "## To reproduce\n\n{}\n{tried} It needs two binaries (or source trees, root filesystems, container images: its head \
         says how they are named), and makes a network namespace of its own. Exit status 1 while the loss is there, 0 when \
         it is gone, 125 when it cannot be tried:\n\n{}\n",
        fenced(&format!(
            "WRITER={} READER={} ./reproduce.sh",
            multi(writer),
            multi(reader)
        )),
        fenced(
            "git bisect run sh -c './autogen.sh && ./configure && make -j8 || exit 125; READER=$PWD /path/to/reproduce.sh'"
        ),
    )
}

fn versions(evidence: &Evidence<'_>) -> String {
    let matrix = evidence.matrix;
    let mut text = "## Versions\n\n| | build | `--version` | made by | libnftnl | root filesystem |\n|---|---|---|---|---|---|\n".to_owned();
    for (role, build) in [("writer", evidence.writer), ("reader", evidence.reader)] {
        let _ = writeln!(
            text,
            "| {role} | {} | {} | {} | {} | sha256 {} |",
            build.id,
            plain(&build.banner),
            build.origin.as_str(),
            build.libnftnl.as_deref().unwrap_or("unknown"),
            build.digest.short()
        );
    }
    let host = &matrix.host;
    let _ = writeln!(
        text,
        "\nLinux {} ({}), through {}; iptables-lab {}; {}.\n",
        plain(&host.kernel),
        plain(&host.arch),
        plain(&host.engine),
        matrix.lab.version,
        matrix.started
    );
    if let Some(source) = &evidence.found_in.source {
        let _ = writeln!(
            text,
            "The rule is from {} {}: <{}>\n",
            plain(&source.project),
            plain(&source.version),
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
            .filter(|of| of.tool == Tool::Iptables && of.backend == like.backend);
        alike.map(|build| build.id.clone()).collect()
    };
    let writers = alike(matrix.writers(), writer);
    let readers = alike(matrix.readers(), reader);
    let mut text = "## All pairings with this rule\n\nWriters down, readers across. **X**: this loss is there.\n\n|".to_owned();
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
        let _ = writeln!(text, "- not run: {}: {}", ids.join(", "), plain(reason));
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
        plain(&evidence.found_in.title),
        rules(from.rules),
        from.words,
        rules(to.rules),
        to.words
    )
}

fn rules(count: usize) -> String {
    match count {
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

/// Text of builds and scenarios within a line, with nothing that Markdown or HTML would take for its own.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    for c in inert(text).chars() {
        match c {
            '\n' | '\t' => plain.push(' '),
            '<' => plain.push_str("&lt;"),
            '&' => plain.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '!' | '~' => {
                plain.push('\\');
                plain.push(c);
            }
            c => plain.push(c),
        }
    }
    plain
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
    #[case("plain words", "plain words")]
    #[case("<img src=x>", "&lt;img src=x>")]
    #[case("a|b\n# c", "a\\|b \\# c")]
    #[case("![x](y)", "\\!\\[x\\](y)")]
    #[case("\u{1b}[31m", "\u{fffd}\\[31m")]
    fn hostile_words_are_words(#[case] text: &str, #[case] written: &str) {
        assert_eq!(plain(text), written);
    }

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
