//! What people type, and what they are told.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rstest::rstest;
use serde_json::Value;

use super::docker::containers_of;
use super::lab::{both, full_run, iptables_lab, small_run};

/// Runs the binary in `folder`, so that messages name files without a path.
fn run_in(folder: &Path, words: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Output {
    let command = &mut iptables_lab();
    command.args(words).current_dir(folder).output().unwrap()
}

fn run(words: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Output {
    run_in(Path::new("/"), words)
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

/// Standard error as one line: messages are wrapped.
fn said(output: &Output) -> String {
    let text = std::str::from_utf8(&output.stderr).unwrap();
    let words = text.split_whitespace().filter(|word| *word != "│");
    words.collect::<Vec<_>>().join(" ")
}

/// It ended with `status`, printed no result, and said all these words in one place.
#[track_caller]
fn refused(output: &Output, status: i32, words: &str) {
    assert_eq!(output.status.code(), Some(status), "{}", both(output));
    assert_eq!(stdout(output), "");
    assert!(said(output).contains(words), "{}", both(output));
}

/// A matrix of one pairing, run natively, without what is said meanwhile.
fn one_pairing<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let mut words = vec!["--engine", "native", "matrix", "--quiet"];
    words.extend(SAME_PAIRING);
    words.extend(more);
    words
}

/// The pairing of [`small_run`] in which the mark is lost.
const SAME_PAIRING: [&str; 4] = [
    "--writer",
    "debian-1.8.9-2-nft",
    "--reader",
    "debian-1.8.7-1-nft",
];

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", both(output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What the schema says of every rule of every outcome.
fn rules(matrix: &Value) -> Vec<&Value> {
    let outcomes = matrix["outcomes"].as_array().unwrap().iter();
    let rules: Vec<_> = outcomes
        .flat_map(|outcome| outcome["rules"].as_array().unwrap())
        .collect();
    assert!(!rules.is_empty());
    rules
}

#[rstest]
#[case::quote(
    "open-quote",
    "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -m comment --comment \"open -j DROP\nCOMMIT\n"
)]
#[case::outside(
    "outside-of-a-table",
    "# a comment\n-A INPUT -j DROP\n*filter\nCOMMIT\n"
)]
#[case::addresses(
    "several-addresses",
    "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -s 192.0.2.1,192.0.2.2 -j DROP\nCOMMIT\n"
)]
#[case::commit("no-commit", "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -j DROP\n")]
#[case::empty("nothing", "# only a comment\n")]
fn a_ruleset_that_does_not_parse_is_shown_with_the_place(#[case] name: &str, #[case] text: &str) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("broken.rules"), text).unwrap();
    let output = run_in(folder.path(), ["matrix", "--rules", "broken.rules"]);
    refused(&output, 2, "broken.rules:");
    insta::assert_snapshot!(name, String::from_utf8(output.stderr).unwrap());
}

