//! What `--operation` names: one operation, or all.

use std::sync::LazyLock;

use clap::ValueEnum;
use clap::builder::PossibleValue;

use crate::plan::Operation;

/// What `--operation` names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// Every operation.
    All,
    /// One, with what it needs.
    One(Operation),
}

impl ValueEnum for Asked {
    fn value_variants<'a>() -> &'a [Self] {
        static ALL: LazyLock<Vec<Asked>> = LazyLock::new(|| {
            let each = Operation::ALL.into_iter().map(Asked::One);
            each.chain([Asked::All]).collect()
        });
        &ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        match self {
            Asked::All => Some(PossibleValue::new("all").help("All of them")),
            Asked::One(operation) => operation.to_possible_value(),
        }
    }
}

/// The operations that are asked for and what they need, in order; `else_` where none is.
pub fn operations(asked: &[Asked], else_: &[Operation]) -> Vec<Operation> {
    let named = asked.iter().flat_map(|asked| match asked {
        Asked::All => Operation::ALL.to_vec(),
        Asked::One(operation) => vec![*operation],
    });
    let named: Vec<Operation> = named.collect();
    Operation::with_needs(if named.is_empty() { else_ } else { &named })
}
