//! What a step is about: the rules in the lane, the reader, and the stage of the procedure.

use crate::plan::Reader;
use crate::plan::step::{Action, Role, RuleSet, Stage, Step};

/// Which rules are in the lane, for whom, and why.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    pub rules: &'a RuleSet,
    pub reader: Option<&'a Reader>,
    pub stage: Stage,
}

impl Scene<'_> {
    /// A step about all of the rules.
    pub fn step(&self, role: Role, action: Action) -> Step {
        let reader = self.reader.map(|reader| reader.build.id.clone());
        Step {
            stage: self.stage,
            role,
            reader,
            rules: self.rules.clone(),
            rule: None,
            action,
        }
    }

    /// A step about the rule at `index` (from 0) of the scenario's ruleset.
    pub fn step_about(&self, index: usize, role: Role, action: Action) -> Step {
        Step {
            rule: Some(index + 1),
            ..self.step(role, action)
        }
    }
}
