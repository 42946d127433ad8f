//! The tools that write and read rules, each with its language and its commands: `iptables` and `nft`.
//!
//! A tool is one folder here, with an implementation of [`Commands`] and one of [`Dialect`]: nobody outside asks which tool it
//! is to choose words, commands or a comparison. What all of them have in common is in the files beside: [`Ruleset`] is what
//! any of them writes, [`Printed`] what any of them prints, [`align`] finds which rule of one print is which rule of another.

mod align;
mod change;
mod commands;
mod dialect;
mod fault;
mod given;
pub mod iptables;
pub mod nft;
mod piece;
mod printed;
mod rules;
mod ruleset;
mod widened;
mod words;
mod write;

pub use align::{Alignment, Partner, align};
pub use change::{Change, Difference, HeldRule, Rewritten};
pub use commands::{
    Argv, Command, Commands, ListedAs, NamedRule, PlainRule, Program, Staying, Through,
};
pub use dialect::{Component, Dialect, NearMiss, Shape};
pub use fault::{Fault, InFile};
pub use given::Given;
pub use nft::mean_the_same;
pub use piece::{Cut, Piece};
pub use printed::{GivenUp, KnownRules, Printed, PrintedTable};
pub use rules::Rules;
pub use ruleset::{Chain, Rule, Ruleset, Table, Target};
pub use words::Words;
pub use write::Write;

use crate::catalog::Tool;

impl Tool {
    /// Its commands.
    pub fn commands(self) -> &'static dyn Commands {
        match self {
            Tool::Iptables => &iptables::Iptables,
            Tool::Nft => &nft::Nft,
        }
    }

    /// Its language.
    pub fn dialect(self) -> &'static dyn Dialect {
        match self {
            Tool::Iptables => &iptables::Iptables,
            Tool::Nft => &nft::Nft,
        }
    }
}

impl Rule {
    /// What it says, word by word, without where it stands: `["-m", "mark", "--mark", "0x8000/0x8000", "-j", "DROP"]`.
    pub fn tokens(&self) -> &Words {
        self.words
            .get_or_init(|| self.tool.dialect().words(&self.text))
    }

    /// What it does with a packet.
    pub fn target(&self) -> Target {
        self.tool.dialect().target(&self.tokens().to_vec())
    }

    /// What `other` has otherwise; nothing where it is in another tool's words, which cannot be compared.
    pub fn difference(&self, other: &Rule) -> Difference {
        if self.tool != other.tool {
            return Difference::default();
        }
        let (from, to) = (self.tokens().to_vec(), other.tokens().to_vec());
        self.tool.dialect().compare(&from, &to)
    }
}
