//! Reports that people act on: every format of a run whose rules are hostile, differences, known losses, shards.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::OnceLock;

use pulldown_cmark::{Event, Options, Parser};
use serde_json::Value;

use super::browser::Browser;
use super::lab::{both, folder, iptables_lab, small_run};

const PANEL: &str = "document.getElementById('cell')";

/// Rules whose comments try to be markup, commands and control sequences, in a file whose name does, too.
const HOSTILE: &str = r#"*filter
:INPUT ACCEPT [0:0]
-A INPUT -m comment --comment "</script><script>pwned=1</script>" -m mark --mark 0x8000/0x8000 -j DROP
-A INPUT -m comment --comment "<img src=x onerror=pwned=1>" -m mark --mark 0x4000/0x4000 -j DROP
-A INPUT -m comment --comment "`touch pwned` $(touch pwned) '; touch pwned; '" -m mark --mark 0x2000/0x2000 -j DROP
-A INPUT -m comment --comment "``` | **bold** [a](http://x) @you #1 &lt;" -m mark --mark 0x1000/0x1000 -j DROP
-A INPUT -m comment --comment "ESC[31mred ESC]0;titleBEL ]]> <!-- --" -m mark --mark 0x800/0x800 -j DROP
COMMIT
"#;

const NAME: &str = "<img src=x onerror=pwned=1>$(touch pwned)`*.save";

/// The recording of a run of the hostile rules, between builds that lose their marks.
fn hostile() -> &'static Path {
    static RUN: OnceLock<PathBuf> = OnceLock::new();
    RUN.get_or_init(|| {
        let folder = folder("hostile");
        let rules = HOSTILE.replace("ESC", "\u{1b}").replace("BEL", "\u{7}");
        fs::write(folder.join(NAME), rules).unwrap();
        let run = small_run();
        let output = iptables_lab()
            .current_dir(&folder)
            .args([
                "matrix",
                "--quiet",
                "--operation",
                "all",
                "--record",
                "run.jsonl",
                "--rules",
                NAME,
            ])
            .args(["--writer", &run.writer, "--reader", &run.reader])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", both(&output));
        folder.join("run.jsonl")
    })
}

/// What a recording is in one format.
fn replayed(recording: &Path, format: &str) -> String {
    let output = iptables_lab()
        .arg("replay")
        .arg(recording)
        .args(["--format", format])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", both(&output));
    String::from_utf8(output.stdout).unwrap()
}

fn is_inert(text: &str) -> bool {
    !text
        .chars()
        .any(|c| c.is_control() && c != '\n' && c != '\t')
}

#[test]
fn hostile_rules_are_lost_and_nothing_of_them_reaches_the_terminal() {
    needs!(Engine);
    let table = replayed(hostile(), "table");
    assert!(table.contains("match mark lost"), "{table}");
    assert!(is_inert(&table), "{table:?}");
    let show = iptables_lab()
        .args(["show", &small_run().writer, &small_run().reader, "--from"])
        .arg(hostile())
        .output()
        .unwrap();
    assert!(is_inert(&String::from_utf8(show.stdout).unwrap()));
}

#[test]
fn hostile_rules_are_no_markdown() {
    needs!(Engine);
    let text = replayed(hostile(), "markdown");
    assert!(is_inert(&text), "{text:?}");
    let mut shown = String::new();
    for event in Parser::new_ext(&text, Options::ENABLE_TABLES) {
        match event {
            Event::Html(html) | Event::InlineHtml(html) => {
                let own = ["<details><summary>", "</details>", "<!-- -->"];
                assert!(own.iter().any(|own| html.starts_with(own)), "{html}");
                assert!(
                    !html.contains("<img") && !html.contains("<script"),
                    "{html}"
                );
            }
            Event::Start(pulldown_cmark::Tag::Link { dest_url, .. }) => panic!("{dest_url}"),
            Event::Text(text) | Event::Code(text) => shown.push_str(&text),
            _ => {}
        }
    }
    // The shortest of the rules is the example.
    assert!(shown.contains("<img src=x onerror=pwned=1>"), "{shown}");
    assert!(shown.contains(NAME), "{shown}");
}

#[test]
fn hostile_rules_are_no_xml() {
    needs!(Engine);
    let text = replayed(hostile(), "junit");
    assert!(is_inert(&text), "{text:?}");
    let report = quick_junit::Report::deserialize_from_str(&text).unwrap();
    let suite = &report.test_suites[0];
    assert_eq!((suite.tests, suite.failures), (1, 1));
    assert!(text.contains("&lt;script&gt;"), "{text}");
}

#[test]
fn hostile_rules_stay_in_the_json_as_they_are() {
    needs!(Engine);
    let json: Value = serde_json::from_str(&replayed(hostile(), "json")).unwrap();
    let given = json["outcomes"][0]["rules"][4]["given"].as_str().unwrap();
    assert!(given.contains("\u{1b}[31mred"), "{given:?}");
}

