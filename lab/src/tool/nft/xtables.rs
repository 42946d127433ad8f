//! What matches and targets of xtables do, in nf_tables' own expressions: nft prints them so (the `xlate` functions of iptables'
//! extensions), and whoever loads that print leaves these expressions in their place.
//!
//! Each that is known is here, with the kernel's sources of both; all others mean only themselves. Numbers are of the machine's own
//! byte order, in the payloads of extensions as in registers.

use crate::observed::Value;
use crate::observed::expression::{
    Access, Bitwise, Cmp, CmpOperator, Ct, CtKey, Expression, Extension, Masquerade, Meta, MetaKey,
    Register,
};

/// The register that nft and iptables load into.
const REGISTER: Register = Register(1);

/// The expressions that do what a match of xtables does; none where that is not known.
pub fn of_match(of: &Extension) -> Option<Vec<Expression>> {
    match (of.name.as_bytes(), of.revision) {
        (b"mark", 1) => mark(of.payload.as_slice()),
        (b"conntrack", 2..=3) => state(of.payload.as_slice()),
        _ => None,
    }
}

/// The expressions that do what a target of xtables does; none where that is not known.
pub fn of_target(of: &Extension) -> Option<Vec<Expression>> {
    match (of.name.as_bytes(), of.revision) {
        (b"MASQUERADE", 0) => masquerade(of.payload.as_slice()),
        _ => None,
    }
}

/// `struct xt_mark_mtinfo1` { u32 mark, mask; u8 invert }: `mark_mt` of net/netfilter/xt_mark.c takes packets whose mark is that under
/// the mask, or all others; as a comparison of `meta mark` does (`nft_meta_get_eval`, nft_bitwise.c, nft_cmp.c).
fn mark(info: &[u8]) -> Option<Vec<Expression>> {
    let (mark, mask, invert) = (info.get(..4)?, info.get(4..8)?, *info.get(8)?);
    let load = Expression::Meta(Meta {
        key: MetaKey::Mark,
        access: Access::Load(REGISTER),
    });
    let operator = match invert {
        0 => CmpOperator::Equal,
        _ => CmpOperator::NotEqual,
    };
    let is_whole = mask.iter().all(|byte| *byte == 0xff);
    let masked = (!is_whole).then(|| masked(mask));
    let all = [Some(load), masked, Some(compared(operator, mark))];
    Some(all.into_iter().flatten().collect())
}

/// `struct xt_conntrack_mtinfo3` (and 2, which begins alike) with nothing but states: `conntrack_mt` of
/// net/netfilter/xt_conntrack.c tests the bit of the packet's state among `state_mask`, and nft_ct.c (`nft_ct_get_eval`) loads the
/// same bit (`NF_CT_STATE_BIT`). What is not tracked has another bit in each, and translated addresses none in nft.
fn state(info: &[u8]) -> Option<Vec<Expression>> {
    const STATE: u16 = 1 << 0;
    const STATE_ALIAS: u16 = 1 << 13;
    const INVALID_TO_NEW: u16 = 0b1111;
    const UNTRACKED: (u16, u32) = (1 << 8, 1 << 6);
    let number = |at: usize| {
        let bytes = info.get(at..at + 2)?;
        Some(u16::from_ne_bytes(bytes.try_into().ok()?))
    };
    let (looks_at, inverted) = (number(146)?, number(148)?);
    let states = number(150)?;
    if looks_at & !STATE_ALIAS != STATE || inverted & !STATE != 0 {
        return None;
    }
    if states & !(INVALID_TO_NEW | UNTRACKED.0) != 0 {
        return None;
    }
    let untracked = match states & UNTRACKED.0 {
        0 => 0,
        _ => UNTRACKED.1,
    };
    let bits = u32::from(states & INVALID_TO_NEW) | untracked;
    let load = Expression::Ct(Ct {
        key: CtKey::State,
        access: Access::Load(REGISTER),
        direction: None,
    });
    let operator = match inverted {
        0 => CmpOperator::NotEqual,
        _ => CmpOperator::Equal,
    };
    Some(vec![
        load,
        masked(&bits.to_ne_bytes()),
        compared(operator, &[0; 4]),
    ])
}

/// `struct nf_nat_ipv4_multi_range_compat` or `struct nf_nat_range` without ports and flags: `masquerade_tg` of
/// net/netfilter/xt_MASQUERADE.c calls `nf_nat_masquerade_ipv4` or `_ipv6` with that, as nft_masq.c does without registers.
fn masquerade(info: &[u8]) -> Option<Vec<Expression>> {
    // That of IPv4 begins with how many ranges there are, which is one.
    let of_ipv4 = info.strip_prefix(&1_u32.to_ne_bytes());
    let rest = of_ipv4.filter(|_| info.len() == 24).unwrap_or(info);
    let is_plain = rest.iter().all(|byte| *byte == 0);
    is_plain.then(|| {
        vec![Expression::Masq(Masquerade {
            proto_min: None,
            proto_max: None,
            flags: None,
        })]
    })
}

fn masked(mask: &[u8]) -> Expression {
    Expression::Bitwise(Bitwise::Mask {
        from: REGISTER,
        to: REGISTER,
        length: 4,
        mask: Value::from(mask),
        flips: Value::from(&[0; 4][..]),
    })
}

fn compared(operator: CmpOperator, value: &[u8]) -> Expression {
    Expression::Cmp(Cmp {
        from: REGISTER,
        operator,
        value: Value::from(value),
    })
}
