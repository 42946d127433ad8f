//! The words that expressions are printed in: numbers, values, verdicts, flags, registers.

use std::fmt::Write as _;

use crate::agent::kernel::attributes::Attributes;

/// The name of a number, or the number itself where it has none that is known.
pub(super) fn named(names: &[&str], number: u32) -> String {
    let name = usize::try_from(number)
        .ok()
        .and_then(|place| names.get(place));
    name.map_or_else(|| format!("unknown-{number}"), |name| (*name).to_owned())
}

/// Appends a part of the line, if there is one, after a blank.
pub(super) fn append(line: &mut String, part: Option<String>) {
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
pub(in crate::agent::kernel) fn data(attributes: &mut Attributes, kind: u16) -> Option<String> {
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
pub(super) fn value<'a>(attributes: &mut Attributes<'a>, kind: u16) -> Option<&'a [u8]> {
    attributes.take(kind, |nest| {
        let mut data = Attributes::parse(nest).ok()?;
        let value = data.bytes(1);
        value.filter(|_| data.rest().is_empty())
    })
}

/// `enum nft_verdict_attributes`, with the names of `nftnl_verdict2str`.
pub(super) fn verdict(nest: &[u8]) -> Option<String> {
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

/// The names of the bits that are set, and those without a name as a number.
pub(super) fn bits(flags: u32, names: &[&str]) -> String {
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
pub(in crate::agent::kernel) fn family(family: u32) -> String {
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

pub(super) fn registers(line: &mut String, a: &mut Attributes, names: &[(u16, &str)]) {
    for (kind, name) in names {
        append(
            line,
            a.be32(*kind)
                .map(|register| format!("{name} reg {register}")),
        );
    }
}

pub(super) fn with_rest(mut line: String, attributes: Attributes) -> String {
    for attribute in attributes.rest() {
        line.push(' ');
        line.push_str(&attribute);
    }
    line
}
