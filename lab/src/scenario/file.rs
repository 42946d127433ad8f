//! A scenario file as TOML has it, checked: every fault is shown at its place in the file.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use schemars::JsonSchema;
use serde::Deserialize;
use toml::Spanned;

use super::check::{self, SetupInFile};
use super::{Beside, FAMILIES, Layer, Pairings, Probe, Scenario, Source, Stack, System, When};
use crate::catalog::Family;
use crate::tool::{Fault, Given, Write};

/// A scenario file as TOML has it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "A scenario of iptables-lab")]
struct File {
    /// One line that says what it is.
    title: String,
    /// The heading it is listed under: `kubernetes`, `hosts`.
    group: String,
    /// Where the rules were taken from.
    source: Source,
    /// Whose rules they are.
    #[serde(default)]
    #[schemars(with = "Option<System>")]
    system: Option<Spanned<System>>,
    /// The families that it is run in.
    #[schemars(with = "Vec<Family>")]
    families: Spanned<Vec<Spanned<Family>>>,
    /// The rules: what iptables-save prints, or, where `write` is `nft`, flat nft commands.
    #[schemars(with = "Rules")]
    rules: Spanned<Rules>,
    /// How the system really writes them.
    #[serde(default)]
    write: Write,
    /// Rules of other systems, which bystanders write.
    #[serde(default, rename = "layer")]
    #[schemars(with = "Vec<LayerInFile>")]
    layers: Vec<LayerInFile>,
    /// The chains that the reader owns, for sync-noflush.
    #[serde(default)]
    own_chains: Vec<String>,
    /// Which pairings it is about; all where absent.
    #[serde(default)]
    pairings: Pairings,
    /// What must be there before the rules are written.
    #[serde(default)]
    setup: SetupInFile,
    /// The packets that are sent.
    #[serde(default, rename = "probe")]
    #[schemars(with = "Vec<Probe>")]
    probes: Vec<Spanned<Probe>>,
}

/// Rules of another system.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Layer")]
struct LayerInFile {
    /// When they are written.
    #[serde(default)]
    when: When,
    /// How that system really writes them. The newest build of the tool that is there does.
    #[schemars(with = "Write")]
    write: Spanned<Write>,
    /// Whether the program that writes them stays then, as a daemon does: a table of its own goes with it.
    #[schemars(with = "Option<bool>")]
    stays: Option<Spanned<bool>>,
    /// Where they were taken from.
    source: Source,
    /// The rules, as those of the scenario's own system are given.
    #[schemars(with = "Rules")]
    rules: Spanned<Rules>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Rules {
    /// For iptables.
    #[schemars(with = "Option<String>")]
    ipv4: Option<Spanned<String>>,
    /// For ip6tables.
    #[schemars(with = "Option<String>")]
    ipv6: Option<Spanned<String>>,
}

/// The JSON Schema of a scenario file: what editors check it against while it is written.
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(File)
}

impl Rules {
    fn of(&self, family: Family) -> Option<&Spanned<String>> {
        match family {
            Family::Ipv4 => self.ipv4.as_ref(),
            Family::Ipv6 => self.ipv6.as_ref(),
        }
    }
}

impl Scenario {
    /// Reads a scenario file; `name` is its stem.
    pub(super) fn read(name: &str, text: &str) -> Result<Scenario, Fault> {
        let file: File = toml::from_str(text).map_err(|error| {
            let span = error.span().unwrap_or(0..0);
            Fault::at(text, span, error.message().trim_end())
        })?;
        check_families(&file, text)?;
        let setup = check::setup(file.setup, text)?;
        let families = file.families.get_ref().iter();
        let families: Vec<Family> = families.map(|family| *family.get_ref()).collect();
        check::probes(&file.probes, &setup, &families, text)?;
        let system = file.system.map(|section| System::check(section, text));
        let system = system.transpose()?;
        let mut scenario = Scenario {
            name: name.to_owned(),
            title: file.title,
            group: file.group,
            source: Some(file.source),
            write: file.write,
            own_chains: file.own_chains,
            system: system.unwrap_or_default(),
            pairings: file.pairings,
            setup,
            probes: file.probes.into_iter().map(Spanned::into_inner).collect(),
            rules: given(file.rules.get_ref(), file.write, text)?,
            beside: Vec::new(),
            stacks: BTreeMap::new(),
            text: text.to_owned(),
        };
        let mut places = Vec::new();
        for layer in file.layers {
            check_layer(&layer, &families, text)?;
            let write = *layer.write.get_ref();
            places.push((layer.when, layer.write.span()));
            let rules = given(layer.rules.get_ref(), write, text)?;
            let stays = layer.stays.filter(|stays| *stays.get_ref());
            if let Some(stays) = &stays {
                check_stays(write, &rules, (stays.span(), text))?;
            }
            scenario.beside.push(Beside {
                when: layer.when,
                write,
                stays: stays.is_some(),
                source: layer.source,
                rules,
            });
        }
        scenario.pile_up();
        check_order(&scenario, file.rules.span(), &places)?;
        Ok(scenario)
    }

    /// Puts the rules of all layers together, where there are several.
    fn pile_up(&mut self) {
        let families = self.rules.keys().filter(|_| !self.beside.is_empty());
        let stack = |family: &Family| (*family, Stack::of(self.layers(), *family));
        self.stacks = families.map(stack).collect();
    }
}

