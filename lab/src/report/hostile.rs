//! Rules of others with anything in their comments, through every format: it is shown, and does nothing.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use proptest::prelude::*;
use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};
use serde_json::Value;

use super::evidence::reproducer::{self, Reproducer};
use super::evidence::{Evidence, Shrunk, Tried};
use super::transcripts::Transcripts;
use crate::catalog::{BuildId, Family, Missing};
use crate::cause::KnownCauses;
use crate::evidence::{Damaged, History, Loss, LossKind, Smaller};
use crate::judge::Cell;
use crate::judge::verdict::Verdict;
use crate::matrix::{Harm, KnownLoss, Matrix, SubjectKind};
use crate::plan::Operation;
use crate::recording::{LoadRecord, Recording};
use crate::scenario::Scenario;
use crate::tool::Write;

/// A comment of the recording's rules, which the hostile text takes the place of.
const COMMENT: &str = "kubernetes firewall for dropping marked packets";

/// What markup, terminals, templates and shells take for their own. What it would do in a shell needs no program.
const FRAGMENTS: [&str; 34] = [
    "</script><script>pwned=1</script>",
    "<img src=x onerror=pwned=1>",
    "</details>",
    "<!--",
    "-->",
    "]]>",
    "&lt;",
    "&#60;b&#62;",
    "`",
    "```",
    "~~~",
    "|",
    "\n",
    "\n```\n",
    "\n# heading\n",
    "\n- list\n",
    "\n\n",
    "\t",
    "\r",
    "\u{1b}[5m",
    "\u{1b}]0;title\u{7}",
    "\u{9b}5m",
    "\u{8}",
    "$(: >pwned)",
    "`: >pwned`",
    "'; : >pwned; '",
    "\"; : >pwned; \"",
    "\\",
    "\nEND\n: >pwned\n",
    "\nEOF\n: >pwned\n",
    "[a](http://x) ![a](http://x)",
    "**bold** _it_",
    "@you #1 $x$",
    "{{ 7 }}{% raw %}",
];

fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        3 => prop::sample::select(FRAGMENTS.as_slice()).prop_map(str::to_owned),
        1 => "\\PC{1,6}",
    ];
    prop::collection::vec(piece, 1..6).prop_map(|pieces| pieces.concat())
}

/// A run in which a mark is lost, with a text in place of a comment, and wherever else others have their say.
struct Run {
    recording: Recording,
    matrix: Matrix,
    transcripts: Transcripts,
}

impl Run {
    fn with(text: &str) -> Run {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/recordings");
        let file = std::path::Path::new(folder).join("kube-firewall-by-1.8.9.jsonl");
        let mut recording = crate::recording::read(&file).unwrap().recording;
        let quoted = format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
        for load in &mut recording.loads {
            let mut json = serde_json::to_value(&*load).unwrap();
            replace(&mut json, text, &quoted);
            *load = serde_json::from_value::<LoadRecord>(json).unwrap();
        }
        let scenario = &mut recording.head.scenarios[0];
        let rules = scenario.ruleset(Family::Ipv4).to_string();
        let rules = rules.replace(&format!("\"{COMMENT}\""), &quoted);
        // What is no line of a ruleset stays as it is, and only what was printed is hostile.
        if let Ok(own) = Scenario::from_rules(&scenario.name, Family::Ipv4, &rules) {
            scenario.rules = own.rules;
        }
        scenario.title = text.to_owned();
        recording.head.host.engine_reason = Some(text.to_owned());
        recording.head.missing.push(Missing {
            id: recording.head.builds[0].id.clone(),
            reason: text.to_owned(),
        });
        let mut matrix = Matrix::of(&recording);
        matrix.known.push(KnownLoss {
            scenario: text.to_owned(),
            writers: vec![text.to_owned()],
            readers: vec![text.to_owned()],
            verdict: None,
            loss: Some(text.to_owned()),
            operation: None,
            lost: Some(vec![text.to_owned()]),
            altered: None,
            added: None,
            said: Some(text.to_owned()),
            cause: Some(text.to_owned()),
            rules: vec![text.to_owned()],
            url: text.to_owned(),
            reason: text.to_owned(),
            run: 1,
            happened: 0,
        });
        let mut transcripts = Transcripts::default();
        transcripts.add(
            &recording.loads[0],
            &recording.head.scenarios[0],
            &matrix.cells,
        );
        Run {
            recording,
            matrix,
            transcripts,
        }
    }

