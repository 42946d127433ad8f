//! What tests need of the machine. Where it lacks that, a test does not run, says so, and is counted.
//!
//! A test begins with `needs!(Native)`, or whatever it needs. Each one that does not run is a line in a file of the suite,
//! which is everything that one `cargo test` runs; the last target (summary.rs) counts them.

use std::fmt;
use std::fs;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::thread;

use nix::libc;
use nix::sched::{CloneFlags, unshare};
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};
use nix::unistd::{geteuid, getppid};

/// Something that a machine may lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// The native engine, with rules of both backends, and Debian's builds.
    Native,
    /// A Docker daemon, and the same in its containers.
    Docker,
    /// The engine that `auto` takes.
    Engine,
    /// Root that may make namespaces and mount.
    Root,
    /// The same, and a kernel with nf_tables, legacy tables and sets.
    Netfilter,
    /// The machine's own iptables, of both backends.
    Iptables,
    /// 1.8.11, whose tarball Debian has.
    Release,
    /// Debian's packages, fetched now.
    Packages,
    /// A browser.
    Chromium,
    /// git.
    Git,
}

/// Ends a test where the machine lacks something that it needs.
#[allow(unused_macros, reason = "a target need not need anything")]
macro_rules! needs {
    ($($need:expr),+ $(,)?) => {
        {
            #[allow(unused_imports)]
            use $crate::need::Need::*;
            fn here() {}
            if !$crate::need::are_met(&[$($need),+], std::any::type_name_of_val(&here)) {
                return;
            }
        }
    };
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Need::Native => "network namespaces with iptables in them",
            Need::Docker => "Docker",
            Need::Engine => "an engine",
            Need::Root => "root",
            Need::Netfilter => "root and netfilter",
            Need::Iptables => "the machine's own iptables",
            Need::Release => "iptables 1.8.11",
            Need::Packages => "Debian's packages",
            Need::Chromium => "Chromium",
            Need::Git => "git",
        })
    }
}

/// Whether the machine has all of this. If not, it is said, and counted, that the test does not run.
///
/// The test runner names a test's thread like the test, but for where it runs all tests in one: `here` is the function.
pub fn are_met(needs: &[Need], here: &str) -> bool {
    let lacking = needs.iter().find_map(|need| Some((need, lacks(*need)?)));
    let Some((need, why)) = lacking else {
        return true;
    };
    let thread = thread::current();
    let test = match thread.name() {
        Some(name) if name != "main" => name,
        _ => here.strip_suffix("::here").unwrap_or(here),
    };
    let line = format!("{need}\t{test}\n");
    let file = folder_of_suite();
    fs::create_dir_all(&file).expect("the target directory can be written");
    let file = fs::File::options()
        .create(true)
        .append(true)
        .open(file.join(target()));
    let mut file = file.expect("the target directory can be written");
    file.write_all(line.as_bytes())
        .expect("the target directory can be written");
    // Not by a macro of the standard library, whose output the test runner keeps back when all is well.
    let said = format!("NOT RUN: {test}: it needs {need}: {why}\n");
    std::io::stderr()
        .write_all(said.as_bytes())
        .expect("standard error can be written");
    false
}

/// Where the tests of this suite are listed that did not run: a file a target.
pub fn folder_of_suite() -> PathBuf {
    match std::env::var_os("IPTABLES_LAB_NOT_RUN") {
        Some(folder) => PathBuf::from(folder),
        None => folder_of_all().join(suite()),
    }
}

/// The folder of all suites' lists.
pub fn folder_of_all() -> PathBuf {
    // Cargo tells the tests of a library no folder for files: it lies beside those of the profiles.
    let program = std::env::current_exe().expect("a test has a program");
    let target = program
        .ancestors()
        .nth(3)
        .expect("it lies in the target directory");
    target.join("tmp/not-run")
}

/// What all tests of one `cargo test` have in common and no other has: the process that started them, and since when it
/// runs.
pub fn suite() -> String {
    suite_of(getppid().as_raw())
}

/// The suite that a process starts.
pub fn suite_of(parent: i32) -> String {
    let stat = fs::read_to_string(format!("/proc/{parent}/stat")).unwrap_or_default();
    let since = stat
        .rsplit(')')
        .next()
        .and_then(|rest| rest.split(' ').nth(20));
    format!("{parent}-{}", since.unwrap_or_default())
}

/// The target that this is, such as `docker`.
fn target() -> String {
    let program = std::env::current_exe().unwrap_or_default();
    let name = program
        .file_name()
        .unwrap_or_default()
        .display()
        .to_string();
    let (target, _) = name.rsplit_once('-').unwrap_or((&name, ""));
    target.to_owned()
}

/// Why the machine does not have this, if it has not. It is looked once.
fn lacks(need: Need) -> Option<&'static str> {
    static FOUND: [OnceLock<Option<String>>; Need::Git as usize + 1] =
        [const { OnceLock::new() }; Need::Git as usize + 1];
    let found = FOUND[need as usize].get_or_init(|| look(need));
    found.as_deref()
}