/// Bad input: the status is 2, and it is said what is wrong with what.
#[rstest]
#[case("frobnicate", "unrecognized subcommand 'frobnicate'")]
#[case("matrix --frobnicate", "unexpected argument '--frobnicate'")]
#[case("matrix --fail-on nonsense", "a verdict (faithful, same, ")]
#[case("matrix --timeout 0", "more than 0 s")]
#[case("matrix --timeout 3601", "at most an hour")]
#[case("matrix --family ipv5", "ipv4 or ipv6")]
#[case("matrix --rules none.save", "none.save cannot be read: No such file")]
#[case(
    "matrix --rules latin.save",
    "latin.save cannot be read: stream did not contain valid UTF-8"
)]
#[case(
    "matrix --rules a/x.save --rules b/X.rules",
    "b/X.rules would be the scenario `x`, and so is a/x.save"
)]
#[case(
    "matrix --scenario docker --rules docker.save",
    "docker.save would be the scenario `docker`, and so is a shipped"
)]
#[case("matrix --output a --output b", "there are 2 files for 1 formats")]
#[case("matrix --output none/out", "none/out cannot be written: No such file")]
#[case(
    "matrix --record none/run",
    "the recording none/run cannot be written: No such file"
)]
#[case(
    "matrix --record one --output one",
    "one is both a recording and an --output"
)]
#[case(
    "matrix --format table --format json --output one --output one",
    "one is named twice"
)]
#[case(
    "matrix --scenario kube-firewal",
    "these exist, nearest first: kube-firewall, "
)]
#[case(
    "matrix --scenario mark-*s --scenario *-none",
    "no scenario is called `*-none`"
)]
#[case(
    "matrix --builds none.toml",
    "cannot read the builds file none.toml: No such file"
)]
#[case(
    "scenarios show kube-rooter",
    "these exist, nearest first: kube-router, "
)]
#[case(
    "replay none.jsonl",
    "the recording none.jsonl cannot be read: No such file"
)]
#[case("causes --from none.json", "none.json cannot be read: No such file")]
#[case("causes nobody-knows", "no cause is called nobody-knows; there are: ")]
#[case("bisect --tree a --from none.json", "a is no git repository: ")]
fn bad_input_is_found_before_anything_runs(#[case] words: &str, #[case] message: &str) {
    const RULES: &str = "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -j DROP\nCOMMIT\n";
    let folder = tempfile::tempdir().unwrap();
    for name in ["a", "b"] {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    for name in ["a/x.save", "b/X.rules", "docker.save"] {
        fs::write(folder.path().join(name), RULES).unwrap();
    }
    fs::write(folder.path().join("latin.save"), b"# caf\xe9\n").unwrap();
    // No daemon answers here: whatever needs one has begun to run.
    let output = iptables_lab()
        .args(["--engine", "docker"])
        .args(words.split(' '))
        .env("DOCKER_HOST", "unix:///nonexistent.sock")
        .current_dir(folder.path())
        .output()
        .unwrap();
    refused(&output, 2, message);
}

#[rstest]
#[case::id(
    "matrix --reader debian-1.8.7-ntf",
    "no build is called `debian-1.8.7-ntf`",
    "nearest first: debian-1.8.7-1-nft, "
)]
#[case::glob(
    "matrix --writer none-*",
    "no build is called `none-*`",
    "these exist, nearest first: "
)]
#[case::show(
    "show none-nft none-nft",
    "no build is called `none-nft`",
    "these exist, nearest first: "
)]
#[case::build(
    "builds build 1.8.99",
    "no build is called `1.8.99`",
    "nearest first: 1.8.9-nft, "
)]
fn an_unknown_build_is_told_the_nearest(
    #[case] words: &str,
    #[case] message: &str,
    #[case] names: &str,
) {
    needs!(Engine);
    let output = run(words.split(' '));
    refused(&output, 2, message);
    assert!(said(&output).contains(names), "{}", both(&output));
}

#[rstest]
#[case::id("absent-nft")]
#[case::glob("absent-*")]
fn a_known_build_that_cannot_be_had_is_told_why(#[case] reader: &str) {
    needs!(Engine);
    let folder = tempfile::tempdir().unwrap();
    let own = "[[build]]\nname = \"absent\"\ntarball = \"none.tar.xz\"\n";
    fs::write(folder.path().join("own.toml"), own).unwrap();
    let output = run_in(
        folder.path(),
        ["matrix", "--builds", "own.toml", "--reader", reader],
    );
    refused(
        &output,
        3,
        "what was asked for cannot be had: absent-nft: cannot read none.tar.xz",
    );
}

#[rstest]
#[case::daemon("builds list --engine docker", "no Docker daemon answers: ")]
#[case::daemon(
    "matrix --engine docker",
    "start it (`systemctl start docker`), join the group `docker`, or set DOCKER_HOST"
)]
#[case::store("builds list --store /proc/nope", "/proc/nope")]
fn what_the_machine_lacks_is_named(#[case] words: &str, #[case] message: &str) {
    let output = iptables_lab()
        .args(words.split(' '))
        .env("DOCKER_HOST", "unix:///nonexistent.sock")
        .output()
        .unwrap();
    refused(&output, 3, message);
}

#[test]
fn files_stay_as_they_are_until_there_is_something_to_write() {
    let folder = tempfile::tempdir().unwrap();
    let (out, record) = (folder.path().join("out"), folder.path().join("record"));
    fs::write(&out, "an older matrix").unwrap();
    fs::write(&record, "an older recording").unwrap();
    let output = iptables_lab()
        .args(["matrix", "--engine", "docker"])
        .args(["--output", "out", "--record", "record"])
        .env("DOCKER_HOST", "unix:///nonexistent.sock")
        .current_dir(folder.path())
        .output()
        .unwrap();
    refused(&output, 3, "no Docker daemon answers");
    assert_eq!(fs::read_to_string(out).unwrap(), "an older matrix");
    assert_eq!(fs::read_to_string(record).unwrap(), "an older recording");
}

