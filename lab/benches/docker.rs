//! What a run through Docker costs beside the same commands bare: fork and exec in a network namespace, nothing else.
//!
//! Both are measured in one run, over the same builds, scenarios and pairings, with the same number side by side.
//! Needs root for the namespaces of the bare side.

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use iptables_lab::agent::kernel::{self, LegacyTables};
use iptables_lab::catalog::{Build, BuildId, Catalog};
use iptables_lab::docker::Docker;
use iptables_lab::engine::docker::DockerEngine;
use iptables_lab::images::{Effort, Means, ProvideRequest, Provision, Store, provide};
use iptables_lab::leftovers::{self, Claim};
use iptables_lab::plan::{LaneKind, Operation, Plan, Selection};
use iptables_lab::recording::{CommandRecord, LoadRecord, Seen};
use iptables_lab::runner::{self, Event, Pace, Run};
use iptables_lab::scenario;
use nix::sched::{CloneFlags, unshare};

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let begun = Instant::now();
    let measured = runtime.block_on(through_docker())?;
    let roots = tempfile::tempdir()?;
    let bare = bare(&measured, roots.path())?;
    print(&measured, &bare, begun.elapsed());
    Ok(())
}

/// What the run through Docker took.
struct Measured {
    provision: Provision,
    loads: Vec<LoadRecord>,
    pairings: usize,
    provided: Duration,
    lanes: Duration,
    run: Duration,
    steps: usize,
    loads_took: Duration,
}

async fn through_docker() -> Result<Measured, Failure> {
    let catalog = Catalog::load(&[])?;
    let store = Store::open(&Store::default_path()?)?;
    let docker = Docker::connect().await?;
    let means = Means::Docker(docker.clone());
    let claim = Claim::new(store.path())?;
    let request = ProvideRequest {
        catalog: &catalog,
        images: catalog.images.clone(),
        store: &store,
        agent: Path::new(env!("CARGO_BIN_EXE_iptables-lab")),
        tarballs: Vec::new(),
        effort: Effort::Usual,
        labels: claim.labels(),
        jobs: 2,
    };
    let listener: iptables_lab::images::Listener = Arc::new(|_| {});
    provide(&request, &means, &listener).await?;
    let begun = Instant::now();
    let provision = provide(&request, &means, &listener).await?;
    let provided = begun.elapsed();
    let builds: Vec<Build> = provision
        .builds
        .iter()
        .map(|ready| ready.build.clone())
        .collect();
    let labels: HashMap<String, String> = claim.labels();
    let engine = DockerEngine::new(
        docker.clone(),
        provision.holder_image.clone().ok_or("no holder")?,
        provision.container_images(),
        labels,
        claim.run().to_owned(),
    );
    let scenarios = scenario::shipped()?;
    let selection = Selection {
        available: &builds,
        writers: &builds,
        readers: &builds,
    };
    let plan = Plan::new(&scenarios, selection, Operation::ALL.to_vec());
    let pairings = plan.pairings();
    let by_name = scenarios
        .into_iter()
        .map(|scenario| (scenario.name.clone(), Arc::new(scenario)))
        .collect();
    let pace = Pace {
        lanes: 1,
        timeout: Duration::from_secs(10),
    };
    let run = Run {
        plan,
        scenarios: by_name,
        builds: &builds,
        pace,
    };
    let (sender, mut events) = tokio::sync::mpsc::unbounded_channel();
    let begun = Instant::now();
    let ended = runner::run(run, &engine, sender).await;
    let took = begun.elapsed();
    leftovers::remove_of_run(&docker, claim.run()).await?;
    ended?;
    let mut measured = Measured {
        provision,
        loads: Vec::new(),
        pairings,
        provided,
        lanes: Duration::ZERO,
        run: took,
        steps: 0,
        loads_took: Duration::ZERO,
    };
    while let Ok(event) = events.try_recv() {
        measured.take(event);
    }
    Ok(measured)
}

impl Measured {
    fn take(&mut self, event: Event) {
        match event {
            Event::LaneOpening { .. } => {}
            Event::LaneReady { took, .. } => self.lanes = self.lanes.max(took),
            Event::Steps(count) => self.steps += count,
            Event::Load { record, took } => {
                self.loads_took += took;
                self.loads.push(*record);
            }
        }
    }
}

