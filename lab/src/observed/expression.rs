//! One expression of a rule of nf_tables, and of a set, an element or an object: typed, printed, read back.
//!
//! It is printed as `nft --debug=netlink` prints it, without the brackets, made exact. The words are those of libnftnl's
//! `src/expr/*.c`, so that a state can be held beside `nft`'s own output. Where libnftnl prints two different expressions alike,
//! this program does not:
//!
//! - the last word of a value is no wider than the value (`0x06` for one byte);
//! - the payload of xtables matches and targets is printed;
//! - names that hold blanks or quotes are in quotes;
//! - attributes that libnftnl leaves out follow at the end, by name, or as `attribute N 0x…` where unknown.
//!
//! What the packets themselves change is left out: counters, consumed quota, time of last use.
//!
//! Each type names the enum of the kernel's include/uapi/linux/netfilter/nf_tables.h or nf_tables_compat.h that its fields are
//! from.

mod comparing;
mod header;
mod loading;
mod number;
mod reference;
mod statement;
#[cfg(test)]
mod tests;
mod translation;
mod value;
mod words;

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::bytes::{Bytes, Name};
use super::cursor::Cursor;
use super::printed::{self, is_printed_as};

use words::Words;

pub use comparing::{Bitwise, Byteorder, Cmp, Hash, Hashed, Lookup, Numgen, Operand, Range};
pub use header::{Exthdr, ExthdrAccess, Inner, Payload, PayloadAccess};
pub use loading::{Ct, Extension, Fib, Meta, Osf, Rt, Socket, Tunnel, Xfrm};
pub use number::{
    BitwiseOperator, ByteorderOperation, CmpOperator, CtDirection, CtKey, DynsetOperation,
    ExthdrOperation, FibResult, LimitKind, MetaKey, NatKind, NumgenKind, ObjectKind, PayloadBase,
    ProtocolFamily, RangeOperator, RtKey, SocketKey, TunnelKey, XfrmDirection, XfrmKey,
};
pub use reference::{Dynset, ElementExpressions, FlowOffload, Objref};
pub use statement::{Connlimit, Immediate, Limit, Log, Queue, QueueNumbers, Quota, Reject};
pub use translation::{Dup, Fwd, Masquerade, Nat, Synproxy, Tproxy};
pub use value::{Access, Attribute, Data, Register, Verdict, VerdictCode};

