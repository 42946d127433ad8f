//! The control: before anything is concluded about a build, the lab shows that it itself works.
//!
//! A plain rule that every build must write, read, keep and, where its tool can be asked for one, find, and a dump that must
//! come back the same.

use std::sync::Arc;

use super::coroutine::Performer;
use super::fault::Fault;
use super::step::{Action, Role, RuleSet, Stage, Step};
use crate::catalog::{Build, Family};
use crate::observed::{End, Ran, State, Text};
use crate::tool::{NamedRule, Program};

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
pub async fn control(performer: Performer, builds: Vec<Build>) -> Result<Vec<String>, Fault> {
    let empty = reset(&performer).await?;
    let mut wrong = Vec::new();
    for build in &builds {
        match passes(&performer, build, &empty).await {
            Ok(()) => {}
            Err(Trouble::Wrong(what)) => wrong.push(format!("{}: {what}", build.id)),
            Err(Trouble::Fault(fault)) => return Err(fault),
        }
    }
    Ok(wrong)
}

async fn passes(performer: &Performer, build: &Build, empty: &Arc<State>) -> Result<(), Trouble> {
    let (commands, dialect) = (build.tool.commands(), build.tool.dialect());
    let (program, plain) = (Program::of(build, Family::Ipv4), commands.plain_rule());
    let (load, given) = (commands.load(program), Some(plain.text.into()));
    run(performer, build, load.clone(), given, Role::Write).await?;
    let written = dump(performer).await?;
    let print = commands.print(program);
    let printed = run(performer, build, print, None, Role::ReaderPrint)
        .await?
        .stdout;
    let text = printed.to_lossy();
    if !text.lines().any(|line| line.trim() == plain.line) {
        let wrong = format!("wrote `{}` and printed {printed:?}", plain.line);
        return Err(Trouble::Wrong(wrong));
    }
    let again = Some(dialect.written_back(&printed));
    run(performer, build, load, again, Role::Restore).await?;
    if dump(performer).await? != written || written == *empty {
        let wrong = "loaded its own print of a plain rule, and the kernel's rules are not the same";
        return Err(Trouble::Wrong(wrong.to_owned()));
    }
    let words: Vec<String> = plain.words.split(' ').map(str::to_owned).collect();
    let named = NamedRule {
        table: plain.table,
        chain: plain.chain,
        words: &words,
    };
    if let Some(check) = commands.check(program, named) {
        run(performer, build, check, None, Role::Check).await?;
    }
    is_empty_again(performer, empty).await
}

async fn is_empty_again(performer: &Performer, empty: &Arc<State>) -> Result<(), Trouble> {
    if reset(performer).await? == *empty {
        return Ok(());
    }
    let wrong = "the lane is not as it was after a reset";
    Err(Trouble::Wrong(wrong.to_owned()))
}

async fn run(
    performer: &Performer,
    build: &Build,
    argv: Vec<String>,
    stdin: Option<Text>,
    role: Role,
) -> Result<Ran, Trouble> {
    let shown = argv.join(" ");
    let action = Action::command(build.id.clone(), argv, stdin);
    let (_, answer) = performer.perform_one(step(role, action)).await?;
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

async fn dump(performer: &Performer) -> Result<Arc<State>, Fault> {
    let (_, answer) = performer
        .perform_one(step(Role::Dump, Action::Dump))
        .await?;
    answer.dumped()
}

async fn reset(performer: &Performer) -> Result<Arc<State>, Fault> {
    performer
        .perform_one(step(Role::Reset, Action::Reset))
        .await?;
    dump(performer).await
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
