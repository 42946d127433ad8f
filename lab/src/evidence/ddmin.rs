//! Delta debugging (Zeller and Hildebrandt, 2002): the least part of a list that still shows something.

/// A list on its way to its least part. The candidates of a round are tried side by side, and the first that shows it
/// is gone on with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ddmin<T> {
    items: Vec<T>,
    /// In how many pieces the list is cut.
    pieces: usize,
    /// What is tried before anything else; none once it was.
    guess: Option<Vec<T>>,
    is_least: bool,
}

impl<T: Clone + PartialEq> Ddmin<T> {
    /// `items` as a whole show it; `guess` is a part that may do, and is tried first.
    pub fn new(items: Vec<T>, guess: Option<Vec<T>>) -> Self {
        let guess = guess.filter(|guess| *guess != items);
        let is_least = items.len() < 2 && guess.is_none();
        Ddmin {
            items,
            pieces: 2,
            guess,
            is_least,
        }
    }

    /// What is left of the list.
    pub fn items(&self) -> &[T] {
        &self.items
    }

    /// What is to be tried next, the smallest first; nothing once no single item can be left out.
    pub fn candidates(&self) -> Vec<Vec<T>> {
        if self.is_least {
            return Vec::new();
        }
        if let Some(guess) = &self.guess {
            return vec![guess.clone()];
        }
        let pieces = self.cut();
        let mut candidates: Vec<Vec<T>> = pieces.iter().map(|piece| piece.to_vec()).collect();
        if self.pieces > 2 {
            let but = |left_out: usize| {
                let kept = pieces.iter().enumerate().filter(|(at, _)| *at != left_out);
                kept.flat_map(|(_, piece)| piece.iter().cloned()).collect()
            };
            candidates.extend((0..pieces.len()).map(but));
        }
        candidates
    }

    /// Goes on with the first of the candidates that showed it, counted from 0; with smaller pieces where none did.
    pub fn tell(&mut self, shown: Option<usize>) {
        let candidates = self.candidates();
        let was_guess = self.guess.take().is_some();
        match shown.and_then(|at| candidates.get(at).map(|candidate| (at, candidate))) {
            Some((at, candidate)) => {
                let is_piece = was_guess || at < self.pieces;
                self.items = candidate.clone();
                self.pieces = match is_piece {
                    true => 2,
                    false => self.pieces - 1,
                };
            }
            None if was_guess => {}
            None if self.pieces >= self.items.len() => self.is_least = true,
            None => self.pieces *= 2,
        }
        self.pieces = self.pieces.min(self.items.len()).max(2);
        self.is_least |= self.items.len() < 2;
    }

    /// The list in as many pieces as are asked for, none longer by more than one item.
    fn cut(&self) -> Vec<&[T]> {
        let (count, pieces) = (self.items.len(), self.pieces.min(self.items.len()));
        let place = |piece: usize| piece * count / pieces;
        (0..pieces)
            .map(|piece| &self.items[place(piece)..place(piece + 1)])
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn least(count: usize, guess: Option<Vec<usize>>, needed: &[usize]) -> (Vec<usize>, usize) {
        let shows = |candidate: &[usize]| needed.iter().all(|item| candidate.contains(item));
        let mut ddmin = Ddmin::new((0..count).collect(), guess);
        let mut rounds = 0;
        loop {
            let candidates = ddmin.candidates();
            if candidates.is_empty() {
                return (ddmin.items().to_vec(), rounds);
            }
            ddmin.tell(candidates.iter().position(|candidate| shows(candidate)));
            rounds += 1;
            assert!(rounds < 1000, "it does not end");
        }
    }

    #[rstest]
    #[case(8, &[5])]
    #[case(8, &[0, 7])]
    #[case(9, &[1, 4, 8])]
    #[case(3, &[0, 1, 2])]
    #[case(1, &[0])]
    fn what_is_left_is_what_it_takes(#[case] count: usize, #[case] needed: &[usize]) {
        assert_eq!(least(count, None, needed).0, needed);
    }

    #[test]
    fn a_good_guess_costs_one_round_and_a_bad_one_no_more() {
        assert_eq!(least(500, Some(vec![77]), &[77]), (vec![77], 1));
        let (without, rounds) = least(500, None, &[77]);
        let (with, more) = least(500, Some(vec![3]), &[77]);
        assert_eq!((with, more), (without, rounds + 1));
    }

    #[test]
    fn a_guess_may_be_that_nothing_is_needed() {
        assert_eq!(least(3, Some(Vec::new()), &[]), (Vec::new(), 1));
        assert_eq!(least(1, Some(Vec::new()), &[0]), (vec![0], 1));
        assert_eq!(least(2, Some(vec![0, 1]), &[0, 1]).0, [0, 1]);
    }

    proptest! {
        /// Whatever is needed: not one item of what is left can be left out.
        #[test]
        fn no_single_item_can_be_left_out(count in 1usize..24, needed in prop::collection::btree_set(0usize..24, 1..5)) {
            let needed: Vec<usize> = needed.into_iter().filter(|item| *item < count).collect();
            prop_assume!(!needed.is_empty());
            prop_assert_eq!(least(count, None, &needed).0, needed);
        }
    }
}
