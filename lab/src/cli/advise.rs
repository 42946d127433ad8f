//! `advise`: which builds may live side by side on a node.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use miette::miette;

use super::exit::{Exit, Failure, Or};
use super::matrix::Prepared;
use super::session::{self, Session};
use super::{Common, InputArgs, PaceArgs, output};
use crate::advice::{
    Advice, Changes, Member, Node, Products, Published, State, advise, between, node,
};
use crate::catalog::{Backend, BuildId};
use crate::inventory::{self, Inventory};
use crate::judge::verdict::{Consequence, Verdict};
use crate::matrix::{Certainty, Harm};
use crate::plan::witness;
use crate::report;
use crate::report::advice::{Basis, Details, Source};
use crate::scenario::{self, Scenario};

#[derive(Args)]
pub struct AdviseArgs {
    /// The host's iptables: a build's id, or a product and its version (`debian@12`).
    #[arg(
        long,
        value_name = "ID|PRODUCT@VERSION",
        required_unless_present = "inventory"
    )]
    host: Option<String>,
    /// The iptables that pods bring: ids or products (`kube-router@1.5.1`), separated by commas. Repeats.
    #[arg(
        long,
        value_name = "ID|PRODUCT@VERSION",
        value_delimiter = ',',
        required_unless_present = "inventory"
    )]
    pods: Vec<String>,
    /// What `inventory --format json` printed on the node, in place of --host and --pods. `-` is standard input.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["host", "pods"])]
    inventory: Option<PathBuf>,
    /// Answer from the built-in report, at once and without an engine.
    #[arg(long, conflicts_with = "rules")]
    published: bool,
    /// How the answer is printed.
    #[arg(long, value_enum, default_value = "text", value_name = "FORMAT")]
    format: Form,
    /// List every rule that is lost or was not tested.
    #[arg(long)]
    full: bool,
    /// End with exit status 1 if this is the answer (unsafe, two-backends, not-tested), or if any pair has this verdict or
    /// consequence. Repeats.
    #[arg(
        long,
        value_parser = parse_condition,
        value_name = "unsafe|two-backends|not-tested|VERDICT|CONSEQUENCE"
    )]
    fail_on: Vec<Condition>,
    #[command(flatten)]
    input: InputArgs,
    #[command(flatten)]
    pace: PaceArgs,
}

/// How advice is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For people.
    Text,
    /// For programs: reports/advice-schema.json.
    Json,
}

/// What `--fail-on` names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Condition {
    /// Rules are lost or changed, or a program fails.
    Unsafe,
    /// Both backends are in use.
    TwoBackends,
    /// Something was not tested.
    NotTested,
    /// A verdict about what a reader does in its way of changing rules.
    Verdict(Verdict),
    /// What a harm does to packets, confirmed or predicted.
    Consequence(Consequence),
}

fn parse_condition(text: &str) -> Result<Condition, String> {
    const CONSEQUENCES: [Consequence; 3] = [
        Consequence::Blackhole,
        Consequence::Exposure,
        Consequence::Misdirected,
    ];
    let of_answer = || match text {
        "unsafe" => Some(Condition::Unsafe),
        "two-backends" => Some(Condition::TwoBackends),
        "not-tested" => Some(Condition::NotTested),
        _ => None,
    };
    // Others are no harm, so no pair ever has them.
    let harmful = || {
        let all = Verdict::ALL.into_iter();
        all.filter(|verdict| verdict.severity() > Verdict::Unsupported.severity())
    };
    let verdict = || {
        harmful()
            .find(|verdict| verdict.as_str() == text)
            .map(Condition::Verdict)
    };
    let consequence = || {
        let mut all = CONSEQUENCES.into_iter();
        all.find(|of| of.as_str() == text)
            .map(Condition::Consequence)
    };
    let condition = of_answer().or_else(verdict).or_else(consequence);
    condition.ok_or_else(|| {
        let verdicts: Vec<&str> = harmful().map(Verdict::as_str).collect();
        let consequences = CONSEQUENCES.map(Consequence::as_str).join(", ");
        format!(
            "unsafe, two-backends, not-tested, a consequence ({consequences}) or a verdict ({})",
            verdicts.join(", ")
        )
    })
}

