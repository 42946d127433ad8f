//! Sets and maps with their elements.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::observed::bytes::{Bytes, Name};
use crate::observed::expression::{Attribute, Data, Expression, ObjectKind};
use crate::observed::flags::flags;
use crate::observed::printed::{each, part};

/// `enum nft_set_attributes`: one set or map, without handle and id, and without what follows from the rest: the count of elements,
/// and the backend, which the kernel picks itself and which depends on the processor.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct NftSet {
    /// Its name. That of an anonymous one has the number of its first use ([`number_anonymous_sets`]).
    ///
    /// [`number_anonymous_sets`]: super::NftTable::number_anonymous_sets
    pub name: Name,
    /// What it is, and what may be in it.
    #[serde(default, skip_serializing_if = "SetFlags::is_empty")]
    pub flags: SetFlags,
    /// The type of its keys, as a number of nft's own (`enum datatypes` of its include/datatype.h): the kernel makes nothing of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_type: Option<u32>,
    /// How many bytes a key has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_length: Option<u32>,
    /// Of a map, the type of what a key has: `NFT_DATA_VERDICT`, or a number of nft's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_type: Option<u32>,
    /// Of a map, how many bytes that has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_length: Option<u32>,
    /// `enum nft_set_policies`: whether it shall be fast (0) or small (1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<u32>,
    /// Of a map of objects, their kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object_kind: Option<ObjectKind>,
    /// After how many milliseconds an element goes away that says nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<u64>,
    /// How often the kernel looks for elements that have gone, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gc_interval: Option<u32>,
    /// How large it is and how its keys are put together.
    #[serde(default, skip_serializing_if = "SetDescription::is_empty")]
    pub description: SetDescription,
    /// What its writer keeps with it: how nft shows keys and data, a comment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub userdata: Option<Bytes>,
    /// The expressions that each element gets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expressions: Vec<Expression>,
    /// What else the kernel says of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other: Vec<Attribute>,
    /// Its elements, sorted as they are printed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub elements: Vec<NftElement>,
}

flags! {
    /// `enum nft_set_flags`.
    SetFlags {
        /// It belongs to the rule that uses it, and has no name of its own.
        ANONYMOUS = 0x1;
        /// Its elements stay as they are as long as it is used.
        CONSTANT = 0x2;
        /// Its elements are the ends of intervals.
        INTERVAL = 0x4;
        /// It is a map.
        MAP = 0x8;
        /// Its elements go away after a time.
        TIMEOUT = 0x10;
        /// Rules write into it.
        EVAL = 0x20;
        /// It is a map of objects.
        OBJECT = 0x40;
        /// Its keys are put together of several values.
        CONCAT = 0x80;
        /// Its elements have expressions.
        EXPR = 0x100;
    }
    /// `enum nft_set_elem_flags`.
    ElementFlags {
        /// It is where the interval before it ends.
        INTERVAL_END = 0x1;
        /// It stands for every key that no other element has.
        CATCHALL = 0x2;
    }
}

/// `enum nft_set_desc_attributes`: how large a set is and how its keys are put together.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct SetDescription {
    /// How many elements there may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u32>,
    /// The lengths of the values that a key is put together of, as the kernel sends them (`enum nft_set_field_attributes`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concatenation: Option<Bytes>,
    /// What else the kernel says of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other: Vec<Attribute>,
}

impl SetDescription {
    fn is_empty(&self) -> bool {
        *self == SetDescription::default()
    }
}

impl NftSet {
    /// Whether it belongs to the rule that uses it, and has no name of its own.
    pub fn is_anonymous(&self) -> bool {
        self.flags.has(SetFlags::ANONYMOUS)
    }

    /// Whether both are the same, whatever their names.
    pub fn is_same_but_name(&self, other: &NftSet) -> bool {
        self.but_name() == other.but_name()
    }

