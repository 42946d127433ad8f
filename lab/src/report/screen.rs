//! The matrix on one screen of the terminal: what is lost, folded; the losses, the worst first; the worst scenarios; and what to do next.

use super::folded::{self, tone};
use super::terminal::{HEADING, cut, inert, paint, style, wrap};
use super::word_diff::{Piece, PieceKind, word_diff};
use super::wording;
use crate::cause::{Cause, Causes, ExampleRule, WorstScenario, causes};
use crate::judge::verdict::Verdict;
use crate::matrix::{Letters, Matrix};

/// The most lines that a screen has.
pub const LINES: usize = 100;

/// The most columns that it has.
pub const COLUMNS: usize = 100;

/// The most lines that a group of losses takes.
const GROUP: usize = 4;

/// How many causes are told whole at least, where there are more than have room.
const WHOLE: usize = 2;

/// How many scenarios have a line.
const SCENARIOS: usize = 15;

/// With more scenarios than this, the terminal gets one screen instead of every table.
pub const FEW: usize = 3;

/// The matrix in at most [`LINES`] lines of at most `width` columns.
pub fn render(matrix: &Matrix, width: usize) -> String {
    let width = width.min(COLUMNS);
    let Causes {
        causes, scenarios, ..
    } = causes(matrix);
    let head = head(matrix, width);
    let mut tail = Vec::new();
    if !scenarios.is_empty() {
        tail.push(String::new());
        tail.push(paint(
            HEADING,
            "The worst scenarios, and in how many pairings",
        ));
        let most = scenarios.iter().take(SCENARIOS);
        let name = most.clone().map(|of| of.name.len()).max().unwrap_or(0);
        let name = name.min(width / 3);
        let signs = most.clone().map(|of| of.letters.signs().len()).max();
        for of in most {
            let letters = format!("{:<1$}", of.letters.signs(), signs.unwrap_or(0));
            let letters = paint(tone(of.letters), letters);
            let line = format!("  {:<name$} {letters} ", cut(&inert(&of.name), name));
            let room = width.saturating_sub(name + signs.unwrap_or(0) + 4);
            tail.push(format!("{line}{}", cut(&wording::scenario(of), room)));
        }
        let rest = scenarios.len().saturating_sub(SCENARIOS);
        let others = wording::other_scenarios(matrix, scenarios.len(), rest);
        if !others.is_empty() {
            tail.push(format!("  {others}"));
        }
    }
    tail.extend(end(matrix, &causes, &scenarios, width));
    let room = LINES.saturating_sub(head.len() + tail.len());
    let losses = losses(&causes, width, room);
    let all = head.into_iter().chain(losses).chain(tail);
    all.map(|line| line + "\n").collect()
}

/// The folded matrices and what their letters mean.
fn head(matrix: &Matrix, width: usize) -> Vec<String> {
    let mut lines = vec![paint(HEADING, wording::folded_heading(matrix))];
    if let Some(said) = wording::cut_short(matrix) {
        let said = wrap(&inert(&said), width).into_iter();
        lines.extend(said.map(|line| paint(style(Verdict::Lossy), line)));
    }
    lines.extend(folded::lines(matrix, width));
    lines
}

/// The losses, the worst first, in at most `room` lines; the mildest are counted.
fn losses(causes: &[Cause], width: usize, room: usize) -> Vec<String> {
    if causes.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![String::new(), paint(HEADING, "Losses, the worst first")];
    let whole: Vec<Vec<String>> = causes.iter().map(|of| cause_lines(of, width)).collect();
    let room = room.saturating_sub(lines.len());
    // As many whole as leave a line for each of the others; two at least, and then the mildest of the others are counted.
    let lengths = |whole_ones: usize| -> usize {
        let whole = whole.iter().take(whole_ones).map(Vec::len).sum::<usize>();
        whole + causes.len() - whole_ones
    };
    let all = (0..=causes.len()).rev();
    let fitting = all.into_iter().find(|count| lengths(*count) <= room);
    let whole_ones = fitting.unwrap_or(0).max(WHOLE.min(causes.len()));
    let mut told = 0;
    for (at, cause) in causes.iter().enumerate() {
        let of_cause = match at < whole_ones {
            true => whole[at].clone(),
            false => vec![cause_line(cause, width)],
        };
        // One line is for the count of those that have no room.
        let is_last = told + 1 == causes.len();
        if lines.len() - 2 + of_cause.len() + usize::from(!is_last) > room {
            break;
        }
        lines.extend(of_cause);
        told += 1;
    }
    if told < causes.len() {
        lines.push(format!("  {}", wording::milder(causes.len() - told)));
    }
    lines
}

