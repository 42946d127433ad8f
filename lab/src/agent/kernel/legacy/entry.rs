//! One entry of a legacy table, a rule, a policy or the head of a chain: parsed, printed, and made.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use foldhash::HashMap;

use super::super::attributes::{hex, plain, word};
use super::super::error::KernelError;
use super::super::known::Known;
use crate::catalog::Family;

/// `struct xt_entry_target` and `struct xt_entry_match` without payload.
const EXTENSION: usize = 32;

/// `-NF_DROP - 1` and so on: how verdicts are written into standard targets.
pub(super) const DROP: i32 = -1;
pub(super) const ACCEPT: i32 = -2;
pub(super) const QUEUE: i32 = -4;
pub(super) const RETURN: i32 = -5;

/// `struct xt_standard_target`, `struct xt_error_target`, both aligned.
const STANDARD_TARGET: usize = 40;
const ERROR_TARGET: usize = 64;

/// The places of the fields of `struct ipt_entry` or `struct ip6t_entry`.
pub(super) struct Layout {
    /// How long an address is.
    address: usize,
    /// Where the interfaces begin: two names and two masks of 16 bytes.
    interfaces: usize,
    /// The protocol number.
    protocol: usize,
    /// `tos`, which IPv4 has not.
    tos: Option<usize>,
    flags: usize,
    inverted: usize,
    /// `target_offset`, then `next_offset`.
    offsets: usize,
    counters: usize,
    /// Where matches and target begin.
    size: usize,
    /// The flag that makes a jump a goto.
    goto: u8,
}

const IPV4: Layout = Layout {
    address: 4,
    interfaces: 16,
    protocol: 80,
    tos: None,
    flags: 82,
    inverted: 83,
    offsets: 88,
    counters: 96,
    size: 112,
    goto: 0x02,
};

const IPV6: Layout = Layout {
    address: 16,
    interfaces: 64,
    protocol: 128,
    tos: Some(130),
    flags: 131,
    inverted: 132,
    offsets: 140,
    counters: 152,
    size: 168,
    goto: 0x04,
};

pub(super) fn layout(family: Family) -> &'static Layout {
    match family {
        Family::Ipv4 => &IPV4,
        Family::Ipv6 => &IPV6,
    }
}

fn u16_at(bytes: &[u8], place: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(
        bytes.get(place..place.checked_add(2)?)?.try_into().ok()?,
    ))
}

pub(super) fn u32_at(bytes: &[u8], place: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(
        bytes.get(place..place.checked_add(4)?)?.try_into().ok()?,
    ))
}

/// Bytes up to the first NUL.
fn c_string(bytes: &[u8]) -> &[u8] {
    bytes.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// One entry of a table: a rule, a policy, or the head of a chain.
pub(super) struct Entry<'a> {
    layout: &'static Layout,
    /// Where it is in the table.
    pub(super) place: u32,
    /// All of it.
    bytes: &'a [u8],
    /// Name, revision and payload of each match.
    matches: Vec<Extension<'a>>,
    target: Extension<'a>,
    /// Where the target is in it.
    target_at: usize,
}

/// A match or a target.
struct Extension<'a> {
    name: &'a [u8],
    revision: u8,
    payload: &'a [u8],
}

impl<'a> Extension<'a> {
    /// The match or target at the beginning of `bytes`, and its length.
    fn parse(bytes: &'a [u8]) -> Option<(Self, usize)> {
        let length = usize::from(u16_at(bytes, 0)?);
        let header = bytes.get(2..EXTENSION)?;
        let (name, revision) = (c_string(&header[..29]), header[29]);
        Some((
            Extension {
                name,
                revision,
                payload: bytes.get(EXTENSION..length)?,
            },
            length,
        ))
    }

    /// The kernel copies the payload up to what userspace may see and zeroes after it: `usersize` of the extension, in
    /// `xt_data_to_user` of net/netfilter/x_tables.c.
    fn print(&self, word_before: &str) -> String {
        let payload = if self.payload.is_empty() {
            String::new()
        } else {
            format!(" {}", hex(self.payload))
        };
        format!(
            "{word_before} {} rev {}{payload}",
            word(self.name),
            self.revision
        )
    }
}

