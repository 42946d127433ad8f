//! nf_tables expressions as text: what `nft --debug=netlink` prints, made exact.
//!
//! The words are those of libnftnl's `src/expr/*.c`, so that a dump can be held beside `nft`'s own output. Where
//! libnftnl prints two different expressions alike, this program does not:
//!
//! - the last word of a value is no wider than the value (`0x06` for one byte), since `-i lo` and `-i lo+` differ in
//!   nothing but the length of what is compared;
//! - the payload of xtables matches and targets is printed;
//! - names that hold blanks or quotes are in quotes;
//! - attributes that libnftnl leaves out follow at the end, by name, or as `attribute N 0x…` where unknown.
//!
//! What the packets themselves change is left out: counters, consumed quota, time of last use.
//!
//! Attribute numbers are those of the kernel's include/uapi/linux/netfilter/nf_tables.h and nf_tables_compat.h; each
//! printer names the enum that its numbers belong to.

use std::fmt::Write as _;

use super::attributes::{Attributes, hex};
use super::error::KernelError;

/// Prints one expression, given as the attributes of `enum nft_expr_attributes`: name and data.
pub(super) fn print(expression: &[u8]) -> Result<String, KernelError> {
    let mut attributes = Attributes::parse(expression)?;
    let name = attributes
        .word(1)
        .ok_or(KernelError::Malformed("name of an expression"))?;
    let data = attributes.bytes(2).unwrap_or_default();
    Ok(with_rest(print_named(&name, data), attributes))
}

/// Prints the expressions of `enum nft_list_attributes`, whose members are all expressions.
pub(super) fn print_list(list: &[u8]) -> Result<Vec<String>, KernelError> {
    let members = Attributes::parse(list)?.members();
    members.map(|(_, expression)| print(expression)).collect()
}

/// Prints the data of the expression, or the stateful object, of this name.
///
/// What this program does not know, or what lacks an attribute that the kernel always sends, is printed raw.
pub(super) fn print_named(name: &str, data: &[u8]) -> String {
    let printed = Attributes::parse(data).ok().and_then(|mut attributes| {
        let line = known(name, &mut attributes)?;
        let line = if line.is_empty() {
            name.to_owned()
        } else {
            format!("{name} {line}")
        };
        Some(with_rest(line, attributes))
    });
    printed.unwrap_or_else(|| format!("{name} raw {}", hex(data)))
}

fn with_rest(mut line: String, attributes: Attributes) -> String {
    for attribute in attributes.rest() {
        line.push(' ');
        line.push_str(&attribute);
    }
    line
}

fn known(name: &str, attributes: &mut Attributes) -> Option<String> {
    match name {
        "bitwise" => bitwise(attributes),
        "byteorder" => byteorder(attributes),
        "cmp" => cmp(attributes),
        "connlimit" => connlimit(attributes),
        "counter" => counter(attributes),
        "ct" => ct(attributes),
        "dup" => dup(attributes),
        "dynset" => dynset(attributes),
        "exthdr" => exthdr(attributes),
        "fib" => fib(attributes),
        "flow_offload" => flow_offload(attributes),
        "fwd" => fwd(attributes),
        "hash" => hash(attributes),
        "immediate" => immediate(attributes),
        "inner" => inner(attributes),
        "last" => last(attributes),
        "limit" => limit(attributes),
        "log" => log(attributes),
        "lookup" => lookup(attributes),
        "masq" => masq(attributes),
        "match" | "target" => extension(attributes),
        "meta" => meta(attributes),
        "nat" => nat(attributes),
        "notrack" => Some(String::new()),
        "numgen" => numgen(attributes),
        "objref" => objref(attributes),
        "osf" => osf(attributes),
        "payload" => payload(attributes),
        "queue" => queue(attributes),
        "quota" => quota(attributes),
        "range" => range(attributes),
        "redir" => redir(attributes),
        "reject" => reject(attributes),
        "rt" => rt(attributes),
        "socket" => socket(attributes),
        "synproxy" => synproxy(attributes),
        "tproxy" => tproxy(attributes),
        "tunnel" => tunnel(attributes),
        "xfrm" => xfrm(attributes),
        _ => None,
    }
}

/// The name of a number, or the number itself where it has none that is known.
fn named(names: &[&str], number: u32) -> String {
    let name = usize::try_from(number)
        .ok()
        .and_then(|place| names.get(place));
    name.map_or_else(|| format!("unknown-{number}"), |name| (*name).to_owned())
}