/// A cause in one line.
fn cause_line(cause: &Cause, width: usize) -> String {
    let letters = Letters::of(cause.letter, cause.worst.certainty);
    let said = cut(
        &inert(&wording::cause_in_short(cause)),
        width.saturating_sub(2),
    );
    format!("{} {said}", paint(tone(letters), letters.signs()))
}

/// A group in at most [`GROUP`] lines: its sentence, whole, and one rule before and after, where there is room for that too.
fn cause_lines(cause: &Cause, width: usize) -> Vec<String> {
    let example = cause.example.as_ref().map(|of| example_lines(of, width));
    let example = example.unwrap_or_default();
    let width = width.saturating_sub(4);
    let said = wording::cause(cause).into_iter();
    let said: Vec<Vec<String>> = said.map(|of| wrap(&inert(&of), width)).collect();
    let fitting = |room: usize| {
        said.iter().find(|lines| {
            lines.len() <= room && lines.iter().all(|line| line.chars().count() <= width)
        })
    };
    let (text, example) = match fitting(GROUP - example.len()) {
        Some(text) => (text.clone(), example),
        None => {
            let mut text = fitting(GROUP).or(said.last()).cloned().unwrap_or_default();
            text.truncate(GROUP);
            (text, Vec::new())
        }
    };
    let letters = Letters::of(cause.letter, cause.worst.certainty);
    let mut lines = Vec::new();
    for (at, line) in text.into_iter().enumerate() {
        let line = cut(&line, width);
        let mark = match at {
            0 => paint(tone(letters), letters.signs()),
            _ => " ".to_owned(),
        };
        lines.push(format!("{mark} {}{line}", if at == 0 { "" } else { "  " }));
    }
    lines.extend(example);
    lines
}

/// A rule before and after; what differs stands out.
fn example_lines(of: &ExampleRule, width: usize) -> Vec<String> {
    let (before, after) = word_diff(&inert(&of.before), &inert(&of.after));
    let room = width.saturating_sub(6);
    let line = |mark, pieces, verdict| {
        let text: String = fitted(pieces, room)
            .into_iter()
            .map(|piece| match piece.kind {
                PieceKind::Shared => piece.text,
                PieceKind::Own => paint(style(verdict), piece.text),
            })
            .collect();
        format!("    {mark} {}", text.trim_end())
    };
    vec![
        line('-', before, Verdict::Same),
        line('+', after, Verdict::Lossy),
    ]
}

/// Pieces in at most `room` columns: the middle of what both texts share is left out first.
fn fitted(mut pieces: Vec<Piece>, room: usize) -> Vec<Piece> {
    let length =
        |pieces: &[Piece]| -> usize { pieces.iter().map(|of| of.text.chars().count()).sum() };
    // A pass shortens the longest shared piece, by as much as it takes or as it has.
    for _ in 0..pieces.len() {
        let over = length(&pieces).saturating_sub(room);
        if over == 0 {
            break;
        }
        let shared = pieces.iter_mut().filter(|of| of.kind == PieceKind::Shared);
        let Some(longest) = shared.max_by_key(|of| of.text.chars().count()) else {
            break;
        };
        let chars: Vec<char> = longest.text.chars().collect();
        let keep = chars
            .len()
            .saturating_sub(over + 2)
            .max(12.min(chars.len()));
        if keep + 2 >= chars.len() {
            break;
        }
        let (front, back) = (keep - keep / 2, keep / 2);
        let front: String = chars[..front].iter().collect();
        let back: String = chars[chars.len() - back..].iter().collect();
        longest.text = format!("{front}…{back}");
    }
    let mut left = room;
    for piece in &mut pieces {
        piece.text = cut(&piece.text, left);
        left = left.saturating_sub(piece.text.chars().count());
    }
    pieces
}

/// Whose losses these are, what was run, and what to do next.
fn end(
    matrix: &Matrix,
    causes: &[Cause],
    scenarios: &[WorstScenario],
    width: usize,
) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut say = |text: &str, most: usize| {
        let said = wrap(&inert(text), width.saturating_sub(2));
        let said = said.into_iter().take(most).enumerate();
        lines.extend(said.map(|(at, line)| {
            let indent = if at == 0 { "" } else { "  " };
            cut(&format!("{indent}{line}"), width)
        }));
    };
    say(wording::whole_table(), 3);
    if let Some(said) = wording::not_available(matrix) {
        say(&said, 3);
    }
    for said in wording::without_bystander(matrix) {
        say(&said, 2);
    }
    for said in wording::known(matrix) {
        say(&said, 1);
    }
    say(&wording::count(matrix), 2);
    say(&wording::machine_in_short(matrix), 2);
    say(&wording::when(matrix), 2);
    let next = wording::next(matrix, causes, scenarios);
    lines.push(paint(HEADING, "Go on"));
    for (command, what) in next {
        lines.extend(command_lines(&inert(&command), what, width));
    }
    lines
}

