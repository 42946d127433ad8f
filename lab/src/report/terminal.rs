//! Signs, colours and widths: how verdicts look in a terminal.
//!
//! Text is always rendered with colours; whoever writes it (`anstream`) takes them out for pipes and `NO_COLOR`.

use anstyle::{AnsiColor, Style};

use super::tone::Tone;
use crate::judge::verdict::Verdict;
use crate::matrix::Absence;

/// What columns reports may use where the terminal does not say how wide it is.
pub const DEFAULT_WIDTH: usize = 120;

/// The sign of a verdict in a table: small where nothing is lost, a letter where it is loud, a mark where it is silent.
pub fn sign(verdict: Verdict) -> char {
    match verdict {
        Verdict::Faithful
        | Verdict::Same
        | Verdict::Kept
        | Verdict::Recognised
        | Verdict::Stable
        | Verdict::Found
        | Verdict::Deleted => '.',
        Verdict::Misprinted => '"',
        Verdict::Reworded => '~',
        Verdict::Differs => '?',
        Verdict::Invisible => '-',
        Verdict::Unsupported => 'u',
        Verdict::Refused => 'r',
        Verdict::Incompatible => 'k',
        Verdict::NothingToRestore => 'n',
        Verdict::Unrestorable => 'R',
        Verdict::TimedOut => 'T',
        Verdict::Crashed => '!',
        Verdict::Misread => '<',
        Verdict::Unreadable => 'U',
        Verdict::Changed => 'C',
        Verdict::Lossy => 'X',
        Verdict::Doubled => '2',
        Verdict::Averted => '=',
        Verdict::NotFound => 'f',
        Verdict::NotDeleted => 'd',
        Verdict::Drifts => '>',
        Verdict::FoundWrong => 'F',
        Verdict::WrongRule => 'D',
    }
}

/// What stands in a table where there is no cell.
pub fn absent(absence: Absence) -> char {
    match absence {
        Absence::NotRun => '_',
        Absence::NotOfScenario => '/',
    }
}

/// The colour of a verdict: green where nothing is lost, yellow where it is loud, red where it is silent.
pub fn style(verdict: Verdict) -> Style {
    let colour = |colour: AnsiColor| Style::new().fg_color(Some(colour.into()));
    match Tone::of(verdict) {
        Tone::Fine => colour(AnsiColor::Green),
        Tone::Note => colour(AnsiColor::Cyan),
        Tone::Aside => Style::new().dimmed(),
        Tone::Loud => colour(AnsiColor::Yellow),
        Tone::Later => colour(AnsiColor::Magenta).bold(),
        Tone::Silent => colour(AnsiColor::Red).bold(),
    }
}

/// `text` in `style`.
pub fn paint(style: Style, text: impl std::fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}

/// Headings.
pub const HEADING: Style = Style::new().bold();

/// What is said beside the point.
pub const ASIDE: Style = Style::new().dimmed();

/// Breaks `text` at blanks into lines of at most `width` columns; a longer word stands alone.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let options = textwrap::Options::new(width)
        .word_separator(textwrap::WordSeparator::AsciiSpace)
        .word_splitter(textwrap::WordSplitter::NoHyphenation)
        .wrap_algorithm(textwrap::WrapAlgorithm::FirstFit)
        .break_words(false);
    let lines = textwrap::wrap(&text, options).into_iter();
    lines.map(std::borrow::Cow::into_owned).collect()
}

/// At most `room` columns of a text.
pub fn cut(text: &str, room: usize) -> String {
    if text.chars().count() <= room {
        return text.to_owned();
    }
    let kept = text.chars().take(room.saturating_sub(1));
    let kept: String = kept.collect();
    match room {
        0 => String::new(),
        _ => format!("{kept}…"),
    }
}

/// Takes control characters out of what builds and scenarios say, so that none reaches the terminal.
pub fn inert(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_control() && c != '\n' && c != '\t' {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::wording;
    use super::*;
    use crate::matrix::Letter;

    /// What the reference says of the signs is what the tables use them for.
    #[test]
    fn the_docs_explain_every_sign_that_a_cell_can_show() {
        let page = include_str!("../../../docs/reference/verdicts.md");
        for verdict in Verdict::ALL {
            let no_cell = [
                Verdict::Faithful,
                Verdict::Misprinted,
                Verdict::Kept,
                Verdict::Recognised,
                Verdict::Stable,
                Verdict::Found,
                Verdict::Deleted,
            ];
            let row = format!(
                "| `{}` | `{verdict}` | {} |",
                sign(verdict),
                wording::verdict_meaning(verdict)
            );
            assert!(no_cell.contains(&verdict) || page.contains(&row), "{row}");
        }
    }

    #[test]
    fn no_two_verdicts_of_a_cell_have_the_same_sign() {
        let harmful = Verdict::ALL
            .into_iter()
            .filter(|verdict| verdict.severity() > 0);
        let signs: Vec<char> = harmful.map(sign).collect();
        let distinct: std::collections::BTreeSet<&char> = signs.iter().collect();
        assert_eq!(distinct.len(), signs.len());
    }

    /// The signs of the tables and the letters of the folded matrix are one alphabet: what both have means the same.
    #[test]
    fn no_letter_of_the_folded_matrix_is_another_verdicts_sign() {
        let both = [Verdict::NothingToRestore, Verdict::Crashed];
        for verdict in Verdict::ALL.into_iter().filter(|of| !both.contains(of)) {
            let letters = Letter::ALL.map(Letter::sign);
            let is_letter =
                |of: char| sign(verdict) == of || sign(verdict) == of.to_ascii_uppercase();
            assert!(!letters.into_iter().any(is_letter), "{verdict}");
        }
        assert_eq!(sign(Verdict::NothingToRestore), Letter::Nothing.sign());
        assert_eq!(sign(Verdict::Crashed), Letter::Crash.sign());
    }

    #[test]
    fn lines_break_at_blanks_and_nowhere_else() {
        assert_eq!(wrap("one two  three", 7), ["one two", "three"]);
        assert_eq!(wrap("debian-1.8.9-2-nft", 7), ["debian-1.8.9-2-nft"]);
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(inert("a\u{1b}[31mb\tc\n"), "a\u{fffd}[31mb\tc\n");
    }
}