/// Appends a part of the line, if there is one, after a blank.
fn append(line: &mut String, part: Option<String>) {
    if let Some(part) = part {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&part);
    }
}

/// A value as 32-bit words of the host's byte order, the last one no wider than the bytes that are there.
///
/// libnftnl pads it (`nftnl_data_reg_value_snprintf_default`, up to 1.3.0), and so loses the length.
pub(super) fn words(value: &[u8]) -> String {
    let mut line = String::with_capacity(11 * value.len().div_ceil(4));
    for bytes in value.chunks(4) {
        let mut word = [0; 4];
        word[..bytes.len()].copy_from_slice(bytes);
        let whole = bytes.len() == 4;
        let number = if whole {
            u32::from_ne_bytes(word)
        } else {
            u32::from_le_bytes(word)
        };
        let separator = if line.is_empty() { "" } else { " " };
        write!(
            line,
            "{separator}0x{number:0width$x}",
            width = 2 * bytes.len()
        )
        .expect("a string takes every write");
    }
    line
}

/// `enum nft_data_attributes`: a value or a verdict.
pub(super) fn data(attributes: &mut Attributes, kind: u16) -> Option<String> {
    attributes.take(kind, |nest| {
        let mut data = Attributes::parse(nest).ok()?;
        let printed = match data.bytes(1) {
            Some(value) => words(value),
            None => verdict(data.bytes(2)?)?,
        };
        Some(with_rest(printed, data))
    })
}

/// `enum nft_data_attributes` that holds a value and nothing else.
fn value<'a>(attributes: &mut Attributes<'a>, kind: u16) -> Option<&'a [u8]> {
    attributes.take(kind, |nest| {
        let mut data = Attributes::parse(nest).ok()?;
        let value = data.bytes(1);
        value.filter(|_| data.rest().is_empty())
    })
}

/// `enum nft_verdict_attributes`, with the names of `nftnl_verdict2str`.
fn verdict(nest: &[u8]) -> Option<String> {
    let mut attributes = Attributes::parse(nest).ok()?;
    let code = attributes.be32(1)?.cast_signed();
    let mut line = match code {
        0 => "drop".to_owned(),
        1 => "accept".to_owned(),
        2 => "stolen".to_owned(),
        3 => "queue".to_owned(),
        4 => "repeat".to_owned(),
        5 => "stop".to_owned(),
        -1 => "continue".to_owned(),
        -2 => "break".to_owned(),
        -3 => "jump".to_owned(),
        -4 => "goto".to_owned(),
        -5 => "return".to_owned(),
        other => format!("verdict {other:#x}"),
    };
    append(
        &mut line,
        attributes.word(2).map(|chain| format!("-> {chain}")),
    );
    Some(with_rest(line, attributes))
}