/// A line of a recording, from 0.
fn line(recording: &Path, number: usize) -> String {
    let text = fs::read_to_string(recording).unwrap();
    text.lines().nth(number).unwrap().to_owned()
}

/// A recording of the same pairings that lies there.
fn stored() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/recordings");
    folder.join("kube-firewall-by-debian-1.8.7.jsonl")
}

fn head() -> String {
    line(&stored(), 0)
}

fn first_load() -> String {
    line(&stored(), 1)
}

fn bad_load(from: &str, to: &str) -> String {
    let load = first_load();
    assert!(load.contains(from));
    format!("{}\n{}\n", head(), load.replace(from, to))
}

#[rstest]
#[case::empty(String::new(), "bad.jsonl:1: this is no line of a recording: EOF")]
#[case::other_file("# Generated by iptables-save\n".into(), "bad.jsonl:1: this is no line of a recording")]
#[case::other_json("{\"schema\":1}\n".into(), "bad.jsonl:1: this is no line of a recording: missing field")]
#[case::other_format(head().replacen("\"recording\":2", "\"recording\":1", 1), "bad.jsonl:1: this is a recording of format 1")]
#[case::half_a_head(head()[..head().len() / 2].into(), "bad.jsonl:1: this is no line of a recording: EOF")]
#[case::other_line(format!("{}\n{{\"dance\":1}}\n", head()), "bad.jsonl:2: this is no line of a recording: unknown variant")]
#[case::text(
    bad_load("\"stderr\":0", "\"stderr\":999"),
    "bad.jsonl:2: this load refers to a text or a dump"
)]
#[case::dump(
    bad_load("\"dump\":0", "\"dump\":999"),
    "bad.jsonl:2: this load refers to a text or a dump"
)]
#[case::step(
    bad_load("\"saved\":", "\"saved\":99"),
    "bad.jsonl:2: this load refers to a step"
)]
#[case::rule(
    bad_load("\"rules\":\"1-4\"", "\"rules\":\"1-5\""),
    "bad.jsonl:2: this load refers to a rule"
)]
#[case::build(
    bad_load("\"build\":\"debian-", "\"build\":\"other-"),
    "bad.jsonl:2: this load refers to a build"
)]
#[case::scenario(
    bad_load("\"scenario\":\"kube-firewall\"", "\"scenario\":\"other\""),
    "bad.jsonl:2: this load refers to a scenario"
)]
fn what_is_no_recording_is_told_with_the_line(#[case] text: String, #[case] message: &str) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("bad.jsonl"), text).unwrap();
    refused(&run_in(folder.path(), ["replay", "bad.jsonl"]), 2, message);
}

#[test]
fn colours_are_for_terminals_and_for_who_forces_them() {
    needs!(Engine);
    let has_colours = |variables: &[(&str, &str)]| {
        let output = iptables_lab()
            .arg("replay")
            .arg(&small_run().file)
            .envs(variables.iter().copied())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", both(&output));
        output.stdout.contains(&0x1b)
    };
    assert!(!has_colours(&[]));
    assert!(!has_colours(&[("NO_COLOR", "1")]));
    assert!(has_colours(&[("CLICOLOR_FORCE", "1")]));
}

#[rstest]
#[case(120)]
#[case(80)]
fn tables_fit(#[case] columns: usize) {
    needs!(Native);
    let output = iptables_lab()
        .arg("replay")
        .arg(&full_run().file)
        .env("COLUMNS", columns.to_string())
        .output()
        .unwrap();
    // A word such as an address that is longer stands alone.
    let is_wide =
        |line: &&str| line.chars().count() > columns && line.split_whitespace().nth(1).is_some();
    let wide: Vec<&str> = stdout(&output).lines().filter(is_wide).collect();
    assert!(wide.is_empty(), "{}", wide.join("\n"));
}

