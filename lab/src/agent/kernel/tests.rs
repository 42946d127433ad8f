//! What the kernel really sent, decoded; rules written back into fresh network namespaces, read and deleted.
//!
//! `testdata/*.nft` are messages as [`nft::read`] collects them, `testdata/*.legacy` are a `struct ipt_getinfo` and the
//! entries after it. [`capture`] makes them. `testdata/*.txt` is what was asked of iptables and nft.

mod sets;

use std::fmt::{self, Write as _};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::thread;

use nix::sched::{CloneFlags, unshare};
use rstest::rstest;

use super::attributes::{Attributes, put};
use super::*;
use crate::catalog::Family;
use crate::observed::expression::{Attribute, Expression};
use crate::observed::{Bytes, LegacyTable, NftChain, NftHook, NftTable};

const NFT: &[u8] = include_bytes!("testdata/nft-1.0.6.nft");
const IPTABLES_NFT: &[u8] = include_bytes!("testdata/iptables-1.8.9.nft");
const FILTER: &[u8] = include_bytes!("testdata/filter-1.8.9.legacy");
const FILTER6: &[u8] = include_bytes!("testdata/filter6-1.8.9.legacy");

/// Runs `test` in a network namespace that goes away with it.
pub(super) fn in_a_fresh_namespace(test: impl FnOnce() + Send + 'static) {
    needs!(Netfilter);
    let run = move || {
        unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace of its own");
        test();
    };
    thread::spawn(run)
        .join()
        .expect("the test in the namespace holds");
}

fn show(tables: &[NftTable]) -> String {
    let mut text = String::new();
    for table in tables {
        show_table(&mut text, table).expect("text");
    }
    text
}

fn show_table(text: &mut String, table: &NftTable) -> fmt::Result {
    let NftTable { family, name, .. } = table;
    let (flags, userdata) = (table.flags.bits(), table.userdata.as_ref());
    let other = kept(String::new(), userdata, &table.other);
    writeln!(text, "table {family} {name} flags {flags} {other:?}")?;
    for object in &table.objects {
        writeln!(text, "  {object}")?;
    }
    for flowtable in &table.flowtables {
        writeln!(text, "  {flowtable}")?;
    }
    for set in &table.sets {
        writeln!(text, "  {set}\n    {}", lines(&set.elements).join("\n    "))?;
    }
    for chain in &table.chains {
        let NftChain { name, base, .. } = chain;
        let flags = match chain.flags.is_empty() {
            true => String::new(),
            false => format!("flags {}", chain.flags),
        };
        let other = kept(flags, chain.userdata.as_ref(), &chain.other);
        let base = base.as_ref().map_or_else(|| "None".to_owned(), show_hook);
        writeln!(text, "  chain {name} {base} {other:?}")?;
        for rule in &chain.rules {
            let word = |word: Option<String>| word.unwrap_or_else(|| "-".to_owned());
            let compat = word(rule.compat.as_ref().map(ToString::to_string));
            let userdata = word(rule.userdata.as_ref().map(ToString::to_string));
            let printed = lines(&rule.expressions).join("\n      ");
            writeln!(text, "    rule {compat} {userdata}\n      {printed}")?;
        }
    }
    Ok(())
}

/// Flags, userdata and what is not known, those that are there.
fn kept(flags: String, userdata: Option<&Bytes>, other: &[Attribute]) -> Vec<String> {
    let userdata = userdata.map(|userdata| format!("userdata {userdata}"));
    let all = [flags].into_iter().chain(userdata).chain(lines(other));
    all.filter(|one| !one.is_empty()).collect()
}

fn show_hook(hook: &NftHook) -> String {
    let devices = [lines(&hook.devices), lines(&hook.other)].concat();
    format!(
        "Some(NftHook {{ kind: \"{}\", hook: \"{}\", priority: {}, policy: \"{}\", devices: {devices:?} }})",
        hook.kind, hook.hook, hook.priority, hook.policy
    )
}

fn lines(all: &[impl ToString]) -> Vec<String> {
    all.iter().map(ToString::to_string).collect()
}

fn nft_of(answer: &[u8]) -> Result<Vec<NftTable>, KernelError> {
    nft::decode(answer, &mut DecodedRules::default())
}

fn legacy_of(family: Family, table: &str, capture: &[u8]) -> Result<LegacyTable, KernelError> {
    let blob = legacy::Blob::from_capture(capture);
    legacy::decode(family, table, &blob, &mut DecodedRules::default())
}

