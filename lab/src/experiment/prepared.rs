//! A plan with everything it needs, ready to be run.

use miette::miette;

use super::failure::Failure;
use super::needed::Pairs;
use super::select::chosen_builds;
use super::session::{self, Session};
use super::timings::{Phase, Timings};
use crate::catalog::{Backend, Build, Missing, Tool};
use crate::engine::Engine;
use crate::images::Provision;
use crate::plan::sample::AskedRules;
use crate::plan::{Load, Operation, Plan, Selection, Shard, WithoutBystander, witness};
use crate::recording::{self, Head, Host, LoadRecord, Recording};
use crate::report::builds::{no_bystander, not_available};
use crate::scenario::Scenario;

/// A plan with everything it needs, ready to be run.
pub struct Prepared {
    pub(super) plan: Plan,
    pub(super) head: Head,
    pub(super) engine: Box<dyn Engine>,
    /// What an earlier run recorded, and need not be run again; none where this run is the first.
    pub(super) recorded: Option<Vec<LoadRecord>>,
    pub(super) timings: Timings,
}

impl Prepared {
    /// Provides the builds that the pairs need, and lays out the plan.
    ///
    /// # Errors
    /// A pattern names no build, no build can be had, or nothing is left to run.
    pub async fn new(
        session: &Session,
        operations: Vec<Operation>,
        scenarios: Vec<Scenario>,
        pairs: Pairs<'_>,
    ) -> Result<Self, Failure> {
        let provision = session.provide_for(&scenarios, pairs).await?;
        let ready = provision.builds.iter().map(|ready| &ready.build);
        if let Some(words) = not_available(&provision.missing, ready) {
            session.progress.note(&words);
        }
        Prepared::of(session, &provision, operations, scenarios, pairs).await
    }

    /// Lays out the plan of builds that are there.
    ///
    /// # Errors
    /// A pattern names no build, or nothing is left to run.
    pub async fn of(
        session: &Session,
        provision: &Provision,
        operations: Vec<Operation>,
        scenarios: Vec<Scenario>,
        pairs: Pairs<'_>,
    ) -> Result<Self, Failure> {
        let engine = session.engine(provision);
        let mut available = session::builds(provision);
        let mut missing = provision.missing.clone();
        // What is asked for is looked at before the kernel is.
        choose_both(&available, &missing, pairs)?;
        let lacking = session.lacking(engine.as_ref()).await?;
        available.retain(|build| {
            let reason = lacking.get(&build.backend);
            missing.extend(reason.map(|reason| Missing {
                id: build.id.clone(),
                reason: (*reason).to_owned(),
            }));
            reason.is_none()
        });
        let are_readers_named = !pairs.readers.is_empty();
        let (writers, readers) = choose_both(&available, &missing, pairs)?;
        let selection = Selection {
            available: &available,
            writers: &writers,
            readers: &readers,
            are_readers_named,
        };
        let mut timings = Timings::default();
        let plan = || Plan::new(&scenarios, selection, operations);
        let plan = timings.of(Phase::Plan, plan);
        let is_planned =
            |scenario: &Scenario| plan.loads.iter().any(|load| load.scenario == scenario.name);
        if plan.loads.is_empty() {
            return Err(nothing_to_run(&scenarios, &plan.without_bystander));
        }
        for of in &plan.without_bystander {
            session.progress.note(&no_bystander(of));
        }
        let is_said = |scenario: &Scenario| {
            plan.without_bystander
                .iter()
                .any(|of| of.scenario == scenario.name)
        };
        let left_out = scenarios.iter();
        let left_out = left_out.filter(|of| !is_planned(of) && !is_said(of));
        session.progress.left_out(left_out);
        let engine_of = Host {
            engine: engine.name(),
            engine_reason: Some(session.why.to_owned()),
            notes: engine.notes(),
            ..machine()
        };
        let head = head(&plan, scenarios, &available, missing, engine_of);
        let recorded = None;
        Ok(Prepared {
            plan,
            head,
            engine,
            recorded,
            timings,
        })
    }

    /// Leaves only one part of the plan.
    pub fn keep(&mut self, shard: Shard) {
        self.plan.keep(shard);
        self.head.shard = Some(shard);
    }

