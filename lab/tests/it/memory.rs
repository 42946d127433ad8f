//! What runs learn of transitions is kept: a later run does not run it again, and comes to the same.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use rstest::rstest;
use serde_json::Value;

use super::lab::{both, iptables_lab, small_run};
use super::lane::store_of_its_own;

/// A run of the small run's pairing, all operations, in a store of its own.
struct Runs {
    folder: tempfile::TempDir,
    store: PathBuf,
}

impl Runs {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // So that what it takes is built.
        small_run();
        let store = store_of_its_own(folder.path());
        Runs { folder, store }
    }

    fn lab(&self, arguments: &[&str]) -> Output {
        let mut command = self.command(arguments);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", both(&output));
        output
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = iptables_lab();
        command
            .env_remove("IPTABLES_LAB_FRESH")
            .arg("--store")
            .arg(&self.store)
            .args(arguments);
        command
    }

    /// The report of a run, and what was said meanwhile.
    fn run(&self, more: &[&str]) -> (Value, String) {
        let report = self.folder.path().join("report.json");
        let mut command = self.matrix(more);
        command.args(["--format", "json", "--output"]).arg(&report);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", both(&output));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let report = fs::read(report).unwrap();
        (serde_json::from_slice(&report).unwrap(), said)
    }

    fn matrix(&self, more: &[&str]) -> Command {
        let small = small_run();
        let pairing = ["--writer", &small.writer, "--reader", &small.reader];
        let of = ["--scenario", "kube-firewall", "--operation", "all"];
        let mut command = self.command(&["--engine", "native", "matrix"]);
        command.args(of).args(pairing).args(more);
        command
    }

    /// The files with transitions.
    fn files(&self) -> Vec<PathBuf> {
        let list = |folder: &Path| -> Vec<PathBuf> {
            let entries = fs::read_dir(folder).unwrap();
            entries.map(|entry| entry.unwrap().path()).collect()
        };
        let machines = list(&self.store.join("memory"));
        let files = machines.iter().flat_map(|folder| list(folder));
        let is_one = |path: &PathBuf| path.extension().is_some_and(|of| of == "transitions");
        files.filter(is_one).collect()
    }
}

/// Of a report, what does not depend on when it was run and on how much was known.
fn results(report: &Value) -> Value {
    let mut results = report.clone();
    for volatile in ["started", "finished", "commands"] {
        results.as_object_mut().unwrap().remove(volatile).unwrap();
    }
    results
}

/// How many commands a run asked for, ran, and knew from earlier runs.
fn commands(report: &Value) -> [u64; 3] {
    ["asked", "run", "before"].map(|of| report["commands"][of].as_u64().unwrap())
}

#[test]
fn a_second_run_runs_nothing_and_comes_to_the_same() {
    needs!(Native, Engine);
    let runs = Runs::new();
    let (first, _) = runs.run(&[]);
    let [asked, run, before] = commands(&first);
    assert!(run > 0 && before == 0, "{:?}", commands(&first));
    let (second, _) = runs.run(&[]);
    assert_eq!(commands(&second), [asked, 0, asked]);
    assert!(second["commands"]["oldest"].is_string());
    assert_eq!(results(&second), results(&first));
    // Who believes nothing runs it all, and leaves nothing.
    let files = runs.files();
    let (fresh, _) = runs.run(&["--fresh"]);
    assert_eq!(commands(&fresh), [asked, run, 0]);
    assert_eq!(results(&fresh), results(&first));
    assert_eq!(runs.files(), files);
    let list = runs.lab(&["memory"]);
    let said = String::from_utf8_lossy(&list.stdout);
    assert!(said.contains("native (root) as root"), "{said}");
    let cleared = runs.lab(&["memory", "clear"]);
    assert!(both(&cleared).contains("removed 0.0"), "{}", both(&cleared));
    assert!(runs.files().is_empty());
    let (again, _) = runs.run(&[]);
    assert_eq!(commands(&again), [asked, run, 0]);
}

