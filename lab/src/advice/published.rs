//! A report in its least form: which pairings were run with which operations, what comes to harm in them, and what could not
//! be tested. Part of the binary.
//!
//! What is the same in several pairings is there once, with its writers and readers. `stored` has its file.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::catalog::{Backend, Build, BuildId, Family, Tool, Variant, Version};
use crate::judge::verdict::{Consequence, Verdict};
use crate::matrix::{Certainty, Form, Harm, Side, SubjectKind};
use crate::plan::Operation;
use crate::recording::Host;

/// Writers and readers, by their places among the builds: each group of writers with the readers they share.
pub type Pairs = Vec<(Vec<usize>, Vec<usize>)>;

/// A report in its least form.
#[derive(Debug, Clone, PartialEq)]
pub struct Published {
    /// The lab's version.
    pub lab: String,
    /// Where the run was made.
    pub host: Host,
    /// When.
    pub started: jiff::Timestamp,
    /// The builds that took part.
    pub builds: Vec<PublishedBuild>,
    pub(super) ran: Vec<Ran>,
    pub(super) damages: Vec<Between<Damage>>,
    pub(super) gaps: Vec<Between<Untested>>,
}

/// A build that took part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedBuild {
    /// Its id.
    pub id: BuildId,
    /// Its version.
    pub version: Version,
    /// Its backend.
    pub backend: Backend,
    /// Which program it is.
    pub tool: Tool,
    /// What it is without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<Variant>,
}

/// A scenario and family, and the pairings in which it was run with the same operations.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ran {
    pub scenario: String,
    pub family: Family,
    pub rules: usize,
    pub operations: Vec<Operation>,
    pub pairs: Arc<Pairs>,
}

/// Something that is so between several writers and readers.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Between<T> {
    pub what: T,
    pub pairs: Arc<Pairs>,
}

/// What comes to harm, and what each operation does to it; the same in all of its pairings.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Damage {
    /// The scenario.
    pub scenario: String,
    /// Which of its rulesets.
    pub family: Family,
    /// The table.
    pub table: String,
    /// The chain.
    pub chain: String,
    /// The rule's place in its chain, from 1; none where the chain itself suffers.
    pub index: Option<usize>,
    /// The rule as its writer prints it.
    pub written: Option<String>,
    /// What is left of it for whoever prints it later: as the reader prints it, or, where the kernel's rule was changed,
    /// as the witness does. What some writer prints of a rule of its own is not among them.
    pub left: Vec<String>,
    /// What is done to it, in the order of the operations. Never empty.
    pub harms: Arc<[Caused]>,
}

/// A harm, and what it comes of.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Caused {
    /// What is done.
    #[serde(flatten)]
    pub harm: Harm,
    /// Who encoded what was decoded otherwise.
    pub encoder: Side,
    /// The names of its causes: of each part that it takes. None where it is no loss.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub causes: BTreeSet<String>,
}

/// A rule that could not be tested, or not with an operation.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Untested {
    /// The scenario.
    pub scenario: String,
    /// Which of its rulesets.
    pub family: Family,
    /// The table.
    pub table: String,
    /// The chain.
    pub chain: String,
    /// The rule's place in its chain, from 1.
    pub index: Option<usize>,
    /// The rule as the scenario has it.
    pub given: String,
    /// The operation that has no verdict about it; none where the rule could not even be written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<Operation>,
    /// Why.
    pub reason: String,
}

impl Caused {
    /// Who encoded and who decoded, of a writer and a reader between which it is done.
    pub fn parties<T>(&self, (writer, reader): (T, T)) -> (T, T) {
        match self.encoder {
            Side::Writer => (writer, reader),
            Side::Reader => (reader, writer),
        }
    }
}

impl Damage {
    /// The worst of what is done to it.
    pub fn worst(&self) -> Option<&Harm> {
        let by_verdict = |harm: &&Harm| (harm.verdict.severity(), harm.gravity());
        self.harms().max_by_key(by_verdict)
    }

    /// What is done to it.
    pub fn harms(&self) -> impl Iterator<Item = &Harm> {
        self.harms.iter().map(|of| &of.harm)
    }

    /// The worst of what takes parts of it; none where its parts stay.
    pub fn worst_of_parts(&self) -> Option<&Caused> {
        let taking = self.harms.iter().filter(|of| of.harm.takes_parts());
        taking.max_by_key(|of| (Some(&of.harm) == self.worst(), of.harm.gravity()))
    }

    /// The worst of what is done, and to what.
    pub fn form(&self) -> Option<Form> {
        let of = match self.index {
            Some(_) => SubjectKind::Rule,
            None => SubjectKind::Chain,
        };
        let harm = self.worst()?.clone();
        Some(Form { of, harm })
    }

    /// The worst verdict.
    pub fn verdict(&self) -> Option<Verdict> {
        self.worst().map(|harm| harm.verdict)
    }

    /// What it does to packets.
    pub fn consequence(&self) -> Option<Consequence> {
        self.worst().and_then(|harm| harm.consequence)
    }

    /// Whether that is proved, concluded, or still to come.
    pub fn certainty(&self) -> Certainty {
        let worst = self.worst();
        worst.map_or(Certainty::IfWrittenBack, |harm| harm.certainty)
    }

    /// Whether parts of the rule are lost, altered or added, so that what is left of it is another rule.
    pub fn takes_parts(&self) -> bool {
        self.harms().any(Harm::takes_parts)
    }
}

/// What is known of a pairing that was run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tested<'a> {
    /// In which scenarios it was run.
    pub scenarios: BTreeSet<&'a str>,
    /// How many rules these have, of all families.
    pub rules: usize,
    /// The operations that it was run with in each of them.
    pub operations: BTreeSet<Operation>,
    /// What came to harm.
    pub damages: Vec<&'a Damage>,
    /// What could not be tested.
    pub untested: Vec<&'a Untested>,
}