impl<'a> Entry<'a> {
    fn parse(layout: &'static Layout, entries: &'a [u8], place: usize) -> Option<Self> {
        let rest = entries.get(place..)?;
        let target = usize::from(u16_at(rest, layout.offsets)?);
        let next = usize::from(u16_at(rest, layout.offsets + 2)?);
        let bytes = rest.get(..next)?;
        let mut matches = Vec::new();
        let mut at = layout.size;
        while at < target {
            let (found, length) = Extension::parse(bytes.get(at..target)?)?;
            matches.push(found);
            at += length;
        }
        let target_at = target;
        let (target, _) = Extension::parse(bytes.get(target..).filter(|_| at == target)?)?;
        Some(Entry {
            layout,
            place: u32::try_from(place).ok()?,
            bytes,
            matches,
            target,
            target_at,
        })
    }

    /// Where the next entry is.
    pub(super) fn next(&self) -> u32 {
        self.place
            .saturating_add(u32::try_from(self.bytes.len()).unwrap_or(u32::MAX))
    }

    /// The verdict, if the target is a standard one, which has no name.
    pub(super) fn verdict(&self) -> Option<i32> {
        let standard = self.target.name.is_empty();
        standard
            .then(|| u32_at(self.target.payload, 0).map(u32::cast_signed))
            .flatten()
    }

    /// The name of the chain that this entry begins.
    pub(super) fn chain_name(&self) -> Option<&'a [u8]> {
        (self.target.name == b"ERROR").then(|| c_string(self.target.payload))
    }

    /// Whether every packet meets it.
    pub(super) fn is_unconditional(&self) -> bool {
        self.matches.is_empty()
            && self.bytes[..self.layout.inverted + 1]
                .iter()
                .all(|&byte| byte == 0)
    }

    pub(super) fn has_counted(&self) -> bool {
        self.bytes[self.layout.counters..self.layout.counters + 16]
            .iter()
            .any(|&byte| byte != 0)
    }

    /// The rule in one line, which may be `known`.
    pub(super) fn print(&self, chains: &HashMap<u32, &[u8]>, known: &mut Known<str>) -> Arc<str> {
        let standard = self.standard(chains);
        let printed = self.all_that_is_printed(standard.as_deref());
        known.get(&printed).unwrap_or_else(|| {
            let mut parts = vec![self.conditions()];
            parts.extend(self.matches.iter().map(|found| found.print("match")));
            parts.push(standard.unwrap_or_else(|| self.target.print("target")));
            parts.retain(|part| !part.is_empty());
            known.keep(&printed, parts.join(" | ").into())
        })
    }

    /// The entry but for its counters and what the kernel notes in it. `standard` is in the place of a standard target's
    /// verdict: where a chain is depends on the rules before it.
    fn all_that_is_printed(&self, standard: Option<&str>) -> Vec<u8> {
        let Layout { offsets, size, .. } = *self.layout;
        let end = match standard {
            Some(_) => self.target_at + EXTENSION,
            None => self.bytes.len(),
        };
        // No entry of the other family is as far to its offsets.
        let family = [u8::try_from(offsets).unwrap_or_default()];
        let (head, rest) = (&self.bytes[..offsets + 4], &self.bytes[size..end]);
        let standard = standard.unwrap_or_default().as_bytes();
        [&family, head, rest, standard].concat()
    }

    /// Verdict or jump of a standard target; empty for a rule that has none, which libiptc writes as a jump to the next
    /// entry.
    fn standard(&self, chains: &HashMap<u32, &[u8]>) -> Option<String> {
        let verdict = self.verdict()?;
        let goto = self.bytes[self.layout.flags] & self.layout.goto != 0;
        let jump = if goto { "goto" } else { "jump" };
        Some(match (verdict, u32::try_from(verdict)) {
            (DROP, _) => "DROP".to_owned(),
            (ACCEPT, _) => "ACCEPT".to_owned(),
            (QUEUE, _) => "QUEUE".to_owned(),
            (RETURN, _) => "RETURN".to_owned(),
            (_, Ok(place)) if place == self.next() && !goto => String::new(),
            (_, Ok(place)) => match chains.get(&place) {
                Some(chain) => format!("{jump} {}", word(chain)),
                None => format!("{jump} @{place}"),
            },
            (other, Err(_)) => format!("verdict {other}"),
        })
    }

    /// The fields of `struct ipt_ip` or `struct ip6t_ip6` that are set.
    fn conditions(&self) -> String {
        const IN: u8 = 0x01;
        const OUT: u8 = 0x02;
        const SOURCE: u8 = 0x08;
        const DESTINATION: u8 = 0x10;
        const PROTOCOL: u8 = 0x40;
        let layout = self.layout;
        let inverted = self.bytes[layout.inverted];
        let address =
            |number: usize| &self.bytes[number * layout.address..(number + 1) * layout.address];
        let interface = |number: usize| {
            &self.bytes[layout.interfaces + 16 * number..layout.interfaces + 16 * (number + 1)]
        };
        let protocol = u16_at(self.bytes, layout.protocol).unwrap_or_default();
        let mut line = String::new();
        let mut field = |bit: u8, name: &str, value: Option<String>| {
            let not = inverted & bit != 0;
            if value.is_some() || not {
                let value = value.unwrap_or_else(|| "any".to_owned());
                let _ = write!(
                    line,
                    "{}{}{name}={value}",
                    if line.is_empty() { "" } else { " " },
                    if not { "!" } else { "" }
                );
            }
        };
        field(SOURCE, "src", print_address(address(0), address(2)));
        field(DESTINATION, "dst", print_address(address(1), address(3)));
        field(IN, "in", print_interface(interface(0), interface(2)));
        field(OUT, "out", print_interface(interface(1), interface(3)));
        field(
            PROTOCOL,
            "proto",
            (protocol != 0).then(|| protocol.to_string()),
        );
        field(
            0,
            "tos",
            layout
                .tos
                .map(|place| self.bytes[place])
                .filter(|&tos| tos != 0)
                .map(|tos| format!("{tos:#04x}")),
        );
        let flags = self.bytes[layout.flags];
        field(0, "flags", (flags != 0).then(|| format!("{flags:#04x}")));
        let other = inverted & !(IN | OUT | SOURCE | DESTINATION | PROTOCOL);
        field(0, "inverted", (other != 0).then(|| format!("{other:#04x}")));
        line
    }
}

