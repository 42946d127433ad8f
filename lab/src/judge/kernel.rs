//! Kernel dumps, chain by chain: what is the same is proved here and nowhere else.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use foldhash::HashMap;

use crate::catalog::{Backend, Family};
use crate::observed::expression::{Attribute, Expression};
use crate::observed::kernel_table;
use crate::observed::{
    Bytes, ChainFlags, LegacyChain, LegacyRule, NftChain, NftFlowtable, NftHook, NftObject,
    NftRule, NftSet, NftTable, State, TableFlags, nft_family,
};
use crate::plan::procedure::OWN_CHAIN;

/// One chain of a dump.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelChain<'a> {
    /// `ACCEPT` or `DROP` of a base chain; none of a user's.
    pub policy: Option<&'a str>,
    /// Its rules, in order.
    pub rules: Vec<KernelRule<'a>>,
    /// The places of those of its rules that jump to [`OWN_CHAIN`], ascending.
    own_jumps: Vec<usize>,
    hook: Option<&'a NftHook>,
    said: Said<'a>,
}

/// What else the kernel says of a chain.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Said<'a> {
    /// A dormant table meets no packet.
    table_flags: TableFlags,
    flags: ChainFlags,
    userdata: Option<&'a Bytes>,
    other: &'a [Attribute],
}

/// What rules of a table may use besides its chains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reach<'a> {
    sets: &'a [NftSet],
    objects: &'a [NftObject],
    flowtables: &'a [NftFlowtable],
}

/// One rule of a dump. Two that are equal do the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KernelRule<'a> {
    /// Of an nf_tables table; with what else is in the table, if it refers to any of it.
    Nft(&'a Arc<NftRule>, Option<Reach<'a>>),
    /// Of a legacy table.
    Legacy(&'a Arc<LegacyRule>),
}

/// A chain's table and name.
#[derive(Debug, Clone, Copy)]
pub struct ChainKey<'n> {
    /// The table; one of another family with it, as in a ruleset of nft's: `inet filter`.
    pub table: &'n str,
    /// The chain.
    pub chain: &'n str,
}

/// Every chain of a dump in the tables that one backend writes, sorted by name once.
pub struct KernelChains<'a> {
    family: Family,
    /// By the tables' family and name, and the chain's.
    chains: HashMap<(&'a str, &'a str), HashMap<&'a str, Rc<KernelChain<'a>>>>,
}

impl<'a> KernelChains<'a> {
    /// The chains in the tables that `backend` writes; of legacy tables, for `family`.
    pub fn of(dump: &'a State, backend: Backend, family: Family) -> Self {
        let mut chains: HashMap<_, HashMap<_, _>> = HashMap::default();
        match backend {
            Backend::Nft => {
                for table in &dump.nft {
                    let of_table: &mut HashMap<&str, Rc<KernelChain<'_>>> = chains
                        .entry((table.family.as_str(), table.name.as_str()))
                        .or_default();
                    of_table.reserve(table.chains.len());
                    let has_own = table.chains.iter().any(|chain| chain.name == OWN_CHAIN);
                    for chain in &table.chains {
                        let held = || Rc::new(KernelChain::of_nft(table, chain, has_own));
                        of_table.entry(&chain.name).or_insert_with(held);
                    }
                }
            }
            Backend::Legacy => {
                let of_family = dump.legacy.iter().filter(|known| known.family == family);
                for table in of_family {
                    let of_table = chains
                        .entry((nft_family(family), table.name.as_str()))
                        .or_default();
                    let has_own = table.chains.iter().any(|chain| chain.name == OWN_CHAIN);
                    for chain in &table.chains {
                        let held = || Rc::new(KernelChain::of_legacy(chain, has_own));
                        of_table.entry(&chain.name).or_insert_with(held);
                    }
                }
            }
        }
        KernelChains { family, chains }
    }

    /// The chain; none where there is no such chain.
    pub fn get(&self, key: ChainKey<'_>) -> Option<Rc<KernelChain<'a>>> {
        let (family, table) = kernel_table(self.family, key.table);
        self.chains.get(&(family, table))?.get(key.chain).cloned()
    }
}

impl<'a> KernelChain<'a> {
    fn of_legacy(chain: &'a LegacyChain, has_own: bool) -> Self {
        let rules: Vec<KernelRule<'a>> = chain.rules.iter().map(KernelRule::Legacy).collect();
        KernelChain {
            policy: chain.policy.as_deref(),
            own_jumps: own_jumps(&rules, has_own),
            rules,
            hook: None,
            said: Said::default(),
        }
    }

