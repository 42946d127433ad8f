//! Runs that tests share which look at what they saw. Each is made once a suite, whichever target needs it first.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::SystemTime;

use iptables_lab::catalog::Backend;
use iptables_lab::judge::Cell;
use iptables_lab::judge::verdict::Verdict;
use iptables_lab::matrix::Matrix;
use iptables_lab::recording::{self, Recording};
use nix::fcntl::{Flock, FlockArg};

use super::need;

/// The binary under test.
pub fn iptables_lab() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_iptables-lab"));
    for variable in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS"] {
        command.env_remove(variable);
    }
    // How messages are drawn depends on them.
    command.env("LC_ALL", "C.UTF-8").env("TERM", "xterm");
    // What is tested is run, and not known from an earlier test.
    command.env("IPTABLES_LAB_FRESH", "1");
    // Builds of one's own, such as releases whose tarballs cannot be had here.
    if let Some(builds) =
        std::env::var_os("IPTABLES_LAB_BUILDS").filter(|builds| !builds.is_empty())
    {
        command.arg("--builds").arg(builds);
    }
    command
}

/// A run and what came of it. It is read and judged where a test looks at that.
pub struct FullRun {
    /// The recording's file.
    pub file: PathBuf,
    /// What was printed as JSON.
    pub json: String,
    /// What was printed as tables.
    pub table: String,
    recording: OnceLock<Recording>,
    matrix: OnceLock<Matrix>,
}

impl FullRun {
    /// Everything that was seen.
    pub fn recording(&self) -> &Recording {
        self.recording.get_or_init(|| read(&self.file))
    }

    /// What the judge makes of the recording.
    pub fn matrix(&self) -> &Matrix {
        self.matrix.get_or_init(|| Matrix::of(self.recording()))
    }
}

/// The scenarios of [`full_run`].
pub const FULL: [&str; 8] = [
    "--scenario",
    "detect-v1",
    "--scenario",
    "kube-firewall",
    "--scenario",
    "kube-router",
    "--scenario",
    "nft-native-filter",
];

/// A run of every operation in all pairings of the builds that this machine has, in some scenarios.
pub fn full_run() -> &'static FullRun {
    static RUN: OnceLock<FullRun> = OnceLock::new();
    RUN.get_or_init(|| run("full-run", &[&FULL[..], &["--operation", "all"]].concat()))
}

/// A run of what decides about a pairing in all pairings of the builds that this machine has, in the scenarios of marks.
pub fn marks_run() -> &'static FullRun {
    static RUN: OnceLock<FullRun> = OnceLock::new();
    let scenarios = ["--scenario", "kube-firewall", "--scenario", "mark-matches"];
    RUN.get_or_init(|| run("marks-run", &scenarios))
}

/// Scenarios with pairings that are all, or for some writers all, across backends.
const ACROSS: [&str; 3] = [
    "detect-v3-before-kubelet",
    "mixed-backends",
    "upgrade-other-backend",
];

/// Runs of all scenarios in all pairings within a backend of the builds that this machine has, nft's first, and of those which
/// are of others: what is printed of what was written, and what becomes of packets. Across backends nothing of another's rules
/// is printed; [`full_run`] has that.
pub fn wide_runs() -> &'static [FullRun; 3] {
    static RUNS: OnceLock<[FullRun; 3]> = OnceLock::new();
    let only = ["--operation", "save", "--operation", "effect"];
    RUNS.get_or_init(|| {
        let [nft, legacy] = Backend::ALL.map(|backend| {
            let of_backend = [&only[..], &["--backend", backend.as_str()]].concat();
            run(&format!("wide-run-{backend}"), &of_backend)
        });
        let named = ACROSS.iter().flat_map(|name| ["--scenario", name]);
        let across: Vec<&str> = only.into_iter().chain(named).collect();
        [nft, legacy, run("wide-run-across", &across)]
    })
}

/// All cells of the wide runs.
pub fn wide_cells() -> impl Iterator<Item = &'static Cell> {
    wide_runs().iter().flat_map(|run| &run.matrix().cells)
}

/// Has `make` put something into a folder, unless another target of this suite has done so. The suite's name is written
/// last: a folder without it holds what another suite made, or half of something.
fn once_a_suite(folder: &Path, make: impl FnOnce()) {
    let lock = File::create(folder.join("lock")).expect("the folder can be written");
    let _held = Flock::lock(lock, FlockArg::LockExclusive).expect("it can be locked");
    let made_by = folder.join("made-by");
    if fs::read_to_string(&made_by).is_ok_and(|suite| suite == need::suite()) {
        return;
    }
    let _ = fs::remove_file(&made_by);
    make();
    fs::write(&made_by, need::suite()).expect("the folder can be written");
}

fn read(file: &Path) -> Recording {
    let stored = recording::read(file).expect("the recording is whole");
    stored.recording
}

