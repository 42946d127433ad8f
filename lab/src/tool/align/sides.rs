//! The rules of both sides as numbers of their words: what pairing two of them costs.

use foldhash::HashMap;

use crate::tool::Words;

/// A number for each different word.
#[derive(Default)]
struct Numbers<'w>(HashMap<&'w str, u32>);

impl<'w> Numbers<'w> {
    fn side(&mut self, rules: &[&'w Words]) -> Side {
        let mut side = Side {
            words: Vec::with_capacity(rules.iter().map(|words| words.len()).sum()),
            ends: Vec::with_capacity(rules.len()),
        };
        for words in rules {
            side.words.extend(words.iter().map(|word| self.of(word)));
            side.ends.push(side.words.len());
        }
        side
    }

    fn of(&mut self, word: &'w str) -> u32 {
        let next = self.0.len() as u32;
        *self.0.entry(word).or_insert(next)
    }
}

/// The rules of one side, each as the numbers of its words: all in one piece of memory.
pub(super) struct Side {
    pub(super) words: Vec<u32>,
    /// Where each rule ends.
    ends: Vec<usize>,
}

impl Side {
    /// How many rules it has.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The words of a rule.
    pub(super) fn rule(&self, at: usize) -> &[u32] {
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.words[start..self.ends[at]]
    }
}

/// What it costs to leave a rule without partner.
pub(super) fn gap(rule: &[u32]) -> u32 {
    (rule.len() as u32).max(1)
}

/// The rules of both sides.
pub(super) struct Sides {
    pub(super) from: Side,
    pub(super) to: Side,
    /// How many different words there are.
    pub(super) words: usize,
}

impl Sides {
    /// The rules of both sides, each given as its words.
    pub(super) fn of(from: &[&Words], to: &[&Words]) -> Self {
        let mut numbers = Numbers::default();
        let (from, to) = (numbers.side(from), numbers.side(to));
        Sides {
            from,
            to,
            words: numbers.0.len(),
        }
    }

    /// What it costs to pair a rule of one side with one of the other.
    pub(super) fn pair(&self, i: usize, j: usize) -> u32 {
        distance(self.from.rule(i), self.to.rule(j))
    }
}

/// The words to delete and insert to make one rule the other: what is not in their longest common subsequence.
fn distance(a: &[u32], b: &[u32]) -> u32 {
    let same = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let (a, b) = (&a[same..], &b[same..]);
    let tail = a.iter().rev().zip(b.iter().rev());
    let same = tail.take_while(|(x, y)| x == y).count();
    let (a, b) = (&a[..a.len() - same], &b[..b.len() - same]);
    if a.is_empty() || b.is_empty() {
        return (a.len() + b.len()) as u32;
    }
    let mut common = vec![0u32; b.len() + 1];
    for x in a {
        let mut diagonal = 0;
        for (j, y) in b.iter().enumerate() {
            let above = common[j + 1];
            common[j + 1] = match x == y {
                true => diagonal + 1,
                false => above.max(common[j]),
            };
            diagonal = above;
        }
    }
    (a.len() + b.len()) as u32 - 2 * common[b.len()]
}
