//! Which rule of one print is which rule of another: the order-preserving alignment of least edit cost.
//!
//! Pairing two rules costs the words deleted and inserted between them, leaving a rule without partner costs its
//! words (at least 1). A rule gets a partner only if all alignments of least cost agree on it. In which order two
//! neighbouring rules, one gone and one new, are left out makes no difference to anybody's partner, so it is no tie.
//!
//! The costs are a table of (rules of `from` done, rules of `to` done). Equal beginnings must not simply be cut off:
//! of `A A` against `A`, either `A` can be the one that stayed. Instead the search keeps to the cells from which the
//! end can still be reached within a budget. The budget starts at what the whole table costs at least ([`Bound`]), and its
//! excess doubles until the end is reached. Then no alignment of least cost leaves the cells that were kept, hence no tie
//! is overlooked; and texts that are equal, or in which every rule lost or altered something, are one diagonal. Only moved
//! rules widen the search.

mod bound;
mod sides;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

use std::ops::Range;

use super::Words;
use bound::Bound;
use sides::{Sides, gap};

/// What became of an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Partner {
    /// It is that element of the other side.
    At(usize),
    /// It has no partner.
    Gone,
    /// Two alignments of least cost say different things about it.
    Ambiguous,
}

/// Who is whom, seen from both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alignment {
    /// For each element of `from`, its partner in `to`.
    pub from: Vec<Partner>,
    /// For each element of `to`, its partner in `from`.
    pub to: Vec<Partner>,
}

impl Alignment {
    /// Of `count` elements, each is that at the same place of the other side.
    pub fn in_order(count: usize) -> Self {
        let partners: Vec<Partner> = (0..count).map(Partner::At).collect();
        Alignment {
            from: partners.clone(),
            to: partners,
        }
    }

    /// The elements of `to` that certainly have no partner.
    pub fn new_in_to(&self) -> impl Iterator<Item = usize> {
        self.to
            .iter()
            .enumerate()
            .filter(|(_, partner)| **partner == Partner::Gone)
            .map(|(index, _)| index)
    }
}

/// Aligns two sequences of rules, each given as its words.
pub fn align(from: &[&Words], to: &[&Words]) -> Alignment {
    let mut pairs = from.iter().zip(to);
    // The only alignment that costs nothing, and what most prints are.
    if from.len() == to.len() && pairs.all(|(a, b)| std::ptr::eq(*a, *b) || a == b) {
        return Alignment::in_order(from.len());
    }
    // One rule each: all that pairing them costs less than leaving both out is the words that they share.
    if let ([one], [other]) = (from, to)
        && (one.is_empty()
            || other.is_empty()
            || one.iter().any(|word| other.iter().any(|of| of == word)))
    {
        return Alignment::in_order(1);
    }
    let sides = Sides::of(from, to);
    sides.agreed(&sides.table())
}

const UNREACHED: u32 = u32::MAX;

/// The least costs of one row of the table, for the cells that were kept.
#[derive(Clone, Copy)]
struct Row<'t> {
    first: usize,
    costs: &'t [u32],
}

/// The rows of the table, their costs in one piece of memory.
#[derive(Default)]
struct Rows {
    costs: Vec<u32>,
    /// Of each the column of its first cost, and where its costs end.
    places: Vec<(usize, usize)>,
}

impl Rows {
    fn len(&self) -> usize {
        self.places.len()
    }

    fn row(&self, at: usize) -> Row<'_> {
        let (first, end) = self.places[at];
        let start = at.checked_sub(1).map_or(0, |before| self.places[before].1);
        Row {
            first,
            costs: &self.costs[start..end],
        }
    }

    fn push(&mut self, row: Row<'_>) {
        self.costs.extend_from_slice(row.costs);
        self.places.push((row.first, self.costs.len()));
    }
}

impl Row<'_> {
    fn get(self, column: usize) -> u32 {
        column
            .checked_sub(self.first)
            .and_then(|at| self.costs.get(at))
            .map_or(UNREACHED, |cost| *cost)
    }

    fn columns(self) -> Range<usize> {
        self.first..self.first + self.costs.len()
    }
}

impl Sides {
    fn table(&self) -> Rows {
        let mut excess = 0;
        loop {
            if let Some(table) = self.table_within(Bound::new(self).at(0, 0) + excess) {
                return table;
            }
            excess = (excess * 2).max(1);
        }
    }

    /// The table's cells through which the end may be reached within the budget; none if it cannot be.
    fn table_within(&self, budget: u32) -> Option<Rows> {
        let mut rows = Rows::default();
        let mut bound = Bound::new(self);
        let mut costs = Vec::new();
        for i in 0..=self.from.len() {
            let above = i.checked_sub(1).map(|above| rows.row(above));
            costs.clear();
            let first = self.row(i, above, &mut costs, &mut bound, budget)?;
            let costs = costs.as_slice();
            rows.push(Row { first, costs });
        }
        (rows.row(self.from.len()).get(self.to.len()) != UNREACHED).then_some(rows)
    }

