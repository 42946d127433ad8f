//! The rule of one cell that shows a loss best: this loss alone, in as few words as there are.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::subject::Subject;
use crate::catalog::{Build, BuildId, Family};
use crate::judge::verdict::Verdict;
use crate::judge::{Cell, RuleVerdict};
use crate::plan::Operation;
use crate::tool::iptables::{compare, tokens};
use crate::tool::{Change, Difference};

/// How many rules of pairings are looked at before the first one does.
const LOOKED_AT: usize = 400;

/// Two texts of a rule, the later of which shows what it has lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExampleTexts<'a> {
    /// As it was.
    pub before: &'a str,
    /// As it is afterwards.
    pub after: &'a str,
    /// Whose texts they are.
    pub by: PrintedBy,
    /// The parts that differ between the two and are no part of the loss: `source`. None where it is shown alone.
    pub beside: Vec<String>,
}

/// Whose texts show a loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PrintedBy {
    /// The writer prints it, then the reader does.
    Reader,
    /// The writer prints it, and the witness does after what the reader restored.
    Restore,
    /// The writer prints it before and after what the reader restored.
    Writer,
    /// The witness prints it before and after what the reader restored.
    Witness,
    /// The witness prints it before, and once reader and writer have restored in turn.
    Turns,
    /// The rule that was to be deleted, and the one that was.
    Deletion,
}

/// The texts that show what `verdict` says of a rule, this alone where any do; none where no text shows it.
pub fn example_texts(rule: &RuleVerdict, verdict: Verdict) -> Option<ExampleTexts<'_>> {
    // What comes of others' doing no text of the rule shows.
    let is_its_own = Operation::ALL
        .iter()
        .any(|of| rule.of(*of) == Some(verdict));
    if !is_its_own && rule.as_run().any(|(_, of)| of.verdict == verdict) {
        return None;
    }
    // nft's own print of its rule is in no reader's words: what it was given stands for that.
    let given = rule.of(Operation::Write).is_none().then_some(&*rule.given);
    let (written, witness) = (rule.written.as_deref(), rule.witness_before.as_deref());
    let written = written.or(given);
    let drifted = rule.drift.as_ref().and_then(|drift| drift.to.as_deref());
    let pairs = match verdict {
        Verdict::WrongRule => {
            return Some(ExampleTexts {
                before: written.unwrap_or(&rule.given),
                after: rule.deleted_instead.as_deref()?,
                by: PrintedBy::Deletion,
                beside: Vec::new(),
            });
        }
        Verdict::Drifts => vec![(witness.or(written), drifted, PrintedBy::Turns)],
        Verdict::Lossy
        | Verdict::Changed
        | Verdict::Misread
        | Verdict::Reworded
        | Verdict::Differs => vec![
            (written, rule.read.as_deref(), PrintedBy::Reader),
            (written, rule.witness_after.as_deref(), PrintedBy::Restore),
            (written, rule.reread.as_deref(), PrintedBy::Writer),
            (witness, rule.witness_after.as_deref(), PrintedBy::Witness),
            (witness, drifted, PrintedBy::Turns),
        ],
        _ => Vec::new(),
    };
    let misprinted = misprinted(rule);
    let pairs = pairs.into_iter().filter_map(|(before, after, by)| {
        let (before, after) = (before?, after?);
        let mut beside = beside(rule, before, after)?;
        if Some(before) == written && written != witness {
            let new = |part: &&String| !beside.contains(part);
            let new: Vec<String> = misprinted.iter().filter(new).cloned().collect();
            beside.extend(new);
        }
        Some(ExampleTexts {
            before,
            after,
            by,
            beside,
        })
    });
    pairs.min_by_key(|shown| shown.beside.len())
}

/// The parts of a rule that its writer prints otherwise than the witness.
fn misprinted(rule: &RuleVerdict) -> Vec<String> {
    let (witness, written) = (rule.witness_before.as_deref(), rule.written.as_deref());
    let texts = witness.and_then(words).zip(written.and_then(words));
    let Some((witness, written)) = texts else {
        return Vec::new();
    };
    let Difference {
        lost,
        altered,
        added,
    } = compare(&witness, &written);
    let all = lost.into_iter().chain(altered).chain(added);
    all.map(|change| change.part).collect()
}

