//! Rules that nft wrote, as an iptables wrote them anew: what does the same to packets, and what is gone.
//!
//! Of these no print proves anything: every iptables prints a native rule that matches a set without that match. So the
//! kernel's expressions are compared, and what two encodings are known to mean alike is told here, nowhere else.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::catalog::Family;
use crate::observed::expression::{
    Access, Bitwise, Cmp, Ct, Expression, Meta, MetaKey, Payload, PayloadAccess, PayloadBase,
};
use crate::observed::{Name, NftSet, Value};
use crate::tool::change::Weight;
use crate::tool::nft::field::{self, FieldTest};
use crate::tool::{Change, Difference, HeldRule, Rewritten};

/// What became of `was` in `is`, rules of tables of `family`.
pub fn rewritten(family: Family, was: HeldRule<'_>, is: HeldRule<'_>) -> Rewritten {
    let (before, after) = (pieces(family, was), pieces(family, is));
    let (was, is) = (was.rule, is.rule);
    let mut essentials = before.iter().flat_map(|piece| &piece.as_it_is);
    let same_compat = was.compat == is.compat || !essentials.any(Essential::is_of_xtables);
    let (meant, means) = (meanings(&before), meanings(&after));
    if in_any_order(&meant) == in_any_order(&means) && same_compat && was.other == is.other {
        return Rewritten::Same;
    }
    let (before, after) = (unless_kept(&before, &means), unless_kept(&after, &meant));
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

fn meanings<'e>(pieces: &[Piece<'e>]) -> Vec<Means<'e>> {
    pieces.iter().map(|piece| piece.means.clone()).collect()
}

/// What a rule means, where it does not matter in which order packets are looked at: a packet passes all tests that stand side by
/// side or is not the rule's, and a test leaves nothing behind (`nft_rule_dp_for_each_expr` in the kernel's
/// net/netfilter/nf_tables_core.c ends at the first that fails). All else stays where it is.
fn in_any_order<'m, 'e>(meant: &'m [Means<'e>]) -> Vec<Vec<Vec<&'m Means<'e>>>> {
    // Tests that stand side by side are together, each with what it loads; anything else is alone.
    let mut all: Vec<(bool, Vec<Vec<&Means<'_>>>)> = Vec::new();
    // A test that is begun: something is loaded, and not compared yet.
    let mut begun: Vec<&Means<'_>> = Vec::new();
    for means in meant {
        begun.push(means);
        let is_test = match (means.step(), begun.len()) {
            (Step::Load, _) => continue,
            (Step::Test, 1) => matches!(means, Means::Field(_)),
            (Step::Test, _) => true,
            (Step::Other, _) => false,
        };
        let unit = std::mem::take(&mut begun);
        match all.last_mut() {
            Some((true, tests)) if is_test => tests.push(unit),
            // What is compared once more is a part of the test before.
            Some((true, tests)) if matches!(unit.as_slice(), [one] if one.step() == Step::Test) => {
                if let Some(test) = tests.last_mut() {
                    test.extend(unit);
                }
            }
            _ => all.push((is_test, vec![unit])),
        }
    }
    all.push((false, vec![begun]));
    let in_order = |(is_tests, mut units): (bool, Vec<Vec<&'m Means<'e>>>)| {
        if is_tests {
            units.sort_by_cached_key(|unit| format!("{unit:?}"));
        }
        units
    };
    all.into_iter().map(in_order).collect()
}

/// What an expression is to a test of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// It loads a value, or changes one that is loaded.
    Load,
    /// It compares one.
    Test,
    /// It does something else.
    Other,
}

impl Means<'_> {
    fn step(&self) -> Step {
        let expression = match self {
            Means::Field(_) | Means::AsItIs(Essential::Name(_)) => return Step::Test,
            Means::Using(expression, _) => expression,
            Means::AsItIs(Essential::Expression(expression)) => expression.as_ref(),
        };
        match expression {
            Expression::Cmp(_) | Expression::Range(_) => Step::Test,
            Expression::Lookup(lookup) if lookup.to.is_none() => Step::Test,
            Expression::Meta(Meta {
                access: Access::Load(_),
                ..
            })
            | Expression::Payload(Payload {
                access: PayloadAccess::Load(_),
                ..
            })
            | Expression::Ct(Ct {
                access: Access::Load(_),
                ..
            })
            | Expression::Bitwise(_)
            | Expression::Byteorder(_) => Step::Load,
            _ => Step::Other,
        }
    }
}

/// The essentials of a rule's pieces, without those that `other` has too in another encoding.
fn unless_kept<'e>(own: &[Piece<'e>], other: &[Means<'e>]) -> Vec<Essential<'e>> {
    let is_kept = |piece: &&Piece<'e>| match &piece.means {
        Means::AsItIs(_) => false,
        means => other.contains(means),
    };
    let left = own.iter().filter(|piece| !is_kept(piece));
    left.flat_map(|piece| piece.as_it_is.clone()).collect()
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

/// One expression of a rule, or some that belong together.
struct Piece<'e> {
    /// The expressions.
    as_it_is: Vec<Essential<'e>>,
    /// What they mean.
    means: Means<'e>,
}

/// What expressions mean: two that are equal decide alike about packets.
#[derive(Debug, Clone, PartialEq)]
enum Means<'e> {
    /// That a field of a header has certain values.
    Field(FieldTest),
    /// What uses an anonymous set, and what is in that.
    Using(Expression, Box<NftSet>),
    /// What it says.
    AsItIs(Essential<'e>),
}

