//! A recording judged again says what the run said.

use std::fs;
use std::sync::Arc;

use iptables_lab::catalog::BuildId;
use iptables_lab::observed::{End, Ran};
use iptables_lab::plan::coroutine::{Coroutine, Next};
use iptables_lab::plan::procedure::procedure;
use iptables_lab::plan::step::{Action, Answer, Step};
use iptables_lab::plan::trace::LoadTrace;
use iptables_lab::plan::{Bystander, Load, Reader};
use iptables_lab::recording::{LoadRecord, Observation, Seen};

use super::lab::{both, full_run, iptables_lab, small_run};

#[test]
fn a_replayed_recording_gives_the_same_matrix() {
    needs!(Native);
    let run = full_run();
    let output = iptables_lab()
        .args(["replay", "--format", "json"])
        .arg(&run.file)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", both(&output));
    let replayed = String::from_utf8(output.stdout).unwrap();
    assert!(
        replayed == run.json,
        "the replayed matrix differs from the run's"
    );
}

#[test]
fn the_table_of_a_replay_is_the_table_of_the_run() {
    needs!(Native);
    let run = full_run();
    let output = iptables_lab()
        .args(["replay", "--full"])
        .arg(&run.file)
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), run.table);
}

#[test]
fn verdicts_do_not_depend_on_the_order_of_the_loads() {
    needs!(Native);
    let run = full_run();
    let mut turned = run.recording().clone();
    turned.loads.reverse();
    assert!(iptables_lab::matrix::Matrix::of(&turned) == *run.matrix());
}

#[test]
fn the_recording_of_a_killed_run_is_read_up_to_its_last_whole_load() {
    needs!(Native);
    let run = full_run();
    let text = fs::read_to_string(&run.file).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let folder = tempfile::tempdir().unwrap();
    let cut = folder.path().join("cut.jsonl");
    fs::write(
        &cut,
        format!(
            "{}\n{}\n{}",
            lines[0],
            lines[1],
            &lines[2][..lines[2].len() / 2]
        ),
    )
    .unwrap();
    let stored = iptables_lab::recording::read(&cut).unwrap();
    assert_eq!(stored.recording.loads.len(), 1);
    assert_eq!(stored.recording.end, None);
    let output = iptables_lab().arg("replay").arg(&cut).output().unwrap();
    assert!(
        String::from_utf8_lossy(&output.stdout).contains("cut short: the run was killed"),
        "{}",
        both(&output)
    );
}

/// Splitting a load is decided by what was seen and nothing else: given the recorded answers, the procedure asks for
/// exactly the recorded steps, in order.
#[test]
fn the_procedure_asks_for_the_recorded_steps_when_given_the_recorded_answers() {
    needs!(Native);
    for load in &full_run().recording().loads {
        let mut coroutine = coroutine_of(load);
        let mut answers: Option<Vec<Answer>> = None;
        let mut seen = load.observations.iter();
        let trace = loop {
            let burst = match coroutine.next(answers.take()).unwrap() {
                Next::Steps(burst) => burst,
                Next::Through(trace) => break trace,
            };
            let mut given = Vec::new();
            for step in &burst.steps {
                let Some(observation) = seen.next() else {
                    panic!("more steps than were recorded")
                };
                assert_eq!(
                    observation.role, step.role,
                    "{} {}",
                    load.scenario, load.writer
                );
                assert_eq!(
                    (&observation.reader, &observation.rules),
                    (&step.reader, &step.rules)
                );
                let answer = answer_of(load, observation, step);
                let failed = matches!(&answer, Answer::Ran(ran) if ran.end != End::Exit(0));
                given.push(answer);
                if failed && burst.until_failure {
                    break;
                }
            }
            answers = Some(given);
        };
        assert_eq!(seen.count(), 0, "fewer steps than were recorded");
        assert_eq!(trace, load.trace, "{} {}", load.scenario, load.writer);
    }
}

