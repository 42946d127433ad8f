//! Netlink attributes: written into requests, taken out of answers, with nothing lost on the way.

use super::error::KernelError;
use crate::observed::Name;
use crate::observed::expression::Attribute;

/// The header of an attribute: its length and its type (`struct nlattr`).
const HEADER: usize = 4;

/// `NLA_TYPE_MASK`: the type without `NLA_F_NESTED` and `NLA_F_NET_BYTEORDER`.
const TYPE_MASK: u16 = 0x3fff;

/// `NLA_F_NESTED`.
const NESTED: u16 = 0x8000;

/// `NLA_F_NET_BYTEORDER`.
pub(super) const NETWORK_ORDER: u16 = 0x4000;

/// `NLA_ALIGN`.
pub(super) fn align(length: usize) -> usize {
    length.div_ceil(4) * 4
}

/// Appends an attribute to a request.
pub(super) fn put(request: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let length = u16::try_from(HEADER + value.len()).expect("a name is far shorter than 64 KiB");
    request.extend(length.to_ne_bytes());
    request.extend(kind.to_ne_bytes());
    request.extend(value);
    request.resize(align(request.len()), 0);
}

/// Appends an attribute that holds attributes, which `fill` appends.
pub(super) fn put_nest(request: &mut Vec<u8>, kind: u16, fill: impl FnOnce(&mut Vec<u8>)) {
    let mut nest = Vec::new();
    fill(&mut nest);
    put(request, kind | NESTED, &nest);
}

/// Appends a name with the NUL that ends it.
pub(super) fn put_name(request: &mut Vec<u8>, kind: u16, name: &str) {
    let mut bytes = name.as_bytes().to_vec();
    bytes.push(0);
    put(request, kind, &bytes);
}

/// The attributes of one message or nest, each of which can be taken once.
///
/// What a decoder did not take is still there at the end, and is kept as it came: so no attribute that a newer kernel adds
/// can go unseen.
#[derive(Debug, Default)]
pub(super) struct Attributes<'a> {
    bytes: &'a [u8],
    /// One bit for each attribute that was taken, by its place; one that comes after the 64th counts as never taken.
    taken: u64,
}

