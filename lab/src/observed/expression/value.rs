//! What expressions share: registers, verdicts, flags, and attributes that are not known.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::observed::bytes::{Bytes, Name, Value};
use crate::observed::cursor::Cursor;
use crate::observed::printed;

pub(super) use crate::observed::printed::part;

/// One of the registers that expressions hand values on in. 0 is the verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Register(pub u32);

impl Register {
    pub(super) fn read(line: &mut Cursor<'_>) -> Option<Self> {
        line.number().map(Register)
    }
}

impl fmt::Display for Register {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// `enum nft_data_attributes`: what a register is set to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Data {
    /// A value.
    Value(Value),
    /// What becomes of the packet.
    Verdict(Verdict),
}

impl Data {
    pub(super) fn read(line: &mut Cursor<'_>) -> Option<Self> {
        match line.attempt(Verdict::read) {
            Some(verdict) => Some(Data::Verdict(verdict)),
            None => line.value().map(Data::Value),
        }
    }
}

impl fmt::Display for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Data::Value(value) => value.fmt(f),
            Data::Verdict(verdict) => verdict.fmt(f),
        }
    }
}

impl Serialize for Data {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        printed::deserialize_whole(from, "value or verdict", Data::read)
    }
}

/// `enum nft_verdict_attributes`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Verdict {
    /// What becomes of the packet.
    pub code: VerdictCode,
    /// The chain that it goes to.
    pub chain: Option<Name>,
}

impl Verdict {
    fn read(line: &mut Cursor<'_>) -> Option<Self> {
        let code = match line.word() {
            "verdict" => {
                line.text(" 0x")?;
                VerdictCode::Other(line.digits::<u32>()?.cast_signed())
            }
            word => {
                let mut named = VerdictCode::NAMED.iter();
                named.find(|(_, _, name)| *name == word)?.1
            }
        };
        let chain = line.after(" -> ", Cursor::name)?;
        Some(Verdict { code, chain })
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.code.fmt(f)?;
        part(f, " -> ", self.chain.as_ref())
    }
}

/// `NF_DROP` and so on, and `enum nft_verdicts`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(
    missing_docs,
    reason = "each is named after the word that it is printed as"
)]
pub enum VerdictCode {
    Drop,
    Accept,
    Stolen,
    Queue,
    Repeat,
    Stop,
    Continue,
    Break,
    Jump,
    Goto,
    Return,
    /// One that this program does not know.
    Other(i32),
}

impl VerdictCode {
    /// With the names of `nftnl_verdict2str`.
    const NAMED: [(i32, VerdictCode, &str); 11] = [
        (0, VerdictCode::Drop, "drop"),
        (1, VerdictCode::Accept, "accept"),
        (2, VerdictCode::Stolen, "stolen"),
        (3, VerdictCode::Queue, "queue"),
        (4, VerdictCode::Repeat, "repeat"),
        (5, VerdictCode::Stop, "stop"),
        (-1, VerdictCode::Continue, "continue"),
        (-2, VerdictCode::Break, "break"),
        (-3, VerdictCode::Jump, "jump"),
        (-4, VerdictCode::Goto, "goto"),
        (-5, VerdictCode::Return, "return"),
    ];
}

impl From<i32> for VerdictCode {
    fn from(code: i32) -> Self {
        let known = Self::NAMED.iter().find(|(number, ..)| *number == code);
        known.map_or(VerdictCode::Other(code), |(_, named, _)| *named)
    }
}

impl fmt::Display for VerdictCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, Self::NAMED.iter().find(|(_, named, _)| named == self)) {
            (_, Some((.., name))) => f.write_str(name),
            (VerdictCode::Other(code), None) => write!(f, "verdict {code:#x}"),
            (_, None) => Ok(()),
        }
    }
}

/// Whether a value comes from the packet or goes into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Access {
    /// The register is set to it.
    Load(Register),
    /// It is set to the register.
    Set(Register),
}

impl Access {
    /// Writes `load mark => reg 1` or `set mark with reg 1`.
    pub(super) fn write(self, f: &mut fmt::Formatter<'_>, key: impl fmt::Display) -> fmt::Result {
        match self {
            Access::Load(to) => write!(f, "load {key} => reg {to}"),
            Access::Set(from) => write!(f, "set {key} with reg {from}"),
        }
    }

    /// Reads the same.
    pub(super) fn read<K>(
        line: &mut Cursor<'_>,
        key: impl FnOnce(&mut Cursor<'_>) -> Option<K>,
    ) -> Option<(K, Self)> {
        if line.text("load ").is_some() {
            let key = key(line)?;
            line.text(" => reg ")?;
            return Some((key, Access::Load(Register::read(line)?)));
        }
        line.text("set ")?;
        let key = key(line)?;
        line.text(" with reg ")?;
        Some((key, Access::Set(Register::read(line)?)))
    }
}

/// An attribute that this program does not know.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Attribute {
    /// Its type.
    pub kind: u16,
    /// What it holds.
    pub value: Bytes,
}

impl Attribute {
    /// Reads one.
    fn read(line: &mut Cursor<'_>) -> Option<Self> {
        line.text("attribute ")?;
        let kind = line.number()?;
        line.text(" ")?;
        let value = line.bytes()?;
        Some(Attribute { kind, value })
    }

    /// Reads those that are there, each after a blank.
    pub(super) fn read_all(line: &mut Cursor<'_>) -> Vec<Self> {
        let next = |line: &mut Cursor<'_>| {
            line.text(" ")?;
            Self::read(line)
        };
        let mut all = Vec::new();
        while let Some(attribute) = line.attempt(next) {
            all.push(attribute);
        }
        all
    }
}

impl Serialize for Attribute {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Attribute {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        printed::deserialize_whole(from, "attribute", Attribute::read)
    }
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "attribute {} {}", self.kind, self.value)
    }
}

/// Writes flags that are there in hexadecimal.
pub(super) fn flags_part(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    flags: Option<u32>,
) -> fmt::Result {
    match flags {
        Some(flags) => write!(f, "{name}{flags:#x}"),
        None => Ok(()),
    }
}

/// Writes the names of the bits that are set, each after a blank, and those without a name as a number.
pub(super) fn write_bits(f: &mut fmt::Formatter<'_>, flags: u32, names: &[&str]) -> fmt::Result {
    let mut unknown = flags;
    for (bit, name) in names.iter().enumerate() {
        if flags & (1 << bit) != 0 {
            write!(f, " {name}")?;
            unknown &= !(1 << bit);
        }
    }
    if unknown != 0 || flags == 0 {
        write!(f, " flags {unknown:#x}")?;
    }
    Ok(())
}

/// Reads the same; none where no bit is named.
pub(super) fn read_bits(line: &mut Cursor<'_>, names: &[&str]) -> Option<u32> {
    let mut found = None;
    for (bit, name) in names.iter().enumerate() {
        let is_set = line.attempt(|line| {
            line.text(" ")?;
            (line.word() == *name).then_some(())
        });
        if is_set.is_some() {
            found = Some(found.unwrap_or(0) | 1 << bit);
        }
    }
    let unknown = line.attempt(|line| {
        line.text(" flags 0x")?;
        line.digits::<u32>()
    });
    match (found, unknown) {
        (None, None) => None,
        (found, unknown) => Some(found.unwrap_or(0) | unknown.unwrap_or(0)),
    }
}