#[test]
fn hostile_rules_do_nothing_in_a_browser_and_nothing_in_a_shell() {
    needs!(Engine, Chromium);
    let page = folder("pages").join("hostile.html");
    fs::write(&page, replayed(hostile(), "html")).unwrap();
    let mut browser = Browser::open(1400, 1200);
    browser.go(&page, "");
    browser.click("td.silent");
    browser.until("!document.getElementById('cell').hidden");
    let said = browser.text(&format!("{PANEL}.textContent"));
    assert!(said.contains("</script><script>pwned=1</script>"), "{said}");
    let elements =
        "document.querySelectorAll('img, iframe, object, .scenario script:not(.block)').length";
    assert_eq!(browser.text(elements), "0");
    assert_eq!(browser.text("typeof pwned"), "undefined");
    let title = browser.text("document.querySelector('.scenario .title').textContent");
    assert_eq!(title, NAME);
    assert_eq!(browser.complaints, [""; 0]);
    let script = browser.text(&format!(
        "{PANEL}.querySelector('pre:last-of-type').textContent"
    ));
    assert!(script.contains("docker exec -i"), "{script}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("script.sh");
    fs::write(&file, format!("docker() {{ cat >/dev/null; }}\n{script}")).unwrap();
    let output = std::process::Command::new("sh")
        .arg(&file)
        .current_dir(folder.path())
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", both(&output));
    let left = fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 1, "the script made more files than itself");
}

/// The small run's report, and one in which its lossy cells say nothing.
fn reports() -> &'static (PathBuf, PathBuf) {
    static REPORTS: OnceLock<(PathBuf, PathBuf)> = OnceLock::new();
    REPORTS.get_or_init(|| {
        let folder = folder("reports");
        let text = replayed(&small_run().file, "json");
        let mut matrix: Value = serde_json::from_str(&text).unwrap();
        let mut lossy = Vec::new();
        for cell in matrix["cells"].as_array_mut().unwrap() {
            if cell["verdict"] == "lossy" {
                cell["verdict"] = "same".into();
                lossy.push(usize::try_from(cell["outcome"].as_u64().unwrap()).unwrap());
            }
        }
        for outcome in lossy {
            matrix["outcomes"][outcome]["rules"] = Value::Array(Vec::new());
        }
        let (new, old) = (folder.join("new.json"), folder.join("old.json"));
        fs::write(&new, &text).unwrap();
        fs::write(&old, matrix.to_string()).unwrap();
        (old, new)
    })
}

fn run(words: &[&str], files: &[&Path]) -> Output {
    let mut command = iptables_lab();
    command.args(words).args(files).output().unwrap()
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

#[test]
fn a_report_and_the_recording_it_was_made_of_do_not_differ() {
    needs!(Engine);
    let (_, new) = reports();
    let output = run(
        &["diff", "--fail-on", "regression"],
        &[new, &small_run().file],
    );
    assert!(output.status.success(), "{}", both(&output));
    assert!(stdout(&output).starts_with("no loss came, went or changed"));
    assert!(stdout(&output).contains("32 pairings compared"));
}

#[test]
fn a_difference_is_told_in_every_format() {
    needs!(Engine);
    let (old, new) = reports();
    let text = run(&["diff", "--fail-on", "regression"], &[old, new]);
    assert_eq!(text.status.code(), Some(1), "{}", both(&text));
    assert!(stdout(&text).starts_with("new losses\n  X kube-firewall: lossy: match mark lost"));
    let back = run(&["diff", "--fail-on", "regression"], &[new, old]);
    assert_eq!(back.status.code(), Some(0), "{}", both(&back));
    assert!(stdout(&back).starts_with("gone\n"), "{}", both(&back));
    let markdown = run(&["diff", "--format", "markdown"], &[old, new]);
    assert!(stdout(&markdown).contains("### new losses\n\n- `X` kube-firewall: lossy"));
    let json = run(&["diff", "--format", "json"], &[old, new]);
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["changes"][0]["direction"], "new");
    assert_eq!(json["changes"][0]["before"], Value::Null);
    assert_eq!(json["changes"][0]["after"]["consequence"], "blackhole");
}

#[test]
fn a_regression_is_told_from_the_baseline_with_just_the_difference() {
    needs!(Engine);
    let (old, new) = reports();
    let gate = |baseline: &Path| {
        let words = ["replay", "--fail-on", "regression", "--baseline"];
        run(&words, &[baseline, &small_run().file])
    };
    let regressed = gate(old);
    assert_eq!(regressed.status.code(), Some(1), "{}", both(&regressed));
    assert!(
        stdout(&regressed).starts_with("new losses\n"),
        "{}",
        both(&regressed)
    );
    assert!(
        !stdout(&regressed).contains("writers down"),
        "{}",
        both(&regressed)
    );
    let same = gate(new);
    assert_eq!(same.status.code(), Some(0), "{}", both(&same));
    let none = run(&["replay", "--fail-on", "regression"], &[&small_run().file]);
    assert_eq!(none.status.code(), Some(2), "{}", both(&none));
}

