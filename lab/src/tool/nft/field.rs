//! A header's field, and which values of it a rule takes, whichever expressions test that.
//!
//! The kernel loads a field's bytes as they are in the packet (net/netfilter/nft_payload.c) and compares them as bytes, in their
//! order: `cmp` and `range` by `memcmp` (nft_cmp.c, nft_range.c), after a mask if there is one (nft_bitwise.c); a set of intervals
//! holds where each begins, and where it has ended (nft_set_rbtree.c). So a prefix, two comparisons, a range, and a set of one
//! element or interval are all values between two.

use crate::observed::expression::{
    Bitwise, Cmp, CmpOperator, Data, Expression, Lookup, Payload, PayloadAccess, PayloadBase,
    Range, RangeOperator, Register,
};
use crate::observed::{ElementFlags, NftSet, SetFlags, Value};

/// Which values of a header's field a rule takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldTest {
    base: PayloadBase,
    offset: u32,
    /// Whether it takes all others than these.
    is_inverted: bool,
    /// The least of them, as in a packet. What follows in the field may be anything.
    first: Vec<u8>,
    /// The greatest of them.
    last: Vec<u8>,
}

/// The test that `expressions` begin with, which may use anonymous sets among `sets`, and of how many of them it is made.
pub fn test(expressions: &[&Expression], sets: &[NftSet]) -> Option<(FieldTest, usize)> {
    let (
        Expression::Payload(Payload {
            base,
            offset,
            length,
            access: PayloadAccess::Load(register),
        }),
        rest,
    ) = (*expressions.first()?, &expressions[1..])
    else {
        return None;
    };
    let (values, count) = values(*register, rest, sets)?;
    let is_whole = |value: &[u8]| value.len() == *length as usize;
    if !is_whole(&values.first) || !is_whole(&values.last) {
        return None;
    }
    let Values {
        is_inverted,
        mut first,
        mut last,
    } = values;
    // Bytes at its end that may be anything are not looked at: nft loads none, iptables some.
    while first.len() > 1 && first.last() == Some(&0) && last.last() == Some(&0xff) {
        first.pop();
        last.pop();
    }
    let test = FieldTest {
        base: *base,
        offset: *offset,
        is_inverted,
        first,
        last,
    };
    Some((test, count + 1))
}

/// The values between two, or all others.
struct Values {
    is_inverted: bool,
    first: Vec<u8>,
    last: Vec<u8>,
}

impl Values {
    fn between(first: &Value, last: &Value) -> Self {
        Values {
            is_inverted: false,
            first: first.as_slice().to_vec(),
            last: last.as_slice().to_vec(),
        }
    }
}

/// Which values the test of a register takes that `expressions` begin with, and how many of them it is.
fn values(
    register: Register,
    expressions: &[&Expression],
    sets: &[NftSet],
) -> Option<(Values, usize)> {
    match (*expressions.first()?, expressions.get(1).copied()) {
        (Expression::Cmp(one), Some(Expression::Cmp(other)))
            if one.from == register
                && other.from == register
                && one.operator == CmpOperator::GreaterOrEqual
                && other.operator == CmpOperator::LessOrEqual =>
        {
            Some((Values::between(&one.value, &other.value), 2))
        }
        (Expression::Cmp(cmp), _) if cmp.from == register => Some((equal(cmp)?, 1)),
        (Expression::Range(range), _) if range.from == register => {
            let Range {
                operator,
                first,
                last,
                ..
            } = range;
            let is_inverted = match operator {
                RangeOperator::Inside => false,
                RangeOperator::Outside => true,
                _ => return None,
            };
            let between = Values::between(first, last);
            let values = Values {
                is_inverted,
                ..between
            };
            Some((values, 1))
        }
        (
            Expression::Bitwise(Bitwise::Mask {
                from,
                to,
                mask,
                flips,
                ..
            }),
            Some(Expression::Cmp(cmp)),
        ) if *from == register && cmp.from == *to && flips.is_all(0) => {
            let prefix = equal(cmp)?;
            let last = with_any_rest(&prefix.first, mask.as_slice())?;
            Some((Values { last, ..prefix }, 2))
        }
        (Expression::Lookup(lookup), _) if lookup.from == register && lookup.to.is_none() => {
            let set = sets.iter().find(|set| set.name == lookup.set)?;
            let values = Values {
                is_inverted: is_inverted(lookup),
                ..only_values(set)?
            };
            Some((values, 1))
        }
        _ => None,
    }
}