/// Address and mask, if any of their bits is set.
fn print_address(address: &[u8], mask: &[u8]) -> Option<String> {
    let text = |bytes: &[u8]| match *bytes {
        [a, b, c, d] => Ipv4Addr::new(a, b, c, d).to_string(),
        _ => <[u8; 16]>::try_from(bytes)
            .map_or_else(|_| hex(bytes), |bytes| Ipv6Addr::from(bytes).to_string()),
    };
    let set = address.iter().chain(mask).any(|&byte| byte != 0);
    set.then(|| format!("{}/{}", text(address), text(mask)))
}

/// `eth0` where the mask covers the name and its NUL, `eth+` where it stops before the plus that iptables keeps in the
/// name, else both in hexadecimal.
fn print_interface(name: &[u8], mask: &[u8]) -> Option<String> {
    if name.iter().chain(mask).all(|&byte| byte == 0) {
        return None;
    }
    let text = c_string(name);
    let (stem, covered) = match text.strip_suffix(b"+") {
        Some(stem) => (stem, stem.len()),
        None => (text, text.len() + 1),
    };
    let usual = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:@".contains(byte);
    let as_iptables_writes_it = stem.iter().all(usual)
        && !text.is_empty()
        && name[text.len()..].iter().all(|&byte| byte == 0)
        && mask
            .iter()
            .enumerate()
            .all(|(place, &byte)| byte == if place < covered { 0xff } else { 0 });
    if as_iptables_writes_it {
        Some(plain(text))
    } else {
        Some(format!("{}/{}", hex(name), hex(mask)))
    }
}