    /// The costs of a row; returns the column of the first.
    fn row(
        &self,
        i: usize,
        above: Option<Row<'_>>,
        costs: &mut Vec<u32>,
        bound: &mut Bound,
        budget: u32,
    ) -> Option<usize> {
        let start = above.map_or(0, |above| above.first);
        let mut first = start;
        let reach = above.map_or(0, |above| above.columns().end);
        for j in start..=self.to.len() {
            // Where the bound alone is over the budget, no cost is left that would do.
            let allowed = budget.checked_sub(bound.at(i, j));
            let cost = match allowed {
                Some(allowed) => self.cell((i, j), above, Row { first, costs }, allowed),
                None => UNREACHED,
            };
            let kept = allowed.is_some_and(|allowed| cost <= allowed);
            match kept {
                true => costs.push(cost),
                false if j > reach => break,
                false if costs.is_empty() => first = j + 1,
                false => costs.push(UNREACHED),
            }
        }
        while costs.last() == Some(&UNREACHED) {
            costs.pop();
        }
        (!costs.is_empty()).then_some(first)
    }

    /// The least cost of a cell, exact as far as it is allowed.
    fn cell(
        &self,
        (i, j): (usize, usize),
        above: Option<Row<'_>>,
        row: Row<'_>,
        allowed: u32,
    ) -> u32 {
        let Some(above) = above else {
            return match j {
                0 => 0,
                _ => plus(row.get(j - 1), gap(self.to.rule(j - 1))),
            };
        };
        let gone = plus(above.get(j), gap(self.from.rule(i - 1)));
        if j == 0 {
            return gone;
        }
        let new = plus(row.get(j - 1), gap(self.to.rule(j - 1)));
        let best = gone.min(new);
        let before = above.get(j - 1);
        // A pair costs at least the difference of its words: where that alone is too much, the words need no look.
        let lengths = self
            .from
            .rule(i - 1)
            .len()
            .abs_diff(self.to.rule(j - 1).len()) as u32;
        let at_least = plus(before, lengths);
        if at_least >= best || at_least > allowed {
            return best;
        }
        best.min(plus(before, self.pair(i - 1, j - 1)))
    }

    /// Walks all alignments of least cost back from the end and keeps what they agree on.
    fn agreed(&self, table: &Rows) -> Alignment {
        let mut said = Said {
            from: vec![None; self.from.len()],
            to: vec![None; self.to.len()],
        };
        // The end is the last cell of the last row.
        let last = table.len() - 1;
        let mut reached = vec![false; table.row(last).costs.len()];
        if let Some(end) = reached.last_mut() {
            *end = true;
        }
        let mut reached_above = Vec::new();
        for i in (0..=last).rev() {
            let above = i.checked_sub(1).map(|i| table.row(i));
            reached_above.clear();
            reached_above.resize(above.map_or(0, |above| above.costs.len()), false);
            let row = table.row(i);
            for j in row.columns().rev() {
                if !reached[j - row.first] {
                    continue;
                }
                if j > row.first && plus(row.get(j - 1), gap(self.to.rule(j - 1))) == row.get(j) {
                    reached[j - 1 - row.first] = true;
                    agree(&mut said.to[j - 1], Partner::Gone);
                }
                if let Some(above) = above {
                    self.step_up((i, j), row.get(j), above, &mut reached_above, &mut said);
                }
            }
            std::mem::swap(&mut reached, &mut reached_above);
        }
        Alignment {
            from: settled(said.from),
            to: settled(said.to),
        }
    }

    /// The steps of least cost from a cell to the row above it: a rule that is gone, a pair.
    fn step_up(
        &self,
        (i, j): (usize, usize),
        cost: u32,
        above: Row<'_>,
        reached_above: &mut [bool],
        said: &mut Said,
    ) {
        if plus(above.get(j), gap(self.from.rule(i - 1))) == cost {
            reached_above[j - above.first] = true;
            agree(&mut said.from[i - 1], Partner::Gone);
        }
        let before = j.checked_sub(1).map_or(UNREACHED, |j| above.get(j));
        if before <= cost && plus(before, self.pair(i - 1, j - 1)) == cost {
            reached_above[j - 1 - above.first] = true;
            agree(&mut said.from[i - 1], Partner::At(j - 1));
            agree(&mut said.to[j - 1], Partner::At(i - 1));
        }
    }
}

/// What the alignments of least cost said so far.
struct Said {
    from: Vec<Option<Partner>>,
    to: Vec<Option<Partner>>,
}

fn plus(cost: u32, more: u32) -> u32 {
    cost.saturating_add(more)
}

fn agree(said: &mut Option<Partner>, partner: Partner) {
    *said = match *said {
        None => Some(partner),
        Some(before) if before == partner => Some(before),
        Some(_) => Some(Partner::Ambiguous),
    };
}

fn settled(said: Vec<Option<Partner>>) -> Vec<Partner> {
    said.into_iter()
        .map(|partner| partner.unwrap_or(Partner::Gone))
        .collect()
}