impl<'a> Attributes<'a> {
    /// Splits `bytes` into attributes; the lengths in them are checked against what is there.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, KernelError> {
        let mut unread = bytes;
        while !unread.is_empty() {
            (_, _, unread) = split_first(unread).ok_or(KernelError::Malformed("attribute"))?;
        }
        Ok(Attributes { bytes, taken: 0 })
    }

    /// All attributes in order, taken or not: for lists, whose members have all the same type.
    pub(super) fn members(&self) -> impl Iterator<Item = (u16, &'a [u8])> + use<'a> {
        let mut unread = self.bytes;
        std::iter::from_fn(move || {
            let (kind, value, rest) = split_first(unread)?;
            unread = rest;
            Some((kind, value))
        })
    }

    /// The bytes after the first attributes, if these are of these types, in this order.
    pub(super) fn after(&self, kinds: &[u16]) -> Option<&'a [u8]> {
        kinds.iter().try_fold(self.bytes, |unread, expected| {
            let (kind, _, rest) = split_first(unread)?;
            (kind == *expected).then_some(rest)
        })
    }

    /// The attributes that were not taken, each with the bit that marks it as taken.
    fn left(&self) -> impl Iterator<Item = (u64, u16, &'a [u8])> + use<'a> {
        let taken = self.taken;
        let bits = (0..u64::BITS)
            .map(|place| 1 << place)
            .chain(std::iter::repeat(0));
        let marked = bits
            .zip(self.members())
            .map(|(bit, (kind, value))| (bit, kind, value));
        marked.filter(move |(bit, _, _)| taken & bit == 0)
    }

    /// Takes the first attribute of this type, if `read` accepts it.
    pub(super) fn take<T>(
        &mut self,
        kind: u16,
        read: impl FnOnce(&'a [u8]) -> Option<T>,
    ) -> Option<T> {
        let (bit, _, value) = self.left().find(|&(_, other, _)| other == kind)?;
        let taken = read(value)?;
        self.taken |= bit;
        Some(taken)
    }

    /// Takes the bytes of an attribute.
    pub(super) fn bytes(&mut self, kind: u16) -> Option<&'a [u8]> {
        self.take(kind, Some)
    }

    /// Takes one byte.
    pub(super) fn u8(&mut self, kind: u16) -> Option<u8> {
        self.take(kind, |value| match value {
            [byte] => Some(*byte),
            _ => None,
        })
    }

    /// Takes a 16-bit number in network byte order.
    pub(super) fn be16(&mut self, kind: u16) -> Option<u16> {
        self.take(kind, |value| value.try_into().ok().map(u16::from_be_bytes))
    }

    /// Takes a 32-bit number in network byte order.
    pub(super) fn be32(&mut self, kind: u16) -> Option<u32> {
        self.take(kind, |value| value.try_into().ok().map(u32::from_be_bytes))
    }

    /// Takes a 64-bit number in network byte order.
    pub(super) fn be64(&mut self, kind: u16) -> Option<u64> {
        self.take(kind, |value| value.try_into().ok().map(u64::from_be_bytes))
    }

    /// Takes a name.
    pub(super) fn name(&mut self, kind: u16) -> Option<Name> {
        self.bytes(kind).map(|value| without_nul(value).into())
    }

    /// Takes a name as one word of a printed line: in quotes if it could be read as anything else.
    pub(super) fn word(&mut self, kind: u16) -> Option<String> {
        self.name(kind).map(|name| name.to_string())
    }

    /// Drops attributes on purpose: handles, counters, and what follows from other attributes.
    pub(super) fn ignore(&mut self, kinds: &[u16]) {
        let ignored = self.left().filter(|(_, kind, _)| kinds.contains(kind));
        self.taken |= ignored.fold(0, |bits, (bit, _, _)| bits | bit);
    }

    /// What nobody took.
    pub(super) fn rest(&self) -> Vec<Attribute> {
        let left = self.left();
        left.map(|(_, kind, value)| Attribute {
            kind,
            value: value.into(),
        })
        .collect()
    }

    /// Whether all was taken.
    pub(super) fn is_empty(&self) -> bool {
        self.left().next().is_none()
    }
}

/// The type and value of the first attribute, and the bytes after it.
fn split_first(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let length = usize::from(u16::from_ne_bytes(bytes.get(..2)?.try_into().ok()?));
    let kind = u16::from_ne_bytes(bytes.get(2..HEADER)?.try_into().ok()?);
    let value = bytes.get(HEADER..length)?;
    let rest = bytes.get(align(length)..).unwrap_or_default();
    Some((kind & TYPE_MASK, value, rest))
}

/// A string attribute without the NUL that ends it.
pub(super) fn without_nul(value: &[u8]) -> &[u8] {
    value.strip_suffix(b"\0").unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::no_header(&[8, 0, 1])]
    #[case::longer_than_the_message(&[12, 0, 1, 0, 1, 2, 3, 4])]
    #[case::shorter_than_its_header(&[3, 0, 1, 0])]
    #[case::zero(&[0, 0, 0, 0])]
    fn a_wrong_length_is_an_error(#[case] bytes: &[u8]) {
        assert!(Attributes::parse(bytes).is_err());
    }

    #[test]
    fn what_was_put_is_taken_once_and_the_rest_is_shown() {
        let mut bytes = Vec::new();
        put(&mut bytes, 1, b"filter\0");
        put(&mut bytes, 2, &7u32.to_be_bytes());
        put(&mut bytes, 9, &[0xde, 0xad]);
        let mut attributes = Attributes::parse(&bytes).expect("well formed");
        assert_eq!(attributes.word(1).as_deref(), Some("filter"));
        assert_eq!(attributes.word(1), None);
        assert_eq!(attributes.be16(2), None, "a wrong size is not taken");
        assert_eq!(attributes.be32(2), Some(7));
        let rest = attributes.rest();
        assert_eq!(rest.len(), 1);
        assert_eq!(rest[0].to_string(), "attribute 9 0xdead");
    }
}