    /// The cell that loses most.
    fn worst(&self) -> &Cell {
        let cells = self.matrix.cells.iter();
        cells.max_by_key(|cell| cell.verdict.severity()).unwrap()
    }

    /// The worst cell in full, without the program's own colours.
    fn show(&self) -> String {
        let (load, scenario) = (&self.recording.loads[0], &self.recording.head.scenarios[0]);
        without_colours(&super::show::render(self.worst(), load, scenario, &[]))
    }

    /// `REPORT.md` and `reproduce.sh` of the worst cell.
    fn evidence(&self) -> Option<(String, String)> {
        let (whole, builds) = (self.worst(), &self.matrix.builds);
        let found = Loss::worst_of(whole, &LossKind::ALL)?;
        let damaged = found.loss.shown_by(whole)?;
        let least = match damaged {
            Damaged::Rule(rule) => &*rule.given,
            Damaged::Chain(_) => "",
        };
        let build = |id: &BuildId| builds.iter().find(|build| &build.id == id);
        let (writer, reader) = (build(&whole.writer)?, build(&whole.reader)?);
        let left = Smaller { rules: 2, words: 9 };
        let report = super::evidence::render(&Evidence {
            loss: &found.loss,
            found_in: &self.recording.head.scenarios[0],
            whole,
            least,
            damaged,
            matrix: &self.matrix,
            writer,
            reader,
            history: &History::of(&found.loss, &self.matrix, writer, reader),
            shrunk: Shrunk {
                from: left,
                to: left,
                tried: 1,
                cut_short: false,
            },
            tried: Tried::Not,
            backtrace: None,
            files: &[],
        });
        // A rule that is restored, one that is written and asked for by itself, and one that is deleted.
        let restored = Scenario {
            write: Write::Restore,
            ..self.recording.head.scenarios[0].clone()
        };
        let as_it_is = &self.recording.head.scenarios[0];
        let parts = [
            (Operation::Rewrite, Verdict::Lossy, &restored),
            (Operation::Check, Verdict::FoundWrong, as_it_is),
            (Operation::Delete, Verdict::WrongRule, as_it_is),
        ];
        let scripts = parts.map(|(operation, verdict, scenario)| {
            let loss = Loss {
                of: SubjectKind::Rule,
                harm: Harm {
                    operation,
                    verdict,
                    ..found.loss.harm.clone()
                },
                ..found.loss.clone()
            };
            let script = reproducer::render(Reproducer {
                loss: &loss,
                scenario,
                family: Family::Ipv4,
                writer,
                reader,
                damaged,
                load: &self.recording.loads[0],
            });
            format!("(\n{script}\n)\n")
        });
        let scripts = scripts.concat();
        Some((report, scripts))
    }
}