/// The expressions that decide about packets, with what they mean.
fn pieces(family: Family, HeldRule { rule, sets }: HeldRule<'_>) -> Vec<Piece<'_>> {
    let expressions = rule.expressions.iter().map(Arc::as_ref);
    let expressions: Vec<&Expression> = expressions.filter(|of| !is_idle(of)).collect();
    let mut pieces: Vec<Piece<'_>> = Vec::new();
    let mut names_interface = false;
    let mut at = 0;
    while let Some(&expression) = expressions.get(at) {
        let protocol = protocol_loaded(family, expression);
        let rest = &expressions[at..];
        let field = match &protocol {
            Some(_) => None,
            None => field::test(rest, sets),
        };
        let plain = |of| Essential::Expression(Cow::Borrowed(of));
        let piece = match (field, protocol) {
            (Some((test, count)), _) => Piece {
                as_it_is: rest[..count].iter().copied().map(plain).collect(),
                means: Means::Field(test),
            },
            (None, Some(loaded)) => as_it_is(Essential::Expression(Cow::Owned(loaded))),
            (None, None) => match used(expression, sets, names_interface) {
                Some(means) => Piece {
                    as_it_is: vec![plain(expression)],
                    means,
                },
                None => {
                    let named = name_compared(expression).filter(|_| names_interface);
                    as_it_is(named.map_or(plain(expression), Essential::Name))
                }
            },
        };
        names_interface = loads_name(expression);
        at += piece.as_it_is.len();
        pieces.push(piece);
    }
    pieces
}

fn as_it_is(essential: Essential<'_>) -> Piece<'_> {
    Piece {
        as_it_is: vec![essential.clone()],
        means: Means::AsItIs(essential),
    }
}

/// What an expression means that uses an anonymous set: of one with a single value, that value is compared with.
fn used<'e>(
    expression: &'e Expression,
    sets: &[NftSet],
    names_interface: bool,
) -> Option<Means<'e>> {
    let name = expression.set()?;
    let mut sets = sets.iter();
    let set = sets.find(|set| set.is_anonymous() && set.name == *name)?;
    let compared = match expression {
        Expression::Lookup(lookup) => field::only_value(lookup, set),
        _ => None,
    };
    let Some(cmp) = compared else {
        let mut nameless = expression.clone();
        *nameless.set_mut()? = Name::default();
        return Some(Means::Using(nameless, Box::new(set.bare())));
    };
    let cmp = Expression::Cmp(cmp);
    let named = name_compared(&cmp).filter(|_| names_interface);
    let compared = Essential::Expression(Cow::Owned(cmp));
    Some(Means::AsItIs(named.map_or(compared, Essential::Name)))
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
    use rstest::rstest;

    use super::*;
    use crate::observed::{Compat, NftRule};

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
        rewritten(Family::Ipv4, held(&rule(was), &[]), held(&rule(is), &[]))
    }

    fn held<'k>(rule: &'k NftRule, sets: &'k [NftSet]) -> HeldRule<'k> {
        HeldRule { rule, sets }
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
    #[case::order_of_tests(
        &[LO, LO_OF_NFT, "payload load 4b @ network header + 16 => reg 1", "cmp eq reg 1 0x010200c0", ACCEPT],
        &["payload load 4b @ network header + 16 => reg 1", "cmp eq reg 1 0x010200c0", LO, "cmp eq reg 1 0x006f6c", ACCEPT],
        true
    )]
    #[case::order_of_tests_around_a_limit(
        &[LO, LO_OF_NFT, "limit", "meta load mark => reg 1", "cmp eq reg 1 0x01000000", ACCEPT],
        &["meta load mark => reg 1", "cmp eq reg 1 0x01000000", "limit", LO, LO_OF_NFT, ACCEPT],
        false
    )]
    #[case::which_is_compared(
        &[LO, LO_OF_NFT, "meta load mark => reg 1", "cmp eq reg 1 0x01000000", ACCEPT],
        &["meta load mark => reg 1", LO_OF_NFT, LO, "cmp eq reg 1 0x01000000", ACCEPT],
        false
    )]
    #[case::comparisons_of_one_value(
        &["meta load mark => reg 1", "cmp gte reg 1 0x01000000", "cmp lte reg 1 0x09000000", ACCEPT],
        &["meta load mark => reg 1", "cmp lte reg 1 0x09000000", "cmp gte reg 1 0x01000000", ACCEPT],
        false
    )]
    #[case::prefix(
        &["payload load 2b @ network header + 16 => reg 1", "cmp eq reg 1 0xa8c0", ACCEPT],
        &[
            "payload load 4b @ network header + 16 => reg 1",
            "bitwise reg 1 = ( reg 1 & 0x0000ffff ) ^ 0x00000000",
            "cmp eq reg 1 0x0000a8c0",
            ACCEPT,
        ],
        true
    )]
    #[case::range(
        &["payload load 2b @ transport header + 2 => reg 1", "cmp gte reg 1 0x2100", "cmp lte reg 1 0x2d00", ACCEPT],
        &["payload load 2b @ transport header + 2 => reg 1", "range eq reg 1 0x2100 0x2d00", ACCEPT],
        true
    )]
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
            rewritten(Family::Ipv4, held(&was, &[]), held(&is, &[])) == Rewritten::Same
        };
        assert!(same("meta load mark => reg 1"));
        assert!(!same("match name tcp rev 0 info 0x00"));
    }
}
