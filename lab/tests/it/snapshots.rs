//! The ruleset as every reader prints it, for every scenario and pairing, against what was recorded.
//!
//! There is one file a scenario and family (prints.rs says what is in it). A run replaces the lines of the builds that
//! this machine has, and the merged text must be what is stored: the builds that it lacks keep theirs.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::PathBuf;

use iptables_lab::catalog::{Backend, Family, Tool};
use iptables_lab::observed::End;
use iptables_lab::plan::step::{Role, Stage};
use iptables_lab::recording::{CommandRecord, LoadRecord, Seen};
use iptables_lab::scenario::{self, Scenario};
use iptables_lab::tool::iptables::normalise_save;
use rstest::rstest;

use super::lab::wide_runs;
use super::prints::{self, Prints};

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

fn backend(id: &str) -> Option<Backend> {
    let mut builds = wide_runs().iter().flat_map(|run| &run.matrix().builds);
    let build = builds.find(|build| build.id.as_str() == id)?;
    Some(build.backend)
}

fn has_run(id: &str) -> bool {
    backend(id).is_some()
}

/// The scenarios that were run.
fn scenarios() -> BTreeMap<&'static str, &'static Scenario> {
    let scenarios = wide_runs()
        .iter()
        .flat_map(|run| &run.recording().head.scenarios);
    scenarios.map(|of| (of.name.as_str(), of)).collect()
}

/// The loads of a scenario and family.
fn loads(scenario: &str, family: Family) -> impl Iterator<Item = &'static LoadRecord> {
    let loads = wide_runs().iter().flat_map(|run| &run.recording().loads);
    loads.filter(move |load| load.scenario == scenario && load.family == family)
}

/// The builds of which something is recorded in one file: those that write, and those that read.
#[derive(Default)]
struct Known {
    writers: BTreeSet<String>,
    readers: BTreeSet<String>,
}

impl Known {
    /// Those of the file; when recording, every build of the run. A reader that prints what an iptables writer prints has
    /// no line: it is known where it is known as a writer.
    fn new(scenario: &str, family: Family, stored: &Prints) -> Self {
        let mut known = Known::default();
        if is_recording() {
            for load in loads(scenario, family) {
                known.writers.insert(load.writer.to_string());
                let readers = load.readers.iter().map(|reader| reader.id.to_string());
                known.readers.extend(readers);
            }
            return known;
        }
        let is_of_nft = scenarios()[scenario].tool() == Tool::Nft;
        for (writer, reader) in stored.pairings() {
            known.writers.insert(writer.clone());
            match reader {
                Some(reader) => drop(known.readers.insert(reader.clone())),
                None if is_of_nft => {}
                None => drop(known.readers.insert(writer.clone())),
            }
        }
        known
    }

    fn holds(&self, writer: &str, reader: &str) -> bool {
        self.writers.contains(writer) && self.readers.contains(reader)
    }
}

/// What was printed in this run that must be stored: each writer's print, and what readers print otherwise.
fn printed(scenario: &str, family: Family, known: &Known) -> Prints {
    let mut prints = Prints::default();
    for load in loads(scenario, family) {
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
        let Some(written) = print_of(Role::WriterPrint, Stage::Baseline, None) else {
            // The writer took no rule at all.
            continue;
        };
        if known.writers.contains(writer) {
            prints.insert(writer, None, &written);
        }
        let readers = load.readers.iter().map(|reader| reader.id.as_str());
        for reader in readers.filter(|reader| known.holds(writer, reader)) {
            let Some(read) = print_of(Role::ReaderPrint, Stage::Save, Some(reader)) else {
                continue;
            };
            let other_backend = backend(writer) != backend(reader);
            if read != written && !(other_backend && has_no_rule(&read)) {
                prints.insert(writer, Some(reader), &read);
            }
        }
    }
    prints
}

fn is_recording() -> bool {
    std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always")
}

#[rstest]
fn every_reader_prints_what_was_recorded(#[files("../scenarios/*.toml")] file: PathBuf) {
    needs!(Native);
    let scenario = file.file_stem().unwrap().to_str().unwrap();
    let mut families = BTreeSet::new();
    families.extend(loads(scenario, Family::Ipv4).map(|load| load.family));
    families.extend(loads(scenario, Family::Ipv6).map(|load| load.family));
    assert!(!families.is_empty(), "nothing was run of {scenario}");
    for family in families {
        let name = prints::name(scenario, family.as_str());
        let stored = Prints::stored(&name);
        let known = Known::new(scenario, family, &stored);
        let ran = printed(scenario, family, &known);
        let mut settings = insta::Settings::new();
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings.set_description(
            "WRITER: its own print. WRITER > READER: what a reader prints otherwise.",
        );
        settings.set_snapshot_path(prints::folder());
        let merged = stored.merged(has_run, &ran).to_string();
        settings.bind(|| insta::assert_snapshot!(name, merged));
    }
}

