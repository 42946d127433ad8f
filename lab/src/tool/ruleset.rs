//! A ruleset as every tool has it: tables, chains, rules, and what a rule does with a packet.

use std::fmt;
use std::sync::{Arc, OnceLock};

use super::words::Words;
use crate::catalog::Tool;

/// A ruleset.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ruleset {
    /// Its tables, in the order of the text. No table twice.
    pub tables: Vec<Table>,
}

/// A table with its chains and rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// `filter`, `nat`; one of nft's that is of another family with that: `inet filter`.
    pub name: String,
    /// Its chains, in the order of the text.
    pub chains: Vec<Chain>,
    /// The rules of all chains, in the order of the text.
    pub rules: Vec<Rule>,
}

/// A chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// `INPUT`, `KUBE-FIREWALL`.
    pub name: String,
    /// `ACCEPT` or `DROP`; none of a user's chain.
    pub policy: Option<String>,
}

/// A rule.
#[derive(Clone)]
pub struct Rule {
    /// The chain that it stands in.
    pub chain: String,
    /// In whose language it is.
    pub tool: Tool,
    /// Its words. None as long as nobody asked for them: then they are the text's.
    pub(super) words: OnceLock<Words>,
    /// The line as it stands, without trailing blanks.
    pub text: Arc<str>,
    /// The line's number in its text, from 1.
    pub line: usize,
}

impl Rule {
    /// The rule that stands in a line of a text, in the language of `tool`. Its words are taken apart when they are asked for.
    pub(super) fn of_line(tool: Tool, chain: String, text: Arc<str>, line: usize) -> Self {
        Rule {
            chain,
            tool,
            words: OnceLock::new(),
            text,
            line,
        }
    }
}

impl PartialEq for Rule {
    fn eq(&self, other: &Rule) -> bool {
        let own = (&self.chain, &self.text, self.line, self.tokens());
        own == (&other.chain, &other.text, other.line, other.tokens())
    }
}

impl Eq for Rule {}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rule")
            .field("chain", &self.chain)
            .field("tokens", self.tokens())
            .field("text", &self.text)
            .field("line", &self.line)
            .finish()
    }
}

/// What a rule does with a packet that it matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// `-j ACCEPT`.
    Accept,
    /// `-j DROP`.
    Drop,
    /// `-j REJECT`.
    Reject,
    /// `-j RETURN`.
    Return,
    /// `-j CHAIN`.
    Jump(String),
    /// `-g CHAIN`.
    Goto(String),
    /// `-j` with any other target extension: `MARK`, `DNAT`.
    Other(String),
    /// No target: the rule only counts.
    None,
}
