//! The pure parts on one core: parsing, comparing, judging. The rate that criterion prints is rules a second.

#[path = "multiply/mod.rs"]
mod multiply;

use std::hint::black_box;
use std::path::Path;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use iptables_lab::matrix::Matrix;
use iptables_lab::recording::{self, Recording};
use iptables_lab::tool::iptables::{compare, parse, read};
use iptables_lab::tool::{Words, align};
use multiply::Copies;

const SIZES: [usize; 4] = [10, 100, 1000, 10_000];

/// One that changes nothing and reads much, one whose reader loses a match.
const RECORDINGS: [&str; 3] = [
    "kube-router-by-debian-1.8.7",
    "kube-firewall-by-1.8.9",
    "kube-firewall-by-1.8.9-legacy",
];

fn recorded(name: &str) -> Recording {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/recordings");
    let stored = recording::read(&folder.join(format!("{name}.jsonl")));
    stored
        .expect("a recording of the tests can be read")
        .recording
}

/// A recording with about `rules` rules.
fn large(recorded: &Recording, rules: usize, copies: Copies) -> Recording {
    let own = rule_count(&multiply::rules(recorded, 1, copies));
    multiply::rules(recorded, rules.div_ceil(own), copies)
}

fn rule_count(recording: &Recording) -> usize {
    let load = &recording.loads[0];
    recording.head.scenarios[0].rule_count(load.family)
}

fn pure(criterion: &mut Criterion) {
    let recorded_runs = RECORDINGS.map(|name| (name, recorded(name)));
    for rules in SIZES {
        let large_run = large(&recorded_runs[0].1, rules, Copies::Rules);
        let text = &large_run.head.scenarios[0].text;
        let mut group = criterion.benchmark_group("parse");
        group.throughput(Throughput::Elements(rule_count(&large_run) as u64));
        group.bench_function(format!("given/{rules}"), |bencher| {
            bencher.iter(|| parse(black_box(text)));
        });
        group.bench_function(format!("printed/{rules}"), |bencher| {
            bencher.iter(|| read(black_box(text)));
        });
        group.finish();
        let cut = beside(text, cut);
        let lossy = beside(text, lossy);
        let mut group = criterion.benchmark_group("compare");
        group.throughput(Throughput::Elements(lossy.len() as u64));
        group.bench_function(format!("align/{rules}"), |bencher| {
            let from: Vec<_> = lossy.iter().map(|(from, _)| from).collect();
            let to: Vec<_> = lossy.iter().map(|(_, to)| to).collect();
            bencher.iter(|| align(black_box(&from), black_box(&to)));
        });
        group.bench_function(format!("align-cut/{rules}"), |bencher| {
            let from: Vec<_> = cut.iter().map(|(from, _)| from).collect();
            let to: Vec<_> = cut.iter().map(|(_, to)| to).collect();
            bencher.iter(|| align(black_box(&from), black_box(&to)));
        });
        group.bench_function(format!("parts/{rules}"), |bencher| {
            bencher.iter(|| {
                for (from, to) in &lossy {
                    black_box(compare(&black_box(from).to_vec(), &black_box(to).to_vec()));
                }
            });
        });
        group.finish();
    }
    for (name, recorded) in &recorded_runs {
        for (copies, shape) in [
            (Copies::Chains, "chains"),
            (Copies::Scattered, "scattered"),
            (Copies::Rules, "rules"),
        ] {
            for rules in SIZES {
                let large_run = large(recorded, rules, copies);
                let judged = rule_count(&large_run) * large_run.loads[0].readers.len();
                let mut group = criterion.benchmark_group("judge");
                group.throughput(Throughput::Elements(judged as u64));
                group.bench_function(format!("{name}/{shape}/{rules}"), |bencher| {
                    bencher.iter(|| Matrix::of(black_box(&large_run)));
                });
                group.finish();
            }
        }
    }
}

/// As many pairings as are wanted, each of which is judged alike.
fn pairings(criterion: &mut Criterion) {
    let recorded = large(&recorded(RECORDINGS[1]), 100, Copies::Rules);
    for builds in [2, 5, 10, 20] {
        let many = multiply::builds(&recorded, builds);
        let judged = rule_count(&many) * builds * builds;
        let mut group = criterion.benchmark_group("pairings");
        group.throughput(Throughput::Elements(judged as u64));
        group.bench_function(format!("{}", builds * builds), |bencher| {
            bencher.iter(|| Matrix::of(black_box(&many)));
        });
        group.finish();
    }
}

/// Every rule beside what `less` leaves of its words.
fn beside(text: &str, less: impl Fn(&[&str]) -> Words) -> Vec<(Words, Words)> {
    let printed = read(text);
    let rules = printed.tables.iter().flat_map(|table| &table.rules);
    rules
        .map(|rule| (rule.tokens().clone(), less(&rule.tokens().to_vec())))
        .collect()
}

/// What is before the first match, which often is nothing.
fn cut(words: &[&str]) -> Words {
    words.iter().take_while(|word| **word != "-m").collect()
}

/// All but the first match, as a reader that loses one prints it.
fn lossy(words: &[&str]) -> Words {
    let start = words.iter().position(|word| *word == "-m");
    let start = start.unwrap_or(words.len());
    let next = |word: &&str| matches!(*word, "-m" | "-j" | "-g");
    let after = words.iter().skip(start + 1).position(next);
    let end = after.map_or(words.len(), |at| start + 1 + at);
    words[..start].iter().chain(&words[end..]).collect()
}

criterion_group!(benches, pure, pairings);
criterion_main!(benches);