    /// Takes up the run that `recording` is of.
    ///
    /// # Errors
    /// It is the recording of another run: other builds, scenarios, operations or options, or another machine.
    pub fn take_up(&mut self, recording: Recording, asked: AskedRules) -> Result<(), Failure> {
        let (now, then) = (&self.head, &recording.head);
        let differing = [
            ("lab's version", now.lab != then.lab),
            ("machine", now.host != then.host),
            ("operations", now.operations != then.operations),
            ("builds", now.builds != then.builds),
            ("scenarios", now.scenarios != then.scenarios),
            ("pairings", now.pairings != then.pairings),
            ("shard", now.shard != then.shard),
            ("use of --all-rules", asked != then.asked_rules),
        ];
        if let Some((what, _)) = differing.into_iter().find(|(_, differs)| *differs) {
            let error = miette!(
                help = "give the same options as then, or record anew with --record",
                "the recording is of another run: its {what} are not this run's"
            );
            return Err(Failure::bad_input(error));
        }
        let is_recorded = |load: &Load| {
            recording.loads.iter().any(|record| {
                let same_rules = record.scenario == load.scenario && record.family == load.family;
                same_rules && record.writer == load.writer.id && record.kind == load.kind
            })
        };
        self.plan.loads.retain(|load| !is_recorded(load));
        self.head = recording.head;
        self.recorded = Some(recording.loads);
        Ok(())
    }
}

/// Not one of the scenarios has a writer and a reader among those chosen.
fn nothing_to_run(scenarios: &[Scenario], without: &[WithoutBystander]) -> Failure {
    if !without.is_empty() {
        let said: Vec<String> = without.iter().map(no_bystander).collect();
        let error = miette!(
            help = "`iptables-lab builds list` says which builds there are, and why others cannot be had",
            "nothing is left to run: {}",
            said.join("; ")
        );
        return Failure::lacks(error);
    }
    let names: Vec<String> = scenarios
        .iter()
        .map(|scenario| format!("{} ({})", scenario.name, scenario.tool()))
        .collect();
    let error = miette!(
        help = "what nft writes needs an nft such as debian-nft-1.1.3-1 as --writer, all else an iptables; `builds list` says \
                which there are",
        "nothing is left to run: of {} none has both a writer and a reader among those chosen",
        names.join(", ")
    );
    Failure::bad_input(error)
}

fn head(
    plan: &Plan,
    scenarios: Vec<Scenario>,
    available: &[Build],
    missing: Vec<Missing>,
    host: Host,
) -> Head {
    let takes_part = |build: &&Build| {
        plan.lanes
            .values()
            .any(|members| members.contains(&build.id))
    };
    Head {
        recording: recording::FORMAT,
        lab: env!("CARGO_PKG_VERSION").to_owned(),
        started: jiff::Timestamp::now(),
        host,
        operations: plan.operations.clone(),
        builds: available.iter().filter(takes_part).cloned().collect(),
        missing,
        witness: Backend::ALL
            .into_iter()
            .filter_map(|backend| {
                Some((
                    backend,
                    witness(available, Tool::default(), backend, None)?
                        .id
                        .clone(),
                ))
            })
            .filter(|(_, id)| plan.lanes.values().any(|members| members.contains(id)))
            .collect(),
        pairings: plan.pairings(),
        shard: None,
        scenarios,
        without_bystander: plan.without_bystander.clone(),
        asked_rules: AskedRules::default(),
    }
}

/// The kernel and architecture of this machine.
fn machine() -> Host {
    let name = nix::sys::utsname::uname().ok();
    let text = |field: Option<&std::ffi::OsStr>| {
        field.map_or_else(String::new, |text| text.to_string_lossy().into_owned())
    };
    Host {
        kernel: text(name.as_ref().map(|name| name.release())),
        arch: text(name.as_ref().map(|name| name.machine())),
        engine: String::new(),
        engine_reason: None,
        notes: Vec::new(),
    }
}

/// The writers and the readers among the available builds.
fn choose_both(
    available: &[Build],
    missing: &[Missing],
    pairs: Pairs<'_>,
) -> Result<(Vec<Build>, Vec<Build>), Failure> {
    let chosen = |patterns| {
        let mut builds = chosen_builds(available, missing, patterns)?;
        builds.retain(|build| pairs.backend.is_none_or(|of| of == build.backend));
        Ok::<_, Failure>(builds)
    };
    Ok((chosen(pairs.writers)?, chosen(pairs.readers)?))
}