/// With more readers only what is new for them is run.
#[test]
fn one_build_more_is_what_is_run() {
    needs!(Native, Engine);
    let runs = Runs::new();
    let (first, _) = runs.run(&[]);
    let more = ["--reader", "debian-*-nft"];
    let (later, _) = runs.run(&more);
    let (fresh, _) = runs.run(&[more.as_slice(), &["--fresh"]].concat());
    assert_eq!(results(&later), results(&fresh));
    let [first, later, fresh] = [&first, &later, &fresh].map(|report| commands(report)[1]);
    assert!(
        0 < later && first + later <= fresh,
        "{first}, {later}, {fresh}"
    );
}

/// What is known of one build goes alone.
#[test]
fn one_build_is_forgotten() {
    needs!(Native, Engine);
    let runs = Runs::new();
    let (first, _) = runs.run(&[]);
    let reader = small_run().reader.clone();
    let list = |runs: &Runs| both(&runs.lab(&["memory", "list", "--by-build"]));
    assert!(list(&runs).contains(&reader), "{}", list(&runs));
    runs.lab(&["memory", "clear", "--build", &reader]);
    assert!(!list(&runs).contains(&reader), "{}", list(&runs));
    let (second, _) = runs.run(&[]);
    let ([asked, run, _], [_, anew, before]) = (commands(&first), commands(&second));
    assert!(0 < anew && anew < run && 0 < before && before < asked);
    assert_eq!(results(&second), results(&first));
    let unknown = runs.command(&["memory", "clear", "--build", "no-such"]);
    let output = { unknown }.output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", both(&output));
}

#[derive(Debug, Clone, Copy)]
enum Damage {
    /// The end is missing, as of a run that was killed.
    CutOff,
    /// Bytes in the middle are others.
    Flipped,
    /// It is of another version of the lab.
    OtherVersion,
    /// It is no file.
    Folder,
}

#[rstest]
#[case(Damage::CutOff, "its end is cut off")]
#[case(Damage::Flipped, "byte ")]
#[case(Damage::OtherVersion, "of this version of the lab")]
#[case(Damage::Folder, "Is a directory")]
fn what_is_damaged_is_said_and_run_anew(#[case] damage: Damage, #[case] says: &str) {
    needs!(Native, Engine);
    let runs = Runs::new();
    let (first, _) = runs.run(&[]);
    let files = runs.files();
    let [file] = files.as_slice() else {
        panic!("{files:?}");
    };
    let mut bytes = fs::read(file).unwrap();
    match damage {
        Damage::CutOff => bytes.truncate(bytes.len() - 5),
        Damage::Flipped => {
            let end = bytes.len();
            bytes[end - 400..end - 300].fill(7);
        }
        Damage::OtherVersion => bytes[7] = b'0',
        Damage::Folder => bytes.clear(),
    }
    fs::remove_file(file).unwrap();
    match damage {
        Damage::Folder => fs::create_dir(file).unwrap(),
        _ => fs::write(file, bytes).unwrap(),
    }
    let (second, said) = runs.run(&[]);
    let named = file.file_name().unwrap().to_str().unwrap();
    assert!(said.contains(named) && said.contains(says), "{said}");
    assert!(commands(&second)[1] > 0);
    assert_eq!(results(&second), results(&first));
    if matches!(damage, Damage::CutOff) {
        let (third, said) = runs.run(&[]);
        assert!(!said.contains(named), "{said}");
        assert_eq!(commands(&third)[1], 0);
    }
}

#[test]
fn where_nothing_can_be_kept_that_is_said_and_the_run_goes_on() {
    needs!(Native, Engine);
    let runs = Runs::new();
    fs::create_dir_all(&runs.store).unwrap();
    let (first, _) = runs.run(&["--fresh"]);
    // A file where the machine's folder would be: root may write anywhere else.
    let (_, _) = runs.run(&[]);
    let folder = runs.files()[0].parent().unwrap().to_owned();
    fs::remove_dir_all(&folder).unwrap();
    fs::write(&folder, "").unwrap();
    let (second, said) = runs.run(&[]);
    assert!(said.contains("memory: "), "{said}");
    assert!(said.contains("the run goes on without"), "{said}");
    assert_eq!(results(&second), results(&first));
}

