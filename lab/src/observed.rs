//! What was observed: states of the kernel, command results, texts. Everybody speaks of these, and they use nobody's words but
//! the catalog's.

mod bytes;
mod command;
mod content;
mod cursor;
mod encoding;
pub mod expression;
mod flags;
mod interner;
mod legacy;
mod nft;
mod printed;
mod shared;
mod state;
mod text;

pub use bytes::{Bytes, Name, Value, plain};
pub use command::{End, Ran};
pub use content::digest;
pub use encoding::{Clause, Encoding, encoding_of_set};
pub use interner::Interner;
pub use legacy::{
    Conditions, Interface, LegacyChain, LegacyEntry, LegacyRule, LegacyTable, LegacyTarget, Network,
};
pub use nft::{
    ChainFlags, ChainKind, ChainPolicy, Compat, Device, ElementFlags, FlowtableFlags,
    FlowtableHook, Hook, NftChain, NftElement, NftFlowtable, NftHook, NftObject, NftRule, NftSet,
    NftTable, SetDescription, SetFlags, Stamp, TableFlags, kernel_table, nft_family,
};
pub use shared::SharedRules;
pub use state::{ChainName, RulePlace, State, StateId};
pub use text::Text;