/// The same commands, lane by lane side by side: how many there were and how long all of them took together.
fn bare(measured: &Measured, roots: &Path) -> Result<(usize, Duration), Failure> {
    let mut root_of: BTreeMap<BuildId, PathBuf> = BTreeMap::new();
    for ready in &measured.provision.builds {
        let root = roots.join(ready.build.digest.as_str());
        if !root.exists() {
            tar::Archive::new(File::open(&ready.rootfs)?).unpack(&root)?;
        }
        root_of.insert(ready.build.id.clone(), root);
    }
    let kinds = [LaneKind::Nft, LaneKind::Legacy, LaneKind::Cross];
    let lanes = std::thread::scope(|scope| {
        let lanes = kinds.map(|kind| {
            let loads = measured.loads.iter().filter(move |load| load.kind == kind);
            let root_of = &root_of;
            scope.spawn(move || bare_lane(loads, root_of))
        });
        lanes.map(|lane| {
            lane.join()
                .unwrap_or_else(|_| Err("a lane panicked".into()))
        })
    });
    let mut sum = (0, Duration::ZERO);
    for lane in lanes {
        let (count, took) = lane?;
        sum = (sum.0 + count, sum.1 + took);
    }
    Ok(sum)
}

fn bare_lane<'l>(
    loads: impl Iterator<Item = &'l LoadRecord>,
    root_of: &BTreeMap<BuildId, PathBuf>,
) -> Result<(usize, Duration), Failure> {
    let host_root = File::open("/")?;
    unshare(CloneFlags::CLONE_FS)?;
    let mut sum = (0, Duration::ZERO);
    for load in loads {
        for seen in &load.observations {
            match &seen.seen {
                Seen::Reset => {
                    unshare(CloneFlags::CLONE_NEWNET)?;
                    let legacy = if load.kind.has_legacy() {
                        LegacyTables::Register
                    } else {
                        LegacyTables::Leave
                    };
                    kernel::prepare(legacy)?;
                }
                Seen::Dump(_) | Seen::Chain(_) | Seen::Furnished { .. } | Seen::Probes(_) => {}
                Seen::Command(command) => {
                    let root = root_of
                        .get(&command.build)
                        .ok_or("a build without a root")?;
                    sum = (
                        sum.0 + 1,
                        sum.1 + bare_command(load, command, root, &host_root)?,
                    );
                }
            }
        }
    }
    Ok(sum)
}

fn bare_command(
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
        let text = command.stdin.map(|text| load.text(text).0.as_slice());
        // A command that does not read all of it is the command's own affair.
        let _ = input.write_all(text.unwrap_or_default());
    }
    child.wait_with_output()?;
    let took = begun.elapsed();
    nix::unistd::fchdir(host_root)?;
    nix::unistd::chroot(".")?;
    Ok(took)
}

fn print(measured: &Measured, bare: &(usize, Duration), all: Duration) {
    let seconds = |took: Duration| took.as_secs_f64();
    let each = |took: Duration, count: usize| took.as_secs_f64() * 1000.0 / count.max(1) as f64;
    let share = |part: Duration| 100.0 * part.as_secs_f64() / measured.run.as_secs_f64();
    let loads = measured.run.saturating_sub(measured.lanes);
    let (commands, bare_took) = *bare;
    let (builds, pairings) = (measured.provision.builds.len(), measured.pairings);
    println!(
        "{builds} builds, {pairings} pairings, {} loads, three lanes side by side",
        measured.loads.len()
    );
    println!(
        "finding the images          {:8.2} s",
        seconds(measured.provided)
    );
    println!(
        "the run                     {:8.2} s",
        seconds(measured.run)
    );
    println!(
        "  lanes starting            {:8.2} s  {:3.0} %",
        seconds(measured.lanes),
        share(measured.lanes)
    );
    println!(
        "  commands, dumps, resets   {:8.2} s  {:3.0} %",
        seconds(loads),
        share(loads)
    );
    println!(
        "  a pairing                 {:8.2} ms",
        each(measured.run, pairings)
    );
    println!("time of all three lanes:");
    println!(
        "  lab, {commands} commands, {} dumps and resets  {:.2} s, {:.2} ms a command",
        measured.steps - commands,
        seconds(measured.loads_took),
        each(measured.loads_took, commands)
    );
    println!(
        "  bare, {commands} commands                      {:.2} s, {:.2} ms a command",
        seconds(bare_took),
        each(bare_took, commands)
    );
    println!(
        "  lab : bare                {:8.2}",
        seconds(measured.loads_took) / seconds(bare_took)
    );
    println!("measured in                 {:8.2} s", seconds(all));
}