impl Published {
    /// The build of this id.
    pub fn build(&self, id: &str) -> Option<&PublishedBuild> {
        self.builds.iter().find(|build| build.id.as_str() == id)
    }

    /// The scenarios that it knows, each once.
    pub fn scenarios(&self) -> BTreeSet<&str> {
        self.ran.iter().map(|ran| ran.scenario.as_str()).collect()
    }

    /// The operations that some pairing was run with.
    pub fn operations(&self) -> BTreeSet<Operation> {
        let all = self.ran.iter().flat_map(|ran| &ran.operations);
        all.copied().collect()
    }

    /// What is known of `writer` and `reader`, in the scenarios that `is_asked` names; none where they were not run.
    pub fn pair(
        &self,
        writer: &BuildId,
        reader: &BuildId,
        is_asked: impl Fn(&str) -> bool,
    ) -> Option<Tested<'_>> {
        let place = |id: &BuildId| self.builds.iter().position(|build| &build.id == id);
        let (writer, reader) = (place(writer)?, place(reader)?);
        let has = |pairs: &Pairs| has(pairs, writer, reader);
        let mut tested: Option<Tested<'_>> = None;
        let of_pair = |ran: &&Ran| is_asked(&ran.scenario) && has(&ran.pairs);
        for ran in self.ran.iter().filter(of_pair) {
            let operations: BTreeSet<Operation> = ran.operations.iter().copied().collect();
            let tested = tested.get_or_insert_with(|| Tested {
                operations: operations.clone(),
                ..Tested::default()
            });
            tested.scenarios.insert(&ran.scenario);
            tested.rules += ran.rules;
            tested.operations.retain(|of| operations.contains(of));
        }
        let mut tested = tested?;
        for of in &self.damages {
            if is_asked(&of.what.scenario) && has(&of.pairs) {
                tested.damages.push(&of.what);
            }
        }
        for of in &self.gaps {
            if is_asked(&of.what.scenario) && has(&of.pairs) {
                tested.untested.push(&of.what);
            }
        }
        Some(tested)
    }

    /// Every damage, with the writers and readers between which it is done.
    pub fn damages(&self) -> impl Iterator<Item = (&Damage, &Pairs)> {
        self.damages.iter().map(|of| (&of.what, &*of.pairs))
    }

    /// The writers and readers at these places, each two that are a pairing.
    pub fn pairings<'p>(
        &'p self,
        pairs: &'p Pairs,
    ) -> impl Iterator<Item = (&'p BuildId, &'p BuildId)> {
        let id = |place: &usize| &self.builds[*place].id;
        pairs.iter().flat_map(move |(writers, readers)| {
            let pairs = writers
                .iter()
                .flat_map(move |writer| readers.iter().map(move |reader| (writer, reader)));
            pairs.map(move |(writer, reader)| (id(writer), id(reader)))
        })
    }
}

fn has(pairs: &Pairs, writer: usize, reader: usize) -> bool {
    let mut groups = pairs.iter();
    groups.any(|(writers, readers)| writers.contains(&writer) && readers.contains(&reader))
}

impl PublishedBuild {
    pub(super) fn of(build: &Build) -> Self {
        PublishedBuild {
            id: build.id.clone(),
            version: build.version.clone(),
            backend: build.backend,
            tool: build.tool,
            variant: build.variant.clone(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) mod tests {
    use super::*;
    use crate::matrix::{Matrix, harms};

    pub fn recorded() -> Matrix {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/recordings");
        let file = std::path::Path::new(folder).join("kube-firewall-by-1.8.9.jsonl");
        Matrix::of(&crate::recording::read(&file).unwrap().recording)
    }

    #[test]
    fn it_says_of_every_cell_what_the_matrix_says() {
        let matrix = recorded();
        let bytes = Published::from(&matrix).encode().unwrap();
        let published = Published::decode(&bytes).unwrap();
        assert!(!matrix.cells.is_empty());
        for cell in &matrix.cells {
            let tested = published.pair(&cell.writer, &cell.reader, |_| true);
            let tested = tested.unwrap();
            let of_cell = |of: &&&Damage| of.family == cell.family && of.scenario == cell.scenario;
            let said = tested.damages.iter().filter(of_cell).map(|of| {
                let place = (of.table.as_str(), of.chain.as_str(), of.index);
                (place, of.harms().collect::<Vec<_>>())
            });
            let harmed = harms(cell);
            let expected = harmed.iter().map(|of| {
                let subject = &of.subject;
                let place = (
                    subject.table.as_str(),
                    subject.chain.as_str(),
                    subject.index,
                );
                (place, of.harms.iter().collect::<Vec<_>>())
            });
            let mut said: Vec<_> = said.collect();
            let mut expected: Vec<_> = expected.collect();
            said.sort();
            expected.sort();
            assert_eq!(said, expected);
            assert!(
                matrix
                    .operations
                    .iter()
                    .all(|of| *of == Operation::Reassert || tested.operations.contains(of))
            );
        }
    }

    #[test]
    fn the_report_in_the_binary_is_whole_and_knows_the_loss_that_started_it() {
        let published = Published::embedded().unwrap();
        let lost = published.damages().any(|(damage, pairs)| {
            damage.scenario == "kube-firewall"
                && damage.worst().unwrap().lost == ["match mark"]
                && damage.consequence() == Some(Consequence::Blackhole)
                && !pairs.is_empty()
        });
        assert!(lost);
        assert!(
            published
                .damages()
                .all(|(damage, _)| !damage.harms.is_empty())
        );
    }
}
