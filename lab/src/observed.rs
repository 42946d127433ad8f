//! What was observed: states of the kernel, command results, texts. Everybody speaks of these, and they use nobody's words but
//! the catalog's.

mod command;
mod legacy;
mod nft;
mod seen;
mod state;
mod text;

pub use command::{End, Ran};
pub use legacy::{LegacyChain, LegacyTable};
pub use nft::{NftChain, NftHook, NftRule, NftSet, NftTable};
pub use seen::SeenRules;
pub use state::{ChainName, State};
pub use text::Text;
