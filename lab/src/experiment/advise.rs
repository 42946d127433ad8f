//! Which builds may live side by side on a node: run now, or read from the built-in report.

use std::path::{Path, PathBuf};

use miette::miette;

use super::failure::{Failure, FailureKind, OrFailure};
use super::input::{self, Input};
use super::needed::Pairs;
use super::prepared::Prepared;
use super::run::RunOptions;
use super::scenarios::{self, ScenarioChoice};
use super::session::{self, Session, SessionOptions};
use crate::advice::{Advice, Changes, Member, Node, Products, Published, advise, node};
use crate::catalog::{Backend, BuildId, Tool};
use crate::inventory::{self, Inventory};
use crate::plan::witness;
use crate::report::advice::{Basis, Source};
use crate::scenario::{self, Scenario};

/// Who lives on a node, and what the answer is read from.
#[derive(Debug, Clone)]
pub struct AdviseRequest {
    /// Who changes rules there.
    pub programs: Programs,
    /// The rules that the answer is about; Kubernetes' scenarios where none are named.
    pub given: ScenarioChoice,
    /// Whether something is run.
    pub answer: AnswerFrom,
    /// How much is run at a time, and how long.
    pub options: RunOptions,
}

/// Who changes rules on a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Programs {
    /// Builds by their ids, or products with their versions.
    Named {
        /// The host's.
        host: String,
        /// What pods bring.
        pods: Vec<String>,
    },
    /// Those of a file that `inventory --format json` printed; `-` is standard input.
    Inventory(PathBuf),
}

/// What the answer is read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerFrom {
    /// A run that is made now; the built-in report where the machine lacks what it takes.
    Run,
    /// The built-in report.
    Published,
}

/// What an answer is made of.
pub struct Answer {
    /// Who changes rules there: the host first.
    pub members: Vec<Member>,
    /// Where the answer comes from.
    pub basis: Basis,
    /// Processes whose iptables is of no known version or build.
    left_out: Vec<String>,
    products: Products,
    published: Published,
    /// The names of the scenarios that the answer is about.
    scenarios: Vec<String>,
}

impl Answer {
    /// The answer.
    pub fn advice(&self) -> Advice<'_> {
        let is_asked = |name: &str| self.scenarios.iter().any(|of| of == name);
        Advice {
            left_out: self.left_out.clone(),
            ..advise(&self.published, &self.products, &self.members, is_asked)
        }
    }
}

/// Finds the answer.
///
/// # Errors
/// A name that no build or product has, a file that cannot be read, or a run that fails for another reason than what the machine
/// lacks.
pub async fn answer(request: &AdviseRequest, session: SessionOptions) -> Result<Answer, Failure> {
    let products = Products::embedded().or_fault()?;
    let Node { members, left_out } = match &request.programs {
        Programs::Inventory(path) => node_of(path)?,
        Programs::Named { host, pods } => Node {
            members: members(host, pods, &products)?,
            left_out: Vec::new(),
        },
    };
    let chosen = chosen(&request.given)?;
    let scenarios: Vec<String> = chosen.iter().map(|of| of.name.clone()).collect();
    let (published, source) =
        answered_from(request, (&products, &members), chosen, session).await?;
    require_known(&published, &members)?;
    let is_asked = |name: &&str| scenarios.iter().any(|of| of == name);
    let basis = Basis {
        source,
        rules: match request.given.is_empty() {
            true => "Kubernetes' scenarios".to_owned(),
            false => scenarios.join(", "),
        },
        scenarios: published.scenarios().into_iter().filter(is_asked).count(),
        made: published.started,
        kernel: published.host.kernel.clone(),
        engine: published.host.engine.clone(),
    };
    Ok(Answer {
        members,
        basis,
        left_out,
        products,
        published,
        scenarios,
    })
}

/// What the answer is read from: a run that was made now, or the built-in report.
async fn answered_from(
    request: &AdviseRequest,
    programs: (&Products, &[Member]),
    scenarios: Vec<Scenario>,
    session: SessionOptions,
) -> Result<(Published, Source), Failure> {
    let source = match request.answer {
        AnswerFrom::Published => Source::Published,
        AnswerFrom::Run => match live(programs, scenarios, &request.options, session).await {
            Ok(published) => return Ok((published, Source::Run)),
            // Rules of one's own are in no report.
            Err(failure)
                if failure.kind == FailureKind::Lacks && request.given.rules.is_empty() =>
            {
                Source::NotRun(failure.report.to_string())
            }
            Err(failure) => return Err(failure),
        },
    };
    let published = Published::embedded().or_fault()?;
    Ok((published, source))
}

