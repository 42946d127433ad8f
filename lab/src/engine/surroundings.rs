//! What a lane's rules and packets need around them: interfaces to other namespaces, addresses, routes, sets, and
//! packets that are sent and looked for in every namespace. Several agents take part.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::{EngineError, Lane, Place};
use crate::agent::probe::NUMBERS;
use crate::agent::protocol::{Fate, Packet, Reply, Request, Sighting};
use crate::catalog::Family;
use crate::scenario::{Arrival, Expect, Namespace, Outcome, Probe, ProbeKind, Setup};

/// How long what does not come is waited for, in each of the attempts that a probe has. Local delivery takes some
/// microseconds; only a machine that is very busy needs more than the first. What is to be dropped has one attempt.
const PATIENCE: [Duration; 3] = [
    Duration::from_millis(80),
    Duration::from_millis(300),
    Duration::from_millis(1000),
];

/// How many packets are sent side by side: every attempt takes new numbers.
const BATCH: usize = NUMBERS as usize / PATIENCE.len();

/// How long until the agents are asked again what they heard: at first, and doubled each time.
const PAUSE: Duration = Duration::from_millis(1);

/// Removes what an earlier scenario needed, its rules included, and makes what `setup` says; what the kernel lacks for
/// it, in its own words, is the inner error.
///
/// # Errors
/// An agent fails, or is gone.
pub async fn furnish(
    lane: &mut dyn Lane,
    setup: &Setup,
) -> Result<Result<(), String>, EngineError> {
    for namespace in lane.namespaces() {
        let cleared = has_done(lane, namespace, &Request::Clear).await?;
        // Who needs nothing does not need either what a kernel may lack for clearing: a way to forget connections.
        if let (Err(lacks), false) = (cleared, *setup == Setup::default()) {
            return Ok(Err(lacks));
        }
    }
    if *setup == Setup::default() {
        return Ok(Ok(()));
    }
    let mut far = BTreeMap::new();
    for end in setup.ends() {
        far.insert(end, process(lane, end).await?);
    }
    // The lane makes both ends of every pair.
    let places = || std::iter::once(Namespace::Lane).chain(setup.ends());
    for at in places() {
        let request = Request::Furnish {
            at,
            setup: setup.clone(),
            far: far.clone(),
        };
        if let Err(lacks) = has_done(lane, at, &request).await? {
            return Ok(Err(lacks));
        }
    }
    for at in places() {
        if let Err(lacks) = has_done(lane, at, &Request::Settle).await? {
            return Ok(Err(lacks));
        }
    }
    Ok(Ok(()))
}

/// Sends every one of `probes` from its namespace and says what became of each, in their order.
///
/// # Errors
/// An agent fails, or is gone.
pub async fn probe(
    lane: &mut dyn Lane,
    probes: &[(Namespace, Probe)],
) -> Result<Vec<Outcome>, EngineError> {
    let mut outcomes = vec![Outcome::default(); probes.len()];
    for batch in batches(probes) {
        let mut open = batch;
        let mut number = 0..NUMBERS;
        for patience in PATIENCE {
            if open.is_empty() {
                break;
            }
            let sent = open.iter().zip(&mut number);
            let sent = sent.map(|(&place, number)| Attempt {
                from: probes[place].0,
                packet: Packet {
                    number,
                    probe: probes[place].1.clone(),
                },
            });
            let seen = round(lane, &sent.collect::<Vec<_>>(), patience).await?;
            for (&place, outcome) in open.iter().zip(seen) {
                outcomes[place] = outcome;
            }
            open.retain(|&place| !is_believed(&probes[place].1, &outcomes[place]));
        }
    }
    Ok(outcomes)
}

/// Whether no further attempt is needed: it is what was expected, or not a mere absence.
fn is_believed(probe: &Probe, outcome: &Outcome) -> bool {
    let was_seen = outcome.arrival.is_some() && outcome.answered;
    was_seen || probe.expect == Expect::Dropped || probe.is_met_by(outcome)
}

/// The places of the probes that can be on their way at the same time. Two with the same addresses and ports cannot:
/// one socket would have both, and to whoever tracks connections they would be one.
fn batches(probes: &[(Namespace, Probe)]) -> Vec<Vec<usize>> {
    let mut batches: Vec<Vec<usize>> = Vec::new();
    for (place, probe) in probes.iter().enumerate() {
        let fits = |batch: &&mut Vec<usize>| {
            let mut others = batch.iter().map(|&other| &probes[other]);
            batch.len() < BATCH && !others.any(|other| are_one_connection(probe, other))
        };
        match batches.iter_mut().find(fits) {
            Some(batch) => batch.push(place),
            None => batches.push(vec![place]),
        }
    }
    batches
}

fn are_one_connection(one: &(Namespace, Probe), other: &(Namespace, Probe)) -> bool {
    let key = |(sender, probe): &(Namespace, Probe)| {
        (*sender, probe.kind, probe.from_port, probe.to, probe.port)
    };
    one.1.from_port.is_some() && key(one) == key(other)
}

/// A packet that is sent from a namespace.
struct Attempt {
    from: Namespace,
    packet: Packet,
}

/// What the agents heard: where each packet was delivered, and what its sender knows.
#[derive(Default)]
struct Heard {
    sightings: Vec<(Namespace, Sighting)>,
    fates: BTreeMap<u16, Fate>,
}

