//! One entry of a legacy table, a rule, a policy or the head of a chain: decoded, and made.

use std::net::IpAddr;
use std::sync::Arc;

use foldhash::HashMap;

use super::super::decoded::DecodedRules;
use super::super::error::KernelError;
use crate::catalog::Family;
use crate::observed::expression::Extension;
use crate::observed::{
    Conditions, Interface, LegacyEntry, LegacyRule, LegacyTarget, Name, Network,
};

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
    matches: Vec<Sent<'a>>,
    target: Sent<'a>,
    /// Where the target is in it.
    target_at: usize,
}

/// A match or a target as it was sent.
struct Sent<'a> {
    name: &'a [u8],
    revision: u8,
    payload: &'a [u8],
}

impl<'a> Sent<'a> {
    /// The match or target at the beginning of `bytes`, and its length.
    fn parse(bytes: &'a [u8]) -> Option<(Self, usize)> {
        let length = usize::from(u16_at(bytes, 0)?);
        let header = bytes.get(2..EXTENSION)?;
        let (name, revision) = (c_string(&header[..29]), header[29]);
        Some((
            Sent {
                name,
                revision,
                payload: bytes.get(EXTENSION..length)?,
            },
            length,
        ))
    }

    /// The kernel copies the payload up to what userspace may see and zeroes after it: `usersize` of the extension, in
    /// `xt_data_to_user` of net/netfilter/x_tables.c.
    fn extension(&self) -> Extension {
        Extension {
            name: self.name.into(),
            revision: self.revision.into(),
            payload: self.payload.into(),
        }
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
            let (found, length) = Sent::parse(bytes.get(at..target)?)?;
            matches.push(found);
            at += length;
        }
        let target_at = target;
        let (target, _) = Sent::parse(bytes.get(target..).filter(|_| at == target)?)?;
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

    /// The rule, which may be `decoded`.
    pub(super) fn rule(
        &self,
        chains: &HashMap<u32, &[u8]>,
        decoded: &mut DecodedRules<LegacyRule>,
    ) -> Arc<LegacyRule> {
        let standard = self.standard(chains);
        let decisive = self.all_that_decides(standard.as_ref());
        decoded.get(&decisive).unwrap_or_else(|| {
            let entry = LegacyEntry {
                conditions: self.conditions(),
                matches: self.matches.iter().map(Sent::extension).collect(),
                target: standard
                    .unwrap_or_else(|| LegacyTarget::Extension(self.target.extension())),
            };
            decoded.keep(&decisive, LegacyRule::Entry(entry.into()).into())
        })
    }

    /// The entry but for its counters and what the kernel notes in it. `standard` is in the place of a standard target's
    /// verdict: where a chain is depends on the rules before it.
    fn all_that_decides(&self, standard: Option<&LegacyTarget>) -> Vec<u8> {
        let Layout { offsets, size, .. } = *self.layout;
        let end = match standard {
            Some(_) => self.target_at + EXTENSION,
            None => self.bytes.len(),
        };
        // No entry of the other family is as far to its offsets.
        let family = [u8::try_from(offsets).unwrap_or_default()];
        let (head, rest) = (&self.bytes[..offsets + 4], &self.bytes[size..end]);
        let standard = standard.map(ToString::to_string).unwrap_or_default();
        [&family, head, rest, standard.as_bytes()].concat()
    }

