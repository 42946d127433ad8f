//! The lab in a root that is not the machine's: as a machine's first process, in a PID namespace of its own, and in a chroot.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use iptables_lab::judge::Cell;
use iptables_lab::matrix::Matrix;
use nix::sys::signal::Signal;

use super::lab::{both, folder, small_run};
use super::lane::usual_store;

/// Commands that start the lab in the root `$0`, with the store `$1` in it and the other words as arguments, in place of
/// themselves.
const BEGIN: &str = "store=$1; shift; mount --bind \"$store\" \"$0/store\"; exec chroot \"$0\" /iptables-lab \"$@\"";

/// A run of the small run's pairings in the root `name`, which `prepare` finishes.
fn run(name: &str, namespaces: &[&str], prepare: &str) -> (PathBuf, Output) {
    let root = folder(name);
    std::fs::remove_dir_all(&root).unwrap();
    std::fs::create_dir_all(root.join("store")).unwrap();
    let program = root.join("iptables-lab");
    std::fs::copy(env!("CARGO_BIN_EXE_iptables-lab"), program).unwrap();
    let mut machine = Command::new("unshare");
    machine.args(namespaces);
    machine.args(["sh", "-euc", &format!("{prepare}; {BEGIN}")]);
    machine.arg(&root).arg(usual_store());
    machine.args(["--engine", "native", "--store", "/store", "matrix"]);
    machine.args(["--scenario", "kube-firewall", "--writer", "debian-*-nft"]);
    machine.args(["--reader", "debian-*-nft", "--operation", "all"]);
    machine.args(["--format", "json", "--output", "/report.json"]);
    let output = machine.output().unwrap();
    (root, output)
}

/// The report in `root` has the cells of a run on the machine itself. They were those of the machine's own iptables once, whichever
/// build was to run: who enters a mount namespace gets its root, and not that of whoever made it.
fn is_as_elsewhere(root: &Path) {
    let report = std::fs::read_to_string(root.join("report.json")).unwrap();
    let matrix = iptables_lab::report::json::read(&report).unwrap();
    assert_eq!(matrix.host.engine, "native (root)");
    let others = Matrix::of(&small_run().recording).cells;
    assert_eq!(matrix.cells.len(), others.len());
    for (one, other) in matrix.cells.iter().zip(&others) {
        let place = |of: &Cell| {
            (
                of.scenario.clone(),
                of.family,
                of.writer.clone(),
                of.reader.clone(),
            )
        };
        assert_eq!(place(one), place(other));
        // Of a report that is read back only the words of reasons are known.
        let outcome = |of: &Cell| serde_json::to_value(&*of.outcome).unwrap();
        assert_eq!((one.verdict, outcome(one)), (other.verdict, outcome(other)));
    }
}

#[test]
fn as_a_machines_first_process_it_mounts_what_it_needs_and_gives_the_same_answers() {
    needs!(Root, Engine);
    // Made before anything else: it makes the builds.
    small_run();
    let namespaces = ["--pid", "--fork", "--mount"];
    let (root, output) = run("first-process", &namespaces, "mount --bind \"$0\" \"$0\"");
    let said = both(&output);
    // That is what switching off is in a PID namespace.
    let signal = output.status.signal();
    assert_eq!(signal, Some(Signal::SIGINT as i32), "{said}");
    let last = "the lab ended with exit status 0; the machine is switched off\n";
    assert!(said.ends_with(last), "{said}");
    is_as_elsewhere(&root);
}

/// Whose root is no mount point.
#[test]
fn in_a_chroot_it_gives_the_same_answers() {
    needs!(Root, Engine);
    small_run();
    let prepare = "mkdir \"$0/proc\" \"$0/dev\"; mount -t proc proc \"$0/proc\"; mount --bind /dev \"$0/dev\"";
    let (root, output) = run("chroot", &["--mount"], prepare);
    assert!(output.status.success(), "{}", both(&output));
    is_as_elsewhere(&root);
}
