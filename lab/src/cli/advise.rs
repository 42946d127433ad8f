//! `advise`: which builds may live side by side on a node.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use miette::miette;

use super::exit::{Exit, Failure, Or};
use super::matrix::Prepared;
use super::session::{self, Session};
use super::{Common, RunArgs, output};
use crate::advice::{Advice, Member, Node, Products, Published, advise, node};
use crate::catalog::{Backend, BuildId};
use crate::images::Effort;
use crate::inventory::{self, Inventory};
use crate::plan::{Operation, witness};
use crate::report;
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
    /// What pods bring along: ids or products (`kube-router@1.5.1`), with commas between them. Repeats.
    #[arg(
        long,
        value_name = "ID|PRODUCT@VERSION",
        value_delimiter = ',',
        required_unless_present = "inventory"
    )]
    pods: Vec<String>,
    /// What `inventory --format json` printed on the node: it says who the host and the pods are. `-` is standard input.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["host", "pods"])]
    inventory: Option<PathBuf>,
    /// Answer from the report that is part of this program, at once and without an engine.
    #[arg(long, conflicts_with = "rules")]
    published: bool,
    #[command(flatten)]
    run: RunArgs,
}

/// What is done with each pairing: all that takes something from the rules.
const OPERATIONS: [Operation; 4] = [
    Operation::Recognition,
    Operation::Sync,
    Operation::Check,
    Operation::Effect,
];

pub async fn run(args: &AdviseArgs, common: &Common) -> Result<Exit, Failure> {
    if !args.run.operation.is_empty() {
        let error = miette!("advise itself says which operations it needs");
        return Err(Failure::new(Exit::Usage, error));
    }
    let Node { members, left_out } = match &args.inventory {
        Some(path) => node_of(path)?,
        None => Node {
            members: members(args)?,
            left_out: Vec::new(),
        },
    };
    let scenarios = scenarios(args)?;
    let names: Vec<String> = scenarios.iter().map(|of| of.name.clone()).collect();
    let is_asked = |name: &str| names.iter().any(|of| of == name);
    let what = match (
        args.run.given.rules.is_empty(),
        args.run.scenario.is_empty(),
    ) {
        (true, true) => "Kubernetes' scenarios".to_owned(),
        _ => names.join(", "),
    };
    let ran = match args.published {
        true => None,
        false => match live(args, common, &members, scenarios).await {
            Ok(published) => Some(Ok(published)),
            // Rules of one's own are in no report.
            Err(failure) if failure.exit == Exit::Lacks && args.run.given.rules.is_empty() => {
                Some(Err(failure))
            }
            Err(failure) => return Err(failure),
        },
    };
    let (published, basis) = match ran {
        Some(Ok(published)) => {
            let (kernel, engine) = (&published.host.kernel, &published.host.engine);
            let basis = format!("With {what}, run now on Linux {kernel} through {engine}.");
            (published, basis)
        }
        not_run => {
            let published = Published::embedded().or_exit(Exit::Fault)?;
            let why = match not_run {
                Some(Err(failure)) => format!("nothing could be run here: {}", failure.report),
                _ => "nothing was run".to_owned(),
            };
            let basis = format!(
                "With {what}, as far as the report holds them that is part of this program: made on {} on Linux {}, {} \
                 scenarios; {why}.",
                published.started.strftime("%Y-%m-%d"),
                published.host.kernel,
                published.scenarios().len()
            );
            (published, basis)
        }
    };
    require_known(&published, &members)?;
    let basis = match left_out.is_empty() {
        true => basis,
        false => format!(
            "{basis} Nothing is known of the iptables of {}.",
            left_out.join(", ")
        ),
    };
    let advice: Advice<'_> = advise(&published, &members, is_asked);
    output::print(&report::advice::render(
        &advice,
        &members,
        &basis,
        output::width(),
    ))?;
    Ok(Exit::Ran)
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
    let inventory: Inventory = serde_json::from_str(&text)
        .map_err(|error| {
            miette!(
                help = "give it what `iptables-lab inventory --format json` prints on the node",
                "{name} is no inventory: {error}"
            )
        })
        .or_exit(Exit::Usage)?;
    if inventory.schema != inventory::SCHEMA {
        let (its, ours) = (inventory.schema, inventory::SCHEMA);
        let error = miette!("{name} is of schema {its}, and this program reads schema {ours}");
        return Err(Failure::new(Exit::Usage, error));
    }
    let published = Published::embedded().or_exit(Exit::Fault)?;
    let node = node(&inventory, |build| {
        published.build(build.as_str()).is_some()
    });
    let node = node.ok_or_else(|| {
        miette!(
            help = "say who lives together with --host and --pods",
            "{name} has no iptables of the host's, or one that nothing is known of"
        )
    });
    node.or_exit(Exit::Usage)
}