#[test]
fn rules_of_nft_1_0_6() {
    insta::assert_snapshot!(show(&nft_of(NFT).expect("well formed")));
}

#[test]
fn rules_of_iptables_nft_1_8_9() {
    insta::assert_snapshot!(show(&nft_of(IPTABLES_NFT).expect("well formed")));
}

#[rstest]
#[case::ipv4("ipv4", Family::Ipv4, FILTER)]
#[case::ipv6("ipv6", Family::Ipv6, FILTER6)]
fn rules_of_iptables_legacy_1_8_9(#[case] name: &str, #[case] family: Family, #[case] blob: &[u8]) {
    let table = legacy_of(family, "filter", blob).expect("well formed");
    let mut text = String::new();
    for chain in table.chains {
        writeln!(
            text,
            "{} {}\n  {}",
            chain.name,
            chain.policy.unwrap_or_default(),
            lines(&chain.rules).join("\n  ")
        )
        .expect("text");
    }
    insta::assert_snapshot!(format!("rules_of_iptables_legacy_1_8_9_{name}"), text);
}

/// Every expression of a captured ruleset: its name, and the bytes of its attributes.
fn expressions(answer: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for message in netlink::messages(answer) {
        let message = message.expect("well formed");
        if message.kind & 0xff != 6 {
            continue;
        }
        let mut rule = Attributes::parse(&message.body[4..]).expect("well formed");
        let list =
            Attributes::parse(rule.bytes(4).expect("a rule has expressions")).expect("well formed");
        for (_, expression) in list.members() {
            let name = Attributes::parse(expression)
                .expect("well formed")
                .word(1)
                .expect("a name");
            found.push((name, expression.to_vec()));
        }
    }
    found
}

/// The places of the bytes that say nothing, at every depth: the length of an attribute, which may or may not count the
/// NUL that ends a name, and what pads it. What does not parse as attributes is a value.
fn padding(bytes: &[u8], start: usize, places: &mut Vec<usize>) {
    let mut place = 0;
    while place + 4 <= bytes.len() {
        let length = usize::from(u16::from_ne_bytes([bytes[place], bytes[place + 1]]));
        let value = &bytes[place + 4..place + length];
        let is_nest =
            Attributes::parse(value).is_ok_and(|nest| nest.members().all(|(kind, _)| kind < 16));
        if is_nest && !value.is_empty() {
            padding(value, start + place + 4, places);
        }
        let next = attributes::align(place + length);
        places.extend([start + place, start + place + 1]);
        places.extend(start + place + length..start + next);
        place = next;
    }
}

#[rstest]
#[case::nft(NFT)]
#[case::iptables(IPTABLES_NFT)]
fn no_two_expressions_print_alike(#[case] answer: &[u8]) {
    let mut tried = 0;
    for (name, expression) in expressions(answer) {
        if ["counter", "last", "quota"].contains(&name.as_str()) {
            continue;
        }
        let decoded = expression::decode(&expression).expect("well formed");
        let printed = decoded.to_string();
        assert_eq!(Expression::read(&printed), decoded);
        if printed.contains("[ counter ]") {
            continue;
        }
        let mut unread = Vec::new();
        padding(&expression, 0, &mut unread);
        for place in (0..expression.len()).filter(|place| !unread.contains(place)) {
            for bit in [0x01, 0x10] {
                let mut other = expression.clone();
                other[place] ^= bit;
                let Ok(other) = expression::decode(&other) else {
                    continue;
                };
                let reprinted = other.to_string();
                assert_ne!(reprinted, printed, "byte {place}");
                assert_eq!(Expression::read(&reprinted), other);
                tried += 1;
            }
        }
    }
    assert!(tried > 1000, "only {tried} changes");
}

fn print_named(name: &str, data: &[u8]) -> String {
    let name = name.as_bytes().into();
    expression::decode_named(name, data, Attributes::default()).to_string()
}

#[rstest]
#[case::counter("counter")]
#[case::last("last")]
fn what_packets_change_is_left_out(#[case] name: &str) {
    let mut data = Vec::new();
    put(&mut data, 1, &7u64.to_be_bytes());
    put(&mut data, 2, &9u64.to_be_bytes());
    assert_eq!(print_named(name, &data), name);
}

#[test]
fn of_a_quota_only_the_limit_is_printed() {
    let quota = |flags: u32, consumed: u64| {
        let mut data = Vec::new();
        put(&mut data, 1, &100u64.to_be_bytes());
        put(&mut data, 2, &flags.to_be_bytes());
        put(&mut data, 4, &consumed.to_be_bytes());
        print_named("quota", &data)
    };
    assert_eq!(quota(1, 5), "quota bytes 100 flags 1");
    assert_eq!(
        quota(1, 5),
        quota(3, 100),
        "a depleted quota is the same quota"
    );
}

