//! Advice as one JSON document, for programs.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use super::basis::{Basis, Source};
use crate::advice::{Advice, Changes, Found, Member, Pair, Safety, Untested};
use crate::catalog::{Backend, BuildId, Family};
use crate::matrix::{Harm, Side};
use crate::plan::Operation;
use crate::report::json::inert;

/// The version of this form. It only grows.
const SCHEMA: u32 = 1;

/// What `advise --format json` prints.
#[derive(Serialize, JsonSchema)]
struct Document<'a> {
    /// The version of this form: 1.
    schema: u32,
    /// The lab's version.
    lab: &'static str,
    /// Where the answer comes from.
    basis: From<'a>,
    /// The answer: the worst of all pairs.
    state: Safety,
    /// The gravest harm; none where nothing comes to harm.
    worst: Option<Worst<'a>>,
    /// What to change: members that must get something newer; none where nothing helps, or nothing is needed.
    change: Option<Vec<Newer<'a>>>,
    /// Who uses which backend, where both are in use.
    two_backends: Option<Backends<'a>>,
    /// Whose iptables nothing is known of.
    left_out: &'a [String],
    /// The host first.
    members: Vec<Who<'a>>,
    /// Every writer with every other reader.
    pairs: Vec<Both<'a>>,
}

#[derive(Serialize, JsonSchema)]
struct From<'a> {
    /// `run`: run now. `published`: the built-in report.
    source: &'static str,
    /// Why nothing was run, where that was wanted.
    reason: Option<&'a str>,
    /// Which rules it is about.
    rules: &'a str,
    /// How many scenarios these are.
    scenarios: usize,
    /// When the run began.
    #[schemars(with = "String")]
    made: jiff::Timestamp,
    /// On which kernel.
    kernel: &'a str,
    /// Through which engine.
    engine: &'a str,
}

#[derive(Serialize, JsonSchema)]
struct Worst<'a> {
    /// Who wrote.
    writer: &'a str,
    /// Who read.
    reader: &'a str,
    #[serde(flatten)]
    harmed: Harmed<'a>,
}

#[derive(Serialize, JsonSchema)]
struct Newer<'a> {
    /// The member, by name.
    member: &'a str,
    /// The release of iptables that it must have.
    release: &'a str,
    /// Whether every newer release that was tested is as good.
    or_newer: bool,
    /// The version of the product that ships such a release, where one is known.
    product: Option<NewerProduct<'a>>,
}

#[derive(Serialize, JsonSchema)]
struct NewerProduct<'a> {
    /// Its name.
    name: &'a str,
    /// Its version.
    version: &'a str,
    /// What it ships.
    package: &'a str,
    /// The build that was tested for it, where that only stands in for it.
    tested_as: Option<&'a BuildId>,
    /// Whether the later versions that are known are as good.
    or_newer: bool,
}

#[derive(Serialize, JsonSchema)]
struct Backends<'a> {
    /// Members that use nf_tables.
    nft: Vec<&'a str>,
    /// Members that use the xtables sockets.
    legacy: Vec<&'a str>,
}

#[derive(Serialize, JsonSchema)]
struct Who<'a> {
    /// As it was named.
    name: &'a str,
    /// The build that is tested for it.
    build: &'a BuildId,
    /// The backend that it uses.
    backend: Backend,
    /// What it really ships; none where that is the build, or not known.
    package: Option<&'a str>,
    /// Whether the build only stands in for that.
    stands_in: bool,
    /// How it changes rules.
    changes: Changes,
    /// Where that was seen.
    changes_source: Option<&'a str>,
}

#[derive(Serialize, JsonSchema)]
struct Both<'a> {
    /// Who writes, by name.
    writer: &'a str,
    /// Who reads, and changes rules in its way.
    reader: &'a str,
    /// What is known of them.
    state: Safety,
    /// In which scenarios they were run.
    scenarios: &'a BTreeSet<&'a str>,
    /// The operations that were run and count for this reader.
    operations: &'a [Operation],
    /// The operations that this reader needs and that were not run.
    missing: &'a [Operation],
    /// What comes to harm.
    harms: Vec<Harmed<'a>>,
    /// What could not be tested.
    untested: Vec<Gap<'a>>,
}

#[derive(Serialize, JsonSchema)]
struct Harmed<'a> {
    /// The scenario.
    scenario: &'a str,
    /// Which of its rulesets.
    family: Family,
    /// The table.
    table: &'a str,
    /// The chain.
    chain: &'a str,
    /// The rule's place in its chain, from 1; none where the chain itself suffers.
    index: Option<usize>,
    /// The rule as its writer prints it.
    written: Option<&'a str>,
    /// Who encoded what was decoded otherwise.
    encoder: Side,
    /// Who decoded it.
    decoder: Side,
    #[serde(flatten)]
    harm: &'a Harm,
    /// The names of its causes, as `iptables-lab causes` has them.
    causes: &'a BTreeSet<String>,
}