/// The scenarios that the answer is about.
fn chosen(given: &ScenarioChoice) -> Result<Vec<Scenario>, Failure> {
    if !given.is_empty() {
        return scenarios::scenarios(given);
    }
    let shipped = scenario::shipped().or_fault()?;
    let of_kubernetes = shipped.into_iter().filter(|of| of.group == "kubernetes");
    Ok(of_kubernetes.collect())
}

/// Runs the members against each other, and what they may get instead: the newest build, and what later versions of their
/// products ship.
async fn live(
    (products, members): (&Products, &[Member]),
    scenarios: Vec<Scenario>,
    options: &RunOptions,
    session: SessionOptions,
) -> Result<Published, Failure> {
    let session = Session::open(session).await?;
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
        .filter_map(|backend| witness(&available, Tool::default(), backend, None));
    let newest = newest.filter(|build| members.iter().any(|of| of.backend() == build.backend));
    let mut ids: Vec<BuildId> = newest.map(|build| build.id.clone()).collect();
    ids.extend(own);
    let is_available = |id: &BuildId| available.iter().any(|build| &build.id == id);
    ids.extend(later.into_iter().filter(is_available));
    let ids: Vec<String> = ids
        .iter()
        .map(|id| glob::Pattern::escape(id.as_str()))
        .collect();
    let operations = Changes::operations(members.iter().map(|member| member.changes));
    let pairs = Pairs {
        writers: &ids,
        readers: &ids,
        backend: None,
    };
    let prepared = Prepared::of(&session, &provision, operations, scenarios, pairs).await?;
    let ran = prepared.run(&session, options, None, |_, _| {}).await?;
    ran.ended?;
    Ok(Published::from(&ran.matrix))
}

/// The host first, then the pods.
fn members(host: &str, pods: &[String], products: &Products) -> Result<Vec<Member>, Failure> {
    let host = member(&format!("host {host}"), host, products, Backend::Nft)?;
    let backend = host.backend();
    let mut members = vec![host];
    for pod in pods {
        members.push(member(pod, pod, products, backend)?);
    }
    Ok(members)
}

/// A product and its version, or a build by its id.
fn member(name: &str, named: &str, products: &Products, host: Backend) -> Result<Member, Failure> {
    let Some((product, version)) = named.split_once('@') else {
        return Ok(Member::of_build(name, BuildId::named(named)));
    };
    let product = products.find(product, version).or_bad_input()?;
    Ok(Member::of_product(name, product, host))
}

/// The form of an inventory, which says what the rest of it looks like.
#[derive(serde::Deserialize)]
struct FormOf {
    schema: u32,
}

/// Who lives on the node of an inventory.
fn node_of(path: &Path) -> Result<Node, Failure> {
    let Input { name, holds: text } = input::text(path)?;
    let not_read = |error: serde_json::Error| {
        miette!(
            help = "give it what `iptables-lab inventory --format json` prints on the node",
            "{name} is no inventory: {error}"
        )
    };
    let form: FormOf = serde_json::from_str(&text)
        .map_err(not_read)
        .or_bad_input()?;
    if form.schema != inventory::SCHEMA {
        let (its, ours) = (form.schema, inventory::SCHEMA);
        let error = miette!(
            help = "make it again on the node, with `iptables-lab inventory --format json` of this version",
            "{name} is an inventory of schema {its}, and this program reads schema {ours}"
        );
        return Err(Failure::bad_input(error));
    }
    let inventory: Inventory = serde_json::from_str(&text)
        .map_err(not_read)
        .or_bad_input()?;
    let published = Published::embedded().or_fault()?;
    let node = node(&inventory, |build| {
        published.build(build.as_str()).is_some()
    });
    let node = node.ok_or_else(|| {
        miette!(
            help = "name them with --host and --pods",
            "{name} has no iptables of the host's, or one that nothing is known of"
        )
    });
    node.or_bad_input()
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
    Err(Failure::bad_input(error))
}
