//! Bursts: steps that are asked for at once.

use super::step::{Action, Step};
use crate::catalog::BuildId;

/// Steps that follow each other whatever comes of them, or up to the first command that fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Burst {
    /// In order. Commands are of one build, but for those that write several layers; dumps and resets anyone in the lane can do.
    pub steps: Vec<Step>,
    /// Whether the first command that does not exit with status 0 is the last step.
    pub until_failure: bool,
}

impl Burst {
    /// All of these steps.
    pub fn all(steps: Vec<Step>) -> Self {
        Burst {
            steps,
            until_failure: false,
        }
    }

    /// These steps, up to the first command that fails.
    pub fn until_failure(steps: Vec<Step>) -> Self {
        Burst {
            steps,
            until_failure: true,
        }
    }

    /// The steps, parted where the commands of another build begin, each part with the build whose commands it has.
    pub fn by_build(&self) -> Vec<(Option<&BuildId>, &[Step])> {
        let mut parts: Vec<(Option<&BuildId>, &[Step])> = Vec::new();
        let (mut first, mut of) = (0, None);
        for (at, step) in self.steps.iter().enumerate() {
            let Action::Command { build, .. } = &step.action else {
                continue;
            };
            if of.is_some_and(|of| of != build) {
                parts.push((of, &self.steps[first..at]));
                first = at;
            }
            of = Some(build);
        }
        parts.push((of, &self.steps[first..]));
        parts
    }

    /// The first build whose commands these are; none where there is no command.
    pub fn build(&self) -> Option<&BuildId> {
        self.steps.iter().find_map(|step| match &step.action {
            Action::Command { build, .. } => Some(build),
            Action::Dump
            | Action::DumpChain(_)
            | Action::Reset
            | Action::Furnish(_)
            | Action::Probe(_) => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::catalog::Backend;
    use crate::plan::step::{Role, RuleSet, Stage};

    /// Each step as the first letter of its build, or `-` for a dump or a reset.
    #[rstest]
    #[case("-aa-", &["a: -aa-"])]
    #[case("-aab-", &["a: -aa", "b: b-"])]
    #[case("ab-a", &["a: a", "b: b-", "a: a"])]
    #[case("--", &["none: --"])]
    fn a_burst_is_parted_where_another_builds_commands_begin(
        #[case] steps: &str,
        #[case] parts: &[&str],
    ) {
        let rules = RuleSet::default();
        let step = |letter: char| {
            let build = || BuildId::new(&letter.to_string(), Backend::Nft);
            Step {
                stage: Stage::Baseline,
                role: Role::Write,
                reader: None,
                rules: rules.clone(),
                rule: None,
                action: match letter {
                    '-' => Action::Dump,
                    _ => Action::command(build(), Vec::new(), None),
                },
            }
        };
        let burst = Burst::all(steps.chars().map(step).collect());
        let letter = |step: &Step| match &step.action {
            Action::Command { build, .. } => build.as_str()[..1].to_owned(),
            _ => "-".to_owned(),
        };
        let shown = burst.by_build().into_iter().map(|(build, steps)| {
            let build = build.map_or("none", |build| &build.as_str()[..1]);
            let steps: String = steps.iter().map(letter).collect();
            format!("{build}: {steps}")
        });
        assert_eq!(shown.collect::<Vec<_>>(), parts);
    }
}
