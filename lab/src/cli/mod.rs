//! The command line: arguments in, results and an exit status out.

mod advise;
mod arguments;
mod bisect;
mod builds;
mod causes;
mod completions;
mod condition;
mod diagnose;
mod diff;
mod doctor;
mod evidence;
mod exit;
mod interrupt;
mod inventory;
mod man;
mod matrix;
mod memory;
mod merge;
mod operation;
mod output;
mod publish;
mod replay;
mod scenarios;
mod show;
mod target;
#[cfg(test)]
mod tests;

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::experiment::{Failure, OrFailure};
use arguments::Common;
use exit::Exit;

/// Runs every pair of iptables releases against one network namespace and shows which parts of which rules are lost.
#[derive(Parser)]
#[command(name = "iptables-lab", version, after_help = EXIT_STATUSES, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    common: Common,
}

const EXIT_STATUSES: &str = "Exit status:
  0    it ran
  1    it ran, and what --fail-on names was found
  2    usage or bad input
  3    the machine lacks what it takes, or lost it on the way
  70   a fault of the lab
  130  interrupted

Results go to standard output, everything else to standard error. NO_COLOR is honoured.";

#[derive(Subcommand)]
enum Command {
    /// Run every pairing in every scenario and print where rules are lost.
    #[command(after_help = "Examples:
  iptables-lab matrix
  iptables-lab matrix --scenario kube-firewall --writer '*-nft'
  iptables-lab matrix --scenario 'kube-*' --operation all
  iptables-lab matrix --rules node.save --ipset node.ipset
  iptables-save | iptables-lab matrix --rules -
  iptables-lab matrix --builds own.toml --record run.jsonl --fail-on blackhole
  iptables-lab matrix --format html --output page.html
  iptables-lab matrix --format json --output run.json --format junit \\
    --output junit.xml
  iptables-lab matrix --baseline last.json --fail-on regression

Without --operation it runs what decides about a pairing: write, save, rewrite, recognition, effect. Left out are list, cycle, \
sync, sync-noflush, check, delete and reassert; --operation all runs these too.")]
    Matrix(Box<matrix::MatrixArgs>),
    /// Show one cell in full: the commands as run, both texts, the verdicts and why.
    #[command(mut_arg("scenario", |arg| arg.help(OF_SHOW)), after_help = "Examples:
  iptables-lab show 1.8.9-nft debian-1.8.7-1-nft --scenario kube-firewall
  iptables-lab show 1.8.9-nft debian-1.8.7-1-nft --from run.jsonl
  iptables-lab show 1.8.9-nft debian-1.8.7-1-nft

Without --scenario or --rules it lists the cells of the pairing, one a line.")]
    Show(show::ShowArgs),
    /// Make a folder for a bug tracker: the least rules that show a loss, a script that reproduces it, since when it is
    /// there.
    #[command(mut_arg("scenario", |arg| arg.help(OF_EVIDENCE)), after_help = "Examples:
  iptables-lab evidence --scenario kube-firewall \\
    --writer debian-1.8.9-2-nft --reader debian-1.8.7-1-nft
  iptables-lab evidence --rules node.save \\
    --writer 1.8.8-nft --reader 1.8.7-nft --output report
  iptables-lab evidence --scenario nft-expressions --loss crashed \\
    --writer debian-nft-1.1.3-1 --reader debian-1.8.11-2-nft

The folder holds REPORT.md, reproduce.sh, the rules as given, written, read and after the rewrite, kernel dumps, the backtrace \
of a crash if gdb is installed, and the recording. The script ends with 1 while the loss is there, with 0 when it is gone, and with \
125 when it cannot be tried. FIND=fix exchanges 0 and 1, so that git bisect run finds what fixed it.

Exit status: 0 if the report is made, 1 if there is no loss to report.")]
    Evidence(evidence::EvidenceArgs),
    /// Judge a recording again, without an engine.
    #[command(after_help = "Example:
  iptables-lab matrix --record run.jsonl
  iptables-lab replay run.jsonl --format json
  iptables-lab replay run.jsonl --format html --output page.html")]
    Replay(replay::ReplayArgs),
    /// Say what the losses of a run come of: few causes, each with whom it hits.
    #[command(after_help = "Examples:
  iptables-lab causes
  iptables-lab causes native-mark
  iptables-lab causes --from run.jsonl
  iptables-lab causes native-mark --from report.json --format markdown
  iptables-lab causes --from run.jsonl --complete reports/causes.toml

Without --from it says what this program knows of causes (reports/causes.toml, as it was compiled). A cause is told by what the \
kernel holds: docs/how-to/causes.md says how.")]
    Causes(causes::CausesArgs),
    /// Find the upstream commits that began and ended causes, in a clone of the tool's history.
    #[command(after_help = "Examples:
  iptables-lab bisect native-mark --tree iptables.git --from run.jsonl
  iptables-lab bisect --tree iptables.git --from run.jsonl \\
    --complete reports/causes.toml
  iptables-lab bisect set-type-without-data --tool nft --tree nftables.git \\
    --from run.jsonl

It compiles one commit after the other between the releases that the run shows, and has each write or read beside a release that \
stays. Each commit is compiled once and kept in the store, so that a search that was stopped goes on where it was. The repository is \
only read. Releases that are no longer to be had are given with --builds, as for the run.")]
    Bisect(bisect::BisectArgs),
    /// Say which programs may change rules side by side on a node, what is lost, and the least change that helps.
    #[command(mut_arg("scenario", |arg| arg.help(OF_ADVISE)), after_help = "Examples:
  iptables-lab advise --host debian@12 --published \\
    --pods kube-router@1.5.1,calico-node@3.26
  iptables-lab advise --host debian-1.8.9-2-nft --pods debian-1.8.7-1-nft \\
    --rules node.save
  iptables-lab advise --host debian@12 --pods kube-proxy@1.30 --published \\
    --fail-on unsafe
  iptables-lab inventory --format json | iptables-lab advise --inventory -

Without --rules or --scenario it answers for Kubernetes' scenarios. It runs them; if nothing can be run, it answers from the \
built-in report and says so. Only what a product does with rules counts: it rewrites whole tables, restores its own chains with \
--noflush, or changes single rules (images/products.toml says which). Of a build named by its id everything counts. What was not \
tested is never called safe.")]
    Advise(advise::AdviseArgs),
    /// Find every iptables under the roots of a node's running processes (as root; reads files, changes nothing).
    #[command(after_help = "Examples:
  iptables-lab inventory
  iptables-lab inventory --format json

It runs each iptables with --version only, in namespaces of its own, as nobody, without capabilities. It never reads a rule.")]
    Inventory(inventory::InventoryArgs),
    /// Find the rules of a node that another program damaged, and say how to repair them.
    #[command(after_help = "Examples:
  iptables-save | iptables-lab diagnose
  iptables-lab diagnose node.save --family ipv4

It needs no engine and no network: it compares the rules with the built-in report. It changes nothing. A command is offered only \
if it is proved to give the ruleset that is meant.")]
    Diagnose(diagnose::DiagnoseArgs),
    /// Make the built-in report, from which `advise` and `diagnose` answer.
    #[command(after_help = "Example:
  iptables-lab matrix --operation all --record run.jsonl
  iptables-lab publish run.jsonl --output reports/losses.json.xz

The program holds reports/losses.json.xz. To have it answer from another, write that file and compile the program again.")]
    Publish(publish::PublishArgs),
    /// Put the recordings of all shards of a run together, and judge them.
    #[command(
        after_help = "Example, the first command on one machine and the second on another:
  iptables-lab matrix --operation all --shard 1/2 --record one.jsonl
  iptables-lab matrix --operation all --shard 2/2 --record two.jsonl
  iptables-lab merge one.jsonl two.jsonl --format json"
    )]
    Merge(merge::MergeArgs),
    /// Compare two reports or recordings: which losses are new, gone, worse or otherwise changed.
    #[command(after_help = "Examples:
  iptables-lab diff last-night.json tonight.json
  iptables-lab diff last-night.json run.jsonl --fail-on regression")]
    Diff(diff::DiffArgs),
    /// List the builds, make them, or remove what was made.
    #[command(after_help = "Examples:
  iptables-lab builds list
  iptables-lab builds build '1.8.9*' --tarballs ~/Downloads
  iptables-lab builds list --builds own.toml
  iptables-lab builds remove")]
    Builds(builds::BuildsArgs),
    /// Say what runs have learnt that later ones need not run again, or take it away.
    #[command(after_help = "Examples:
  iptables-lab memory
  iptables-lab memory clear --older-than 30
  iptables-lab memory list --by-build
  iptables-lab memory clear --kernel 6.1.0
  iptables-lab memory clear --build '1.8.7*'

