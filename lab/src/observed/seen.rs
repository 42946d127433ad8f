//! Rules that are in many states, in memory once.

use std::hash::Hash;
use std::sync::Arc;

use super::expression::Expression;
use super::legacy::LegacyRule;
use super::nft::NftRule;
use super::state::State;

/// The rules of dumps that were seen before. Most rules of most dumps are: they are in memory once, and known to be equal
/// without a look at them. So are the expressions of those that are new, most of which other rules have too.
#[derive(Debug, Default)]
pub struct SeenRules {
    nft: foldhash::HashSet<Arc<NftRule>>,
    expressions: foldhash::HashSet<Arc<Expression>>,
    legacy: foldhash::HashSet<Arc<LegacyRule>>,
}

impl SeenRules {
    /// Has `dump` hold the rules that were seen before in the place of its own that are equal.
    pub fn share_with(&mut self, dump: &mut State) {
        let chains = dump.nft.iter_mut().flat_map(|table| &mut table.chains);
        for rule in chains.flat_map(|chain| &mut chain.rules) {
            if share(&self.nft, rule) {
                continue;
            }
            // One that somebody else holds too keeps its own.
            for expression in Arc::get_mut(rule).map_or(&mut [][..], |own| &mut own.expressions) {
                if !share(&self.expressions, expression) {
                    self.expressions.insert(expression.clone());
                }
            }
            self.nft.insert(rule.clone());
        }
        let chains = dump.legacy.iter_mut().flat_map(|table| &mut table.chains);
        for rule in chains.flat_map(|chain| &mut chain.rules) {
            if !share(&self.legacy, rule) {
                self.legacy.insert(rule.clone());
            }
        }
    }

    /// Forgets what is in no dump any more.
    pub fn forget_unused(&mut self) {
        self.nft.retain(|rule| Arc::strong_count(rule) > 1);
        self.legacy.retain(|rule| Arc::strong_count(rule) > 1);
        self.expressions.retain(|of| Arc::strong_count(of) > 1);
    }
}

/// Puts what was seen in the place of what is equal to it; false where nothing is.
fn share<R: Eq + Hash>(seen: &foldhash::HashSet<Arc<R>>, new: &mut Arc<R>) -> bool {
    match seen.get(&**new) {
        Some(known) => {
            *new = known.clone();
            true
        }
        None => false,
    }
}
