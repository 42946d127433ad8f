//! The ruleset as every reader prints it, for every scenario and pairing, against what was recorded.
//!
//! A file for each writer's own print, `SCENARIO/FAMILY/WRITER.snap`, and one for each reader that prints something
//! else, `SCENARIO/FAMILY/WRITER/READER.snap`. A reader of the other backend that prints no rule needs none. What nft
//! writes it prints itself, with `nft -s list ruleset`; so that there every reader of its backend prints something else.
//! Adding a build touches no other build's files.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use iptables_lab::agent::protocol::End;
use iptables_lab::catalog::{Backend, Tool};
use iptables_lab::plan::step::{Role, Stage};
use iptables_lab::recording::{CommandRecord, LoadRecord, Seen};
use iptables_lab::ruleset::normalise_save;

use super::lab::wide_run;

/// Where a snapshot lies, and what it must say.
type Prints = BTreeMap<PathBuf, String>;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots/save")
}

/// What a command printed: its text, and how it ended where that was not well.
fn shown(load: &LoadRecord, command: &CommandRecord) -> String {
    let mut text = normalise_save(&load.text(command.stdout).to_lossy());
    if command.end != End::Exit(0) {
        text.push_str(&format!(
            "[{:?}]\n{}",
            command.end,
            load.text(command.stderr).to_lossy()
        ));
    }
    text
}

fn has_no_rule(text: &str) -> bool {
    !text
        .lines()
        .any(|line| line.starts_with("-A") || line.starts_with('['))
}

fn written_by_nft(scenario: &str) -> bool {
    let mut scenarios = wide_run().recording.head.scenarios.iter();
    scenarios.any(|of| of.name == scenario && of.write.tool() == Tool::Nft)
}

fn backend(id: &str) -> Option<Backend> {
    let mut builds = wide_run().matrix.builds.iter();
    let build = builds.find(|build| build.id.as_str() == id)?;
    Some(build.backend)
}

/// How many pairings this run says something about, counted once for each scenario and family.
#[derive(Default)]
struct Count {
    /// Run, and compared with what was recorded.
    checked: usize,
    /// Recorded, but one of the builds cannot be had here.
    not_run: usize,
    /// Run, but nothing was ever recorded of one of the builds.
    unrecorded: usize,
}

/// What was printed in this run that must be in a snapshot: each writer's print, and what readers print otherwise.
fn printed(known: &Known) -> (Prints, Count) {
    let (mut prints, mut count) = (Prints::new(), Count::default());
    for load in &wide_run().recording.loads {
        let print_of = |role: Role, stage: Stage, reader: Option<&str>| {
            load.observations.iter().find_map(|seen| match &seen.seen {
                Seen::Command(command)
                    if seen.role == role
                        && seen.stage == stage
                        && seen.reader.as_ref().map(|r| r.as_str()) == reader =>
                {
                    Some(shown(load, command))
                }
                _ => None,
            })
        };
        let writer = load.writer.as_str();
        let place = Path::new(&load.scenario).join(load.family.as_str());
        let (writers, readers) = known.of(&place);
        let Some(written) = print_of(Role::WriterPrint, Stage::Baseline, None) else {
            // The writer took no rule at all.
            count.checked += load.readers.len();
            continue;
        };
        if writers.contains(writer) {
            prints.insert(place.join(format!("{writer}.snap")), written.clone());
        }
        for reader in &load.readers {
            let reader = reader.id.as_str();
            if !writers.contains(writer) || !readers.contains(reader) {
                count.unrecorded += 1;
                continue;
            }
            count.checked += 1;
            let Some(read) = print_of(Role::ReaderPrint, Stage::Save, Some(reader)) else {
                continue;
            };
            let other_backend = backend(writer) != backend(reader);
            if read != written && !(other_backend && has_no_rule(&read)) {
                prints.insert(place.join(writer).join(format!("{reader}.snap")), read);
            }
        }
    }
    let took_part = |id: &&String| backend(id).is_some();
    for (writers, readers) in known.0.values() {
        let here =
            writers.iter().filter(took_part).count() * readers.iter().filter(took_part).count();
        count.not_run += writers.len() * readers.len() - here;
    }
    (prints, count)
}

/// The snapshot files that lie there, by their path below the folder.
fn files(below: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut pending = vec![below.to_owned()];
    while let Some(folder) = pending.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else {
            continue;
        };
        for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
            if path.is_dir() {
                pending.push(path);
            } else if path
                .extension()
                .is_some_and(|extension| extension == "snap")
            {
                found.insert(path.strip_prefix(below).expect("it lies below").to_owned());
            }
        }
    }
    found
}

