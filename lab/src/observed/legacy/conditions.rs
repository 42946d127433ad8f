//! What an entry of a legacy table asks of a packet by itself, without a match of xtables.

use std::fmt;
use std::net::IpAddr;

use crate::observed::bytes::Bytes;
use crate::observed::cursor::Cursor;

/// The fields of `struct ipt_ip` or `struct ip6t_ip6`; what is not set asks nothing.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Conditions {
    /// Where it comes from.
    pub source: Option<Network>,
    /// Where it goes to.
    pub destination: Option<Network>,
    /// The interface that it came by.
    pub in_interface: Option<Interface>,
    /// The interface that it leaves by.
    pub out_interface: Option<Interface>,
    /// Its protocol; 0 is any.
    pub protocol: u16,
    /// Its type of service; 0 is any, and IPv4 asks for none.
    pub tos: u8,
    /// `IPT_F_*`, `IP6T_F_*`.
    pub flags: u8,
    /// `IPT_INV_*`, `IP6T_INV_*`: which of them must not be met.
    pub inverted: u8,
}

impl Conditions {
    /// `IPT_INV_VIA_IN` and so on.
    const IN: u8 = 0x01;
    const OUT: u8 = 0x02;
    const SOURCE: u8 = 0x08;
    const DESTINATION: u8 = 0x10;
    const PROTOCOL: u8 = 0x40;
    const KNOWN: u8 = Self::IN | Self::OUT | Self::SOURCE | Self::DESTINATION | Self::PROTOCOL;

    /// Reads what is there; nothing where none is.
    pub(super) fn read(line: &mut Cursor<'_>) -> Option<Self> {
        let mut read = Conditions::default();
        let mut fields = Fields {
            line,
            separator: "",
            inverted: 0,
        };
        read.source = fields.read(Self::SOURCE, "src=", Network::read)?;
        read.destination = fields.read(Self::DESTINATION, "dst=", Network::read)?;
        read.in_interface = fields.read(Self::IN, "in=", Interface::read)?;
        read.out_interface = fields.read(Self::OUT, "out=", Interface::read)?;
        let number = fields.read(Self::PROTOCOL, "proto=", |word| word.parse().ok())?;
        read.protocol = number.unwrap_or(0);
        read.tos = fields.read(0, "tos=", byte)?.unwrap_or(0);
        read.flags = fields.read(0, "flags=", byte)?.unwrap_or(0);
        let other = fields.read(0, "inverted=", byte)?.unwrap_or(0);
        read.inverted = fields.inverted | other;
        Some(read)
    }
}

/// Reads `0x02`.
fn byte(word: &str) -> Option<u8> {
    u8::from_str_radix(word.strip_prefix("0x")?, 16).ok()
}

/// The fields of a line that are still to be read.
struct Fields<'l, 't> {
    line: &'l mut Cursor<'t>,
    separator: &'static str,
    inverted: u8,
}

impl Fields<'_, '_> {
    /// Reads the field of this name, if it is there; the bit is for one that must not be met.
    fn read<T>(
        &mut self,
        bit: u8,
        name: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Option<Option<T>> {
        let separator = self.separator;
        let is_inverted = self.line.attempt(|line| {
            line.text(separator)?;
            let is_inverted = line.text("!").is_some();
            line.text(name)?;
            Some(is_inverted)
        });
        let Some(is_inverted) = is_inverted else {
            return Some(None);
        };
        self.separator = " ";
        if is_inverted {
            self.inverted |= bit;
        }
        match self.line.word() {
            "any" if is_inverted => Some(None),
            word => read(word).map(Some),
        }
    }
}

impl fmt::Display for Conditions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = |byte: u8| (byte != 0).then(|| format!("{byte:#04x}"));
        let protocol = (self.protocol != 0).then_some(self.protocol);
        let mut fields = Printer {
            f,
            separator: "",
            inverted: self.inverted,
        };
        fields.field(Self::SOURCE, "src", self.source.as_ref())?;
        fields.field(Self::DESTINATION, "dst", self.destination.as_ref())?;
        fields.field(Self::IN, "in", self.in_interface.as_ref())?;
        fields.field(Self::OUT, "out", self.out_interface.as_ref())?;
        fields.field(Self::PROTOCOL, "proto", protocol)?;
        fields.field(0, "tos", hex(self.tos))?;
        fields.field(0, "flags", hex(self.flags))?;
        fields.field(0, "inverted", hex(self.inverted & !Self::KNOWN))
    }
}

