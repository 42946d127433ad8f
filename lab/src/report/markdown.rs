//! The matrix as GitHub's Markdown: for issues, wikis and the summaries of CI runs.
//!
//! What is said of a scenario is folded, the worst first; what does not fit into the given size is left out from the
//! end, and it is said how much that is.

use std::fmt::Write;

use super::facts;
use super::terminal::{inert, sign};
use super::{by_reason, folded, screen, wording};
use crate::cause::causes;
use crate::judge::verdict::Verdict;
use crate::matrix::{Letters, Loss, Matrix, ScenarioHead, broken, losses, packet_changes};

/// What a comment on GitHub may hold, in characters.
pub const COMMENT: usize = 65_536;

/// How many causes stand before the fold.
const CAUSES: usize = 12;

/// The whole matrix, in at most `limit` characters.
pub fn render(matrix: &Matrix, limit: usize) -> String {
    let mut page = head(matrix);
    let tail = tail(matrix);
    let mut scenarios: Vec<(usize, String)> = matrix
        .scenarios
        .iter()
        .map(|head| (silent(matrix, &head.name), scenario(matrix, head)))
        .collect();
    scenarios.sort_by_key(|(silent, _)| std::cmp::Reverse(*silent));
    let count = scenarios.len();
    let mut room = limit.saturating_sub(length(&page) + length(&tail) + length(&left_out(count)));
    let mut told = 0;
    for (_, section) in &scenarios {
        if length(section) > room {
            break;
        }
        room -= length(section);
        page.push_str(section);
        told += 1;
    }
    if told < count {
        page.push_str(&left_out(count - told));
    }
    page + &tail
}

/// The most Markdown that GitHub takes; characters are what it counts.
pub(super) fn length(text: &str) -> usize {
    text.chars().count()
}

fn left_out(scenarios: usize) -> String {
    format!(
        "\n_{scenarios} scenarios are left out: there was no room for them. The page and the JSON have them._\n"
    )
}

fn silent(matrix: &Matrix, scenario: &str) -> usize {
    let cells = matrix.cells.iter().filter(|cell| cell.scenario == scenario);
    cells.filter(|cell| cell.verdict.is_silent_damage()).count()
}

fn head(matrix: &Matrix) -> String {
    let mut text = "## What one iptables loses of another's rules\n\n".to_owned();
    if let Some(said) = wording::cut_short(matrix) {
        let _ = writeln!(text, "**{}**\n", escape(&said));
    }
    let table = folded::lines(matrix, screen::COLUMNS).join("\n");
    let table = inert(&anstream::adapter::strip_str(&table).to_string());
    let _ = writeln!(text, "```text\n{}\n```\n", table.trim_end());
    let causes = causes(matrix).causes;
    for cause in causes.iter().take(CAUSES) {
        let letters = Letters::of(cause.letter, cause.worst.certainty).signs();
        let said = wording::cause(cause).into_iter().next().unwrap_or_default();
        let _ = writeln!(text, "- {} {}", code(&letters), escape(&said));
        if let Some(of) = &cause.example {
            text.push_str(&diff(&of.before, &of.after));
        }
    }
    match causes.len() {
        0 => text.push_str("Nothing is lost of what was tested.\n"),
        many if many > CAUSES => {
            let _ = writeln!(text, "- and {} milder losses, below", many - CAUSES);
        }
        _ => {}
    }
    text.push('\n');
    text
}

fn tail(matrix: &Matrix) -> String {
    let mut text =
        "\n<details><summary>What the words mean, and what was run</summary>\n\n".to_owned();
    text.push_str("| sign | verdict | cells | what it means |\n|---|---|---|---|\n");
    for (verdict, count) in wording::verdicts(matrix) {
        let (sign, meaning) = (
            code(&sign(verdict).to_string()),
            wording::verdict_meaning(verdict),
        );
        let _ = writeln!(text, "| {sign} | {verdict} | {count} | {meaning} |");
    }
    text.push('\n');
    for consequence in wording::consequences(matrix) {
        let _ = writeln!(
            text,
            "- {consequence}: {}",
            wording::consequence_meaning(consequence)
        );
    }
    if !matrix.missing.is_empty() {
        let _ = writeln!(text, "\n{}:\n", escape(&wording::not_run(matrix)));
        for (reason, ids) in by_reason(&matrix.missing) {
            let ids: Vec<String> = ids.into_iter().map(code).collect();
            let _ = writeln!(text, "- {}: {}", ids.join(", "), escape(reason));
        }
    }
    for said in [wording::without_bystander(matrix), wording::known(matrix)].concat() {
        let _ = writeln!(text, "\n{}", escape(&said));
    }
    let _ = writeln!(
        text,
        "\n{}; {}; {}\n\n</details>",
        escape(&wording::count(matrix)),
        escape(&wording::machine(matrix)),
        matrix.started.strftime("%Y-%m-%d %H:%M UTC"),
    );
    text
}

