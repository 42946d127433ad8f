//! Since when a loss is there and whether it is mended: what a maintainer asks first.

use super::loss::Loss;
use crate::catalog::{Build, BuildId};
use crate::matrix::{BuildSet, Matrix, Member};

/// What all pairings say of a loss.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// The readers that lose what this writer wrote.
    pub readers: BuildSet,
    /// The writers whose rules this reader loses.
    pub writers: BuildSet,
    /// Where it begins among those who are not at fault: writers whose rules are lost, or, where it is the writer that
    /// misreads, readers whose restored rules are misread.
    pub since: Option<Since>,
    /// Whether it is mended among those who are.
    pub standing: Standing,
}

/// Where something begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Since {
    /// The first build that has it.
    pub first: BuildId,
    /// The last one before that has it not.
    pub before: BuildId,
}

/// Whether a loss is mended, in the releases of who misreads: readers, or writers where it is they.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// The newest has it too.
    Open {
        /// The newest.
        newest: BuildId,
        /// Since when, where older ones do not have it.
        since: Option<Since>,
    },
    /// The newest does not have it.
    Mended {
        /// The first from which on none has it.
        first: BuildId,
        /// The last that has it.
        last: BuildId,
        /// The newest.
        newest: BuildId,
    },
    /// None was run that would say so.
    Unknown,
}

impl History {
    /// Reads the cells of `matrix`, which is of one scenario and family: all builds in all pairings. Writers and readers
    /// count that are of the same backend as `writer` and `reader`.
    pub fn of(loss: &Loss, matrix: &Matrix, writer: &Build, reader: &Build) -> History {
        let lost = |of_writer: &BuildId, of_reader: &BuildId| {
            let cells = matrix.cells.iter();
            let mut cells = cells.filter(|of| &of.writer == of_writer && &of.reader == of_reader);
            cells.next().map(|cell| loss.shown_by(cell).is_some())
        };
        let readers = Line::new(matrix.readers(), reader, |id| lost(&writer.id, id));
        let writers = Line::new(matrix.writers(), writer, |id| lost(id, &reader.id));
        let (at_fault, others) = match loss.kind().is_seen_by_writer() {
            true => (&writers, &readers),
            false => (&readers, &writers),
        };
        History {
            since: others.since(),
            standing: at_fault.standing(),
            readers: readers.set(),
            writers: writers.set(),
        }
    }
}

/// The builds of one backend that were run, the oldest first, and whether each has the loss.
struct Line<'a> {
    builds: Vec<(&'a Build, bool)>,
}

impl<'a> Line<'a> {
    fn new(
        builds: Vec<&'a Build>,
        like: &Build,
        has_it: impl Fn(&BuildId) -> Option<bool>,
    ) -> Line<'a> {
        let alike = builds
            .into_iter()
            .filter(|build| build.tool == like.tool && build.backend == like.backend);
        let known = alike.filter_map(|build| Some((build, has_it(&build.id)?)));
        let mut builds: Vec<(&Build, bool)> = known.collect();
        builds.sort_by(|(one, _), (other, _)| one.version.cmp(&other.version));
        Line { builds }
    }

    /// Those that have it.
    fn set(&self) -> BuildSet {
        let has_it = |id: &BuildId| self.builds.iter().any(|(of, has)| *has && &of.id == id);
        let ran = self.builds.iter().map(|(build, _)| Member::from(*build));
        BuildSet::of(ran, has_it)
    }

    fn id(&self, place: usize) -> BuildId {
        self.builds[place].0.id.clone()
    }

    /// Where the last unbroken row of builds that have it begins, if one without comes right before it.
    fn since(&self) -> Option<Since> {
        let last = self.builds.iter().rposition(|(_, has)| *has)?;
        let before = self.builds[..last].iter().rposition(|(_, has)| !has)?;
        Some(Since {
            first: self.id(before + 1),
            before: self.id(before),
        })
    }

    fn standing(&self) -> Standing {
        let last = self.builds.iter().rposition(|(_, has)| *has);
        let Some((last, newest)) = last.zip(self.builds.len().checked_sub(1)) else {
            return Standing::Unknown;
        };
        match last == newest {
            true => Standing::Open {
                newest: self.id(newest),
                since: self.since(),
            },
            false => Standing::Mended {
                first: self.id(last + 1),
                last: self.id(last),
                newest: self.id(newest),
            },
        }
    }
}
