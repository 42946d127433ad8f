//! Rules that nft wrote, as an iptables wrote them anew: what does the same to packets, and what is gone.
//!
//! Of these no print proves anything: every iptables prints a native rule that matches a set without that match. So the
//! kernel's expressions are compared, and what two encodings are known to mean alike is told here, nowhere else.

use std::borrow::Cow;
use std::fmt;

use crate::catalog::Family;
use crate::observed::expression::{
    Access, Bitwise, Cmp, Expression, Meta, MetaKey, Payload, PayloadAccess, PayloadBase,
};
use crate::observed::{NftRule, Value};
use crate::tool::change::Weight;
use crate::tool::{Change, Difference, Rewritten};

/// What became of `was` in `is`, rules of tables of `family`.
pub fn rewritten(family: Family, was: &NftRule, is: &NftRule) -> Rewritten {
    let (before, after) = (essence(family, was), essence(family, is));
    let uses_xtables = |essence: &[Essential<'_>]| essence.iter().any(Essential::is_of_xtables);
    let same_compat = was.compat == is.compat || !uses_xtables(&before);
    if before == after && same_compat && was.other == is.other {
        return Rewritten::Same;
    }
    let (gone, added) = (without(&before, &after), without(&after, &before));
    if added.is_empty() && !gone.is_empty() {
        return Rewritten::Lost(Difference {
            lost: gone.into_iter().map(lost).collect(),
            ..Difference::default()
        });
    }
    let printed = |all: Vec<&Essential<'_>>| all.iter().map(ToString::to_string).collect();
    Rewritten::Another {
        gone: printed(gone),
        new: printed(added),
    }
}

/// The kernel's expressions that look at a packet.
const MATCHING: [&str; 12] = [
    "bitwise",
    "byteorder",
    "cmp",
    "ct",
    "exthdr",
    "fib",
    "lookup",
    "match",
    "meta",
    "payload",
    "range",
    "socket",
];

/// What the loss of an expression does, by its name.
pub fn weight(name: &str) -> Weight {
    if MATCHING.contains(&name) {
        Weight::Condition
    } else {
        Weight::Other
    }
}

fn lost(essential: &Essential<'_>) -> Change {
    Change {
        part: format!("expression {}", essential.name()),
        from: Some(essential.to_string()),
        to: None,
    }
}

/// Those of `own` that `other` has not, each as often as it has more of it.
fn without<'o, 'e>(own: &'o [Essential<'e>], other: &'o [Essential<'e>]) -> Vec<&'o Essential<'e>> {
    let mut rest: Vec<&Essential<'_>> = other.iter().collect();
    let mut left = Vec::new();
    for essential in own {
        match rest.iter().position(|known| *known == essential) {
            Some(at) => drop(rest.remove(at)),
            None => left.push(essential),
        }
    }
    left
}

/// An expression that decides about packets, in one of the encodings that mean the same.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Essential<'e> {
    /// Most.
    Expression(Cow<'e, Expression>),
    /// What the name of an interface is compared with, up to the zero that ends it.
    Name(Cmp),
}

impl Essential<'_> {
    fn name(&self) -> Cow<'_, str> {
        match self {
            Essential::Expression(expression) => expression.name(),
            Essential::Name(_) => "cmp".into(),
        }
    }

    fn is_of_xtables(&self) -> bool {
        ["match", "target"].contains(&&*self.name())
    }
}

impl fmt::Display for Essential<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Essential::Expression(expression) => expression.fmt(f),
            Essential::Name(Cmp {
                from,
                operator,
                value,
            }) => {
                write!(f, "cmp {operator} reg {from} ")?;
                let separators = std::iter::once("").chain(std::iter::repeat(" "));
                let mut bytes = value.as_slice().iter().zip(separators);
                bytes.try_for_each(|(byte, separator)| write!(f, "{separator}{byte:02x}"))
            }
        }
    }
}