#[test]
fn results_are_on_standard_output_and_nothing_else_is() {
    needs!(Native);
    let words = one_pairing(&["--scenario", "kube-firewall", "--format", "json"]);
    let quiet = run(&words);
    assert_eq!(json(&quiet)["schema"], 2);
    assert_eq!(both(&quiet).split("standard error\n").last(), Some(""));
    let loud = run(words.into_iter().filter(|word| *word != "--quiet"));
    assert_eq!(json(&loud)["cells"], json(&quiet)["cells"]);
    assert_eq!(json(&loud)["outcomes"], json(&quiet)["outcomes"]);
    assert!(said(&loud).contains("running 2 pairings in 2 loads"));
    // What came of a scenario is said as soon as it is through.
    let result = "kube-firewall X match mark lost (blackhole, confirmed): iptables-nft ";
    assert!(said(&loud).contains(result), "{}", both(&loud));
}

#[rstest]
#[case::nothing_said(&[], &["write", "save", "rewrite", "recognition", "effect"])]
#[case::one(&["--operation", "check"], &["write", "save", "check"])]
#[case::all(&["--operation", "all"], &[
    "write", "save", "list", "rewrite", "recognition", "cycle", "sync", "sync-noflush", "check", "delete", "reassert", "effect",
])]
fn what_decides_is_run_where_nothing_else_is_asked_for(
    #[case] asked: &[&str],
    #[case] operations: &[&str],
) {
    needs!(Native);
    let words = ["--scenario", "kube-firewall", "--format", "json"];
    let matrix = json(&run(one_pairing(&[&words[..], asked].concat())));
    assert_eq!(matrix["operations"], serde_json::json!(operations));
}

/// It would fail nothing, whatever happens; the operation that it comes of is named.
#[rstest]
#[case("matrix --fail-on not-found", "add `--operation check` to those")]
#[case("matrix --fail-on drifts", "add `--operation cycle` to those")]
#[case("matrix --fail-on wrong-rule", "add `--operation delete` to those")]
#[case("matrix --fail-on doubled", "--operation reassert")]
#[case(
    "matrix --operation check --fail-on blackhole",
    "add `--operation rewrite` to those: --operation rewrite --operation check; or run all: --operation all"
)]
#[case(
    "matrix --operation save --fail-on misread",
    "add `--operation recognition`"
)]
fn a_verdict_that_nothing_which_runs_can_come_to_is_refused(
    #[case] words: &str,
    #[case] help: &str,
) {
    refused(&run(words.split(' ')), 2, help);
}

#[test]
fn a_save_alone_says_what_differs_and_nothing_of_the_kernel() {
    needs!(Native);
    let words = [
        "--scenario",
        "kube-firewall",
        "--format",
        "json",
        "--operation",
        "save",
    ];
    let matrix = json(&run(one_pairing(&words)));
    assert_eq!(matrix["operations"], serde_json::json!(["write", "save"]));
    let of_reads: Vec<&str> = rules(&matrix)
        .iter()
        .map(|rule| rule["operations"]["save"]["verdict"].as_str().unwrap())
        .collect();
    assert!(
        of_reads.contains(&"differs") && !of_reads.contains(&"lossy"),
        "{of_reads:?}"
    );
    for rule in rules(&matrix) {
        let operations: Vec<&String> = rule["operations"].as_object().unwrap().keys().collect();
        assert_eq!(operations, ["save", "write"]);
        assert_eq!(rule["consequence"], Value::Null);
    }
}

/// The fields that an object of the JSON has, however many more it grows.
#[track_caller]
fn has_fields(object: &Value, fields: &str) {
    let object = object.as_object().unwrap();
    for field in fields.split_whitespace() {
        assert!(object.contains_key(field), "{field} in {object:#?}");
    }
}

