//! The commands of a recording, bare: fork and exec in a network namespace, nothing else.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use iptables_lab::agent::kernel::{self, LegacyTables};
use iptables_lab::catalog::BuildId;
use iptables_lab::images::Store;
use iptables_lab::recording::{CommandRecord, LoadRecord, Recording, Seen};
use nix::sched::{CloneFlags, unshare};

use super::Failure;

/// What the commands of each load of the recording take together, in its order, `lanes` of them side by side.
pub fn bare(recording: &Recording, lanes: usize, folder: &Path) -> Result<Vec<Duration>, Failure> {
    let roots = roots(recording, folder)?;
    let waiting = Mutex::new(recording.loads.iter().enumerate());
    let mut took = std::thread::scope(|scope| {
        let lane = || {
            let (waiting, roots) = (&waiting, &roots);
            scope.spawn(move || lane_of(waiting, roots))
        };
        let lanes: Vec<_> = (0..lanes.max(1)).map(|_| lane()).collect();
        let took = lanes.into_iter().map(|lane| {
            lane.join()
                .unwrap_or_else(|_| Err("a lane panicked".into()))
        });
        took.collect::<Result<Vec<_>, Failure>>()
    })?
    .concat();
    took.sort_unstable_by_key(|(place, _)| *place);
    Ok(took.into_iter().map(|(_, took)| took).collect())
}

/// Every build's root filesystem, unpacked.
fn roots(recording: &Recording, folder: &Path) -> Result<BTreeMap<BuildId, PathBuf>, Failure> {
    let store = Store::open(&Store::default_path()?)?;
    let mut roots = BTreeMap::new();
    for build in &recording.head.builds {
        let root = folder.join(build.digest.as_str());
        if !root.exists() {
            let (_, tar) = store
                .build(&build.key)
                .ok_or("a build is not in the store")?;
            tar::Archive::new(File::open(tar)?).unpack(&root)?;
        }
        roots.insert(build.id.clone(), root);
    }
    Ok(roots)
}

fn lane_of<'l>(
    waiting: &Mutex<impl Iterator<Item = (usize, &'l LoadRecord)>>,
    roots: &BTreeMap<BuildId, PathBuf>,
) -> Result<Vec<(usize, Duration)>, Failure> {
    let host_root = File::open("/")?;
    unshare(CloneFlags::CLONE_FS)?;
    let mut took = Vec::new();
    loop {
        let next = waiting.lock().map_err(|_| "a lane panicked")?.next();
        let Some((place, load)) = next else {
            return Ok(took);
        };
        let mut sum = Duration::ZERO;
        for seen in &load.observations {
            match &seen.seen {
                Seen::Reset => fresh(load)?,
                Seen::Dump(_) | Seen::Chain(_) | Seen::Furnished { .. } | Seen::Probes(_) => {}
                Seen::Command(command) => {
                    let root = roots.get(&command.build).ok_or("a build without a root")?;
                    sum += run(load, command, root, &host_root)?;
                }
            }
        }
        took.push((place, sum));
    }
}

/// A namespace of the load's kind.
fn fresh(load: &LoadRecord) -> Result<(), Failure> {
    unshare(CloneFlags::CLONE_NEWNET)?;
    let legacy = match load.kind.has_legacy() {
        true => LegacyTables::Register,
        false => LegacyTables::Leave,
    };
    Ok(kernel::prepare(legacy)?)
}

fn run(
    load: &LoadRecord,
    command: &CommandRecord,
    root: &Path,
    host_root: &File,
) -> Result<Duration, Failure> {
    nix::unistd::fchdir(host_root)?;
    nix::unistd::chroot(".")?;
    nix::unistd::chroot(root)?;
    nix::unistd::chdir("/")?;
    let begun = Instant::now();
    let mut child = Command::new(format!("/usr/sbin/{}", command.argv[0]))
        .args(&command.argv[1..])
        .env_clear()
        // Pipes all round: there is no /dev/null in these roots.
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut input) = child.stdin.take() {
        let text = command.stdin.map(|text| load.text(text).bytes());
        // A command that does not read all of it is the command's own affair.
        let _ = input.write_all(text.unwrap_or_default());
    }
    child.wait_with_output()?;
    let took = begun.elapsed();
    nix::unistd::fchdir(host_root)?;
    nix::unistd::chroot(".")?;
    Ok(took)
}
