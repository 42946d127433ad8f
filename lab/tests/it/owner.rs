//! Tables that a program owns: who may change them while it is there, and what it leaves; in lanes of both engines.

use iptables_lab::agent::protocol::{Reply, Request};
use iptables_lab::catalog::{Catalog, Family, Image, Source, Tool};
use iptables_lab::engine::Place;
use iptables_lab::observed::{End, Ran, State, TableFlags};
use iptables_lab::tool::{Given, Write};
use rstest::rstest;

use super::lane::{On, TestLane, usual_store};

/// A lane with Debian's newest nft.
fn open(on: On) -> TestLane {
    let catalog = Catalog::load(&[]).unwrap();
    let newest = |image: &Image| {
        let is_sid = matches!(&image.source, Source::Suite { suite } if suite == "sid");
        image.tool == Tool::Nft && image.variant.is_none() && is_sid
    };
    TestLane::of(on, &usual_store(), &catalog, newest)
}

/// Has an nft write a table with `flags` and one rule, and stay.
fn keep(lane: &mut TestLane, flags: &str, rule: &str) -> Ran {
    let table = format!(
        "add table inet own {{ flags {flags}; }}\nadd chain inet own c\nadd rule inet own c {rule}\n"
    );
    let given = Given::parse(Tool::Nft, Family::Ipv4, &table).unwrap();
    let staying = given.staying(Write::Nft, |_| true).unwrap();
    let request = Request::Keep {
        argv: staying.argv,
        stdin: staying.stdin,
        through: staying.through,
        timeout_ms: 60_000,
    };
    let place = Place::Build(lane.build().clone());
    match lane.ask(&place, &request).unwrap() {
        Reply::Ran(ran) => ran,
        other => panic!("{other:#?}"),
    }
}

fn dump(lane: &mut TestLane) -> State {
    match lane.ask(&Place::Holder, &Request::Dump).unwrap() {
        Reply::Dumped { dump } => State::clone(&dump),
        other => panic!("{other:#?}"),
    }
}

fn does(lane: &mut TestLane, request: &Request) {
    assert_eq!(lane.ask(&Place::Holder, request).unwrap(), Reply::Done);
}

/// Nobody else changes it, and `flush ruleset` leaves it and says nothing. It goes with its owner; with `persist` it stays, is
/// nobody's, and then anybody's.
#[rstest]
fn a_table_is_its_owners_for_as_long_as_that_is_there(
    #[values(On::Docker, On::Native)] on: On,
    #[values("owner", "owner, persist")] flags: &str,
) {
    needs!(on.need());
    let mut lane = open(on);
    let ran = keep(&mut lane, flags, "accept");
    assert_eq!(ran.end, End::Exit(0), "{ran:#?}");
    let owned = dump(&mut lane);
    assert!(owned.is_owned(), "{owned:#?}");
    let other = lane.run("nft add rule inet own c drop", None);
    assert_eq!(other.end, End::Exit(1));
    let said = other.stderr.to_lossy();
    assert!(said.contains("Operation not permitted"), "{said}");
    let flush = lane.run("nft flush ruleset", None);
    assert_eq!(flush.end, End::Exit(0), "{flush:#?}");
    assert_eq!(dump(&mut lane), owned);
    does(&mut lane, &Request::EndKept);
    let left = dump(&mut lane);
    if flags == "owner" {
        assert_eq!(left, State::default());
        return;
    }
    assert_eq!(left.nft.len(), 1);
    assert_eq!(left.nft[0].flags, TableFlags::PERSIST);
    assert_eq!(left.nft[0].chains, owned.nft[0].chains);
    let other = lane.run("nft add rule inet own c drop", None);
    assert_eq!(other.end, End::Exit(0), "{other:#?}");
    let flush = lane.run("nft flush ruleset", None);
    assert_eq!(flush.end, End::Exit(0), "{flush:#?}");
    assert_eq!(dump(&mut lane), State::default());
}

/// A reset leaves no rules, whoever owned them; what is refused is refused whole, and its program does not stay.
#[rstest]
fn a_reset_ends_the_owner_and_what_is_refused_has_none(#[values(On::Docker, On::Native)] on: On) {
    needs!(on.need());
    let mut lane = open(on);
    assert_eq!(keep(&mut lane, "owner", "accept").end, End::Exit(0));
    does(&mut lane, &Request::Reset);
    assert_eq!(dump(&mut lane), State::default());
    let ran = keep(&mut lane, "owner", "jump nowhere");
    assert_eq!(ran.end, End::Exit(1));
    let said = ran.stderr.to_lossy();
    assert!(
        said.contains("jump nowhere") && !said.contains("is-through"),
        "{said}"
    );
    assert_eq!(dump(&mut lane), State::default());
    assert_eq!(keep(&mut lane, "owner, persist", "drop").end, End::Exit(0));
    does(&mut lane, &Request::Clear);
    assert_eq!(dump(&mut lane), State::default());
}