    /// What a standard target does. A rule that has none libiptc writes as a jump to the next entry.
    fn standard(&self, chains: &HashMap<u32, &[u8]>) -> Option<LegacyTarget> {
        let verdict = self.verdict()?;
        let goto = self.bytes[self.layout.flags] & self.layout.goto != 0;
        Some(match (verdict, u32::try_from(verdict)) {
            (DROP, _) => LegacyTarget::Drop,
            (ACCEPT, _) => LegacyTarget::Accept,
            (QUEUE, _) => LegacyTarget::Queue,
            (RETURN, _) => LegacyTarget::Return,
            (_, Ok(place)) if place == self.next() && !goto => LegacyTarget::Next,
            (_, Ok(place)) => {
                let name = match chains.get(&place) {
                    Some(chain) => Name::from(*chain),
                    None => format!("@{place}").into_bytes().into(),
                };
                if goto {
                    LegacyTarget::Goto(name)
                } else {
                    LegacyTarget::Jump(name)
                }
            }
            (other, Err(_)) => LegacyTarget::Verdict(other),
        })
    }

    /// The fields of `struct ipt_ip` or `struct ip6t_ip6` that are set.
    fn conditions(&self) -> Conditions {
        let layout = self.layout;
        let address =
            |number: usize| &self.bytes[number * layout.address..(number + 1) * layout.address];
        let interface = |number: usize| {
            &self.bytes[layout.interfaces + 16 * number..layout.interfaces + 16 * (number + 1)]
        };
        Conditions {
            source: network(address(0), address(2)),
            destination: network(address(1), address(3)),
            in_interface: named_interface(interface(0), interface(2)),
            out_interface: named_interface(interface(1), interface(3)),
            protocol: u16_at(self.bytes, layout.protocol).unwrap_or_default(),
            tos: layout.tos.map_or(0, |place| self.bytes[place]),
            flags: self.bytes[layout.flags],
            inverted: self.bytes[layout.inverted],
        }
    }
}

/// Whether a bit of them is set.
fn is_set(bytes: &[u8]) -> bool {
    bytes.iter().any(|&byte| byte != 0)
}

/// Address and mask, if any of their bits is set.
fn network(address: &[u8], mask: &[u8]) -> Option<Network> {
    let of = |bytes: &[u8]| -> Option<IpAddr> {
        let ipv4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
        let ipv6 = || <[u8; 16]>::try_from(bytes).map(IpAddr::from);
        ipv4.or_else(|_| ipv6()).ok()
    };
    if !is_set(address) && !is_set(mask) {
        return None;
    }
    Some(Network {
        address: of(address)?,
        mask: of(mask)?,
    })
}

/// Name and mask of interfaces, if any of their bits is set.
fn named_interface(name: &[u8], mask: &[u8]) -> Option<Interface> {
    if !is_set(name) && !is_set(mask) {
        return None;
    }
    Some(Interface {
        name: name.try_into().ok()?,
        mask: mask.try_into().ok()?,
    })
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

    /// Whatever the kernel looks at when a packet comes by is in the printed rule.
    #[rstest]
    #[case::ipv4(Family::Ipv4, include_bytes!("../testdata/filter-1.8.9.legacy"))]
    #[case::ipv6(Family::Ipv6, include_bytes!("../testdata/filter6-1.8.9.legacy"))]
    fn no_two_rules_print_alike(#[case] family: Family, #[case] capture: &[u8]) {
        let blob = Blob::from_capture(capture);
        let layout = layout(family);
        let (chains, mut decoded) = (HashMap::default(), DecodedRules::default());
        let mut tried = 0;
        for entry in entries(layout, &blob.entries).expect("well formed") {
            let rule = entry.rule(&chains, &mut decoded);
            let printed = rule.to_string();
            assert_eq!(LegacyRule::read(&printed), *rule);
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
                let other = other.rule(&chains, &mut decoded).to_string();
                assert_ne!(other, printed, "byte {place}");
                tried += 1;
            }
        }
        assert!(tried > 500, "only {tried} changes");
    }

    /// Where the payload of each match is.
    fn matches_at(entry: &Entry) -> Vec<std::ops::Range<usize>> {
        let mut at = entry.layout.size;
        let place = |found: &Sent| {
            let payload = at + EXTENSION..at + EXTENSION + found.payload.len();
            at = payload.end;
            payload
        };
        entry.matches.iter().map(place).collect()
    }
}
