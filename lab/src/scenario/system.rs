//! Whose rules a scenario's are: what makes that system write them again, which policies it sets, and which of its chains
//! other people fill too.

use std::collections::BTreeMap;

use glob::Pattern;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toml::Spanned;

use crate::tool::Fault;

/// The system that writes a scenario's rules.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct System {
    /// What people call it: `kubelet`. None where the rules are of no one system.
    pub name: Option<String>,
    /// What makes it write its rules again, as an imperative: `restart kubelet`.
    pub again: Option<String>,
    /// The policies that it sets itself, as its source says: `filter FORWARD`.
    #[serde(default)]
    pub policies: Vec<String>,
    /// Policies of the scenario that are not `ACCEPT` and that it does not always set itself, each with who does or when:
    /// `"filter FORWARD" = "Docker sets it"`. They are nobody's to repair.
    #[serde(default)]
    pub policies_of_others: BTreeMap<String, String>,
    /// Chains whose rules are not only its own, as names or globs: the administrator fills them (`DOCKER-USER`), or other
    /// people use the name too (`reject`). A rule in one of them does not say whose it is.
    #[serde(default)]
    pub open_chains: Vec<String>,
}

impl System {
    /// Whether it sets this policy itself.
    pub fn sets_policy(&self, table: &str, chain: &str) -> bool {
        self.policies.contains(&format!("{table} {chain}"))
    }

    /// Says of each chain whether others fill it too.
    pub fn open_chains(&self) -> OpenChains {
        let globs = self.open_chains.iter();
        let matchers = globs.filter_map(|glob| Pattern::new(glob).ok());
        OpenChains(matchers.collect())
    }

    /// The section of a scenario file, if what it says can be so.
    pub(super) fn check(section: Spanned<System>, text: &str) -> Result<System, Fault> {
        let span = section.span();
        let system = section.into_inner();
        let fault = |message: String| Fault::at(text, span.clone(), message);
        for glob in &system.open_chains {
            Pattern::new(glob).map_err(|error| fault(format!("open_chains: {error}")))?;
        }
        let policies = system
            .policies
            .iter()
            .chain(system.policies_of_others.keys());
        for policy in policies {
            if policy.split(' ').count() != 2 {
                let said = format!("`{policy}` is no policy");
                return Err(
                    fault(said).with_help("name its table and its chain: \"filter FORWARD\"")
                );
            }
        }
        let twice = system
            .policies
            .iter()
            .find(|of| system.policies_of_others.contains_key(*of));
        match twice {
            Some(policy) => Err(fault(format!("`{policy}` is its own and another's"))),
            None => Ok(system),
        }
    }
}

/// The chains of a system that others fill too.
#[derive(Debug, Clone)]
pub struct OpenChains(Vec<Pattern>);

impl OpenChains {
    /// Whether others fill it too.
    pub fn contains(&self, chain: &str) -> bool {
        self.0.iter().any(|glob| glob.matches(chain))
    }
}
