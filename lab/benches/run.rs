//! What runs of the lab cost beside the same commands bare: fork and exec in a network namespace, nothing else.
//!
//! Everything is measured in one go, with the same binaries. It prints the tables of docs/speed.md.
//!
//! `cargo bench --bench run -- [--quick] [--engine NAME]… [--builds FILE]… [--section NAME]… [--lanes N]…`; needs root, for
//! the bare side's namespaces. Sections are first-line, lanes, rules, builds, memory and verdicts: all of them if none is named.

#[path = "run/bare.rs"]
mod bare;
#[path = "multiply/mod.rs"]
mod multiply;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use iptables_lab::matrix::Matrix;
use iptables_lab::plan::Operation;
use iptables_lab::recording::{self, RecordingWriter};
use multiply::Copies;
use serde_json::Value;

type Failure = Box<dyn Error + Send + Sync>;

/// Upstream's iptables-test.py on the same two cores: tests a second.
const UPSTREAM: [(&str, f64); 2] = [("nft", 105.0), ("legacy", 227.0)];

/// What verdicts a second are counted for.
const OPERATIONS: [&str; 4] = ["write", "save", "rewrite", "recognition"];

/// What the lab is asked to run for the comparison with the bare commands: enough for the lanes' start, which goes on while
/// the first loads run, not to weigh. None has IP sets, without which bare commands would be refused at once.
const SCENARIOS: [&str; 10] = [
    "kube-firewall",
    "kube-router",
    "kube-proxy-nat",
    "kube-proxy-services",
    "docker",
    "docker-dns",
    "docker-userland",
    "cilium",
    "istio-init",
    "mark-matches",
];

fn main() -> Result<(), Failure> {
    let options = Options::read();
    let folder = tempfile::tempdir()?;
    let bench = Bench {
        folder: folder.path(),
        options,
    };
    let engines = bench.engines()?;
    println!("{}, {} cores", machine(), cores());
    if bench.is_asked_for("first-line") {
        bench.first_line()?;
    }
    for engine in &engines {
        if bench.is_asked_for("lanes") {
            bench.lanes(engine)?;
        }
        if bench.is_asked_for("rules") {
            bench.rules(engine)?;
        }
        if bench.is_asked_for("builds") {
            bench.builds(engine)?;
        }
        if bench.is_asked_for("verdicts") {
            bench.verdicts(engine)?;
        }
    }
    if bench.is_asked_for("memory") {
        for engine in &engines {
            bench.memory_of_a_run(engine)?;
        }
        bench.memory_of_reports()?;
    }
    Ok(())
}

/// What was asked for on the command line.
struct Options {
    is_quick: bool,
    engines: Vec<String>,
    builds: Vec<String>,
    sections: Vec<String>,
    lanes: Vec<usize>,
}

impl Options {
    fn read() -> Self {
        let mut options = Options {
            is_quick: false,
            engines: Vec::new(),
            builds: Vec::new(),
            sections: Vec::new(),
            lanes: Vec::new(),
        };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            match word.as_str() {
                "--quick" => options.is_quick = true,
                "--engine" => options.engines.extend(words.next()),
                "--builds" => options.builds.extend(words.next()),
                "--section" => options.sections.extend(words.next()),
                "--lanes" => {
                    let count = words.next().and_then(|count| count.parse::<usize>().ok());
                    options.lanes.extend(count);
                }
                // Cargo's own.
                _ => {}
            }
        }
        options
    }
}

/// How often the lab and the bare commands are run, by turns: a machine's speed varies by more than what is to be seen. The
/// round with the middle ratio is shown, and the ratios of all.
const ROUNDS: usize = 3;

/// A run of the lab, what the loads that began with every lane open took in it and bare, in seconds, and how many of its
/// transitions are distinct.
struct Round {
    run: Measured,
    lab: f64,
    bare: f64,
    distinct: usize,
}

impl Round {
    fn ratio(&self) -> f64 {
        self.lab / self.bare
    }
}

struct Bench<'f> {
    folder: &'f Path,
    options: Options,
}