/// The fields of a line, one after the other.
struct Printer<'p, 'f> {
    f: &'p mut fmt::Formatter<'f>,
    separator: &'static str,
    inverted: u8,
}

impl Printer<'_, '_> {
    /// Prints a field that is set or must not be met; the bit says which of these must not.
    fn field<T: fmt::Display>(&mut self, bit: u8, name: &str, value: Option<T>) -> fmt::Result {
        let is_inverted = self.inverted & bit != 0;
        if value.is_none() && !is_inverted {
            return Ok(());
        }
        self.f.write_str(self.separator)?;
        self.separator = " ";
        let not = if is_inverted { "!" } else { "" };
        write!(self.f, "{not}{name}=")?;
        match value {
            Some(value) => value.fmt(self.f),
            None => self.f.write_str("any"),
        }
    }
}

/// Addresses: one, and which of its bits count.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Network {
    /// The address.
    pub address: IpAddr,
    /// Its mask.
    pub mask: IpAddr,
}

impl Network {
    fn read(word: &str) -> Option<Self> {
        let (address, mask) = word.split_once('/')?;
        Some(Network {
            address: address.parse().ok()?,
            mask: mask.parse().ok()?,
        })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.mask)
    }
}

/// `IFNAMSIZ`.
const NAME: usize = 16;

/// Interfaces: a name, and which of its bytes count.
///
/// It is printed as `eth0` where the mask covers the name and the NUL after it, as `eth+` where the mask stops before the plus
/// that iptables keeps in the name, else as both in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Interface {
    /// The name.
    pub name: [u8; NAME],
    /// Its mask.
    pub mask: [u8; NAME],
}

impl Interface {
    /// As iptables writes it; none where the name is too long.
    fn named(text: &[u8]) -> Option<Self> {
        let covered = match text.strip_suffix(b"+") {
            Some(stem) => stem.len(),
            None => (text.len() + 1).min(NAME),
        };
        let (mut name, mut mask) = ([0; NAME], [0; NAME]);
        name.get_mut(..text.len())?.copy_from_slice(text);
        mask.get_mut(..covered)?.fill(0xff);
        Some(Interface { name, mask })
    }

    /// The text before the first NUL, if it can be printed so and iptables would write just this for it.
    fn as_named(&self) -> Option<&str> {
        let text = self.name.split(|&byte| byte == 0).next()?;
        let stem = text.strip_suffix(b"+").unwrap_or(text);
        let usual = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:@".contains(byte);
        let is_usual = stem.iter().all(usual) && !text.is_empty();
        let is_it = is_usual && Self::named(text).as_ref() == Some(self);
        str::from_utf8(text).ok().filter(|_| is_it)
    }

    fn read(word: &str) -> Option<Self> {
        let Some((name, mask)) = word.split_once('/') else {
            return Self::named(word.as_bytes());
        };
        let bytes = |digits| {
            let bytes = Cursor::new(digits).bytes()?;
            bytes.as_slice().try_into().ok()
        };
        Some(Interface {
            name: bytes(name)?,
            mask: bytes(mask)?,
        })
    }
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.as_named() {
            Some(name) => f.write_str(name),
            None => {
                let (name, mask) = (Bytes::from(&self.name[..]), Bytes::from(&self.mask[..]));
                write!(f, "{name}/{mask}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// As long as the kernel has it.
    fn padded(short: &[u8]) -> [u8; NAME] {
        let mut long = [0; NAME];
        long[..short.len()].copy_from_slice(short);
        long
    }

    #[rstest]
    #[case::exact(b"lo\0\0", &[255, 255, 255, 0], "lo")]
    #[case::wildcard(b"lo+\0", &[255, 255, 0, 0], "lo+")]
    #[case::wildcard_without_plus(
        b"lo\0\0",
        &[255, 255, 0, 0],
        "0x6c6f0000000000000000000000000000/0xffff0000000000000000000000000000"
    )]
    #[case::a_plus_that_counts(
        b"lo+\0",
        &[255, 255, 255, 255],
        "0x6c6f2b00000000000000000000000000/0xffffffff000000000000000000000000"
    )]
    #[case::any(b"+\0\0\0", &[0, 0, 0, 0], "+")]
    fn interfaces(#[case] name: &[u8], #[case] mask: &[u8], #[case] printed: &str) {
        let interface = Interface {
            name: padded(name),
            mask: padded(mask),
        };
        assert_eq!(interface.to_string(), printed);
        assert_eq!(Interface::read(printed), Some(interface));
    }
}