#[test]
fn unknown_expressions_and_attributes_are_printed_raw() {
    let mut data = Vec::new();
    put(&mut data, 1, &1u32.to_be_bytes());
    put(&mut data, 2, &3u32.to_be_bytes());
    put(&mut data, 77, b"?");
    assert_eq!(
        print_named("meta", &data),
        "meta load mark => reg 1 attribute 77 0x3f"
    );
    assert_eq!(print_named("new", &[1, 2]), "new raw 0x0102");
    assert_eq!(
        print_named("meta", &data[..8]),
        "meta raw 0x0800010000000001",
        "no key"
    );
}

/// Whatever was read before, what is read is read as if nothing had been.
#[rstest]
#[case::nft(NFT)]
#[case::iptables(IPTABLES_NFT)]
#[case::sets(sets::SETS)]
fn malformed_messages_do_not_panic_and_known_rules_change_nothing(#[case] answer: &[u8]) {
    let mut decoded = DecodedRules::default();
    for length in (0..answer.len()).step_by(61) {
        let _ = nft::decode(&answer[..length], &mut decoded);
    }
    for place in (0..answer.len()).step_by(29) {
        let mut changed = answer.to_vec();
        changed[place] ^= 0x17;
        let read = nft::decode(&changed, &mut decoded);
        assert!(read.ok() == nft_of(&changed).ok(), "byte {place}");
    }
}

#[rstest]
#[case::ipv4(Family::Ipv4, FILTER)]
#[case::ipv6(Family::Ipv6, FILTER6)]
fn malformed_tables_do_not_panic_and_known_rules_change_nothing(
    #[case] family: Family,
    #[case] blob: &[u8],
) {
    let mut decoded = DecodedRules::default();
    for length in 84..blob.len() {
        let blob = legacy::Blob::from_capture(&blob[..length]);
        let _ = legacy::decode(family, "filter", &blob, &mut decoded);
    }
    for place in 0..blob.len() {
        let mut changed = blob.to_vec();
        changed[place] ^= 0x17;
        let blob = legacy::Blob::from_capture(&changed);
        let read = legacy::decode(family, "filter", &blob, &mut decoded);
        assert!(
            read.ok() == legacy_of(family, "filter", &changed).ok(),
            "byte {place}"
        );
    }
}

/// Expressions that the kernel sends with flags of 0 and then does not take so (`nft_exthdr_tcp_set_init`,
/// `nft_osf_init`).
const NOT_TAKEN_BACK: [&str; 2] = ["exthdr", "osf"];

/// Whether the kernel takes back what it sent.
fn can_be_written_back(message: &netlink::Message) -> bool {
    let holds = |name: &str| {
        message
            .body
            .windows(name.len())
            .any(|bytes| bytes == name.as_bytes())
    };
    !NOT_TAKEN_BACK.iter().any(|name| holds(name))
}

/// Writes captured rules into this namespace, as the kernel sent them but for handles and positions.
fn replay(answer: &[u8]) {
    let mut connection =
        netlink::Connection::open(netlink_sys::protocols::NETLINK_NETFILTER).expect("a socket");
    let (mut batch, mut awaited) = (Vec::new(), Vec::new());
    connection.put(&mut batch, 0x10, 0, &[0, 0, 0, 10]);
    let messages: Vec<_> = netlink::messages(answer)
        .map(|message| message.expect("well formed"))
        .collect();
    // Tables, chains, objects, sets, elements, rules; by the type of the message, and what is left out of it.
    for (kind, left_out) in [
        (0, &[3, 4][..]),
        (3, &[2, 6, 8]),
        (18, &[5, 6]),
        (9, &[16, 19, 20]),
        (12, &[]),
        (6, &[3, 6]),
    ] {
        let of_kind = |message: &&netlink::Message| message.kind & 0xff == kind;
        for message in messages
            .iter()
            .filter(of_kind)
            .filter(|message| can_be_written_back(message))
        {
            let attributes = Attributes::parse(&message.body[4..]).expect("well formed");
            let mut body = vec![message.body[0], 0, 0, 0];
            if kind == 9 {
                // NFTA_SET_ID, which the kernel wants and does not send.
                put(&mut body, 10, &1u32.to_be_bytes());
            }
            let kept = |(kind, _): &(u16, &[u8])| !left_out.contains(kind);
            attributes
                .members()
                .filter(kept)
                .for_each(|(kind, value)| put(&mut body, kind, value));
            // NLM_F_CREATE, NLM_F_APPEND, NLM_F_ACK.
            awaited.push(connection.put(&mut batch, message.kind, 0x0c04, &body));
        }
    }
    connection.put(&mut batch, 0x11, 0, &[0, 0, 0, 10]);
    connection
        .send("writing captured rules", &batch)
        .expect("sent");
    connection
        .acknowledged("writing captured rules", awaited)
        .expect("taken");
}

