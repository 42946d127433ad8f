//! What a run starts is gone when it ends, however it ends.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bollard::models::{HostConfig, MountType};
use bollard::query_parameters::KillContainerOptionsBuilder;
use iptables_lab::agent::protocol::Request;
use iptables_lab::engine::{EngineError, Place};
use iptables_lab::recording::{self, Recording};
use iptables_lab::scenario::Namespace;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rstest::rstest;

use super::docker::{LONG, containers_of, docker, until, wait};
use super::host::host;
use super::lab::{both, iptables_lab, results, small_run};
use super::lane::{On, TestLane};

/// A run that goes on for longer than any test looks at it, and what it says meanwhile.
struct LongRun {
    child: Child,
    said: Receiver<String>,
    printed: std::thread::JoinHandle<String>,
    record: PathBuf,
    _folder: tempfile::TempDir,
}

/// How a run ended.
struct Ended {
    status: ExitStatus,
    said: String,
    printed: String,
    recording: Recording,
}

/// Eight loads, for which one lane is opened.
const FEW: [&str; 8] = [
    "--scenario",
    "kube-firewall",
    "--scenario",
    "kube-router",
    "--writer",
    "debian-1.8.[79]-?-nft",
    "--reader",
    "debian-1.8.[79]-?-nft",
];

/// More loads than any lane takes.
const MANY: [&str; 8] = [
    "--scenario",
    "kube-*",
    "--scenario",
    "mark-*",
    "--writer",
    "debian-*",
    "--reader",
    "debian-*",
];

impl LongRun {
    /// Of two builds, in one lane: a container costs more than what is run in it.
    fn start() -> Self {
        Self::with(&FEW, |command| command)
    }

    /// In lanes of every kind, and so with the most containers at once.
    fn in_many_lanes() -> Self {
        Self::with(&MANY, |command| command.args(["--lanes", "2"]))
    }

    /// Through another socket than the daemon's own.
    fn through(socket: &Path) -> Self {
        let host = format!("unix://{}", socket.display());
        Self::with(&FEW, |command| command.env("DOCKER_HOST", host))
    }

    fn with(of: &[&str], set: impl FnOnce(&mut Command) -> &mut Command) -> Self {
        // So that images are made before, and containers of this process are its lanes'.
        small_run();
        let folder = tempfile::tempdir().unwrap();
        let record = folder.path().join("run.jsonl");
        // The smallest load comes first.
        let mut command = iptables_lab();
        command
            .args(["matrix", "--operation", "all", "--full"])
            .args(of)
            .arg("--record")
            .arg(&record);
        let mut child = set(&mut command)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let (sender, said) = channel();
        std::thread::spawn(move || {
            let lines = BufReader::new(stderr).lines().map_while(Result::ok);
            lines.for_each(|line| drop(sender.send(line)));
        });
        let printed = std::thread::spawn(move || {
            let mut text = String::new();
            BufReader::new(stdout).read_to_string(&mut text).unwrap();
            text
        });
        LongRun {
            child,
            said,
            printed,
            record,
            _folder: folder,
        }
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }

    fn send(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid().cast_signed()), signal).unwrap();
    }

    /// Waits until it says a line with these words.
    fn says(&self, words: &str) {
        while let Ok(line) = self.said.recv_timeout(LONG) {
            if line.contains(words) {
                return;
            }
        }
        panic!("it never said `{words}`");
    }

    /// Waits until a load is through, so that something is recorded.
    fn records(&self) {
        self.says(" wrote, ");
    }

    fn end(mut self) -> Ended {
        let status = until("the end of the run", || self.child.try_wait().unwrap());
        Ended {
            status,
            said: self.said.iter().collect::<Vec<_>>().join("\n"),
            printed: self.printed.join().unwrap(),
            recording: recording::read(&self.record).unwrap().recording,
        }
    }
}

impl Ended {
    /// It ended with `status` for a reason with these words, having recorded and printed what was run.
    fn was_cut_short(&self, status: i32, reason: &str) {
        assert_eq!(self.status.code(), Some(status), "{}", self.said);
        assert!(self.said.contains("the run ended early"), "{}", self.said);
        let end = self.recording.end.as_ref().unwrap();
        let said = end.cut_short.as_deref().unwrap();
        assert!(said.contains(reason), "{said}");
        let words = "this run was cut short: ";
        assert!(self.printed.contains(words), "{}", self.printed);
    }
}

#[rstest]
#[case::ctrl_c(Signal::SIGINT)]
#[case::terminated(Signal::SIGTERM)]
fn an_interrupted_run_keeps_what_it_saw_and_leaves_no_container(#[case] signal: Signal) {
    needs!(Docker);
    let run = LongRun::start();
    run.records();
    let pid = run.pid();
    assert!(!containers_of(pid).is_empty());
    run.send(signal);
    let ended = run.end();
    ended.was_cut_short(130, "interrupted");
    assert_eq!(containers_of(pid), BTreeSet::new());
    assert!(!ended.recording.loads.is_empty());
    assert!(ended.printed.contains("writers down, readers across"));
}