/// A run of the lab, and what it said it took.
struct Measured {
    took: Duration,
    timings: Value,
    matrix: Matrix,
    recording: PathBuf,
}

impl Measured {
    fn seconds(&self, phase: &str) -> f64 {
        self.timings["seconds"][phase].as_f64().unwrap_or(0.0)
    }

    /// How many commands were asked for, run, and run to bring a state about again.
    fn commands(&self) -> [u64; 3] {
        let executed = &self.timings["executed"];
        ["asked", "run", "again"].map(|of| executed[of].as_u64().unwrap_or(0))
    }

    /// What the loads that began with every lane open took, in seconds: the lab's own time, and that of `bare` for the same
    /// loads.
    fn after_lanes(&self, bare: &[Duration]) -> (f64, f64) {
        let loads = self.timings["each_load"].as_array().into_iter().flatten();
        let after = loads
            .zip(bare)
            .filter(|(load, _)| load["after_lanes"] == true);
        after.fold((0.0, 0.0), |(lab, of_bare), (load, bare)| {
            let took = load["seconds"].as_f64().unwrap_or(0.0);
            (lab + took, of_bare + bare.as_secs_f64())
        })
    }

    fn number(&self, of: &str) -> f64 {
        self.timings[of].as_f64().unwrap_or(0.0)
    }

    /// How many verdicts about rules it came to.
    fn verdicts(&self) -> usize {
        let rules = self
            .matrix
            .cells
            .iter()
            .flat_map(|cell| &cell.outcome.rules);
        let of_rule = |rule: &iptables_lab::judge::RuleVerdict| {
            let verdicts = [
                rule.of(Operation::Write),
                rule.of(Operation::Save),
                rule.of(Operation::Rewrite),
                rule.of(Operation::Recognition),
            ];
            verdicts.iter().flatten().count()
        };
        rules.map(of_rule).sum()
    }
}

