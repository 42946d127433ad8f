//! What a kernel takes of all that the scenarios' rules need: tried with a real rule each, by a real build, in a lane.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::modules::{Lacking, modprobe};
use super::needs::{Asking, Need, needs};
use crate::agent::protocol::{Reply, Request};
use crate::catalog::Build;
use crate::engine::{Lane, Place, surroundings};
use crate::observed::{End, Ran};
use crate::scenario::Scenario;
use crate::tool::Program;

/// How long a rule may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What came of it.
#[derive(Debug)]
pub struct Tried<'n> {
    /// How many things were tried.
    count: usize,
    /// Those that are refused.
    refused: BTreeMap<Need, Refused<'n>>,
}

/// What the kernel lacks, and what the build or the kernel says of it.
#[derive(Debug)]
struct Refused<'n> {
    asking: Asking<'n>,
    lacking: Lacking<'n>,
    said: String,
}

impl Tried<'_> {
    /// Leaves out what is refused in a rule with one of these words, and says which of them are.
    pub fn without(&mut self, words: &[&'static str]) -> BTreeSet<&'static str> {
        let named = |need: &Need, asking: Asking<'_>| {
            let mut words = words.iter().copied();
            words.find(|word| asking.has(need.family, word))
        };
        let mut known = BTreeSet::new();
        let before = self.refused.len();
        self.refused.retain(|need, refused| {
            let word = named(need, refused.asking);
            known.extend(word);
            word.is_none()
        });
        self.count -= before - self.refused.len();
        known
    }

    /// In words, of the build that tried it; what is refused with the command that mends it.
    pub fn found(&self, build: &Build) -> Result<String, (String, String)> {
        let Tried { count, refused } = self;
        let things = if build.tool.dialect().is_xtables() {
            "matches and targets"
        } else {
            "expressions"
        };
        let Some((first, Refused { said, .. })) = refused.first_key_value() else {
            return Ok(format!("{} writes {count} {things}", build.id));
        };
        let names: Vec<String> = refused.keys().map(Need::to_string).collect();
        let says = format!(
            "{} of {count} {things} are refused: {}; of {first} {} says: {said}",
            refused.len(),
            names.join(", "),
            build.id
        );
        let lacking: Vec<Lacking<'_>> = refused.values().map(|of| of.lacking.clone()).collect();
        Err((says, modprobe(build.backend, &lacking)))
    }
}

/// Has `build` write a rule for each thing that the scenarios of its tool need.
///
/// # Errors
/// The lane fails; one sentence.
pub async fn try_all<'s>(
    lane: &mut dyn Lane,
    build: &Build,
    scenarios: &'s [Scenario],
) -> Result<Tried<'s>, String> {
    let needs = needs(scenarios, build.tool);
    let count = needs.len();
    let mut refused = BTreeMap::new();
    // What a scenario's rules need around them is made once for all of its rules.
    let mut by_scenario: Vec<(Need, Asking<'s>)> = needs.into_iter().collect();
    by_scenario.sort_by_key(|(_, asking)| &asking.scenario.name);
    for of_one in by_scenario.chunk_by(|(_, one), (_, other)| one.scenario == other.scenario) {
        let furnished = match of_one.first() {
            Some((_, asking)) => furnish(lane, asking.scenario).await?,
            None => None,
        };
        for (need, asking) in of_one {
            let found = match &furnished {
                Some(said) => Some(Refused {
                    asking: *asking,
                    lacking: Lacking::Around(&asking.scenario.setup),
                    said: said.clone(),
                }),
                None => write(lane, build, need, *asking).await?,
            };
            refused.extend(found.map(|found| (need.clone(), found)));
        }
    }
    Ok(Tried { count, refused })
}

/// What the kernel lacks for what is around a scenario's rules.
async fn furnish(lane: &mut dyn Lane, scenario: &Scenario) -> Result<Option<String>, String> {
    let furnished = surroundings::furnish(lane, &scenario.setup).await;
    Ok(furnished.map_err(|error| error.to_string())?.err())
}

/// What is refused of a rule; none where it is written.
async fn write<'s>(
    lane: &mut dyn Lane,
    build: &Build,
    need: &Need,
    asking: Asking<'s>,
) -> Result<Option<Refused<'s>>, String> {
    let Asking { scenario, rule } = asking;
    // All at once, so that what the rule refers to is there, however its system writes it.
    let how = build.tool.commands().at_once();
    let (given, program) = (
        scenario.rules.get(&need.family),
        Program::of(build, need.family),
    );
    let commands = given.map_or_else(Vec::new, |given| {
        let own = scenario.own_layer();
        given.commands(program, how, |place| {
            scenario.in_whole(need.family, own, place) == rule
        })
    });
    let runs = commands.into_iter().map(|(argv, stdin)| Request::Run {
        argv,
        stdin,
        handle_of: None,
        timeout_ms: u64::try_from(TIMEOUT.as_millis()).unwrap_or(u64::MAX),
    });
    let request = Request::Burst {
        requests: std::iter::once(Request::Reset).chain(runs).collect(),
        until_failure: true,
    };
    let asked = lane.ask(&Place::Build(build.id.clone()), &request).await;
    let replies = match asked.map_err(|error| error.to_string())? {
        Reply::Burst { replies } => replies,
        other => return Err(format!("an agent answered with {other:?}")),
    };
    match replies.into_iter().next_back() {
        Some(Reply::Ran(Ran {
            end: End::Exit(0), ..
        })) => Ok(None),
        Some(Reply::Ran(ran)) => {
            let said = ran.stderr.to_lossy().into_owned();
            let lacking = Lacking::Rule {
                tool: build.tool,
                need: need.clone(),
                table: asking.table(need.family),
            };
            Ok(Some(Refused {
                asking,
                lacking,
                said: said.lines().next().unwrap_or("nothing").to_owned(),
            }))
        }
        other => Err(format!("an agent answered with {other:?}")),
    }
}
