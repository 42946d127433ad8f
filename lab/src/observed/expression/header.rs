//! Expressions that load bytes of a packet's headers, or write them.

use std::fmt;

use super::Expression;
use super::comparing::{read_offset, write_offset};
use super::number::{ExthdrOperation, PayloadBase, number};
use super::value::{Register, flags_part, part};
use super::words::Words;
use crate::observed::cursor::Cursor;

/// `enum nft_payload_attributes`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Payload {
    /// Of which header.
    pub base: PayloadBase,
    /// From which byte on.
    pub offset: u32,
    /// How many bytes.
    pub length: u32,
    /// Whether they are loaded or written.
    pub access: PayloadAccess,
}

/// What is done with the bytes of a header.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PayloadAccess {
    /// The register is set to them.
    Load(Register),
    /// They are set to the register.
    Write {
        /// Which.
        from: Register,
        /// `enum nft_payload_csum_types`: the kind of checksum that is mended then.
        checksum: Option<u32>,
        /// Where it is.
        checksum_offset: Option<u32>,
        /// `enum nft_payload_csum_flags`.
        checksum_flags: Option<u32>,
    },
}

impl Payload {
    /// Writes `4b @ network header + 12`.
    fn write_place(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (length, base, offset) = (self.length, self.base, self.offset);
        write!(f, "{length}b @ {base} header + {offset}")
    }

    /// Reads the same.
    fn read_place(line: &mut Cursor<'_>) -> Option<(u32, PayloadBase, u32)> {
        let length = line.number()?;
        line.text("b @ ")?;
        let base = number(line)?;
        line.text(" header + ")?;
        let offset = line.number()?;
        Some((length, base, offset))
    }

    fn read_load(line: &mut Cursor<'_>) -> Option<Self> {
        let (length, base, offset) = Self::read_place(line)?;
        line.text(" => reg ")?;
        let access = PayloadAccess::Load(Register::read(line)?);
        Some(Payload {
            base,
            offset,
            length,
            access,
        })
    }

    fn read_write(line: &mut Cursor<'_>) -> Option<Self> {
        let from = Register::read(line)?;
        line.text(" => ")?;
        let (length, base, offset) = Self::read_place(line)?;
        let access = PayloadAccess::Write {
            from,
            checksum: line.after(" csum_type ", Cursor::number)?,
            checksum_offset: line.after(" csum_off ", Cursor::number)?,
            checksum_flags: line.after(" csum_flags 0x", Cursor::digits)?,
        };
        Some(Payload {
            base,
            offset,
            length,
            access,
        })
    }
}

impl Words for Payload {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.access {
            PayloadAccess::Load(to) => {
                f.write_str(" load ")?;
                self.write_place(f)?;
                write!(f, " => reg {to}")
            }
            PayloadAccess::Write {
                from,
                checksum,
                checksum_offset,
                checksum_flags,
            } => {
                write!(f, " write reg {from} => ")?;
                self.write_place(f)?;
                part(f, " csum_type ", *checksum)?;
                part(f, " csum_off ", *checksum_offset)?;
                flags_part(f, " csum_flags ", *checksum_flags)
            }
        }
    }

    fn read(line: &mut Cursor<'_>) -> Option<Self> {
        match line.text(" load ") {
            Some(()) => Self::read_load(line),
            None => {
                line.text(" write reg ")?;
                Self::read_write(line)
            }
        }
    }
}

/// `enum nft_exthdr_attributes`: an extension header or an option.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Exthdr {
    /// Of which protocol.
    pub operation: ExthdrOperation,
    /// Its type.
    pub kind: u8,
    /// From which byte on.
    pub offset: u32,
    /// How many bytes.
    pub length: u32,
    /// `enum nft_exthdr_flags`: whether it is enough that it is there.
    pub flags: u32,
    /// What is done with it.
    pub access: ExthdrAccess,
}

/// What is done with an extension header or an option.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ExthdrAccess {
    /// The register is set to its bytes.
    Load(Register),
    /// Its bytes are set to the register.
    Write(Register),
    /// It is taken out, as `reset tcpopt` does.
    Reset,
}

