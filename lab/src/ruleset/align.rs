//! Which rule of one print is which rule of another: the order-preserving alignment of least edit cost.
//!
//! Pairing two rules costs the words deleted and inserted between them, leaving a rule without partner costs its
//! words (at least 1). A rule gets a partner only if all alignments of least cost agree on it. In which order two
//! neighbouring rules, one gone and one new, are left out makes no difference to anybody's partner, so it is no tie.
//!
//! The costs are a table of (rules of `from` done, rules of `to` done). Equal beginnings must not simply be cut off:
//! of `A A` against `A`, either `A` can be the one that stayed. Instead the search keeps to the cells from which the
//! end can still be reached within a budget. What a cell still costs is at least the number of words that one side has
//! left and the other has not, counted without regard to order: no pair and no gap can do away with more of them than
//! it costs. And where one side has more rules left than the other, the rest find no partner: each of them takes words
//! that this side has to spare, or is empty and costs its 1. The budget starts at that bound for the whole table and its excess doubles until the end is reached. Then
//! no alignment of least cost leaves the cells that were kept, hence no tie is overlooked; and texts that are equal, or
//! in which every rule lost or altered something, are one diagonal. Only moved rules widen the search.

use std::ops::Range;

use foldhash::HashMap;

use super::Words;

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
struct Side {
    words: Vec<u32>,
    /// Where each rule ends.
    ends: Vec<usize>,
}

impl Side {
    fn len(&self) -> usize {
        self.ends.len()
    }

    fn rule(&self, at: usize) -> &[u32] {
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.words[start..self.ends[at]]
    }
}

