//! Why verdicts are what they are, and why something was not tested. JSON has these texts as values, and files of known losses
//! name them (`said`): a changed word here is a changed word there.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::meanings::{not_run_meaning, verdict_meaning};
use crate::judge::{Complaint, DeletedInstead, Lacking, Needed, Reason, core_message};
use crate::matrix::{GapReason, UnstableAnswer};
use crate::observed::End;
use crate::recording::CutShort;

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or_nothing = |words: &Option<_>| match words {
            Some(words) => format!("`{words}`"),
            None => "nothing".to_owned(),
        };
        match self {
            Reason::Complaint(complaint) => complaint.fmt(f),
            Reason::Lacking { what, complaint } => write!(f, "{what}: {complaint}"),
            Reason::NoDump => f.write_str("the recording holds no dump of what was written"),
            Reason::NoCommit { table } => write!(
                f,
                "the print of table {table} has no COMMIT, so none restores it"
            ),
            Reason::NotPrintedByWriter => f.write_str("the writer itself does not print this rule"),
            Reason::AmbiguousInPrint => {
                f.write_str("which of the rules that the reader prints it is cannot be told")
            }
            Reason::NotPrinted => f.write_str("the reader does not print the rule"),
            Reason::TableNotPrinted { table } => write!(f, "the reader printed no table {table}"),
            Reason::ListedOtherwise { reader, writer } => {
                let (reader, writer) = (or_nothing(reader), or_nothing(writer));
                write!(f, "-L prints {reader} where the writer's prints {writer}")
            }
            Reason::NeverHeld => f.write_str("the kernel held no such rule after the write"),
            Reason::AnotherRule { gone, new } => {
                let (gone, new) = (listed("gone", gone), listed("new", new));
                let another = "the kernel holds another rule, and no print proves it the same";
                write!(f, "{another}{gone}{new}")
            }
            Reason::SomeOfChainChanged => f.write_str(
                "not all of the chain's rules are kept, and which of them it is cannot be told",
            ),
            Reason::AmbiguousInKernel => {
                f.write_str("there are fewer rules or more, and which of them it is cannot be told")
            }
            Reason::RuleGone => f.write_str("the rule is gone from the kernel"),
            Reason::NoWitnessPrint => {
                f.write_str("the kernel's rules differ, and no witness could print them")
            }
            Reason::RulesChainGone { chain } => {
                write!(f, "the kernel has no chain {chain} any more")
            }
            Reason::ChainNotPrinted => f.write_str("the reader does not print the chain"),
            Reason::PolicyPrintedOtherwise { writer, reader } => {
                let policy = |of: &Option<_>| of.clone().unwrap_or_else(|| "none".into());
                let (writer, reader) = (policy(writer), policy(reader));
                write!(f, "the policy is {writer} and is printed as {reader}")
            }
            Reason::MoreRulesPrinted(more) => write!(f, "the reader prints {more} more rules"),
            Reason::NoRulePrinted(line) => write!(f, "the reader prints what is no rule: {line:?}"),
            Reason::ChainNew => f.write_str("the chain is new"),
            Reason::ChainGone => f.write_str("the chain is gone"),
            Reason::MoreRules(more) => write!(f, "{more} more rules than before"),
            Reason::PolicyChanged { before, after } => {
                write!(f, "the policy was {before} and is {after}")
            }
            Reason::HookChanged => {
                f.write_str("it hangs at another hook or priority, or has other flags")
            }
        }
    }
}

/// `; gone: [meta mark 0x1]`; nothing where none are.
fn listed(which: &str, expressions: &[String]) -> String {
    match expressions {
        [] => String::new(),
        all => format!("; {which}: [{}]", all.join("] [")),
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Complaint::Said(said) => f.write_str(said),
            Complaint::Ended(End::Exit(status)) => {
                write!(f, "exit status {status}, without a word")
            }
            Complaint::Ended(End::Signal(signal)) => write!(f, "signal {signal}"),
            Complaint::Ended(End::TimedOut) => f.write_str("still running when its time was up"),
            Complaint::Ended(End::NotFound(errno)) => write!(f, "cannot be run (errno {errno})"),
        }
    }
}

impl fmt::Display for Lacking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Lacking::Surroundings(lacks) => f.write_str(lacks),
            Lacking::Match(name) => write!(f, "the build has no match {name}"),
            Lacking::Target(name) => {
                write!(f, "the build has no target, and the table no chain, {name}")
            }
            Lacking::Extension(name) => write!(f, "the kernel has no extension {name}"),
            Lacking::Set(name) => write!(f, "there is no set {name}"),
            Lacking::OneOf { or_refuses, parts } => {
                let how = if *or_refuses {
                    "lacks or refuses"
                } else {
                    "lacks"
                };
                let which = if parts.len() > 1 { "one of " } else { "" };
                let parts: Vec<String> = parts.iter().map(Needed::to_string).collect();
                write!(f, "the kernel {how} {which}{}", parts.join(", "))
            }
        }
    }
}

impl fmt::Display for Needed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Needed::Match(name) => write!(f, "match {name}"),
            Needed::Target(name) => write!(f, "target {name}"),
            Needed::NfacctObject(name) => write!(f, "the nfacct object {name}"),
        }
    }
}

impl fmt::Display for DeletedInstead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DeletedInstead::Rule(rule) => rule,
            DeletedInstead::UnknownRule => "another rule",
            DeletedInstead::Several => "more than one rule",
        })
    }
}

/// In JSON a reason is its words.
impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// Of a report that is read back no more is known than the words.
impl<'de> Deserialize<'de> for Reason {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from).map(Reason::said)
    }
}

impl JsonSchema for Reason {
    fn schema_name() -> Cow<'static, str> {
        String::schema_name()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        String::json_schema(generator)
    }
}

impl fmt::Display for GapReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GapReason::Because(reason) => f.write_str(core_message(&reason.to_string())),
            GapReason::Verdict(verdict) => f.write_str(verdict_meaning(*verdict)),
            GapReason::NotRun(why) => f.write_str(not_run_meaning(*why)),
            GapReason::NothingWritten => f.write_str("nothing is known of its writing"),
            GapReason::NoVerdict => f.write_str("it has no verdict"),
        }
    }
}

impl fmt::Display for UnstableAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UnstableAnswer::ShortMask => f.write_str(
                "ip6tables-legacy -C of 1.8.9 compares rules by a mask that is too short, and by what lies behind it in memory \
                 (mended in 1.8.10): whether it finds a near miss differs from run to run",
            ),
        }
    }
}

impl fmt::Display for CutShort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CutShort::Killed => f.write_str("the run was killed"),
            CutShort::IsShard(shard) => {
                write!(f, "it is shard {shard}, to be merged with the others")
            }
            CutShort::InShard { shard, why } => write!(f, "shard {shard}: {why}"),
        }
    }
}
