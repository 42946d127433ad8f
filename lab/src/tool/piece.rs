//! Pieces of rules: what is left out of them together.

/// A piece of a rule: words that stand or fall together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// The rule's place in the text, from 0.
    pub(super) rule: usize,
    /// The places of its words.
    pub(super) words: Vec<usize>,
}

impl Piece {
    /// The places of the words of a rule that these pieces of it leave, ascending.
    pub(super) fn kept(pieces: &[Piece], rule: usize) -> Vec<usize> {
        let of_rule = pieces.iter().filter(|piece| piece.rule == rule);
        let mut words: Vec<usize> = of_rule
            .flat_map(|piece| piece.words.iter().copied())
            .collect();
        words.sort_unstable();
        words
    }
}

/// How finely rules are cut into pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Whole matches and targets, or statements.
    Units,
    /// Single options, or words.
    Options,
}