/// The expressions that decide about packets, in one of the encodings that mean the same.
fn essence(family: Family, rule: &NftRule) -> Vec<Essential<'_>> {
    let mut essence = Vec::new();
    let mut names_interface = false;
    for expression in &rule.expressions {
        if is_idle(expression) {
            continue;
        }
        let known = if names_interface {
            name_compared(expression).map(Essential::Name)
        } else {
            let loaded = protocol_loaded(family, expression);
            loaded.map(|loaded| Essential::Expression(Cow::Owned(loaded)))
        };
        names_interface = loads_name(expression);
        essence.push(known.unwrap_or(Essential::Expression(Cow::Borrowed(expression))));
    }
    essence
}

/// Whether it decides nothing: counters and comments, of which iptables adds the one to every rule and writes the other as a
/// match; and a mask that keeps every bit, by which iptables up to 1.8.5 takes a whole address.
fn is_idle(expression: &Expression) -> bool {
    match expression {
        Expression::Counter => true,
        Expression::Match(extension) => extension.name == *"comment",
        Expression::Bitwise(Bitwise::Mask {
            from,
            to,
            length,
            mask,
            flips,
        }) => {
            let whole = mask.as_slice().len() == *length as usize;
            from == to && whole && mask.is_all(0xff) && flips.is_all(0)
        }
        _ => false,
    }
}

/// Whether it loads the name of an interface.
fn loads_name(expression: &Expression) -> bool {
    matches!(
        expression,
        Expression::Meta(Meta {
            key: MetaKey::Iifname | MetaKey::Oifname,
            access: Access::Load(_),
        })
    )
}

/// From 1.8.10 on iptables takes the protocol of IPv4 from the header, and nft from what the kernel knows of the packet:
/// `meta load l4proto` is that very byte.
fn protocol_loaded(family: Family, expression: &Expression) -> Option<Expression> {
    match (family, expression) {
        (
            Family::Ipv4,
            Expression::Payload(Payload {
                base: PayloadBase::Network,
                offset: 9,
                length: 1,
                access: PayloadAccess::Load(to),
            }),
        ) => Some(Expression::Meta(Meta {
            key: MetaKey::L4proto,
            access: Access::Load(*to),
        })),
        _ => None,
    }
}