/// The host first, then the pods.
fn members(args: &AdviseArgs) -> Result<Vec<Member>, Failure> {
    let products = Products::embedded().or_exit(Exit::Usage)?;
    let named = args.host.as_deref().unwrap_or_default();
    let host = build_of(named, &products, Backend::Nft)?;
    let backend = match host.as_str().ends_with("-legacy") {
        true => Backend::Legacy,
        false => Backend::Nft,
    };
    let mut members = vec![Member {
        name: format!("host {named}"),
        build: host,
    }];
    for pod in &args.pods {
        members.push(Member {
            name: pod.clone(),
            build: build_of(pod, &products, backend)?,
        });
    }
    Ok(members)
}

/// The build that a product stands for, or that is named itself.
fn build_of(named: &str, products: &Products, host: Backend) -> Result<BuildId, Failure> {
    let Some((name, version)) = named.split_once('@') else {
        return Ok(BuildId::named(named));
    };
    let product = products.find(name, version).or_exit(Exit::Usage)?;
    Ok(BuildId::new(&product.build, product.backend.beside(host)))
}

fn scenarios(args: &AdviseArgs) -> Result<Vec<Scenario>, Failure> {
    if !args.run.given.rules.is_empty() || !args.run.scenario.is_empty() {
        return super::given::scenarios(&args.run.scenario, &args.run.given);
    }
    let shipped = scenario::shipped().or_exit(Exit::Fault)?;
    let of_kubernetes = shipped.into_iter().filter(|of| of.group == "kubernetes");
    Ok(of_kubernetes.collect())
}

/// Runs the members against each other, and the newest build, which they may be given.
async fn live(
    args: &AdviseArgs,
    common: &Common,
    members: &[Member],
    scenarios: Vec<Scenario>,
) -> Result<Published, Failure> {
    let session = Session::open(common).await?;
    let images = session.catalog.images.clone();
    let provision = session.provide(images, Effort::Usual).await?;
    let available = session::builds(&provision);
    let newest = Backend::ALL
        .into_iter()
        .filter_map(|backend| witness(&available, backend, None));
    let backends: Vec<Backend> = available
        .iter()
        .filter(|build| members.iter().any(|member| member.build == build.id))
        .map(|build| build.backend)
        .collect();
    let newest = newest.filter(|build| backends.contains(&build.backend));
    let mut ids: Vec<&str> = newest.map(|build| build.id.as_str()).collect();
    ids.extend(members.iter().map(|member| member.build.as_str()));
    let ids: Vec<String> = ids.into_iter().map(globset::escape).collect();
    let operations = Operation::with_needs(&OPERATIONS);
    let prepared = Prepared::of(&session, &provision, operations, scenarios, &ids, &ids).await?;
    let ran = prepared.run(&session, &args.run, None, |_, _| {}).await?;
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
    let help = format!("these are known: {}", ids.join(", "));
    let (name, build) = (&member.name, &member.build);
    let error = miette!(
        help = help,
        "{name}: no build called {build} is in the report"
    );
    Err(Failure::new(Exit::Usage, error))
}