pub async fn run(args: &AdviseArgs, common: &Common) -> Result<Exit, Failure> {
    let products = Products::embedded().or_exit(Exit::Fault)?;
    let Node { members, left_out } = match &args.inventory {
        Some(path) => node_of(path)?,
        None => Node {
            members: members(args, &products)?,
            left_out: Vec::new(),
        },
    };
    let scenarios = scenarios(args)?;
    let names: Vec<String> = scenarios.iter().map(|of| of.name.clone()).collect();
    let is_asked = |name: &str| names.iter().any(|of| of == name);
    let (published, source) = answered_from(args, common, (&products, &members), scenarios).await?;
    require_known(&published, &members)?;
    let rules = match (
        args.input.given.rules.is_empty(),
        args.input.scenario.is_empty(),
    ) {
        (true, true) => "Kubernetes' scenarios".to_owned(),
        _ => names.join(", "),
    };
    let basis = Basis {
        source,
        rules,
        scenarios: published
            .scenarios()
            .into_iter()
            .filter(|of| is_asked(of))
            .count(),
        made: published.started,
        kernel: published.host.kernel.clone(),
        engine: published.host.engine.clone(),
    };
    let advice = Advice {
        left_out,
        ..advise(&published, &products, &members, is_asked)
    };
    let details = match args.full {
        true => Details::Full,
        false => Details::Short,
    };
    let text = match args.format {
        Form::Text => report::advice::render(&advice, &members, &basis, details, output::width()),
        Form::Json => report::advice::json(&advice, &members, &basis)
            .map_err(|error| miette!("{error}"))
            .or_exit(Exit::Fault)?,
    };
    output::print(&text)?;
    let is_met = args.fail_on.iter().any(|of| is_met(*of, &advice, &members));
    Ok(if is_met { Exit::Found } else { Exit::Ran })
}

/// What the answer is read from: a run that was made now, or the built-in report.
async fn answered_from(
    args: &AdviseArgs,
    common: &Common,
    who: (&Products, &[Member]),
    scenarios: Vec<Scenario>,
) -> Result<(Published, Source), Failure> {
    let source = match args.published {
        true => Source::Published,
        false => match live(args, common, who, scenarios).await {
            Ok(published) => return Ok((published, Source::Run)),
            // Rules of one's own are in no report.
            Err(failure) if failure.exit == Exit::Lacks && args.input.given.rules.is_empty() => {
                Source::NotRun(failure.report.to_string())
            }
            Err(failure) => return Err(failure),
        },
    };
    let published = Published::embedded().or_exit(Exit::Fault)?;
    Ok((published, source))
}

fn is_met(condition: Condition, advice: &Advice<'_>, members: &[Member]) -> bool {
    let has = |state: State| advice.pairs.iter().any(|pair| pair.state == state);
    let any = |is_it: &dyn Fn(&Harm) -> bool| {
        advice.pairs.iter().any(|pair| {
            let (writer, reader) = (members[pair.writer].changes, members[pair.reader].changes);
            let harms = pair.harms.iter().flat_map(|found| &found.damage.harms);
            let mut harms = harms.filter_map(|harm| between(harm, writer, reader));
            harms.any(|harm| is_it(&harm))
        })
    };
    match condition {
        Condition::Unsafe => has(State::Unsafe),
        Condition::TwoBackends => {
            let mut backends = members.iter().map(Member::backend);
            let first = backends.next();
            backends.any(|of| Some(of) != first)
        }
        Condition::NotTested => {
            let untested = |pair: &crate::advice::Pair<'_>| {
                !pair.missing.is_empty() || !pair.untested.is_empty()
            };
            !advice.left_out.is_empty()
                || has(State::NotTested)
                || advice.pairs.iter().any(untested)
        }
        Condition::Verdict(verdict) => any(&|harm| harm.verdict == verdict),
        Condition::Consequence(consequence) => any(&|harm| {
            let is_there = matches!(harm.certainty, Certainty::Shown | Certainty::Predicted);
            is_there && harm.consequence == Some(consequence)
        }),
    }
}

/// The form of an inventory, which says what the rest of it looks like.
#[derive(serde::Deserialize)]
struct FormOf {
    schema: u32,
}

