//! The recordings of all shards of one plan, put together.

use super::{CutShort, Head, Recording, RunEnd};
use crate::plan::Shard;

/// Why recordings do not make one.
#[derive(Debug, PartialEq, Eq, thiserror::Error, miette::Diagnostic)]
pub enum MergeError {
    /// It was not run as a shard.
    #[error("{name} is the recording of a whole run, not of a shard")]
    #[diagnostic(help("shards are what `iptables-lab matrix --shard 1/3 --record FILE` records"))]
    Whole {
        /// Which recording.
        name: String,
    },
    /// The plan was cut into another number of shards.
    #[error(
        "{name} is shard {shard}, and {first} is shard {of_first}: these are of different runs"
    )]
    OtherCount {
        /// Which recording.
        name: String,
        /// What it is.
        shard: Shard,
        /// The first of them.
        first: String,
        /// What that is.
        of_first: Shard,
    },
    /// The same shard twice.
    #[error("{name} is shard {shard}, and so is {other}")]
    Twice {
        /// Which recording.
        name: String,
        /// What it is.
        shard: Shard,
        /// The other one.
        other: String,
    },
    /// Some shards are not there.
    #[error("{} not there: {}", if missing.len() == 1 { "a shard is" } else { "shards are" }, listed(missing))]
    #[diagnostic(help("a report of a part would look like one of the whole, so none is made"))]
    Missing {
        /// Which.
        missing: Vec<Shard>,
    },
    /// They are of different runs.
    #[error("{name} and {first} are of different runs: their {what} are not the same")]
    #[diagnostic(help(
        "run every shard with the same program, builds and options, on machines with the same kernel"
    ))]
    Differs {
        /// Which recording.
        name: String,
        /// The first of them.
        first: String,
        /// What differs.
        what: &'static str,
    },
}

fn listed(shards: &[Shard]) -> String {
    let names: Vec<String> = shards.iter().map(ToString::to_string).collect();
    names.join(", ")
}

/// Puts the recordings of all shards together, each with the name of its file. What comes of it is what one run of the
/// whole plan records, but for the order of its loads.
///
/// # Errors
/// A shard is not there or there twice, or they are of different runs.
pub fn merge(recordings: Vec<(String, Recording)>) -> Result<Recording, MergeError> {
    let mut shards: Vec<(Shard, String, Recording)> = Vec::new();
    for (name, recording) in recordings {
        let Some(shard) = recording.head.shard else {
            return Err(MergeError::Whole { name });
        };
        if let Some((of_first, first, head)) =
            shards.first().map(|(of, name, r)| (*of, name, &r.head))
        {
            let first = first.clone();
            if of_first.of != shard.of {
                return Err(MergeError::OtherCount {
                    name,
                    shard,
                    first,
                    of_first,
                });
            }
            if let Some(what) = differing(head, &recording.head) {
                return Err(MergeError::Differs { name, first, what });
            }
        }
        if let Some((_, other, _)) = shards.iter().find(|(known, ..)| *known == shard) {
            let other = other.clone();
            return Err(MergeError::Twice { name, shard, other });
        }
        shards.push((shard, name, recording));
    }
    let of = shards.first().map_or(0, |(shard, ..)| shard.of);
    let all = (1..=of).map(|number| Shard { number, of });
    let missing: Vec<Shard> = all
        .filter(|shard| shards.iter().all(|(known, ..)| known != shard))
        .collect();
    shards.sort_by_key(|(shard, ..)| *shard);
    let mut shards = shards.into_iter();
    let Some((first, _, mut merged)) = shards.next().filter(|_| missing.is_empty()) else {
        return Err(MergeError::Missing { missing });
    };
    merged.end = Some(ended(first, &merged));
    for (shard, _, recording) in shards {
        let end = ended(shard, &recording);
        merged.head.started = merged.head.started.min(recording.head.started);
        merged.end = merged.end.map(|known| RunEnd {
            finished: known.finished.max(end.finished),
            cut_short: known.cut_short.or(end.cut_short),
            commands: known.commands.zip(end.commands).map(|(mut all, more)| {
                all += more;
                all
            }),
        });
        merged.loads.extend(recording.loads);
    }
    merged.head.shard = None;
    Ok(merged)
}

