//! How rules are encoded in the kernel, as a report has it: each distinct encoding once, and each distinct list of them.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::judge::Encoded;
use crate::observed::Encoding;

/// How the rules of pairings are encoded.
#[derive(Serialize, Deserialize, JsonSchema, Default)]
#[schemars(title = "Encodings")]
pub struct Encodings {
    /// Each distinct encoding of a rule: what is loaded, done and compared, without values, its clauses separated by ` | `.
    #[schemars(with = "Vec<String>")]
    distinct: Vec<Arc<Encoding>>,
    /// Each distinct list of them, for the rules of a scenario.
    lists: Vec<List>,
}

/// How the rules of a scenario are encoded, by their places in `distinct`, from 0.
#[derive(Serialize, Deserialize, JsonSchema)]
#[schemars(title = "EncodedRules")]
struct List {
    /// By the writer, one for each rule; null of one that was not written, or cannot be told from others.
    written: Vec<Option<usize>>,
    /// After the reader's rewrite, those that are not as they were: the rule's place from 0, and its encoding; null of one that is gone.
    rewritten: Vec<(usize, Option<usize>)>,
    /// The sets and maps that the writer left, each kind once: what they are, and what nft keeps with them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    sets: BTreeSet<String>,
    /// Those that the reader left; null where they are the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sets_rewritten: Option<BTreeSet<String>>,
}

/// Encodings as they are put into a report.
#[derive(Default)]
pub struct Collected {
    encodings: Encodings,
    /// By where they are in memory, and by what they are: cells share most.
    lists: HashMap<*const Encoded, usize>,
    places: HashMap<Arc<Encoding>, usize>,
}

impl Collected {
    /// The place of a pairing's list.
    pub fn place(&mut self, of: &Arc<Encoded>) -> usize {
        if let Some(known) = self.lists.get(&Arc::as_ptr(of)) {
            return *known;
        }
        let written = of.written.iter();
        let written = written.map(|of| of.as_ref().map(|of| self.encoding(of)));
        let written = written.collect();
        let rewritten = of.rewritten.iter();
        let rewritten = rewritten.map(|(at, of)| (*at, of.as_ref().map(|of| self.encoding(of))));
        let rewritten = rewritten.collect();
        let place = self.encodings.lists.len();
        self.encodings.lists.push(List {
            written,
            rewritten,
            sets: of.sets.clone(),
            sets_rewritten: of.sets_rewritten.clone(),
        });
        self.lists.insert(Arc::as_ptr(of), place);
        place
    }

    fn encoding(&mut self, of: &Arc<Encoding>) -> usize {
        let next = self.encodings.distinct.len();
        let place = *self.places.entry(of.clone()).or_insert(next);
        if place == next {
            self.encodings.distinct.push(of.clone());
        }
        place
    }

    /// All of them.
    pub fn finish(self) -> Encodings {
        self.encodings
    }
}

impl Encodings {
    /// The lists, in order.
    ///
    /// # Errors
    /// One names an encoding that is not there.
    pub fn into_lists(self) -> Result<Vec<Arc<Encoded>>, String> {
        let Encodings { distinct, lists } = self;
        let encoding = |place: usize| {
            let known = distinct.get(place).cloned();
            known.ok_or_else(|| {
                let count = distinct.len();
                format!(
                    "a rule is encoded as {place}, and there are {count} encodings (counted from 0)"
                )
            })
        };
        let list = |of: List| {
            let written = of.written.into_iter();
            let rewritten = of.rewritten.into_iter();
            Ok(Arc::new(Encoded {
                sets: of.sets,
                sets_rewritten: of.sets_rewritten,
                written: written
                    .map(|of| of.map(&encoding).transpose())
                    .collect::<Result<_, String>>()?,
                rewritten: rewritten
                    .map(|(at, of)| Ok((at, of.map(&encoding).transpose()?)))
                    .collect::<Result<_, String>>()?,
            }))
        };
        lists.into_iter().map(list).collect()
    }
}