/// The parts that differ between two texts beside those that a rule has lost; none where not all of those differ.
fn beside(rule: &RuleVerdict, before: &str, after: &str) -> Option<Vec<String>> {
    if before == after {
        return None;
    }
    let (Some(from), Some(to)) = (words(before), words(after)) else {
        // What nft wrote is in another language than what iptables prints: all of it differs.
        return Some(Vec::new());
    };
    let difference = compare(&from, &to);
    let mut differ = Vec::new();
    for (found, named) in [
        (&difference.lost, &rule.lost),
        (&difference.altered, &rule.altered),
        (&difference.added, &rule.added),
    ] {
        let has = |changes: &[Change], part: &str| changes.iter().any(|of| of.part == part);
        if named.iter().any(|change| !has(found, &change.part)) {
            return None;
        }
        let others = found.iter().filter(|change| !has(named, &change.part));
        differ.extend(others.map(|change| change.part.clone()));
    }
    Some(differ)
}

/// What follows `-A CHAIN` in a rule of iptables.
fn words(rule: &str) -> Option<Vec<String>> {
    let words = tokens::split(rule).ok()?.into_iter();
    let words: Vec<String> = words.map(|token| token.text.into_owned()).collect();
    let is_rule = words.first().is_some_and(|word| word == "-A");
    is_rule.then(|| words.into_iter().skip(2).collect())
}

/// The cell of one pairing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Example {
    /// In which family.
    pub family: Family,
    /// Who wrote.
    pub writer: BuildId,
    /// Who read.
    pub reader: BuildId,
    /// The place among the cell's rules of the one that shows it; none where it is no rule.
    #[serde(skip)]
    pub rule: Option<usize>,
}

impl Example {
    /// The first of each.
    pub(super) fn first(
        family: Family,
        (of_writers, writers): (&BTreeSet<usize>, &[&Build]),
        (of_readers, readers): (&BTreeSet<usize>, &[&Build]),
    ) -> Self {
        let first = |places: &BTreeSet<usize>, builds: &[&Build]| {
            let first = places.first().and_then(|place| builds.get(*place));
            first
                .expect("a group of pairings is of builds that took part")
                .id
                .clone()
        };
        Example {
            family,
            writer: first(of_writers, writers),
            reader: first(of_readers, readers),
            rule: None,
        }
    }
}

/// Cells by family, writer and reader.
pub(super) type Cells<'a> = BTreeMap<(Family, &'a BuildId, &'a BuildId), &'a Cell>;