What a command of a build does in a state of the kernel is kept in the store, by kernel, modules, engine and privilege, and is not run \
again. --fresh of matrix, show, evidence and advise believes none of it.")]
    Memory(memory::MemoryArgs),
    /// Try what works on this machine, and say what is missing and the command that fixes it. Exit status 3 if no engine works.
    #[command(after_help = "Examples:
  iptables-lab doctor
  iptables-lab doctor --format json")]
    Doctor(doctor::DoctorArgs),
    /// List the scenarios, or show one.
    #[command(after_help = "Examples:
  iptables-lab scenarios list
  iptables-lab scenarios show kube-firewall
  iptables-lab scenarios show mine.toml")]
    Scenarios(scenarios::ScenariosArgs),
    /// Print the manual page, or write one for each command.
    #[command(after_help = "Examples:
  iptables-lab man | man -l -
  iptables-lab man --output /usr/local/share/man/man1")]
    Man(man::ManArgs),
    /// Print the completions of a shell.
    #[command(after_help = "Examples:
  iptables-lab completions bash > /etc/bash_completion.d/iptables-lab
  iptables-lab completions zsh > ~/.zfunc/_iptables-lab
  iptables-lab completions fish > ~/.config/fish/completions/iptables-lab.fish")]
    Completions(completions::CompletionsArgs),
    /// What runs inside a lane: answers requests on standard input until it ends.
    #[command(hide = true)]
    Agent,
    /// What holds a lane of the native engine: takes an order and requests on standard input until it ends.
    #[command(hide = true)]
    Lane(TreeArgs),
    /// One command in a root filesystem of its own: takes an order on standard input.
    #[command(hide = true)]
    Job(TreeArgs),
}

