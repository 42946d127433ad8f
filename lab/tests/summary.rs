//! The last target: says how many tests did not run, and what they need. `.ci/run` accepts none.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

#[allow(dead_code, reason = "it counts what the other targets write")]
#[path = "it/need.rs"]
mod need;

/// How many tests lack what.
fn counts(folder: &Path) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for file in fs::read_dir(folder).into_iter().flatten().flatten() {
        let lines = fs::read_to_string(file.path()).unwrap_or_default();
        for (need, _) in lines.lines().filter_map(|line| line.split_once('\t')) {
            *counts.entry(need.to_owned()).or_default() += 1;
        }
    }
    counts
}

/// A suite of which not all targets ran counts nothing.
fn remove_what_ended_suites_left(all: &Path) {
    for folder in fs::read_dir(all).into_iter().flatten().flatten() {
        let name = folder.file_name().display().to_string();
        let parent = name.split('-').next().and_then(|pid| pid.parse().ok());
        if parent.is_none_or(|parent| need::suite_of(parent) != name) {
            let _ = fs::remove_dir_all(folder.path());
        }
    }
}

fn main() -> ExitCode {
    // A runner that asks which tests there are.
    if std::env::args().any(|argument| argument == "--list") {
        println!("summary: test");
        return ExitCode::SUCCESS;
    }
    let counts = counts(&need::folder_of_suite());
    let _ = fs::remove_dir_all(need::folder_of_suite());
    remove_what_ended_suites_left(&need::folder_of_all());
    if counts.is_empty() {
        println!("no test was left out");
        return ExitCode::SUCCESS;
    }
    let all: usize = counts.values().sum();
    let each = counts
        .iter()
        .map(|(need, count)| format!("{count} need {need}"));
    println!(
        "{all} tests were NOT RUN here: {}",
        each.collect::<Vec<_>>().join(", ")
    );
    match std::env::var_os("IPTABLES_LAB_ALL") {
        Some(all) if all == "1" => {
            println!("IPTABLES_LAB_ALL=1: every test has to run");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}
