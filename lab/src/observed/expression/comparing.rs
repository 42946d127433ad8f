//! Expressions that work on registers: what they are compared with, looked up in, made of.

use std::fmt;

use super::number::{
    BitwiseOperator, ByteorderOperation, CmpOperator, NumgenKind, RangeOperator, number,
};
use super::value::{Data, Register, flags_part, part};
use super::words::Words;
use crate::observed::bytes::{Name, Value};
use crate::observed::cursor::Cursor;

/// `enum nft_bitwise_attributes`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Bitwise {
    /// `NFT_BITWISE_MASK_XOR`.
    Mask {
        /// What is masked.
        from: Register,
        /// Where the outcome is put.
        to: Register,
        /// How many bytes. The kernel holds mask and flips to this length (`nft_bitwise_init_mask_xor`), and it is printed only
        /// where the mask has another.
        length: u32,
        /// The bits that are kept.
        mask: Value,
        /// The bits that are then flipped.
        flips: Value,
    },
    /// The others of `enum nft_bitwise_ops`.
    Operation {
        /// The left operand.
        from: Register,
        /// Where the outcome is put.
        to: Register,
        /// How many bytes.
        length: u32,
        /// What is done.
        operator: BitwiseOperator,
        /// The right operand.
        operand: Operand,
    },
}

/// The right operand of [`Bitwise::Operation`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Operand {
    /// What a register holds.
    Register(Register),
    /// A value.
    Data(Data),
}

impl Operand {
    fn read(line: &mut Cursor<'_>) -> Option<Self> {
        match line.after("reg ", Register::read)? {
            Some(register) => Some(Operand::Register(register)),
            None => Data::read(line).map(Operand::Data),
        }
    }
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Operand::Register(register) => write!(f, "reg {register}"),
            Operand::Data(data) => data.fmt(f),
        }
    }
}

impl Bitwise {
    fn read_mask((from, to): (Register, Register), line: &mut Cursor<'_>) -> Option<Self> {
        line.text("& ")?;
        let mask = line.value()?;
        line.text(" ) ^ ")?;
        let flips = line.value()?;
        let length = match line.after(" len ", Cursor::number)? {
            Some(length) => length,
            None => u32::try_from(mask.as_slice().len()).ok()?,
        };
        Some(Bitwise::Mask {
            from,
            to,
            length,
            mask,
            flips,
        })
    }

    fn read_operation((from, to): (Register, Register), line: &mut Cursor<'_>) -> Option<Self> {
        let operator = number(line)?;
        line.text(" ")?;
        let operand = Operand::read(line)?;
        line.text(" ) len ")?;
        let length = line.number()?;
        Some(Bitwise::Operation {
            from,
            to,
            length,
            operator,
            operand,
        })
    }
}

impl Words for Bitwise {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bitwise::Mask {
                from,
                to,
                length,
                mask,
                flips,
            } => {
                write!(f, " reg {to} = ( reg {from} & {mask} ) ^ {flips}")?;
                let unusual = mask.as_slice().len() != *length as usize;
                part(f, " len ", unusual.then_some(length))
            }
            Bitwise::Operation {
                from,
                to,
                length,
                operator,
                operand,
            } => {
                write!(f, " reg {to} = ( reg {from} {operator} {operand} )")?;
                write!(f, " len {length}")
            }
        }
    }

    fn read(line: &mut Cursor<'_>) -> Option<Self> {
        line.text(" reg ")?;
        let to = Register::read(line)?;
        line.text(" = ( reg ")?;
        let from = Register::read(line)?;
        line.text(" ")?;
        let mask = line.attempt(|line| Self::read_mask((from, to), line));
        mask.or_else(|| Self::read_operation((from, to), line))
    }
}

/// `enum nft_byteorder_attributes`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Byteorder {
    /// What is turned round.
    pub from: Register,
    /// Where the outcome is put.
    pub to: Register,
    /// Which way.
    pub operation: ByteorderOperation,
    /// How many bytes in all.
    pub length: u32,
    /// How many bytes each number has.
    pub size: u32,
}

impl Words for Byteorder {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, to, operation) = (self.from, self.to, self.operation);
        let (size, length) = (self.size, self.length);
        write!(f, " reg {to} = {operation}(reg {from}, {size}, {length})")
    }

    fn read(line: &mut Cursor<'_>) -> Option<Self> {
        line.text(" reg ")?;
        let to = Register::read(line)?;
        line.text(" = ")?;
        let operation = number(line)?;
        line.text("(reg ")?;
        let from = Register::read(line)?;
        line.text(", ")?;
        let size = line.number()?;
        line.text(", ")?;
        let length = line.number()?;
        line.text(")")?;
        Some(Byteorder {
            from,
            to,
            operation,
            length,
            size,
        })
    }
}

/// `enum nft_cmp_attributes`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Cmp {
    /// What is compared.
    pub from: Register,
    /// How.
    pub operator: CmpOperator,
    /// With what.
    pub value: Value,
}

impl Words for Cmp {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " {} reg {} {}", self.operator, self.from, self.value)
    }

    fn read(line: &mut Cursor<'_>) -> Option<Self> {
        line.text(" ")?;
        let operator = number(line)?;
        line.text(" reg ")?;
        let from = Register::read(line)?;
        line.text(" ")?;
        let value = line.value()?;
        Some(Cmp {
            from,
            operator,
            value,
        })
    }
}

