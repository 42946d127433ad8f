//! Rules that are in many states, in memory once.

use std::sync::Arc;

use super::expression::Expression;
use super::interner::Interner;
use super::legacy::LegacyRule;
use super::nft::NftRule;
use super::state::State;

/// The rules of states that were seen before. Most rules of most states are: they are in memory once, and known to be equal
/// without a look at them. So are the expressions of those that are new, most of which other rules have too.
///
/// It lives as long as what the states come from: an agent's stream, a load that is run, the line of a load that is read.
#[derive(Debug, Default)]
pub struct SharedRules {
    nft: Interner<NftRule>,
    expressions: Interner<Expression>,
    legacy: Interner<LegacyRule>,
}

impl SharedRules {
    /// Has `state` hold the rules that were seen before in the place of its own that are equal.
    pub fn share_with(&mut self, state: &mut State) {
        let chains = state.nft.iter_mut().flat_map(|table| &mut table.chains);
        for rule in chains.flat_map(|chain| &mut chain.rules) {
            if let Some(known) = self.nft.get(&**rule) {
                *rule = known.clone();
                continue;
            }
            // One that somebody else holds too keeps its own.
            for expression in Arc::get_mut(rule).map_or(&mut [][..], |own| &mut own.expressions) {
                self.expressions.share(expression);
            }
            self.nft.share(rule);
        }
        let chains = state.legacy.iter_mut().flat_map(|table| &mut table.chains);
        for rule in chains.flat_map(|chain| &mut chain.rules) {
            self.legacy.share(rule);
        }
    }

    /// Forgets what is in no state any more.
    pub fn forget_unused(&mut self) {
        self.nft.forget_unused();
        self.legacy.forget_unused();
        self.expressions.forget_unused();
    }
}