    fn of_nft(table: &'a NftTable, chain: &'a NftChain, has_own: bool) -> Self {
        let reach = Reach {
            sets: &table.sets,
            objects: &table.objects,
            flowtables: &table.flowtables,
        };
        let has_any =
            !reach.sets.is_empty() || !reach.objects.is_empty() || !reach.flowtables.is_empty();
        let rule = |rule: &'a Arc<NftRule>| {
            let refers = has_any && rule.expressions.iter().any(|of| of.refers());
            KernelRule::Nft(rule, refers.then_some(reach))
        };
        let rules: Vec<KernelRule<'a>> = chain.rules.iter().map(rule).collect();
        KernelChain {
            policy: chain.base.as_ref().map(|hook| hook.policy.as_str()),
            own_jumps: own_jumps(&rules, has_own),
            rules,
            hook: chain.base.as_ref(),
            said: Said {
                table_flags: table.flags,
                flags: chain.flags,
                userdata: chain.userdata.as_ref(),
                other: &chain.other,
            },
        }
    }

    /// How many rules it has but the reader's own jumps.
    pub fn count(&self) -> usize {
        self.rules.len() - self.own_jumps.len()
    }

    /// `all`, one for each of its rules, without those of the reader's own jumps.
    pub fn but_own_jumps<'v, T: Clone>(&self, all: &'v [T]) -> Cow<'v, [T]> {
        if self.own_jumps.is_empty() {
            return Cow::Borrowed(all);
        }
        let is_own = |place: &usize| self.own_jumps.binary_search(place).is_ok();
        let kept = all.iter().enumerate().filter(|(place, _)| !is_own(place));
        kept.map(|(_, one)| one.clone()).collect()
    }

    /// Whether it hangs where `other` hangs, with the same policy.
    pub fn same_hook(&self, other: &Self) -> bool {
        self.hook == other.hook && self.policy == other.policy && self.said == other.said
    }

    /// Whether a packet fares with it as it would without: a base chain without rules that accepts.
    pub fn is_idle(&self) -> bool {
        self.rules.is_empty() && self.policy == Some("ACCEPT")
    }
}

impl<'a> Reach<'a> {
    /// Its table's sets.
    pub fn sets(&self) -> &'a [NftSet] {
        self.sets
    }

    /// The anonymous set that an expression uses.
    fn anonymous(&self, expression: &Expression) -> Option<&NftSet> {
        let name = expression.set()?;
        let mut sets = self.sets.iter();
        sets.find(|set| set.is_anonymous() && set.name == *name)
    }

    /// What packets meet of the named sets that the rule uses, by name. Anonymous ones are a part of what the rule says.
    fn named_sets(&self, rule: &NftRule) -> BTreeMap<String, Option<NftSet>> {
        let names = rule.expressions.iter().filter_map(|of| of.set());
        let found = names.map(|name| (name, self.sets.iter().find(|set| set.name == *name)));
        let named = found.filter(|(_, set)| !set.is_some_and(NftSet::is_anonymous));
        named
            .map(|(name, set)| (name.to_string(), set.map(NftSet::bare)))
            .collect()
    }

    /// Whether what `rule` uses here does to packets what `other` uses there, which is in another state.
    pub fn serves_alike(&self, rule: &NftRule, (others, other): (&Reach<'_>, &NftRule)) -> bool {
        let uses_objects = |rule: &NftRule| {
            let mut expressions = rule.expressions.iter();
            expressions.any(|of| matches!(&*of.name(), "objref" | "flow_offload"))
        };
        let has_same_objects =
            self.objects == others.objects && self.flowtables == others.flowtables;
        (has_same_objects || !(uses_objects(rule) || uses_objects(other)))
            && self.named_sets(rule) == others.named_sets(other)
    }

    /// Whether `rule` is the same as `other`, which is in another state: an anonymous set that holds the same is the same there,
    /// whatever its number.
    fn is_alike(&self, rule: &NftRule, (others, other): (&Reach<'_>, &NftRule)) -> bool {
        let mut renamed = rule.clone();
        for (own, its) in renamed.expressions.iter_mut().zip(&other.expressions) {
            match (self.anonymous(own), others.anonymous(its)) {
                (None, None) => {}
                (Some(set), Some(of_other)) if set.is_same_but_name(of_other) => {
                    if let Some(name) = Arc::make_mut(own).set_mut() {
                        *name = of_other.name.clone();
                    }
                }
                _ => return false,
            }
        }
        renamed == *other
    }
}

impl KernelRule<'_> {
    /// Whether both are the same expressions or the same entry, whatever the table holds besides.
    pub fn is_alike(&self, other: &Self) -> bool {
        match (self, other) {
            (KernelRule::Nft(one, Some(reach)), KernelRule::Nft(other, Some(others))) => {
                reach.is_alike(one, (others, other))
            }
            (KernelRule::Nft(one, _), KernelRule::Nft(other, _)) => one == other,
            (KernelRule::Legacy(one), KernelRule::Legacy(other)) => one == other,
            (KernelRule::Nft(..), KernelRule::Legacy(_))
            | (KernelRule::Legacy(_), KernelRule::Nft(..)) => false,
        }
    }

    /// Whether it ends with a jump to `chain`.
    fn jumps_to(&self, chain: &str) -> bool {
        let jump = match self {
            KernelRule::Nft(rule, _) => rule.expressions.last().and_then(|last| last.chain()),
            KernelRule::Legacy(rule) => rule.chain(),
        };
        jump.is_some_and(|name| *name == *chain)
    }
}

