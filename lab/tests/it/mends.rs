//! What `diagnose` offers mends damaged rules.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use iptables_lab::agent::protocol::Request;
use iptables_lab::catalog::{Catalog, Image, Source, Tool};
use iptables_lab::engine::Place;
use iptables_lab::observed::End;
use iptables_lab::scenario::Setup;
use iptables_lab::tool::iptables::stem;

use super::lab::seed;
use super::lane::{On, TestLane, usual_store};
use super::shipped::{Left, Spot, diagnosis, dump, shipped_losses};

/// All commands that are offered for what a loss, or a pairing, leaves, run in their order in a namespace on the dump that they
/// are for, give the rules that are meant. One in four is tried; a seed chooses which.
#[test]
fn what_is_offered_mends_the_shipped_losses() {
    needs!(Root, Native);
    const ONE_IN: usize = 4;
    let catalog = Catalog::load(&[]).unwrap();
    let newest = |image: &Image| matches!(&image.source, Source::Suite { suite } if suite == "sid");
    let mut lane = TestLane::of(On::Native, &usual_store(), &catalog, newest);
    let (single, together) = shipped_losses();
    let losses = single.into_iter().chain(together);
    let losses = losses.filter(|left| left.scenario.tool() == Tool::Iptables);
    let first = usize::try_from(seed() / 2).unwrap() % ONE_IN;
    let losses = losses.skip(first).step_by(ONE_IN);
    let (mut mended, mut unwritable) = (0, BTreeSet::new());
    let mut known: BTreeMap<String, Option<String>> = BTreeMap::new();
    for left in losses {
        let print = dump(left.scenario, left.family, &left.lines);
        let repair = diagnosis(&print).repair;
        if repair.commands.is_empty() {
            continue;
        }
        // What is meant: each line that a command is for as its system has it, the others as they are.
        let mut still = left.lines.clone();
        for (spot, goes) in repair.commands.iter().map(|words| spot_of(words)) {
            match goes {
                true => still.insert(spot, String::new()),
                false => still.remove(&spot),
            };
        }
        let goal = dump(left.scenario, left.family, &still);
        let mut after = |print: &str| rules_after(&mut lane, &left, print, &[]);
        let goal = known
            .entry(goal.clone())
            .or_insert_with(|| after(&goal))
            .clone();
        let Some(is) = rules_after(&mut lane, &left, &print, &repair.commands) else {
            // What is left cannot be written by itself: `REJECT --reject-with tcp-reset` without its protocol.
            unwritable.insert(print);
            continue;
        };
        let offered = &repair.commands;
        assert_eq!(
            Some(is),
            goal,
            "{} {}: {offered:?}",
            left.scenario.name,
            left.family
        );
        mended += 1;
    }
    let unwritable = unwritable.len();
    assert!(
        mended > 125 && unwritable * 20 < mended,
        "{mended} mended, {unwritable} cannot be written"
    );
}

/// The place that a command is about, and whether what stands there goes.
fn spot_of(command: &[String]) -> (Spot, bool) {
    let [_, _, table, option, chain, index, ..] = command else {
        panic!("{command:?}");
    };
    let spot = (table.clone(), chain.clone(), index.parse().unwrap());
    (spot, option == "-D")
}

/// What the kernel's rules are after a print was restored and commands were run; none where it cannot be restored.
fn rules_after(
    lane: &mut TestLane,
    left: &Left,
    print: &str,
    commands: &[Vec<String>],
) -> Option<String> {
    lane.ask(&Place::Holder, &Request::Clear).unwrap();
    let sets = Setup {
        sets: left.scenario.setup.sets.clone(),
        ..Setup::default()
    };
    lane.furnish_with(&sets);
    let command = stem(left.family);
    let restored = lane.run(&format!("{command}-nft-restore"), Some(print));
    if restored.end != End::Exit(0) {
        return None;
    }
    for words in commands {
        let ran = lane.run_words(words, None);
        assert_eq!(ran.end, End::Exit(0), "{words:?}: {ran:#?}");
    }
    let saved = lane.run(&format!("{command}-nft-save"), None);
    let saved = saved.stdout.to_lossy().into_owned();
    let mut rules = String::new();
    for line in saved.lines().filter(|line| !line.starts_with('#')) {
        let without_counters = line
            .strip_prefix(':')
            .and_then(|chain| chain.split(" [").next());
        let _ = writeln!(rules, "{}", without_counters.unwrap_or(line));
    }
    Some(rules)
}
