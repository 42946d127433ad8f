use std::collections::BTreeSet;

use super::*;
use crate::matrix::Matrix;

const RECORDINGS: [&str; 7] = [
    "docker-by-1.8.10.jsonl",
    "docker-ipv6-by-1.8.4.jsonl",
    "kube-firewall-by-1.8.9.jsonl",
    "kube-firewall-by-debian-1.8.7.jsonl",
    "kube-firewall-doubled.jsonl",
    "kube-router-by-debian-1.8.7.jsonl",
    "layers-by-debian-1.8.11.jsonl",
];

fn matrix(name: &str) -> Matrix {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/recordings");
    let file = std::path::Path::new(folder).join(name);
    Matrix::of(&crate::recording::read(&file).unwrap().recording)
}

fn names(matrix: &Matrix) -> BTreeSet<String> {
    let all = causes(matrix).causes.into_iter();
    all.map(|of| of.name).collect()
}

/// A reader that is the writer too refuses what a bystander wrote: no rule of its own.
#[test]
fn what_a_bystander_wrote_is_no_own_rule_of_the_writers() {
    let found = names(&matrix("layers-by-debian-1.8.11.jsonl"));
    assert!(found.contains("nft-expressions"), "{found:?}");
    let of_own = "noflush-from-standard-input";
    assert!(!found.contains(of_own), "{found:?}");
}

#[test]
fn what_is_known_of_causes_can_be_read() {
    let text = include_str!("../../../reports/causes.toml");
    let known = KnownCauses::read(text).unwrap();
    assert_eq!(known.iter().count(), KnownCauses::built_in().iter().count());
    assert!(known.iter().count() > 10);
    for cause in known.iter() {
        assert!(
            !cause.says.is_empty() && !cause.signatures.is_empty(),
            "{cause:?}"
        );
        assert!(
            cause.says.len() <= 180 && !cause.says.ends_with('.'),
            "{}",
            cause.says
        );
    }
}

/// Each part of each rule that any cell lost has one cause, and only one, and that is one of the run's.
#[test]
fn every_loss_has_its_cause() {
    for name in RECORDINGS {
        let matrix = matrix(name);
        let found = causes(&matrix);
        assert_eq!(found.of_cells.len(), matrix.cells.len());
        let attribution = Attribution::new(&matrix);
        let mut seen = 0;
        for (cell, list) in matrix.cells.iter().zip(&found.of_cells) {
            for of in crate::matrix::harms(cell) {
                for harm in of.harms.iter().filter(|harm| harm.is_harmful()) {
                    for part in crate::matrix::parts(harm) {
                        let mut told = list.iter();
                        let is_it =
                            |loss: &&LostPartOf| loss.rule == of.rule && loss.part == part.name;
                        let cause = told
                            .find(is_it)
                            .unwrap_or_else(|| panic!("{name}: {harm:?}"));
                        assert!(cause.cause < found.causes.len());
                        seen += 1;
                    }
                }
            }
            let losses = attribution.cell(cell);
            assert_eq!(losses.is_empty(), list.is_empty());
        }
        assert!(
            seen > 0
                || found
                    .causes
                    .iter()
                    .all(|of| !of.worst.verdict.is_silent_damage())
        );
    }
}

#[test]
fn a_mark_that_is_lost_has_one_cause_seen_from_both_sides() {
    for name in [
        "kube-firewall-by-1.8.9.jsonl",
        "kube-firewall-by-debian-1.8.7.jsonl",
    ] {
        let matrix = matrix(name);
        let found = causes(&matrix);
        let marks = found.causes.iter().filter(|of| {
            let mut parts = of.parts.iter();
            parts.any(|part| part.name == "match mark")
        });
        let marks: Vec<&str> = marks.map(|of| of.name.as_str()).collect();
        assert_eq!(marks, ["native-mark"], "{name}");
    }
}

/// Which builds took part is no part of what a cause is told by.
#[test]
fn a_run_with_fewer_builds_finds_the_same_causes() {
    let all = matrix("kube-firewall-by-1.8.9.jsonl");
    let of_all = names(&all);
    for left_out in all.builds.iter().map(|of| &of.id) {
        let mut fewer = all.clone();
        fewer
            .cells
            .retain(|cell| cell.writer != *left_out && cell.reader != *left_out);
        fewer.builds.retain(|build| build.id != *left_out);
        assert!(names(&fewer).is_subset(&of_all), "without {left_out}");
    }
}

/// All recordings as one run of several scenarios.
fn together() -> Matrix {
    let mut all = RECORDINGS.iter().map(|name| matrix(name));
    let first = all.next().unwrap();
    all.fold(first, |mut all, other| {
        for build in other.builds {
            if all.builds.iter().all(|of| of.id != build.id) {
                all.builds.push(build);
            }
        }
        for head in other.scenarios {
            if all.scenarios.iter().all(|of| of.name != head.name) {
                all.scenarios.push(head);
            }
        }
        all.cells.extend(other.cells);
        all
    })
}