/// `enum nft_bitwise_attributes`.
fn bitwise(a: &mut Attributes) -> Option<String> {
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
fn byteorder(a: &mut Attributes) -> Option<String> {
    let (source, target, operation) =
        (a.be32(1)?, a.be32(2)?, named(&["ntoh", "hton"], a.be32(3)?));
    let (length, size) = (a.be32(4)?, a.be32(5)?);
    Some(format!(
        "reg {target} = {operation}(reg {source}, {size}, {length})"
    ))
}

/// `enum nft_cmp_attributes`.
fn cmp(a: &mut Attributes) -> Option<String> {
    let (source, operation) = (a.be32(1)?, a.be32(2)?);
    let operator = named(&["eq", "neq", "lt", "lte", "gt", "gte"], operation);
    Some(format!("{operator} reg {source} {}", data(a, 3)?))
}

/// `enum nft_range_attributes`.
fn range(a: &mut Attributes) -> Option<String> {
    let (source, operation) = (a.be32(1)?, named(&["eq", "neq"], a.be32(2)?));
    let (from, to) = (data(a, 3)?, data(a, 4)?);
    Some(format!("{operation} reg {source} {from} {to}"))
}

/// `enum nft_immediate_attributes`.
fn immediate(a: &mut Attributes) -> Option<String> {
    let target = a.be32(1)?;
    Some(format!("reg {target} {}", data(a, 2)?))
}

/// `enum nft_match_attributes`, `enum nft_target_attributes`.
///
/// The kernel sends the payload up to what userspace may see and zeroes after it: `usersize` of the extension, in
/// `nft_extension_dump_info` of net/netfilter/nft_compat.c. No state and no address of the kernel's is in it.
fn extension(a: &mut Attributes) -> Option<String> {
    let (name, revision, info) = (a.word(1)?, a.be32(2)?, a.bytes(3)?);
    Some(format!("name {name} rev {revision} info {}", hex(info)))
}

/// `enum nft_counter_attributes`: bytes and packets change with every packet.
fn counter(a: &mut Attributes) -> Option<String> {
    a.ignore(&[1, 2, 3]);
    Some(String::new())
}

/// `enum nft_last_attributes`: whether and when it was last met.
fn last(a: &mut Attributes) -> Option<String> {
    a.ignore(&[1, 2, 3]);
    Some(String::new())
}

/// `enum nft_quota_attributes`, without what is consumed and without `NFT_QUOTA_F_DEPLETED`, which follows from it.
fn quota(a: &mut Attributes) -> Option<String> {
    const DEPLETED: u32 = 1 << 1;
    let (bytes, flags) = (a.be64(1)?, a.be32(2)?);
    a.ignore(&[3, 4]);
    Some(format!("bytes {bytes} flags {}", flags & !DEPLETED))
}

/// `enum nft_connlimit_attributes`.
fn connlimit(a: &mut Attributes) -> Option<String> {
    let (count, flags) = (a.be32(1)?, a.be32(2)?);
    Some(format!("count {count} flags {flags:x}"))
}

/// `enum nft_limit_attributes`, with the units of libnftnl's `get_time`.
fn limit(a: &mut Attributes) -> Option<String> {
    let (rate, unit, burst) = (a.be64(1)?, a.be64(2)?, a.be32(3)?);
    let (kind, flags) = (named(&["packets", "bytes"], a.be32(4)?), a.be32(5)?);
    a.ignore(&[6]);
    Some(format!(
        "rate {rate}/{} burst {burst} type {kind} flags {flags:#x}",
        period(unit)
    ))
}

fn period(mut seconds: u64) -> String {
    let mut unit = "second";
    for (size, larger) in [(60, "minute"), (60, "hour"), (24, "day"), (7, "week")] {
        if seconds == 0 || !seconds.is_multiple_of(size) {
            break;
        }
        seconds /= size;
        unit = larger;
    }
    if seconds == 1 {
        unit.to_owned()
    } else {
        format!("{seconds} {unit}")
    }
}

/// `enum nft_ct_attributes`.
fn ct(a: &mut Attributes) -> Option<String> {
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
fn meta(a: &mut Attributes) -> Option<String> {
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
fn rt(a: &mut Attributes) -> Option<String> {
    let (target, key) = (a.be32(1)?, a.be32(2)?);
    let key = named(&["classid", "nexthop4", "nexthop6", "tcpmss", "ipsec"], key);
    Some(format!("load {key} => reg {target}"))
}

/// `enum nft_socket_attributes`.
fn socket(a: &mut Attributes) -> Option<String> {
    let (key, target) = (a.be32(1)?, a.be32(2)?);
    let key = named(&["transparent", "mark", "wildcard", "cgroupv2"], key);
    let mut line = format!("load {key} => reg {target}");
    append(&mut line, a.be32(3).map(|level| format!("level {level}")));
    Some(line)
}

/// `enum nft_tunnel_attributes`.
fn tunnel(a: &mut Attributes) -> Option<String> {
    let (key, target) = (named(&["path", "id"], a.be32(1)?), a.be32(2)?);
    let mut line = format!("load {key} => reg {target}");
    append(&mut line, a.be32(3).map(|mode| format!("mode {mode}")));
    Some(line)
}

/// `enum nft_xfrm_attributes`.
fn xfrm(a: &mut Attributes) -> Option<String> {
    const KEYS: [&str; 7] = [
        "unspec", "daddr4", "daddr6", "saddr4", "saddr6", "reqid", "spi",
    ];
    let (target, key) = (a.be32(1)?, named(&KEYS, a.be32(2)?));
    let (direction, number) = (named(&["in", "out"], a.u8(3)?.into()), a.be32(4)?);
    Some(format!("load {direction} {number} {key} => reg {target}"))
}

/// `enum nft_osf_attributes`.
fn osf(a: &mut Attributes) -> Option<String> {
    let mut line = format!("dreg {}", a.be32(1)?);
    append(&mut line, a.u8(2).map(|ttl| format!("ttl {ttl}")));
    append(
        &mut line,
        a.be32(3).map(|flags| format!("flags {flags:#x}")),
    );
    Some(line)
}

/// `enum nft_fib_attributes`.
fn fib(a: &mut Attributes) -> Option<String> {
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
fn payload(a: &mut Attributes) -> Option<String> {
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
fn exthdr(a: &mut Attributes) -> Option<String> {
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
fn lookup(a: &mut Attributes) -> Option<String> {
    let (set, source) = (a.word(1)?, a.be32(2)?);
    let mut line = format!("reg {source} set {set}");
    append(&mut line, a.be32(3).map(|target| format!("dreg {target}")));
    append(&mut line, a.be32(5).map(|flags| format!("{flags:#x}")));
    Some(line)
}

/// `enum nft_dynset_attributes`. The kernel sends one expression alone, several as a list (`nft_dynset_dump`).
fn dynset(a: &mut Attributes) -> Option<String> {
    let set = a.word(1)?;
    let operation = named(&["add", "update", "delete"], a.be32(3)?);
    let mut line = format!("{operation} reg_key {} set {set}", a.be32(4)?);
    append(
        &mut line,
        a.be32(5).map(|source| format!("sreg_data {source}")),
    );
    append(
        &mut line,
        a.be64(6).map(|timeout| format!("timeout {timeout}ms")),
    );
    append(
        &mut line,
        a.be32(9).map(|flags| format!("flags {flags:#x}")),
    );
    append(
        &mut line,
        a.take(7, |expression| {
            Some(format!("expr [ {} ]", print(expression).ok()?))
        }),
    );
    append(
        &mut line,
        a.take(10, |list| {
            Some(format!(
                "exprs [ {} ]",
                print_list(list).ok()?.join(" ] [ ")
            ))
        }),
    );
    a.ignore(&[8]);
    Some(line)
}

/// `enum nft_objref_attributes`.
fn objref(a: &mut Attributes) -> Option<String> {
    match a.be32(3) {
        Some(source) => Some(format!("sreg {source} set {}", a.word(4)?)),
        None => Some(format!("type {} name {}", a.be32(1)?, a.word(2)?)),
    }
}

/// `enum nft_offload_attributes`.
fn flow_offload(a: &mut Attributes) -> Option<String> {
    Some(format!("flowtable {}", a.word(1)?))
}

/// `enum nft_hash_attributes`.
fn hash(a: &mut Attributes) -> Option<String> {
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
fn numgen(a: &mut Attributes) -> Option<String> {
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

/// `enum nft_log_attributes`. libnftnl prints `snaplen 0` where there is none; for the kernel these are two things
/// (`NF_LOG_F_COPY_LEN`).
fn log(a: &mut Attributes) -> Option<String> {
    const FLAGS: [&str; 6] = ["tcpseq", "tcpopt", "ipopt", "uid", "nflog", "macdecode"];
    let mut line = String::new();
    append(
        &mut line,
        a.word(2).map(|prefix| format!("prefix {prefix}")),
    );
    append(&mut line, a.be16(1).map(|group| format!("group {group}")));
    append(
        &mut line,
        a.be32(3).map(|length| format!("snaplen {length}")),
    );
    append(
        &mut line,
        a.be16(4).map(|threshold| format!("qthreshold {threshold}")),
    );
    append(&mut line, a.be32(5).map(|level| format!("level {level}")));
    append(&mut line, a.be32(6).map(|flags| bits(flags, &FLAGS)));
    Some(line)
}

/// The names of the bits that are set, and those without a name as a number.
fn bits(flags: u32, names: &[&str]) -> String {
    let mut line = String::new();
    let mut unknown = flags;
    for (bit, name) in names.iter().enumerate() {
        if flags & (1 << bit) != 0 {
            append(&mut line, Some((*name).to_owned()));
            unknown &= !(1 << bit);
        }
    }
    append(
        &mut line,
        (unknown != 0 || flags == 0).then(|| format!("flags {unknown:#x}")),
    );
    line
}

/// The name that libnftnl gives a protocol family.
pub(super) fn family(family: u32) -> String {
    match family {
        1 => "inet".to_owned(),
        2 => "ip".to_owned(),
        3 => "arp".to_owned(),
        5 => "netdev".to_owned(),
        7 => "bridge".to_owned(),
        10 => "ip6".to_owned(),
        other => format!("unknown-{other}"),
    }
}

fn registers(line: &mut String, a: &mut Attributes, names: &[(u16, &str)]) {
    for (kind, name) in names {
        append(
            line,
            a.be32(*kind)
                .map(|register| format!("{name} reg {register}")),
        );
    }
}

/// `enum nft_nat_attributes`.
fn nat(a: &mut Attributes) -> Option<String> {
    let (kind, nfproto) = (named(&["snat", "dnat"], a.be32(1)?), family(a.be32(2)?));
    let mut line = format!("{kind} {nfproto}");
    registers(
        &mut line,
        a,
        &[
            (3, "addr_min"),
            (4, "addr_max"),
            (5, "proto_min"),
            (6, "proto_max"),
        ],
    );
    append(
        &mut line,
        a.be32(7).map(|flags| format!("flags {flags:#x}")),
    );
    Some(line)
}

/// `enum nft_masq_attributes`.
fn masq(a: &mut Attributes) -> Option<String> {
    let mut line = String::new();
    registers(&mut line, a, &[(2, "proto_min"), (3, "proto_max")]);
    append(
        &mut line,
        a.be32(1).map(|flags| format!("flags {flags:#x}")),
    );
    Some(line)
}

/// `enum nft_redir_attributes`.
fn redir(a: &mut Attributes) -> Option<String> {
    let mut line = String::new();
    registers(&mut line, a, &[(1, "proto_min"), (2, "proto_max")]);
    append(
        &mut line,
        a.be32(3).map(|flags| format!("flags {flags:#x}")),
    );
    Some(line)
}

/// `enum nft_tproxy_attributes`.
fn tproxy(a: &mut Attributes) -> Option<String> {
    let nfproto = a.be32(1)?;
    let mut line = if nfproto == 0 {
        String::new()
    } else {
        family(nfproto)
    };
    registers(&mut line, a, &[(2, "addr"), (3, "port")]);
    Some(line)
}

/// `enum nft_dup_attributes`.
fn dup(a: &mut Attributes) -> Option<String> {
    let mut line = String::new();
    append(
        &mut line,
        a.be32(1).map(|register| format!("sreg_addr {register}")),
    );
    append(
        &mut line,
        a.be32(2).map(|register| format!("sreg_dev {register}")),
    );
    Some(line)
}

/// `enum nft_fwd_attributes`.
fn fwd(a: &mut Attributes) -> Option<String> {
    let mut line = format!("sreg_dev {}", a.be32(1)?);
    append(
        &mut line,
        a.be32(2).map(|register| format!("sreg_addr {register}")),
    );
    append(
        &mut line,
        a.be32(3).map(|nfproto| format!("nfproto {nfproto}")),
    );
    Some(line)
}

/// `enum nft_reject_attributes`; a TCP reset has no code.
fn reject(a: &mut Attributes) -> Option<String> {
    let mut line = format!("type {}", a.be32(1)?);
    append(&mut line, a.u8(2).map(|code| format!("code {code}")));
    Some(line)
}

/// `enum nft_queue_attributes`.
fn queue(a: &mut Attributes) -> Option<String> {
    let mut line = String::new();
    if let Some(first) = a.be16(1) {
        let total = a.be16(2).filter(|&total| total != 0)?;
        line = match total {
            1 => format!("num {first}"),
            more => format!("num {first}-{}", u32::from(first) + u32::from(more) - 1),
        };
    }
    append(
        &mut line,
        a.be32(4).map(|register| format!("sreg_qnum {register}")),
    );
    append(
        &mut line,
        a.be16(3)
            .filter(|&flags| flags != 0)
            .map(|flags| bits(flags.into(), &["bypass", "fanout"])),
    );
    Some(line)
}

/// `enum nft_synproxy_attributes`.
fn synproxy(a: &mut Attributes) -> Option<String> {
    let (mss, scale, flags) = (a.be16(1)?, a.u8(2)?, a.be32(3)?);
    Some(format!("mss {mss} wscale {scale} flags {flags:#x}"))
}

/// `enum nft_inner_attributes`.
fn inner(a: &mut Attributes) -> Option<String> {
    let mut line = String::new();
    append(
        &mut line,
        a.be32(1)
            .filter(|&number| number != 0)
            .map(|number| format!("num {number}")),
    );
    let (kind, flags, size) = (a.be32(2)?, a.be32(3)?, a.be32(4)?);
    let expression = a.take(5, |expression| print(expression).ok())?;
    append(
        &mut line,
        Some(format!(
            "type {kind} hdrsize {size} flags {flags:x} [ {expression} ]"
        )),
    );
    Some(line)
}
