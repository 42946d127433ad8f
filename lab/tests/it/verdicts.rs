//! Verdicts and the real pairings that yield them: the recordings of what was seen, and what `show` makes of them.
//!
//! Each file of `data/recordings/verdicts` is what `matrix --scenario … --writer … --reader … --record FILE` wrote.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::OnceLock;

use iptables_lab::judge::verdict::{Effect, Verdict};
use iptables_lab::judge::{Cell, Crash};
use iptables_lab::matrix::Matrix;
use iptables_lab::plan::Operation;
use iptables_lab::recording::{self, Recording};
use iptables_lab::report;

/// What was recorded, and what the judge makes of it. Each is judged once.
fn recorded() -> &'static [(&'static str, Recording, Matrix)] {
    static RECORDED: OnceLock<Vec<(&str, Recording, Matrix)>> = OnceLock::new();
    RECORDED.get_or_init(|| {
        let folder = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/data/recordings/verdicts"
        );
        let read = |(name, _): &(&'static str, _)| {
            let path = Path::new(folder).join(format!("{name}.jsonl"));
            let recording = recording::read(&path).unwrap().recording;
            let matrix = Matrix::of(&recording);
            (*name, recording, matrix)
        };
        YIELDED.iter().map(read).collect()
    })
}

fn verdicts(cell: &Cell) -> BTreeSet<&'static str> {
    let of_rules = cell
        .outcome
        .rules
        .iter()
        .flat_map(|rule| rule.of_reader().chain(rule.of(Operation::Write)));
    let of_chains = cell
        .outcome
        .chains
        .iter()
        .flat_map(|chain| chain.of_reader());
    let all = of_rules.chain(of_chains).chain([cell.verdict]);
    all.map(Verdict::as_str).collect()
}

/// Which recordings yield which verdicts.
const YIELDED: &[(&str, &[Verdict])] = &[
    ("averted", &[Verdict::Averted]),
    ("crashed", &[Verdict::Crashed]),
    ("differs", &[Verdict::Differs]),
    ("doubled", &[Verdict::Invisible, Verdict::Doubled]),
    ("drifts", &[Verdict::Drifts, Verdict::Misread]),
    ("dropped", &[Verdict::Lossy]),
    ("found-wrong", &[Verdict::FoundWrong]),
    (
        "kept",
        &[
            Verdict::Faithful,
            Verdict::Same,
            Verdict::Kept,
            Verdict::Recognised,
            Verdict::Stable,
            Verdict::Found,
            Verdict::Deleted,
        ],
    ),
    (
        "lossy",
        &[
            Verdict::Lossy,
            Verdict::Changed,
            Verdict::NotFound,
            Verdict::NotDeleted,
        ],
    ),
    ("misprinted", &[Verdict::Misprinted]),
    ("passed", &[Verdict::Lossy]),
    ("refused", &[Verdict::Refused, Verdict::NothingToRestore]),
    ("incompatible", &[Verdict::Incompatible, Verdict::Refused]),
    ("reworded", &[Verdict::Reworded]),
    ("timed-out", &[Verdict::TimedOut]),
    ("unreadable", &[Verdict::Unreadable]),
    ("unrestorable", &[Verdict::Unrestorable]),
    ("unsupported", &[Verdict::Unsupported]),
    ("wrong-rule", &[Verdict::WrongRule]),
];

#[test]
fn verdicts_are_yielded_by_real_pairings() {
    for ((name, expected), (_, _, matrix)) in YIELDED.iter().zip(recorded()) {
        let found: BTreeSet<&str> = matrix.cells.iter().flat_map(verdicts).collect();
        for verdict in *expected {
            assert!(
                found.contains(verdict.as_str()),
                "{name} yields no {verdict}: {found:?}"
            );
        }
    }
}

/// A verdict that nothing real ever yields is no verdict.
#[test]
fn every_verdict_has_a_real_pairing_that_yields_it() {
    let yielded: Vec<&Verdict> = YIELDED.iter().flat_map(|(_, verdicts)| *verdicts).collect();
    let mut known = Verdict::ALL.iter();
    assert_eq!(known.find(|verdict| !yielded.contains(verdict)), None);
}

/// `meta mark set ip dscp`, as nft writes it: iptables-nft-save dies of it, and of nothing else that lies there.
#[test]
fn a_crash_has_its_signal_and_the_least_rules_on_which_the_reader_dies() {
    let (_, _, matrix) = recorded().iter().find(|of| of.0 == "crashed").unwrap();
    let crashes: Vec<&Crash> = matrix
        .cells
        .iter()
        .flat_map(|cell| &cell.outcome.crashes)
        .collect();
    let saves: Vec<&&Crash> = crashes
        .iter()
        .filter(|crash| crash.argv == ["iptables-nft-save"])
        .collect();
    assert!(!saves.is_empty(), "{crashes:#?}");
    for crash in saves {
        let rules = crash
            .rules
            .lines()
            .filter(|line| line.starts_with("add rule"));
        assert_eq!(
            rules.collect::<Vec<_>>(),
            ["add rule ip filter NATIVE meta mark set ip dscp"]
        );
        assert_eq!(crash.signal, 11);
    }
}

#[test]
fn every_effect_on_packets_is_yielded_by_a_real_pairing() {
    let cells: Vec<&Cell> = recorded()
        .iter()
        .flat_map(|(.., matrix)| &matrix.cells)
        .collect();
    for effect in [
        Effect::AsBefore,
        Effect::Rerouted,
        Effect::Passed,
        Effect::Dropped,
    ] {
        let probes = cells.iter().flat_map(|cell| &cell.outcome.probes);
        let mut after = probes.flat_map(|probe| probe.after.values());
        assert!(
            after.any(|of| *of == effect),
            "nothing real yields {effect}"
        );
    }
}

/// What is concluded, and all that was seen, as it is shown.
#[test]
fn what_is_shown_of_them_is_what_was_kept() {
    for (name, recording, matrix) in recorded() {
        let pages = matrix.cells.iter().map(|cell| {
            let load = recording
                .loads
                .iter()
                .find(|load| load.family == cell.family);
            report::show::render(cell, load.unwrap(), &recording.head.scenarios[0], &[])
        });
        let pages: Vec<String> = pages.collect();
        let mut settings = insta::Settings::new();
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings.set_snapshot_path("../snapshots/verdicts");
        let plain = anstream::adapter::strip_str(&pages.join("\n")).to_string();
        settings.bind(|| insta::assert_snapshot!(*name, plain));
    }
}
