//! nf_tables expressions as the kernel sends them, decoded.
//!
//! Attribute numbers are those of the kernel's include/uapi/linux/netfilter/nf_tables.h and nf_tables_compat.h; the type that each
//! decoder returns names the enum that its numbers belong to.

mod comparing;
mod header;
mod loading;
mod statement;
mod translation;
mod value;

use super::attributes::Attributes;
use super::error::KernelError;
use crate::observed::Name;
use crate::observed::expression::Expression;
pub(super) use value::data;

/// Decodes one expression, given as the attributes of `enum nft_expr_attributes`: name and data.
pub(super) fn decode(expression: &[u8]) -> Result<Expression, KernelError> {
    let mut attributes = Attributes::parse(expression)?;
    let name = attributes
        .name(1)
        .ok_or(KernelError::Malformed("name of an expression"))?;
    let data = attributes.bytes(2).unwrap_or_default();
    Ok(decode_named(name, data, attributes))
}

/// Decodes the expressions of `enum nft_list_attributes`, whose members are all expressions.
pub(super) fn decode_list(list: &[u8]) -> Result<Vec<Expression>, KernelError> {
    let members = Attributes::parse(list)?.members();
    members.map(|(_, expression)| decode(expression)).collect()
}

/// Decodes the data of the expression, or the stateful object, of this name; what is left of `others` is not known.
///
/// What this program does not know, or what lacks an attribute that the kernel always sends, is kept as it came.
pub(super) fn decode_named(name: Name, data: &[u8], others: Attributes) -> Expression {
    let known = Attributes::parse(data).ok().and_then(|mut attributes| {
        let known = known(&name, &mut attributes)?;
        Some((known, attributes.rest()))
    });
    let (known, mut rest) = known.unwrap_or_else(|| {
        let attributes = data.into();
        (Expression::Other { name, attributes }, Vec::new())
    });
    rest.extend(others.rest());
    known.with(rest)
}

fn known(name: &Name, attributes: &mut Attributes) -> Option<Expression> {
    let a = attributes;
    Some(match name.as_bytes() {
        b"bitwise" => Expression::Bitwise(comparing::bitwise(a)?),
        b"byteorder" => Expression::Byteorder(comparing::byteorder(a)?),
        b"cmp" => Expression::Cmp(comparing::cmp(a)?),
        b"connlimit" => Expression::Connlimit(statement::connlimit(a)?),
        b"counter" => statement::counter(a),
        b"ct" => Expression::Ct(loading::ct(a)?),
        b"dup" => Expression::Dup(translation::dup(a)),
        b"dynset" => Expression::Dynset(statement::dynset(a)?.into()),
        b"exthdr" => Expression::Exthdr(header::exthdr(a)?),
        b"fib" => Expression::Fib(loading::fib(a)?),
        b"flow_offload" => Expression::FlowOffload(statement::flow_offload(a)?),
        b"fwd" => Expression::Fwd(translation::fwd(a)?),
        b"hash" => Expression::Hash(comparing::hash(a)?),
        b"immediate" => Expression::Immediate(statement::immediate(a)?),
        b"inner" => Expression::Inner(header::inner(a)?.into()),
        b"last" => statement::last(a),
        b"limit" => Expression::Limit(statement::limit(a)?),
        b"log" => Expression::Log(statement::log(a)),
        b"lookup" => Expression::Lookup(comparing::lookup(a)?),
        b"masq" => Expression::Masq(translation::masq(a)),
        b"match" => Expression::Match(loading::extension(a)?),
        b"meta" => Expression::Meta(loading::meta(a)?),
        b"nat" => Expression::Nat(translation::nat(a)?),
        b"notrack" => Expression::Notrack,
        b"numgen" => Expression::Numgen(comparing::numgen(a)?),
        b"objref" => Expression::Objref(statement::objref(a)?),
        b"osf" => Expression::Osf(loading::osf(a)?),
        b"payload" => Expression::Payload(header::payload(a)?),
        b"queue" => Expression::Queue(statement::queue(a)?),
        b"quota" => Expression::Quota(statement::quota(a)?),
        b"range" => Expression::Range(comparing::range(a)?),
        b"redir" => Expression::Redir(translation::redir(a)),
        b"reject" => Expression::Reject(statement::reject(a)?),
        b"rt" => Expression::Rt(loading::rt(a)?),
        b"socket" => Expression::Socket(loading::socket(a)?),
        b"synproxy" => Expression::Synproxy(translation::synproxy(a)?),
        b"target" => Expression::Target(loading::extension(a)?),
        b"tproxy" => Expression::Tproxy(translation::tproxy(a)?),
        b"tunnel" => Expression::Tunnel(loading::tunnel(a)?),
        b"xfrm" => Expression::Xfrm(loading::xfrm(a)?),
        _ => return None,
    })
}
