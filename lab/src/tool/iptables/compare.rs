//! Two prints of one rule compared: which parts are lost, altered or added. Every difference is named.

use super::parts::{OptionAtom, Structured, Unit, UnitName};
use super::tokens::join;
use crate::tool::{Change, Difference};

/// Compares two prints of one rule, given what follows `-A CHAIN` in each. No synonyms: `--set-mark 0x1` and
/// `--set-xmark 0x1/0xffffffff` differ.
pub fn compare<S: AsRef<str> + PartialEq>(from: &[S], to: &[S]) -> Difference {
    let mut comparison = Comparison {
        from,
        to,
        difference: Difference::default(),
        kept: Vec::new(),
    };
    if from != to {
        comparison.units(&Structured::of(from).units, &Structured::of(to).units);
        comparison.order();
    }
    comparison.difference
}

struct Comparison<'a, S> {
    from: &'a [S],
    to: &'a [S],
    difference: Difference,
    /// Where an atom that both have begins, before and after.
    kept: Vec<(usize, usize)>,
}

impl<S: AsRef<str> + PartialEq> Comparison<'_, S> {
    fn units(&mut self, from: &[Unit], to: &[Unit]) {
        let same_place = |a: &Unit, b: &Unit| a.name.same_place(&b.name);
        let same_words = |a: &Unit, b: &Unit| a.words(self.from).eq(b.words(self.to));
        let pairing = pair(from, to, same_place, same_words);
        for unit in pairing.lost {
            self.one_sided(&from[unit], Side::From);
        }
        for (unit, partner) in pairing.pairs {
            self.unit(&from[unit], &to[partner]);
        }
        for unit in pairing.added {
            self.one_sided(&to[unit], Side::To);
        }
    }

    /// A unit that only one of the two has: one part, or each option where the match was only implied.
    fn one_sided(&mut self, unit: &Unit, side: Side) {
        if unit.head.is_some() {
            let text = join(unit.words(side.tokens(self)));
            self.record(unit.name.part(), side, text);
            return;
        }
        for option in &unit.options {
            self.one_sided_option(&unit.name, option, side);
        }
    }

    fn one_sided_option(&mut self, unit: &UnitName, option: &OptionAtom, side: Side) {
        let text = join(&side.tokens(self)[option.atom.tokens.clone()]);
        self.record(unit.option_part(&option.name), side, text);
    }

    fn record(&mut self, part: String, side: Side, text: String) {
        let text = Some(text);
        match side {
            Side::From => self.difference.lost.push(Change {
                part,
                from: text,
                to: None,
            }),
            Side::To => self.difference.added.push(Change {
                part,
                from: None,
                to: text,
            }),
        }
    }

    fn alter(&mut self, part: String, from: String, to: String) {
        self.difference.altered.push(Change {
            part,
            from: Some(from),
            to: Some(to),
        });
    }

    /// A unit that both have.
    fn unit(&mut self, from: &Unit, to: &Unit) {
        if from.name != to.name {
            let (before, after) = (join(from.words(self.from)), join(to.words(self.to)));
            self.alter(from.name.part(), before, after);
            return;
        }
        match (&from.head, &to.head) {
            (Some(a), Some(b)) => {
                self.kept.push((a.tokens.start, b.tokens.start));
                let (before, after) = (&self.from[a.tokens.clone()], &self.to[b.tokens.clone()]);
                if before != after {
                    self.alter(from.name.part(), join(before), join(after));
                }
            }
            (Some(a), None) => {
                let text = join(&self.from[a.tokens.clone()]);
                self.record(from.name.part(), Side::From, text);
            }
            (None, Some(b)) => {
                let text = join(&self.to[b.tokens.clone()]);
                self.record(from.name.part(), Side::To, text);
            }
            (None, None) => {}
        }
        self.options(&from.name, &from.options, &to.options);
    }

    fn options(&mut self, unit: &UnitName, from: &[OptionAtom], to: &[OptionAtom]) {
        let same_place = |a: &OptionAtom, b: &OptionAtom| a.name == b.name;
        let same_words = |a: &OptionAtom, b: &OptionAtom| {
            self.from[a.atom.tokens.clone()] == self.to[b.atom.tokens.clone()]
        };
        let pairing = pair(from, to, same_place, same_words);
        for option in pairing.lost {
            self.one_sided_option(unit, &from[option], Side::From);
        }
        for (option, partner) in pairing.pairs {
            let (a, b) = (&from[option].atom.tokens, &to[partner].atom.tokens);
            self.kept.push((a.start, b.start));
            let (before, after) = (&self.from[a.clone()], &self.to[b.clone()]);
            if before != after {
                self.alter(
                    unit.option_part(&from[option].name),
                    join(before),
                    join(after),
                );
            }
        }
        for option in pairing.added {
            self.one_sided_option(unit, &to[option], Side::To);
        }
    }

    /// What both have in another order is a difference too; and where nothing else was found, the words differ in a
    /// way that only the whole rule shows.
    fn order(&mut self) {
        self.kept.sort_unstable();
        let reordered = self.kept.windows(2).any(|pair| pair[0].1 > pair[1].1);
        if reordered || self.difference.is_empty() {
            let (from, to) = (join(self.from), join(self.to));
            self.alter("order".to_owned(), from, to);
        }
    }
}