#[derive(Serialize, JsonSchema)]
struct Gap<'a> {
    /// The scenario.
    scenario: &'a str,
    /// Which of its rulesets.
    family: Family,
    /// The table.
    table: &'a str,
    /// The chain.
    chain: &'a str,
    /// The rule's place in its chain, from 1.
    index: Option<usize>,
    /// The rule as the scenario has it.
    given: &'a str,
    /// The operation that has no verdict about it; none where the rule could not even be written.
    operation: Option<Operation>,
    /// Why.
    reason: &'a str,
}

/// The JSON Schema of the document.
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(Document<'static>)
}

/// The document, with a line's end.
///
/// # Errors
/// Never in practice: all of it has a JSON form.
pub fn render(
    advice: &Advice<'_>,
    members: &[Member],
    basis: &Basis,
) -> Result<String, serde_json::Error> {
    let name = |place: usize| members[place].name.as_str();
    let document = Document {
        schema: SCHEMA,
        lab: env!("CARGO_PKG_VERSION"),
        basis: from(basis),
        state: advice.safety(),
        worst: advice.worst().map(|(pair, found)| Worst {
            writer: name(pair.writer),
            reader: name(pair.reader),
            harmed: harmed(found),
        }),
        change: advice.change.as_ref().map(|change| {
            let newer = change.members.iter();
            newer
                .map(|of| Newer {
                    member: name(of.member),
                    release: &of.release,
                    or_newer: of.or_newer,
                    product: of.product.as_ref().map(|product| NewerProduct {
                        name: &product.name,
                        version: product.version.as_str(),
                        package: &product.package,
                        tested_as: product.tested_as.as_ref(),
                        or_newer: product.or_newer,
                    }),
                })
                .collect()
        }),
        two_backends: backends(members),
        left_out: &advice.left_out,
        members: members.iter().map(who).collect(),
        pairs: advice
            .pairs
            .iter()
            .map(|pair| both(pair, members))
            .collect(),
    };
    Ok(format!(
        "{}\n",
        inert(&serde_json::to_string_pretty(&document)?)
    ))
}

fn from(basis: &Basis) -> From<'_> {
    let (source, reason) = match &basis.source {
        Source::Run => ("run", None),
        Source::Published => ("published", None),
        Source::NotRun(why) => ("published", Some(why.as_str())),
    };
    From {
        source,
        reason,
        rules: &basis.rules,
        scenarios: basis.scenarios,
        made: basis.made,
        kernel: &basis.kernel,
        engine: &basis.engine,
    }
}

fn backends(members: &[Member]) -> Option<Backends<'_>> {
    let of = |backend: Backend| -> Vec<&str> {
        let of_backend = members.iter().filter(|member| member.backend() == backend);
        of_backend.map(|member| member.name.as_str()).collect()
    };
    let (nft, legacy) = (of(Backend::Nft), of(Backend::Legacy));
    (!nft.is_empty() && !legacy.is_empty()).then_some(Backends { nft, legacy })
}

fn who(member: &Member) -> Who<'_> {
    let product = member.product.as_ref();
    Who {
        name: &member.name,
        build: &member.build,
        backend: member.backend(),
        package: member.package.as_deref(),
        stands_in: member.stands_in,
        changes: member.changes,
        changes_source: product.and_then(|of| of.changes_source.as_deref()),
    }
}

fn both<'a>(pair: &'a Pair<'a>, members: &'a [Member]) -> Both<'a> {
    Both {
        writer: &members[pair.writer].name,
        reader: &members[pair.reader].name,
        state: pair.safety,
        scenarios: &pair.scenarios,
        operations: &pair.operations,
        missing: &pair.missing,
        harms: pair.harms.iter().map(harmed).collect(),
        untested: pair.untested.iter().map(|untested| gap(untested)).collect(),
    }
}

fn harmed<'a>(found: &'a Found<'a>) -> Harmed<'a> {
    let Found { damage, harm, of } = found;
    let (encoder, decoder) = of.parties((Side::Writer, Side::Reader));
    Harmed {
        scenario: &damage.scenario,
        family: damage.family,
        table: &damage.table,
        chain: &damage.chain,
        index: damage.index,
        written: damage.written.as_deref(),
        encoder,
        decoder,
        harm,
        causes: &of.causes,
    }
}

fn gap(untested: &Untested) -> Gap<'_> {
    Gap {
        scenario: &untested.scenario,
        family: untested.family,
        table: &untested.table,
        chain: &untested.chain,
        index: untested.index,
        given: &untested.given,
        operation: untested.operation,
        reason: &untested.reason,
    }
}
