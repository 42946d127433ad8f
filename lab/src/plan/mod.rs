//! Pairings and rules laid out in lanes, loads and steps. Pure: no clock, no I/O, no engine.

pub mod control;
pub mod coroutine;
pub mod fault;
pub mod isolate;
mod operation;
pub mod procedure;
pub mod sample;
mod shard;
pub mod step;
pub mod trace;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::catalog::{Backend, Build, BuildId, Family, Origin, Tool};
use crate::scenario::{Pairings, Scenario, Setup};
use crate::tool::{Argv, Commands, Program};
pub use operation::Operation;
pub use shard::Shard;
use step::RuleSet;

/// What `operations` need around the rules of `scenario`. Only packets need a way, and some tools the interfaces that rules
/// name; none takes rules about sets that are not there.
pub fn surroundings<'s>(scenario: &'s Scenario, operations: &[Operation]) -> Cow<'s, Setup> {
    match operations.contains(&Operation::Effect) || scenario.tool().commands().needs_interfaces() {
        true => Cow::Borrowed(&scenario.setup),
        false => Cow::Owned(Setup {
            sets: scenario.setup.sets.clone(),
            accounts: scenario.setup.accounts.clone(),
            ..Setup::default()
        }),
    }
}

/// Which backends run in a lane. A legacy table, once touched, stays registered in its namespace, and nft tools then
/// print a warning about it: so a lane is of one kind, never by chance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LaneKind {
    /// nft builds only; no legacy table is ever registered.
    Nft,
    /// Legacy builds only; all legacy tables are registered from the start.
    Legacy,
    /// Both; all legacy tables are registered from the start.
    Cross,
}

impl LaneKind {
    /// The kind in which these two meet.
    fn of(writer: Backend, reader: Backend) -> Self {
        match (writer, reader) {
            (Backend::Nft, Backend::Nft) => LaneKind::Nft,
            (Backend::Legacy, Backend::Legacy) => LaneKind::Legacy,
            (Backend::Nft, Backend::Legacy) | (Backend::Legacy, Backend::Nft) => LaneKind::Cross,
        }
    }

    /// Whether legacy builds run in it.
    pub fn has_legacy(self) -> bool {
        match self {
            LaneKind::Nft => false,
            LaneKind::Legacy | LaneKind::Cross => true,
        }
    }

    /// The word that recordings and messages use.
    pub fn as_str(self) -> &'static str {
        match self {
            LaneKind::Nft => "nft",
            LaneKind::Legacy => "legacy",
            LaneKind::Cross => "cross",
        }
    }
}

impl fmt::Display for LaneKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A build that reads, and who says what the kernel then holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reader {
    /// The reader.
    pub build: Build,
    /// The witness of the writer's backend; none where there is no other build of it.
    pub witness: Option<BuildId>,
}

/// The rules of one scenario and family as one writer writes them into one namespace, and who reads them there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Load {
    /// The scenario's name.
    pub scenario: String,
    /// Which of its rulesets.
    pub family: Family,
    /// Who writes.
    pub writer: Build,
    /// Who reads, in order.
    pub readers: Vec<Reader>,
    /// The kind of lane it runs in.
    pub kind: LaneKind,
    /// The rules that readers are asked for one by one, with `-C` and `-D`; none where they are asked for all.
    pub asked: Option<RuleSet>,
}

impl Load {
    /// Whether the reader is of another backend than the writer.
    fn is_crossed(&self, reader: &Reader) -> bool {
        reader.build.backend != self.writer.backend
    }

    /// Of which tool and backend one of the load's builds is. A witness is of the writer's backend.
    fn kind_of(&self, build: &BuildId) -> (Tool, Backend) {
        let readers = self.readers.iter().map(|reader| &reader.build);
        let mut known = [&self.writer].into_iter().chain(readers);
        let known = known.find(|known| known.id == *build);
        if let Some(known) = known {
            return (known.tool, known.backend);
        }
        let mut readers = self.readers.iter();
        let reader = readers.find(|reader| reader.witness.as_ref() == Some(build));
        let reader = reader.map_or(self.writer.tool, |reader| reader.build.tool);
        (
            self.writer.tool.commands().witness(reader),
            self.writer.backend,
        )
    }

    /// The commands of one of the load's builds, and the program that runs them.
    fn commands_of(&self, build: &BuildId) -> (&'static dyn Commands, Program) {
        let (tool, backend) = self.kind_of(build);
        let family = self.family;
        (tool.commands(), Program { backend, family })
    }

