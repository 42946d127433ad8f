//! Expressions that load what is known of a packet into a register, or set it from one.

use std::fmt;

use super::number::{
    CtDirection, CtKey, FibResult, MetaKey, RtKey, SocketKey, TunnelKey, XfrmDirection, XfrmKey,
    number,
};
use super::value::{Access, Register, flags_part, part};
use super::words::Words;
use crate::observed::bytes::{Bytes, Name};
use crate::observed::cursor::Cursor;

/// `enum nft_meta_attributes`: what the kernel knows of the packet besides its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Meta {
    /// What.
    pub key: MetaKey,
    /// Whether it is loaded or set.
    pub access: Access,
}

impl Words for Meta {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(" ")?;
        self.access.write(f, self.key)
    }

    fn read(line: &mut Cursor<'_>) -> Option<Self> {
        line.text(" ")?;
        let (key, access) = Access::read(line, number)?;
        Some(Meta { key, access })
    }
}

/// `enum nft_ct_attributes`: what connection tracking knows of the packet.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Ct {
    /// What.
    pub key: CtKey,
    /// Whether it is loaded or set.
    pub access: Access,
    /// Of which direction.
    pub direction: Option<CtDirection>,
}

impl Words for Ct {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(" ")?;
        self.access.write(f, self.key)?;
        part(f, " , dir ", self.direction)
    }

    fn read(line: &mut Cursor<'_>) -> Option<Self> {
        line.text(" ")?;
        let (key, access) = Access::read(line, number)?;
        let direction = line.after(" , dir ", number)?;
        Some(Ct {
            key,
            access,
            direction,
        })
    }
}

/// `enum nft_rt_attributes`: the packet's route.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Rt {
    /// What of it.
    pub key: RtKey,
    /// Where it is loaded to.
    pub to: Register,
}

impl Words for Rt {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " load {} => reg {}", self.key, self.to)
    }

    fn read(line: &mut Cursor<'_>) -> Option<Self> {
        line.text(" load ")?;
        let key = number(line)?;
        line.text(" => reg ")?;
        let to = Register::read(line)?;
        Some(Rt { key, to })
    }
}

/// `enum nft_socket_attributes`: the socket that the packet is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Socket {
    /// What of it.
    pub key: SocketKey,
    /// Where it is loaded to.
    pub to: Register,
    /// Of its control group, at which level.
    pub level: Option<u32>,
}

impl Words for Socket {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " load {} => reg {}", self.key, self.to)?;
        part(f, " level ", self.level)
    }

    fn read(line: &mut Cursor<'_>) -> Option<Self> {
        line.text(" load ")?;
        let key = number(line)?;
        line.text(" => reg ")?;
        let to = Register::read(line)?;
        let level = line.after(" level ", Cursor::number)?;
        Some(Socket { key, to, level })
    }
}

/// `enum nft_tunnel_attributes`: the tunnel that the packet came through.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tunnel {
    /// What of it.
    pub key: TunnelKey,
    /// Where it is loaded to.
    pub to: Register,
    /// Which direction counts: `enum nft_tunnel_mode`.
    pub mode: Option<u32>,
}

impl Words for Tunnel {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " load {} => reg {}", self.key, self.to)?;
        part(f, " mode ", self.mode)
    }

    fn read(line: &mut Cursor<'_>) -> Option<Self> {
        line.text(" load ")?;
        let key = number(line)?;
        line.text(" => reg ")?;
        let to = Register::read(line)?;
        let mode = line.after(" mode ", Cursor::number)?;
        Some(Tunnel { key, to, mode })
    }
}

/// `enum nft_xfrm_attributes`: how IPsec treats the packet.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Xfrm {
    /// Which way.
    pub direction: XfrmDirection,
    /// The number of the transformation.
    pub number: u32,
    /// What of it.
    pub key: XfrmKey,
    /// Where it is loaded to.
    pub to: Register,
}

impl Words for Xfrm {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (direction, number, key) = (self.direction, self.number, self.key);
        write!(f, " load {direction} {number} {key} => reg {}", self.to)
    }

    fn read(line: &mut Cursor<'_>) -> Option<Self> {
        line.text(" load ")?;
        let direction = number(line)?;
        line.text(" ")?;
        let of = line.number()?;
        line.text(" ")?;
        let key = number(line)?;
        line.text(" => reg ")?;
        let to = Register::read(line)?;
        Some(Xfrm {
            direction,
            number: of,
            key,
            to,
        })
    }
}