/// Runs natively, which is quicker.
fn run(name: &str, options: &[&str]) -> FullRun {
    let folder = folder(name);
    let (file, json, table) = (
        folder.join("run.jsonl"),
        folder.join("matrix.json"),
        folder.join("table.txt"),
    );
    once_a_suite(&folder, || {
        let mut command = iptables_lab();
        command
            .args(["--engine", "native", "matrix"])
            .args(options)
            .arg("--record")
            .arg(&file);
        command
            .args([
                "--full", "--format", "table", "--output", "-", "--format", "json", "--output",
            ])
            .arg(&json);
        let output = command.output().expect("the binary runs");
        assert!(output.status.success(), "{}", both(&output));
        fs::write(&table, output.stdout).expect("the folder can be written");
    });
    let [json, table] = [json, table].map(|path| fs::read_to_string(path).expect("it is text"));
    FullRun {
        file,
        json,
        table,
        recording: OnceLock::new(),
        matrix: OnceLock::new(),
    }
}

/// A run of kubelet's rule between Debian's nft builds: the smallest one in which a mark is lost.
pub struct SmallRun {
    /// Everything that was seen.
    pub recording: Recording,
    /// The recording's file.
    pub file: PathBuf,
    /// Who writes what the reader loses.
    pub writer: String,
    /// Who loses it.
    pub reader: String,
}

/// The run, made once.
pub fn small_run() -> &'static SmallRun {
    static RUN: OnceLock<SmallRun> = OnceLock::new();
    RUN.get_or_init(|| {
        let folder = folder("small-run");
        let file = folder.join("small.jsonl");
        once_a_suite(&folder, || {
            let mut command = iptables_lab();
            command
                .args(["matrix", "--scenario", "kube-firewall", "--record"])
                .arg(&file)
                .args(["--writer", "debian-*-nft", "--reader", "debian-*-nft"])
                .args(["--operation", "all"]);
            let output = command.output().expect("the binary runs");
            assert!(output.status.success(), "{}", both(&output));
        });
        let recording = read(&file);
        let lossy = Matrix::of(&recording)
            .cells
            .into_iter()
            .find(|cell| cell.verdict == Verdict::Lossy)
            .expect("1.8.7 loses the marks of all newer ones");
        SmallRun {
            recording,
            file,
            writer: lossy.writer.to_string(),
            reader: lossy.reader.to_string(),
        }
    })
}

/// A folder that outlives the tests, for who wants to look at what they ran; the next run takes its place.
pub fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&folder).expect("the target directory can be written");
    folder
}

/// The seed that is given, else of the clock; it is printed, so that a failure can be had again.
pub fn seed() -> u64 {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap();
    let given = std::env::var("IPTABLES_LAB_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seed: u64 = given.unwrap_or(now.as_nanos() as u64) | 1;
    println!("IPTABLES_LAB_SEED={seed}");
    seed
}

/// A program in `folder`, compiled from C so that it runs in a root that holds nothing else.
pub fn compiled(folder: &Path, source: &str) -> PathBuf {
    let (file, program) = (folder.join("program.c"), folder.join("program"));
    fs::write(&file, source).expect("the folder can be written");
    let mut command = Command::new("cc");
    command.arg("-static").arg("-o").args([&program, &file]);
    let output = command.output().expect("there is a C compiler");
    assert!(output.status.success(), "{}", both(&output));
    program
}

/// The cells of a matrix in JSON, each with what came of it in the place of its outcome's number.
pub fn joined(matrix: &serde_json::Value) -> Vec<serde_json::Value> {
    let cells = matrix["cells"].as_array().unwrap().clone();
    let at = |value: &serde_json::Value| usize::try_from(value.as_u64().unwrap()).unwrap();
    let encodings = &matrix["encodings"];
    let encoding = |value: &serde_json::Value| match value.is_null() {
        true => serde_json::Value::Null,
        false => encodings["distinct"][at(value)].clone(),
    };
    let joined = cells.into_iter().map(|mut cell| {
        cell["outcome"] = matrix["outcomes"][at(&cell["outcome"])].clone();
        let mut encoded = encodings["lists"][at(&cell["encoded"])].clone();
        for of in encoded["written"].as_array_mut().unwrap() {
            *of = encoding(of);
        }
        for of in encoded["rewritten"].as_array_mut().unwrap() {
            of[1] = encoding(&of[1]);
        }
        cell["encoded"] = encoded;
        // Which cause it is may depend on what else ran.
        let losses = matrix["losses"][at(&cell["losses"])].as_array().unwrap();
        let lost = losses
            .iter()
            .map(|of| format!("{} {}", of["rule"], of["part"]));
        let lost: std::collections::BTreeSet<String> = lost.collect();
        cell["losses"] = lost.into_iter().collect();
        cell
    });
    joined.collect()
}

/// What a command printed, for messages.
pub fn both(output: &Output) -> String {
    format!(
        "{}\n--- standard output\n{}\n--- standard error\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// What a run came to, by line: its standard output but for when it began and how long it took, in
/// which equal runs differ.
pub fn results(output: &Output) -> Vec<String> {
    let text = String::from_utf8_lossy(&output.stdout);
    let lines = text.lines().filter(|line| !line.starts_with("Began "));
    lines.map(str::to_owned).collect()
}
