//! How a rule is encoded in the kernel, whatever its values: which fields are loaded, how they are compared, which matches and targets
//! of xtables stand beside. Two rules that differ in addresses, ports, names or marks only are encoded alike.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::expression::{
    Access, Cmp, CmpOperator, Data, Expression, Extension, Exthdr, ExthdrAccess, Immediate, Objref,
    Payload, PayloadAccess,
};
use super::legacy::{LegacyRule, LegacyTarget};
use super::nft::{NftRule, NftSet, SetFlags};

/// What separates the clauses of an encoding where it is printed.
const CLAUSES: &str = " | ";

/// What separates the steps of a clause.
const STEPS: &str = "; ";

/// How a rule is encoded: its clauses, in the kernel's order. Counters are none of them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Encoding(Vec<Clause>);

/// Expressions that belong together: what is loaded, what is done with it and how it is compared; a match of xtables; a statement.
/// `payload network+12; bitwise; cmp`, `match mark rev 1`, `meta mark; cmp`, `verdict`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Clause(Box<str>);

impl Encoding {
    /// Of a rule of nf_tables, in a table with these sets.
    pub fn of_nft(rule: &NftRule, sets: &[NftSet]) -> Self {
        let mut clauses = Clauses::default();
        for expression in &rule.expressions {
            clauses.add(expression, sets);
        }
        Encoding(clauses.done.into_iter().map(Clause::of).collect())
    }

    /// Of an entry of a legacy table.
    pub fn of_legacy(rule: &LegacyRule) -> Self {
        let LegacyRule::Entry(entry) = rule else {
            return Encoding(vec![Clause::of(vec!["entry".to_owned()])]);
        };
        let of = &entry.conditions;
        let conditions = [
            ("source", of.source.is_some()),
            ("destination", of.destination.is_some()),
            ("in-interface", of.in_interface.is_some()),
            ("out-interface", of.out_interface.is_some()),
            ("protocol", of.protocol != 0),
        ];
        let conditions = conditions.into_iter().filter(|(_, is_set)| *is_set);
        let conditions = conditions.map(|(name, _)| name.to_owned());
        let matches = entry.matches.iter().map(|of| of_xtables("match", of));
        let target = match &entry.target {
            LegacyTarget::Next => None,
            LegacyTarget::Extension(of) => Some(of_xtables("target", of)),
            _ => Some("verdict".to_owned()),
        };
        let all = conditions.chain(matches).chain(target);
        Encoding(all.map(|step| Clause::of(vec![step])).collect())
    }

    /// Its clauses, in the kernel's order.
    pub fn clauses(&self) -> impl DoubleEndedIterator<Item = &Clause> + Clone {
        self.0.iter()
    }

    /// Whether it has a clause of this form.
    pub fn has(&self, form: &str) -> bool {
        self.0.iter().any(|clause| clause.form() == form)
    }
}

impl Clause {
    fn of(steps: Vec<String>) -> Self {
        Clause(steps.join(STEPS).into())
    }

    /// Its steps: what is loaded, done and compared.
    pub fn steps(&self) -> impl Iterator<Item = &str> {
        self.0.split(STEPS)
    }

    /// The bytes of a header that it loads or writes: which header, and from which byte on.
    pub fn header_bytes(&self) -> impl Iterator<Item = (&str, u32)> {
        self.steps().filter_map(|step| {
            let place = step.split(' ').find(|word| word.contains('+'))?;
            let (header, offset) = place.split_once('+')?;
            Some((header, offset.parse().ok()?))
        })
    }

    /// The clause without what is a value where only the field differs: from which byte on a header is read, and which of the
    /// packet's two interfaces it is about. `payload network; bitwise; cmp`.
    pub fn form(&self) -> String {
        let step = |step: &str| {
            let words = step.split(' ').map(|word| match word {
                "iifname" | "oifname" => "ifname",
                "in-interface" | "out-interface" => "interface",
                "source" | "destination" => "address",
                _ => word.split_once('+').map_or(word, |(header, _)| header),
            });
            words.collect::<Vec<_>>().join(" ")
        };
        self.steps().map(step).collect::<Vec<_>>().join(STEPS)
    }
}

impl fmt::Display for Clause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, clause) in self.0.iter().enumerate() {
            let separator = if at == 0 { "" } else { CLAUSES };
            write!(f, "{separator}{clause}")?;
        }
        Ok(())
    }
}

impl Serialize for Encoding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Encoding {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let clauses = text.split(CLAUSES).filter(|clause| !clause.is_empty());
        Ok(Encoding(clauses.map(|of| Clause(of.into())).collect()))
    }
}

/// Clauses as they grow, expression by expression.
#[derive(Default)]
struct Clauses {
    done: Vec<Vec<String>>,
    /// Whether the last of them still lacks what is done with what it loads.
    is_open: bool,
}

