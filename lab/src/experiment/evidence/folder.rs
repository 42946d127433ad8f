//! The folder: what is written there, and what is taken over from `reproduce.sh`.

use std::path::PathBuf;

use miette::miette;

use super::request::EvidenceRequest;
use crate::catalog::Tool;
use crate::evidence::Loss;
use crate::experiment::failure::{Failure, OrFailure};
use crate::plan::step::{Role, Stage};
use crate::recording::{LoadRecord, Seen};
use crate::report;
use crate::report::evidence::Backtrace;
use crate::scenario::Scenario;
use crate::tool::Rules;

/// Where the report goes.
pub(super) struct Folder {
    pub(super) path: PathBuf,
}

impl Folder {
    /// Makes it, so that a path that cannot be written is found before the run and not after it.
    pub(super) fn create(
        request: &EvidenceRequest,
        scenario: &Scenario,
    ) -> Result<Folder, Failure> {
        let path = request.output.clone().unwrap_or_else(|| {
            PathBuf::from(format!(
                "evidence-{}-{}-{}",
                scenario.name, request.writer, request.reader
            ))
        });
        let refused = |error| miette!("{} cannot be written: {error}", path.display());
        std::fs::create_dir_all(&path)
            .map_err(refused)
            .or_bad_input()?;
        let mut entries = std::fs::read_dir(&path).map_err(refused).or_bad_input()?;
        if entries.next().is_some() {
            let error = miette!("{} is there already, and is not empty", path.display());
            return Err(Failure::bad_input(error));
        }
        let probe = path.join("REPORT.md");
        std::fs::write(&probe, "").map_err(refused).or_bad_input()?;
        let _ = std::fs::remove_file(&probe);
        Ok(Folder { path })
    }

    pub(super) fn remove_if_empty(&self) {
        let _ = std::fs::remove_dir(&self.path);
    }

    pub(super) fn write(&self, name: &str, text: &str) -> Result<(), Failure> {
        let path = self.path.join(name);
        std::fs::write(&path, text)
            .map_err(|error| miette!("{} cannot be written: {error}", path.display()))
            .or_lacks()
    }
}

/// Where `reproduce.sh` keeps what it printed.
pub(super) const KEPT: &str = "kept";

/// What is taken from there.
const TAKEN: [(&str, &str); 3] = [
    (
        "nft-before.txt",
        "what nft prints of the rules as written, with --debug=netlink",
    ),
    ("nft-after.txt", "what nft prints after what the reader did"),
    ("backtrace.txt", "what gdb says of the crash"),
];

/// Takes from what `reproduce.sh` kept that which only it can say.
pub(super) fn kept(folder: &Folder) -> Vec<(&'static str, &'static str)> {
    let from = folder.path.join(KEPT);
    let take = |(name, _): &(&str, &str)| {
        let kept = from.join(name);
        let says_something = std::fs::metadata(&kept).is_ok_and(|file| file.len() > 0);
        says_something && std::fs::rename(&kept, folder.path.join(name)).is_ok()
    };
    let taken = TAKEN.into_iter().filter(take).collect();
    let _ = std::fs::remove_dir_all(&from);
    taken
}

/// Whether gdb said something of a crash.
pub(super) fn backtrace(folder: &Folder) -> Backtrace {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = folder.path.join("backtrace.txt").exists();
    let mut folders = std::env::split_paths(&path);
    match (is_there, folders.any(|of| of.join("gdb").is_file())) {
        (true, _) => Backtrace::Kept,
        (false, true) => Backtrace::NotAgain,
        (false, false) => Backtrace::NoDebugger,
    }
}

/// The rules as given, written, read and after, and the kernel's dumps.
pub(super) fn texts(
    folder: &Folder,
    least: &Rules,
    load: &LoadRecord,
    loss: &Loss,
) -> Result<Vec<(&'static str, &'static str)>, Failure> {
    let (rules, written) = match least.tool() {
        Tool::Iptables => ("rules.save", "written.save"),
        Tool::Nft => ("rules.nft", "written.nft"),
    };
    let mut files = vec![(rules, "the least rules that show the loss")];
    folder.write(rules, &least.to_string())?;
    let print = |stage: Stage, role: Role| {
        let mut prints = load
            .observations
            .iter()
            .filter_map(|seen| match &seen.seen {
                Seen::Command(command) if seen.stage == stage && seen.role == role => {
                    Some(load.text(command.stdout).to_lossy().into_owned())
                }
                _ => None,
            });
        // Of turns the last one; of trials the first, which is of all the rules.
        match stage {
            Stage::Cycle => prints.next_back(),
            _ => prints.next(),
        }
    };
    let dump = |stage: Stage| {
        let of_stage = load.observations.iter().filter(|seen| seen.stage == stage);
        let mut dumps = of_stage.filter_map(|seen| match &seen.seen {
            Seen::Dump(dump) => Some(report::dump::render(load.dump(*dump))),
            _ => None,
        });
        dumps.next_back()
    };
    let after = after(loss);
    let all = [
        (
            written,
            "what the writer prints of what it wrote",
            print(Stage::Baseline, Role::WriterPrint),
        ),
        (
            "read.save",
            "what the reader prints of it",
            print(Stage::Save, Role::ReaderPrint),
        ),
        (
            "after.save",
            after.print.1,
            print(loss.stage(), after.print.0),
        ),
        (
            "kernel-before.txt",
            "what the kernel holds when the writer has written",
            dump(Stage::Baseline),
        ),
        ("kernel-after.txt", after.kernel, dump(loss.stage())),
    ];
    for (name, what, text) in all {
        if let Some(text) = text {
            folder.write(name, &text)?;
            files.push((name, what));
        }
    }
    Ok(files)
}

/// What is shown of the end.
struct After {
    /// Whose print, and what it is.
    print: (Role, &'static str),
    /// What the kernel's dump is.
    kernel: &'static str,
}

fn after(loss: &Loss) -> After {
    let (print, kernel) = match loss.stage() {
        Stage::Sync | Stage::SyncNoflush => (
            (
                Role::WitnessPrint,
                "what a third build, the newest, prints after the reader restored with its own chain",
            ),
            "what the kernel holds after the reader restored with its own chain",
        ),
        Stage::Cycle => (
            (
                Role::WitnessPrint,
                "what a third build, the newest, prints once reader and writer have rewritten in turn",
            ),
            "what the kernel holds once reader and writer have rewritten in turn",
        ),
        Stage::Delete => (
            (
                Role::WriterPrint,
                "what the writer prints after the reader's -D",
            ),
            "what the kernel holds of the chain after the reader's -D",
        ),
        Stage::Check => (
            (
                Role::WriterPrint,
                "what the writer prints after the reader's -C",
            ),
            "what the kernel holds after the reader's -C",
        ),
        Stage::List => (
            (Role::ListRules, "what the reader's -S prints"),
            "what the kernel holds after the reader listed the rules",
        ),
        Stage::Reassert => (
            (
                Role::WriterPrint,
                "what the writer prints after the reader wrote the rules, too",
            ),
            "what the kernel holds after the reader wrote the rules, too",
        ),
        Stage::Baseline | Stage::Detect | Stage::Save | Stage::Rewrite | Stage::Reread => (
            (
                Role::WriterPrint,
                "what the writer prints after the reader restored that",
            ),
            "what the kernel holds after the reader's rewrite",
        ),
    };
    After { print, kernel }
}
