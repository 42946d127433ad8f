//! `advise`: which builds may live side by side on a node.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use miette::miette;

use super::arguments::{Common, InputArgs, PaceArgs};
use super::exit::Exit;
use super::target;
use crate::advice::{Advice, Member, Pair, Safety, between};
use crate::experiment::advise::{AdviseRequest, AnswerFrom, Programs, answer};
use crate::experiment::{Failure, OrFailure};
use crate::judge::verdict::{Consequence, Verdict};
use crate::matrix::{Certainty, Harm};
use crate::report;
use crate::report::advice::Details;

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
    let request = AdviseRequest {
        programs: match &args.inventory {
            Some(path) => Programs::Inventory(path.clone()),
            None => Programs::Named {
                host: args.host.clone().unwrap_or_default(),
                pods: args.pods.clone(),
            },
        },
        given: args.input.choice(),
        answer: match args.published {
            true => AnswerFrom::Published,
            false => AnswerFrom::Run,
        },
        options: args.pace.options(),
    };
    let answer = answer(&request, common.session_options()).await?;
    let (advice, members, basis) = (answer.advice(), &answer.members, &answer.basis);
    let details = match args.full {
        true => Details::Full,
        false => Details::Short,
    };
    let text = match args.format {
        Form::Text => report::advice::render(&advice, members, basis, details, target::width()),
        Form::Json => report::advice::json(&advice, members, basis)
            .map_err(|error| miette!("{error}"))
            .or_fault()?,
    };
    target::print(&text)?;
    let is_met = args.fail_on.iter().any(|of| is_met(*of, &advice, members));
    Ok(if is_met { Exit::Found } else { Exit::Ran })
}

fn is_met(condition: Condition, advice: &Advice<'_>, members: &[Member]) -> bool {
    let has = |safety: Safety| advice.pairs.iter().any(|pair| pair.safety == safety);
    let any = |is_it: &dyn Fn(&Harm) -> bool| {
        advice.pairs.iter().any(|pair| {
            let (writer, reader) = (members[pair.writer].changes, members[pair.reader].changes);
            let harms = pair.harms.iter().flat_map(|found| found.damage.harms());
            let mut harms = harms.filter_map(|harm| between(harm, writer, reader));
            harms.any(|harm| is_it(&harm))
        })
    };
    match condition {
        Condition::Unsafe => has(Safety::Unsafe),
        Condition::TwoBackends => {
            let mut backends = members.iter().map(Member::backend);
            let first = backends.next();
            backends.any(|of| Some(of) != first)
        }
        Condition::NotTested => {
            let untested = |pair: &Pair<'_>| !pair.missing.is_empty() || !pair.untested.is_empty();
            !advice.left_out.is_empty()
                || has(Safety::NotTested)
                || advice.pairs.iter().any(untested)
        }
        Condition::Verdict(verdict) => any(&|harm| harm.verdict == verdict),
        Condition::Consequence(consequence) => any(&|harm| {
            let is_there = matches!(harm.certainty, Certainty::Shown | Certainty::Predicted);
            is_there && harm.consequence == Some(consequence)
        }),
    }
}
