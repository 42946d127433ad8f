//! Which of the kernel's expressions a part of a rule is encoded in: an xtables match or target of its name, or what iptables-nft
//! writes natively in place of it (`nft_ipv4_add`, `__add_match`, `add_nft_*` of its iptables/nft*.c).

use std::ops::Range;

use super::parts;
use crate::catalog::Family;
use crate::observed::Clause;

/// The steps that are a rule's target, or set a target up.
const TARGETS: [&str; 14] = [
    "verdict",
    "target ",
    "reject",
    "log",
    "masq",
    "redir",
    "snat",
    "dnat",
    "notrack",
    "queue",
    "tproxy",
    "synproxy",
    "meta set ",
    "ct set ",
];

/// The native expressions of matches and targets that may be written without xtables: the first words of their steps.
const NATIVE: [(&str, &[&str]); 34] = [
    ("mark", &["meta mark"]),
    ("MARK", &["meta set mark"]),
    ("connmark", &["ct mark"]),
    ("CONNMARK", &["ct set mark"]),
    ("CT", &["ct set ", "notrack"]),
    ("NOTRACK", &["notrack"]),
    ("tcp", &["payload transport", "exthdr tcpopt"]),
    ("udp", &["payload transport"]),
    ("udplite", &["payload transport"]),
    ("sctp", &["payload transport", "exthdr sctp"]),
    ("dccp", &["payload transport", "exthdr dccp"]),
    ("icmp", &["payload transport"]),
    ("icmp6", &["payload transport"]),
    ("icmpv6", &["payload transport"]),
    ("ah", &["payload transport"]),
    ("esp", &["payload transport"]),
    ("multiport", &["payload transport"]),
    ("limit", &["limit"]),
    ("connlimit", &["connlimit", "dynset"]),
    ("quota", &["quota"]),
    ("conntrack", &["ct "]),
    ("state", &["ct state"]),
    ("helper", &["ct helper"]),
    ("pkttype", &["meta pkttype"]),
    ("length", &["meta len", "payload network"]),
    ("owner", &["meta skuid", "meta skgid"]),
    ("cgroup", &["meta cgroup", "socket cgroupv2"]),
    ("mac", &["payload link"]),
    ("iprange", &["payload network"]),
    ("statistic", &["numgen"]),
    ("addrtype", &["fib type"]),
    ("rpfilter", &["fib oif"]),
    ("LOG", &["log"]),
    ("NFLOG", &["log"]),
];

/// The parts of a rule that are encoded each for itself: `match mark`, `source`, `target NFLOG`. An option of a match or target is encoded
/// with that.
pub fn encoded_parts(words: &[&str]) -> Vec<String> {
    let named = parts(words).into_iter().filter_map(|part| {
        let target = part.text.strip_prefix("-j ");
        let target = target.filter(|_| part.name == "target");
        match target.and_then(|text| text.split(' ').next()) {
            Some(name) => Some(format!("target {name}")),
            None if part.name.contains(" -") || part.name == "target" => None,
            None => Some(part.name),
        }
    });
    let mut names: Vec<String> = named.collect();
    names.dedup();
    names
}

/// Whether a part of a rule, by its name, is encoded in a clause of the kernel's.
pub fn is_encoded_in(family: Family, part: &str, clause: &Clause) -> bool {
    let steps_begin = |with: &[&str]| {
        let mut steps = clause.steps();
        steps.any(|step| with.iter().any(|with| step.starts_with(with)))
    };
    let reads = |bytes: Range<u32>| {
        let mut read = clause.header_bytes();
        read.any(|(header, offset)| header == "network" && bytes.contains(&offset))
    };
    let (source, destination, protocol) = match family {
        Family::Ipv4 => (12..16, 16..20, 9..10),
        Family::Ipv6 => (8..24, 24..40, 6..7),
    };
    match part {
        "source" => reads(source) || steps_begin(&["source"]),
        "destination" => reads(destination) || steps_begin(&["destination"]),
        "in-interface" => steps_begin(&["meta iif", "in-interface"]),
        "out-interface" => steps_begin(&["meta oif", "out-interface"]),
        "protocol" => reads(protocol) || steps_begin(&["meta l4proto", "protocol"]),
        "target" | "goto" => steps_begin(&TARGETS),
        _ => {
            let mut kinds = ["match ", "target "].into_iter();
            let name = kinds.find_map(|kind| part.strip_prefix(kind));
            let name = name.unwrap_or(part);
            let name = name.split(' ').next().unwrap_or(name);
            let of_xtables = [format!("match {name} "), format!("target {name} ")];
            let native = NATIVE.iter().find(|(of, _)| *of == name);
            steps_begin(&[&of_xtables[0], &of_xtables[1]])
                || native.is_some_and(|(_, steps)| steps_begin(steps))
                || steps_begin(&[&name.to_ascii_lowercase()])
        }
    }
}