fn gap(rule: &[u32]) -> u32 {
    (rule.len() as u32).max(1)
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

struct Sides {
    from: Side,
    to: Side,
    /// How many different words there are.
    words: usize,
}

/// What the way from a cell to the end costs at least. Moves from cell to cell, so that neighbours are cheap.
struct Bound<'a> {
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
    fn new(sides: &'a Sides) -> Self {
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

    fn at(&mut self, i: usize, j: usize) -> u32 {
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

impl Sides {
    fn of(from: &[&Words], to: &[&Words]) -> Self {
        let mut numbers = Numbers::default();
        let (from, to) = (numbers.side(from), numbers.side(to));
        Sides {
            from,
            to,
            words: numbers.0.len(),
        }
    }

    fn pair(&self, i: usize, j: usize) -> u32 {
        distance(self.from.rule(i), self.to.rule(j))
    }

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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use Partner::{Ambiguous, At, Gone};
    use proptest::prelude::*;
    use rstest::rstest;

    fn rules(lines: &[&str]) -> Vec<Vec<String>> {
        lines
            .iter()
            .map(|line| line.split(' ').map(str::to_owned).collect())
            .collect()
    }

    #[rstest]
    #[case::equal(&["-s a -j X", "-j Y"], &["-s a -j X", "-j Y"], &[At(0), At(1)], &[At(0), At(1)])]
    #[case::equal_twice(&["-j X", "-j X"], &["-j X", "-j X"], &[At(0), At(1)], &[At(0), At(1)])]
    #[case::one_of_two_equals(&["-j X", "-j X"], &["-j X"], &[Ambiguous, Ambiguous], &[Ambiguous])]
    #[case::doubled(&["-j X"], &["-j X", "-j X"], &[Ambiguous], &[Ambiguous, Ambiguous])]
    #[case::lost_match(&["-m mark --mark 1 -j DROP", "-j X"], &["-j DROP", "-j X"], &[At(0), At(1)], &[At(0), At(1)])]
    #[case::gone(&["-s a -p tcp -j X", "-j Y"], &["-j Y"], &[Gone, At(0)], &[At(1)])]
    #[case::new(&["-j Y"], &["-s a -p tcp -j X", "-j Y"], &[At(1)], &[Gone, At(0)])]
    #[case::nothing_left(&["-j Y"], &[], &[Gone], &[])]
    #[case::tie_behind_an_equal_head(&["-j A", "-s 1 -j B", "-s 2 -j B"], &["-j A", "-s 3 -j B"], &[At(0), Ambiguous, Ambiguous], &[At(0), Ambiguous])]
    #[case::both_lost_the_same(&["-s 1 -j B", "-s 2 -j B"], &["-j B", "-j B"], &[At(0), At(1)], &[At(0), At(1)])]
    fn pairs(
        #[case] from: &[&str],
        #[case] to: &[&str],
        #[case] expected: &[Partner],
        #[case] expected_to: &[Partner],
    ) {
        let alignment = aligned(&rules(from), &rules(to));
        assert_eq!(alignment.from, expected);
        assert_eq!(alignment.to, expected_to);
    }

    fn packed(rules: &[Vec<String>]) -> Vec<Words> {
        rules.iter().map(Words::from_iter).collect()
    }

    fn aligned(from: &[Vec<String>], to: &[Vec<String>]) -> Alignment {
        let (from, to) = (packed(from), packed(to));
        align(
            &from.iter().collect::<Vec<_>>(),
            &to.iter().collect::<Vec<_>>(),
        )
    }

    /// All alignments, one by one: their cost and each element's partner.
    fn every(from: &[Vec<String>], to: &[Vec<String>]) -> Vec<(u32, Vec<Option<usize>>)> {
        let Some((head, rest)) = from.split_first() else {
            let cost = to.iter().map(|rule| rule.len().max(1) as u32).sum();
            return vec![(cost, Vec::new())];
        };
        let mut all = Vec::new();
        let mut add = |cost: u32, partner: Option<usize>, skip: usize| {
            for (more, partners) in every(rest, &to[skip..]) {
                let mut list = vec![partner];
                list.extend(partners.into_iter().map(|p| p.map(|p| p + skip)));
                all.push((cost + more, list));
            }
        };
        add(head.len().max(1) as u32, None, 0);
        for j in 0..to.len() {
            let skipped: u32 = to[..j].iter().map(|rule| rule.len().max(1) as u32).sum();
            add(skipped + slow_distance(head, &to[j]), Some(j), j + 1);
        }
        all
    }

    fn slow_distance(a: &[String], b: &[String]) -> u32 {
        match (a.split_first(), b.split_first()) {
            (None, _) => b.len() as u32,
            (_, None) => a.len() as u32,
            (Some((x, a)), Some((y, b))) if x == y => slow_distance(a, b),
            (Some((_, ra)), Some((_, rb))) => 1 + slow_distance(ra, b).min(slow_distance(a, rb)),
        }
    }

    fn brute_force(from: &[Vec<String>], to: &[Vec<String>]) -> Vec<Partner> {
        let all = every(from, to);
        let least = all.iter().map(|(cost, _)| *cost).min().unwrap();
        let best: Vec<_> = all.iter().filter(|(cost, _)| *cost == least).collect();
        (0..from.len())
            .map(|i| {
                let said = best[0].1[i];
                match best.iter().all(|(_, list)| list[i] == said) {
                    true => said.map_or(Gone, At),
                    false => Ambiguous,
                }
            })
            .collect()
    }

    fn some_rules() -> impl Strategy<Value = Vec<Vec<String>>> {
        prop::collection::vec(prop::collection::vec("[abc]", 0..4), 0..6)
    }

    proptest! {
        #[test]
        fn agrees_with_trying_everything(from in some_rules(), to in some_rules()) {
            let alignment = aligned(&from, &to);
            prop_assert_eq!(&alignment.from, &brute_force(&from, &to));
            prop_assert_eq!(&alignment.to, &brute_force(&to, &from));
        }

        #[test]
        fn both_sides_say_the_same(from in some_rules(), to in some_rules()) {
            let alignment = aligned(&from, &to);
            for (i, partner) in alignment.from.iter().enumerate() {
                if let At(j) = partner {
                    prop_assert!(matches!(alignment.to[*j], Partner::At(k) if k == i));
                }
            }
        }
    }

    fn many() -> Vec<Vec<String>> {
        (0..10_000)
            .map(|n| {
                let line = format!(
                    "-s 10.{}.{}.1/32 -p tcp -m comment --comment c{n} -m tcp --dport {} -j DNAT",
                    n / 256,
                    n % 256,
                    n % 50
                );
                line.split(' ').map(str::to_owned).collect()
            })
            .collect()
    }

    /// How many cells of the table had to be looked at and kept, for each rule.
    fn cells_a_rule(from: &[Vec<String>], to: &[Vec<String>]) -> usize {
        let (of_from, of_to) = (packed(from), packed(to));
        let sides = Sides::of(
            &of_from.iter().collect::<Vec<_>>(),
            &of_to.iter().collect::<Vec<_>>(),
        );
        sides.table().costs.len() / from.len().max(to.len())
    }

    /// Of which there are but 50 different ones, so that words alone do not tell which is where.
    fn alike() -> Vec<Vec<String>> {
        let tail = |rule: Vec<String>| rule[rule.len() - 4..].to_vec();
        many().into_iter().map(tail).collect()
    }

    /// As many rules as before, each made another by `alter`, which is told its place.
    fn altered(
        from: Vec<Vec<String>>,
        alter: impl Fn(usize, &mut Vec<String>),
    ) -> [Vec<Vec<String>>; 2] {
        let mut to = from.clone();
        let each = to.iter_mut().enumerate();
        each.for_each(|(at, rule)| alter(at, rule));
        [from, to]
    }

    #[rstest]
    #[case::equal(altered(many(), |_, _| {}))]
    #[case::a_value_altered(altered(many(), |_, rule| {
        rule[1] = format!("{}x", rule[1]);
        rule[7] = "other".to_owned();
    }))]
    #[case::a_match_lost(altered(many(), |_, rule| drop(rule.drain(4..8))))]
    #[case::cut_off_at_the_first_match(altered(many(), |_, rule| rule.truncate(4)))]
    #[case::all_words_lost(altered(many(), |_, rule| rule.clear()))]
    #[case::all_words_lost_in_every_third(altered(many(), |at, rule| rule.truncate(at % 3 * 8)))]
    #[case::of_like_rules(altered(alike(), |at, rule| rule.truncate(at % 3 * 2)))]
    fn what_happens_to_rules_in_their_places_takes_a_diagonal(
        #[case] sides: [Vec<Vec<String>>; 2],
    ) {
        let [from, to] = sides;
        for (from, to) in [(&from, &to), (&to, &from)] {
            assert!(
                cells_a_rule(from, to) <= 4,
                "{} cells",
                cells_a_rule(from, to)
            );
            let alignment = aligned(from, to);
            assert!(alignment.from.iter().enumerate().all(|(i, p)| *p == At(i)));
        }
    }

    #[test]
    fn rules_gone_and_altered_keep_to_the_diagonal() {
        let gone = [17, 4000, 4001, 9998];
        let [from, mut to] = altered(many(), |at, rule| {
            if [0, 3000, 9999].contains(&at) {
                rule.drain(4..8);
            }
        });
        gone.iter().rev().for_each(|at| drop(to.remove(*at)));
        assert!(
            cells_a_rule(&from, &to) <= 8,
            "{} cells",
            cells_a_rule(&from, &to)
        );
        let alignment = aligned(&from, &to);
        let mut next = 0;
        for (i, partner) in alignment.from.iter().enumerate() {
            let expected = match gone.contains(&i) {
                true => Gone,
                false => {
                    next += 1;
                    At(next - 1)
                }
            };
            assert_eq!(*partner, expected, "rule {i}");
        }
    }
}