/// What a killed run had written is known to the next one, and what it had not is run.
#[test]
fn a_killed_run_leaves_whole_transitions() {
    needs!(Native, Engine);
    let runs = Runs::new();
    let (first, _) = runs.run(&["--fresh"]);
    let mut child = runs.matrix(&["--quiet"]).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(400));
    child.kill().unwrap();
    child.wait().unwrap();
    let (second, said) = runs.run(&[]);
    assert!(!said.contains("memory: "), "{said}");
    assert_eq!(results(&second), results(&first));
}

#[test]
fn the_oldest_goes_first() {
    needs!(Native, Engine);
    let runs = Runs::new();
    runs.run(&["--memory-limit", "0"]);
    assert!(runs.files().is_empty());
    runs.run(&["--memory-limit", "1"]);
    assert_eq!(runs.files().len(), 1);
}

/// The blocks of a file with transitions: the ids of each, and its text.
fn blocks(mut bytes: &[u8]) -> Vec<(Vec<u8>, String)> {
    let mut blocks = Vec::new();
    bytes = &bytes[8..];
    while !bytes.is_empty() {
        let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        let (ids, length) = (32 * number(0), number(4));
        let contents = &bytes[8 + ids..8 + ids + length];
        let mut text = String::new();
        GzDecoder::new(contents).read_to_string(&mut text).unwrap();
        blocks.push((bytes[8..8 + ids].to_vec(), text));
        bytes = &bytes[8 + ids + length..];
    }
    blocks
}

/// As [`blocks`] takes it apart.
fn file_of(blocks: &[(Vec<u8>, String)]) -> Vec<u8> {
    let mut bytes = b"iptlabM2".to_vec();
    for (ids, text) in blocks {
        let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
        packer.write_all(text.as_bytes()).unwrap();
        let contents = packer.finish().unwrap();
        for number in [ids.len() / 32, contents.len()] {
            bytes.extend(u32::try_from(number).unwrap().to_le_bytes());
        }
        bytes.extend(ids);
        bytes.extend(contents);
    }
    bytes
}

/// What a reader printed is changed in the memory, as if its build had read what lay in memory: it is found, named, and run from
/// then on.
#[test]
fn what_came_otherwise_is_named_and_not_believed_again() {
    needs!(Native, Engine);
    let runs = Runs::new();
    let (first, _) = runs.run(&[]);
    let [_, run, _] = commands(&first);
    let (verified, _) = runs.run(&["--verify", "100"]);
    assert_eq!(commands(&verified)[1], run);
    assert_eq!(results(&verified), results(&first));
    let file = runs.files().remove(0);
    let mut all = blocks(&fs::read(&file).unwrap());
    let (asked, other) = ("-j DROP", "-j ACCEPT");
    let changed = all.iter().filter(|(_, text)| text.contains(asked)).count();
    assert!(changed > 0);
    for (_, text) in &mut all {
        let mut block: Value = serde_json::from_str(text).unwrap();
        let bursts = block["bursts"].as_array_mut().unwrap();
        for answer in bursts
            .iter_mut()
            .flat_map(|burst| burst["answers"].as_array_mut().unwrap())
        {
            let said = answer.pointer_mut("/ran/stdout");
            if let Some(Value::String(said)) = said {
                *said = said.replace(asked, other);
            }
        }
        *text = block.to_string();
    }
    fs::write(&file, file_of(&all)).unwrap();
    // Who believes it is wrong.
    let (believed, _) = runs.run(&[]);
    assert_ne!(results(&believed), results(&first));
    let verified = runs.matrix(&["--verify", "100"]).output().unwrap();
    assert_eq!(verified.status.code(), Some(70), "{}", both(&verified));
    let said = String::from_utf8_lossy(&verified.stderr).replace('\n', " ");
    assert!(said.contains("-nft-save"), "{said}");
    assert!(said.contains("in an earlier run"), "{said}");
    let (after, _) = runs.run(&[]);
    assert!(commands(&after)[1] > 0);
    assert_eq!(results(&after), results(&first));
}
