//! A component in a container looks which backend the host uses, and takes its own of that.

use super::bench::{Bench, Scene};
use crate::catalog::Backend;
use crate::observed::{Ran, Text};
use crate::plan::step::{Action, Role, RuleSet, Stage};
use crate::plan::{Reader, command};
use crate::scenario::{Detection, Look};

impl Bench {
    /// Whether `reader`, having looked, takes the backend that it is of; it does where it does not look.
    pub async fn picks_its_backend(&mut self, reader: &Reader, rules: &RuleSet) -> bool {
        let scene = Scene {
            rules,
            reader: Some(reader),
            stage: Stage::Detect,
        };
        let Some(detection) = self.scenario.pairings.detect else {
            return true;
        };
        self.lay(scene).await && self.look(scene, reader, detection).await == reader.build.backend
    }

    async fn look(&mut self, scene: Scene<'_>, reader: &Reader, detection: Detection) -> Backend {
        let own = &reader.build;
        let mut seen: Vec<(Backend, bool, Text)> = Vec::new();
        for &(backend, mangle) in detection.looks() {
            let build = own.id.sibling(own.backend, backend);
            for family in crate::scenario::FAMILIES {
                let mut argv = command::save(backend, family);
                if mangle {
                    argv.extend(["-t", "mangle"].map(str::to_owned));
                }
                let action = Action::Command {
                    build: build.clone(),
                    argv,
                    stdin: None,
                };
                let Ran { stdout, .. } = self.run_and_dump(scene, Role::Look, action).await;
                seen.push((backend, mangle, stdout));
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
        detection.pick(&looks.collect::<Vec<_>>())
    }
}
