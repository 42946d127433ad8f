//! The gate over a recording that lies there: losses that are known one by one, what is missing beside a baseline, and
//! differences in files.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use rstest::rstest;
use serde_json::Value;

use super::lab::{both, iptables_lab};

/// A recording in which the destination of DOCKER 1 is altered, and the source of POSTROUTING 1 and 2.
fn recording() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/recordings");
    folder.join("docker-by-1.8.10.jsonl")
}

fn run(words: &[&str], files: &[&Path]) -> Output {
    iptables_lab().args(words).args(files).output().unwrap()
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr).replace('│', " ");
    said.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The report of the recording, with something else in it.
fn report(file: &Path, change: impl FnOnce(&mut Value)) {
    let output = run(&["replay", "--format", "json"], &[&recording()]);
    let mut json: Value = serde_json::from_slice(&output.stdout).unwrap();
    change(&mut json);
    fs::write(file, json.to_string()).unwrap();
}

#[rstest]
#[case("altered = ['destination']", 1, "2 rules are not known")]
#[case("rules = ['POSTROUTING 1-2']", 1, "1 rule is not known")]
#[case("altered = ['*']", 0, "all is known")]
#[case("", 0, "all is known")]
fn a_loss_that_no_entry_names_counts_beside_one_that_is_known(
    #[case] names: &str,
    #[case] status: i32,
    #[case] what: &str,
) {
    let folder = tempfile::tempdir().unwrap();
    let (known, baseline) = (
        folder.path().join("known.toml"),
        folder.path().join("old.json"),
    );
    let entry = "[[known]]\nscenario = 'docker'\nwriters = ['*']\nreaders = ['*']\n\
                 url = 'https://example.org/1'\nreason = 'waited for'\n";
    fs::write(&known, format!("{entry}{names}\n")).unwrap();
    // The baseline is of a time when nothing was lost.
    report(&baseline, |json| {
        for outcome in json["outcomes"].as_array_mut().unwrap() {
            outcome["rules"] = Value::Array(Vec::new());
        }
    });
    for condition in ["lossy", "misdirected", "regression"] {
        let mut command = iptables_lab();
        command.args(["replay", "--fail-on", condition, "--baseline"]);
        command.arg(&baseline).arg("--known").arg(&known);
        let output = command.arg(recording()).output().unwrap();
        assert_eq!(
            output.status.code(),
            Some(status),
            "{what}: {}",
            both(&output)
        );
        let is_new = |words: &str| stdout(&output).contains(words);
        assert_eq!(is_new("destination altered"), what.starts_with('1'));
        assert_eq!(is_new("source altered"), what.starts_with('2'));
    }
    let junit = run(
        &["replay", "--format", "junit", "--known"],
        &[&known, &recording()],
    );
    assert_eq!(stdout(&junit).contains("<failure"), status == 1, "{what}");
    assert!(stdout(&junit).contains("known: waited for (https://example.org/1)"));
    let json = run(
        &["replay", "--format", "json", "--known"],
        &[&known, &recording()],
    );
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    let mut cells = json["cells"].as_array().unwrap().iter();
    assert_eq!(cells.any(|cell| cell["known"] == 0), status == 0, "{what}");
    // A report keeps what is known, and so does a difference to it.
    let new = folder.path().join("new.json");
    fs::write(&new, json.to_string()).unwrap();
    let diff = run(&["diff", "--fail-on", "regression"], &[&baseline, &new]);
    assert_eq!(diff.status.code(), Some(status), "{what}: {}", both(&diff));
}

/// Entries that have what reports said are refused, and printed as they are written now, whole lines of them.
#[test]
fn known_losses_by_the_words_of_reports_are_printed_in_todays_form() {
    let folder = tempfile::tempdir().unwrap();
    let known = folder.path().join("known.toml");
    let entry = |loss: &str| {
        let reason = "waited for, ".repeat(20);
        format!(
            "[[known]]\nscenario = \"docker\"\nwriters = [\"*\"]\nreaders = [\"*\"]\n{loss}\
             url = \"https://example.org/1\"\nreason = \"{reason}\"\n"
        )
    };
    fs::write(&known, entry("loss = \"destination altered\"\n")).unwrap();
    let output = run(&["replay", "--known"], &[&known, &recording()]);
    assert_eq!(output.status.code(), Some(2), "{}", both(&output));
    let new = entry("altered = [\"destination\"]\n");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.starts_with(&new), "{said}");
    assert!(stderr(&output).contains("`loss` is not read any more"));
    fs::write(&known, new).unwrap();
    let output = run(&["replay", "--known"], &[&known, &recording()]);
    assert_eq!(output.status.code(), Some(0), "{}", both(&output));
}

