//! One run of everything, shared by all tests that look at what it saw.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use iptables_lab::judge::verdict::Verdict;
use iptables_lab::matrix::Matrix;
use iptables_lab::recording::{self, Recording};

/// The binary under test.
pub fn iptables_lab() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_iptables-lab"));
    for variable in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS"] {
        command.env_remove(variable);
    }
    // How messages are drawn depends on them.
    command.env("LC_ALL", "C.UTF-8").env("TERM", "xterm");
    // Builds of one's own, such as releases whose tarballs cannot be had here.
    if let Some(builds) =
        std::env::var_os("IPTABLES_LAB_BUILDS").filter(|builds| !builds.is_empty())
    {
        command.arg("--builds").arg(builds);
    }
    command
}

/// A run and what came of it.
pub struct FullRun {
    /// Everything that was seen.
    pub recording: Recording,
    /// The recording's file.
    pub file: PathBuf,
    /// What was printed as JSON.
    pub json: String,
    /// What was printed as tables.
    pub table: String,
    /// What the judge makes of the recording.
    pub matrix: Matrix,
}

/// The scenarios of [`full_run`].
const FULL: [&str; 10] = [
    "--scenario",
    "detect-v1",
    "--scenario",
    "kube-firewall",
    "--scenario",
    "kube-router",
    "--scenario",
    "mark-matches",
    "--scenario",
    "nft-native-filter",
];

/// A run of every operation in all pairings of the builds that this machine has, in some scenarios. Made once.
pub fn full_run() -> &'static FullRun {
    static RUN: OnceLock<FullRun> = OnceLock::new();
    RUN.get_or_init(|| run("full-run", "docker", &FULL))
}

/// The same without Docker. Made once.
pub fn native_run() -> &'static FullRun {
    static RUN: OnceLock<FullRun> = OnceLock::new();
    RUN.get_or_init(|| run("native-run", "native", &FULL))
}

/// A run of all scenarios in all pairings of the builds that this machine has: what is printed of what was written, and
/// what becomes of packets. Natively, which is quicker. Made once.
pub fn wide_run() -> &'static FullRun {
    static RUN: OnceLock<FullRun> = OnceLock::new();
    let only = ["--operation", "save", "--operation", "effect"];
    RUN.get_or_init(|| run("wide-run", "native", &only))
}

fn run(name: &str, engine: &str, options: &[&str]) -> FullRun {
    let folder = folder(name);
    let (file, json) = (folder.join("run.jsonl"), folder.join("matrix.json"));
    let mut command = iptables_lab();
    command
        .args(["--engine", engine, "matrix"])
        .args(options)
        .arg("--record")
        .arg(&file);
    command
        .args([
            "--format", "table", "--output", "-", "--format", "json", "--output",
        ])
        .arg(&json);
    let output = command.output().expect("the binary runs");
    assert!(output.status.success(), "{}", both(&output));
    let recording = recording::read(&file)
        .expect("the recording is whole")
        .recording;
    let matrix = Matrix::of(&recording);
    FullRun {
        recording,
        json: std::fs::read_to_string(&json).expect("the JSON was written"),
        table: String::from_utf8(output.stdout).expect("the table is UTF-8"),
        matrix,
        file,
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
        let file = folder("small-run").join("small.jsonl");
        let mut command = iptables_lab();
        command
            .args(["matrix", "--scenario", "kube-firewall", "--record"])
            .arg(&file)
            .args(["--writer", "debian-*-nft", "--reader", "debian-*-nft"]);
        let output = command.output().expect("the binary runs");
        assert!(output.status.success(), "{}", both(&output));
        let recording = recording::read(&file)
            .expect("the recording is whole")
            .recording;
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
    std::fs::create_dir_all(&folder).expect("the target directory can be written");
    folder
}

/// A program in `folder`, compiled from C so that it runs in a root that holds nothing else.
pub fn compiled(folder: &Path, source: &str) -> PathBuf {
    let (file, program) = (folder.join("program.c"), folder.join("program"));
    std::fs::write(&file, source).expect("the folder can be written");
    let mut command = Command::new("cc");
    command.arg("-static").arg("-o").args([&program, &file]);
    let output = command.output().expect("there is a C compiler");
    assert!(output.status.success(), "{}", both(&output));
    program
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