#[test]
fn the_json_has_every_field_of_its_schema() {
    needs!(Native);
    let matrix: Value = serde_json::from_str(&full_run().json).unwrap();
    has_fields(
        &matrix,
        "schema lab host started operations witness builds missing cells",
    );
    has_fields(&matrix["lab"], "version");
    has_fields(&matrix["host"], "kernel arch engine");
    has_fields(&matrix["witness"], "nft legacy");
    for build in matrix["builds"].as_array().unwrap() {
        has_fields(
            build,
            "id version tool backend origin key digest libnftnl banner",
        );
    }
    for missing in matrix["missing"].as_array().unwrap() {
        has_fields(missing, "id reason");
    }
    let outcomes = matrix["outcomes"].as_array().unwrap();
    for cell in matrix["cells"].as_array().unwrap() {
        has_fields(
            cell,
            "scenario family writer reader verdict outcome losses encoded",
        );
        assert!(cell["outcome"].as_u64() < u64::try_from(outcomes.len()).ok());
    }
    for outcome in outcomes {
        has_fields(outcome, "rules chains probes picked warnings crashes");
        for probe in outcome["probes"].as_array().unwrap() {
            has_fields(probe, "name expected before written as_expected after then");
        }
        for chain in outcome["chains"].as_array().unwrap() {
            has_fields(
                chain,
                "table chain policy_before policy_after policy_after_sync operations consequence",
            );
        }
    }
    // Each distinct one once.
    let distinct: BTreeSet<String> = outcomes.iter().map(Value::to_string).collect();
    assert_eq!(distinct.len(), outcomes.len());
    for rule in rules(&matrix) {
        has_fields(
            rule,
            "table chain index tool layer given written read witness_before witness_after reread operations \
             check_reordered lost altered added consequence potential near_miss deleted_instead drift met",
        );
        for operation in rule["operations"].as_object().unwrap().values() {
            has_fields(operation, "verdict");
        }
        if rule["consequence"] != Value::Null {
            has_fields(&rule["consequence"], "what confirmed");
        }
        for change in ["lost", "altered", "added"] {
            for change in rule[change].as_array().unwrap() {
                has_fields(change, "part from to");
            }
        }
    }
}

#[test]
fn builds_are_listed_with_all_that_is_known_of_them_and_made_on_demand() {
    needs!(Engine);
    let small = small_run();
    let built = run(["builds", "build", &small.writer]);
    assert!(built.status.success(), "{}", both(&built));
    let listed = run(["builds", "list"]);
    assert!(listed.status.success(), "{}", both(&listed));
    let mut lines = stdout(&listed).lines();
    let columns: Vec<&str> = lines.next().unwrap().split_whitespace().collect();
    assert_eq!(
        columns,
        [
            "id", "version", "backend", "origin", "libnftnl", "digest", "state"
        ]
    );
    let of_writer = lines.find(|line| line.starts_with(&small.writer)).unwrap();
    let writer = small.recording.head.builds.iter();
    let writer = writer.clone().find(|of| of.id.as_str() == small.writer);
    let writer = writer.unwrap();
    let digest = &writer.digest.to_string()[..12];
    for word in [writer.version.to_string().as_str(), "nft", digest, "built"] {
        let mut words = of_writer.split_whitespace();
        assert!(words.any(|known| known == word), "{word} in {of_writer}");
    }
}

#[rstest]
#[case::found("lossy", 1)]
#[case::consequence("blackhole", 1)]
#[case::not_found("crashed", 0)]
fn fail_on_is_an_exit_status(#[case] condition: &str, #[case] status: i32) {
    needs!(Engine);
    let file = small_run().file.to_str().unwrap();
    let output = run(["replay", file, "--fail-on", condition]);
    assert_eq!(output.status.code(), Some(status), "{}", both(&output));
    assert!(stdout(&output).contains("writers down, readers across"));
}

/// What is in the full view of a cell in which a mark is lost.
#[track_caller]
fn shows_the_loss(output: &Output) {
    assert!(output.status.success(), "{}", both(output));
    let small = small_run();
    let image = small.reader.strip_suffix("-nft").unwrap();
    let save = format!("docker exec lab-{image} iptables-nft-save\n");
    let restore = format!("docker exec -i lab-{image} iptables-nft-restore");
    let lines = [
        "-m mark --mark 0x8000/0x8000 -j DROP\n+ -A KUBE-FIREWALL",
        " match mark: `-m mark --mark 0x8000/0x8000`",
        &save,
        &restore,
    ];
    for line in lines {
        assert!(stdout(output).contains(line), "{line}\n{}", both(output));
    }
}

#[test]
fn a_cell_is_shown_in_full_from_a_run_and_from_a_recording() {
    needs!(Engine);
    let small = small_run();
    let pair = [
        "show",
        &small.writer,
        &small.reader,
        "--scenario",
        "kube-firewall",
    ];
    shows_the_loss(&run(pair));
    let file = small.file.to_str().unwrap();
    shows_the_loss(&run(pair.iter().chain(&["--from", file])));
}

