use super::*;
use std::collections::HashMap;

use super::belief::KILLED;
use crate::catalog::{Backend, Build, BuildId, Digest, Origin as MadeBy, Tool, Version};
use crate::observed::{End, Ran, Text};
use crate::plan::step::{Action, Role, RuleSet, Stage};

fn builds() -> HashMap<BuildId, Build> {
    let digest: Digest = "0".repeat(64).parse().expect("a digest");
    let builds = ["1.8.7-nft", "the-same-nft"].map(|id| Build {
        id: BuildId::named(id),
        version: Version::new("1.8.7"),
        tool: Tool::Iptables,
        backend: Backend::Nft,
        origin: MadeBy::Upstream,
        variant: None,
        key: digest.clone(),
        digest: digest.clone(),
        libnftnl: None,
        banner: String::new(),
    });
    builds.map(|build| (build.id.clone(), build)).into()
}

fn restore(build: &str, text: &str, role: Role) -> Burst {
    let argv = vec!["iptables-nft-restore".to_owned()];
    let action = Action::command(BuildId::named(build), argv, Some(text.into()));
    let step = |role, action| Step {
        stage: Stage::Rewrite,
        role,
        reader: None,
        rules: RuleSet::first(3),
        rule: None,
        action,
    };
    Burst::all(vec![step(role, action), step(Role::Dump, Action::Dump)])
}

fn of(text: &str) -> Id {
    Id::of(&text).expect("texts have ids")
}

fn key_of(burst: &Burst, state: &str, sent: Option<&str>) -> Id {
    let around = Surroundings {
        setup: of("setup"),
        empty: of("empty"),
    };
    let world = World {
        state: of(state),
        sent: sent.map(of),
    };
    let memory = Memory::default();
    let key = memory.key(burst, around, Some(world), &builds());
    key.expect("it has a key")
}

/// What it is for, when it was printed, and what packets did make no difference; state, text and count do.
#[test]
fn equal_commands_in_equal_states_are_one() {
    let text = "# Generated on Sunday\n*filter\n:INPUT ACCEPT [5:420]\n-A INPUT -j DROP\nCOMMIT\n";
    let other = "# Generated on Monday\n*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -j DROP\nCOMMIT\n";
    let one = key_of(&restore("1.8.7-nft", text, Role::Restore), "s", None);
    let again = restore("the-same-nft", other, Role::Write);
    assert_eq!(key_of(&again, "s", Some("packets")), one);
    assert_ne!(key_of(&again, "another", None), one);
    let accept = other.replace("DROP", "ACCEPT");
    assert_ne!(
        key_of(&restore("1.8.7-nft", &accept, Role::Restore), "s", None),
        one
    );
    let counts = restore("1.8.7-nft", text, Role::Count);
    assert_eq!(key_of(&counts, "s", None), one);
    assert_ne!(key_of(&counts, "s", Some("packets")), one);
}

#[test]
fn nobody_is_asked_in_a_state_that_nobody_knows() {
    let around = Surroundings {
        setup: of("setup"),
        empty: of("empty"),
    };
    let burst = restore("1.8.7-nft", "", Role::Restore);
    let key = Memory::default().key(&burst, around, None, &builds());
    let fault = key.expect_err("nothing is known");
    assert!(
        fault
            .to_string()
            .contains("nobody knows what the kernel holds"),
        "{fault}"
    );
}

fn ended(end: End) -> Arc<Known> {
    let ran = Ran {
        end,
        stdout: Text::default(),
        stderr: Text::default(),
    };
    Arc::new(Known {
        answers: vec![Answer::Ran(ran)],
        after: None,
        learnt: None,
    })
}

fn claimed(memory: &Memory) -> Claim<'_> {
    match memory.ask(of("key")) {
        Asked::Unknown(claim) => claim,
        Asked::Known(_) | Asked::Running | Asked::Unsure => panic!("nobody is at it"),
    }
}

#[test]
fn what_one_runs_others_know_and_what_came_to_nothing_is_tried_again() {
    let memory = Memory::default();
    let claim = claimed(&memory);
    assert!(matches!(memory.ask(of("key")), Asked::Running));
    drop(claim);
    claimed(&memory)
        .learn(
            &ended(End::Signal(11)),
            &restore("1.8.7-nft", "", Role::Restore),
        )
        .expect("it has an id");
    assert!(matches!(memory.ask(of("key")), Asked::Known(_)));
}

#[test]
fn what_a_limit_ended_is_run_anew_by_everybody() {
    for end in [End::TimedOut, End::Signal(KILLED)] {
        let memory = Memory::default();
        claimed(&memory)
            .learn(&ended(end), &restore("1.8.7-nft", "", Role::Restore))
            .expect("it has an id");
        assert!(matches!(memory.ask(of("key")), Asked::Unsure));
    }
}

#[test]
fn what_was_learnt_first_is_forgotten_first() {
    let mut inner = Inner::default();
    let said = |text: &str| {
        let ran = Ran {
            end: End::Exit(0),
            stdout: text.into(),
            stderr: Text::default(),
        };
        Arc::new(Known {
            answers: vec![Answer::Ran(ran)],
            after: None,
            learnt: None,
        })
    };
    for key in ["one", "two", "three"] {
        inner.keep(of(key), said("four"), 10);
    }
    let is_known = |key: &str| inner.entries.contains_key(&of(key));
    assert_eq!(["one", "two", "three"].map(is_known), [false, true, true]);
    assert_eq!(inner.bytes, 8);
}

/// The way to a state is the cheapest that was seen, and ends at an empty lane.
#[test]
fn no_way_leads_in_a_circle() {
    let (memory, at) = (Memory::default(), (of("setup"), LaneKind::Nft));
    let step = restore("1.8.7-nft", "", Role::Write).steps.remove(0);
    let came = |from: &str, to: &str, commands: usize| {
        let does = || Does::Commands(vec![step.clone(); commands]);
        memory.came_about((at, of("empty")), (of(from), of(to)), (commands, does));
    };
    let from = |state: &str| memory.origin(at, of(state)).map(|origin| origin.from);
    came("empty", "a", 3);
    came("a", "b", 1);
    came("b", "a", 1);
    assert_eq!((from("a"), from("b")), (Some(of("empty")), Some(of("a"))));
    came("empty", "b", 1);
    came("b", "a", 1);
    assert_eq!((from("a"), from("b")), (Some(of("b")), Some(of("empty"))));
    came("nowhere", "c", 1);
    assert_eq!(from("c"), None);
    assert!(
        memory
            .origin((of("setup"), LaneKind::Cross), of("a"))
            .is_none()
    );
}