#[rstest]
#[case::nft(NFT)]
#[case::sets(sets::SETS)]
fn captured_rules_written_twice_are_the_same_and_a_reset_leaves_none(
    #[case] answer: &'static [u8],
) {
    in_a_fresh_namespace(move || {
        prepare(LegacyTables::Leave).expect("prepared");
        let mut captured = nft_of(answer).expect("well formed");
        for chain in captured.iter_mut().flat_map(|table| &mut table.chains) {
            let taken = |of: &Arc<Expression>| !NOT_TAKEN_BACK.contains(&&*of.name());
            chain
                .rules
                .retain(|rule| rule.expressions.iter().all(taken));
        }
        let mut reader = Reader::default();
        for _ in 0..2 {
            replay(answer);
            let written = reader.dump().expect("readable");
            assert_eq!(show(&written.nft), show(&captured));
            assert_eq!(written.legacy, [], "nobody touched a legacy table");
            reset().expect("resettable");
            assert_eq!(reader.dump().expect("readable"), State::default());
        }
    });
}

#[test]
fn legacy_tables_are_registered_filled_and_emptied() {
    in_a_fresh_namespace(|| {
        assert_eq!(
            Reader::default().dump().expect("readable").legacy,
            [],
            "a reading registers nothing"
        );
        prepare(LegacyTables::Leave).expect("prepared");
        assert_eq!(Reader::default().dump().expect("readable").legacy, []);
        prepare(LegacyTables::Register).expect("prepared");
        let empty = Reader::default().dump().expect("readable");
        assert!(
            empty.legacy.iter().any(|table| table.name == "filter"),
            "this kernel has no legacy tables"
        );
        for (family, blob) in [(Family::Ipv4, FILTER), (Family::Ipv6, FILTER6)] {
            legacy::write(family, "filter", blob);
            let written = Reader::default().dump().expect("readable").legacy;
            let written = written
                .into_iter()
                .find(|table| table.family == family && table.name == "filter");
            let captured = legacy_of(family, "filter", blob).expect("well formed");
            assert_eq!(written, Some(captured));
        }
        reset().expect("resettable");
        assert_eq!(Reader::default().dump().expect("readable"), empty);
    });
}

/// Writes what the kernel holds into a folder, as test data.
fn capture(folder: &Path) {
    fs::write(folder.join("nft"), nft::read().expect("readable")).expect("written");
    for table in Reader::default().dump().expect("readable").legacy {
        let blob = legacy::capture(table.family, &table.name);
        let name = format!("{}-{}", table.family, table.name);
        fs::write(folder.join(name), blob).expect("written");
    }
}

/// Makes new test data too: `CAPTURE=FOLDER cargo test capture` runs `rules.sh` of that folder in a namespace of its
/// own and leaves there what the kernel then holds.
#[test]
fn a_capture_decodes_to_what_the_kernel_holds() {
    in_a_fresh_namespace(|| {
        let own = tempfile::tempdir().expect("a folder");
        let folder = std::env::var_os("CAPTURE").map(PathBuf::from);
        match &folder {
            Some(folder) => {
                let rules = Command::new("sh").arg(folder.join("rules.sh")).status();
                assert!(rules.expect("a shell").success(), "rules.sh failed");
            }
            None => {
                prepare(LegacyTables::Register).expect("prepared");
                replay(NFT);
                legacy::write(Family::Ipv4, "filter", FILTER);
            }
        }
        let folder = folder.as_deref().unwrap_or(own.path());
        capture(folder);
        let held = Reader::default().dump().expect("readable");
        let captured = |name: &str| fs::read(folder.join(name)).expect("captured");
        let decoded = nft_of(&captured("nft")).expect("well formed");
        assert_eq!(show(&decoded), show(&held.nft));
        for table in held.legacy {
            let bytes = captured(&format!("{}-{}", table.family, table.name));
            let decoded = legacy_of(table.family, &table.name, &bytes);
            assert_eq!(decoded.expect("well formed"), table);
        }
    });
}