/// All entries of a table, in order.
pub(super) fn entries<'a>(
    layout: &'static Layout,
    blob: &'a [u8],
) -> Result<Vec<Entry<'a>>, KernelError> {
    let mut found = Vec::new();
    let mut place = 0;
    while place < blob.len() {
        let entry =
            Entry::parse(layout, blob, place).ok_or(KernelError::Malformed("legacy rule"))?;
        place += entry.bytes.len();
        found.push(entry);
    }
    Ok(found)
}

/// An entry of which everything is zero but its offsets and its target's size.
fn blank_entry(layout: &Layout, target: usize) -> Vec<u8> {
    let mut entry = vec![0; layout.size + target];
    let numbers = [
        (layout.offsets, layout.size),
        (layout.offsets + 2, layout.size + target),
        (layout.size, target),
    ];
    for (place, number) in numbers {
        let number = u16::try_from(number).expect("an entry without matches is short");
        entry[place..place + 2].copy_from_slice(&number.to_ne_bytes());
    }
    entry
}

pub(super) fn policy_entry(layout: &Layout, verdict: i32) -> Vec<u8> {
    let mut entry = blank_entry(layout, STANDARD_TARGET);
    let place = layout.size + EXTENSION;
    entry[place..place + 4].copy_from_slice(&verdict.to_ne_bytes());
    entry
}

pub(super) fn error_entry(layout: &Layout) -> Vec<u8> {
    let mut entry = blank_entry(layout, ERROR_TARGET);
    for place in [layout.size + 2, layout.size + EXTENSION] {
        entry[place..place + 5].copy_from_slice(b"ERROR");
    }
    entry
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::Blob;
    use super::*;

    #[rstest]
    #[case::exact(b"lo\0\0", &[255, 255, 255, 0], "lo")]
    #[case::wildcard(b"lo+\0", &[255, 255, 0, 0], "lo+")]
    #[case::wildcard_without_plus(b"lo\0\0", &[255, 255, 0, 0], "0x6c6f0000/0xffff0000")]
    #[case::a_plus_that_counts(b"lo+\0", &[255, 255, 255, 255], "0x6c6f2b00/0xffffffff")]
    #[case::any(b"+\0\0\0", &[0, 0, 0, 0], "+")]
    fn interfaces(#[case] name: &[u8], #[case] mask: &[u8], #[case] printed: &str) {
        assert_eq!(print_interface(name, mask).as_deref(), Some(printed));
    }

    /// Whatever the kernel looks at when a packet comes by is in the printed rule.
    #[rstest]
    #[case::ipv4(Family::Ipv4, include_bytes!("../testdata/filter-1.8.9.legacy"))]
    #[case::ipv6(Family::Ipv6, include_bytes!("../testdata/filter6-1.8.9.legacy"))]
    fn no_two_rules_print_alike(#[case] family: Family, #[case] capture: &[u8]) {
        let blob = Blob::from_capture(capture);
        let layout = layout(family);
        let (chains, mut known) = (HashMap::default(), Known::default());
        let mut tried = 0;
        for entry in entries(layout, &blob.entries).expect("well formed") {
            let printed = entry.print(&chains, &mut known);
            let standard = entry.verdict().is_some();
            let target = entry.bytes.len() - entry.target.payload.len();
            let conditions = 0..=layout.inverted;
            let payloads = matches_at(&entry).into_iter().flatten();
            let verdict = target..if standard {
                target + 4
            } else {
                entry.bytes.len()
            };
            for place in conditions.chain(payloads).chain(verdict) {
                let mut other = entry.bytes.to_vec();
                other[place] ^= 0x01;
                let other = Entry {
                    place: entry.place,
                    ..Entry::parse(layout, &other, 0).expect("still an entry")
                };
                assert_ne!(other.print(&chains, &mut known), printed, "byte {place}");
                tried += 1;
            }
        }
        assert!(tried > 500, "only {tried} changes");
    }

    /// Where the payload of each match is.
    fn matches_at(entry: &Entry) -> Vec<std::ops::Range<usize>> {
        let mut at = entry.layout.size;
        let place = |found: &Extension| {
            let payload = at + EXTENSION..at + EXTENSION + found.payload.len();
            at = payload.end;
            payload
        };
        entry.matches.iter().map(place).collect()
    }
}