fn coroutine_of(record: &LoadRecord) -> Coroutine<LoadTrace> {
    let head = &full_run().recording().head;
    let build = |id: &BuildId| {
        head.builds
            .iter()
            .find(|build| &build.id == id)
            .unwrap()
            .clone()
    };
    let readers = record.readers.iter();
    let bystanders = record.bystanders.iter().map(|of| Bystander {
        layer: of.layer,
        build: build(&of.id),
    });
    let load = Load {
        scenario: record.scenario.clone(),
        family: record.family,
        writer: build(&record.writer),
        bystanders: bystanders.collect(),
        readers: readers
            .map(|r| Reader {
                build: build(&r.id),
                witness: r.witness.clone(),
                beside: r.beside.clone(),
            })
            .collect(),
        kind: record.kind,
        asked: record.asked.clone(),
    };
    let scenario = head
        .scenarios
        .iter()
        .find(|scenario| scenario.name == record.scenario)
        .unwrap();
    let (scenario, operations) = (Arc::new(scenario.clone()), head.operations.clone().into());
    Coroutine::new(|performer| procedure(performer, Arc::new(load), scenario, operations))
}

fn answer_of(load: &LoadRecord, observation: &Observation, step: &Step) -> Answer {
    match (&observation.seen, &step.action) {
        (
            Seen::Command(command),
            Action::Command {
                build, argv, stdin, ..
            },
        ) => {
            assert_eq!((&command.build, &command.argv), (build, argv));
            assert_eq!(command.stdin.map(|text| load.text(text)), stdin.as_ref());
            let (stdout, stderr) = (load.text(command.stdout), load.text(command.stderr));
            Answer::Ran(Ran {
                end: command.end,
                stdout: stdout.clone(),
                stderr: stderr.clone(),
            })
        }
        (Seen::Dump(dump), Action::Dump) => Answer::Dumped(Arc::new(load.dump(*dump).clone())),
        (Seen::Chain(dump), Action::DumpChain(_)) => {
            Answer::Dumped(Arc::new(load.dump(*dump).clone()))
        }
        (Seen::Reset, Action::Reset) => Answer::Reset,
        (Seen::Furnished { lacks }, Action::Furnish(_)) => {
            Answer::Furnished(lacks.clone().map_or(Ok(()), Err))
        }
        (Seen::Probes(outcomes), Action::Probe(_)) => Answer::Probed(
            outcomes
                .iter()
                .map(|(_, outcome)| outcome.clone())
                .collect(),
        ),
        (seen, action) => panic!("{action:?} was asked for, and {seen:?} was recorded"),
    }
}

#[test]
fn a_run_that_was_cut_short_is_taken_up_and_comes_to_the_same_matrix() {
    needs!(Engine);
    let run = small_run();
    let text = fs::read_to_string(&run.file).unwrap();
    let kept: Vec<&str> = text.lines().take(3).collect();
    let folder = tempfile::tempdir().unwrap();
    let cut = folder.path().join("cut.jsonl");
    fs::write(&cut, format!("{}\n{{\"load\":{{\"scen", kept.join("\n"))).unwrap();
    let resume = |scenario: &str, more: &[&str]| {
        let mut command = iptables_lab();
        command
            .args([
                "matrix",
                "--operation",
                "all",
                "--scenario",
                scenario,
                "--format",
                "json",
                "--resume",
            ])
            .arg(&cut);
        command
            .args(["--writer", "debian-*-nft", "--reader", "debian-*-nft"])
            .args(more)
            .output()
            .unwrap()
    };
    let other = resume("kube-proxy-nat", &[]);
    assert_eq!(other.status.code(), Some(2), "{}", both(&other));
    let other = resume("kube-firewall", &["--all-rules"]);
    assert_eq!(other.status.code(), Some(2), "{}", both(&other));
    assert!(
        both(&other).contains("its use of --all-rules"),
        "{}",
        both(&other)
    );
    let output = resume("kube-firewall", &[]);
    assert!(output.status.success(), "{}", both(&output));
    let taken_up = iptables_lab::recording::read(&cut).unwrap().recording;
    assert_eq!(taken_up.loads[..2], run.recording.loads[..2]);
    assert_eq!(taken_up.loads.len(), run.recording.loads.len());
    let cells = |recording| iptables_lab::matrix::Matrix::of(recording).cells;
    assert!(cells(&taken_up) == cells(&run.recording));
    let printed: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        printed["cells"].as_array().unwrap().len(),
        cells(&taken_up).len()
    );
}