/// Sends packets side by side, waits until all is known or patience is over, and says what became of each.
async fn round(
    lane: &mut dyn Lane,
    attempts: &[Attempt],
    patience: Duration,
) -> Result<Vec<Outcome>, EngineError> {
    let listen = listening(attempts);
    let namespaces = lane.namespaces();
    if let Some(stray) = attempts.iter().find(|one| !namespaces.contains(&one.from)) {
        let (name, from) = (&stray.packet.probe.name, stray.from);
        let fault = format!("`{name}` is sent from the {from}, which this lane has not");
        return Err(EngineError::Fault(fault));
    }
    for &namespace in &namespaces {
        must_do(lane, namespace, &listen).await?;
    }
    for &namespace in &namespaces {
        let own = attempts.iter().filter(|attempt| attempt.from == namespace);
        let packets: Vec<Packet> = own.map(|attempt| attempt.packet.clone()).collect();
        if !packets.is_empty() {
            must_do(lane, namespace, &Request::Send { packets }).await?;
        }
    }
    let begun = Instant::now();
    let mut pause = PAUSE;
    loop {
        let heard = hear(lane, &namespaces, &Request::Hear).await?;
        let is_known = attempts
            .iter()
            .all(|one| is_settled(&heard.outcome(&one.packet)));
        let left = patience.saturating_sub(begun.elapsed());
        if is_known || left.is_zero() {
            break;
        }
        tokio::time::sleep(pause.min(left)).await;
        pause *= 2;
    }
    let heard = hear(lane, &namespaces, &Request::StopListening).await?;
    Ok(attempts
        .iter()
        .map(|one| heard.outcome(&one.packet))
        .collect())
}

/// Whether nothing more will come.
fn is_settled(outcome: &Outcome) -> bool {
    outcome.refused.is_some() || outcome.answered && outcome.arrival.is_some()
}

fn listening(attempts: &[Attempt]) -> Request {
    static ROUNDS: AtomicU64 = AtomicU64::new(0);
    let (mut udp, mut tcp, mut families) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for Attempt { packet, .. } in attempts {
        let probe = &packet.probe;
        let redirected = match probe.expect {
            Expect::To(_, port) => port,
            Expect::Delivered | Expect::Dropped => None,
        };
        let ports = probe.port.into_iter().chain(redirected);
        match probe.kind {
            ProbeKind::Icmp => {}
            ProbeKind::Udp => udp.extend(ports),
            ProbeKind::Tcp => tcp.extend(ports),
        }
        families.insert(match probe.to.is_ipv4() {
            true => Family::Ipv4,
            false => Family::Ipv6,
        });
    }
    Request::Listen {
        round: ROUNDS.fetch_add(1, Ordering::Relaxed),
        families,
        udp,
        tcp,
    }
}

/// What the agents of all namespaces heard.
async fn hear(
    lane: &mut dyn Lane,
    namespaces: &[Namespace],
    request: &Request,
) -> Result<Heard, EngineError> {
    let mut heard = Heard::default();
    for &namespace in namespaces {
        match lane.ask(&place(namespace), request).await? {
            Reply::Heard { sightings, fates } => {
                let here = sightings.into_iter().map(|sighting| (namespace, sighting));
                heard.sightings.extend(here);
                heard
                    .fates
                    .extend(fates.into_iter().map(|fate| (fate.number, fate)));
            }
            other => return Err(unexpected(namespace, &other)),
        }
    }
    Ok(heard)
}

impl Heard {
    /// What became of a packet. Where it arrived more than once, what was expected counts, and else what was first.
    fn outcome(&self, packet: &Packet) -> Outcome {
        let fate = self.fates.get(&packet.number);
        let mut outcomes = self
            .sightings
            .iter()
            .filter(|(_, sighting)| sighting.number == packet.number)
            .map(|&(at, Sighting { from, to, port, .. })| Outcome {
                arrival: Some(Arrival { at, from, to, port }),
                // Nobody answers a datagram.
                answered: packet.probe.kind == ProbeKind::Udp
                    || fate.is_some_and(|fate| fate.answered),
                refused: fate.and_then(|fate| fate.refused),
            });
        let nowhere = Outcome {
            arrival: None,
            answered: fate.is_some_and(|fate| fate.answered),
            refused: fate.and_then(|fate| fate.refused),
        };
        let first = outcomes.clone().next();
        let met = outcomes.find(|outcome| packet.probe.is_met_by(outcome));
        met.or(first).unwrap_or(nowhere)
    }
}

/// The agent of a namespace.
fn place(namespace: Namespace) -> Place {
    match namespace {
        Namespace::Lane => Place::Holder,
        Namespace::Peer | Namespace::Inner => Place::Far(namespace),
    }
}

/// The process that a far namespace is known by in the lane.
async fn process(lane: &mut dyn Lane, namespace: Namespace) -> Result<u32, EngineError> {
    match lane.ask(&place(namespace), &Request::Hello).await? {
        Reply::Hello { pid, .. } => Ok(pid),
        other => Err(unexpected(namespace, &other)),
    }
}

/// Has an agent do something; what the kernel lacks for it is the inner error.
async fn has_done(
    lane: &mut dyn Lane,
    namespace: Namespace,
    request: &Request,
) -> Result<Result<(), String>, EngineError> {
    match lane.ask(&place(namespace), request).await? {
        Reply::Done => Ok(Ok(())),
        Reply::Lacks { message } => Ok(Err(message)),
        other => Err(unexpected(namespace, &other)),
    }
}

/// Has an agent do what takes nothing that a kernel may lack.
async fn must_do(
    lane: &mut dyn Lane,
    namespace: Namespace,
    request: &Request,
) -> Result<(), EngineError> {
    has_done(lane, namespace, request)
        .await?
        .map_err(EngineError::Lost)
}

fn unexpected(namespace: Namespace, reply: &Reply) -> EngineError {
    EngineError::Fault(match reply {
        Reply::Failed { message } => format!("the agent of the {namespace} failed: {message}"),
        other => format!("the agent of the {namespace} answered with {other:?}"),
    })
}
