//! The scenarios that are chosen: shipped ones, files, and rulesets of the user's own with what is around them.

use std::path::{Path, PathBuf};

use miette::miette;

use super::failure::{Failure, OrFailure};
use super::input::{self, Input};
use super::progress::say;
use super::select::select;
use crate::catalog::{Family, Tool};
use crate::scenario::{self, IpsetFile, Scenario, Set};
use crate::tool::Given;
use crate::tool::iptables::{FamilyOf, family_of, with_numbers};

/// Whose rules are meant: scenarios by name, and rulesets of the user's own with what is around them.
#[derive(Debug, Clone, Default)]
pub struct ScenarioChoice {
    /// Scenarios, by name, glob or the path of a scenario file.
    pub named: Vec<String>,
    /// Files with rulesets of the user's own; `-` is standard input.
    pub rules: Vec<PathBuf>,
    /// Their family, where it is named.
    pub family: Option<Family>,
    /// What `ipset save` printed.
    pub ipset: Option<PathBuf>,
}

impl ScenarioChoice {
    /// Whether nothing is named, so that the command has its default.
    pub fn is_empty(&self) -> bool {
        self.named.is_empty() && self.rules.is_empty()
    }

    /// The family of a scenario that is meant: the one that is named, or the first that the scenario has.
    pub fn family_of(&self, scenario: &Scenario) -> Family {
        let first = || scenario.families().next();
        self.family.or_else(first).unwrap_or(Family::Ipv4)
    }
}

/// The scenarios that are to be run: the user's own rulesets, and the shipped ones that are named; every shipped one where
/// nothing is named.
///
/// # Errors
/// A name that no scenario has, or a file that cannot be read or taken.
pub fn scenarios(given: &ScenarioChoice) -> Result<Vec<Scenario>, Failure> {
    let mut chosen = match given.rules.is_empty() || !given.named.is_empty() {
        true => named_scenarios(&given.named)?,
        false => Vec::new(),
    };
    let sets = sets(given)?;
    for path in &given.rules {
        let rules = own(path, given, &sets)?;
        if let Some(other) = chosen.iter().find(|other| other.name == rules.name) {
            let error = same_name(&rules, other);
            return Err(Failure::bad_input(error));
        }
        chosen.push(rules);
    }
    Ok(chosen)
}

/// A ruleset of the user's own.
fn own(path: &Path, given: &ScenarioChoice, sets: &[Set]) -> Result<Scenario, Failure> {
    let Input { name, holds: text } = input::text(path)?;
    let family = family(&name, &text, given.family)?;
    if Given::tool_of(&text) == Tool::Iptables {
        for (protocol, number) in with_numbers(&text).1 {
            say(format_args!(
                "{name}: the protocol `{protocol}` is written as {number}, because the builds do not know the name"
            ));
        }
    }
    Scenario::from_rules_among(&name, family, &text, sets).or_bad_input()
}

/// The family of a ruleset: as it is named, where the ruleset says nothing else.
fn family(name: &str, text: &str, named: Option<Family>) -> Result<Family, Failure> {
    let refused = |error| Err(Failure::bad_input(error));
    match (family_of(text), named) {
        (FamilyOf::Certain(certain, sign), Some(named)) if certain != named => refused(miette!(
            help = format!("say --family {certain}, or leave --family out"),
            "{name} is to be {named}, and its `{sign}` is {certain}'s"
        )),
        (FamilyOf::Certain(certain, sign), None) => {
            if certain != Family::Ipv4 {
                say(format_args!(
                    "{name} is taken as {certain}: it has `{sign}`"
                ));
            }
            Ok(certain)
        }
        (FamilyOf::Both { ipv4, ipv6 }, None) => refused(miette!(
            help = "give the rules of each family in a file of its own; --family ipv4 or --family ipv6 takes all of this \
                    file as that family's",
            "{name} has rules of both families: `{ipv4}` is ipv4's, `{ipv6}` is ipv6's"
        )),
        (_, named) => Ok(named.unwrap_or(Given::family_of(text))),
    }
}

/// The sets of the file that is named.
fn sets(given: &ScenarioChoice) -> Result<Vec<Set>, Failure> {
    let Some(path) = &given.ipset else {
        return Ok(Vec::new());
    };
    if given.rules.is_empty() {
        let error = miette!(
            help = "give your ruleset with --rules FILE; a scenario file has its own sets",
            "--ipset needs --rules: it fills the sets that your own ruleset names"
        );
        return Err(Failure::bad_input(error));
    }
    let Input { name, holds: text } = input::text(path)?;
    let file = IpsetFile::read(&name, &text).or_bad_input()?;
    for left_out in &file.left_out {
        say(format_args!("{name}: {left_out}"));
    }
    Ok(file.sets)
}

/// The shipped scenarios that are named by name or glob, and those in the files that are named; every shipped one where
/// none is named. Which is a file is seen by its `.toml`.
///
/// # Errors
/// A name that no scenario has, or a file that cannot be read or is no scenario.
pub fn named_scenarios(patterns: &[String]) -> Result<Vec<Scenario>, Failure> {
    let shipped = scenario::shipped().or_fault()?;
    let (files, names): (Vec<String>, Vec<String>) = patterns
        .iter()
        .cloned()
        .partition(|pattern| Path::new(pattern).extension() == Some("toml".as_ref()));
    let mut chosen = Vec::new();
    if files.is_empty() || !names.is_empty() {
        let found = select("scenario", &shipped, |of| &of.name, &names).or_bad_input()?;
        chosen.extend(found.into_iter().cloned());
    }
    for file in &files {
        let text = std::fs::read_to_string(file)
            .map_err(|error| miette!("{file} cannot be read: {error}"));
        let read = Scenario::from_toml_file(file, &text.or_bad_input()?);
        let read = read.or_bad_input()?;
        if let Some(other) = chosen.iter().find(|other| other.name == read.name) {
            let error = same_name(&read, other);
            return Err(Failure::bad_input(error));
        }
        chosen.push(read);
    }
    Ok(chosen)
}

/// Loads and cells know their scenario by its name.
fn same_name(rules: &Scenario, other: &Scenario) -> miette::Report {
    let other = match other.source {
        Some(_) => "a shipped scenario that runs too",
        None => &other.title,
    };
    miette!(
        help = "copy it to a file of another name, or run it by itself",
        "{} would be the scenario `{}`, and so is {other}",
        rules.title,
        rules.name
    )
}