/// A command and what it shows, as a shell takes it: on two lines where one is too short.
fn command_lines(command: &str, what: &str, width: usize) -> Vec<String> {
    let commented = format!("  {command}  # {what}");
    if commented.chars().count() <= width {
        return vec![commented];
    }
    match command.split_once(" --scenario ") {
        Some((head, scenario)) if command.chars().count() + 2 > width => {
            vec![format!("  {head} \\"), format!("    --scenario {scenario}")]
        }
        _ => vec![format!("  {command}")],
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::matrix::{How, LostPart};

    fn matrix(name: &str) -> Matrix {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/recordings");
        let file = std::path::Path::new(folder).join(name);
        Matrix::of(&crate::recording::read(&file).unwrap().recording)
    }

    fn plain(lines: &str) -> String {
        anstream::adapter::strip_str(lines).to_string()
    }

    const RECORDINGS: [&str; 3] = [
        "kube-firewall-by-1.8.9.jsonl",
        "kube-router-by-debian-1.8.7.jsonl",
        "docker-by-1.8.10.jsonl",
    ];

    #[test]
    fn the_screen_as_it_prints() {
        let mut all = String::new();
        for name in RECORDINGS {
            all.push_str(&plain(&render(&matrix(name), 100)));
            all.push_str("=====\n");
        }
        insta::assert_snapshot!("screen", all);
    }

    #[rstest]
    fn a_screen_has_a_hundred_lines_and_no_more_columns_than_it_may(
        #[values(60, 80, 100, 200)] width: usize,
    ) {
        for name in RECORDINGS {
            let screen = plain(&render(&matrix(name), width));
            assert!(screen.lines().count() <= LINES, "{screen}");
            for line in screen.lines() {
                assert!(
                    line.chars().count() <= width.min(COLUMNS),
                    "{width}: {line}"
                );
            }
        }
    }

    #[rstest]
    #[case(100)]
    #[case(80)]
    fn what_has_no_room_is_counted(#[case] width: usize) {
        let one = causes(&matrix(RECORDINGS[0])).causes;
        let many: Vec<Cause> = one.iter().cycle().take(40).cloned().collect();
        let lines = losses(&many, width, 30);
        assert!(lines.len() <= 30 && lines.len() > 26, "{}", lines.len());
        let last = lines.last().unwrap();
        let told = many.len()
            - last
                .split(' ')
                .find_map(|word| word.parse::<usize>().ok())
                .unwrap();
        assert!((18..28).contains(&told), "{last}");
    }

    #[rstest]
    fn a_group_has_four_lines_and_its_sentence_is_whole(#[values(60, 80, 100)] width: usize) {
        let mut all = RECORDINGS.map(|name| causes(&matrix(name)).causes).concat();
        // One of which much is to be said.
        let mut last = all[0].clone();
        let name = |number| format!("match an-extension-of-many-{number}");
        last.parts = (1..20)
            .map(|number| LostPart {
                letter: last.letter,
                how: How::Lost,
                name: name(number),
            })
            .collect();
        last.reason = Some("Table is incompatible, and this is why: ".repeat(5));
        all.push(last);
        for cause in &all {
            let lines = plain(&cause_lines(cause, width).join("\n"));
            assert!(lines.lines().count() <= GROUP, "{lines}");
            let is_rule = |line: &&str| line.starts_with("    - ") || line.starts_with("    + ");
            let mut sentence = lines.lines().filter(|line| !is_rule(line));
            assert!(!sentence.any(|line| line.contains('…')), "{lines}");
        }
    }

    #[test]
    fn a_long_rule_keeps_what_differs() {
        let (before, after) = ("x ".repeat(90), "y".repeat(8));
        let before = format!("-A CHAIN -m comment {before}-m mark --mark 0x1 -j DROP");
        let (pieces, _) = word_diff(&before, &format!("-A CHAIN -m comment {after}-j DROP"));
        let pieces = fitted(pieces, 70);
        let length: usize = pieces.iter().map(|of| of.text.chars().count()).sum();
        assert!(length <= 70);
    }
}
