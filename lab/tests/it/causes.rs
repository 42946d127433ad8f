//! Causes from run to run: what `diff` says of them, entries of known losses that name one, and when each was seen.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;

use super::lab::{both, iptables_lab};

/// A recording in which a mark is lost.
fn recording() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/recordings");
    folder.join("kube-firewall-by-1.8.9.jsonl")
}

fn run(words: &[&str], files: &[&Path]) -> Output {
    let output = iptables_lab().args(words).args(files).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", both(&output));
    output
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

/// A report of a time when nothing was lost.
fn without_losses(file: &Path) {
    let output = run(&["replay", "--format", "json"], &[&recording()]);
    let mut json: Value = serde_json::from_slice(&output.stdout).unwrap();
    for outcome in json["outcomes"].as_array_mut().unwrap() {
        outcome["rules"] = Value::Array(Vec::new());
        outcome["chains"] = Value::Array(Vec::new());
    }
    fs::write(file, json.to_string()).unwrap();
}

#[test]
fn diff_says_which_causes_came_and_went_before_the_losses() {
    let folder = tempfile::tempdir().unwrap();
    let old = folder.path().join("old.json");
    without_losses(&old);
    let text = run(&["diff"], &[&old, &recording()]);
    let (causes, losses) = stdout(&text).split_once("new losses").unwrap();
    let words = causes.split_whitespace().collect::<Vec<_>>().join(" ");
    for said in [
        "new causes",
        "m native-mark: From 1.8.8 on",
        "iptables-nft 1.8.9 → iptables-nft debian-1.8.7-1; blackhole (predicted)",
    ] {
        assert!(words.contains(said), "{said}: {words}");
    }
    assert!(losses.contains("match mark lost"), "{losses}");
    let text = run(&["diff"], &[&recording(), &old]);
    assert!(stdout(&text).contains("causes that are gone"));
    assert!(stdout(&text).contains("it hit"));
    let markdown = run(&["diff", "--format", "markdown"], &[&old, &recording()]);
    let (causes, _) = stdout(&markdown).split_once("### new losses").unwrap();
    assert!(causes.contains("### new causes\n\n- `"), "{causes}");
    let json = run(&["diff", "--format", "json"], &[&old, &recording()]);
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    let causes = json["causes"].as_array().unwrap();
    let mark = causes.iter().find(|of| of["name"] == "native-mark");
    let mark = mark.unwrap();
    assert_eq!(mark["direction"], "new");
    assert_eq!(mark["consequence"], "blackhole");
    assert_eq!(mark["came"][0]["encoders"][0], "1.8.9-nft");
    assert_eq!(mark["came"][0]["decoders"][0], "debian-1.8.7-1-nft");
    assert_eq!(mark["went"], Value::Array(Vec::new()));
    // The difference to a baseline says the same.
    let text = run(&["replay", "--baseline"], &[&old, &recording()]);
    assert!(stdout(&text).starts_with("new causes"), "{}", stdout(&text));
    let text = run(&["diff"], &[&recording(), &recording()]);
    assert!(!stdout(&text).contains("cause"), "{}", stdout(&text));
}

#[test]
fn an_entry_covers_the_losses_of_its_cause() {
    let folder = tempfile::tempdir().unwrap();
    let known = folder.path().join("known.toml");
    let entry = |cause: &str| {
        format!(
            "[[known]]\nscenario = '*'\nwriters = ['*']\nreaders = ['*']\ncause = '{cause}'\n\
             url = 'https://example.org/1'\nreason = 'waited for'\n"
        )
    };
    fs::write(&known, entry("native-mark")).unwrap();
    let words = ["replay", "--fail-on", "blackhole", "--known"];
    run(&words, &[&known, &recording()]);
    let json = run(
        &["replay", "--format", "json", "--known"],
        &[&known, &recording()],
    );
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["known_losses"][0]["cause"], "native-mark");
    assert_ne!(json["known_losses"][0]["happened"], 0);
    fs::write(&known, entry("native-mrak")).unwrap();
    let output = iptables_lab()
        .args(words)
        .arg(&known)
        .arg(recording())
        .output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", both(&output));
    let said = String::from_utf8_lossy(&output.stderr).replace('│', " ");
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("no cause is called native-mrak"), "{said}");
    assert!(said.contains("known.toml:5:9"), "{said}");
}

/// The first day is that of an earlier file, the last is that of the run; what only the earlier file has stays.
#[test]
fn a_file_of_causes_keeps_when_each_was_seen() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let (earlier, now, page) = (file("earlier.toml"), file("now.toml"), file("page.html"));
    run(
        &["causes", "--complete"],
        &[&earlier, Path::new("--from"), &recording()],
    );
    let text = fs::read_to_string(&earlier).unwrap();
    let (start, rest) = text.split_once("name = \"native-mark\"").unwrap();
    let (head, rest) = rest.split_once("first = \"").unwrap();
    let text = format!(
        "{start}name = \"native-mark\"{head}first = \"2001-02-03{}\n\
         [[cause]]\nname = \"only-earlier\"\nsays = \"it was seen\"\nsignatures = []\n",
        &rest["2001-02-03".len()..]
    );
    fs::write(&earlier, text).unwrap();
    let words = ["causes", "--complete"];
    let files = [
        &now,
        Path::new("--earlier"),
        &earlier,
        Path::new("--pages"),
        folder.path(),
        Path::new("--from"),
        &recording(),
    ];
    run(&words, &files);
    let mark = fs::read_to_string(file("native-mark.md")).unwrap();
    assert!(mark.contains("- seen: from 2001-02-03 to 20"), "{mark}");
    assert!(file("only-earlier.md").exists());
    let words = ["replay", "--format", "html", "--output"];
    run(&words, &[&page, Path::new("--causes"), &now, &recording()]);
    let page = fs::read_to_string(&page).unwrap();
    assert!(page.contains("from 2001-02-03 to 20"));
    assert!(page.contains("id=\"cause-only-earlier\""));
}
