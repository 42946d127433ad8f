//! What differs between two texts of a rule, word by word.

use serde::Serialize;
use similar::{Algorithm, DiffTag, capture_diff_slices};

/// A piece of a text, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Piece {
    /// Its text, with the blanks behind it.
    pub text: String,
    /// Whether the other text has it too.
    pub kind: PieceKind,
}

/// Whether both texts have a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PieceKind {
    /// Both have it.
    Shared,
    /// Only this one has it.
    Own,
}

/// Both texts in pieces: what both have, and what only one has.
pub fn word_diff(one: &str, other: &str) -> (Vec<Piece>, Vec<Piece>) {
    let (left, right) = (words(one), words(other));
    let ops = capture_diff_slices(Algorithm::Myers, &left, &right);
    let (mut of_left, mut of_right) = (Vec::new(), Vec::new());
    for op in ops {
        let kind = match op.tag() {
            DiffTag::Equal => PieceKind::Shared,
            DiffTag::Delete | DiffTag::Insert | DiffTag::Replace => PieceKind::Own,
        };
        push(&mut of_left, &left[op.old_range()], kind);
        push(&mut of_right, &right[op.new_range()], kind);
    }
    (of_left, of_right)
}

fn push(pieces: &mut Vec<Piece>, words: &[&str], kind: PieceKind) {
    if !words.is_empty() {
        let text = words.concat();
        pieces.push(Piece { text, kind });
    }
}

/// Words with the blanks behind them: put together they are the text again.
fn words(text: &str) -> Vec<&str> {
    text.split_inclusive(' ').collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn own(pieces: &[Piece]) -> Vec<&str> {
        let own = pieces.iter().filter(|piece| piece.kind == PieceKind::Own);
        own.map(|piece| piece.text.as_str()).collect()
    }

    #[test]
    fn the_lost_match_is_marked() {
        let (written, read) = word_diff(
            "-A KUBE-FIREWALL -m mark --mark 0x8000/0x8000 -j DROP",
            "-A KUBE-FIREWALL -j DROP",
        );
        assert_eq!(own(&written), ["-m mark --mark 0x8000/0x8000 "]);
        assert_eq!(own(&read), [""; 0]);
    }

    proptest! {
        #[test]
        fn the_pieces_of_a_text_are_the_text(one in "[a-c <&\\-]{0,20}", other in "[a-c <&\\-]{0,20}") {
            let (left, right) = word_diff(&one, &other);
            let text = |pieces: &[Piece]| pieces.iter().map(|of| of.text.clone()).collect::<String>();
            prop_assert_eq!(text(&left), one);
            prop_assert_eq!(text(&right), other);
        }
    }
}