#[test]
fn a_run_that_is_interrupted_while_its_lanes_open_leaves_no_container() {
    needs!(Docker);
    let run = LongRun::in_many_lanes();
    let pid = run.pid();
    // Before that there is a container too: it tells whether the kernel has legacy tables.
    run.says("lane 1: starting");
    until("a container", || {
        (!containers_of(pid).is_empty()).then_some(())
    });
    run.send(Signal::SIGINT);
    run.end().was_cut_short(130, "interrupted");
    // What the daemon was still making would come up only now.
    for _ in 0..20 {
        assert_eq!(containers_of(pid), BTreeSet::new());
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn what_a_killed_run_leaves_goes_at_the_next_start_and_what_a_living_run_has_stays() {
    needs!(Docker);
    let (mut killed, alive) = (LongRun::start(), LongRun::start());
    alive.records();
    until("a container", || {
        (!containers_of(killed.pid()).is_empty()).then_some(())
    });
    alive.send(Signal::SIGSTOP);
    let has = containers_of(alive.pid());
    killed.send(Signal::SIGKILL);
    killed.child.wait().unwrap();
    // The daemon may still be making what the killed run had asked for.
    until("the end of what the killed run left", || {
        let output = iptables_lab().args(["builds", "list"]).output().unwrap();
        assert!(output.status.success(), "{}", both(&output));
        containers_of(killed.pid()).is_empty().then_some(())
    });
    assert_eq!(containers_of(alive.pid()), has);
    alive.send(Signal::SIGCONT);
    alive.records();
    alive.send(Signal::SIGTERM);
    alive.end().was_cut_short(130, "interrupted");
}

/// A container of the lab as the daemon runs it.
fn host_config(container: &str) -> HostConfig {
    let inspected = wait(docker().client().inspect_container(container, None)).unwrap();
    inspected.host_config.unwrap()
}

/// What a container's network mode says it is: a lane's holder, or a build that joined one.
fn is_holder(container: &str) -> bool {
    host_config(container).network_mode.as_deref() == Some("none")
}

#[rstest]
#[case::of_a_build(false)]
#[case::that_holds_a_lane(true)]
fn a_container_that_dies_ends_the_run_and_what_was_recorded_is_said(#[case] holder: bool) {
    needs!(Docker);
    // The only lane is there when a load is through: one that dies while a lane comes up is told as one that cannot be joined.
    let run = LongRun::start();
    run.records();
    let pid = run.pid();
    let mut containers = containers_of(pid).into_iter();
    let victim = containers.find(|one| is_holder(one) == holder).unwrap();
    wait(docker().client().kill_container(&victim, None)).unwrap();
    let ended = run.end();
    ended.was_cut_short(3, "is gone");
    assert!(!ended.recording.loads.is_empty());
    assert_eq!(containers_of(pid), BTreeSet::new());
}

#[track_caller]
fn may_do_little(host: HostConfig) {
    let words = |list: Option<Vec<String>>| list.unwrap_or_default();
    assert_eq!(words(host.cap_drop), ["ALL"]);
    let mut added = words(host.cap_add);
    // Newer daemons answer with the kernel's names.
    for capability in &mut added {
        *capability = capability.trim_start_matches("CAP_").to_owned();
    }
    assert_eq!(added, ["NET_ADMIN", "NET_RAW"]);
    assert_eq!(host.readonly_rootfs, Some(true));
    assert_eq!(words(host.security_opt), ["no-new-privileges"]);
    assert_eq!(words(host.binds), [""; 0]);
    let mounts: Vec<_> = host.mounts.into_iter().flatten().collect();
    assert_eq!(mounts.len(), 2, "{mounts:?}");
    assert_eq!(mounts[0].target.as_deref(), Some("/run"));
    assert_eq!(mounts[0].typ, Some(MountType::TMPFS));
    // Where its agent came to the lab: it cannot be written to, and is gone from the host when the agent has come.
    assert_eq!(mounts[1].target.as_deref(), Some("/run/iptables-lab"));
    assert_eq!(mounts[1].read_only, Some(true));
    let shared = Path::new(mounts[1].source.as_deref().unwrap());
    until("the agent", || (!shared.exists()).then_some(()));
}

#[test]
fn a_container_may_do_nothing_but_what_iptables_needs() {
    needs!(Docker);
    let run = LongRun::start();
    run.records();
    let containers = containers_of(run.pid());
    let (holders, builds): (Vec<_>, Vec<_>) = containers.iter().partition(|one| is_holder(one));
    for container in &containers {
        may_do_little(host_config(container));
    }
    let joined: BTreeSet<_> = holders.iter().map(|id| format!("container:{id}")).collect();
    let modes: BTreeSet<_> = builds
        .iter()
        .filter_map(|one| host_config(one).network_mode)
        .collect();
    // Some lanes may have no build yet.
    assert!(!modes.is_empty() && modes.is_subset(&joined), "{modes:?}");
    run.send(Signal::SIGTERM);
    run.end();
}

/// The containers that hold a lane's far namespaces: those that have its processes, and not its network.
fn far_ends(containers: &BTreeSet<String>) -> Vec<&String> {
    let has_processes = |id: &&String| {
        let mode = host_config(id).pid_mode.unwrap_or_default();
        mode.starts_with("container:")
    };
    containers.iter().filter(has_processes).collect()
}

#[test]
fn far_namespaces_may_do_as_little_as_others_and_go_with_their_lane() {
    needs!(Docker);
    let mut lane = TestLane::open(On::Docker);
    let containers = lane.containers();
    // The holder, a build, the peer and the inner namespace.
    assert_eq!(containers.len(), 4);
    let far = far_ends(&containers);
    assert_eq!(far.len(), 2);
    for container in far {
        assert!(is_holder(container), "it has a namespace of its own");
        may_do_little(host_config(container));
    }
    lane.close();
    assert_eq!(lane.containers(), BTreeSet::new());
}

/// The request fails for good when its agent is gone.
fn is_lost(lane: &mut TestLane, place: &Place) -> Option<()> {
    match lane.ask(place, &Request::Hello) {
        Ok(_) => None,
        Err(EngineError::Lost(_)) => Some(()),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn a_far_namespace_ends_when_it_is_asked_to_and_with_its_lane() {
    needs!(Docker);
    let mut lane = TestLane::open(On::Docker);
    let containers = lane.containers();
    let terminated = KillContainerOptionsBuilder::new().signal("SIGTERM").build();
    let victim = far_ends(&containers)[0];
    wait(docker().client().kill_container(victim, Some(terminated))).unwrap();
    let [peer, inner] = [Namespace::Peer, Namespace::Inner].map(Place::Far);
    let one = until("the end of one", || {
        is_lost(&mut lane, &peer)
            .map(|()| &inner)
            .or(is_lost(&mut lane, &inner).map(|()| &peer))
    });
    assert!(lane.ask(one, &Request::Hello).is_ok(), "the other lives");
    let holder = containers
        .iter()
        .find(|id| is_holder(id) && !far_ends(&containers).contains(id));
    wait(docker().client().kill_container(holder.unwrap(), None)).unwrap();
    until("the end of the other", || is_lost(&mut lane, one));
    lane.close();
    assert_eq!(lane.containers(), BTreeSet::new());
}

/// A door to the daemon that can be shut for good.
struct Door {
    socket: PathBuf,
    listener: UnixListener,
    through: Arc<Mutex<Option<Vec<UnixStream>>>>,
    _folder: tempfile::TempDir,
}

impl Door {
    fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("docker.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let through = Arc::new(Mutex::new(Some(Vec::new())));
        let (incoming, open) = (listener.try_clone().unwrap(), through.clone());
        std::thread::spawn(move || {
            for client in incoming.incoming().map_while(Result::ok) {
                let daemon = UnixStream::connect(daemon_socket()).unwrap();
                let Some(open) = &mut *open.lock().unwrap() else {
                    return;
                };
                for (from, to) in [(&client, &daemon), (&daemon, &client)] {
                    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    std::thread::spawn(move || {
                        let _ = std::io::copy(&mut from, &mut to);
                        let _ = to.shutdown(Shutdown::Write);
                    });
                }
                open.extend([client, daemon]);
            }
        });
        Door {
            socket,
            listener,
            through,
            _folder: folder,
        }
    }

    fn shut(self) {
        fs::remove_file(&self.socket).unwrap();
        let open = self.through.lock().unwrap().take().unwrap();
        for stream in open {
            let _ = stream.shutdown(Shutdown::Both);
        }
        drop(self.listener);
    }
}

/// Where the daemon listens.
fn daemon_socket() -> String {
    let host = std::env::var("DOCKER_HOST").unwrap_or_default();
    let path = host.strip_prefix("unix://");
    path.unwrap_or("/var/run/docker.sock").to_owned()
}

#[test]
fn a_daemon_that_goes_away_ends_the_run_and_the_next_start_removes_what_it_left() {
    needs!(Docker);
    let door = Door::open();
    let run = LongRun::through(&door.socket);
    run.records();
    let pid = run.pid();
    door.shut();
    let ended = run.end();
    ended.was_cut_short(3, "is gone");
    assert!(!ended.recording.loads.is_empty());
    let output = iptables_lab().args(["builds", "list"]).output().unwrap();
    assert!(output.status.success(), "{}", both(&output));
    assert_eq!(containers_of(pid), BTreeSet::new());
}

#[test]
fn two_runs_side_by_side_succeed_and_nothing_of_the_host_changes() {
    needs!(Docker);
    let small = small_run();
    let before = host();
    let start = || {
        iptables_lab()
            .args(["matrix", "--scenario", "kube-firewall", "--quiet"])
            .args(["--operation", "all"])
            .args(["--writer", &small.writer, "--reader", &small.reader])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let both_runs = [start(), start()];
    let pids = both_runs.each_ref().map(Child::id);
    let outputs = both_runs.map(|run| run.wait_with_output().unwrap());
    for output in &outputs {
        assert!(output.status.success(), "{}", both(output));
    }
    let results = outputs.each_ref().map(results);
    assert_eq!(results[0], results[1]);
    assert_eq!(pids.map(containers_of), [BTreeSet::new(), BTreeSet::new()]);
    assert_eq!(host(), before);
}