/// The rules of each family, in the language of the tool that writes them.
fn given(rules: &Rules, write: Write, text: &str) -> Result<BTreeMap<Family, Given>, Fault> {
    let mut all = BTreeMap::new();
    for family in FAMILIES {
        if let Some(rules) = rules.of(family) {
            let given = Given::parse(write.tool(), family, rules.get_ref());
            let given = given.map_err(|fault| moved_into(text, rules, fault))?;
            all.insert(family, given);
        }
    }
    Ok(all)
}

/// A layer has rules, and only of the scenario's families.
fn check_layer(layer: &LayerInFile, families: &[Family], text: &str) -> Result<(), Fault> {
    let rules = layer.rules.get_ref();
    for family in FAMILIES {
        if let (Some(rules), false) = (rules.of(family), families.contains(&family)) {
            let message = format!("these rules are for {family}, which families does not name");
            let fault = Fault::at(text, rules.span(), message);
            return Err(fault.with_help(format!("add \"{family}\" to families")));
        }
    }
    if FAMILIES.iter().all(|family| rules.of(*family).is_none()) {
        let fault = Fault::at(text, layer.rules.span(), "this layer has no rules");
        return Err(fault.with_help("add ipv4 = '''…''' or ipv6 = '''…'''"));
    }
    Ok(())
}

/// The tool that writes a layer has a program that can stay.
fn check_stays(
    write: Write,
    rules: &BTreeMap<Family, Given>,
    (place, text): (Range<usize>, &str),
) -> Result<(), Fault> {
    let can = |given: &Given| given.staying(write, |_| true).is_some();
    if rules.values().all(can) {
        return Ok(());
    }
    let message = format!("no program stays that writes with {write}");
    let fault = Fault::at(text, place, message);
    Err(fault.with_help("nft can: write = \"nft\""))
}

/// No layer takes away what one before it has written. `own` and `places` say where in the file each of them is.
fn check_order(
    scenario: &Scenario,
    own: Range<usize>,
    places: &[(When, Range<usize>)],
) -> Result<(), Fault> {
    let of_when = |when| places.iter().filter(move |(of, _)| *of == when);
    let before = of_when(When::Before).map(|(_, place)| place.clone());
    let after = of_when(When::After).map(|(_, place)| place.clone());
    let places = before.chain([own]).chain(after);
    let tables = |layer: &Layer<'_>| -> BTreeSet<(Family, String)> {
        let rules = layer.rules.iter();
        let tables = rules.flat_map(|(family, given)| {
            let tables = given.ruleset().tables.iter();
            tables.map(|table| (*family, table.name.clone()))
        });
        tables.collect()
    };
    let mut there: BTreeSet<(Family, String)> = BTreeSet::new();
    for (layer, place) in scenario.layers().zip(places) {
        let own = tables(&layer);
        let lost = own.iter().find(|table| there.contains(*table));
        if let Some((_, table)) = lost.filter(|_| layer.write.replaces()) {
            let message = format!("this takes away what layers before it have in table {table}");
            let fault = Fault::at(&scenario.text, place, message);
            return Err(fault.with_help("write = \"restore-noflush\" leaves it"));
        }
        there.extend(own);
    }
    Ok(())
}

/// A fault in a string of a TOML file as a fault of the file. Where the string is not written literally (escapes), the
/// whole string is the place.
fn moved_into(file: &str, string: &Spanned<String>, fault: Fault) -> Fault {
    let Fault {
        span,
        message,
        help,
        ..
    } = fault;
    let place = match literal_start(file, string) {
        Some(start) => start + span.start..start + span.end,
        None => string.span(),
    };
    Fault {
        help,
        ..Fault::at(file, place, message)
    }
}

/// Where the content of a string begins in the file, if it stands there byte for byte.
fn literal_start(file: &str, string: &Spanned<String>) -> Option<usize> {
    let span: Range<usize> = string.span();
    let written = &file[span.clone()];
    let content = string.get_ref();
    let start = span.start + written.find(content.as_str())?;
    (!content.is_empty()).then_some(start)
}

fn check_families(file: &File, text: &str) -> Result<(), Fault> {
    let named = file.families.get_ref();
    if named.is_empty() {
        let fault = Fault::at(text, file.families.span(), "no family is named");
        return Err(fault.with_help("write families = [\"ipv4\"], [\"ipv6\"] or both"));
    }
    for (index, family) in named.iter().enumerate() {
        let word = *family.get_ref();
        let span = family.span();
        if named[..index].iter().any(|other| *other.get_ref() == word) {
            return Err(Fault::at(text, span, format!("{word} is named twice")));
        }
        if file.rules.get_ref().of(word).is_none() {
            let fault = Fault::at(text, span, format!("there are no rules for {word}"));
            return Err(fault.with_help(format!(
                "add {word} = '''…''' to [rules], or leave the family out"
            )));
        }
    }
    for family in FAMILIES {
        let is_named = named.iter().any(|named| *named.get_ref() == family);
        if let (Some(rules), false) = (file.rules.get_ref().of(family), is_named) {
            let fault = Fault::at(
                text,
                rules.span(),
                format!("these rules are for {family}, which families does not name"),
            );
            return Err(fault.with_help(format!("add \"{family}\" to families")));
        }
    }
    Ok(())
}