/// A baseline that ran one pairing more, with a build that is gone.
fn more(file: &Path) {
    report(file, |json| {
        let mut cell = json["cells"][0].clone();
        cell["reader"] = "gone-nft".into();
        json["cells"].as_array_mut().unwrap().push(cell);
        let mut build = json["builds"][0].clone();
        build["id"] = "gone-nft".into();
        json["builds"].as_array_mut().unwrap().push(build);
    });
}

#[test]
fn what_only_the_baseline_ran_is_said_and_fails_where_that_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let baseline = folder.path().join("old.json");
    more(&baseline);
    let gate = |condition: &str, format: &str| {
        let words = [
            "replay",
            "--format",
            format,
            "--fail-on",
            condition,
            "--baseline",
        ];
        run(&words, &[&baseline, &recording()])
    };
    for format in ["table", "json"] {
        let said = "not compared: 1 pairings of the older run were not run now; builds that are missing: gone-nft";
        let regression = gate("regression", format);
        assert_eq!(regression.status.code(), Some(0), "{}", both(&regression));
        assert!(stderr(&regression).contains(said), "{}", both(&regression));
        let missing = gate("missing", format);
        assert_eq!(missing.status.code(), Some(1), "{}", both(&missing));
    }
    let table = gate("missing", "table");
    let said = "1 pairings only in the old one were not compared";
    assert!(stdout(&table).contains(said), "{}", both(&table));
    let diff = |old: &Path, new: &Path| run(&["diff", "--fail-on", "missing"], &[old, new]);
    assert_eq!(diff(&baseline, &recording()).status.code(), Some(1));
    assert_eq!(diff(&recording(), &baseline).status.code(), Some(0));
}

#[test]
fn nothing_is_missing_beside_itself_or_without_a_baseline() {
    let words = ["replay", "--fail-on", "missing", "--baseline"];
    let same = run(&words, &[&recording(), &recording()]);
    assert_eq!(same.status.code(), Some(0), "{}", both(&same));
    assert_eq!(stderr(&same), "");
    let none = run(&["replay", "--fail-on", "missing"], &[&recording()]);
    assert_eq!(none.status.code(), Some(2), "{}", both(&none));
    assert!(stderr(&none).contains("--baseline FILE"), "{}", both(&none));
}

#[test]
fn a_difference_is_written_in_every_form_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let old = folder.path().join("old.json");
    more(&old);
    let [json, text] = ["out.json", "out.txt"].map(|name| folder.path().join(name));
    fs::write(&text, "longer than what is to be written\n".repeat(100)).unwrap();
    let mut command = iptables_lab();
    command
        .env("CLICOLOR_FORCE", "1")
        .arg("diff")
        .arg(&old)
        .arg(recording());
    command.args([
        "--format", "markdown", "--output", "-", "--format", "json", "--output",
    ]);
    command
        .arg(&json)
        .args(["--format", "text", "--output"])
        .arg(&text);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", both(&output));
    assert!(
        stdout(&output).starts_with("## What changed"),
        "{}",
        both(&output)
    );
    let json: Value = serde_json::from_str(&fs::read_to_string(json).unwrap()).unwrap();
    assert_eq!(json["went"]["builds"][0], "gone-nft");
    let text = fs::read_to_string(text).unwrap();
    assert!(
        text.starts_with("no loss came, went or changed\n"),
        "{text}"
    );
    assert!(
        !text.contains('\u{1b}') && !text.contains("longer than"),
        "{text}"
    );
}

#[test]
fn a_file_that_a_difference_cannot_be_written_to_is_found_before_anything_is_read() {
    // Neither of the reports exists: the path of the output is looked at first.
    let nowhere: [&Path; 2] = [
        "/nonexistent/old.json".as_ref(),
        "/nonexistent/new.json".as_ref(),
    ];
    let unwritable = run(&["diff", "--output", "/nonexistent/out"], &nowhere);
    assert_eq!(unwritable.status.code(), Some(2), "{}", both(&unwritable));
    assert!(stderr(&unwritable).contains("/nonexistent/out cannot be written"));
    let many = run(&["diff", "--output", "a", "--output", "b"], &nowhere);
    assert_eq!(many.status.code(), Some(2), "{}", both(&many));
    assert!(stderr(&many).contains("there are 2 files for 1 formats"));
}