/// The signature of each loss of each cell.
fn told(matrix: &Matrix) -> Vec<Vec<Signature>> {
    let attribution = Attribution::new(matrix);
    let cells = matrix.cells.iter().map(|cell| {
        let losses = attribution.cell(cell).into_iter();
        losses.map(|(_, signature)| signature).collect()
    });
    cells.collect()
}

/// What other scenarios of a run show is no part of what a cause is told by: a run of one finds what a run of all finds.
#[test]
fn a_scenario_alone_has_the_causes_that_it_has_among_others() {
    let all = together();
    assert!(all.scenarios.len() > 2);
    let of_all = told(&all);
    for head in &all.scenarios {
        let mut alone = all.clone();
        alone.cells.retain(|cell| cell.scenario == head.name);
        let among = all.cells.iter().zip(&of_all);
        let among = among.filter(|(cell, _)| cell.scenario == head.name);
        let among: Vec<_> = among.map(|(_, told)| told.clone()).collect();
        assert_eq!(told(&alone), among, "{}", head.name);
        assert!(!among.is_empty());
    }
}

/// A machine that has only Debian's builds finds what a machine that has all of them finds.
#[test]
fn debians_builds_alone_find_the_same_causes() {
    for name in RECORDINGS {
        let all = matrix(name);
        let mut fewer = all.clone();
        let is_debians = |id: &crate::catalog::BuildId| id.as_str().starts_with("debian-");
        fewer
            .cells
            .retain(|of| is_debians(&of.writer) && is_debians(&of.reader));
        fewer.builds.retain(|of| is_debians(&of.id));
        assert!(names(&fewer).is_subset(&names(&all)), "{name}");
    }
}

/// A print that is restored whole and not without a flush has its cause in the program, in whatever scenario it shows.
#[test]
fn what_only_a_restore_without_a_flush_loses_is_the_programs_own() {
    let all = together();
    let signatures = told(&all).into_iter().flatten();
    let of_noflush = signatures.filter(|of| of.effect == Effect::UnrestorableNoflush);
    let all: BTreeSet<String> = of_noflush.map(|of| of.to_string()).collect();
    let own = "iptables-nft cannot restore without a flush [] of its own, too";
    assert!(all.is_subset(&BTreeSet::from([own.to_owned()])), "{all:?}");
}

#[test]
fn the_order_of_cells_makes_no_difference_to_names() {
    let all = matrix("docker-by-1.8.10.jsonl");
    let mut turned = all.clone();
    turned.cells.reverse();
    assert_eq!(names(&turned), names(&all));
}

#[test]
fn a_signature_has_a_name_that_stays() {
    let signature = Signature {
        decoder: "iptables-nft".to_owned(),
        effect: Effect::Dropped,
        encoded: "meta mark; bitwise; cmp".to_owned(),
        own: Own::As("match mark rev 1".to_owned()),
    };
    let text = "iptables-nft drops [meta mark; bitwise; cmp] beside [match mark rev 1]";
    assert_eq!(signature.to_string(), text);
    assert_eq!(signature.id().as_str(), "cb33c8afc");
    let known = KnownCauses::built_in().of(&signature).unwrap();
    assert_eq!(known.name, "native-mark");
}

#[test]
fn a_file_of_causes_says_what_is_wrong_with_it() {
    let entry = "[[cause]]\nname = \"a\"\nsays = \"b\"\nsignatures = []\n";
    let twice = format!("{entry}{entry}");
    let error = KnownCauses::read(&twice).unwrap_err();
    assert!(error.contains("two causes are called a"), "{error}");
    let error = KnownCauses::read("[[cause]]\nname = 1\n").unwrap_err();
    assert!(error.contains("line 2"), "{error}");
}

/// What the program writes of what people wrote reads as that.
#[test]
fn what_is_written_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("causes.toml");
    let matrix = matrix("kube-firewall-by-1.8.9.jsonl");
    let shown = crate::report::causes::shown(&matrix, &causes(&matrix));
    let mut known = KnownCauses::built_in().clone();
    known.take_in(shown.clone());
    known.write(&path).unwrap();
    let read = KnownCauses::read(&std::fs::read_to_string(&path).unwrap()).unwrap();
    assert!(read.iter().eq(known.iter()));
    let mark = read.iter().find(|of| of.name == "native-mark").unwrap();
    assert!(
        mark.seen
            .as_ref()
            .unwrap()
            .before
            .as_ref()
            .unwrap()
            .contains("-m mark")
    );
    assert!(mark.remedy.is_some());
}

/// `iptables-lab causes --pages reports/causes` writes them.
#[test]
fn the_pages_that_lie_there_are_of_what_is_known() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../reports/causes");
    let mut pages = 0;
    for cause in KnownCauses::built_in().iter() {
        let page = std::path::Path::new(folder).join(format!("{}.md", cause.name));
        let lying = std::fs::read_to_string(&page).unwrap_or_default();
        assert!(
            lying == crate::report::causes::markdown(cause),
            "{}",
            page.display()
        );
        pages += 1;
    }
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), pages);
}