#[test]
fn how_many_pairings_are_compared_is_said() {
    needs!(Native);
    let (mut checked, mut not_run, mut unrecorded) = (0, 0, 0);
    for scenario in scenarios().into_values() {
        for family in [Family::Ipv4, Family::Ipv6] {
            let stored = Prints::stored(&prints::name(&scenario.name, family.as_str()));
            let known = Known::new(&scenario.name, family, &stored);
            for load in loads(&scenario.name, family) {
                for reader in &load.readers {
                    if known.holds(load.writer.as_str(), reader.id.as_str()) {
                        checked += 1;
                    } else {
                        unrecorded += 1;
                    }
                }
            }
            let here = |ids: &BTreeSet<String>| ids.iter().filter(|id| has_run(id)).count();
            not_run += known.writers.len() * known.readers.len()
                - here(&known.writers) * here(&known.readers);
        }
    }
    // Not by a macro of the standard library, whose output the test runner keeps back when all is well.
    let _ = writeln!(
        std::io::stderr(),
        "snapshots: {checked} pairings checked; {not_run} that are recorded could not be run here, {unrecorded} that were \
         run are not recorded"
    );
    assert!(checked > 1000, "only {checked} pairings are compared");
}

#[test]
fn every_stored_file_is_of_a_scenario_and_in_its_form() {
    let scenarios = scenario::shipped().unwrap();
    let mut expected = BTreeSet::new();
    for scenario in &scenarios {
        let families = scenario.families();
        expected.extend(families.map(|family| prints::name(&scenario.name, family.as_str())));
    }
    let names = prints::names();
    for name in &names {
        assert!(expected.contains(name), "{name} is of no scenario");
        let path = prints::folder().join(format!("{name}.snap"));
        let text = std::fs::read_to_string(path).unwrap();
        let stored = Prints::stored(name);
        assert!(stored.pairings().count() > 0, "{name} says nothing");
        // insta leaves out what is empty at the end.
        let (_, body) = text.rsplit_once("\n---\n").unwrap();
        assert_eq!(body.trim_end(), stored.to_string().trim_end(), "{name}");
    }
    assert_eq!(names.len(), expected.len());
}

/// Thousands of generated files are read by nobody.
#[test]
fn the_repository_holds_few_snapshots() {
    let (mut files, mut folders) = (0, vec![PathBuf::from(env!("CARGO_MANIFEST_DIR"))]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            files += usize::from(path.extension().is_some_and(|end| end == "snap"));
            folders.extend(path.is_dir().then_some(path));
        }
    }
    assert!((100..=200).contains(&files), "{files} files");
}

/// What one of two machines lacks the other one has.
#[test]
fn a_build_that_did_not_run_keeps_its_lines_and_one_that_is_new_changes_none() {
    let stored = Prints::stored("kube-firewall-ipv4");
    let [lacking, new] = ["1.8.7-nft", "1.9.0-nft"];
    // Of a run without 1.8.7, in which all others print what they always print.
    let mut ran = Prints::default();
    for (writer, reader) in stored.pairings() {
        let reader = reader.as_deref();
        if writer != lacking && reader != Some(lacking) {
            ran.insert(writer, reader, stored.of(writer, reader).unwrap());
        }
    }
    let is_there = |id: &str| id != lacking;
    assert_ne!(ran, stored);
    assert_eq!(stored.merged(is_there, &ran), stored);
    // Another build joins it, and prints something that nobody else prints.
    ran.insert(new, None, "*filter\nCOMMIT\n");
    ran.insert("1.8.8-nft", Some(new), "*nat\nCOMMIT\n");
    let [before, after] = [&stored, &stored.merged(is_there, &ran)].map(Prints::to_string);
    let difference = similar::TextDiff::from_lines(&before, &after);
    let mut changes = difference.iter_all_changes();
    assert!(changes.all(|change| change.tag() != similar::ChangeTag::Delete));
    assert!(after.contains(&format!("\n{new}: ")) && after.contains(&format!(" > {new}: ")));
    // What a build prints otherwise today is seen.
    ran.insert("1.8.8-nft", None, "*filter\nCOMMIT\n");
    assert_ne!(stored.merged(is_there, &ran).to_string(), after);
}

#[test]
fn a_print_without_a_line_is_gone_from_the_file() {
    let (mut ran, mut stored) = (Prints::default(), Prints::default());
    stored.insert("a", None, "old\n");
    ran.insert("a", None, "new\n");
    let merged = stored.merged(|_| true, &ran).to_string();
    assert!(
        merged.contains("new") && !merged.contains("old"),
        "{merged}"
    );
}