/// Defines [`Expression`]: each with its name, and those that have more than a name with what they have.
macro_rules! expressions {
    (
        $($(#[$doc:meta])+ $variant:ident($words:ty) = $name:literal;)+
        bare: $($(#[$bare_doc:meta])+ $bare:ident = $bare_name:literal;)+
    ) => {
        /// One expression.
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub enum Expression {
            $($(#[$doc])+ $variant($words),)+
            $($(#[$bare_doc])+ $bare,)+
            /// One of these, with attributes that this program does not know.
            Extended {
                /// The expression without them.
                known: Box<Expression>,
                /// Them, in the kernel's order.
                rest: Box<[Attribute]>,
            },
            /// One that this program does not know, or that lacks an attribute which the kernel always sends.
            Other {
                /// Its name.
                name: Name,
                /// Its attributes, as they came.
                attributes: Bytes,
            },
            /// One as another release of this program printed it, which this one cannot read.
            Printed(Box<str>),
        }

        impl Expression {
            /// Its name: `meta`.
            pub fn name(&self) -> Cow<'_, str> {
                match self {
                    $(Expression::$variant(_) => $name.into(),)+
                    $(Expression::$bare => $bare_name.into(),)+
                    Expression::Extended { known, .. } => known.name(),
                    Expression::Other { name, .. } => name.to_string().into(),
                    Expression::Printed(line) => line.split(' ').next().unwrap_or_default().into(),
                }
            }

            /// Reads what follows the name.
            fn read_named(name: &str, line: &mut Cursor<'_>) -> Option<Self> {
                match name {
                    $($name => <$words>::read(line).map(Expression::$variant),)+
                    $($bare_name => Some(Expression::$bare),)+
                    _ => None,
                }
            }
        }

        impl fmt::Display for Expression {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Expression::$variant(words) => {
                        f.write_str($name)?;
                        words.write(f)
                    })+
                    $(Expression::$bare => f.write_str($bare_name),)+
                    Expression::Extended { known, rest } => {
                        known.fmt(f)?;
                        printed::each(f, rest)
                    }
                    Expression::Other { name, attributes } => write!(f, "{name} raw {attributes}"),
                    Expression::Printed(line) => f.write_str(line),
                }
            }
        }
    };
}

expressions! {
    /// Masks a register, shifts it, or joins it with another.
    Bitwise(Bitwise) = "bitwise";
    /// Turns the bytes of a register round.
    Byteorder(Byteorder) = "byteorder";
    /// Compares a register with a value.
    Cmp(Cmp) = "cmp";
    /// Matches by how many connections there are.
    Connlimit(Connlimit) = "connlimit";
    /// Loads or sets what connection tracking knows.
    Ct(Ct) = "ct";
    /// Sends a copy of the packet.
    Dup(Dup) = "dup";
    /// Writes into a set.
    Dynset(Box<Dynset>) = "dynset";
    /// Loads, writes or takes out an extension header or an option.
    Exthdr(Exthdr) = "exthdr";
    /// Loads what the routing tables say.
    Fib(Fib) = "fib";
    /// Has later packets of the connection pass by the rules.
    FlowOffload(FlowOffload) = "flow_offload";
    /// Sends the packet out by another interface.
    Fwd(Fwd) = "fwd";
    /// Loads a hash.
    Hash(Hash) = "hash";
    /// Sets a register, or the verdict.
    Immediate(Immediate) = "immediate";
    /// Another expression, about the packet within the packet.
    Inner(Box<Inner>) = "inner";
    /// Matches by how many packets or bytes there are in a time.
    Limit(Limit) = "limit";
    /// Tells of the packet.
    Log(Log) = "log";
    /// Looks a register up in a set or a map.
    Lookup(Lookup) = "lookup";
    /// Gives the packet the address of the interface that it leaves by.
    Masq(Masquerade) = "masq";
    /// A match of xtables.
    Match(Extension) = "match";
    /// Loads or sets what the kernel knows of the packet.
    Meta(Meta) = "meta";
    /// Replaces an address.
    Nat(Nat) = "nat";
    /// Loads one number after the other.
    Numgen(Numgen) = "numgen";
    /// Uses an object.
    Objref(Objref) = "objref";
    /// Loads the operating system that sent the packet.
    Osf(Osf) = "osf";
    /// Loads or writes bytes of a header.
    Payload(Payload) = "payload";
    /// Hands the packet to a program.
    Queue(Queue) = "queue";
    /// Matches by how many bytes there were.
    Quota(Quota) = "quota";
    /// Compares a register with a range.
    Range(Range) = "range";
    /// Gives the packet the address of the interface that it came by.
    Redir(Masquerade) = "redir";
    /// Drops the packet and says so.
    Reject(Reject) = "reject";
    /// Loads the packet's route.
    Rt(Rt) = "rt";
    /// Loads what is known of the packet's socket.
    Socket(Socket) = "socket";
    /// Answers in the place of a server.
    Synproxy(Synproxy) = "synproxy";
    /// A target of xtables.
    Target(Extension) = "target";
    /// Hands the packet to a socket.
    Tproxy(Tproxy) = "tproxy";
    /// Loads what is known of the packet's tunnel.
    Tunnel(Tunnel) = "tunnel";
    /// Loads how IPsec treats the packet.
    Xfrm(Xfrm) = "xfrm";
    bare:
    /// Counts packets and bytes.
    Counter = "counter";
    /// Notes when it was last met.
    Last = "last";
    /// Has connection tracking leave the packet alone.
    Notrack = "notrack";
}

impl Expression {
    /// The expression with attributes that this program does not know.
    pub fn with(self, rest: Vec<Attribute>) -> Self {
        if rest.is_empty() {
            return self;
        }
        Expression::Extended {
            known: self.into(),
            rest: rest.into(),
        }
    }

    /// The expression that is printed so.
    pub fn read(printed: &str) -> Self {
        let mut line = Cursor::new(printed);
        let known = Self::read_known(&mut line);
        let known = known.filter(|known| line.is_at_end() && is_printed_as(known, printed));
        known.unwrap_or_else(|| Expression::Printed(printed.into()))
    }

    /// Reads one, and nothing that comes after it.
    fn read_known(line: &mut Cursor<'_>) -> Option<Self> {
        let mut ahead = line.clone();
        let name = ahead.word();
        let known = if name.starts_with('"') || ahead.text(" raw ").is_some() {
            Self::read_other(line)?
        } else {
            *line = ahead;
            Self::read_named(name, line)?
        };
        Some(known.with(Attribute::read_all(line)))
    }

    fn read_other(line: &mut Cursor<'_>) -> Option<Self> {
        let name = line.name()?;
        line.text(" raw ")?;
        let attributes = line.bytes()?;
        Some(Expression::Other { name, attributes })
    }

    /// Whether it uses a set, an object or a flowtable of its table.
    pub fn refers(&self) -> bool {
        matches!(
            &*self.name(),
            "lookup" | "dynset" | "objref" | "flow_offload"
        )
    }

    /// The set or map of its table that it uses.
    pub fn set(&self) -> Option<&Name> {
        match self {
            Expression::Lookup(lookup) => Some(&lookup.set),
            Expression::Dynset(dynset) => Some(&dynset.set),
            Expression::Objref(Objref::Looked { set, .. }) => Some(set),
            Expression::Extended { known, .. } => known.set(),
            _ => None,
        }
    }

    /// The same, to give it another name.
    pub fn set_mut(&mut self) -> Option<&mut Name> {
        match self {
            Expression::Lookup(lookup) => Some(&mut lookup.set),
            Expression::Dynset(dynset) => Some(&mut dynset.set),
            Expression::Objref(Objref::Looked { set, .. }) => Some(set),
            Expression::Extended { known, .. } => known.set_mut(),
            _ => None,
        }
    }

    /// The chain that the packet goes to.
    pub fn chain(&self) -> Option<&Name> {
        match self {
            Expression::Immediate(Immediate {
                data: Data::Verdict(verdict),
                ..
            }) => verdict.chain.as_ref(),
            _ => None,
        }
    }
}

impl Serialize for Expression {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Expression {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        printed::deserialize(from, Expression::read)
    }
}
