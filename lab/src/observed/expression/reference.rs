//! Expressions that use what else is in the table: sets that they write into, objects, flowtables.

use std::fmt;

use super::Expression;
use super::number::{DynsetOperation, number};
use super::value::{Register, flags_part, part};
use super::words::Words;
use crate::observed::bytes::Name;
use crate::observed::cursor::Cursor;

/// `enum nft_dynset_attributes`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Dynset {
    /// What is done with the element.
    pub operation: DynsetOperation,
    /// The register of its key.
    pub key: Register,
    /// In which set.
    pub set: Name,
    /// In a map, the register of its data.
    pub data: Option<Register>,
    /// After how many milliseconds it goes away.
    pub timeout: Option<u64>,
    /// `enum nft_dynset_flags`.
    pub flags: Option<u32>,
    /// The expressions that it gets. The kernel sends one alone, several as a list (`nft_dynset_dump`).
    pub expressions: ElementExpressions,
}

/// The expressions that an element gets.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ElementExpressions {
    /// One alone.
    pub one: Option<Expression>,
    /// A list.
    pub list: Option<Vec<Expression>>,
}

impl ElementExpressions {
    fn read_one(line: &mut Cursor<'_>) -> Option<Expression> {
        let read = Expression::read_known(line)?;
        line.text(" ]")?;
        Some(read)
    }

    fn read_list(line: &mut Cursor<'_>) -> Option<Vec<Expression>> {
        let mut list = Vec::new();
        if line.text(" ]").is_some() {
            return Some(list);
        }
        list.push(Self::read_one(line)?);
        while let Some(next) = line.after(" [ ", Self::read_one)? {
            list.push(next);
        }
        Some(list)
    }

    fn read(line: &mut Cursor<'_>) -> Option<Self> {
        Some(ElementExpressions {
            one: line.after(" expr [ ", Self::read_one)?,
            list: line.after(" exprs [ ", Self::read_list)?,
        })
    }

    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(one) = &self.one {
            write!(f, " expr [ {one} ]")?;
        }
        let Some(list) = &self.list else {
            return Ok(());
        };
        f.write_str(" exprs [ ")?;
        for (place, one) in list.iter().enumerate() {
            part(f, if place == 0 { "" } else { " ] [ " }, Some(one))?;
        }
        f.write_str(" ]")
    }
}

impl Words for Dynset {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (operation, key, set) = (self.operation, self.key, &self.set);
        write!(f, " {operation} reg_key {key} set {set}")?;
        part(f, " sreg_data ", self.data)?;
        if let Some(timeout) = self.timeout {
            write!(f, " timeout {timeout}ms")?;
        }
        flags_part(f, " flags ", self.flags)?;
        self.expressions.write(f)
    }

    fn read(line: &mut Cursor<'_>) -> Option<Self> {
        let milliseconds = |line: &mut Cursor<'_>| {
            let number = line.number()?;
            line.text("ms")?;
            Some(number)
        };
        line.text(" ")?;
        let operation = number(line)?;
        line.text(" reg_key ")?;
        let key = Register::read(line)?;
        line.text(" set ")?;
        Some(Dynset {
            operation,
            key,
            set: line.name()?,
            data: line.after(" sreg_data ", Register::read)?,
            timeout: line.after(" timeout ", milliseconds)?,
            flags: line.after(" flags 0x", Cursor::digits)?,
            expressions: ElementExpressions::read(line)?,
        })
    }
}

/// `enum nft_objref_attributes`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Objref {
    /// The object of this name.
    Named {
        /// `NFT_OBJECT_*`.
        kind: u32,
        /// Its name.
        name: Name,
    },
    /// The object that a map has for what is in a register.
    Looked {
        /// The register.
        from: Register,
        /// The map.
        set: Name,
    },
}

impl Objref {
    fn read_looked(line: &mut Cursor<'_>) -> Option<Self> {
        let from = Register::read(line)?;
        line.text(" set ")?;
        let set = line.name()?;
        Some(Objref::Looked { from, set })
    }
}

impl Words for Objref {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Objref::Named { kind, name } => write!(f, " type {kind} name {name}"),
            Objref::Looked { from, set } => write!(f, " sreg {from} set {set}"),
        }
    }

    fn read(line: &mut Cursor<'_>) -> Option<Self> {
        if let Some(looked) = line.after(" sreg ", Self::read_looked)? {
            return Some(looked);
        }
        line.text(" type ")?;
        let kind = line.number()?;
        line.text(" name ")?;
        let name = line.name()?;
        Some(Objref::Named { kind, name })
    }
}

/// `enum nft_offload_attributes`: later packets of the connection pass by the rules.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FlowOffload {
    /// The flowtable.
    pub flowtable: Name,
}

impl Words for FlowOffload {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " flowtable {}", self.flowtable)
    }

    fn read(line: &mut Cursor<'_>) -> Option<Self> {
        line.text(" flowtable ")?;
        let flowtable = line.name()?;
        Some(FlowOffload { flowtable })
    }
}