impl Clauses {
    fn add(&mut self, expression: &Expression, sets: &[NftSet]) {
        let (role, step) = match step(expression, sets) {
            Some(step) => step,
            None => return,
        };
        let is_on = match role {
            Role::Load => self.is_open,
            // What is changed or compared once more is what was loaded last.
            Role::Change | Role::Test => !self.done.is_empty(),
            Role::Use => self.is_open,
        };
        match self.done.last_mut().filter(|_| is_on) {
            // Whether there is a route is one byte for some, four for others.
            Some(clause) => clause.push(match expression {
                Expression::Cmp(of) if clause.last().is_some_and(|of| of.starts_with("fib")) => {
                    format!("{step} {}b", of.value.as_slice().len())
                }
                _ => step,
            }),
            None => self.done.push(vec![step]),
        }
        self.is_open = matches!(role, Role::Load | Role::Change);
    }
}

/// What an expression is to the clause that it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// It loads something.
    Load,
    /// It changes what is loaded.
    Change,
    /// It compares what is loaded.
    Test,
    /// It does something, with what is loaded or without.
    Use,
}

/// What an expression is, without its values; none of one that says nothing of the rule.
fn step(expression: &Expression, sets: &[NftSet]) -> Option<(Role, String)> {
    let name = expression.name();
    let access = |key: &dyn fmt::Display, access: &Access| match access {
        Access::Load(_) => (Role::Load, format!("{name} {key}")),
        Access::Set(_) => (Role::Use, format!("{name} set {key}")),
    };
    Some(match expression {
        Expression::Counter | Expression::Last => return None,
        Expression::Extended { known, .. } => {
            let (role, step) = step(known, sets)?;
            (role, format!("{step} extended"))
        }
        Expression::Meta(of) => access(&of.key, &of.access),
        Expression::Ct(of) => match of.direction {
            Some(direction) => access(&format!("{} {direction}", of.key), &of.access),
            None => access(&of.key, &of.access),
        },
        Expression::Payload(of) => of_payload(of),
        Expression::Exthdr(of) => of_exthdr(of),
        Expression::Rt(of) => (Role::Load, format!("rt {}", of.key)),
        Expression::Socket(of) => (Role::Load, format!("socket {}", of.key)),
        Expression::Tunnel(of) => (Role::Load, format!("tunnel {}", of.key)),
        Expression::Xfrm(of) => (Role::Load, format!("xfrm {} {}", of.direction, of.key)),
        Expression::Fib(of) => (Role::Load, format!("fib {}", of.result)),
        Expression::Osf(_) | Expression::Numgen(_) | Expression::Inner(_) => {
            (Role::Load, name.into_owned())
        }
        Expression::Hash(_) | Expression::Bitwise(_) | Expression::Byteorder(_) => {
            (Role::Change, name.into_owned())
        }
        Expression::Cmp(Cmp { operator, .. }) => (
            Role::Test,
            match operator {
                CmpOperator::Equal | CmpOperator::NotEqual => "cmp".to_owned(),
                other => format!("cmp {other}"),
            },
        ),
        Expression::Range(_) => (Role::Test, "range".to_owned()),
        Expression::Lookup(of) => {
            let role = match of.to {
                Some(_) => Role::Change,
                None => Role::Test,
            };
            let set = sets.iter().find(|set| set.name == of.set);
            (role, format!("lookup {}", of_set(set)))
        }
        Expression::Objref(Objref::Looked { set, .. }) => {
            let set = sets.iter().find(|known| known.name == *set);
            (Role::Use, format!("objref {}", of_set(set)))
        }
        Expression::Dynset(of) => {
            let set = sets.iter().find(|set| set.name == of.set);
            (Role::Use, format!("dynset {}", of_set(set)))
        }
        Expression::Immediate(Immediate { data, .. }) => match data {
            Data::Verdict(_) => (Role::Use, "verdict".to_owned()),
            Data::Value(_) => (Role::Load, "immediate".to_owned()),
        },
        Expression::Match(of) => (Role::Use, of_xtables("match", of)),
        Expression::Target(of) => (Role::Use, of_xtables("target", of)),
        Expression::Nat(of) => (Role::Use, of.kind.to_string()),
        Expression::Limit(of) => (Role::Use, format!("limit {}", of.kind)),
        Expression::Printed(_) => (Role::Use, format!("{name} of another release")),
        _ => (Role::Use, name.into_owned()),
    })
}

fn of_payload(of: &Payload) -> (Role, String) {
    let (base, offset) = (of.base, of.offset);
    match of.access {
        PayloadAccess::Load(_) => (Role::Load, format!("payload {base}+{offset}")),
        PayloadAccess::Write { .. } => (Role::Use, format!("payload set {base}+{offset}")),
    }
}