#[test]
fn what_is_no_report_is_called_what_it_is_with_the_place() {
    needs!(Engine);
    let folder = tempfile::tempdir().unwrap();
    let (_, new) = reports();
    let text = fs::read_to_string(new).unwrap();
    let cases = [
        (
            "cut.json",
            text[..text.len() / 2].to_owned(),
            "it ends in the middle, at line ",
        ),
        (
            "other.json",
            text.replacen("\"schema\": 2", "\"schema\": 9", 1),
            "schema 9, and this program reads schema 2",
        ),
        (
            "tool.json",
            "{\"results\": []}".to_owned(),
            "no report of iptables-lab: it has no `schema`",
        ),
        (
            "text.json",
            "*filter\nCOMMIT\n".to_owned(),
            "expected value at line 1 column 1",
        ),
    ];
    for (name, text, words) in cases {
        let file = folder.path().join(name);
        fs::write(&file, text).unwrap();
        let output = run(&["diff"], &[&file, new]);
        assert_eq!(output.status.code(), Some(2), "{}", both(&output));
        let said = String::from_utf8(output.stderr).unwrap();
        let said: Vec<&str> = said
            .split_whitespace()
            .filter(|word| *word != "│")
            .collect();
        assert!(said.join(" ").contains(words), "{said:?}");
    }
}

#[test]
fn known_losses_are_shown_as_known_and_fail_nothing() {
    needs!(Engine);
    let folder = tempfile::tempdir().unwrap();
    let known = folder.path().join("known.toml");
    let entry = |writers: &str, reason: &str| {
        format!(
            "[[known]]\nscenario = 'kube-firewall'\nwriters = ['{writers}']\nreaders = ['*']\n\
             url = 'https://example.org/112477'\nreason = '{reason}'\n"
        )
    };
    let unknown = run(&["replay", "--fail-on", "blackhole"], &[&small_run().file]);
    assert_eq!(unknown.status.code(), Some(1));
    fs::write(
        &known,
        entry("*", "old readers") + &entry("none-*", "nobody writes"),
    )
    .unwrap();
    let replay = |format: &str| {
        let words = [
            "replay",
            "--fail-on",
            "blackhole",
            "--format",
            format,
            "--known",
        ];
        let output = run(&words, &[&known, &small_run().file]);
        assert_eq!(output.status.code(), Some(0), "{}", both(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    let words = |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let table = words(replay("table"));
    assert!(
        table.contains("known: old readers (https://example.org/112477)"),
        "{table}"
    );
    assert!(
        table.contains("known, and no such pairing was run: kube-firewall, none-*"),
        "{table}"
    );
    for format in ["markdown", "html", "junit"] {
        let text = replay(format);
        assert!(text.contains("known: old readers"), "{format}: {text}");
        assert!(
            text.contains("known, and no such pairing was run"),
            "{format}"
        );
    }
    let json: Value = serde_json::from_str(&replay("json")).unwrap();
    assert_eq!(json["known_losses"][0]["reason"], "old readers");
    assert!(json["known_losses"][0]["happened"].as_u64() > Some(0));
    assert!(
        json["cells"]
            .as_array()
            .unwrap()
            .iter()
            .any(|cell| cell["known"] == 0)
    );
}

/// What is the same in a run and in its shards: all but when it began and ended.
fn without_times(json: &str) -> Value {
    let mut matrix: Value = serde_json::from_str(json).unwrap();
    matrix["started"] = Value::Null;
    matrix["finished"] = Value::Null;
    // A shard knows nothing of what another one ran.
    matrix["commands"] = Value::Null;
    matrix
}

#[test]
fn three_shards_merged_are_the_run() {
    needs!(Engine);
    let folder = folder("shards");
    let shard = |number: usize| {
        let file = folder.join(format!("{number}.jsonl"));
        let output = iptables_lab()
            .args([
                "matrix",
                "--quiet",
                "--operation",
                "all",
                "--scenario",
                "kube-firewall",
                "--shard",
            ])
            .arg(format!("{number}/3"))
            .args([
                "--writer",
                "debian-*-nft",
                "--reader",
                "debian-*-nft",
                "--record",
            ])
            .arg(&file)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", both(&output));
        let said = String::from_utf8(output.stdout).unwrap();
        let words: Vec<&str> = said.split_whitespace().collect();
        assert!(
            words.join(" ").contains(&format!("it is shard {number}/3")),
            "{said}"
        );
        file
    };
    let shards: Vec<PathBuf> = (1..=3).map(shard).collect();
    let all: Vec<&Path> = shards.iter().map(PathBuf::as_path).collect();
    let whole = folder.join("whole.jsonl");
    let merged = run(
        &["merge", "--format", "json", "--record"],
        &[&[whole.as_path()], &*all].concat(),
    );
    assert!(merged.status.success(), "{}", both(&merged));
    let merged = without_times(stdout(&merged));
    assert!(merged == without_times(&replayed(&small_run().file, "json")));
    assert!(merged == without_times(&replayed(&whole, "json")));
    let missing = run(&["merge"], &all[..2]);
    assert_eq!(missing.status.code(), Some(2), "{}", both(&missing));
    assert_eq!(stdout(&missing), "");
    let said = String::from_utf8(missing.stderr).unwrap();
    assert!(said.contains("a shard is not there: 3/3"), "{said}");
}
