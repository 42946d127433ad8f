//! Why a verdict is what it is, where that needs saying so. The words for it are made in `report/wording/reasons.rs`.

use std::sync::Arc;

use crate::observed::End;

/// Why an operation has its verdict about a rule or a chain, or has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// A command failed.
    Complaint(Complaint),
    /// The writer could not write the rule, for this is missing.
    Lacking {
        /// What is missing.
        what: Lacking,
        /// What the writer's command came to.
        complaint: Complaint,
    },
    /// The recording holds no dump of what was written.
    NoDump,
    /// The reader's print of a table breaks off before its `COMMIT`.
    NoCommit {
        /// The table.
        table: Arc<str>,
    },
    /// The writer itself does not print the rule.
    NotPrintedByWriter,
    /// The reader's print has other rules, and which of them is this one cannot be told.
    AmbiguousInPrint,
    /// The reader does not print the rule.
    NotPrinted,
    /// The reader printed no such table.
    TableNotPrinted {
        /// The table.
        table: Arc<str>,
    },
    /// `-L` of reader and writer have other words; none where one has nothing there.
    ListedOtherwise {
        /// The reader's.
        reader: Option<Arc<str>>,
        /// The writer's.
        writer: Option<Arc<str>>,
    },
    /// The kernel held no such rule after the write.
    NeverHeld,
    /// The kernel holds a rule with other expressions.
    AnotherRule {
        /// The expressions that it has no more.
        gone: Arc<[String]>,
        /// Those that it has instead.
        new: Arc<[String]>,
    },
    /// Not all of the chain's rules are kept, and which of them is this one cannot be told.
    SomeOfChainChanged,
    /// The kernel holds fewer rules or more, and which of them is this one cannot be told.
    AmbiguousInKernel,
    /// The kernel holds the rule no more.
    RuleGone,
    /// The kernel's rules differ, and no witness could print them.
    NoWitnessPrint,
    /// The rule's chain is gone from the kernel.
    RulesChainGone {
        /// The chain.
        chain: Arc<str>,
    },
    /// The reader does not print the chain.
    ChainNotPrinted,
    /// The reader prints another policy than the writer; none where one prints none.
    PolicyPrintedOtherwise {
        /// The writer's.
        writer: Option<Arc<str>>,
        /// The reader's.
        reader: Option<Arc<str>>,
    },
    /// The reader prints more rules of the chain than there are.
    MoreRulesPrinted(usize),
    /// The reader prints a line that is no rule.
    NoRulePrinted(Arc<str>),
    /// The chain was not there before.
    ChainNew,
    /// The chain is gone.
    ChainGone,
    /// The kernel holds more rules in the chain than before.
    MoreRules(usize),
    /// The chain has another policy.
    PolicyChanged {
        /// The policy before.
        before: Arc<str>,
        /// The policy afterwards.
        after: Arc<str>,
    },
    /// The chain has another hook, priority or flags.
    HookChanged,
}

/// What a command that failed came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Complaint {
    /// It said this.
    Said(Arc<str>),
    /// It ended so, without a word.
    Ended(End),
}

/// What is missing where a rule could not be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lacking {
    /// The kernel lacks this for the surroundings, in its own words.
    Surroundings(Arc<str>),
    /// The build has no such match.
    Match(Arc<str>),
    /// The build has no such target, and the table no such chain.
    Target(Arc<str>),
    /// The kernel has no such extension.
    Extension(Arc<str>),
    /// There is no such set.
    Set(Arc<str>),
    /// The kernel lacks one of these, or, if `or_refuses`, refuses it.
    OneOf {
        /// Whether the kernel may have it all, and refuse the rule.
        or_refuses: bool,
        /// What the rule takes. Never empty.
        parts: Arc<[Needed]>,
    },
}

/// Something that a rule takes and a kernel may lack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Needed {
    /// A match.
    Match(String),
    /// A target.
    Target(String),
    /// An nfacct object.
    NfacctObject(String),
}

/// What `-D` deleted instead of the rule that it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeletedInstead {
    /// One rule, as the witness prints it.
    Rule(Arc<str>),
    /// One rule that the witness does not print.
    UnknownRule,
    /// Several rules.
    Several,
}

impl Complaint {
    /// Whether a command said one of these.
    pub fn has_one_of(&self, words: &[&str]) -> bool {
        match self {
            Complaint::Said(said) => words.iter().any(|words| said.contains(words)),
            Complaint::Ended(_) => false,
        }
    }
}

impl Reason {
    /// What a build or the kernel said.
    pub fn said(text: impl Into<Arc<str>>) -> Self {
        Reason::Complaint(Complaint::Said(text.into()))
    }
}