fn of_exthdr(of: &Exthdr) -> (Role, String) {
    let (header, kind) = (of.operation, of.kind);
    match of.access {
        ExthdrAccess::Load(_) => (Role::Load, format!("exthdr {header} {kind}")),
        _ => (Role::Use, format!("exthdr set {header} {kind}")),
    }
}

/// What a set is that a rule uses: whose it is, and what its keys and elements are.
fn of_set(set: Option<&NftSet>) -> String {
    let Some(set) = set else {
        return "set".to_owned();
    };
    let flags = [
        (SetFlags::INTERVAL, "interval"),
        (SetFlags::MAP, "map"),
        (SetFlags::CONCAT, "concat"),
        (SetFlags::EVAL, "dynamic"),
    ];
    let words = flags.into_iter().filter(|(flag, _)| set.flags.has(*flag));
    let words = words.map(|(_, word)| word);
    let kind = if set.is_anonymous() {
        "anonymous"
    } else {
        "named"
    };
    let all = [kind].into_iter().chain(words);
    all.collect::<Vec<_>>().join(" ")
}

/// How a set or map is encoded, whatever is in it: what it is, and what nft keeps with it to print its keys and data
/// (`enum nftnl_udata_set_types` of libnftnl's include/libnftnl/udata.h). `set named interval key-byteorder key-typeof`.
pub fn encoding_of_set(set: &NftSet) -> String {
    const KEPT: [&str; 9] = [
        "key-byteorder",
        "data-byteorder",
        "merge",
        "key-typeof",
        "data-typeof",
        "expression",
        "data-interval",
        "comment",
        "description",
    ];
    let mut text = format!("set {}", of_set(Some(set)));
    let userdata = set.userdata.as_ref().map(|of| of.as_slice());
    for (kind, value) in attributes(userdata.unwrap_or_default()) {
        let word = KEPT.get(usize::from(kind)).copied();
        text.push(' ');
        text.push_str(word.unwrap_or("other"));
        // What an expression is of, without anything about it: `NFTNL_UDATA_SET_TYPEOF_DATA` of no length.
        let is_empty = |(kind, value): (u8, &[u8])| kind == 1 && value.is_empty();
        if word.is_some_and(|word| word.ends_with("typeof")) && attributes(value).any(is_empty) {
            text.push_str(" without data");
        }
    }
    text
}

/// What is kept as userdata: kinds with their values (`struct nftnl_udata`).
fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let [kind, length, rest @ ..] = bytes else {
            return None;
        };
        let (value, rest) = rest.split_at_checked(usize::from(*length))?;
        bytes = rest;
        Some((*kind, value))
    })
}

fn of_xtables(what: &str, of: &Extension) -> String {
    format!("{what} {} rev {}", of.name, of.revision)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rstest::rstest;

    use super::*;

    fn encoded(expressions: &[&str]) -> String {
        let expressions = expressions.iter().map(|of| Arc::new(Expression::read(of)));
        let rule = NftRule {
            expressions: expressions.collect(),
            other: Vec::new(),
            compat: None,
            userdata: None,
        };
        Encoding::of_nft(&rule, &[]).to_string()
    }

    #[rstest]
    #[case(
        &[
            "meta load mark => reg 1",
            "bitwise reg 1 = ( reg 1 & 0x00008000 ) ^ 0x00000000",
            "cmp eq reg 1 0x00008000",
            "counter",
            "immediate reg 0 drop",
        ],
        "meta mark; bitwise; cmp | verdict"
    )]
    #[case(
        &[
            "payload load 1b @ network header + 12 => reg 1",
            "cmp neq reg 1 0x0a",
            "match name tcp rev 0 info 0x00",
            "immediate reg 1 0x00000010",
            "meta set mark with reg 1",
        ],
        "payload network+12; cmp | match tcp rev 0 | immediate; meta set mark"
    )]
    #[case(
        &[
            "payload load 2b @ transport header + 2 => reg 1",
            "cmp gte reg 1 0x0050",
            "cmp lte reg 1 0x0060",
        ],
        "payload transport+2; cmp gte; cmp lte"
    )]
    fn values_are_no_part_of_how_a_rule_is_encoded(#[case] rule: &[&str], #[case] as_: &str) {
        assert_eq!(encoded(rule), as_);
    }

    #[test]
    fn an_encoding_is_read_as_it_is_printed() {
        let text = "payload network+12; bitwise; cmp | meta iifname; cmp | verdict";
        let json = format!("\"{text}\"");
        let read: Encoding = serde_json::from_str(&json).expect("it is one");
        assert_eq!(serde_json::to_string(&read).expect("it can be"), json);
        let forms: Vec<String> = read.clauses().map(Clause::form).collect();
        assert_eq!(
            forms,
            [
                "payload network; bitwise; cmp",
                "meta ifname; cmp",
                "verdict"
            ]
        );
        let first = read.clauses().next().expect("there is one");
        assert_eq!(first.header_bytes().collect::<Vec<_>>(), [("network", 12)]);
    }
}