    /// How one of the load's builds prints what the kernel holds.
    fn print_command(&self, build: &BuildId) -> Argv {
        let (commands, program) = self.commands_of(build);
        commands.print(program)
    }
}

/// All that is to be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// What is done with each pairing.
    pub operations: Vec<Operation>,
    /// The loads, scenario by scenario, in the order in which they run.
    pub loads: Vec<Load>,
    /// The builds that each kind of lane must hold: writers, readers and witnesses.
    pub lanes: BTreeMap<LaneKind, BTreeSet<BuildId>>,
}

/// Who takes part in a plan.
#[derive(Debug, Clone, Copy)]
pub struct Selection<'a> {
    /// Every build that is available: the witnesses come from here.
    pub available: &'a [Build],
    /// Who writes.
    pub writers: &'a [Build],
    /// Who reads.
    pub readers: &'a [Build],
    /// Whether somebody said who shall read. Else those do that read unasked.
    pub are_readers_named: bool,
}

impl Plan {
    /// Lays out every pairing of the selection with every scenario and family. Who writes a scenario is the tool that its
    /// system uses; who reads is of any tool. A scenario that nobody of the selection can write has no load. What people
    /// wait for runs first.
    pub fn new(
        scenarios: &[Scenario],
        selection: Selection<'_>,
        operations: Vec<Operation>,
    ) -> Self {
        let mut plan = Plan {
            operations,
            loads: Vec::new(),
            lanes: BTreeMap::new(),
        };
        let mut in_order: Vec<&Scenario> = scenarios.iter().collect();
        in_order.sort_by_key(|scenario| scenario.weight());
        for scenario in in_order {
            for family in scenario.families() {
                let tool = scenario.tool();
                for writer in selection.writers.iter().filter(|of| of.tool == tool) {
                    plan.add_loads(scenario, family, writer, selection);
                }
            }
        }
        plan
    }

    fn add_loads(
        &mut self,
        scenario: &Scenario,
        family: Family,
        writer: &Build,
        selection: Selection<'_>,
    ) {
        let mut readers: BTreeMap<LaneKind, Vec<Reader>> = BTreeMap::new();
        let pairings = &scenario.pairings;
        for build in selection.readers {
            let tool = scenario.tool();
            let is_asked = selection.are_readers_named || build.tool.commands().reads_unasked(tool);
            if !is_asked || !is_pairing(tool, pairings, (writer, build), selection.available) {
                continue;
            }
            let kind = match pairings.detect {
                // Who looks which backend is in use asks both of its own.
                Some(_) => LaneKind::Cross,
                None => LaneKind::of(writer.backend, build.backend),
            };
            let second = tool.commands().witness(build.tool);
            let witness = witness(selection.available, second, writer.backend, Some(&build.id))
                .map(|w| w.id.clone());
            readers.entry(kind).or_default().push(Reader {
                build: build.clone(),
                witness,
            });
        }
        for (kind, readers) in readers {
            let members = self.lanes.entry(kind).or_default();
            members.insert(writer.id.clone());
            members.extend(readers.iter().map(|reader| reader.build.id.clone()));
            members.extend(readers.iter().filter_map(|reader| reader.witness.clone()));
            if pairings.detect.is_some() {
                let siblings = readers.iter().flat_map(|reader| {
                    let build = &reader.build;
                    Backend::ALL.map(|backend| build.id.sibling(build.backend, backend))
                });
                members.extend(siblings);
            }
            let (scenario, writer) = (scenario.name.clone(), writer.clone());
            self.loads.push(Load {
                scenario,
                family,
                writer,
                readers,
                kind,
                asked: None,
            });
        }
    }

    /// Has readers be asked for a sample of the rules of large rulesets, not for each.
    pub fn sample(&mut self, scenarios: &BTreeMap<String, Arc<Scenario>>) {
        let mut known: BTreeMap<(String, Family), Option<RuleSet>> = BTreeMap::new();
        for load in &mut self.loads {
            let key = (load.scenario.clone(), load.family);
            let asked = known.entry(key).or_insert_with(|| {
                let scenario = scenarios.get(&load.scenario)?;
                sample::sample(scenario, load.family)
            });
            load.asked = asked.clone();
        }
    }

    /// How many pairings the plan has, counted once for each scenario and family.
    pub fn pairings(&self) -> usize {
        self.loads.iter().map(|load| load.readers.len()).sum()
    }
}

