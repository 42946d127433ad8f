//! What looks at a packet: what it loads, compares and looks up.

use super::wording::{append, data, named, value, words};
use crate::agent::kernel::attributes::{Attributes, hex};

/// `enum nft_bitwise_attributes`.
pub(super) fn bitwise(a: &mut Attributes) -> Option<String> {
    let (source, target, length) = (a.be32(1)?, a.be32(2)?, a.be32(3)?);
    let operation = a.be32(6).unwrap_or(0);
    if operation == 0 {
        let (mask, xor) = (value(a, 4)?, value(a, 5)?);
        let mut line = format!(
            "reg {target} = ( reg {source} & {} ) ^ {}",
            words(mask),
            words(xor)
        );
        // The kernel holds both to this length (nft_bitwise_init_mask_xor).
        append(
            &mut line,
            (length as usize != mask.len()).then(|| format!("len {length}")),
        );
        return Some(line);
    }
    let operator = named(&["", "<<", ">>", "&", "|", "^"], operation);
    let operand = match a.be32(8) {
        Some(register) => format!("reg {register}"),
        None => data(a, 7)?,
    };
    Some(format!(
        "reg {target} = ( reg {source} {operator} {operand} ) len {length}"
    ))
}

/// `enum nft_byteorder_attributes`.
pub(super) fn byteorder(a: &mut Attributes) -> Option<String> {
    let (source, target, operation) =
        (a.be32(1)?, a.be32(2)?, named(&["ntoh", "hton"], a.be32(3)?));
    let (length, size) = (a.be32(4)?, a.be32(5)?);
    Some(format!(
        "reg {target} = {operation}(reg {source}, {size}, {length})"
    ))
}

/// `enum nft_cmp_attributes`.
pub(super) fn cmp(a: &mut Attributes) -> Option<String> {
    let (source, operation) = (a.be32(1)?, a.be32(2)?);
    let operator = named(&["eq", "neq", "lt", "lte", "gt", "gte"], operation);
    Some(format!("{operator} reg {source} {}", data(a, 3)?))
}

/// `enum nft_range_attributes`.
pub(super) fn range(a: &mut Attributes) -> Option<String> {
    let (source, operation) = (a.be32(1)?, named(&["eq", "neq"], a.be32(2)?));
    let (from, to) = (data(a, 3)?, data(a, 4)?);
    Some(format!("{operation} reg {source} {from} {to}"))
}

/// `enum nft_match_attributes`, `enum nft_target_attributes`.
///
/// The kernel sends the payload up to what userspace may see and zeroes after it: `usersize` of the extension, in
/// `nft_extension_dump_info` of net/netfilter/nft_compat.c. No state and no address of the kernel's is in it.
pub(super) fn extension(a: &mut Attributes) -> Option<String> {
    let (name, revision, info) = (a.word(1)?, a.be32(2)?, a.bytes(3)?);
    Some(format!("name {name} rev {revision} info {}", hex(info)))
}

/// `enum nft_ct_attributes`.
pub(super) fn ct(a: &mut Attributes) -> Option<String> {
    const KEYS: [&str; 24] = [
        "state",
        "direction",
        "status",
        "mark",
        "secmark",
        "expiration",
        "helper",
        "l3protocol",
        "src",
        "dst",
        "protocol",
        "proto_src",
        "proto_dst",
        "label",
        "packets",
        "bytes",
        "avgpkt",
        "zone",
        "event",
        "src_ip",
        "dst_ip",
        "src_ip6",
        "dst_ip6",
        "id",
    ];
    let key = named(&KEYS, a.be32(2)?);
    let mut line = load_or_set(&key, a.be32(1), a.be32(4))?;
    append(
        &mut line,
        a.u8(3)
            .map(|direction| format!(", dir {}", named(&["original", "reply"], direction.into()))),
    );
    Some(line)
}

fn load_or_set(key: &str, target: Option<u32>, source: Option<u32>) -> Option<String> {
    match (target, source) {
        (Some(target), None) => Some(format!("load {key} => reg {target}")),
        (None, Some(source)) => Some(format!("set {key} with reg {source}")),
        _ => None,
    }
}

