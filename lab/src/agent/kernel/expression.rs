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

mod matching;
mod statement;
mod wording;

use super::attributes::{Attributes, hex};
use super::error::KernelError;
use wording::with_rest;
pub(super) use wording::{data, family};

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

fn known(name: &str, attributes: &mut Attributes) -> Option<String> {
    match name {
        "bitwise" => matching::bitwise(attributes),
        "byteorder" => matching::byteorder(attributes),
        "cmp" => matching::cmp(attributes),
        "connlimit" => statement::connlimit(attributes),
        "counter" => statement::counter(attributes),
        "ct" => matching::ct(attributes),
        "dup" => statement::dup(attributes),
        "dynset" => statement::dynset(attributes),
        "exthdr" => matching::exthdr(attributes),
        "fib" => matching::fib(attributes),
        "flow_offload" => statement::flow_offload(attributes),
        "fwd" => statement::fwd(attributes),
        "hash" => matching::hash(attributes),
        "immediate" => statement::immediate(attributes),
        "inner" => matching::inner(attributes),
        "last" => statement::last(attributes),
        "limit" => statement::limit(attributes),
        "log" => statement::log(attributes),
        "lookup" => matching::lookup(attributes),
        "masq" => statement::masq(attributes),
        "match" | "target" => matching::extension(attributes),
        "meta" => matching::meta(attributes),
        "nat" => statement::nat(attributes),
        "notrack" => Some(String::new()),
        "numgen" => matching::numgen(attributes),
        "objref" => statement::objref(attributes),
        "osf" => matching::osf(attributes),
        "payload" => matching::payload(attributes),
        "queue" => statement::queue(attributes),
        "quota" => statement::quota(attributes),
        "range" => matching::range(attributes),
        "redir" => statement::redir(attributes),
        "reject" => statement::reject(attributes),
        "rt" => matching::rt(attributes),
        "socket" => matching::socket(attributes),
        "synproxy" => statement::synproxy(attributes),
        "tproxy" => statement::tproxy(attributes),
        "tunnel" => matching::tunnel(attributes),
        "xfrm" => matching::xfrm(attributes),
        _ => None,
    }
}
