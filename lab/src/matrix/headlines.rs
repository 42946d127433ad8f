//! The whole matrix in a few sentences: who silently harms what for whom, over all scenarios.

use std::collections::{BTreeMap, BTreeSet};

use super::Matrix;
use super::build_set::BuildSet;
use super::losses::{Certainty, Example, losses};
use crate::judge::verdict::Consequence;

/// What some builds silently lose of what others write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Headline {
    /// The writers.
    pub writers: BuildSet,
    /// The readers.
    pub readers: BuildSet,
    /// What comes to harm, each once: `match mark lost`.
    pub what: BTreeSet<String>,
    /// What that does to packets at worst, and how sure that is.
    pub consequence: Option<(Consequence, Certainty)>,
    /// In which scenarios.
    pub scenarios: BTreeSet<String>,
    /// How many cells.
    pub cells: usize,
    /// The scenario and a cell that shows the worst of it.
    pub example: (String, Example),
}

/// What is silently lost, the worst and most frequent first.
pub fn headlines(matrix: &Matrix) -> Vec<Headline> {
    let mut found: BTreeMap<(BuildSet, BuildSet), Headline> = BTreeMap::new();
    for scenario in &matrix.scenarios {
        let silent = losses(matrix, &scenario.name);
        let silent = silent
            .into_iter()
            .filter(|loss| loss.verdict.is_silent_damage());
        for loss in silent {
            let consequence = loss.consequence.map(|of| (of, loss.certainty));
            let key = (loss.writers.clone(), loss.readers.clone());
            let headline = found.entry(key).or_insert_with(|| Headline {
                writers: loss.writers.clone(),
                readers: loss.readers.clone(),
                what: BTreeSet::new(),
                consequence: None,
                scenarios: BTreeSet::new(),
                cells: 0,
                example: (scenario.name.clone(), loss.example.clone()),
            });
            if weight(consequence) > weight(headline.consequence) {
                headline.consequence = consequence;
                headline.example = (scenario.name.clone(), loss.example);
            }
            headline.what.insert(loss.what);
            headline.scenarios.insert(scenario.name.clone());
            headline.cells += loss.pairings;
        }
    }
    let mut headlines: Vec<Headline> = found.into_values().collect();
    headlines.sort_by_key(|headline| {
        let weight = weight(headline.consequence);
        std::cmp::Reverse((weight, headline.scenarios.len(), headline.cells))
    });
    headlines
}

/// How much a consequence weighs: what packets showed before all else.
fn weight(consequence: Option<(Consequence, Certainty)>) -> (u8, Option<Consequence>) {
    let sure = consequence.map_or(0, |(_, certainty)| match certainty {
        Certainty::Shown => 4,
        Certainty::Predicted => 3,
        Certainty::IfWrittenBack => 2,
        Certainty::Unmet => 1,
    });
    (sure, consequence.map(|(of, _)| of))
}