impl Bench<'_> {
    fn is_asked_for(&self, section: &str) -> bool {
        let asked = &self.options.sections;
        asked.is_empty() || asked.iter().any(|of| of == section)
    }

    /// The engines that work here, of those that were asked for.
    fn engines(&self) -> Result<Vec<String>, Failure> {
        let asked = match self.options.engines.is_empty() {
            true => vec!["native".to_owned(), "docker".to_owned()],
            false => self.options.engines.clone(),
        };
        let mut working = Vec::new();
        for engine in asked {
            // So that what follows finds every build made.
            let made = self
                .lab()
                .args(["--engine", &engine, "builds", "build"])
                .output()?;
            match made.status.success() {
                true => working.push(engine),
                false => println!(
                    "{engine} does not work here: {}",
                    String::from_utf8_lossy(&made.stderr).trim()
                ),
            }
        }
        Ok(working)
    }

    fn lab(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_iptables-lab"));
        // What is measured is run, and not remembered.
        command.env("IPTABLES_LAB_FRESH", "1");
        for file in &self.options.builds {
            command.args(["--builds", file]);
        }
        command
    }

    fn run(&self, engine: &str, arguments: &[&str]) -> Result<Measured, Failure> {
        let matrix = self.folder.join("matrix.json");
        let (took, timings, recording) = self.run_into(engine, arguments, &matrix)?;
        Ok(Measured {
            took,
            timings,
            matrix: iptables_lab::report::json::read(&std::fs::read_to_string(&matrix)?)?,
            recording,
        })
    }

    /// A run whose report goes to `matrix`: what it took, what it said of that, and its recording.
    fn run_into(
        &self,
        engine: &str,
        arguments: &[&str],
        matrix: &Path,
    ) -> Result<(Duration, Value, PathBuf), Failure> {
        let timings = self.folder.join("timings.json");
        let recording = self.folder.join("run.jsonl");
        let mut command = self.lab();
        command.args(["--quiet", "--engine", engine, "matrix", "--format", "json"]);
        command.arg("--output").arg(matrix);
        command.arg("--timings").arg(&timings);
        command.arg("--record").arg(&recording);
        command.args(arguments);
        let begun = Instant::now();
        let ran = command.stdout(Stdio::null()).output()?;
        let took = begun.elapsed();
        if !ran.status.success() {
            return Err(String::from_utf8_lossy(&ran.stderr).into());
        }
        let timings = serde_json::from_str(&std::fs::read_to_string(&timings)?)?;
        Ok((took, timings, recording))
    }

    /// The builds of iptables that there are, by id.
    fn ids(&self, engine: &str) -> Result<Vec<String>, Failure> {
        let all = self.run(
            engine,
            &["--scenario", "kube-firewall", "--operation", "save"],
        )?;
        let builds = all.matrix.builds.iter();
        Ok(builds.map(|build| build.id.to_string()).collect())
    }

    /// How long it takes until something is said.
    fn first_line(&self) -> Result<(), Failure> {
        let begun = Instant::now();
        let mut child = self
            .lab()
            .args(["matrix", "--scenario", "kube-firewall"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut said = String::new();
        if let Some(errors) = child.stderr.take() {
            std::io::BufRead::read_line(&mut std::io::BufReader::new(errors), &mut said)?;
        }
        let took = begun.elapsed();
        // What it started it takes away again.
        let id = nix::unistd::Pid::from_raw(i32::try_from(child.id())?);
        nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGINT)?;
        child.wait()?;
        println!("\n| | |\n|---|---|");
        println!(
            "| from the command to the first line of progress | {:.0} ms |",
            took.as_secs_f64() * 1e3
        );
        Ok(())
    }

    /// The lab beside the bare commands, with more and more lanes.
    fn lanes(&self, engine: &str) -> Result<(), Failure> {
        println!("\n{engine}: {}\n", SCENARIOS.join(", "));
        println!(
            "| engine | `--lanes` | lanes | asked for | run | again | distinct | the run | in lanes | bare | lab : bare | start | plan | lanes' start | judge | record | report | memory |"
        );
        println!("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|");
        let lanes: &[usize] = match (self.options.is_quick, &self.options.lanes[..]) {
            (true, _) => &[2],
            (false, []) => &[1, 2, 4, 8],
            (false, asked) => asked,
        };
        for lanes in lanes {
            let count = lanes.to_string();
            let mut arguments = vec!["--lanes", &count];
            let scenarios = match self.options.is_quick {
                true => &["kube-firewall"],
                false => &SCENARIOS[..],
            };
            arguments.extend(scenarios.iter().flat_map(|name| ["--scenario", name]));
            arguments.extend(OPERATIONS.iter().flat_map(|of| ["--operation", of]));
            let mut rounds = Vec::new();
            for _ in 0..if self.options.is_quick { 1 } else { ROUNDS } {
                rounds.push(self.round(engine, &arguments)?);
            }
            rounds.sort_by(|one, other| one.ratio().total_cmp(&other.ratio()));
            let ratios: Vec<_> = rounds
                .iter()
                .map(|of| format!("{:.2}", of.ratio()))
                .collect();
            let Round {
                run,
                lab,
                bare,
                distinct,
            } = &rounds[rounds.len() / 2];
            let [asked, executed, again] = run.commands();
            println!(
                "| {engine} | {lanes} | {} | {asked} | {executed} | {again} | {distinct} | {:.2} s | {lab:.2} s | {bare:.2} s | {} | {} |",
                run.number("lanes"),
                run.seconds("run"),
                ratios.join(", "),
                phases(run)
            );
        }
        Ok(())
    }

    /// A run of the lab, and its commands bare.
    fn round(&self, engine: &str, arguments: &[&str]) -> Result<Round, Failure> {
        let run = self.run(engine, arguments)?;
        let recording = recording::read(&run.recording)?.recording;
        let bare = bare::bare(&recording, run.number("lanes") as usize, self.folder)?;
        let (lab, bare) = run.after_lanes(&bare);
        let distinct = recording::distinct_transitions(&recording);
        Ok(Round {
            run,
            lab,
            bare,
            distinct,
        })
    }

    /// How the whole grows with the rules.
    fn rules(&self, engine: &str) -> Result<(), Failure> {
        println!("\n{engine}: rules, three nft writers and readers that Debian has\n");
        println!(
            "| rules | pairings | the run | a rule and pairing | judge | memory |\n|---|---|---|---|---|---|"
        );
        let most = if self.options.is_quick { 1000 } else { 10_000 };
        for rules in [10, 100, 1000, 10_000] {
            if rules > most {
                continue;
            }
            let file = self.folder.join("many.save");
            std::fs::write(&file, ruleset(rules))?;
            let file = file.to_string_lossy().into_owned();
            let mut arguments = vec!["--rules", &file, "--timeout", "60"];
            arguments.extend([
                "--writer",
                "debian-1.8.[79]*-nft",
                "--reader",
                "debian-1.8.[79]*-nft",
            ]);
            arguments.extend(OPERATIONS.iter().flat_map(|of| ["--operation", of]));
            let run = self.run(engine, &arguments)?;
            let pairings = run.matrix.cells.len();
            println!(
                "| {rules} | {pairings} | {:.2} s | {:.1} µs | {:.3} s | {:.0} MB |",
                run.seconds("run"),
                run.seconds("run") * 1e6 / (rules * pairings) as f64,
                run.seconds("judge"),
                run.number("peak_memory") / 1e6
            );
        }
        Ok(())
    }

    /// How the whole grows with the builds.
    fn builds(&self, engine: &str) -> Result<(), Failure> {
        let ids = self.ids(engine)?;
        println!("\n{engine}: builds; there are {} here\n", ids.len());
        println!(
            "| builds | pairings and families | the run | a pairing | memory |\n|---|---|---|---|---|"
        );
        for count in [2, 5, 10, 20] {
            if count > ids.len() || self.options.is_quick && count > 5 {
                break;
            }
            let mut arguments = vec!["--scenario", "kube-firewall"];
            let chosen = ids[..count].iter();
            arguments.extend(chosen.flat_map(|id| ["--writer", id, "--reader", id]));
            arguments.extend(OPERATIONS.iter().flat_map(|of| ["--operation", of]));
            let run = self.run(engine, &arguments)?;
            let pairings = run.matrix.cells.len();
            println!(
                "| {count} | {pairings} | {:.2} s | {:.1} ms | {:.0} MB |",
                run.seconds("run"),
                run.seconds("run") * 1e3 / pairings as f64,
                run.number("peak_memory") / 1e6
            );
        }
        Ok(())
    }

    /// Verdicts a second, beside upstream's own test suite.
    fn verdicts(&self, engine: &str) -> Result<(), Failure> {
        println!("\n{engine}: {} over all scenarios\n", OPERATIONS.join(", "));
        println!(
            "| backend | verdicts | the run | a second | upstream's iptables-test.py | times |\n|---|---|---|---|---|---|"
        );
        for (backend, upstream) in UPSTREAM {
            let of_backend = format!("*-{backend}");
            let mut arguments = vec!["--writer", &of_backend, "--reader", &of_backend];
            if self.options.is_quick {
                arguments.extend(["--scenario", "kube-*"]);
            }
            arguments.extend(OPERATIONS.iter().flat_map(|of| ["--operation", of]));
            let run = self.run(engine, &arguments)?;
            let rate = run.verdicts() as f64 / run.took.as_secs_f64();
            println!(
                "| {backend} | {} | {:.1} s | {rate:.0} | {upstream:.0} | {:.0} |",
                run.verdicts(),
                run.took.as_secs_f64(),
                rate / upstream
            );
        }
        Ok(())
    }

    /// The memory of a run of as many pairings as there are, up to 400, and 10,000 rules.
    fn memory_of_a_run(&self, engine: &str) -> Result<(), Failure> {
        let (rules, builds) = match self.options.is_quick {
            true => (1000, 5),
            false => (10_000, 20),
        };
        let mut ids = self.ids(engine)?;
        ids.truncate(builds);
        let file = self.folder.join("many.save");
        std::fs::write(&file, ruleset(rules))?;
        let file = file.to_string_lossy().into_owned();
        let mut arguments = vec!["--rules", &file, "--timeout", "120"];
        arguments.extend(ids.iter().flat_map(|id| ["--writer", id, "--reader", id]));
        arguments.extend(OPERATIONS.iter().flat_map(|of| ["--operation", of]));
        let report = Path::new("/dev/null");
        let (took, timings, _) = self.run_into(engine, &arguments, report)?;
        println!(
            "\n{engine}: {} pairings and {rules} rules, run, recorded, judged and reported as JSON: {:.0} s, {:.0} MB",
            ids.len() * ids.len(),
            took.as_secs_f64(),
            timings["peak_memory"].as_f64().unwrap_or(0.0) / 1e6
        );
        Ok(())
    }

    /// The memory of a recording of 400 pairings and 10,000 rules, made of a real one, judged and reported.
    fn memory_of_reports(&self) -> Result<(), Failure> {
        let name = "kube-firewall-by-1.8.9.jsonl";
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/recordings");
        let recorded = recording::read(&folder.join(name))?.recording;
        let (rules, builds) = match self.options.is_quick {
            true => (1000, 5),
            false => (10_000, 20),
        };
        let large = multiply::rules(&recorded, rules / 4, Copies::Rules);
        let large = multiply::builds(&large, builds);
        let file = self.folder.join("large.jsonl");
        let mut writer = RecordingWriter::create(&file)?;
        writer.head(&large.head)?;
        for load in &large.loads {
            writer.load(load)?;
        }
        if let Some(end) = &large.end {
            writer.end(end)?;
        }
        drop(large);
        println!(
            "\n{} pairings and {rules} rules, judged and reported\n",
            builds * builds
        );
        println!("| report | took | memory |\n|---|---|---|");
        for format in ["table", "json"] {
            let timings = self.folder.join("replay.json");
            let mut replay = self.lab();
            replay.arg("replay").arg(&file).args(["--format", format]);
            replay.arg("--output").arg(self.folder.join("report"));
            replay.arg("--timings").arg(&timings);
            let begun = Instant::now();
            let ran = replay.output()?;
            if !ran.status.success() {
                return Err(String::from_utf8_lossy(&ran.stderr).into());
            }
            let took = begun.elapsed();
            let timings: Value = serde_json::from_str(&std::fs::read_to_string(&timings)?)?;
            println!(
                "| {format} | {:.1} s | {:.0} MB |",
                took.as_secs_f64(),
                timings["peak_memory"].as_f64().unwrap_or(0.0) / 1e6
            );
        }
        Ok(())
    }
}

