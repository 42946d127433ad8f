//! A component in a container looks which backend the host uses, and takes its own of that.

use super::lane::TrackedLane;
use super::scene::Scene;
use crate::catalog::Backend;
use crate::observed::Text;
use crate::plan::Reader;
use crate::plan::fault::Fault;
use crate::plan::step::{Action, Role, RuleSet, Stage};
use crate::plan::trace::{LookAt, ReaderTrace};
use crate::scenario::{Detection, Look};
use crate::tool::Program;
use crate::tool::iptables::save_table;

impl TrackedLane {
    /// Whether `reader`, having looked, takes the backend that it is of; it does where it does not look.
    pub async fn picks_its_backend(
        &mut self,
        reader: &Reader,
        rules: &RuleSet,
        trace: &mut ReaderTrace,
    ) -> Result<bool, Fault> {
        let scene = Scene {
            rules,
            reader: Some(reader),
            stage: Stage::Detect,
        };
        let Some(detection) = self.scenario.pairings.detect else {
            return Ok(true);
        };
        if !self.write(scene).await? {
            return Ok(false);
        }
        let picked = self.look(scene, reader, detection, trace).await?;
        Ok(picked == reader.build.backend)
    }

    async fn look(
        &mut self,
        scene: Scene<'_>,
        reader: &Reader,
        detection: Detection,
        trace: &mut ReaderTrace,
    ) -> Result<Backend, Fault> {
        let own = &reader.build;
        let mut seen: Vec<(Backend, bool, Text)> = Vec::new();
        for &(backend, mangle) in detection.looks() {
            let build = own.id.sibling(own.backend, backend);
            for family in crate::scenario::FAMILIES {
                let program = Program { backend, family };
                let argv = if mangle {
                    save_table(program, "mangle")
                } else {
                    own.tool.commands().print(program)
                };
                let action = Action::command(build.clone(), argv, None);
                let command = self.run_and_dump(scene, Role::Look, action).await?;
                trace.looks.push(LookAt {
                    backend,
                    mangle,
                    command: command.step,
                });
                seen.push((backend, mangle, command.ran.stdout));
            }
        }
        let texts: Vec<_> = seen.iter().map(|(.., stdout)| stdout.to_lossy()).collect();
        let looks = seen
            .iter()
            .zip(&texts)
            .map(|((backend, mangle, _), stdout)| Look {
                backend: *backend,
                mangle: *mangle,
                stdout,
            });
        Ok(detection.pick(&looks.collect::<Vec<_>>()))
    }
}
