//! The first process of a native lane: the agent of all its places.
//!
//! It has the lane's network namespaces open, enters the one that is asked for, and starts every command in its build's
//! cell. A namespace without rules is a new one, so nothing is left in it of what ran before.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Write};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

use super::protocol::{AskedOf, Order};
use crate::agent::kept::{self, Kept};
use crate::agent::kernel::surroundings::Surroundings;
use crate::agent::kernel::{self, Capture, KernelError, LegacyTables, NetworkOf};
use crate::agent::protocol::{Reply, Request};
use crate::agent::recent::Recent;
use crate::agent::{self, Agent, Ground, Pulse, exec};
use crate::catalog::BuildId;
use crate::engine::{FORWARDING, Place, SYSCTLS};
use crate::observed::Ran;
use crate::sandbox::{
    self, CAPABILITIES, Cell, Confinement, Contents, Network, Refused, Retired, Shell,
};
use crate::scenario::Namespace;
use crate::tool::Through;

/// What a tree's first process ends with when the machine lacks what it takes.
const LACKS: u8 = 3;

/// Runs a lane for whoever holds the other end of standard input and output. Gives the exit status.
pub fn main() -> u8 {
    let confinement = Confinement::look();
    match sandbox::alone(confinement.rights, || inside(&confinement).unwrap_or(1)) {
        Ok(status) => status,
        Err(refused) => {
            // Nobody may be left to be told.
            let _ = agent::send(io::stdout(), &refusal(&refused, &confinement));
            LACKS
        }
    }
}

fn refusal(refused: &Refused, confinement: &Confinement) -> Reply {
    let what = refused.to_string();
    match refused.mend(confinement) {
        Some(mend) => Reply::Refused { what, mend },
        None => Reply::Lacks { message: what },
    }
}

fn inside(confinement: &Confinement) -> io::Result<u8> {
    let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
    let mut line = Vec::new();
    input.read_until(b'\n', &mut line)?;
    let order: Order = serde_json::from_slice(&line)?;
    let mut lane = match Lane::open(order) {
        Ok(lane) => lane,
        Err(refused) => {
            agent::send(&mut output, &refusal(&refused, confinement))?;
            return Ok(LACKS);
        }
    };
    agent::send(&mut output, &Reply::Done)?;
    lane.serve(input, output)?;
    Ok(0)
}

/// All that a lane holds.
struct Lane {
    builds: BTreeMap<BuildId, usize>,
    agents: BTreeMap<Namespace, Agent>,
    ground: Bare,
}

impl Lane {
    fn open(order: Order) -> Result<Lane, Refused> {
        let shell = Shell::new(&CAPABILITIES).map_err(|error| Refused::Told(error.to_string()))?;
        let contents: Vec<Contents> = order
            .roots
            .into_iter()
            .map(|root| Contents {
                root,
                shared: Vec::new(),
            })
            .collect();
        let cells = Cell::all(&order.stage, &contents)?;
        let namespaces = || {
            [Namespace::Lane]
                .into_iter()
                .chain(order.far.iter().copied())
        };
        let legacy = match order.legacy {
            true => LegacyTables::Register,
            false => LegacyTables::Leave,
        };
        let mut retired = Retired::new()?;
        let mut held = BTreeMap::new();
        for namespace in namespaces() {
            held.insert(namespace, Held::new(namespace, legacy, &mut retired)?);
        }
        let at = namespaces().last().unwrap_or_default();
        Ok(Lane {
            builds: order.builds,
            agents: namespaces().map(|of| (of, Agent::default())).collect(),
            ground: Bare {
                shell,
                cells,
                cell: None,
                kept: Vec::new(),
                held,
                retired,
                at,
                legacy,
            },
        })
    }

    fn serve(&mut self, mut input: impl BufRead, mut output: impl Write) -> io::Result<()> {
        let mut line = Vec::new();
        let mut recent = Recent::default();
        while input.read_until(b'\n', &mut line)? > 0 {
            let mut reply = match serde_json::from_slice::<AskedOf>(&line) {
                Ok(asked) => {
                    let mut pulse = Pulse::new(&mut output);
                    self.answer(asked, &mut |done| pulse.beat(done))
                }
                Err(error) => agent::failed("this line is no request", &error),
            };
            line.clear();
            recent.shorten(&mut reply);
            agent::send(&mut output, &reply)?;
        }
        Ok(())
    }