#[rstest]
#[case::writer("none", "reader", "kube-firewall", "no writer is called `none`")]
#[case::glob("debian-*", "reader", "kube-firewall", "no writer is called")]
#[case::reader("writer", "none", "kube-firewall", "no reader is called `none`")]
#[case::scenario(
    "writer",
    "reader",
    "docker",
    "these exist, nearest first: kube-firewall"
)]
fn a_cell_that_a_recording_does_not_hold_is_bad_input(
    #[case] writer: &str,
    #[case] reader: &str,
    #[case] scenario: &str,
    #[case] message: &str,
) {
    needs!(Engine);
    let small = small_run();
    let real = |word: &str| match word {
        "writer" => small.writer.clone(),
        "reader" => small.reader.clone(),
        other => other.to_owned(),
    };
    let file = small.file.to_str().unwrap();
    let (writer, reader) = (real(writer), real(reader));
    let words = [
        "show",
        &writer,
        &reader,
        "--scenario",
        scenario,
        "--from",
        file,
    ];
    refused(&run(words), 2, message);
}

#[test]
fn scenarios_are_listed_and_shown() {
    let listed = run(["scenarios"]);
    assert!(listed.status.success());
    assert!(stdout(&listed).contains("\n  kube-firewall "));
    let shown = run(["scenarios", "show", "kube-firewall"]);
    assert!(shown.status.success());
    assert!(stdout(&shown).contains("-m mark --mark 0x00008000/0x00008000 -j DROP\n"));
}

const ODD: &str = r#"*filter
:INPUT ACCEPT [0:0]
-A INPUT -m mark --mark 0x1 -j DROP
-A INPUT -m comment --comment "it's \"odd\" \\ ütf-8 ✓ ESCAPE[31mred" -j ACCEPT
-A INPUT -m nosuchmatch --what ever -j DROP
COMMIT
"#;

#[test]
fn a_ruleset_of_ones_own_runs_whatever_is_in_it() {
    needs!(Native);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("Own rules.save");
    fs::write(&file, ODD.replace("ESCAPE", "\x1b")).unwrap();
    let words = ["--rules", file.to_str().unwrap()];
    let table = run(one_pairing(&words));
    assert!(table.status.success(), "{}", both(&table));
    assert!(!table.stdout.contains(&0x1b), "{}", both(&table));
    let matrix = json(&run(one_pairing(&words)
        .into_iter()
        .chain(["--format", "json"])));
    assert_eq!(matrix["scenarios"][0]["name"], "own-rules");
    let [mark, comment, unknown] = rules(&matrix)[..] else {
        panic!("three rules: {matrix:#}");
    };
    fn verdict<'r>(rule: &'r Value, operation: &str) -> &'r str {
        rule["operations"][operation]["verdict"].as_str().unwrap()
    }
    assert_eq!(
        (verdict(mark, "write"), verdict(mark, "rewrite")),
        ("faithful", "changed")
    );
    assert_eq!(
        (verdict(comment, "write"), verdict(comment, "save")),
        ("faithful", "same")
    );
    assert_eq!(unknown["written"], Value::Null);
    assert!(
        ["refused", "unsupported"].contains(&verdict(unknown, "write"))
            && unknown["operations"]["write"]["reason"]
                .as_str()
                .unwrap()
                .contains("nosuchmatch"),
        "{unknown:#}"
    );
}

#[test]
fn a_command_has_the_time_that_it_is_given_and_the_control_has_its_own() {
    needs!(Native);
    // No iptables is that fast: every one is killed, but for those of the control.
    let words = [
        "--scenario",
        "kube-firewall",
        "--timeout",
        "0.000001",
        "--format",
        "json",
    ];
    let output = run(one_pairing(&words));
    assert!(output.status.success(), "{}", both(&output));
    assert_eq!(json(&output)["cut_short"], Value::Null);
}

#[test]
fn that_nobody_reads_what_is_said_ends_no_run() {
    needs!(Docker);
    let mut child = iptables_lab()
        .args([
            "--engine",
            "docker",
            "matrix",
            "--scenario",
            "kube-firewall",
        ])
        .args(SAME_PAIRING)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stderr.take());
    let pid = child.id();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", both(&output));
    assert!(stdout(&output).contains("2 of 2 pairings run"));
    assert!(containers_of(pid).is_empty());
}

