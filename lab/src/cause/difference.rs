//! Which causes differ between two runs: those that came or went, and those that hit other builds than before.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::found::causes;
use super::gravest::Gravest;
use super::shown::{Cause, Ends};
use crate::catalog::BuildId;
use crate::matrix::{BuildSet, Letter, Matrix, Member, what_both_ran};

/// A cause that differs between two runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CauseChange {
    /// Its name.
    pub name: String,
    /// What happens, where that is known.
    pub says: Option<String>,
    /// How it differs.
    pub direction: CauseDirection,
    /// Whom it hits now and did not before.
    pub came: Vec<Ends>,
    /// Whom it hit before and does not now.
    pub went: Vec<Ends>,
    /// What is lost.
    pub letter: Letter,
    /// The worst that comes of it; that came, where it is gone.
    pub worst: Gravest,
}

/// How a cause differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CauseDirection {
    /// It was not there.
    New,
    /// It hits other builds than before.
    Changed,
    /// It is not there any more.
    Gone,
}

/// Who encodes and who decodes.
type Pairs<'c> = BTreeSet<(&'c BuildId, &'c BuildId)>;

/// The causes that differ in what both ran: new ones first, in each kind the worst first. Cells all of whose losses are known in the new
/// one are no difference.
pub fn cause_changes(old: &Matrix, new: &Matrix) -> Vec<CauseChange> {
    let [old, new] = what_both_ran(old, new);
    let [before, after] = [&old, &new].map(|matrix| causes(matrix).causes);
    let by_name = |all: &'_ [Cause]| -> BTreeMap<String, usize> {
        let all = all.iter().enumerate();
        all.map(|(at, of)| (of.name.clone(), at)).collect()
    };
    let earlier = by_name(&before);
    let later = by_name(&after);
    let still = after.iter().filter_map(|cause| {
        let before = earlier.get(&cause.name).and_then(|at| before.get(*at));
        change(&new, cause, before.map(pairs), Some(pairs(cause)))
    });
    let gone = before
        .iter()
        .filter(|cause| !later.contains_key(&cause.name));
    let gone = gone.filter_map(|cause| change(&new, cause, Some(pairs(cause)), None));
    let mut all: Vec<CauseChange> = still.chain(gone).collect();
    all.sort_by_key(|of| of.direction);
    all
}

fn pairs(cause: &Cause) -> Pairs<'_> {
    cause.pairs.keys().map(|(by, of)| (by, of)).collect()
}

fn change(
    matrix: &Matrix,
    cause: &Cause,
    before: Option<Pairs<'_>>,
    after: Option<Pairs<'_>>,
) -> Option<CauseChange> {
    let direction = match (&before, &after) {
        (None, _) => CauseDirection::New,
        (_, None) => CauseDirection::Gone,
        (Some(before), Some(after)) if before == after => return None,
        (Some(_), Some(_)) => CauseDirection::Changed,
    };
    let (before, after) = (before.unwrap_or_default(), after.unwrap_or_default());
    let only = |one: &Pairs<'_>, other: &Pairs<'_>| {
        let pairs: BTreeSet<(BuildId, BuildId)> = one
            .difference(other)
            .map(|(by, of)| ((*by).clone(), (*of).clone()))
            .collect();
        ends(matrix, &pairs)
    };
    Some(CauseChange {
        name: cause.name.clone(),
        says: cause.known.as_ref().map(|of| of.says.clone()),
        direction,
        came: only(&after, &before),
        went: only(&before, &after),
        letter: cause.letter,
        worst: cause.worst,
    })
}

/// Pairs of builds as sets of them: encoders that have the same decoders are together.
fn ends(matrix: &Matrix, pairs: &BTreeSet<(BuildId, BuildId)>) -> Vec<Ends> {
    let mut by_encoder: BTreeMap<&BuildId, BTreeSet<&BuildId>> = BTreeMap::new();
    for (encoder, decoder) in pairs {
        by_encoder.entry(encoder).or_default().insert(decoder);
    }
    let mut by_decoders: BTreeMap<BTreeSet<&BuildId>, BTreeSet<&BuildId>> = BTreeMap::new();
    for (encoder, decoders) in by_encoder {
        by_decoders.entry(decoders).or_default().insert(encoder);
    }
    let ran = || matrix.builds.iter().map(Member::from);
    let set = |of: &BTreeSet<&BuildId>| BuildSet::of(ran(), |id| of.contains(id));
    let all = by_decoders.iter().map(|(decoders, encoders)| Ends {
        encoders: set(encoders),
        decoders: set(decoders),
    });
    all.collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const NEWER: &str = "1.8.9-nft";
    const OLDER: &str = "debian-1.8.7-1-nft";

    fn matrix() -> Matrix {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/recordings");
        let file = std::path::Path::new(folder).join("kube-firewall-by-1.8.9.jsonl");
        Matrix::of(&crate::recording::read(&file).unwrap().recording)
    }

    /// The matrix in which nothing is lost where `reader` read.
    fn without_losses_of(reader: Option<&str>) -> Matrix {
        let mut matrix = matrix();
        for cell in &mut matrix.cells {
            if reader.is_none_or(|reader| cell.reader.as_str() == reader) {
                let outcome = std::sync::Arc::make_mut(&mut cell.outcome);
                outcome.rules = Vec::new().into();
                outcome.chains.clear();
            }
        }
        matrix
    }

    fn told(all: &[CauseChange]) -> Vec<(&str, CauseDirection)> {
        all.iter()
            .map(|of| (of.name.as_str(), of.direction))
            .collect()
    }

    #[test]
    fn a_run_has_the_same_causes_as_itself() {
        assert_eq!(cause_changes(&matrix(), &matrix()), []);
    }

    #[test]
    fn causes_come_and_go() {
        let (with, without) = (matrix(), without_losses_of(None));
        let came = cause_changes(&without, &with);
        assert!(
            told(&came).contains(&("native-mark", CauseDirection::New)),
            "{came:?}"
        );
        let mark = came.iter().find(|of| of.name == "native-mark").unwrap();
        assert!(mark.went.is_empty());
        let ids = |set: &BuildSet| set.ids().map(ToString::to_string).collect::<Vec<_>>();
        assert!(
            ids(&mark.came[0].encoders).contains(&NEWER.to_owned()),
            "{mark:?}"
        );
        assert!(
            ids(&mark.came[0].decoders).contains(&OLDER.to_owned()),
            "{mark:?}"
        );
        let went = cause_changes(&with, &without);
        assert!(
            told(&went).contains(&("native-mark", CauseDirection::Gone)),
            "{went:?}"
        );
        assert_eq!(came.len(), went.len());
    }

    #[test]
    fn a_cause_that_hits_fewer_builds_is_changed() {
        let (all, fewer) = (matrix(), without_losses_of(Some(OLDER)));
        let changed = cause_changes(&all, &fewer);
        let mark = changed.iter().find(|of| of.name == "native-mark").unwrap();
        let others = causes(&fewer)
            .causes
            .iter()
            .any(|of| of.name == "native-mark");
        let direction = match others {
            true => CauseDirection::Changed,
            false => CauseDirection::Gone,
        };
        assert_eq!(mark.direction, direction);
        assert!(mark.came.is_empty() && !mark.went.is_empty());
    }

    /// Of a pairing that only one of both ran nothing is said.
    #[test]
    fn what_only_one_ran_is_no_difference() {
        let mut fewer = matrix();
        fewer.cells.retain(|cell| cell.reader.as_str() != OLDER);
        assert_eq!(cause_changes(&fewer, &matrix()), []);
        assert_eq!(cause_changes(&matrix(), &fewer), []);
    }
}
