//! A ruleset as every tool has it: tables, chains, rules, and what a rule does with a packet.

use std::fmt;
use std::sync::{Arc, OnceLock};

use super::iptables::{Words, tokens, without_counters};

/// A ruleset.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ruleset {
    /// Its tables, in the order of the text. No table twice.
    pub tables: Vec<Table>,
}

/// One `*table` … `COMMIT` section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// `filter`, `nat`, `mangle`, `raw`, `security`.
    pub name: String,
    /// The `:CHAIN policy` lines, in order.
    pub chains: Vec<Chain>,
    /// The `-A` lines of all chains, in the order of the text.
    pub rules: Vec<Rule>,
}

/// One `:CHAIN policy [packets:bytes]` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// `INPUT`, `KUBE-FIREWALL`.
    pub name: String,
    /// `ACCEPT` or `DROP`; none (`-`) for a user's chain.
    pub policy: Option<String>,
}

/// One `-A` line.
#[derive(Clone)]
pub struct Rule {
    /// The chain it is appended to.
    pub chain: String,
    /// Its words. None as long as nobody asked for them: then they are the text's.
    pub(super) words: OnceLock<Words>,
    /// The line as it stands, without trailing blanks.
    pub text: Arc<str>,
    /// The line's number in its text, from 1.
    pub line: usize,
}

impl Rule {
    /// What follows `-A CHAIN`, after shell-quote parsing: `["-m", "mark", "--mark", "0x8000/0x8000", "-j", "DROP"]`.
    pub fn tokens(&self) -> &Words {
        self.words.get_or_init(|| {
            let words = tokens::tokens(without_counters(&self.text)).skip(2);
            words.map_while(|word| Some(word.ok()?.text)).collect()
        })
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