fn phases(run: &Measured) -> String {
    let seconds = |phase| format!("{:.2} s", run.seconds(phase));
    let phases = ["start", "plan", "lanes", "judge", "record", "report"].map(seconds);
    let memory = format!("{:.0} MB", run.number("peak_memory") / 1e6);
    format!("{} | {memory}", phases.join(" | "))
}

/// A ruleset of so many rules, in chains of a hundred as systems have them.
fn ruleset(rules: usize) -> String {
    const A_CHAIN: usize = 100;
    let mut text =
        String::from("*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n");
    let chains = rules.div_ceil(A_CHAIN);
    for chain in 0..chains {
        text.push_str(&format!(":MANY-{chain} - [0:0]\n"));
    }
    for rule in 0..rules {
        let (chain, host) = (rule / A_CHAIN, rule % A_CHAIN + 1);
        text.push_str(&format!(
            "-A MANY-{chain} -s 10.{}.{}.{host}/32 -p tcp -m tcp --dport {} -j ACCEPT\n",
            chain / 250,
            chain % 250,
            1000 + rule % 50_000
        ));
    }
    text.push_str("COMMIT\n");
    text
}

fn machine() -> String {
    let name = nix::sys::utsname::uname();
    name.map_or_else(
        |_| "an unknown machine".to_owned(),
        |name| {
            let words = [name.sysname(), name.release(), name.machine()];
            words
                .map(|word| word.to_string_lossy().into_owned())
                .join(" ")
        },
    )
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}