/// The places of the jumps to the reader's own chain, which a table without such a chain has none of.
fn own_jumps(rules: &[KernelRule<'_>], has_own: bool) -> Vec<usize> {
    if !has_own {
        return Vec::new();
    }
    let places = rules.iter().enumerate();
    let own = places.filter(|(_, rule)| rule.jumps_to(OWN_CHAIN));
    own.map(|(place, _)| place).collect()
}

fn nft_table<'a>(dump: &'a State, family: Family, table: &str) -> Option<&'a NftTable> {
    let (family, table) = kernel_table(family, table);
    dump.nft
        .iter()
        .find(|known| known.family == family && known.name == table)
}

/// The names of the chains in a table that `backend` writes for `family`.
pub fn chain_names<'a>(
    dump: &'a State,
    backend: Backend,
    family: Family,
    table: &str,
) -> Vec<&'a str> {
    match backend {
        Backend::Nft => nft_table(dump, family, table)
            .map(|table| table.chains.iter().map(|chain| chain.name.as_str()))
            .map_or_else(Vec::new, Iterator::collect),
        Backend::Legacy => dump
            .legacy
            .iter()
            .filter(|known| known.family == family && known.name == table)
            .flat_map(|table| table.chains.iter().map(|chain| chain.name.as_str()))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observed::Stamp;

    /// A state with a chain of rules that each look into an anonymous set, which has a key of this type.
    fn state(sets: &[(&str, u32)]) -> State {
        let rule = |(set, _): &(&str, u32)| {
            let lookup = format!("lookup reg 1 set {set} 0x0");
            let expressions = [lookup.as_str(), "immediate reg 0 accept"].map(Expression::read);
            serde_json::json!({ "expressions": expressions })
        };
        let set = |(name, key_type): &(&str, u32)| serde_json::json!({ "name": name, "flags": 3, "key_type": key_type });
        let state = serde_json::json!({ "nft": [{
            "family": "ip",
            "name": "filter",
            "chains": [{ "name": "INPUT", "rules": sets.iter().map(rule).collect::<Vec<_>>() }],
            "sets": sets.iter().map(set).collect::<Vec<_>>(),
        }] });
        serde_json::from_value(state).expect("a state")
    }

    fn input(state: &State) -> Rc<KernelChain<'_>> {
        let key = ChainKey {
            table: "filter",
            chain: "INPUT",
        };
        let chains = KernelChains::of(state, Backend::Nft, Family::Ipv4);
        chains.get(key).expect("it is there")
    }

    #[test]
    fn which_nft_made_a_table_makes_no_chain_and_no_rule_another() {
        let state = state(&[("__set0", 1)]);
        let mut stamped = state.clone();
        stamped.nft[0].stamp = Some(Stamp::default());
        assert_ne!(stamped, state);
        assert_eq!(input(&stamped), input(&state));
    }

    #[test]
    fn a_rule_is_the_same_whatever_the_number_of_its_anonymous_set() {
        let (before, after) = (
            state(&[("__set0", 1), ("__set1", 2)]),
            state(&[("__set0", 2)]),
        );
        let (before, after) = (input(&before), input(&after));
        let [first, second] = [0, 1].map(|place| before.rules[place]);
        let left = after.rules[0];
        assert!(!first.is_alike(&left) && !left.is_alike(&first));
        assert!(second.is_alike(&left) && left.is_alike(&second));
        assert_ne!(second, left, "the table holds something else");
    }

    #[test]
    fn a_rule_whose_set_has_a_name_is_another_where_the_name_is() {
        let [mut one, mut other] = [state(&[("a", 1)]), state(&[("b", 1)])];
        for state in [&mut one, &mut other] {
            state.nft[0].sets[0].flags = Default::default();
        }
        assert!(!input(&one).rules[0].is_alike(&input(&other).rules[0]));
    }
}
