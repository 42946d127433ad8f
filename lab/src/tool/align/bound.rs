//! What the way from a cell of the table to its end costs at least.
//!
//! At least the number of words that one side has left and the other has not, counted without regard to order: no pair and no
//! gap can do away with more of them than it costs. And where one side has more rules left than the other, the rest find no
//! partner: each of them takes words that this side has to spare, or is empty and costs its 1.

use super::sides::{Side, Sides};

/// What the way from a cell to the end costs at least. Moves from cell to cell, so that neighbours are cheap.
pub(super) struct Bound<'a> {
    sides: &'a Sides,
    cell: (usize, usize),
    /// For each word, how many more of it `from` has left than `to`.
    surplus: Vec<i32>,
    from: Left,
    to: Left,
}

/// What one side has left.
#[derive(Default)]
struct Left {
    /// Words that the other side has not.
    spare: u32,
    rules: u32,
    /// Of the rules, those that have no words.
    empty: u32,
}

impl Left {
    fn of(side: &Side) -> Self {
        let mut left = Left::default();
        (0..side.len()).for_each(|at| left.give(side.rule(at)));
        left
    }

    fn give(&mut self, rule: &[u32]) {
        self.rules += 1;
        self.empty += u32::from(rule.is_empty());
    }

    fn take(&mut self, rule: &[u32]) {
        self.rules -= 1;
        self.empty -= u32::from(rule.is_empty());
    }

    /// How many rules without words find no partner among so many of the other side, at least. Each costs 1, and no word
    /// accounts for it.
    ///
    /// Say that `more` words of this side are taken out beyond what it has to spare: these the other side has as well, and
    /// each costs twice what it saves here.
    fn lonely(&self, others: u32) -> u32 {
        let with_words = self.spare.min(self.rules - self.empty);
        self.rules.saturating_sub(others).saturating_sub(with_words)
    }
}

impl<'a> Bound<'a> {
    /// At the first cell.
    pub(super) fn new(sides: &'a Sides) -> Self {
        let mut bound = Bound {
            sides,
            cell: (0, 0),
            surplus: vec![0; sides.words],
            from: Left::of(&sides.from),
            to: Left::of(&sides.to),
        };
        for word in &sides.from.words {
            bound.one_more(*word);
        }
        for word in &sides.to.words {
            bound.one_less(*word);
        }
        bound
    }

    /// One word more in `from`, or one less in `to`.
    fn one_more(&mut self, word: u32) {
        let surplus = &mut self.surplus[word as usize];
        match *surplus >= 0 {
            true => self.from.spare += 1,
            false => self.to.spare -= 1,
        }
        *surplus += 1;
    }

    /// One word less in `from`, or one more in `to`.
    fn one_less(&mut self, word: u32) {
        let surplus = &mut self.surplus[word as usize];
        match *surplus > 0 {
            true => self.from.spare -= 1,
            false => self.to.spare += 1,
        }
        *surplus -= 1;
    }

    /// What the way from a cell costs at least.
    pub(super) fn at(&mut self, i: usize, j: usize) -> u32 {
        let sides = self.sides;
        while self.cell.0 < i {
            let rule = sides.from.rule(self.cell.0);
            rule.iter().for_each(|word| self.one_less(*word));
            self.from.take(rule);
            self.cell.0 += 1;
        }
        while self.cell.1 < j {
            let rule = sides.to.rule(self.cell.1);
            rule.iter().for_each(|word| self.one_more(*word));
            self.to.take(rule);
            self.cell.1 += 1;
        }
        while self.cell.1 > j {
            self.cell.1 -= 1;
            let rule = sides.to.rule(self.cell.1);
            rule.iter().for_each(|word| self.one_less(*word));
            self.to.give(rule);
        }
        let lonely = self.from.lonely(self.to.rules) + self.to.lonely(self.from.rules);
        self.from.spare + self.to.spare + lonely
    }
}