    fn answer(&mut self, asked: AskedOf, beat: &mut dyn FnMut(usize)) -> Reply {
        let (namespace, cell) = match &asked.place {
            Place::Holder => (Namespace::Lane, None),
            Place::Far(namespace) => (*namespace, None),
            Place::Build(build) => match self.builds.get(build) {
                Some(&cell) => (Namespace::Lane, Some(cell)),
                None => return unknown(&format!("{build} is not in this lane")),
            },
        };
        let Some(agent) = self.agents.get_mut(&namespace) else {
            return unknown(&format!("this lane has no {namespace}"));
        };
        if let Err(refused) = self.ground.go(namespace) {
            return agent::failed("entering a network namespace", &refused);
        }
        self.ground.cell = cell;
        let becomes = match asked.request {
            Request::Furnish { .. } => Some(State::Furnished),
            Request::Listen { .. } | Request::Send { .. } => Some(State::Used),
            _ => None,
        };
        if let Some(state) = becomes {
            self.ground.is_now(state);
        }
        // A far namespace is asked for its process when the lane is about to make its interface, which gets its defaults.
        let gets_one = !namespace.is_lane() && matches!(asked.request, Request::Hello);
        if (becomes.is_some() || gets_one)
            && let Err(refused) = self.ground.expect_packets()
        {
            return agent::failed("making a network namespace ready for packets", &refused);
        }
        agent.answer(&mut self.ground, asked.request, beat)
    }
}

fn unknown(message: &str) -> Reply {
    Reply::Failed {
        message: message.to_owned(),
    }
}

/// What became of a namespace since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    /// Nothing.
    Fresh,
    /// Commands ran in it, or packets.
    Used,
    /// It has interfaces and sets that a reset does not take away.
    Furnished,
}

/// One of the lane's network namespaces.
struct Held {
    network: Network,
    state: State,
    /// Whether it has the [`SYSCTLS`]: to most loads no packet comes, and they are a good part of what a namespace costs.
    expects_packets: bool,
}

impl Held {
    /// A new one, entered and made ready.
    fn new(
        namespace: Namespace,
        legacy: LegacyTables,
        retired: &mut Retired,
    ) -> Result<Held, Refused> {
        let network = Network::fresh()?;
        retired.count(&network)?;
        let tables = match namespace.is_lane() {
            true => legacy,
            false => LegacyTables::Leave,
        };
        kernel::prepare(tables).map_err(|error| Refused::Told(error.to_string()))?;
        Ok(Held {
            network,
            state: State::Fresh,
            expects_packets: false,
        })
    }
}

/// The ground under the lane's agents.
struct Bare {
    shell: Shell,
    cells: Vec<Cell>,
    /// Where commands run now.
    cell: Option<usize>,
    /// The commands that stay.
    kept: Vec<Kept>,
    held: BTreeMap<Namespace, Held>,
    retired: Retired,
    /// The namespace that this process is in.
    at: Namespace,
    legacy: LegacyTables,
}

impl Bare {
    fn go(&mut self, namespace: Namespace) -> Result<(), Refused> {
        if let Some(held) = self.held.get(&namespace).filter(|_| self.at != namespace) {
            held.network.enter()?;
            self.at = namespace;
        }
        Ok(())
    }

    fn state(&self) -> State {
        self.held
            .get(&self.at)
            .map_or(State::Fresh, |held| held.state)
    }

    fn is_now(&mut self, state: State) {
        if let Some(held) = self.held.get_mut(&self.at) {
            held.state = held.state.max(state);
        }
    }

    /// Sets how packets fare in the namespace that this process is in, where that was not done yet.
    fn expect_packets(&mut self) -> Result<(), Refused> {
        let Some(held) = self
            .held
            .get_mut(&self.at)
            .filter(|held| !held.expects_packets)
        else {
            return Ok(());
        };
        let forwarding = match self.at.is_lane() {
            true => FORWARDING,
            false => &[],
        };
        sandbox::set(SYSCTLS.iter().chain(forwarding))?;
        held.expects_packets = true;
        Ok(())
    }