    /// What packets meet of it, whatever its name: what nft's users see of types and comments, and how fast or large the kernel was
    /// asked to make it, is no part of that. Nor is what is in a set that rules write into: packets have put it there. That an
    /// interval ends at the lowest key ends none: nft puts such an end into most sets that are made with their elements, and into few that
    /// are filled later (`segtree_needs_first_segment` of its src/intervals.c).
    pub fn bare(&self) -> NftSet {
        let mut bare = NftSet {
            name: Name::default(),
            key_type: None,
            policy: None,
            userdata: None,
            ..self.clone()
        };
        bare.description.size = None;
        if self.flags.has(SetFlags::EVAL) {
            bare.elements.clear();
        }
        bare.elements.retain(|element| !element.ends_nothing());
        for element in &mut bare.elements {
            element.userdata = None;
        }
        bare
    }

    fn but_name(&self) -> impl PartialEq {
        let NftSet {
            name: _,
            flags,
            key_type,
            key_length,
            data_type,
            data_length,
            policy,
            object_kind,
            timeout,
            gc_interval,
            description,
            userdata,
            expressions,
            other,
            elements,
        } = self;
        let key_and_data = (key_type, key_length, data_type, data_length, object_kind);
        let upkeep = (policy, timeout, gc_interval, description);
        (
            flags,
            key_and_data,
            upkeep,
            userdata,
            expressions,
            other,
            elements,
        )
    }
}

/// Without its elements.
impl fmt::Display for NftSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "set {} flags {}", self.name, self.flags)?;
        part(f, " key_type ", self.key_type)?;
        part(f, " key_len ", self.key_length)?;
        part(f, " data_type ", self.data_type)?;
        part(f, " data_len ", self.data_length)?;
        part(f, " policy ", self.policy)?;
        part(f, " obj_type ", self.object_kind.map(ObjectKind::number))?;
        milliseconds(f, " timeout ", self.timeout)?;
        milliseconds(f, " gc_interval ", self.gc_interval.map(u64::from))?;
        part(f, " size ", self.description.size)?;
        part(f, " concat ", self.description.concatenation.as_ref())?;
        each(f, &self.description.other)?;
        part(f, " userdata ", self.userdata.as_ref())?;
        write_expressions(f, &self.expressions)?;
        each(f, &self.other)
    }
}

/// `enum nft_set_elem_attributes`: one element, without when it expires.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct NftElement {
    /// Its key; in a set of intervals, where one begins. One that stands for all other keys has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Data>,
    /// Where the interval that begins at the key ends, in a set whose keys are put together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_end: Option<Data>,
    /// In a map, what the key has: a value or a verdict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Data>,
    /// In a map of objects, the object that the key has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<Name>,
    /// Whether it ends an interval or stands for all other keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flags: Option<ElementFlags>,
    /// After how many milliseconds it goes away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<u64>,
    /// Its expressions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expressions: Vec<Expression>,
    /// What its writer keeps with it: a comment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub userdata: Option<Bytes>,
    /// What else the kernel says of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other: Vec<Attribute>,
}

impl NftElement {
    /// Whether it is an interval's end at the lowest key, before which none can have begun.
    fn ends_nothing(&self) -> bool {
        let is_end = self
            .flags
            .is_some_and(|of| of.has(ElementFlags::INTERVAL_END));
        is_end && matches!(&self.key, Some(Data::Value(key)) if key.is_all(0))
    }
}

impl fmt::Display for NftElement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("element")?;
        part(f, " ", self.key.as_ref())?;
        part(f, " - ", self.key_end.as_ref())?;
        part(f, " : ", self.data.as_ref())?;
        part(f, " : object ", self.object.as_ref())?;
        part(f, " flags ", self.flags)?;
        milliseconds(f, " timeout ", self.timeout)?;
        write_expressions(f, &self.expressions)?;
        part(f, " userdata ", self.userdata.as_ref())?;
        each(f, &self.other)
    }
}

fn milliseconds(f: &mut fmt::Formatter<'_>, name: &str, time: Option<u64>) -> fmt::Result {
    match time {
        Some(time) => write!(f, "{name}{time}ms"),
        None => Ok(()),
    }
}

fn write_expressions(f: &mut fmt::Formatter<'_>, expressions: &[Expression]) -> fmt::Result {
    let mut all = expressions.iter();
    all.try_for_each(|expression| write!(f, " [ {expression} ]"))
}
