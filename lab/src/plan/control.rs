//! The control: before anything is concluded about iptables, the lab shows that it itself works.
//!
//! A plain rule that every build must write, read, keep and, where it is an iptables, find, and a dump that must come
//! back the same.

use std::sync::Arc;

use super::command;
use super::script::{Fault, Lab};
use super::step::{Action, Role, RuleSet, Stage, Step};
use crate::catalog::{Build, Family, Tool};
use crate::observed::{End, Ran, State, Text};

const RULE: &str = "-s 192.0.2.1/32 -j ACCEPT";

/// The same for nft, as it prints it.
const NFT_RULE: &str = "ip saddr 192.0.2.1 accept";

/// Why a build does not pass.
enum Trouble {
    /// It did something else than a plain rule takes, in a sentence.
    Wrong(String),
    /// A step was not done as it was asked for.
    Fault(Fault),
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        Trouble::Fault(fault)
    }
}

/// Takes every build of a lane through the control. Returns one sentence for each thing that is wrong.
///
/// # Errors
/// A step that was not done as it was asked for.
pub async fn control(lab: Lab, builds: Vec<Build>) -> Result<Vec<String>, Fault> {
    let empty = reset(&lab).await?;
    let mut wrong = Vec::new();
    for build in &builds {
        let passed = match build.tool {
            Tool::Iptables => iptables(&lab, build, &empty).await,
            Tool::Nft => nft(&lab, build, &empty).await,
        };
        match passed {
            Ok(()) => {}
            Err(Trouble::Wrong(what)) => wrong.push(format!("{}: {what}", build.id)),
            Err(Trouble::Fault(fault)) => return Err(fault),
        }
    }
    Ok(wrong)
}

async fn iptables(lab: &Lab, build: &Build, empty: &Arc<State>) -> Result<(), Trouble> {
    let (backend, family) = (build.backend, Family::Ipv4);
    // Every built-in chain is named: what is not named is not made by the first restore, but by the second.
    let chains = ":INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]";
    let given = format!("*filter\n{chains}\n-A INPUT {RULE}\nCOMMIT\n");
    run(
        lab,
        build,
        command::restore(backend, family),
        Some(given.into()),
        Role::Write,
    )
    .await?;
    let written = dump(lab).await?;
    let saved = run(
        lab,
        build,
        command::save(backend, family),
        None,
        Role::ReaderPrint,
    )
    .await?;
    let line = format!("-A INPUT {RULE}");
    if !saved
        .stdout
        .to_lossy()
        .lines()
        .any(|printed| printed.trim_end() == line)
    {
        return Err(Trouble::Wrong(format!(
            "wrote `{line}` and printed {:?}",
            saved.stdout
        )));
    }
    run(
        lab,
        build,
        command::restore(backend, family),
        Some(saved.stdout),
        Role::Restore,
    )
    .await?;
    if dump(lab).await? != written {
        let wrong =
            "restored its own print of a plain rule, and the kernel's rules are not the same";
        return Err(Trouble::Wrong(wrong.to_owned()));
    }
    let rule: Vec<String> = RULE.split(' ').map(str::to_owned).collect();
    run(
        lab,
        build,
        command::check(backend, family, "filter", "INPUT", &rule),
        None,
        Role::Check,
    )
    .await?;
    is_empty_again(lab, empty).await
}

async fn nft(lab: &Lab, build: &Build, empty: &Arc<State>) -> Result<(), Trouble> {
    let given = format!("add table ip lab\nadd chain ip lab c\nadd rule ip lab c {NFT_RULE}\n");
    run(
        lab,
        build,
        command::nft_file(),
        Some(given.into()),
        Role::Write,
    )
    .await?;
    let written = dump(lab).await?;
    let listed = run(lab, build, command::nft_list(), None, Role::WriterPrint).await?;
    let text = listed.stdout.to_lossy().into_owned();
    if !text.lines().any(|line| line.trim() == NFT_RULE) {
        return Err(Trouble::Wrong(format!(
            "wrote `{NFT_RULE}` and printed {text:?}"
        )));
    }
    let again = format!("flush ruleset\n{text}");
    run(
        lab,
        build,
        command::nft_file(),
        Some(again.into()),
        Role::Write,
    )
    .await?;
    if dump(lab).await? != written || written == *empty {
        let wrong = "wrote its own print of a plain rule, and the kernel's rules are not the same";
        return Err(Trouble::Wrong(wrong.to_owned()));
    }
    is_empty_again(lab, empty).await
}

async fn is_empty_again(lab: &Lab, empty: &Arc<State>) -> Result<(), Trouble> {
    if reset(lab).await? == *empty {
        return Ok(());
    }
    let wrong = "the lane is not as it was after a reset";
    Err(Trouble::Wrong(wrong.to_owned()))
}

async fn run(
    lab: &Lab,
    build: &Build,
    argv: Vec<String>,
    stdin: Option<Text>,
    role: Role,
) -> Result<Ran, Trouble> {
    let shown = argv.join(" ");
    let action = Action::Command {
        build: build.id.clone(),
        argv,
        stdin,
    };
    let (_, answer) = lab.perform_one(step(role, action)).await?;
    let ran = answer.ran()?;
    if ran.end == End::Exit(0) {
        return Ok(ran);
    }
    Err(Trouble::Wrong(format!(
        "`{shown}` ended with {:?}: {}",
        ran.end,
        ran.stderr.to_lossy().trim_end()
    )))
}

async fn dump(lab: &Lab) -> Result<Arc<State>, Fault> {
    let (_, answer) = lab.perform_one(step(Role::Dump, Action::Dump)).await?;
    answer.dumped()
}

async fn reset(lab: &Lab) -> Result<Arc<State>, Fault> {
    lab.perform_one(step(Role::Reset, Action::Reset)).await?;
    dump(lab).await
}

fn step(role: Role, action: Action) -> Step {
    Step {
        stage: Stage::Baseline,
        role,
        reader: None,
        rules: RuleSet::default(),
        rule: None,
        action,
    }
}