/// Puts a text in place of the comment: as it is where it stands alone, quoted within what was printed.
fn replace(json: &mut Value, text: &str, quoted: &str) {
    match json {
        Value::String(word) if word == COMMENT => *word = text.to_owned(),
        Value::String(print) => *print = print.replace(&format!("\"{COMMENT}\""), quoted),
        Value::Array(items) => items
            .iter_mut()
            .for_each(|item| replace(item, text, quoted)),
        Value::Object(items) => items
            .values_mut()
            .for_each(|item| replace(item, text, quoted)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Takes out the styles that the program itself prints, and none but these: bold, dim, the six colours, and their end.
fn without_colours(text: &str) -> String {
    let mut text = text.to_owned();
    for code in ["0", "1", "2", "31", "32", "33", "34", "35", "36"] {
        text = text.replace(&format!("\u{1b}[{code}m"), "");
    }
    text
}

/// What a terminal would obey.
fn controls(text: &str) -> String {
    let is_control = |c: &char| c.is_control() && *c != '\n' && *c != '\t';
    text.chars().filter(is_control).collect()
}

/// Elements, links, mentions and headings that a page of Markdown has, and that the program has no hand in.
fn foreign_markup(page: &str, own_headings: &[&str]) -> Vec<String> {
    const OWN: [&str; 3] = ["<details><summary>", "</details>", "<!-- -->"];
    let mut foreign = Vec::new();
    let mut heading: Option<(HeadingLevel, String)> = None;
    let mut is_code = false;
    for event in Parser::new_ext(page, Options::ENABLE_TABLES) {
        match event {
            Event::Html(html) | Event::InlineHtml(html) => {
                let is_own = OWN.iter().any(|own| html.starts_with(own));
                let elements = html.matches('<').count();
                // A line that unfolds has a name in bold, and no other element.
                if !is_own || elements > "<details><summary><b></b></summary>".matches('<').count()
                {
                    foreign.push(html.to_string());
                }
            }
            Event::Start(Tag::Link { dest_url, .. }) if dest_url.contains("//x") => {
                foreign.push(dest_url.to_string());
            }
            Event::Start(Tag::Image { dest_url, .. }) => foreign.push(dest_url.to_string()),
            Event::Start(Tag::Heading { level, .. }) => heading = Some((level, String::new())),
            Event::End(TagEnd::Heading(_)) => {
                let (level, text) = heading.take().unwrap_or((HeadingLevel::H1, String::new()));
                if level != HeadingLevel::H1 && !own_headings.contains(&text.as_str()) {
                    foreign.push(text);
                }
            }
            Event::Start(Tag::CodeBlock(_)) => is_code = true,
            Event::End(TagEnd::CodeBlock) => is_code = false,
            Event::Text(text) if !is_code && text.contains("@you") => {
                foreign.push(text.to_string())
            }
            Event::Text(text) | Event::Code(text) => {
                if let Some((_, heading)) = &mut heading {
                    heading.push_str(&text);
                }
            }
            _ => {}
        }
    }
    foreign
}

/// How many there are of each element that does something, and of cells and comments; and the names of all.
fn elements(page: &str) -> (Vec<usize>, BTreeSet<&str>) {
    let counted = ["<script", "</script", "<style", "<td", "<!--"];
    let counts = counted.iter().map(|name| page.matches(name).count());
    let names = page.split('<').skip(1).map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric());
        &rest[..end.unwrap_or(rest.len())]
    });
    (counts.collect(), names.collect())
}

/// The page and the report for a bug tracker where comments say nothing.
struct Calm {
    page: String,
    report: String,
}

static CALM: LazyLock<Calm> = LazyLock::new(|| {
    let run = Run::with("calm");
    let causes = KnownCauses::built_in();
    let page = super::html::render(&run.matrix, &run.transcripts, causes);
    Calm {
        page: page.unwrap(),
        report: run.evidence().unwrap().0,
    }
});

/// Runs the commands that `show` prints, with nothing that they could call, and says what files there are afterwards.
fn run_in_a_shell(show: &str) -> Vec<String> {
    let (_, script) = show.split_once("# commands as they were run").unwrap();
    let idle = ["docker", "ip", "ipset", "sysctl"];
    run(&idle, &format!("#{script}"), "/nonexistent")
}

/// Runs what `reproduce.sh` does within its namespace, with builds that do nothing, and says whether there is a file
/// afterwards that is none of its own.
fn reproduce_in_a_shell(scripts: &str) -> bool {
    let inside = "REPRODUCE_INSIDE=1 WRITER=/bin/true READER=/bin/true\n";
    let files = run(&["nft"], &format!("{inside}{scripts}"), "/usr/bin:/bin");
    files.iter().any(|file| file == "pwned")
}