    /// Leaves the namespace that this process is in for a new one, which takes its place.
    fn renew(&mut self) -> Result<(), KernelError> {
        let fresh = Held::new(self.at, self.legacy, &mut self.retired).map_err(|refused| {
            KernelError::Refused {
                what: "a fresh network namespace".to_owned(),
                source: io::Error::other(refused),
            }
        })?;
        self.held.insert(self.at, fresh);
        Ok(())
    }
}

impl Ground for Bare {
    fn run(&mut self, argv: &[String], stdin: Option<&[u8]>, timeout: Duration) -> io::Result<Ran> {
        self.is_now(State::Used);
        let cell = self.cell.and_then(|cell| self.cells.get(cell));
        let cell = cell.ok_or_else(|| io::Error::other("no command runs but in a build"))?;
        let shell = &mut self.shell;
        let start = || shell.start(cell, argv, stdin.is_some());
        let ran = exec::complete(start, stdin, timeout);
        // Beside commands that stay, what this one has left running is ended with them.
        if self.kept.is_empty() {
            end_all()?;
        }
        ran
    }

    fn keep(
        &mut self,
        argv: &[String],
        stdin: &[u8],
        through: &Through,
        timeout: Duration,
    ) -> io::Result<Ran> {
        self.is_now(State::Used);
        let cell = self.cell.and_then(|cell| self.cells.get(cell));
        let cell = cell.ok_or_else(|| io::Error::other("no command runs but in a build"))?;
        let shell = &mut self.shell;
        let start = || shell.start(cell, argv, true);
        let (ran, kept) = kept::start(start, stdin, through, timeout)?;
        self.kept.extend(kept);
        Ok(ran)
    }

    fn end_kept(&mut self) -> io::Result<()> {
        if self.kept.is_empty() {
            return Ok(());
        }
        self.kept.clear();
        end_all()
    }

    fn reset(&mut self) -> Result<(), KernelError> {
        match self.state() {
            State::Fresh => Ok(()),
            State::Used => self.renew(),
            State::Furnished => kernel::reset(),
        }
    }

    fn put_back(&mut self, capture: &Capture) -> Result<(), KernelError> {
        self.is_now(State::Used);
        capture.put_back()
    }

    fn clear(&mut self, surroundings: &mut Surroundings) -> Result<(), KernelError> {
        *surroundings = Surroundings::default();
        match self.state() {
            State::Fresh => Ok(()),
            State::Used | State::Furnished => self.renew(),
        }
    }

    fn networks(&mut self, of: BTreeMap<Namespace, u32>) -> BTreeMap<Namespace, NetworkOf> {
        let known = of.into_keys().filter_map(|namespace| {
            let held = self.held.get(&namespace)?;
            Some((namespace, NetworkOf::Descriptor(held.network.descriptor())))
        });
        known.collect()
    }
}

/// Ends whatever a command has left running, and waits until it is gone: every process of this tree but this one.
fn end_all() -> io::Result<()> {
    // Anywhere else it would be every process of the machine.
    if std::process::id() != 1 {
        return Err(io::Error::other("this is not the first process of a lane"));
    }
    // To ask for a child is cheaper than to ask for every process: the kernel looks at all that the machine has. Who lost its
    // parent is a child of this one.
    match waitpid(Pid::from_raw(-1), Some(WaitPidFlag::WNOHANG)) {
        Err(Errno::ECHILD) => return Ok(()),
        Ok(_) | Err(Errno::EINTR) => {}
        Err(errno) => return Err(errno.into()),
    }
    match kill(Pid::from_raw(-1), Signal::SIGKILL) {
        Ok(()) => {}
        Err(Errno::ESRCH) => return Ok(()),
        Err(errno) => return Err(errno.into()),
    }
    loop {
        match waitpid(Pid::from_raw(-1), None) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(Errno::ECHILD) => return Ok(()),
            Err(errno) => return Err(errno.into()),
        }
    }
}
