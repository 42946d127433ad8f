//! The commands of a tool, as argument lists.
//!
//! What has a default here is what a tool may lack: nft has no command that asks for one rule.

use serde::{Deserialize, Serialize};

use super::write::Write;
use crate::catalog::{Backend, Build, Family, Tool};
use crate::observed::{RulePlace, Text};

/// A command's program and arguments.
pub type Argv = Vec<String>;

/// A command: program and arguments, and what it reads from standard input.
pub type Command = (Argv, Option<Text>);

/// A command that stays when it is through its input: what is its own in the kernel lasts as long as it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Staying {
    /// Program and arguments.
    pub argv: Argv,
    /// What it reads first. Its standard input is not closed then.
    pub stdin: Text,
    /// How it says that it is through that.
    pub through: Through,
}

/// How a command that stays says that it is through its input, and whether it took it: it has no exit status yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Through {
    /// A line that it then prints to standard error.
    pub line: String,
    /// What a complaint begins with, on a line of its own. The one before `line` comes with that; where there are others, it took
    /// nothing.
    pub complaint: String,
}

/// Which of a tool's programs is run. iptables has one for each backend and family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Program {
    /// Of which backend.
    pub backend: Backend,
    /// For which family.
    pub family: Family,
}

impl Program {
    /// The program of `build` for `family`.
    pub fn of(build: &Build, family: Family) -> Self {
        Program {
            backend: build.backend,
            family,
        }
    }
}

/// A rule of a chain, as commands name it.
#[derive(Debug, Clone, Copy)]
pub struct NamedRule<'r> {
    /// The table.
    pub table: &'r str,
    /// The chain.
    pub chain: &'r str,
    /// The rule's words.
    pub words: &'r [String],
}

/// How rules are listed, beside the print that is written back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ListedAs {
    /// `-S`: as rules.
    Rules,
    /// `-L -n -v`, `nft -a -n -s list`: for people, with numbers for names; programs read it too.
    Table,
}

/// A plain rule that every build must write, print and keep before anything is concluded from what it does.
#[derive(Debug, Clone, Copy)]
pub struct PlainRule {
    /// What is loaded.
    pub text: &'static str,
    /// The line that the print must have.
    pub line: &'static str,
    /// Its table.
    pub table: &'static str,
    /// Its chain.
    pub chain: &'static str,
    /// Its words, with one blank between two.
    pub words: &'static str,
}

/// The commands of a tool.
pub trait Commands: Sync {
    /// What the commands of a family begin with: `ip6tables`, `nft`.
    fn stem(&self, family: Family) -> &'static str;

    /// What a build's program is called: `iptables-nft`, `nft`.
    fn program(&self, backend: Backend) -> String;

    /// The name of the file that a build is run by: `xtables-nft-multi`, `nft`.
    fn binary(&self, backend: Backend) -> String;

    /// Whether it has builds of a backend: whether its rules can lie in the tables of that.
    fn has_backend(&self, backend: Backend) -> bool;

    /// Whether its builds read what a build of `writer` wrote where nobody says who shall read.
    fn reads_unasked(&self, writer: Tool) -> bool;

    /// The tool whose builds print a second time what a build of this one wrote, and what a reader of the tool `reader` made of it.
    fn witness(&self, reader: Tool) -> Tool;

    /// Whether it takes rules only where the interfaces are there that they name.
    fn needs_interfaces(&self) -> bool;

    /// The way in which it writes all rules at once.
    fn at_once(&self) -> Write;

    /// The plain rule that every build of it must write and keep.
    fn plain_rule(&self) -> PlainRule;

    /// Prints all rules.
    fn print(&self, program: Program) -> Argv;

    /// Prints all rules with their counters.
    fn print_counted(&self, _program: Program) -> Option<Argv> {
        None
    }

    /// Loads its input.
    fn load(&self, program: Program) -> Argv;

    /// Loads its input, and leaves what that does not name as it is.
    fn load_beside(&self, _program: Program) -> Option<Argv> {
        None
    }

    /// Lists the rules of a table.
    fn lists(&self, _program: Program, _table: &str) -> Vec<(ListedAs, Argv)> {
        Vec::new()
    }

    /// Asks whether a rule is there.
    fn check(&self, _program: Program, _rule: NamedRule<'_>) -> Option<Argv> {
        None
    }

    /// Deletes a rule by its handle, which the lane alone knows: the last argument says of which rule it is.
    fn delete_by_handle(&self, _rule: &RulePlace) -> Option<Argv> {
        None
    }

    /// Deletes a rule.
    fn delete(&self, _program: Program, _rule: NamedRule<'_>) -> Option<Argv> {
        None
    }
}
