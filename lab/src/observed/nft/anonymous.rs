//! Anonymous sets, numbered by first use.
//!
//! The kernel gives a set without a name of its own the first number that is free (`nf_tables_set_alloc_name` of
//! net/netfilter/nf_tables_api.c), so what was there before shows in it: the same rules would be in two states.

use std::sync::Arc;

use foldhash::{HashMap, HashSet};

use super::set::NftSet;
use super::table::NftTable;
use crate::observed::bytes::Name;
use crate::observed::expression::Expression;

impl NftTable {
    /// Numbers its anonymous sets in the order in which its rules first use them, those of each name apart: `__set0`, `__set1`,
    /// `__map0`. Those that no rule uses come last, in the kernel's order. In the list of sets they are behind the others, in the
    /// same order.
    pub fn number_anonymous_sets(&mut self) {
        let (anonymous, mut named): (Vec<NftSet>, Vec<NftSet>) = std::mem::take(&mut self.sets)
            .into_iter()
            .partition(NftSet::is_anonymous);
        if anonymous.is_empty() {
            self.sets = named;
            return;
        }
        let taken: HashSet<&Name> = named.iter().map(|set| &set.name).collect();
        let mut used = self.by_first_use(anonymous);
        let names = numbered(&used, &taken);
        for set in &mut used {
            if let Some(name) = names.get(&set.name) {
                set.name = name.clone();
            }
        }
        named.extend(used);
        self.sets = named;
        if !names.is_empty() {
            self.rename_in_rules(&names);
        }
    }

    /// Those that rules use in the order in which they do, and then the others.
    fn by_first_use(&self, anonymous: Vec<NftSet>) -> Vec<NftSet> {
        let mut left: Vec<Option<NftSet>> = anonymous.into_iter().map(Some).collect();
        let names = left.iter().enumerate();
        let places: HashMap<Name, usize> = names
            .filter_map(|(place, set)| Some((set.as_ref()?.name.clone(), place)))
            .collect();
        let rules = self.chains.iter().flat_map(|chain| &chain.rules);
        let used = rules.flat_map(|rule| &rule.expressions);
        let used = used.filter_map(|expression| expression.set());
        let mut ordered: Vec<NftSet> = used
            .filter_map(|name| left[*places.get(name)?].take())
            .collect();
        ordered.extend(left.into_iter().flatten());
        ordered
    }

    /// Gives sets the names that they have from now on, where rules use them. A rule that others hold too, as those that were
    /// decoded before, stays what it is for them.
    fn rename_in_rules(&mut self, names: &HashMap<Name, Name>) {
        let renamed = |expression: &Arc<Expression>| names.get(expression.set()?).cloned();
        for rule in self.chains.iter_mut().flat_map(|chain| &mut chain.rules) {
            for place in 0..rule.expressions.len() {
                let Some(name) = renamed(&rule.expressions[place]) else {
                    continue;
                };
                let expression = &mut Arc::make_mut(rule).expressions[place];
                if let Some(set) = Arc::make_mut(expression).set_mut() {
                    *set = name;
                }
            }
        }
    }
}

/// The new names of those of `sets` that get another one, by their old names; none that is `taken`.
fn numbered(sets: &[NftSet], taken: &HashSet<&Name>) -> HashMap<Name, Name> {
    let mut next: HashMap<&[u8], u32> = HashMap::default();
    let mut names = HashMap::default();
    for set in sets {
        let stem = stem(&set.name);
        let number = next.entry(stem).or_default();
        let name = loop {
            let name = [stem, number.to_string().as_bytes()].concat().into();
            *number += 1;
            if !taken.contains(&name) {
                break name;
            }
        };
        if name != set.name {
            names.insert(set.name.clone(), name);
        }
    }
    names
}

/// A name without the number that the kernel put at its end: `__set`.
fn stem(name: &Name) -> &[u8] {
    let bytes = name.as_bytes();
    let digits = bytes.iter().rev().take_while(|byte| byte.is_ascii_digit());
    &bytes[..bytes.len() - digits.count()]
}
