//! Bytes that the kernel sent, in the three ways in which they are printed: in hexadecimal, as 32-bit words, as names.

use std::fmt::{self, Write as _};

use smallvec::SmallVec;

/// Most are marks, ports, addresses and names of interfaces, which are no longer than this.
type Few = SmallVec<[u8; 16]>;

/// Bytes that are printed as `0x` and two digits a byte: payloads of xtables matches, userdata, what is not known.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Bytes(Few);

impl Bytes {
    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those of digits, two a byte.
    pub(super) fn of_digits(digits: &[u8]) -> Option<Self> {
        let mut bytes = Few::from_elem(0, digits.len().div_ceil(2));
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
            *byte = byte_of(pair)?;
        }
        Some(Bytes(bytes))
    }
}

impl From<&[u8]> for Bytes {
    fn from(bytes: &[u8]) -> Self {
        Bytes(Few::from_slice(bytes))
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("0x")?;
        write_digits(f, &self.0)
    }
}

/// What a register is compared with or set to. It is printed as `nft --debug=netlink` prints it, in 32-bit words of the
/// machine's byte order, but for the last word, which is no wider than the bytes that are there: `0x6c7465 0x68`.
///
/// libnftnl pads that one (`nftnl_data_reg_value_snprintf_default`, up to 1.3.0), and so loses the length: `-i lo` and
/// `-i lo+` differ in nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Value(Few);

impl Value {
    /// The bytes, as they are in a packet.
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }

    /// Whether it has bytes, each of which is `byte`.
    pub fn is_all(&self, byte: u8) -> bool {
        !self.0.is_empty() && self.0.iter().all(|own| *own == byte)
    }

    /// Appends a word, given as its bytes from the left as it is printed.
    pub(super) fn push_word(&mut self, printed: &mut [u8]) {
        as_printed(printed);
        self.0.extend_from_slice(printed);
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Value(Few::from_slice(bytes))
    }
}

/// How many bytes a word has.
pub(super) const WORD: usize = 4;

/// Puts the bytes of a word in the order in which they are printed, or back.
fn as_printed(word: &mut [u8]) {
    if cfg!(target_endian = "little") || word.len() < WORD {
        word.reverse();
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, word) in self.0.chunks(WORD).enumerate() {
            f.write_str(if place == 0 { "0x" } else { " 0x" })?;
            let mut printed = [0; WORD];
            let printed = &mut printed[..word.len()];
            printed.copy_from_slice(word);
            as_printed(printed);
            write_digits(f, printed)?;
        }
        Ok(())
    }
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// How many digits are written at once.
const AT_ONCE: usize = 64;

/// Two digits a byte.
fn write_digits(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    let mut text = [0; AT_ONCE];
    for bytes in bytes.chunks(AT_ONCE / 2) {
        for (digits, byte) in text.chunks_exact_mut(2).zip(bytes) {
            digits[0] = DIGITS[usize::from(byte >> 4)];
            digits[1] = DIGITS[usize::from(byte & 0x0f)];
        }
        f.write_str(str::from_utf8(&text[..2 * bytes.len()]).unwrap_or_default())?;
    }
    Ok(())
}

/// The value of each digit, by its character; [`NO_DIGIT`] for every other character.
const VALUES: [u8; 256] = {
    let mut values = [NO_DIGIT; 256];
    let mut value = 0;
    while value < DIGITS.len() {
        values[DIGITS[value] as usize] = value as u8;
        value += 1;
    }
    values
};

/// No value of a digit.
const NO_DIGIT: u8 = 0xff;

/// The byte of two digits.
pub(super) fn byte_of(digits: &[u8]) -> Option<u8> {
    let &[high, low] = digits else { return None };
    let (high, low) = (VALUES[usize::from(high)], VALUES[usize::from(low)]);
    (high != NO_DIGIT && low != NO_DIGIT).then_some(high << 4 | low)
}

/// The name of a set, a chain, a match, an object. It is printed as one word: bare where it cannot be mistaken, else in quotes,
/// with backslashes before what is no printable ASCII.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Name(Box<[u8]>);

impl Name {
    /// The bytes, without the NUL that the kernel ends it with.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether a byte of it can be in a word without quotes.
    pub(super) fn is_bare(byte: &u8) -> bool {
        byte.is_ascii_alphanumeric() || b"_-.:/+*@%".contains(byte)
    }
}

impl Default for Name {
    /// No name.
    fn default() -> Self {
        Name(Box::default())
    }
}

impl From<&[u8]> for Name {
    fn from(bytes: &[u8]) -> Self {
        Name(bytes.into())
    }
}

impl From<Vec<u8>> for Name {
    fn from(bytes: Vec<u8>) -> Self {
        Name(bytes.into())
    }
}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        *self.0 == *other.as_bytes()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match str::from_utf8(&self.0) {
            Ok(name) if !name.is_empty() && self.0.iter().all(Self::is_bare) => f.write_str(name),
            _ => write!(f, "\"{}\"", self.0.escape_ascii()),
        }
    }
}

/// Text that no other text can become, not as one word: as it is, with backslashes and what is no printable ASCII escaped.
pub fn plain(name: &[u8]) -> String {
    let mut text = String::with_capacity(name.len());
    for &byte in name {
        match byte {
            b' '..=b'~' if byte != b'\\' => text.push(char::from(byte)),
            _ => write!(text, "{}", byte.escape_ascii()).expect("a string takes every write"),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(b"KUBE-FIREWALL", "KUBE-FIREWALL")]
    #[case(b"a b", "\"a b\"")]
    #[case(b"", "\"\"")]
    #[case(b"\"x", "\"\\\"x\"")]
    #[case(b"a\0b", "\"a\\x00b\"")]
    fn a_name_cannot_be_mistaken(#[case] name: &[u8], #[case] printed: &str) {
        assert_eq!(Name::from(name).to_string(), printed);
    }

    #[test]
    fn bytes_and_values_show_how_long_they_are() {
        assert_eq!(Bytes::default().to_string(), "0x");
        let long: Vec<u8> = (0..70).collect();
        let digits: String = long.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(Bytes::from(&*long).to_string(), format!("0x{digits}"));
        assert_eq!(Value::default().to_string(), "");
        assert_eq!(Value::from(&b"lo"[..]).to_string(), "0x6f6c");
        #[cfg(target_endian = "little")]
        assert_eq!(Value::from(&b"eth0\0"[..]).to_string(), "0x30687465 0x00");
    }
}