#[derive(Clone, Copy)]
enum Side {
    From,
    To,
}

impl Side {
    fn tokens<'a, S>(self, comparison: &Comparison<'a, S>) -> &'a [S] {
        match self {
            Side::From => comparison.from,
            Side::To => comparison.to,
        }
    }
}

/// Who belongs to whom, by index.
struct Pairing {
    pairs: Vec<(usize, usize)>,
    lost: Vec<usize>,
    added: Vec<usize>,
}

/// Pairs what can be the same thing: first as much as possible of what is the same word for word and in the same
/// order, then what is the same elsewhere, then what is left in the same place.
fn pair<T>(
    from: &[T],
    to: &[T],
    same_place: impl Fn(&T, &T) -> bool,
    same_words: impl Fn(&T, &T) -> bool,
) -> Pairing {
    let same = |i: usize, j: usize| same_place(&from[i], &to[j]) && same_words(&from[i], &to[j]);
    let mut partner: Vec<Option<usize>> = vec![None; from.len()];
    let mut taken = vec![false; to.len()];
    for (i, j) in common_subsequence(from.len(), to.len(), same) {
        partner[i] = Some(j);
        taken[j] = true;
    }
    for exact in [true, false] {
        for (i, a) in from.iter().enumerate() {
            if partner[i].is_some() {
                continue;
            }
            let found = (0..to.len())
                .find(|&j| !taken[j] && same_place(a, &to[j]) && (!exact || same_words(a, &to[j])));
            if let Some(j) = found {
                partner[i] = Some(j);
                taken[j] = true;
            }
        }
    }
    Pairing {
        lost: (0..from.len()).filter(|&i| partner[i].is_none()).collect(),
        added: (0..to.len()).filter(|&j| !taken[j]).collect(),
        pairs: partner
            .into_iter()
            .enumerate()
            .filter_map(|(i, j)| j.map(|j| (i, j)))
            .collect(),
    }
}

/// The longest list of pairs of the same, in the order of both.
fn common_subsequence(
    from: usize,
    to: usize,
    same: impl Fn(usize, usize) -> bool,
) -> Vec<(usize, usize)> {
    let mut longest = vec![vec![0; to + 1]; from + 1];
    for i in (0..from).rev() {
        for j in (0..to).rev() {
            longest[i][j] = match same(i, j) {
                true => longest[i + 1][j + 1] + 1,
                false => longest[i + 1][j].max(longest[i][j + 1]),
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut pairs = Vec::new();
    while i < from && j < to {
        if same(i, j) {
            pairs.push((i, j));
            (i, j) = (i + 1, j + 1);
        } else if longest[i + 1][j] >= longest[i][j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    pairs
}