/// `enum nft_meta_attributes`.
pub(super) fn meta(a: &mut Attributes) -> Option<String> {
    const KEYS: [&str; 36] = [
        "len",
        "protocol",
        "priority",
        "mark",
        "iif",
        "oif",
        "iifname",
        "oifname",
        "iiftype",
        "oiftype",
        "skuid",
        "skgid",
        "nftrace",
        "rtclassid",
        "secmark",
        "nfproto",
        "l4proto",
        "bri_iifname",
        "bri_oifname",
        "pkttype",
        "cpu",
        "iifgroup",
        "oifgroup",
        "cgroup",
        "prandom",
        "secpath",
        "iifkind",
        "oifkind",
        "bri_iifpvid",
        "bri_iifvproto",
        "time",
        "day",
        "hour",
        "sdif",
        "sdifname",
        "broute",
    ];
    let key = named(&KEYS, a.be32(2)?);
    load_or_set(&key, a.be32(1), a.be32(3))
}

/// `enum nft_rt_attributes`.
pub(super) fn rt(a: &mut Attributes) -> Option<String> {
    let (target, key) = (a.be32(1)?, a.be32(2)?);
    let key = named(&["classid", "nexthop4", "nexthop6", "tcpmss", "ipsec"], key);
    Some(format!("load {key} => reg {target}"))
}

/// `enum nft_socket_attributes`.
pub(super) fn socket(a: &mut Attributes) -> Option<String> {
    let (key, target) = (a.be32(1)?, a.be32(2)?);
    let key = named(&["transparent", "mark", "wildcard", "cgroupv2"], key);
    let mut line = format!("load {key} => reg {target}");
    append(&mut line, a.be32(3).map(|level| format!("level {level}")));
    Some(line)
}

/// `enum nft_tunnel_attributes`.
pub(super) fn tunnel(a: &mut Attributes) -> Option<String> {
    let (key, target) = (named(&["path", "id"], a.be32(1)?), a.be32(2)?);
    let mut line = format!("load {key} => reg {target}");
    append(&mut line, a.be32(3).map(|mode| format!("mode {mode}")));
    Some(line)
}

/// `enum nft_xfrm_attributes`.
pub(super) fn xfrm(a: &mut Attributes) -> Option<String> {
    const KEYS: [&str; 7] = [
        "unspec", "daddr4", "daddr6", "saddr4", "saddr6", "reqid", "spi",
    ];
    let (target, key) = (a.be32(1)?, named(&KEYS, a.be32(2)?));
    let (direction, number) = (named(&["in", "out"], a.u8(3)?.into()), a.be32(4)?);
    Some(format!("load {direction} {number} {key} => reg {target}"))
}

/// `enum nft_osf_attributes`.
pub(super) fn osf(a: &mut Attributes) -> Option<String> {
    let mut line = format!("dreg {}", a.be32(1)?);
    append(&mut line, a.u8(2).map(|ttl| format!("ttl {ttl}")));
    append(
        &mut line,
        a.be32(3).map(|flags| format!("flags {flags:#x}")),
    );
    Some(line)
}

/// `enum nft_fib_attributes`.
pub(super) fn fib(a: &mut Attributes) -> Option<String> {
    const PRESENT: u32 = 1 << 5;
    let (target, result, flags) = (
        a.be32(1)?,
        named(&["unspec", "oif", "oifname", "type"], a.be32(2)?),
        a.be32(3)?,
    );
    let mut keys: Vec<String> = ["saddr", "daddr", "mark", "iif", "oif"]
        .iter()
        .enumerate()
        .filter(|(bit, _)| flags & (1 << bit) != 0)
        .map(|(_, key)| (*key).to_owned())
        .collect();
    let unknown = flags & !(PRESENT | 0x1f);
    if unknown != 0 {
        keys.push(format!("unknown {unknown:#x}"));
    }
    let present = if flags & PRESENT == 0 { "" } else { " present" };
    Some(format!(
        "{} {result}{present} => reg {target}",
        keys.join(" . ")
    ))
}