/// A cell and a rule of it that show a loss of `verdict` best, among those of `writers` and `readers`: the loss alone where any does,
/// in the writer's own words where these do, and the shortest rule.
pub(super) fn best(
    cells: &Cells<'_>,
    verdict: Verdict,
    subjects: &BTreeMap<Family, Vec<Subject>>,
    (writers, readers): (&[&BuildId], &[&BuildId]),
) -> Option<Example> {
    let first = subjects.iter().next()?;
    let cell = cells.get(&(*first.0, writers.first()?, readers.first()?))?;
    let length = |subject: &Subject| {
        let rule = subject
            .rule()
            .and_then(|place| cell.outcome.rules.get(place));
        rule.map_or(usize::MAX, |rule| rule.given.len())
    };
    let mut by_length: Vec<(Family, &Subject)> = subjects
        .iter()
        .flat_map(|(family, of)| of.iter().map(|subject| (*family, subject)))
        .collect();
    by_length.sort_by_key(|(family, subject)| (length(subject), *family));
    let pairs = |(family, subject): (Family, &Subject)| {
        let place = subject.rule();
        let pairs = writers
            .iter()
            .flat_map(|writer| readers.iter().map(move |reader| (*writer, *reader)));
        pairs
            .map(move |(writer, reader)| Example {
                family,
                writer: writer.clone(),
                reader: reader.clone(),
                rule: place,
            })
            .collect::<Vec<_>>()
    };
    let all = by_length.into_iter().flat_map(pairs).take(LOOKED_AT);
    let rank = |example: &Example| {
        let cell = cells.get(&(example.family, &example.writer, &example.reader));
        let rule = cell
            .zip(example.rule)
            .and_then(|(cell, place)| cell.outcome.rules.get(place));
        let shown = rule.and_then(|rule| example_texts(rule, verdict));
        shown.map_or((usize::MAX, PrintedBy::Deletion), |shown| {
            (shown.beside.len(), shown.by)
        })
    };
    let mut best: Option<((usize, PrintedBy), Example)> = None;
    for example in all {
        let rank = rank(&example);
        let is_better = best.as_ref().is_none_or(|(known, _)| rank < *known);
        if is_better {
            best = Some((rank, example));
        }
        if rank == (0, PrintedBy::Reader) {
            break;
        }
    }
    best.map(|(_, example)| example)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::Matrix;
    use super::super::losses::{Found, Kind, losses, of_cell};
    use super::*;
    use crate::catalog::{Backend, Digest, Origin, Tool, Version};
    use crate::judge::by_operation::{Answer, ByOperation, PrintVerdict, RestoreVerdict};
    use crate::judge::{Outcome, RuleVerdicts};
    use crate::recording;

    const MARK: &str = "-m mark ! --mark 0x0/0xff ";

    /// A rule of Antrea's whose mark 1.8.7 drops. 1.8.8 prints the address of any such rule as 0.0.0.0: that is no loss of the
    /// reader's.
    fn rule(comment: &str, is_misprinted: bool) -> RuleVerdict {
        let text = |address: &str, mark: &str| {
            format!(
                "-A OWN ! -s {address}/24 -m comment --comment {comment} {mark}-j CONNMARK --set-xmark 0x1/0x1"
            )
        };
        let (right, left) = (text("172.16.10.0", MARK), text("172.16.10.0", ""));
        let written = match is_misprinted {
            true => text("0.0.0.0", MARK),
            false => right.clone(),
        };
        RuleVerdict {
            table: "mangle".into(),
            chain: "OWN".into(),
            index: 1,
            given: right.as_str().into(),
            written: Some(written.into()),
            read: Some(left.as_str().into()),
            witness_before: Some(right.into()),
            witness_after: Some(left.into()),
            operations: ByOperation::from_iter([
                Answer::Save(PrintVerdict::Lossy),
                Answer::Rewrite(RestoreVerdict::Changed),
            ]),
            lost: vec![Change {
                part: "match mark".to_owned(),
                from: Some(MARK.trim().to_owned()),
                to: None,
            }],
            ..RuleVerdict::default()
        }
    }

    #[test]
    fn a_misprint_of_the_writers_is_no_part_of_an_example() {
        let (right, misprinted) = (rule("a", false), rule("a", true));
        let of = example_texts(&right, Verdict::Lossy).unwrap();
        assert_eq!((of.by, of.beside.as_slice()), (PrintedBy::Reader, &[][..]));
        let of = example_texts(&misprinted, Verdict::Lossy).unwrap();
        assert_eq!((of.by, of.beside.as_slice()), (PrintedBy::Witness, &[][..]));
        assert!(of.before.contains("172.16.10.0"), "{of:?}");
        // A part that the reader alters and the writer misprints, too, is not shown by what the writer prints.
        let altered = RuleVerdict {
            read: Some("-A OWN ! -s 172.16.10.0/32 -j CONNMARK".into()),
            witness_after: Some(
                misprinted
                    .witness_before
                    .clone()
                    .unwrap()
                    .replace("0/24", "0/32")
                    .into(),
            ),
            lost: Vec::new(),
            altered: vec![Change {
                part: "source".to_owned(),
                from: Some("! -s 172.16.10.0/24".to_owned()),
                to: Some("! -s 172.16.10.0/32".to_owned()),
            }],
            ..misprinted.clone()
        };
        let of = example_texts(&altered, Verdict::Lossy).unwrap();
        assert_eq!((of.by, of.beside.as_slice()), (PrintedBy::Witness, &[][..]));
        // Where no witness prints it, what else differs is said.
        let alone = RuleVerdict {
            witness_before: None,
            ..misprinted
        };
        let of = example_texts(&alone, Verdict::Lossy).unwrap();
        assert_eq!(of.by, PrintedBy::Reader);
        assert_eq!(of.beside, ["source"]);
    }

    /// `-C` that does not find a rule is not shown by how the reader words it.
    #[test]
    fn what_no_text_shows_has_no_example() {
        let rule = rule("a", false);
        for verdict in [Verdict::NotFound, Verdict::NotDeleted, Verdict::Crashed] {
            assert_eq!(example_texts(&rule, verdict), None);
        }
    }

    fn build(version: &str) -> Build {
        let digest: Digest = "0".repeat(64).parse().unwrap();
        Build {
            id: BuildId::new(version, Backend::Nft),
            version: Version::new(version),
            tool: Tool::Iptables,
            backend: Backend::Nft,
            origin: Origin::Upstream,
            variant: None,
            key: digest.clone(),
            digest,
            libnftnl: None,
            banner: String::new(),
        }
    }

    #[test]
    fn the_shortest_rule_of_a_writer_that_prints_it_right_is_the_example() {
        let builds = ["1.8.8", "1.8.10", "1.8.7"].map(build);
        let (writers, readers) = ([&builds[0], &builds[1]], [&builds[2]]);
        let cells: Vec<Cell> = writers
            .iter()
            .map(|writer| {
                let is_misprinted = writer.id.as_str() == "1.8.8-nft";
                let second = RuleVerdict {
                    index: 2,
                    ..rule("short", is_misprinted)
                };
                Cell {
                    scenario: "antrea".to_owned(),
                    family: Family::Ipv4,
                    writer: writer.id.clone(),
                    bystanders: Vec::new(),
                    reader: builds[2].id.clone(),
                    verdict: Verdict::Lossy,
                    outcome: Outcome {
                        rules: RuleVerdicts::from(vec![
                            rule("the-longer-one", is_misprinted),
                            second,
                        ]),
                        ..Outcome::default()
                    }
                    .into(),
                    encoded: Default::default(),
                    known: None,
                    known_losses: Vec::new(),
                }
            })
            .collect();
        let mut found = Found::new(&writers, &readers);
        for cell in &cells {
            for (subject, kind) in of_cell(cell) {
                found.add(kind, cell, subject);
            }
        }
        let groups = found.groups(Kind::verdict);
        assert_eq!(groups.len(), 1);
        let example = &groups[0].example;
        assert_eq!(example.writer.as_str(), "1.8.10-nft");
        assert_eq!(example.rule, Some(1));
    }

    /// What real builds lose is shown alone, and all of it.
    #[test]
    fn the_examples_of_recordings_show_their_own_losses_alone() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/recordings");
        let mut looked_at = 0;
        for file in std::fs::read_dir(folder).unwrap() {
            let file = file.unwrap().path();
            if file.extension().is_none_or(|end| end != "jsonl") {
                continue;
            }
            let matrix = Matrix::of(&recording::read(&file).unwrap().recording);
            for scenario in &matrix.scenarios {
                for loss in losses(&matrix, &scenario.name) {
                    let of = &loss.example;
                    let cell = matrix.cell(&scenario.name, of.family, &of.writer, &of.reader);
                    let rule = of
                        .rule
                        .and_then(|place| cell.unwrap().outcome.rules.get(place));
                    let parts = rule.map(|rule| rule.lost.len() + rule.altered.len());
                    let in_text = [Verdict::Lossy, Verdict::Changed, Verdict::Misread];
                    if !in_text.contains(&loss.form.harm.verdict)
                        || parts.is_none_or(|parts| parts == 0)
                    {
                        continue;
                    }
                    let texts = example_texts(rule.unwrap(), loss.form.harm.verdict);
                    let texts = texts.unwrap_or_else(|| panic!("{}: {loss:?}", file.display()));
                    assert_eq!(texts.beside, [""; 0], "{}: {loss:?}", file.display());
                    looked_at += 1;
                }
            }
        }
        assert!(looked_at >= 4, "{looked_at}");
    }
}
