//! What the expressions of a rule mean: two encodings that decide alike about packets mean the same.
//!
//! Each that is known is here or among the tests of fields (`field.rs`), with what proves it; all else means what it says.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::catalog::Family;
use crate::observed::expression::{
    Access, Bitwise, Cmp, Ct, Expression, Meta, MetaKey, Payload, PayloadAccess, PayloadBase,
};
use crate::observed::{Name, NftSet, Value};
use crate::tool::HeldRule;
use crate::tool::nft::field::{self, FieldTest};
use crate::tool::nft::xtables;

/// What expressions mean: two that are equal decide alike about packets.
#[derive(Debug, Clone, PartialEq)]
pub enum Means<'e> {
    /// That a field of a header has certain values.
    Field(FieldTest),
    /// What uses an anonymous set, and what is in that.
    Using(Expression, Box<NftSet>),
    /// What it says.
    AsItIs(Essential<'e>),
}

/// One expression of a rule, or some that belong together.
pub struct Piece<'e> {
    /// The expressions.
    pub as_it_is: Vec<Essential<'e>>,
    /// What they mean.
    pub means: Means<'e>,
}

/// An expression that decides about packets, in one of the encodings that mean the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Essential<'e> {
    /// Most.
    Expression(Cow<'e, Expression>),
    /// What something is compared with, up to where the rest of its bytes decides nothing.
    Beginning(Cmp),
}

impl Essential<'_> {
    /// The kernel's name of it.
    pub fn name(&self) -> Cow<'_, str> {
        match self {
            Essential::Expression(expression) => expression.name(),
            Essential::Beginning(_) => "cmp".into(),
        }
    }

    /// Whether xtables, not nf_tables, carries it out.
    fn is_of_xtables(&self) -> bool {
        ["match", "target"].contains(&&*self.name())
    }
}

impl fmt::Display for Essential<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Essential::Expression(expression) => expression.fmt(f),
            Essential::Beginning(Cmp {
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

/// The expressions that decide about packets, with what they mean.
pub fn pieces(family: Family, HeldRule { rule, sets }: HeldRule<'_>) -> Vec<Piece<'_>> {
    let expressions = rule.expressions.iter().map(Arc::as_ref);
    let expressions: Vec<&Expression> = expressions.filter(|of| !is_idle(of)).collect();
    let mut pieces: Vec<Piece<'_>> = Vec::new();
    let mut loaded = Loaded::Other;
    let mut at = 0;
    while let Some(&expression) = expressions.get(at) {
        if let Some(native) = of_xtables(expression) {
            let plain = Essential::Expression(Cow::Borrowed(expression));
            let mut as_it_is = vec![plain];
            let all = native.into_iter().map(|of| Piece {
                as_it_is: std::mem::take(&mut as_it_is),
                means: Means::AsItIs(Essential::Expression(Cow::Owned(of))),
            });
            pieces.extend(all);
            loaded = Loaded::Other;
            at += 1;
            continue;
        }
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
            (None, None) => match used(expression, sets, loaded) {
                Some(means) => Piece {
                    as_it_is: vec![plain(expression)],
                    means,
                },
                None => {
                    let beginning = loaded.compared_up_to(expression);
                    as_it_is(beginning.map_or(plain(expression), Essential::Beginning))
                }
            },
        };
        loaded = Loaded::by(expression);
        at += piece.as_it_is.len();
        pieces.push(piece);
    }
    pieces
}

/// What an extension of xtables does, in nf_tables' own expressions; none of what is no such extension, or is not known.
fn of_xtables(expression: &Expression) -> Option<Vec<Expression>> {
    match expression {
        Expression::Match(extension) => xtables::of_match(extension),
        Expression::Target(extension) => xtables::of_target(extension),
        _ => None,
    }
}

fn as_it_is(essential: Essential<'_>) -> Piece<'_> {
    Piece {
        as_it_is: vec![essential.clone()],
        means: Means::AsItIs(essential),
    }
}

/// What an expression means that uses an anonymous set: of one with a single value, that value is compared with.
fn used<'e>(expression: &'e Expression, sets: &[NftSet], loaded: Loaded) -> Option<Means<'e>> {
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
    let beginning = loaded.compared_up_to(&cmp);
    let compared = Essential::Expression(Cow::Owned(cmp));
    Some(Means::AsItIs(
        beginning.map_or(compared, Essential::Beginning),
    ))
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

/// What the expression before has loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loaded {
    /// The name of an interface.
    Name,
    /// Whether there is a route.
    Presence,
    /// Anything else.
    Other,
}

impl Loaded {
    /// What `expression` loads.
    fn by(expression: &Expression) -> Self {
        match expression {
            Expression::Meta(Meta {
                key: MetaKey::Iifname | MetaKey::Oifname,
                access: Access::Load(_),
            }) => Loaded::Name,
            Expression::Fib(fib) if fib.asks_presence() => Loaded::Presence,
            _ => Loaded::Other,
        }
    }

    /// What it is compared with, up to where the rest of the bytes decides nothing.
    ///
    /// Of a name that is the zero that ends it: nft compares all sixteen bytes, which are zeros from there on, and iptables no more
    /// than that one. A name's beginning (`eth*`) has no such zero. Of whether there is a route it is the first byte: the kernel
    /// stores 1 or 0 (`nft_fib_store_result` of net/netfilter/nft_fib.c), and nft compares four bytes up to 1.1.5, one from 1.1.6 on.
    fn compared_up_to(self, expression: &Expression) -> Option<Cmp> {
        let Expression::Cmp(cmp) = expression else {
            return None;
        };
        let bytes = cmp.value.as_slice();
        let end = match self {
            Loaded::Other => return None,
            Loaded::Name => {
                let end = bytes.iter().position(|byte| *byte == 0);
                end.map_or(bytes.len(), |end| end + 1)
            }
            Loaded::Presence => match bytes.iter().skip(1).all(|byte| *byte == 0) {
                true => bytes.len().min(1),
                false => bytes.len(),
            },
        };
        Some(Cmp {
            value: Value::from(&bytes[..end]),
            ..cmp.clone()
        })
    }
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

/// What a rule means, where it does not matter in which order packets are looked at: a packet passes all tests that stand side by
/// side or is not the rule's, and a test leaves nothing behind (`nft_rule_dp_for_each_expr` in the kernel's
/// net/netfilter/nf_tables_core.c ends at the first that fails). All else stays where it is.
pub fn in_any_order<'m, 'e>(meant: &'m [Means<'e>]) -> Vec<Vec<Vec<&'m Means<'e>>>> {
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
    /// Whether only xtables can say what it does.
    pub fn is_of_xtables(&self) -> bool {
        match self {
            Means::AsItIs(essential) => essential.is_of_xtables(),
            Means::Field(_) | Means::Using(..) => false,
        }
    }

    fn step(&self) -> Step {
        let expression = match self {
            Means::Field(_) | Means::AsItIs(Essential::Beginning(_)) => return Step::Test,
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
