//! How the rules of a pairing are encoded in the kernel: by their writer, and by the reader that wrote them back.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Pairing;
use super::chain_in_lane::RuleInLane;
use crate::observed::{Encoding, encoding_of_set};

/// How the rules of a pairing are encoded in the kernel.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Encoded {
    /// By the writer, a place for each of the scenario's rules; none of one that was not written, or cannot be told from others.
    pub written: Vec<Option<Arc<Encoding>>>,
    /// By the reader after the rewrite, those rules that are not as they were, by their places from 0; none of one that is gone, or
    /// cannot be told from others.
    pub rewritten: Vec<(usize, Option<Arc<Encoding>>)>,
    /// The sets and maps that the writer left, each kind once.
    pub sets: BTreeSet<String>,
    /// Those that the reader left; none where they are the same.
    pub sets_rewritten: Option<BTreeSet<String>>,
}

/// How one rule is encoded.
#[derive(Debug, Clone, Default)]
pub struct RuleEncoded {
    written: Option<Arc<Encoding>>,
    /// None where it is as it was.
    rewritten: Option<Option<Arc<Encoding>>>,
}

impl Encoded {
    /// Of nothing yet.
    pub(super) fn add(&mut self, place: usize, of: RuleEncoded) {
        if self.written.len() <= place {
            self.written.resize(place + 1, None);
        }
        self.written[place] = of.written;
        self.rewritten.extend(of.rewritten.map(|of| (place, of)));
    }

    /// The sets and maps that the reader left.
    pub fn sets_by_reader(&self) -> &BTreeSet<String> {
        self.sets_rewritten.as_ref().unwrap_or(&self.sets)
    }

    /// How the writer encoded the rule at `place`, from 0.
    pub fn by_writer(&self, place: usize) -> Option<&Arc<Encoding>> {
        self.written.get(place)?.as_ref()
    }

    /// How it is encoded after the reader's rewrite.
    pub fn by_reader(&self, place: usize) -> Option<&Arc<Encoding>> {
        match self.rewritten.binary_search_by_key(&place, |(of, _)| *of) {
            Ok(at) => self.rewritten[at].1.as_ref(),
            Err(_) => self.by_writer(place),
        }
    }
}

impl<'a> Pairing<'a> {
    /// The sets and maps that the writer left, and those that the reader did.
    pub(super) fn encoded_sets(&self) -> (BTreeSet<String>, Option<BTreeSet<String>>) {
        let of = |dump| {
            let tables = self.evidence.dump(dump).nft.iter();
            let sets = tables.flat_map(|table| &table.sets);
            sets.map(encoding_of_set).collect::<BTreeSet<String>>()
        };
        let Some(whole) = self.readings.first() else {
            return (BTreeSet::new(), None);
        };
        let baseline = self.evidence.baseline(whole.rules, self.writer);
        let written = baseline
            .map(|baseline| of(baseline.dump))
            .unwrap_or_default();
        let rewritten = whole.rewrite.as_ref().map(|restored| of(restored.dump));
        let rewritten = rewritten.filter(|of| *of != written);
        (written, rewritten)
    }

    /// How a rule is encoded by its writer and after the rewrite.
    pub(super) fn encoded(&self, in_lane: RuleInLane<'_, 'a>) -> RuleEncoded {
        let chain = in_lane.chain;
        let before = chain.before.as_ref();
        let place = in_lane.kernel_place();
        let was = before.zip(place).and_then(|(of, at)| of.rules.get(at));
        let written = was.map(|of| self.evidence.encoding(of));
        let Some((fates, restored)) = chain.rewritten.as_ref().zip(chain.reading.rewrite.as_ref())
        else {
            return RuleEncoded {
                written,
                rewritten: None,
            };
        };
        let location = in_lane.location;
        let after = || self.kernel_chain(restored.dump, location.table, &location.rule.chain);
        let rewritten = match fates.of(place).place {
            Some(at) => after().and_then(|after| {
                let rules = after.but_own_jumps(&after.rules);
                let is = rules.get(at)?;
                let is_same = was.is_some_and(|was| was.is_alike(is));
                (!is_same).then(|| Some(self.evidence.encoding(is)))
            }),
            None => Some(None),
        };
        let is_same = rewritten.is_some() && rewritten.as_ref() == Some(&written);
        RuleEncoded {
            rewritten: rewritten.filter(|_| !is_same),
            written,
        }
    }
}