/// `enum nft_range_attributes`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Range {
    /// What is compared.
    pub from: Register,
    /// How.
    pub operator: RangeOperator,
    /// The first value of the range.
    pub first: Value,
    /// The last one, which is as long.
    pub last: Value,
}

impl Words for Range {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (operator, from) = (self.operator, self.from);
        write!(f, " {operator} reg {from} {} {}", self.first, self.last)
    }

    fn read(line: &mut Cursor<'_>) -> Option<Self> {
        line.text(" ")?;
        let operator = number(line)?;
        line.text(" reg ")?;
        let from = Register::read(line)?;
        line.text(" ")?;
        let both = line.value()?;
        let (first, last) = both.as_slice().split_at(both.as_slice().len() / 2);
        Some(Range {
            from,
            operator,
            first: first.into(),
            last: last.into(),
        })
    }
}

/// `enum nft_lookup_attributes`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Lookup {
    /// What is looked up.
    pub from: Register,
    /// In which set.
    pub set: Name,
    /// Of a map, where the outcome is put.
    pub to: Option<Register>,
    /// `enum nft_lookup_flags`: whether what is not found counts.
    pub flags: Option<u32>,
}

impl Words for Lookup {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " reg {} set {}", self.from, self.set)?;
        part(f, " dreg ", self.to)?;
        flags_part(f, " ", self.flags)
    }

    fn read(line: &mut Cursor<'_>) -> Option<Self> {
        line.text(" reg ")?;
        let from = Register::read(line)?;
        line.text(" set ")?;
        let set = line.name()?;
        let to = line.after(" dreg ", Register::read)?;
        let flags = line.after(" 0x", Cursor::digits)?;
        Some(Lookup {
            from,
            set,
            to,
            flags,
        })
    }
}

/// `enum nft_hash_attributes`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Hash {
    /// What is hashed.
    pub of: Hashed,
    /// Where the outcome is put.
    pub to: Register,
    /// How many outcomes there are.
    pub modulus: u32,
    /// What is added to them.
    pub offset: u32,
}

/// What is hashed: `enum nft_hash_types`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Hashed {
    /// `NFT_HASH_JENKINS`.
    Register {
        /// What it holds.
        from: Register,
        /// How many bytes.
        length: u32,
        /// Which hash; a random one where there is none.
        seed: Option<u32>,
    },
    /// `NFT_HASH_SYM`: the packet's flow.
    Flow,
}

impl Hashed {
    fn read(line: &mut Cursor<'_>) -> Option<Self> {
        if line.text("symhash()").is_some() {
            return Some(Hashed::Flow);
        }
        line.text("jhash(reg ")?;
        let from = Register::read(line)?;
        line.text(", ")?;
        let length = line.number()?;
        line.text(", ")?;
        let seed = match line.text("random") {
            Some(()) => None,
            None => {
                line.text("0x")?;
                Some(line.digits()?)
            }
        };
        line.text(")")?;
        Some(Hashed::Register { from, length, seed })
    }
}

impl fmt::Display for Hashed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Hashed::Flow => f.write_str("symhash()"),
            Hashed::Register { from, length, seed } => {
                write!(f, "jhash(reg {from}, {length}, ")?;
                match seed {
                    Some(seed) => write!(f, "{seed:#x})"),
                    None => f.write_str("random)"),
                }
            }
        }
    }
}

impl Words for Hash {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (of, to, modulus) = (&self.of, self.to, self.modulus);
        write!(f, " reg {to} = {of} % mod {modulus}")?;
        write_offset(f, self.offset)
    }

    fn read(line: &mut Cursor<'_>) -> Option<Self> {
        line.text(" reg ")?;
        let to = Register::read(line)?;
        line.text(" = ")?;
        let of = Hashed::read(line)?;
        line.text(" % mod ")?;
        let modulus = line.number()?;
        let offset = read_offset(line)?;
        Some(Hash {
            of,
            to,
            modulus,
            offset,
        })
    }
}

/// `enum nft_ng_attributes`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Numgen {
    /// Which number comes next.
    pub kind: NumgenKind,
    /// Where it is put.
    pub to: Register,
    /// How many numbers there are.
    pub modulus: u32,
    /// What is added to them.
    pub offset: u32,
}

impl Words for Numgen {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " reg {} = {} mod {}", self.to, self.kind, self.modulus)?;
        write_offset(f, self.offset)
    }

    fn read(line: &mut Cursor<'_>) -> Option<Self> {
        line.text(" reg ")?;
        let to = Register::read(line)?;
        line.text(" = ")?;
        let kind = number(line)?;
        line.text(" mod ")?;
        let modulus = line.number()?;
        let offset = read_offset(line)?;
        Some(Numgen {
            kind,
            to,
            modulus,
            offset,
        })
    }
}

/// An offset of 0 is none.
pub(super) fn write_offset(f: &mut fmt::Formatter<'_>, offset: u32) -> fmt::Result {
    part(f, " offset ", (offset != 0).then_some(offset))
}

/// Reads the same.
pub(super) fn read_offset(line: &mut Cursor<'_>) -> Option<u32> {
    Some(line.after(" offset ", Cursor::number)?.unwrap_or(0))
}