/// Who lives on the node of an inventory.
fn node_of(path: &Path) -> Result<Node, Failure> {
    let mut text = String::new();
    let (name, read) = match path.as_os_str() == "-" {
        true => (
            "standard input".to_owned(),
            std::io::stdin().lock().read_to_string(&mut text),
        ),
        false => (
            path.display().to_string(),
            File::open(path).and_then(|mut file| file.read_to_string(&mut text)),
        ),
    };
    read.map_err(|error| miette!("{name} cannot be read: {error}"))
        .or_exit(Exit::Usage)?;
    let not_read = |error: serde_json::Error| {
        miette!(
            help = "give it what `iptables-lab inventory --format json` prints on the node",
            "{name} is no inventory: {error}"
        )
    };
    let form: FormOf = serde_json::from_str(&text)
        .map_err(not_read)
        .or_exit(Exit::Usage)?;
    if form.schema != inventory::SCHEMA {
        let (its, ours) = (form.schema, inventory::SCHEMA);
        let error = miette!(
            help = "make it again on the node, with `iptables-lab inventory --format json` of this version",
            "{name} is an inventory of schema {its}, and this program reads schema {ours}"
        );
        return Err(Failure::new(Exit::Usage, error));
    }
    let inventory: Inventory = serde_json::from_str(&text)
        .map_err(not_read)
        .or_exit(Exit::Usage)?;
    let published = Published::embedded().or_exit(Exit::Fault)?;
    let node = node(&inventory, |build| {
        published.build(build.as_str()).is_some()
    });
    let node = node.ok_or_else(|| {
        miette!(
            help = "name them with --host and --pods",
            "{name} has no iptables of the host's, or one that nothing is known of"
        )
    });
    node.or_exit(Exit::Usage)
}

/// The host first, then the pods.
fn members(args: &AdviseArgs, products: &Products) -> Result<Vec<Member>, Failure> {
    let named = args.host.as_deref().unwrap_or_default();
    let host = member(&format!("host {named}"), named, products, Backend::Nft)?;
    let backend = host.backend();
    let mut members = vec![host];
    for pod in &args.pods {
        members.push(member(pod, pod, products, backend)?);
    }
    Ok(members)
}

/// A product and its version, or a build by its id.
fn member(name: &str, named: &str, products: &Products, host: Backend) -> Result<Member, Failure> {
    let Some((product, version)) = named.split_once('@') else {
        return Ok(Member::of_build(name, BuildId::named(named)));
    };
    let product = products.find(product, version).or_exit(Exit::Usage)?;
    Ok(Member::of_product(name, product, host))
}

fn scenarios(args: &AdviseArgs) -> Result<Vec<Scenario>, Failure> {
    if !args.input.given.rules.is_empty() || !args.input.scenario.is_empty() {
        return super::given::scenarios(&args.input.scenario, &args.input.given);
    }
    let shipped = scenario::shipped().or_exit(Exit::Fault)?;
    let of_kubernetes = shipped.into_iter().filter(|of| of.group == "kubernetes");
    Ok(of_kubernetes.collect())
}

/// Runs the members against each other, and what they may get instead: the newest build, and what later versions of their
/// products ship.
async fn live(
    args: &AdviseArgs,
    common: &Common,
    (products, members): (&Products, &[Member]),
    scenarios: Vec<Scenario>,
) -> Result<Published, Failure> {
    let session = Session::open(common).await?;
    let own: Vec<BuildId> = members.iter().map(|member| member.build.clone()).collect();
    let later: Vec<BuildId> = members
        .iter()
        .flat_map(|member| {
            let later = member.product.iter().flat_map(|of| products.later(of));
            later.map(|of| Member::of_product(&member.name, of, member.backend()).build)
        })
        .collect();
    let provision = session.provide_with_newest(&own, &later).await?;
    let available = session::builds(&provision);
    let newest = Backend::ALL
        .into_iter()
        .filter_map(|backend| witness(&available, backend, None));
    let newest = newest.filter(|build| members.iter().any(|of| of.backend() == build.backend));
    let mut ids: Vec<BuildId> = newest.map(|build| build.id.clone()).collect();
    ids.extend(own);
    let is_available = |id: &BuildId| available.iter().any(|build| &build.id == id);
    ids.extend(later.into_iter().filter(is_available));
    let ids: Vec<String> = ids.iter().map(|id| globset::escape(id.as_str())).collect();
    let operations = Changes::operations(members.iter().map(|member| member.changes));
    let prepared = Prepared::of(&session, &provision, operations, scenarios, &ids, &ids).await?;
    let ran = prepared.run(&session, &args.pace, None, |_, _| {}).await?;
    ran.ended?;
    Ok(Published::from(&ran.matrix))
}

/// A name that nobody knows is a mistake, not an unknown pairing.
fn require_known(published: &Published, members: &[Member]) -> Result<(), Failure> {
    let unknown = members
        .iter()
        .find(|of| published.build(of.build.as_str()).is_none());
    let Some(member) = unknown else {
        return Ok(());
    };
    let ids: Vec<&str> = published
        .builds
        .iter()
        .map(|build| build.id.as_str())
        .collect();
    let help = format!("it has these: {}", ids.join(", "));
    let (name, build) = (&member.name, &member.build);
    let error = miette!(
        help = help,
        "{name}: the report has no build called {build}"
    );
    Err(Failure::new(Exit::Usage, error))
}
