//! A load: the rules of one scenario and family as they are written into one namespace, and who reads them there.

use super::step::RuleSet;
use super::{LaneKind, Operation};
use crate::catalog::{Backend, Build, BuildId, Family, Tool};
use crate::tool::{Argv, Commands, Program};

/// A build that reads, and who says what the kernel then holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reader {
    /// The reader.
    pub build: Build,
    /// The witness of what the writer wrote; none where there is no other build of its tool and backend.
    pub witness: Option<BuildId>,
    /// The witness of what each bystander wrote, in their order.
    pub beside: Vec<Option<BuildId>>,
}

impl Reader {
    /// Every witness.
    pub fn witnesses(&self) -> impl Iterator<Item = &BuildId> {
        [&self.witness].into_iter().chain(&self.beside).flatten()
    }
}

/// Who writes a layer that is not the writer's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bystander {
    /// The layer's number, from 1.
    pub layer: usize,
    /// Who writes it.
    pub build: Build,
}

/// The rules of one scenario and family as one writer writes them into one namespace, and who reads them there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Load {
    /// The scenario's name.
    pub scenario: String,
    /// Which of its rulesets.
    pub family: Family,
    /// Who writes.
    pub writer: Build,
    /// Who writes the other layers, in the order in which they are written.
    pub bystanders: Vec<Bystander>,
    /// Who reads, in order.
    pub readers: Vec<Reader>,
    /// The kind of lane it runs in.
    pub kind: LaneKind,
    /// The rules that readers are asked for one by one, with `-C` and `-D`; none where they are asked for all.
    pub asked: Option<RuleSet>,
}

impl Load {
    /// Who writes a layer.
    pub fn writer_of(&self, layer: usize) -> &Build {
        let mut bystanders = self.bystanders.iter();
        let bystander = bystanders.find(|of| of.layer == layer);
        bystander.map_or(&self.writer, |of| &of.build)
    }

    /// Everybody who writes, the writer first.
    pub fn writers(&self) -> impl Iterator<Item = &Build> {
        let bystanders = self.bystanders.iter().map(|of| &of.build);
        [&self.writer].into_iter().chain(bystanders)
    }

    /// Whether an operation is done with a reader: whether it suits what anybody wrote.
    pub(super) fn suits(&self, operation: Operation, reader: &Reader) -> bool {
        let mut writers = self.writers();
        writers.any(|writer| operation.suits(writer.tool, reader.build.tool))
    }

    /// Whether the reader is of another backend than the writer.
    pub(super) fn is_crossed(&self, reader: &Reader) -> bool {
        reader.build.backend != self.writer.backend
    }

    /// Of which tool and backend one of the load's builds is. A witness is of the writer's backend.
    pub(super) fn kind_of(&self, build: &BuildId) -> (Tool, Backend) {
        let readers = self.readers.iter().map(|reader| &reader.build);
        let mut known = self.writers().chain(readers);
        if let Some(known) = known.find(|known| known.id == *build) {
            return (known.tool, known.backend);
        }
        let tools = self.readers.iter().flat_map(|reader| {
            let witnesses = [&reader.witness].into_iter().chain(&reader.beside);
            let pairs = self.writers().zip(witnesses);
            pairs.map(|(writer, witness)| {
                let tool = writer.tool.commands().witness(reader.build.tool);
                (witness.as_ref(), tool)
            })
        });
        let mut tools = tools.filter(|(witness, _)| *witness == Some(build));
        let tool = tools.next().map_or(self.writer.tool, |(_, tool)| tool);
        (tool, self.writer.backend)
    }

    /// The commands of one of the load's builds, and the program that runs them.
    pub(super) fn commands_of(&self, build: &BuildId) -> (&'static dyn Commands, Program) {
        let (tool, backend) = self.kind_of(build);
        let family = self.family;
        (tool.commands(), Program { backend, family })
    }

    /// How one of the load's builds prints what the kernel holds.
    pub(super) fn print_command(&self, build: &BuildId) -> Argv {
        let (commands, program) = self.commands_of(build);
        commands.print(program)
    }
}