/// `enum nft_payload_attributes`.
pub(super) fn payload(a: &mut Attributes) -> Option<String> {
    let (base, offset, length) = (a.be32(2)?, a.be32(3)?, a.be32(4)?);
    let base = named(&["link", "network", "transport", "inner", "tunnel"], base);
    if let Some(target) = a.be32(1) {
        return Some(format!(
            "load {length}b @ {base} header + {offset} => reg {target}"
        ));
    }
    let mut line = format!(
        "write reg {} => {length}b @ {base} header + {offset}",
        a.be32(5)?
    );
    append(&mut line, a.be32(6).map(|kind| format!("csum_type {kind}")));
    append(
        &mut line,
        a.be32(7).map(|offset| format!("csum_off {offset}")),
    );
    append(
        &mut line,
        a.be32(8).map(|flags| format!("csum_flags {flags:#x}")),
    );
    Some(line)
}

/// `enum nft_exthdr_attributes`. Without a register it is `reset tcpopt`, which takes an option out.
pub(super) fn exthdr(a: &mut Attributes) -> Option<String> {
    const PRESENT: u32 = 1;
    let (kind, place, length) = (a.u8(2)?, a.be32(3)?, a.be32(4)?);
    let flags = a.be32(5).unwrap_or(0);
    let operation = named(
        &["ipv6", "tcpopt", "ipv4", "sctp", "dccp"],
        a.be32(6).unwrap_or(0),
    );
    let present = if flags & PRESENT == 0 { "" } else { " present" };
    let what = format!("{length}b @ {kind} + {place}{present}");
    let mut line = match (a.be32(1), a.be32(7)) {
        (Some(target), None) => format!("load {operation} {what} => reg {target}"),
        (None, Some(source)) => format!("write {operation} reg {source} => {what}"),
        (None, None) if length == 0 => format!("reset {operation} {kind}{present}"),
        _ => return None,
    };
    if line.starts_with("reset") {
        append(&mut line, offset(Some(place)));
    }
    let unknown = flags & !PRESENT;
    append(
        &mut line,
        (unknown != 0).then(|| format!("flags {unknown:#x}")),
    );
    Some(line)
}

/// `enum nft_lookup_attributes`.
pub(super) fn lookup(a: &mut Attributes) -> Option<String> {
    let (set, source) = (a.word(1)?, a.be32(2)?);
    let mut line = format!("reg {source} set {set}");
    append(&mut line, a.be32(3).map(|target| format!("dreg {target}")));
    append(&mut line, a.be32(5).map(|flags| format!("{flags:#x}")));
    Some(line)
}

/// `enum nft_hash_attributes`.
pub(super) fn hash(a: &mut Attributes) -> Option<String> {
    let (target, modulus) = (a.be32(2)?, a.be32(4)?);
    let mut line = match a.be32(7)? {
        0 => {
            let (source, length) = (a.be32(1)?, a.be32(3)?);
            let seed = a
                .be32(5)
                .map_or_else(|| "random".to_owned(), |seed| format!("{seed:#x}"));
            format!("reg {target} = jhash(reg {source}, {length}, {seed}) % mod {modulus}")
        }
        1 => format!("reg {target} = symhash() % mod {modulus}"),
        _ => return None,
    };
    append(&mut line, offset(a.be32(6)));
    Some(line)
}

/// `enum nft_ng_attributes`.
pub(super) fn numgen(a: &mut Attributes) -> Option<String> {
    let (target, modulus, kind) = (
        a.be32(1)?,
        a.be32(2)?,
        named(&["inc", "random"], a.be32(3)?),
    );
    let mut line = format!("reg {target} = {kind} mod {modulus}");
    append(&mut line, offset(a.be32(4)));
    Some(line)
}

/// An offset of 0 is none.
fn offset(offset: Option<u32>) -> Option<String> {
    offset
        .filter(|&offset| offset != 0)
        .map(|offset| format!("offset {offset}"))
}

/// `enum nft_inner_attributes`.
pub(super) fn inner(a: &mut Attributes) -> Option<String> {
    let mut line = String::new();
    append(
        &mut line,
        a.be32(1)
            .filter(|&number| number != 0)
            .map(|number| format!("num {number}")),
    );
    let (kind, flags, size) = (a.be32(2)?, a.be32(3)?, a.be32(4)?);
    let expression = a.take(5, |expression| super::print(expression).ok())?;
    append(
        &mut line,
        Some(format!(
            "type {kind} hdrsize {size} flags {flags:x} [ {expression} ]"
        )),
    );
    Some(line)
}
