//! Which rule of one print is which of another: found once, for the same prints are compared for several operations.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use foldhash::HashMap;

use super::printed_tables::{is_alike, words};
use crate::tool::{Alignment, Partner, Rule, align};

/// Which rule of one print is which of another.
#[derive(Debug, Clone)]
pub enum Partners {
    /// So many rules, in the same order.
    InOrder(usize),
    /// As the alignment says.
    Each(Rc<Alignment>),
}

impl Partners {
    /// The partner of the rule at `at` of the one.
    pub fn of(&self, at: usize) -> Partner {
        match self {
            Partners::InOrder(count) if at < *count => Partner::At(at),
            Partners::InOrder(_) => Partner::Gone,
            Partners::Each(alignment) => alignment.from.get(at).copied().unwrap_or(Partner::Gone),
        }
    }

    /// How many rules the other has that the one certainly has not.
    pub fn added(&self) -> usize {
        match self {
            Partners::InOrder(_) => 0,
            Partners::Each(alignment) => alignment.new_in_to().count(),
        }
    }
}

/// Rules by where they are in memory: what was read of a load's prints stays there as long as the load is judged.
type Places = Vec<*const Rule>;

/// The alignments that were made of a load's prints.
#[derive(Default)]
pub struct Alignments(RefCell<HashMap<(Places, Places), Rc<Alignment>>>);

impl Alignments {
    /// Which rule of `from` is which of `to`, both of the load's prints.
    pub fn partners(&self, from: &[Arc<Rule>], to: &[Arc<Rule>]) -> Partners {
        if is_alike(from, to) {
            return Partners::InOrder(from.len());
        }
        let aligned = || Rc::new(align(&words(from), &words(to)));
        let places = |rules: &[Arc<Rule>]| rules.iter().map(Arc::as_ptr).collect();
        let mut known = self.0.borrow_mut();
        let alignment = known.entry((places(from), places(to)));
        Partners::Each(alignment.or_insert_with(aligned).clone())
    }
}