/// The builds of which something is recorded, by scenario and family: those that write, and those that read.
struct Known(BTreeMap<PathBuf, (BTreeSet<String>, BTreeSet<String>)>);

impl Known {
    /// Those of which files lie there; when recording, every build of the run. Of a reader that prints what an iptables
    /// writer prints there is no file: it is known where it is known as a writer.
    fn new(files: &BTreeSet<PathBuf>) -> Self {
        let mut known: BTreeMap<PathBuf, (BTreeSet<String>, BTreeSet<String>)> = BTreeMap::new();
        if is_recording() {
            for load in &wide_run().recording.loads {
                let place = Path::new(&load.scenario).join(load.family.as_str());
                let (writers, readers) = known.entry(place).or_default();
                writers.insert(load.writer.to_string());
                readers.extend(load.readers.iter().map(|reader| reader.id.to_string()));
            }
            return Known(known);
        }
        for file in files {
            let names: Vec<&str> = file.iter().filter_map(|name| name.to_str()).collect();
            let stem = file.file_stem().and_then(|stem| stem.to_str());
            let (scenario, family, stem) = (names[0], names[1], stem.expect("names are UTF-8"));
            let (writers, readers) = known.entry(Path::new(scenario).join(family)).or_default();
            match names.len() {
                3 => {
                    writers.insert(stem.to_owned());
                    if !written_by_nft(scenario) {
                        readers.insert(stem.to_owned());
                    }
                }
                _ => {
                    readers.insert(stem.to_owned());
                }
            }
        }
        Known(known)
    }

    fn of(&self, place: &Path) -> &(BTreeSet<String>, BTreeSet<String>) {
        static NONE: (BTreeSet<String>, BTreeSet<String>) = (BTreeSet::new(), BTreeSet::new());
        self.0.get(place).unwrap_or(&NONE)
    }
}

fn is_recording() -> bool {
    std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always")
}

#[test]
fn every_reader_prints_what_was_recorded() {
    let lying = files(&folder());
    let known = Known::new(&lying);
    let (prints, count) = printed(&known);
    let mut mismatches = Vec::new();
    for (file, text) in &prints {
        let path = folder().join(file);
        let name = path
            .file_stem()
            .and_then(|stem| stem.to_str())
            .expect("names are UTF-8")
            .to_owned();
        let mut settings = insta::Settings::new();
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings.set_snapshot_path(path.parent().expect("a file lies in a folder"));
        let check = || settings.bind(|| insta::assert_snapshot!(name, text));
        if catch_unwind(AssertUnwindSafe(check)).is_err() {
            mismatches.push(file.display().to_string());
        }
    }
    // Not by a macro of the standard library, whose output the test runner keeps back when all is well.
    let _ = writeln!(
        std::io::stderr(),
        "snapshots: {} pairings checked; {} that are recorded could not be run here, {} that were run are not recorded",
        count.checked,
        count.not_run,
        count.unrecorded
    );
    assert!(
        mismatches.is_empty(),
        "{} prints differ from what was recorded:\n{}",
        mismatches.len(),
        mismatches.join("\n")
    );
}

#[test]
fn no_snapshot_lies_there_that_says_nothing_of_its_own() {
    let lying = files(&folder());
    let (prints, _) = printed(&Known::new(&lying));
    let took_part = |name: &str| {
        wide_run()
            .matrix
            .builds
            .iter()
            .any(|build| build.id.as_str() == name)
    };
    let scenarios: BTreeSet<&str> = wide_run()
        .matrix
        .scenarios
        .iter()
        .map(|scenario| scenario.name.as_str())
        .collect();
    let surplus: Vec<String> = lying
        .iter()
        .filter(|file| !prints.contains_key(*file))
        .filter(|file| {
            let names: Vec<&str> = file.iter().filter_map(|name| name.to_str()).collect();
            let builds = names
                .iter()
                .skip(2)
                .map(|name| name.strip_suffix(".snap").unwrap_or(name));
            !scenarios.contains(names[0]) || builds.into_iter().all(took_part)
        })
        .map(|file| file.display().to_string())
        .collect();
    if is_recording() {
        surplus
            .iter()
            .for_each(|file| std::fs::remove_file(folder().join(file)).expect("it can be removed"));
        return;
    }
    assert!(
        surplus.is_empty(),
        "these snapshots say what the writer's own says, or are of no scenario:\n{}",
        surplus.join("\n")
    );
}