/// What `cmp eq` and `cmp neq` take.
fn equal(cmp: &Cmp) -> Option<Values> {
    let is_inverted = match cmp.operator {
        CmpOperator::Equal => false,
        CmpOperator::NotEqual => true,
        _ => return None,
    };
    let values = Values::between(&cmp.value, &cmp.value);
    Some(Values {
        is_inverted,
        ..values
    })
}

/// The greatest value that is `value` where the mask has ones, if these are all at its beginning and nothing else is in the value.
fn with_any_rest(value: &[u8], mask: &[u8]) -> Option<Vec<u8>> {
    let ones: u32 = mask.iter().map(|byte| byte.leading_ones()).sum();
    let all: u32 = mask.iter().map(|byte| byte.count_ones()).sum();
    let is_at_beginning = mask
        .iter()
        .skip_while(|byte| **byte == 0xff)
        .skip(1)
        .all(|byte| *byte == 0);
    let is_prefix = ones == all && is_at_beginning && value.len() == mask.len();
    let is_within = value.iter().zip(mask).all(|(byte, mask)| byte & !mask == 0);
    let rest = value.iter().zip(mask).map(|(byte, mask)| byte | !mask);
    (is_prefix && is_within).then(|| rest.collect())
}

/// What a lookup in `set` compares with, if that is one value, whatever was loaded: numbers that are in the machine's order are
/// compared for being equal as any others.
pub fn only_value(lookup: &Lookup, set: &NftSet) -> Option<Cmp> {
    let values = only_values(set).filter(|of| of.first == of.last)?;
    if lookup.to.is_some() || set.flags.has(SetFlags::INTERVAL) {
        return None;
    }
    Some(Cmp {
        from: lookup.from,
        operator: match is_inverted(lookup) {
            true => CmpOperator::NotEqual,
            false => CmpOperator::Equal,
        },
        value: Value::from(values.first.as_slice()),
    })
}

/// `NFT_LOOKUP_F_INV`.
fn is_inverted(lookup: &Lookup) -> bool {
    lookup.flags.unwrap_or(0) & 1 != 0
}

/// The one key, or the one interval of keys, that is in an anonymous set.
fn only_values(set: &NftSet) -> Option<Values> {
    let is_plain = set.is_anonymous()
        && !set.flags.has(SetFlags::MAP)
        && !set.flags.has(SetFlags::CONCAT)
        && set.elements.iter().all(|of| of.expressions.is_empty());
    if !is_plain {
        return None;
    }
    let key = |is_end: bool| {
        let of_kind = set.elements.iter().filter(move |of| {
            let flags = of.flags.unwrap_or_default();
            flags.has(ElementFlags::INTERVAL_END) == is_end && !flags.has(ElementFlags::CATCHALL)
        });
        of_kind.filter_map(|of| match &of.key {
            Some(Data::Value(value)) if of.key_end.is_none() => Some(value.as_slice()),
            _ => None,
        })
    };
    let mut begins = key(false);
    let (Some(first), None) = (begins.next(), begins.next()) else {
        return None;
    };
    if !set.flags.has(SetFlags::INTERVAL) {
        let is_only = set.elements.len() == 1;
        return is_only.then(|| Values {
            is_inverted: false,
            first: first.to_vec(),
            last: first.to_vec(),
        });
    }
    // Where the interval ends; the one of no values before it is of no account.
    let mut ends = key(true).filter(|end| *end > first);
    let last = match (ends.next(), ends.next()) {
        (None, _) => vec![0xff; first.len()],
        (Some(end), None) => one_less(end),
        (Some(_), Some(_)) => return None,
    };
    Some(Values {
        is_inverted: false,
        first: first.to_vec(),
        last,
    })
}

/// The value before one that is not zero.
fn one_less(value: &[u8]) -> Vec<u8> {
    let mut less = value.to_vec();
    for byte in less.iter_mut().rev() {
        let (lower, borrows) = byte.overflowing_sub(1);
        *byte = lower;
        if !borrows {
            break;
        }
    }
    less
}
