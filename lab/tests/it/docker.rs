//! What tests look at in Docker: the containers of one run, whoever else runs beside it.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use iptables_lab::docker::Docker;
use tokio::runtime::Runtime;

/// Longer than anything takes here, on a machine that is busy.
pub const LONG: Duration = Duration::from_secs(180);

/// Waits for `future`.
pub fn wait<T>(future: impl Future<Output = T>) -> T {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| Runtime::new().expect("threads can be started"));
    runtime.block_on(future)
}

/// A connection to the daemon.
pub fn docker() -> Docker {
    wait(Docker::connect()).expect("a Docker daemon answers")
}

/// The ids of the containers that the process `pid` started: a run's id ends with that of its process.
pub fn containers_of(pid: u32) -> BTreeSet<String> {
    let of_process = format!("-{pid:x}");
    let own = wait(docker().own_containers()).expect("the daemon lists containers");
    own.into_iter()
        .filter(|container| {
            let run = container.labels.get("iptables-lab.run");
            run.is_some_and(|run| run.ends_with(&of_process))
        })
        .map(|container| container.id)
        .collect()
}

/// Waits until `what` gives something.
pub fn until<T>(what: &str, mut is: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(it) = is() {
            return it;
        }
        assert!(begun.elapsed() < LONG, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
