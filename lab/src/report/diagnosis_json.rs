//! A diagnosis as JSON, for programs. Fields are only ever added.

use schemars::JsonSchema;
use serde::Serialize;

use super::diagnosis::{causes_of, sentences, shell_line, words_of};
use crate::advice::{Damaged, Diagnosis, Finding, Likeness, Place, Published};
use crate::catalog::{Backend, BuildId, Family};
use crate::judge::verdict::{Consequence, Verdict};

/// The version of this form.
const SCHEMA: u32 = 1;

/// What `diagnose --format json` prints.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "A diagnosis of iptables-lab")]
struct Document<'a> {
    /// The version of this form: 1. Fields are only ever added to it.
    schema: u32,
    /// What the rules were compared with.
    basis: Basis<'a>,
    /// The releases that printed the rules, as the print says: `1.8.9`.
    printed_by: Vec<&'a str>,
    /// What was found, in the print's order.
    findings: Vec<Found<'a>>,
    /// Who may have damaged rules; null where none are damaged.
    likely: Option<Likely<'a>>,
    /// What mends it.
    repair: Repair,
}

/// The built-in report.
#[derive(Serialize, JsonSchema)]
struct Basis<'a> {
    /// When its run began.
    #[schemars(with = "String")]
    started: jiff::Timestamp,
    /// The kernel it was made on.
    kernel: &'a str,
    /// How many scenarios it holds.
    scenarios: usize,
    /// How many builds.
    builds: usize,
}

/// Something that was found.
#[derive(Serialize, JsonSchema)]
struct Found<'a> {
    /// What it is.
    kind: Kind,
    /// The family; null where the print does not say it, or where it is of all.
    family: Option<Family>,
    /// The backend; null where the print does not say it.
    backend: Option<Backend>,
    /// The table; null where it is of all.
    table: Option<&'a str>,
    /// The chain; null where it is of the table.
    chain: Option<&'a str>,
    /// The places in the chain, from 1; empty where it is of no rule.
    indices: Vec<usize>,
    /// The rule as it was printed; null where it is of no rule.
    rule: Option<&'a str>,
    /// What people read: a title and a text.
    words: [String; 2],
    /// Of a damaged rule alone.
    damage: Option<Damage<'a>>,
}

/// What kind of finding it is.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    /// A rule that a reader damaged.
    Damaged,
    /// A rule of a known system that is there three times or more.
    Repeated,
    /// A policy that its system sets to DROP and that is ACCEPT.
    Policy,
    /// A table that the iptables which printed it cannot read.
    Incompatible,
    /// Tables under both backends.
    TwoBackends,
}

/// What a damaged rule looks like.
#[derive(Serialize, JsonSchema)]
struct Damage<'a> {
    /// Word for word what is left of a known rule, or with other addresses, ports and names.
    likeness: Like,
    /// The rules that it may be left of, as their systems write them.
    meant: Vec<&'a str>,
    /// Whether one of them stands in the same chain.
    stands_beside: bool,
    /// The system whose rule it is; null where it has no name.
    system: Option<&'a str>,
    /// The scenario that holds the rule.
    scenario: &'a str,
    /// The verdict about it in the report; null where this program does not know it.
    verdict: Option<Verdict>,
    /// What it does to packets.
    consequence: Option<Consequence>,
    /// The names of its causes, as `iptables-lab causes` has them.
    causes: Vec<&'a str>,
}

/// How much a line is like one that is known.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Like {
    /// Word for word.
    Same,
    /// With other addresses, ports and names.
    Alike,
}

/// Who may have damaged rules.
#[derive(Serialize, JsonSchema)]
struct Likely<'a> {
    /// The writers.
    #[schemars(with = "Vec<String>")]
    writers: Vec<&'a BuildId>,
    /// The readers.
    #[schemars(with = "Vec<String>")]
    readers: Vec<&'a BuildId>,
    /// How many of the damaged lines that explains.
    explained: usize,
}

/// What mends it.
#[derive(Serialize, JsonSchema)]
struct Repair {
    /// Commands as a shell takes them, to be run in this order and all of them.
    commands: Vec<String>,
    /// What else people do.
    steps: Vec<String>,
}

/// The schema of what `diagnose --format json` prints.
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(Document<'static>)
}

/// The document. `published` is what the rules were compared with.
///
/// # Errors
/// Never in practice: all of it has a JSON form.
pub fn render(diagnosis: &Diagnosis, published: &Published) -> serde_json::Result<String> {
    let likely = diagnosis.likely.as_ref().map(|likely| Likely {
        writers: likely.writers.ids().collect(),
        readers: likely.readers.ids().collect(),
        explained: likely.explained,
    });
    let commands = diagnosis.repair.commands.iter();
    let document = Document {
        schema: SCHEMA,
        basis: Basis {
            started: published.started,
            kernel: &published.host.kernel,
            scenarios: published.scenarios().len(),
            builds: published.builds.len(),
        },
        printed_by: diagnosis.printed_by.iter().map(String::as_str).collect(),
        findings: diagnosis.findings.iter().map(found).collect(),
        likely,
        repair: Repair {
            commands: commands.map(|command| shell_line(command)).collect(),
            steps: sentences(&diagnosis.repair.steps),
        },
    };
    Ok(format!("{}\n", serde_json::to_string_pretty(&document)?))
}

fn found(finding: &Finding) -> Found<'_> {
    let (title, text) = words_of(finding);
    let blank = Found {
        kind: Kind::TwoBackends,
        family: None,
        backend: None,
        table: None,
        chain: None,
        indices: Vec::new(),
        rule: None,
        words: [title, text],
        damage: None,
    };
    let at = |place: &'_ Place| (place.family, place.backend);
    match finding {
        Finding::Damaged(damaged) => Found {
            kind: Kind::Damaged,
            family: at(&damaged.place).0,
            backend: at(&damaged.place).1,
            table: Some(&damaged.place.table),
            chain: Some(&damaged.rule.chain),
            indices: vec![damaged.index],
            rule: Some(&damaged.rule.text),
            damage: Some(damage(damaged)),
            ..blank
        },
        Finding::Repeated {
            place,
            rule,
            indices,
        } => Found {
            kind: Kind::Repeated,
            family: at(place).0,
            backend: at(place).1,
            table: Some(&place.table),
            chain: Some(&rule.chain),
            indices: indices.clone(),
            rule: Some(&rule.text),
            ..blank
        },
        Finding::Policy { place, chain, .. } => Found {
            kind: Kind::Policy,
            family: at(place).0,
            backend: at(place).1,
            table: Some(&place.table),
            chain: Some(chain),
            ..blank
        },
        Finding::Incompatible { place } => Found {
            kind: Kind::Incompatible,
            family: at(place).0,
            backend: at(place).1,
            table: Some(&place.table),
            ..blank
        },
        Finding::TwoBackends => blank,
    }
}

fn damage(damaged: &Damaged) -> Damage<'_> {
    Damage {
        likeness: match damaged.likeness {
            Likeness::Same => Like::Same,
            Likeness::Alike => Like::Alike,
        },
        meant: damaged.meant.iter().map(String::as_str).collect(),
        stands_beside: damaged.stands_beside,
        system: damaged.system.name.as_deref(),
        scenario: &damaged.damage.scenario,
        verdict: damaged.damage.verdict(),
        consequence: damaged.damage.consequence(),
        causes: causes_of(&damaged.damage)
            .into_iter()
            .flatten()
            .map(String::as_str)
            .collect(),
    }
}