/// Whether a writer and a reader are ever put side by side in a scenario whose rules `tool` writes and that is about
/// `pairings`.
pub fn is_pairing(
    tool: Tool,
    pairings: &Pairings,
    (writer, reader): (&Build, &Build),
    available: &[Build],
) -> bool {
    writer.tool == tool
        && pairings.allow(writer, reader)
        && (pairings.detect.is_none() || has_both_backends(available, reader))
}

/// Whether the image of `build` holds the other backend too.
fn has_both_backends(available: &[Build], build: &Build) -> bool {
    Backend::ALL.into_iter().all(|backend| {
        let sibling = build.id.sibling(build.backend, backend);
        available.iter().any(|known| known.id == sibling)
    })
}

/// Whether builds of a tool are witnesses before those of other origins: upstream's iptables are. A release of nft is compiled only
/// for who asks for it, and what a cell says does not depend on that.
pub fn is_witness_first(tool: Tool, origin: Origin) -> bool {
    tool == Tool::Iptables && origin == Origin::Upstream
}

/// The witness of a tool and backend: the newest upstream build, or the newest of any origin where there is none; the next newest
/// where that is the `reader` itself.
pub fn witness<'a>(
    available: &'a [Build],
    tool: Tool,
    backend: Backend,
    reader: Option<&BuildId>,
) -> Option<&'a Build> {
    available
        .iter()
        .filter(|build| build.tool == tool && build.backend == backend)
        .filter(|build| Some(&build.id) != reader)
        .max_by_key(|build| {
            let is_whole = build.variant.is_none();
            let is_upstream = is_witness_first(build.tool, build.origin);
            (is_whole, is_upstream, &build.version, &build.id)
        })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::catalog::{Digest, Version};

    fn build(image: &str, origin: Origin, backend: Backend) -> Build {
        let digest: Digest = "0".repeat(64).parse().unwrap();
        Build {
            id: BuildId::new(image, backend),
            version: Version::new(image.trim_start_matches("debian-")),
            tool: Tool::Iptables,
            backend,
            origin,
            variant: None,
            key: digest.clone(),
            digest,
            libnftnl: None,
            banner: String::new(),
        }
    }

    fn builds() -> Vec<Build> {
        let images = [
            ("1.8.7", Origin::Upstream),
            ("debian-1.8.9-2", Origin::Debian),
            ("1.8.10", Origin::Upstream),
            ("debian-1.8.13-1", Origin::Debian),
        ];
        let of_image = |(image, origin)| Backend::ALL.map(|backend| build(image, origin, backend));
        images.into_iter().flat_map(of_image).collect()
    }

    #[rstest]
    #[case(None, "1.8.10-nft")]
    #[case(Some("1.8.7-nft"), "1.8.10-nft")]
    #[case(Some("1.8.10-nft"), "1.8.7-nft")]
    fn the_witness_is_the_newest_upstream_build_that_is_not_the_reader(
        #[case] reader: Option<&str>,
        #[case] expected: &str,
    ) {
        let builds = builds();
        let reader = reader.map(|id| BuildId::new(id.trim_end_matches("-nft"), Backend::Nft));
        let found = witness(&builds, Tool::Iptables, Backend::Nft, reader.as_ref()).unwrap();
        assert_eq!(found.id.as_str(), expected);
    }

    #[test]
    fn without_an_upstream_build_the_newest_of_any_origin_is_the_witness() {
        let debian = builds()
            .into_iter()
            .filter(|build| build.origin == Origin::Debian);
        let debian: Vec<Build> = debian.collect();
        let found = witness(&debian, Tool::Iptables, Backend::Legacy, None).unwrap();
        assert_eq!(found.id.as_str(), "debian-1.8.13-1-legacy");
    }

    #[test]
    fn every_pairing_is_laid_out_once_in_the_lane_of_its_kind() {
        let builds = builds();
        let text = "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -j DROP\nCOMMIT\n";
        let scenario = Scenario::from_rules("own", Family::Ipv4, text).unwrap();
        let selection = Selection {
            available: &builds,
            writers: &builds,
            readers: &builds,
            are_readers_named: false,
        };
        let plan = Plan::new(&[scenario], selection, Operation::ALL.to_vec());
        assert_eq!(plan.pairings(), builds.len() * builds.len());
        for load in &plan.loads {
            for reader in &load.readers {
                assert_eq!(
                    load.kind,
                    LaneKind::of(load.writer.backend, reader.build.backend)
                );
                assert_ne!(reader.witness.as_ref(), Some(&reader.build.id));
                let members = &plan.lanes[&load.kind];
                assert!(members.contains(&reader.build.id) && members.contains(&load.writer.id));
                assert!(
                    reader
                        .witness
                        .iter()
                        .all(|witness| members.contains(witness))
                );
            }
        }
    }

    /// nft itself, newer than any iptables.
    fn nft() -> Build {
        let build = build("debian-nft-9.9.9-1", Origin::Upstream, Backend::Nft);
        Build {
            id: BuildId::of_tool(Tool::Nft, "debian-nft-9.9.9-1", Backend::Nft),
            tool: Tool::Nft,
            ..build
        }
    }

    fn scenarios() -> [Scenario; 2] {
        let text = "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -j DROP\nCOMMIT\n";
        let file = "title = 't'\ngroup = 'g'\nfamilies = ['ipv4']\nwrite = 'nft'\n\
            source = { project = 'p', url = 'u', version = '1' }\n[rules]\nipv4 = '''\n\
            add table ip filter\nadd chain ip filter INPUT\nadd rule ip filter INPUT drop\n'''\n";
        [
            Scenario::from_rules("own", Family::Ipv4, text).unwrap(),
            Scenario::from_toml("native", file).unwrap(),
        ]
    }

    fn plan_of(writers: &[Build], readers: &[Build]) -> Plan {
        plan_where(true, writers, readers)
    }

    fn plan_where(are_readers_named: bool, writers: &[Build], readers: &[Build]) -> Plan {
        let mut available = builds();
        available.push(nft());
        let selection = Selection {
            available: &available,
            writers,
            readers,
            are_readers_named,
        };
        Plan::new(&scenarios(), selection, Operation::ALL.to_vec())
    }

    #[test]
    fn nft_writes_what_its_users_write_and_iptables_all_else() {
        let mut all = builds();
        all.push(nft());
        let plan = plan_of(&all, &all);
        // Whoever writes, all read.
        assert_eq!(plan.pairings(), (builds().len() + 1) * all.len());
        for load in &plan.loads {
            let tool = if load.scenario == "native" {
                Tool::Nft
            } else {
                Tool::Iptables
            };
            assert_eq!(load.writer.tool, tool);
            for reader in &load.readers {
                // It is a witness of what nft makes of nft's rules alone, and there is no other.
                let is_of_nft_alone = (tool, reader.build.tool) == (Tool::Nft, Tool::Nft);
                assert_eq!(reader.witness.is_none(), is_of_nft_alone);
                assert_ne!(reader.witness.as_ref(), Some(&nft().id));
            }
        }
        let kinds: Vec<LaneKind> = [LaneKind::Nft, LaneKind::Cross]
            .into_iter()
            .filter(|kind| plan.lanes[kind].contains(&nft().id))
            .collect();
        assert_eq!(kinds, [LaneKind::Nft, LaneKind::Cross]);
        assert!(!plan.lanes[&LaneKind::Legacy].contains(&nft().id));
    }

    #[test]
    fn unasked_nft_reads_what_nft_wrote() {
        let mut all = builds();
        all.push(nft());
        let plan = plan_where(false, &all, &all);
        let readers = |scenario: &str| -> std::collections::BTreeSet<Tool> {
            let loads = plan.loads.iter().filter(|load| load.scenario == scenario);
            let readers = loads.flat_map(|load| &load.readers);
            readers.map(|reader| reader.build.tool).collect()
        };
        assert_eq!(readers("own"), [Tool::Iptables].into());
        assert_eq!(readers("native"), Tool::ALL.into());
    }

    #[test]
    fn a_scenario_that_no_writer_can_write_has_no_load() {
        let iptables = plan_of(&builds(), &builds());
        assert!(iptables.loads.iter().all(|load| load.scenario == "own"));
        assert!(
            iptables
                .lanes
                .values()
                .all(|members| !members.contains(&nft().id))
        );
        let native = plan_of(&[nft()], &builds());
        assert!(native.loads.iter().all(|load| load.scenario == "native"));
        assert_eq!(native.pairings(), builds().len());
        assert_eq!(plan_of(&builds(), &[]).loads, []);
    }

    #[test]
    fn nft_prints_as_nft_whoever_wrote() {
        let plan = plan_of(&[nft()], &builds());
        let load = plan
            .loads
            .iter()
            .find(|of| of.kind == LaneKind::Cross)
            .unwrap();
        let print = |id: &BuildId| load.print_command(id).join(" ");
        assert_eq!(print(&nft().id), "nft -s list ruleset");
        assert_eq!(print(&load.readers[0].build.id), "iptables-legacy-save");
        let witness = load.readers[0].witness.as_ref().unwrap();
        assert_eq!(print(witness), "iptables-nft-save");
    }
}