/// What a process tree is started with.
#[derive(Args)]
struct TreeArgs {
    /// The process that it belongs to.
    #[arg(long)]
    of: Option<u32>,
}

/// What `--scenario` says under `show`.
const OF_SHOW: &str = "The scenario of the cell, by name, glob or the path of a scenario file (`.toml`). Without it, the cells \
                       of all shipped scenarios are listed. Repeats";

/// What `--scenario` says under `evidence`.
const OF_EVIDENCE: &str =
    "The scenario in which rules are lost, by name or by the path of a scenario file (`.toml`)";

/// What `--scenario` says under `advise`.
const OF_ADVISE: &str = "Scenarios to answer for, by name, glob or the path of a scenario file (`.toml`) [default: Kubernetes' \
                         scenarios]. Repeats";

/// Runs the program and says how it ended.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    // Names and paths stay whole, so that they can be copied.
    let _ = miette::set_hook(Box::new(|_| {
        let form = miette::MietteHandlerOpts::new()
            .word_splitter(textwrap::WordSplitter::NoHyphenation)
            .break_words(false);
        Box::new(form.build())
    }));
    // What a panic is about was said when it came up.
    match std::panic::catch_unwind(|| dispatch(cli)) {
        Ok(Ok(exit)) => exit.into(),
        Ok(Err(Failure { kind, report })) => {
            let _ = writeln!(anstream::stderr(), "{report:?}");
            Exit::from(kind).into()
        }
        Err(_) => Exit::Fault.into(),
    }
}

fn dispatch(cli: Cli) -> Result<Exit, Failure> {
    let common = &cli.common;
    match cli.command {
        Command::Agent => agent(),
        Command::Job(_) => std::process::exit(crate::sandbox::job_main().into()),
        Command::Lane(_) => std::process::exit(crate::engine::native::lane_main().into()),
        Command::Scenarios(args) => scenarios::run(&args),
        Command::Replay(args) => replay::run(&args),
        Command::Causes(args) => causes::run(&args),
        Command::Bisect(args) => block_on(bisect::run(&args, common)),
        Command::Man(args) => man::man(&args, Cli::command()),
        Command::Completions(args) => completions::completions(&args, Cli::command()),
        Command::Inventory(args) => inventory::run(&args),
        Command::Diagnose(args) => diagnose::run(&args),
        Command::Publish(args) => publish::run(&args),
        Command::Evidence(args) => block_on(evidence::run(&args, common)),
        Command::Advise(args) => block_on(advise::run(&args, common)),
        Command::Merge(args) => merge::run(&args),
        Command::Diff(args) => diff::run(&args),
        Command::Matrix(args) => block_on(matrix::run(&args, common)),
        Command::Doctor(args) => block_on(doctor::run(&args, common)),
        Command::Show(args) => block_on(show::run(&args, common)),
        Command::Builds(args) => block_on(builds::run(&args, common)),
        Command::Memory(args) => memory::run(&args, common),
    }
}

/// A container's agent has the rights of the commands that it runs, and a stream that leads to the lab.
fn agent() -> Result<Exit, Failure> {
    let failed =
        |what: &'static str| move |error| Failure::fault(miette::miette!("{what}: {error}"));
    crate::sandbox::shut()
        .and_then(|()| crate::sandbox::refuse_ways_out())
        .map_err(failed("the agent cannot be kept from its commands"))?;
    crate::agent::serve(std::io::stdin().lock(), std::io::stdout().lock())
        .map_err(failed("the agent's streams failed"))?;
    Ok(Exit::Ran)
}

/// Runs a command to its end.
fn block_on(command: impl Future<Output = Result<Exit, Failure>>) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = runtime
        .map_err(|error| miette::miette!("cannot start threads: {error}"))
        .or_lacks()?;
    let ended = runtime.block_on(command);
    // Nobody waits for what still blocks a thread, such as reading a large file.
    runtime.shutdown_timeout(Duration::from_secs(5));
    ended
}