#[rstest]
#[case::replay("replay", "--format", "json")]
#[case::show("scenarios", "show", "docker")]
fn results_that_cannot_be_written_are_no_success(
    #[case] first: &str,
    #[case] second: &str,
    #[case] third: &str,
) {
    needs!(Engine);
    let mut command = iptables_lab();
    command.args([first, second, third]);
    if first == "replay" {
        command.arg(&small_run().file);
    }
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let output = command.stdout(full).output().unwrap();
    refused(
        &output,
        3,
        "standard output cannot be written: No space left",
    );
}

#[test]
fn a_recording_that_can_be_written_no_further_ends_the_run_in_good_order() {
    needs!(Native);
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("run.jsonl");
    // Room for the head and a load or two; the limit counts blocks of 512 bytes.
    let lines = [0, 1].map(|number| line(&small_run().file, number).len());
    let room = (lines[0] + lines[1] + 4096) / 512;
    let limited = format!("trap '' XFSZ; ulimit -f {room}; exec \"$0\" \"$@\"");
    let lab = iptables_lab();
    let output = Command::new("sh")
        .args(["-c", &limited])
        .arg(lab.get_program())
        .args(lab.get_args())
        .args(["--engine", "native", "matrix", "--operation", "all"])
        .args(["--scenario", "kube-firewall", "--record"])
        .arg(&record)
        .args(["--writer", "debian-*-nft", "--reader", "debian-*-nft"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", both(&output));
    assert!(
        said(&output).contains("cannot be written: File too large"),
        "{}",
        both(&output)
    );
    assert!(stdout(&output).contains("this run was cut short: the recording "));
    let stored = iptables_lab::recording::read(&record).unwrap();
    assert!(stored.recording.loads.len() < small_run().recording.loads.len());
}

/// Who does not trust the lab pastes what `show` prints into a shell, and sees what the lab saw.
#[test]
fn the_commands_that_are_shown_work_in_a_shell() {
    needs!(Docker);
    let small = small_run();
    let output = iptables_lab()
        .args(["show", &small.writer, &small.reader, "--scenario"])
        .args(["kube-firewall", "--from"])
        .arg(&small.file)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", both(&output));
    let shown = stdout(&output);
    let (_, script) = shown.split_once("# commands as they were run").unwrap();
    let end = script.find("\ngone\n").unwrap();
    let script = format!("# {}\ngone\n", &script[..end]);
    let ran = std::process::Command::new("sh")
        .args(["-c", &format!("exec 2>&1\n{script}")])
        .output()
        .unwrap();
    let lines = |text: &str| -> Vec<String> {
        let text = iptables_lab::tool::iptables::normalise_save(text);
        text.lines()
            .map(|line| line.trim_end().to_owned())
            .collect()
    };
    let seen: String = script
        .lines()
        .filter_map(|line| line.strip_prefix("#   "))
        .filter(|line| !line.starts_with("[exit status"))
        .map(|line| format!("{line}\n"))
        .collect();
    assert!(seen.contains("-A KUBE-FIREWALL"), "{script}");
    same_lines(&lines(stdout(&ran)), &lines(&seen));
}

/// Equal, or where they are not.
#[track_caller]
fn same_lines(found: &[String], expected: &[String]) {
    let (found, expected) = (found.join("\n"), expected.join("\n"));
    let difference = similar::TextDiff::from_lines(&expected, &found);
    assert!(found == expected, "{}", difference.unified_diff());
}

#[test]
fn the_manual_and_the_completions_know_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let output = run(["man", "--output", path]);
    assert!(output.status.success(), "{}", both(&output));
    let page = run(["man"]);
    let bash = run(["completions", "bash"]);
    for command in [
        "matrix",
        "show",
        "evidence",
        "advise",
        "diagnose",
        "inventory",
    ] {
        let of_command =
            fs::read_to_string(folder.path().join(format!("iptables-lab-{command}.1"))).unwrap();
        assert!(
            of_command.contains("SYNOPSIS") && of_command.contains("Example"),
            "{of_command}"
        );
        assert!(
            stdout(&page).contains(&format!("iptables\\-lab\\-{command}")),
            "{}",
            stdout(&page)
        );
        assert!(
            stdout(&bash).contains(&format!("iptables__lab__subcmd__{command}")),
            "{command}"
        );
    }
    assert!(!stdout(&page).contains("iptables\\-lab\\-agent"));
    refused(
        &run(["man", "--output", "/nonexistent"]),
        2,
        "cannot be written",
    );
    refused(&run(["completions", "csh"]), 2, "invalid value 'csh'");
}
