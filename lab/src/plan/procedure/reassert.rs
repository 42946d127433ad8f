//! A reader of the other backend does not find the rules, and writes them itself: then the kernel holds them twice.

use super::lane::{Print, TrackedLane};
use super::scene::Scene;
use crate::plan::fault::Fault;
use crate::plan::step::{Action, Role, RuleSet, Stage, Step};
use crate::plan::trace::{ReaderTrace, Reassertion};
use crate::plan::{Operation, Reader};
use crate::scenario::By;

impl TrackedLane {
    /// Has `reader` write `rules` of the writer's layer too, and writer and reader print what they then see; then packets are sent, and both
    /// say which rules those met: of a state of the kernel once, for whichever reader it came from.
    pub async fn reassert(
        &mut self,
        reader: &Reader,
        rules: &RuleSet,
        trace: &mut ReaderTrace,
    ) -> Result<(), Fault> {
        let scene = Scene {
            rules,
            reader: Some(reader),
            stage: Stage::Reassert,
        };
        if !self.load.is_crossed(reader) || !self.wants_of(reader, Operation::Reassert) {
            return Ok(());
        }
        if self.is_probed(scene) {
            // Rules that are there untouched have counted the packets of an earlier operation.
            self.touched();
        }
        if !self.write(scene).await? {
            return Ok(());
        }
        let own = self.scenario.layers().find(|of| of.by == By::Writer);
        let commands = own.map_or_else(Vec::new, |own| {
            self.write_commands(&reader.build, (own, own.write), rules)
        });
        let writes = commands.into_iter().map(|(argv, stdin)| {
            let build = reader.build.id.clone();
            scene.step(Role::Write, Action::command(build, argv, stdin))
        });
        let writes: Vec<Step> = writes.collect();
        let ran = self.run_all(scene, writes).await?;
        let refused = ran.iter().find(|command| !command.succeeded());
        trace.reassertion = Some(Reassertion {
            refused: refused.map(|command| command.step),
            left: self.held()?.step,
        });
        let writer = self.load.writer.id.clone();
        for (role, build) in [
            (Role::WriterPrint, &writer),
            (Role::ReaderPrint, &reader.build.id),
        ] {
            self.print(scene, role, build, Print::IfNew).await?;
        }
        if !self.effect(scene).await? {
            return Ok(());
        }
        let mut counted = Vec::new();
        for build in [&writer, &reader.build.id] {
            let (commands, program) = self.load.commands_of(build);
            let Some(argv) = commands.print_counted(program) else {
                continue;
            };
            let count = Action::command(build.clone(), argv, None);
            counted.push(self.run_and_dump(scene, Role::Count, count).await?.step);
        }
        if let Some(packets) = self.trace.packets.last_mut() {
            packets.counted = counted;
        }
        Ok(())
    }
}