/// `enum nft_osf_attributes`: the operating system that sent the packet.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Osf {
    /// Where it is loaded to.
    pub to: Register,
    /// How much of the time to live counts.
    pub ttl: Option<u8>,
    /// `enum nft_osf_flags`.
    pub flags: Option<u32>,
}

impl Words for Osf {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " dreg {}", self.to)?;
        part(f, " ttl ", self.ttl)?;
        flags_part(f, " flags ", self.flags)
    }

    fn read(line: &mut Cursor<'_>) -> Option<Self> {
        line.text(" dreg ")?;
        let to = Register::read(line)?;
        let ttl = line.after(" ttl ", Cursor::number)?;
        let flags = line.after(" flags 0x", Cursor::digits)?;
        Some(Osf { to, ttl, flags })
    }
}

/// `enum nft_fib_attributes`: what the routing tables say of the packet.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Fib {
    /// Where it is loaded to.
    pub to: Register,
    /// What is asked for.
    pub result: FibResult,
    /// `enum nft_fib_flags`: what is looked for, and whether it is enough that something is found.
    pub flags: u32,
}

impl Fib {
    /// What is looked for, a bit each from the first.
    const KEYS: [&str; 5] = ["saddr", "daddr", "mark", "iif", "oif"];
    /// `NFTA_FIB_F_PRESENT`.
    const PRESENT: u32 = 1 << 5;
    /// The bits with a name.
    const KNOWN: u32 = Self::PRESENT | 0x1f;

    /// Whether it is enough that something is found: what is loaded is 1, or 0.
    pub fn asks_presence(&self) -> bool {
        self.flags & Self::PRESENT != 0
    }

    fn read_key(line: &mut Cursor<'_>) -> Option<u32> {
        if line.text("unknown 0x").is_some() {
            return line.digits();
        }
        let word = line.word();
        let bit = Self::KEYS.iter().position(|key| *key == word)?;
        Some(1 << bit)
    }
}

impl Words for Fib {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = " ";
        for (bit, key) in Self::KEYS.iter().enumerate() {
            if self.flags & (1 << bit) != 0 {
                write!(f, "{separator}{key}")?;
                separator = " . ";
            }
        }
        let unknown = self.flags & !Self::KNOWN;
        if unknown != 0 {
            write!(f, "{separator}unknown {unknown:#x}")?;
        } else if separator == " " {
            f.write_str(" ")?;
        }
        let present = self.flags & Self::PRESENT != 0;
        let present = if present { " present" } else { "" };
        write!(f, " {}{present} => reg {}", self.result, self.to)
    }

    fn read(line: &mut Cursor<'_>) -> Option<Self> {
        line.text(" ")?;
        let mut flags = line.attempt(Self::read_key).unwrap_or(0);
        while let Some(key) = line.after(" . ", Self::read_key)? {
            flags |= key;
        }
        line.text(" ")?;
        let result = number(line)?;
        if line.text(" present").is_some() {
            flags |= Self::PRESENT;
        }
        line.text(" => reg ")?;
        let to = Register::read(line)?;
        Some(Fib { to, result, flags })
    }
}

/// `enum nft_match_attributes`, `enum nft_target_attributes`: a match or a target of xtables.
///
/// The kernel sends the payload up to what userspace may see and zeroes after it: `usersize` of the extension, in
/// `nft_extension_dump_info` of net/netfilter/nft_compat.c. No state and no address of the kernel's is in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Extension {
    /// `comment`, `LOG`.
    pub name: Name,
    /// Which form its payload has.
    pub revision: u32,
    /// Its own struct.
    pub payload: Bytes,
}

impl Words for Extension {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, revision, payload) = (&self.name, self.revision, &self.payload);
        write!(f, " name {name} rev {revision} info {payload}")
    }

    fn read(line: &mut Cursor<'_>) -> Option<Self> {
        line.text(" name ")?;
        let name = line.name()?;
        line.text(" rev ")?;
        let revision = line.number()?;
        line.text(" info ")?;
        let payload = line.bytes()?;
        Some(Extension {
            name,
            revision,
            payload,
        })
    }
}