/// A scenario, folded.
fn scenario(matrix: &Matrix, head: &ScenarioHead) -> String {
    let silent = silent(matrix, &head.name);
    let losses = losses(matrix, &head.name);
    let count = match (matrix.families(&head.name).is_empty(), losses.is_empty()) {
        (true, _) => wording::no_cell(matrix, head).to_owned(),
        (false, true) => wording::no_harm(matrix, &head.name).to_owned(),
        (false, false) => format!("silent damage in {silent} cells"),
    };
    let mut text = format!(
        "<details><summary><b>{}</b>: {}</summary>\n\n{}\n\n",
        html(&head.name),
        html(&count),
        escape(&head.title),
    );
    for loss in &losses {
        let said = escape(&wording::loss(matrix, loss));
        let _ = writeln!(
            text,
            "- {} {said}",
            code(&sign(loss.form.harm.verdict).to_string())
        );
        text.push_str(&example(matrix, &head.name, loss));
    }
    for said in wording::not_tested(matrix, &head.name) {
        let sign = code(&sign(Verdict::Unsupported).to_string());
        let _ = writeln!(text, "- {sign} {}", escape(&said));
    }
    for of in broken(matrix, &head.name) {
        let _ = writeln!(text, "- `?` {}", escape(&wording::broken(&of)));
    }
    for change in packet_changes(matrix, &head.name) {
        let _ = writeln!(text, "- `*` {}", escape(&wording::packet(&change)));
    }
    text.push_str("\n</details>\n");
    text
}

/// The rule of one cell that shows a loss, before and after, as a diff; what differs beside it is said.
fn example(matrix: &Matrix, scenario: &str, loss: &Loss) -> String {
    let Some(example) = facts::example(matrix, scenario, loss) else {
        return String::new();
    };
    let beside = match example.texts.beside.is_empty() {
        true => String::new(),
        false => format!("  {}\n", escape(&example.label())),
    };
    diff(example.texts.before, example.texts.after) + &beside
}

/// A rule before and after, as a diff within an item of a list.
fn diff(before: &str, after: &str) -> String {
    let line = |text: &str| inert(text).replace('\n', " ");
    let (before, after) = (line(before), line(after));
    let fence = fence(&[&before, &after], 3);
    format!("  {fence}diff\n  - {before}\n  + {after}\n  {fence}\n")
}

/// Text of others as a code span: nothing in it is Markdown.
pub(super) fn code(text: &str) -> String {
    let text = inert(text).replace(['\n', '\t'], " ");
    let fence = fence(&[&text], 1);
    let pad = if text.starts_with('`') || text.ends_with('`') {
        " "
    } else {
        ""
    };
    format!("{fence}{pad}{text}{pad}{fence}").replace('|', "\\|")
}

/// Backticks enough that none of the texts ends what they open.
fn fence(texts: &[&str], least: usize) -> String {
    let longest = texts
        .iter()
        .flat_map(|text| text.split(|c| c != '`'))
        .map(str::len)
        .max();
    "`".repeat(least.max(longest.unwrap_or(0) + 1))
}

/// Text of others between markup: it shows as it is, links to nobody and nothing.
pub(super) fn escape(text: &str) -> String {
    let text = inert(text).replace(['\n', '\t'], " ");
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            // What follows them would be someone's name, or an issue's number.
            '@' => escaped.push_str("@<!-- -->"),
            '#' => escaped.push_str("\\#<!-- -->"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '!' | '~' | '|' | '$' => {
                escaped.push('\\');
                escaped.push(c);
            }
            c => escaped.push(c),
        }
    }
    escaped
}

/// Text of others within a line of HTML.
fn html(text: &str) -> String {
    inert(text)
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace(['\n', '\t'], " ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("a", "`a`")]
    #[case("a`b", "``a`b``")]
    #[case("`a`", "`` `a` ``")]
    #[case("a|b\u{1b}[31m", "`a\\|b\u{fffd}[31m`")]
    fn code_is_what_it_says(#[case] text: &str, #[case] span: &str) {
        assert_eq!(code(text), span);
    }

    #[rstest]
    #[case("<script>", "&lt;script&gt;")]
    #[case("a|b\n![x](y)\u{1b}[31m", "a\\|b \\!\\[x\\](y)\u{fffd}\\[31m")]
    #[case("*a* [b](c) @you #1", "\\*a\\* \\[b\\](c) @<!-- -->you \\#<!-- -->1")]
    fn nothing_in_a_text_is_markup(#[case] text: &str, #[case] escaped: &str) {
        assert_eq!(escape(text), escaped);
    }

    proptest! {
        /// Markup that is not this program's own begins with one of these.
        #[test]
        fn whatever_is_escaped_opens_no_markup(text in "\\PC{0,40}") {
            let escaped = escape(&text).replace("<!-- -->", "");
            prop_assert!(!escaped.contains('<') && !escaped.contains('>'));
            let mut before = ' ';
            for c in escaped.chars() {
                let is_plain = !"`*_[]!~|$#".contains(c) || before == '\\';
                prop_assert!(is_plain, "{escaped}");
                before = if before == '\\' { ' ' } else { c };
            }
        }
    }
}