/// What the name of an interface is compared with, up to the zero that ends it: nft compares all sixteen bytes, which
/// are zeros from there on, and iptables no more than that one. A name's beginning (`eth*`) has no such zero.
fn name_compared(expression: &Expression) -> Option<Cmp> {
    let Expression::Cmp(cmp) = expression else {
        return None;
    };
    let bytes = cmp.value.as_slice();
    let end = bytes.iter().position(|byte| *byte == 0);
    let name = &bytes[..end.map_or(bytes.len(), |end| end + 1)];
    Some(Cmp {
        value: Value::from(name),
        ..cmp.clone()
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rstest::rstest;

    use super::*;
    use crate::observed::Compat;

    fn rule(expressions: &[&str]) -> NftRule {
        NftRule {
            expressions: expressions
                .iter()
                .map(|of| Arc::new(Expression::read(of)))
                .collect(),
            other: Vec::new(),
            compat: None,
            userdata: None,
        }
    }

    fn became(was: &[&str], is: &[&str]) -> Rewritten {
        rewritten(Family::Ipv4, &rule(was), &rule(is))
    }

    const ACCEPT: &str = "immediate reg 0 accept";
    const LO: &str = "meta load iifname => reg 1";
    const LO_OF_NFT: &str = "cmp eq reg 1 0x00006f6c 0x00000000 0x00000000 0x00000000";

    #[rstest]
    #[case::counter(&[ACCEPT], &["counter", ACCEPT], true)]
    #[case::comment(&[ACCEPT], &["match name comment rev 0 info 0x61", "counter", ACCEPT], true)]
    #[case::interface(&[LO, LO_OF_NFT, ACCEPT], &[LO, "cmp eq reg 1 0x006f6c", "counter", ACCEPT], true)]
    #[case::beginning_of_a_name(&[LO, LO_OF_NFT, ACCEPT], &[LO, "cmp eq reg 1 0x6f6c", ACCEPT], false)]
    #[case::another_name(&[LO, LO_OF_NFT, ACCEPT], &[LO, "cmp eq reg 1 0x006f6d", ACCEPT], false)]
    #[case::no_name(
        &["meta load mark => reg 1", "cmp eq reg 1 0x00006f6c 0x00000000", ACCEPT],
        &["meta load mark => reg 1", "cmp eq reg 1 0x00006f6c", ACCEPT],
        false
    )]
    #[case::protocol(
        &["meta load l4proto => reg 1", "cmp eq reg 1 0x06", ACCEPT],
        &["payload load 1b @ network header + 9 => reg 1", "cmp eq reg 1 0x06", "counter", ACCEPT],
        true
    )]
    #[case::whole_address(
        &["payload load 4b @ network header + 12 => reg 1", "cmp eq reg 1 0x010200c0", ACCEPT],
        &[
            "payload load 4b @ network header + 12 => reg 1",
            "bitwise reg 1 = ( reg 1 & 0xffffffff ) ^ 0x00000000",
            "cmp eq reg 1 0x010200c0",
            ACCEPT,
        ],
        true
    )]
    #[case::part_of_an_address(
        &["cmp eq reg 1 0x010200c0", ACCEPT],
        &["bitwise reg 1 = ( reg 1 & 0x00ffffff ) ^ 0x00000000", "cmp eq reg 1 0x010200c0", ACCEPT],
        false
    )]
    #[case::order(&["cmp eq reg 1 0x06", "limit", ACCEPT], &["limit", "cmp eq reg 1 0x06", ACCEPT], false)]
    #[case::verdict(&[ACCEPT], &["immediate reg 0 drop"], false)]
    fn what_means_the_same(#[case] was: &[&str], #[case] is: &[&str], #[case] same: bool) {
        assert_eq!(became(was, is) == Rewritten::Same, same);
    }

    #[test]
    fn a_match_that_is_gone_is_named_and_widens_the_rule() {
        let was = ["lookup reg 1 set __set0 0x0", ACCEPT];
        let Rewritten::Lost(difference) = became(&was, &["counter", ACCEPT]) else {
            panic!("it has lost an expression");
        };
        assert_eq!(difference.lost[0].part, "expression lookup");
        assert!(difference.widened());
        let Rewritten::Lost(difference) = became(&was, &["lookup reg 1 set __set0 0x0"]) else {
            panic!("it has lost an expression");
        };
        assert!(
            !difference.widened(),
            "what it does is gone, not what it matches"
        );
    }

    #[test]
    fn another_encoding_is_told_in_the_kernels_words() {
        let was = ["meta load mark => reg 1", ACCEPT];
        let Rewritten::Another { gone, new } =
            became(&was, &["match name mark rev 1 info 0x00", ACCEPT])
        else {
            panic!("it is another rule for all that is known");
        };
        assert_eq!(gone, ["meta load mark => reg 1"]);
        assert_eq!(new, ["match name mark rev 1 info 0x00"]);
    }

    #[test]
    fn xtables_protocol_counts_where_xtables_matches_and_nowhere_else() {
        let with_compat = |expression: &str, compat: Option<Compat>| NftRule {
            compat,
            ..rule(&[expression, ACCEPT])
        };
        let tcp = || Compat {
            protocol: Some(6),
            ..Compat::default()
        };
        let same = |expression| {
            let (was, is) = (
                with_compat(expression, None),
                with_compat(expression, Some(tcp())),
            );
            rewritten(Family::Ipv4, &was, &is) == Rewritten::Same
        };
        assert!(same("meta load mark => reg 1"));
        assert!(!same("match name tcp rev 0 info 0x00"));
    }
}