/// Runs a script to which these programs do nothing, and says what files there are afterwards.
fn run(idle: &[&str], script: &str, path: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let idle = idle.iter().map(|name| format!("{name}() {{ :; }}\n"));
    let idle: String = idle.collect();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    write!(file, "{idle}{script}").unwrap();
    let mut shell = Command::new("/bin/sh");
    shell.arg(file.path()).env_clear().env("PATH", path);
    let shell = shell.current_dir(folder.path()).stdin(Stdio::null());
    let output = shell.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!said.contains("yntax"), "{said}\n{script}");
    let files = std::fs::read_dir(folder.path()).unwrap();
    files
        .map(|file| file.unwrap().file_name().display().to_string())
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn whatever_a_comment_says_comes_out_inert(text in hostile()) {
        let run = Run::with(&text);

        let table = without_colours(&super::table::render(&run.matrix, 100));
        prop_assert_eq!(controls(&table), "", "{}", table);

        let markdown = super::markdown::render(&run.matrix, super::markdown::COMMENT);
        prop_assert_eq!(controls(&markdown), "", "{}", markdown);
        let own = ["What one iptables loses of another's rules"];
        prop_assert_eq!(foreign_markup(&markdown, &own), [""; 0], "{}", markdown);

        let html = super::html::render(&run.matrix, &run.transcripts, KnownCauses::built_in()).unwrap();
        let ((counts, names), calm_ones) = (elements(&html), elements(&CALM.page));
        prop_assert_eq!(counts, calm_ones.0, "{}", html);
        prop_assert!(names.is_subset(&calm_ones.1), "{names:?}");

        let junit = super::junit::render(&run.matrix).unwrap();
        prop_assert_eq!(controls(&junit), "", "{}", junit);
        let read = quick_junit::Report::deserialize_from_str(&junit).unwrap();
        let cases: usize = read.test_suites.iter().map(|of| of.test_cases.len()).sum();
        // The cells, the loss that is known, and the build that is missing.
        prop_assert_eq!(cases, run.matrix.cells.len() + run.matrix.missing.len() + 1);

        let mut json = Vec::new();
        super::json::write(&run.matrix, &mut json).unwrap();
        let json = String::from_utf8(json).unwrap();
        prop_assert_eq!(controls(&json), "", "{}", json);
        let mut again = Vec::new();
        super::json::write(&super::json::read(&json).unwrap(), &mut again).unwrap();
        prop_assert!(again == json.as_bytes());

        let show = run.show();
        prop_assert_eq!(controls(&show), "", "{}", show);
        prop_assert_eq!(run_in_a_shell(&show), [""; 0], "{}", show);

        if let Some((report, scripts)) = run.evidence() {
            prop_assert_eq!(controls(&scripts), "", "{}", scripts);
            prop_assert!(!reproduce_in_a_shell(&scripts), "{}", scripts);
            prop_assert_eq!(controls(&report), "", "{}", report);
            let own = CALM.report.lines().filter_map(|line| line.strip_prefix("## "));
            let own: Vec<&str> = own.collect();
            prop_assert_eq!(foreign_markup(&report, &own), [""; 0], "{}", report);
        }
    }
}

/// The checks would see it: markup, headings, control sequences and commands that are not held back.
#[test]
fn what_is_not_inert_is_seen() {
    for page in [
        "<img src=x>",
        "a\n\n# h\n\n## heading\n",
        "![a](http://x)",
        "[a](http://x)",
        "@you",
    ] {
        assert_ne!(foreign_markup(page, &["own"]), [""; 0], "{page}");
    }
    assert_ne!(
        controls(&without_colours("\u{1b}[1mbold\u{1b}[0m \u{1b}[5m")),
        ""
    );
    assert_ne!(elements("<img>"), elements(""));
    let heading = "# commands as they were run\n";
    let held = run_in_a_shell(&format!("{heading}docker exec a '$(: >pwned)'\n"));
    assert_eq!(held, [""; 0]);
    let loose = run_in_a_shell(&format!("{heading}docker exec a $(: >pwned)\n"));
    assert_eq!(loose, ["pwned"]);
    // The hostile rule is really the one that is lost, and its text is shown.
    let run = Run::with("<b>bold</b>");
    assert!(run.worst().verdict.is_silent_damage());
    assert!(run.show().contains("<b>bold</b>"));
    let (report, scripts) = run.evidence().unwrap();
    assert!(report.contains("<b>bold</b>"));
    assert!(!reproduce_in_a_shell(&scripts));
    let restored = scripts.replace("<<'END'", "<<END");
    for loose in [
        restored.replace("\"<b>bold</b>\"", "$(: >pwned)"),
        scripts.replace("'<b>bold</b>'", "$(: >pwned)"),
    ] {
        assert_ne!(loose, scripts);
        assert!(reproduce_in_a_shell(&loose), "{loose}");
    }
    let html = super::html::render(&run.matrix, &run.transcripts, KnownCauses::built_in()).unwrap();
    assert!(html.contains("&lt;b&gt;bold&lt;/b&gt;"));
}