fn look(need: Need) -> Option<String> {
    match need {
        Need::Native => small_run(&["--engine", "native"]),
        Need::Docker => small_run(&["--engine", "docker"]),
        // It takes Docker's where a daemon answers.
        Need::Engine => match lacks(Need::Docker) {
            Some(why) if why.contains("no Docker daemon answers") => lacks(Need::Native),
            why => why,
        }
        .map(str::to_owned),
        Need::Release => ran(lab().args(["builds", "build", "--quiet", "1.8.11"])),
        Need::Root => is_root(),
        Need::Netfilter => is_root().or_else(netfilter),
        Need::Iptables => own_iptables(),
        Need::Packages => packages(),
        Need::Chromium => browser()
            .is_none()
            .then(|| "there is none (apt-get install chromium)".to_owned()),
        Need::Git => {
            let version = Command::new("git").arg("--version").output();
            let is_there = version.is_ok_and(|of| of.status.success());
            (!is_there).then(|| "there is none (apt-get install git)".to_owned())
        }
    }
}

/// The browser's program, if the machine has one: the one that is named, else the first of these.
pub fn browser() -> Option<String> {
    let named = std::env::var("IPTABLES_LAB_BROWSER").ok();
    let usual = ["chromium", "chromium-browser", "google-chrome"].map(str::to_owned);
    let names = named.map_or(usual.to_vec(), |named| vec![named]);
    names.into_iter().find(|name| {
        let asked = Command::new(name).arg("--version").output();
        asked.is_ok_and(|output| output.status.success())
    })
}

/// The binary under test.
fn lab() -> Command {
    let program = option_env!("CARGO_BIN_EXE_iptables-lab");
    Command::new(program.expect("the tests of the library run no program"))
}

/// Runs some pairings of Debian's, of both backends, one after the other in one lane each.
fn small_run(engine: &[&str]) -> Option<String> {
    let mut lab = lab();
    lab.args(engine).args(["matrix", "--quiet"]);
    lab.args(["--scenario", "kube-firewall", "--operation", "save"]);
    for release in ["1.8.7-1", "1.8.9-2", "1.8.11-2"] {
        for backend in ["nft", "legacy"] {
            lab.args(["--reader", &format!("debian-{release}-{backend}")]);
        }
    }
    ran(lab.args([
        "--writer",
        "debian-1.8.9-2-nft",
        "--writer",
        "debian-1.8.9-2-legacy",
    ]))
}

/// Why the lab did not run, as it says itself. That the machine lacks something is one thing, a fault is another.
fn ran(lab: &mut Command) -> Option<String> {
    let output = lab.output().expect("the binary runs");
    match output.status.code() {
        Some(0) => None,
        Some(3) => Some(last_words(&output)),
        _ => panic!("{output:?}"),
    }
}

fn last_words(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    let (_, said) = said.rsplit_once('×').unwrap_or(("", &said));
    // What it says helps is for who runs it.
    let (said, _) = said.split_once("help:").unwrap_or((said, ""));
    let words = said.split_whitespace().filter(|word| *word != "│");
    words.collect::<Vec<_>>().join(" ")
}

fn is_root() -> Option<String> {
    if !geteuid().is_root() {
        return Some("this user is not root".to_owned());
    }
    let mut command = Command::new("true");
    let make = || Ok(unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET)?);
    // SAFETY: what is done between fork and exec is a system call.
    unsafe { command.pre_exec(make) };
    let made = command.status();
    made.err()
        .map(|error| format!("root may make no namespaces here: {error}"))
}

/// A socket of nfnetlink, and what a legacy table is asked first, in a network namespace of its own.
fn netfilter() -> Option<String> {
    let asked = || -> std::io::Result<()> {
        unshare(CloneFlags::CLONE_NEWNET)?;
        let netlink = SockProtocol::NetlinkNetFilter;
        let (kind, none) = (SockType::Raw, SockFlag::empty());
        socket(AddressFamily::Netlink, kind, none, netlink)?;
        let legacy = socket(AddressFamily::Inet, kind, none, SockProtocol::Raw)?;
        // `struct ipt_getinfo` and `IPT_SO_GET_INFO`.
        let mut info = [0_u8; 84];
        info[..6].copy_from_slice(b"filter");
        let mut length = info.len() as libc::socklen_t;
        // SAFETY: the kernel writes no more than `length` bytes.
        let done = unsafe {
            libc::getsockopt(
                legacy.as_raw_fd(),
                libc::IPPROTO_IP,
                64,
                info.as_mut_ptr().cast(),
                &raw mut length,
            )
        };
        match done {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        }
    };
    let asked = thread::spawn(asked).join().expect("it does not panic");
    asked
        .err()
        .map(|error| format!("the kernel has not all of it: {error}"))
}

fn own_iptables() -> Option<String> {
    let names = ["iptables", "ip6tables"]
        .iter()
        .flat_map(|family| ["nft", "legacy"].map(|backend| format!("{family}-{backend}-restore")));
    let mut missing = names.filter(|name| Command::new(name).arg("--version").output().is_err());
    missing.next().map(|name| format!("there is no {name}"))
}

/// Fetches the lists of packages, into a folder that goes away.
fn packages() -> Option<String> {
    let folder = std::env::temp_dir().join(format!("iptables-lab-need-{}", std::process::id()));
    fs::create_dir_all(folder.join("lists/partial")).expect("there is room for temporary files");
    let mut apt = Command::new("apt-get");
    apt.args(["update", "-qq", "-o", "APT::Update::Error-Mode=any", "-o"])
        .arg(format!(
            "Dir::State::lists={}",
            folder.join("lists").display()
        ));
    let asked = apt.output();
    let _ = fs::remove_dir_all(&folder);
    match asked {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(last_words(&output)),
        Err(error) => Some(format!("there is no apt-get: {error}")),
    }
}