/// How a shard ended; one that was killed says so.
fn ended(shard: Shard, recording: &Recording) -> RunEnd {
    let of_shard = |why| CutShort::InShard { shard, why }.to_string();
    match &recording.end {
        Some(end) => RunEnd {
            finished: end.finished,
            cut_short: end.cut_short.clone().map(of_shard),
            commands: end.commands,
        },
        None => RunEnd {
            finished: recording.head.started,
            cut_short: Some(of_shard(CutShort::Killed.to_string())),
            commands: None,
        },
    }
}

/// What two shards of one plan cannot have differently.
fn differing(one: &Head, other: &Head) -> Option<&'static str> {
    let ids = |head: &Head| -> Vec<_> { head.missing.iter().map(|of| of.id.clone()).collect() };
    let differing = [
        ("labs", one.lab != other.lab),
        ("machines", one.host != other.host),
        ("operations", one.operations != other.operations),
        (
            "builds",
            one.builds != other.builds || ids(one) != ids(other),
        ),
        ("witnesses", one.witness != other.witness),
        ("scenarios", one.scenarios != other.scenarios),
        ("uses of --all-rules", one.asked_rules != other.asked_rules),
        ("plans", one.pairings != other.pairings),
    ];
    differing
        .into_iter()
        .find_map(|(what, differs)| differs.then_some(what))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::matrix::Matrix;

    fn whole() -> Recording {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/recordings");
        let file = std::path::Path::new(folder).join("kube-firewall-by-1.8.9.jsonl");
        let mut recording = crate::recording::read(&file).unwrap().recording;
        // It was cut out of a longer run.
        recording.end = Some(RunEnd {
            finished: recording.head.started,
            cut_short: None,
            commands: None,
        });
        recording
    }

    /// A real recording, its loads dealt out.
    fn shards(of: usize) -> Vec<(String, Recording)> {
        let shard = |number: usize| {
            let mut recording = whole();
            recording.head.shard = Some(Shard { number, of });
            let mut at = 0;
            recording.loads.retain(|_| {
                at += 1;
                (at - 1) % of == number - 1
            });
            (format!("{number}.jsonl"), recording)
        };
        (1..=of).map(shard).collect()
    }

    #[test]
    fn shards_in_any_order_make_the_whole() {
        let mut parts = shards(2);
        parts.reverse();
        let merged = merge(parts).unwrap();
        assert!(Matrix::of(&merged) == Matrix::of(&whole()));
        assert_eq!(merged.loads.len(), whole().loads.len());
    }

    #[test]
    fn what_does_not_make_a_whole_is_refused() {
        let said = |parts| merge(parts).unwrap_err().to_string();
        let mut parts = shards(3);
        parts.remove(1);
        assert_eq!(said(parts), "a shard is not there: 2/3");
        assert_eq!(
            said(shards(3).drain(..1).collect()),
            "shards are not there: 2/3, 3/3"
        );
        let mut parts = shards(2);
        parts.push(parts[0].clone());
        assert_eq!(said(parts), "1.jsonl is shard 1/2, and so is 1.jsonl");
        let mut parts = shards(2);
        parts[1].1.head.host.kernel = "2.4".to_owned();
        assert_eq!(
            said(parts),
            "2.jsonl and 1.jsonl are of different runs: their machines are not the same"
        );
        let parts = vec![shards(2).remove(0), shards(3).remove(1)];
        assert!(said(parts).contains("2.jsonl is shard 2/3, and 1.jsonl is shard 1/2"));
        let parts = vec![("whole.jsonl".to_owned(), whole())];
        assert!(said(parts).contains("whole.jsonl is the recording of a whole run"));
    }

    #[test]
    fn a_shard_that_was_killed_is_named() {
        let mut parts = shards(2);
        parts[1].1.end = None;
        let merged = merge(parts).unwrap();
        let reason = merged.end.unwrap().cut_short.unwrap();
        assert_eq!(reason, "shard 2/2: the run was killed");
    }
}
