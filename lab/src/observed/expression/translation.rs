//! Expressions that give a packet other addresses, or send it elsewhere.

use std::fmt;

use super::number::{NatKind, ProtocolFamily, number};
use super::value::{Register, flags_part, part};
use super::words::Words;
use crate::observed::cursor::Cursor;

/// `enum nft_nat_attributes`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Nat {
    /// Which address is replaced.
    pub kind: NatKind,
    /// By an address of which family.
    pub family: ProtocolFamily,
    /// The register of the first address.
    pub addr_min: Option<Register>,
    /// The register of the last one.
    pub addr_max: Option<Register>,
    /// The register of the first port.
    pub proto_min: Option<Register>,
    /// The register of the last one.
    pub proto_max: Option<Register>,
    /// `NF_NAT_RANGE_*`.
    pub flags: Option<u32>,
}

impl Words for Nat {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " {} {}", self.kind, self.family)?;
        part(f, " addr_min reg ", self.addr_min)?;
        part(f, " addr_max reg ", self.addr_max)?;
        part(f, " proto_min reg ", self.proto_min)?;
        part(f, " proto_max reg ", self.proto_max)?;
        flags_part(f, " flags ", self.flags)
    }

    fn read(line: &mut Cursor<'_>) -> Option<Self> {
        line.text(" ")?;
        let kind = number(line)?;
        line.text(" ")?;
        Some(Nat {
            kind,
            family: number(line)?,
            addr_min: line.after(" addr_min reg ", Register::read)?,
            addr_max: line.after(" addr_max reg ", Register::read)?,
            proto_min: line.after(" proto_min reg ", Register::read)?,
            proto_max: line.after(" proto_max reg ", Register::read)?,
            flags: line.after(" flags 0x", Cursor::digits)?,
        })
    }
}

/// `enum nft_masq_attributes`, `enum nft_redir_attributes`: where the packet's own interface has the address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Masquerade {
    /// The register of the first port.
    pub proto_min: Option<Register>,
    /// The register of the last one.
    pub proto_max: Option<Register>,
    /// `NF_NAT_RANGE_*`.
    pub flags: Option<u32>,
}

impl Words for Masquerade {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        part(f, " proto_min reg ", self.proto_min)?;
        part(f, " proto_max reg ", self.proto_max)?;
        flags_part(f, " flags ", self.flags)
    }

    fn read(line: &mut Cursor<'_>) -> Option<Self> {
        Some(Masquerade {
            proto_min: line.after(" proto_min reg ", Register::read)?,
            proto_max: line.after(" proto_max reg ", Register::read)?,
            flags: line.after(" flags 0x", Cursor::digits)?,
        })
    }
}

/// `enum nft_tproxy_attributes`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tproxy {
    /// To a socket of which family; of any where there is none.
    pub family: Option<ProtocolFamily>,
    /// The register of its address.
    pub addr: Option<Register>,
    /// The register of its port.
    pub port: Option<Register>,
}

impl Tproxy {
    fn read_family(line: &mut Cursor<'_>) -> Option<ProtocolFamily> {
        line.text(" ")?;
        number(line)
    }
}

impl Words for Tproxy {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        part(f, " ", self.family)?;
        part(f, " addr reg ", self.addr)?;
        part(f, " port reg ", self.port)
    }

    fn read(line: &mut Cursor<'_>) -> Option<Self> {
        Some(Tproxy {
            family: line.attempt(Self::read_family),
            addr: line.after(" addr reg ", Register::read)?,
            port: line.after(" port reg ", Register::read)?,
        })
    }
}

/// `enum nft_dup_attributes`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Dup {
    /// The register of the address that gets a copy.
    pub addr: Option<Register>,
    /// The register of the interface that it leaves by.
    pub dev: Option<Register>,
}

impl Words for Dup {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        part(f, " sreg_addr ", self.addr)?;
        part(f, " sreg_dev ", self.dev)
    }

    fn read(line: &mut Cursor<'_>) -> Option<Self> {
        Some(Dup {
            addr: line.after(" sreg_addr ", Register::read)?,
            dev: line.after(" sreg_dev ", Register::read)?,
        })
    }
}

/// `enum nft_fwd_attributes`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Fwd {
    /// The register of the interface that the packet leaves by.
    pub dev: Register,
    /// The register of the neighbour that gets it.
    pub addr: Option<Register>,
    /// The family of that address: `NFPROTO_*`.
    pub nfproto: Option<u32>,
}

impl Words for Fwd {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " sreg_dev {}", self.dev)?;
        part(f, " sreg_addr ", self.addr)?;
        part(f, " nfproto ", self.nfproto)
    }

    fn read(line: &mut Cursor<'_>) -> Option<Self> {
        line.text(" sreg_dev ")?;
        Some(Fwd {
            dev: Register::read(line)?,
            addr: line.after(" sreg_addr ", Register::read)?,
            nfproto: line.after(" nfproto ", Cursor::number)?,
        })
    }
}

/// `enum nft_synproxy_attributes`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Synproxy {
    /// The maximum segment size that is offered.
    pub mss: u16,
    /// The window's scale that is offered.
    pub wscale: u8,
    /// `NF_SYNPROXY_OPT_*`.
    pub flags: u32,
}

impl Words for Synproxy {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mss, wscale, flags) = (self.mss, self.wscale, self.flags);
        write!(f, " mss {mss} wscale {wscale} flags {flags:#x}")
    }

    fn read(line: &mut Cursor<'_>) -> Option<Self> {
        line.text(" mss ")?;
        let mss = line.number()?;
        line.text(" wscale ")?;
        let wscale = line.number()?;
        line.text(" flags 0x")?;
        let flags = line.digits()?;
        Some(Synproxy { mss, wscale, flags })
    }
}