impl Exthdr {
    /// `NFT_EXTHDR_F_PRESENT`.
    const PRESENT: u32 = 1;

    fn present(&self) -> &'static str {
        if self.flags & Self::PRESENT == 0 {
            ""
        } else {
            " present"
        }
    }

    /// Writes `2b @ 2 + 2`.
    fn write_place(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (length, kind, offset) = (self.length, self.kind, self.offset);
        write!(f, "{length}b @ {kind} + {offset}{}", self.present())
    }

    /// Reads the same.
    fn read_place(&mut self, line: &mut Cursor<'_>) -> Option<()> {
        self.length = line.number()?;
        line.text("b @ ")?;
        self.kind = line.number()?;
        line.text(" + ")?;
        self.offset = line.number()?;
        self.read_present(line);
        Some(())
    }

    fn read_present(&mut self, line: &mut Cursor<'_>) {
        if line.text(" present").is_some() {
            self.flags |= Self::PRESENT;
        }
    }

    fn read_access(line: &mut Cursor<'_>) -> Option<Self> {
        let verb = line.word();
        line.text(" ")?;
        let mut read = Exthdr {
            operation: number(line)?,
            kind: 0,
            offset: 0,
            length: 0,
            flags: 0,
            access: ExthdrAccess::Reset,
        };
        match verb {
            "load" => {
                line.text(" ")?;
                read.read_place(line)?;
                line.text(" => reg ")?;
                read.access = ExthdrAccess::Load(Register::read(line)?);
            }
            "write" => {
                line.text(" reg ")?;
                read.access = ExthdrAccess::Write(Register::read(line)?);
                line.text(" => ")?;
                read.read_place(line)?;
            }
            "reset" => {
                line.text(" ")?;
                read.kind = line.number()?;
                read.read_present(line);
                read.offset = read_offset(line)?;
            }
            _ => return None,
        }
        Some(read)
    }
}

impl Words for Exthdr {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operation = self.operation;
        match self.access {
            ExthdrAccess::Load(to) => {
                write!(f, " load {operation} ")?;
                self.write_place(f)?;
                write!(f, " => reg {to}")?;
            }
            ExthdrAccess::Write(from) => {
                write!(f, " write {operation} reg {from} => ")?;
                self.write_place(f)?;
            }
            ExthdrAccess::Reset => {
                write!(f, " reset {operation} {}{}", self.kind, self.present())?;
                write_offset(f, self.offset)?;
            }
        }
        let unknown = self.flags & !Self::PRESENT;
        flags_part(f, " flags ", (unknown != 0).then_some(unknown))
    }

    fn read(line: &mut Cursor<'_>) -> Option<Self> {
        line.text(" ")?;
        let mut read = Self::read_access(line)?;
        read.flags |= line.after(" flags 0x", Cursor::digits)?.unwrap_or(0);
        Some(read)
    }
}

/// `enum nft_inner_attributes`: an expression about the packet within the packet.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Inner {
    /// The number of the expression.
    pub number: u32,
    /// `enum nft_inner_type`: the kind of tunnel.
    pub kind: u32,
    /// `enum nft_inner_flags`: which headers are there.
    pub flags: u32,
    /// How many bytes the tunnel's own header has.
    pub header: u32,
    /// The expression.
    pub expression: Expression,
}

impl Words for Inner {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        part(f, " num ", (self.number != 0).then_some(self.number))?;
        let (kind, header, flags) = (self.kind, self.header, self.flags);
        write!(f, " type {kind} hdrsize {header} flags {flags:x}")?;
        write!(f, " [ {} ]", self.expression)
    }

    fn read(line: &mut Cursor<'_>) -> Option<Self> {
        let number = line.after(" num ", Cursor::number)?.unwrap_or(0);
        line.text(" type ")?;
        let kind = line.number()?;
        line.text(" hdrsize ")?;
        let header = line.number()?;
        line.text(" flags ")?;
        let flags = line.digits()?;
        line.text(" [ ")?;
        let expression = Expression::read_known(line)?;
        line.text(" ]")?;
        Some(Inner {
            number,
            kind,
            flags,
            header,
            expression,
        })
    }
}
