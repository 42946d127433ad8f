//! One rule of a legacy table: what it asks of a packet and what it does with it, printed in one line and read back.
//!
//! `src=10.0.0.0/255.0.0.0 !in=eth+ | match mark rev 1 0x… | jump KUBE-FIREWALL`: the conditions that are set, each match and
//! the target with its payload, what is not there left out.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::conditions::Conditions;
use crate::observed::bytes::Name;
use crate::observed::cursor::Cursor;
use crate::observed::expression::Extension;
use crate::observed::printed::{self, is_printed_as};

/// One rule, without counters.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum LegacyRule {
    /// As the kernel holds it.
    Entry(Box<LegacyEntry>),
    /// As another release of this program printed it, where this one cannot read that.
    Printed(Box<str>),
}

/// `struct ipt_entry` or `struct ip6t_entry`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LegacyEntry {
    /// The fields of `struct ipt_ip` or `struct ip6t_ip6`.
    pub conditions: Conditions,
    /// Its matches, in order.
    pub matches: Vec<Extension>,
    /// What it does with a packet that meets all of these.
    pub target: LegacyTarget,
}

/// What a rule does with a packet.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum LegacyTarget {
    /// Nothing, as without `-j`: the next rule is asked.
    Next,
    /// It is accepted.
    Accept,
    /// It is dropped.
    Drop,
    /// It is handed to a program.
    Queue,
    /// It goes back to the chain that it came from.
    Return,
    /// A verdict that this program does not know.
    Verdict(i32),
    /// It goes to this chain, and may come back; `@` and a number where no chain begins there.
    Jump(Name),
    /// It goes to this chain, and does not come back here.
    Goto(Name),
    /// A target of xtables has it.
    Extension(Extension),
}

impl LegacyRule {
    /// The rule that is printed so.
    pub fn read(printed: &str) -> Self {
        let mut line = Cursor::new(printed);
        let entry = LegacyEntry::read(&mut line);
        let is_it = |entry: &LegacyEntry| line.is_at_end() && is_printed_as(entry, printed);
        match entry.filter(is_it) {
            Some(entry) => LegacyRule::Entry(entry.into()),
            None => LegacyRule::Printed(printed.into()),
        }
    }

    /// The chain that the packet goes to.
    pub fn chain(&self) -> Option<&Name> {
        match self {
            LegacyRule::Entry(entry) => match &entry.target {
                LegacyTarget::Jump(chain) | LegacyTarget::Goto(chain) => Some(chain),
                _ => None,
            },
            LegacyRule::Printed(_) => None,
        }
    }
}

impl fmt::Display for LegacyRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LegacyRule::Entry(entry) => entry.fmt(f),
            LegacyRule::Printed(line) => f.write_str(line),
        }
    }
}

impl Serialize for LegacyRule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LegacyRule {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        printed::deserialize(from, LegacyRule::read)
    }
}

impl LegacyEntry {
    fn read(line: &mut Cursor<'_>) -> Option<Self> {
        let conditions = Conditions::read(line)?;
        let mut matches = Vec::new();
        let one = |line: &mut Cursor<'_>| {
            line.text(SEPARATOR);
            line.text("match ")?;
            read_extension(line)
        };
        while let Some(found) = line.attempt(one) {
            matches.push(found);
        }
        let target = if line.is_at_end() {
            LegacyTarget::Next
        } else {
            line.text(SEPARATOR);
            LegacyTarget::read(line)?
        };
        Some(LegacyEntry {
            conditions,
            matches,
            target,
        })
    }
}

/// What stands between the parts of a rule.
const SEPARATOR: &str = " | ";

impl fmt::Display for LegacyEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.conditions.fmt(f)?;
        let mut separator = if self.conditions == Conditions::default() {
            ""
        } else {
            SEPARATOR
        };
        for of in &self.matches {
            write!(f, "{separator}match ")?;
            write_extension(f, of)?;
            separator = SEPARATOR;
        }
        if self.target == LegacyTarget::Next {
            return Ok(());
        }
        write!(f, "{separator}{}", self.target)
    }
}

impl LegacyTarget {
    fn read(line: &mut Cursor<'_>) -> Option<Self> {
        let word = line.word();
        Some(match word {
            "ACCEPT" => LegacyTarget::Accept,
            "DROP" => LegacyTarget::Drop,
            "QUEUE" => LegacyTarget::Queue,
            "RETURN" => LegacyTarget::Return,
            _ => {
                line.text(" ")?;
                match word {
                    "verdict" => LegacyTarget::Verdict(line.word().parse().ok()?),
                    "jump" => LegacyTarget::Jump(line.name()?),
                    "goto" => LegacyTarget::Goto(line.name()?),
                    "target" => LegacyTarget::Extension(read_extension(line)?),
                    _ => return None,
                }
            }
        })
    }
}

impl fmt::Display for LegacyTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LegacyTarget::Next => Ok(()),
            LegacyTarget::Accept => f.write_str("ACCEPT"),
            LegacyTarget::Drop => f.write_str("DROP"),
            LegacyTarget::Queue => f.write_str("QUEUE"),
            LegacyTarget::Return => f.write_str("RETURN"),
            LegacyTarget::Verdict(number) => write!(f, "verdict {number}"),
            LegacyTarget::Jump(chain) => write!(f, "jump {chain}"),
            LegacyTarget::Goto(chain) => write!(f, "goto {chain}"),
            LegacyTarget::Extension(extension) => {
                f.write_str("target ")?;
                write_extension(f, extension)
            }
        }
    }
}

/// Writes `mark rev 1 0x…`; no payload where it is empty.
fn write_extension(f: &mut fmt::Formatter<'_>, of: &Extension) -> fmt::Result {
    write!(f, "{} rev {}", of.name, of.revision)?;
    if of.payload.is_empty() {
        return Ok(());
    }
    write!(f, " {}", of.payload)
}

/// Reads the same.
fn read_extension(line: &mut Cursor<'_>) -> Option<Extension> {
    let name = line.name()?;
    line.text(" rev ")?;
    let revision = line.number()?;
    let payload = line.attempt(|line| {
        line.text(" ")?;
        line.bytes()
    });
    Some(Extension {
        name,
        revision,
        payload: payload.unwrap_or_default(),
    })
}
