use std::sync::Arc;

use rstest::rstest;
use serde::{Deserialize, Serialize};

use super::*;
use crate::observed::expression::{Attribute, Data, Expression, ObjectKind};
use crate::observed::{Bytes, Name};

fn name(name: &str) -> Name {
    name.as_bytes().into()
}

/// A value or a verdict as it is printed.
fn data(printed: &str) -> Option<Data> {
    let json = serde_json::Value::from(printed);
    Some(serde_json::from_value(json).expect("a value or a verdict"))
}

fn attribute(kind: u16) -> Attribute {
    Attribute {
        kind,
        value: (&[0x3f][..]).into(),
    }
}

/// Whether it comes back from JSON as it was.
fn survives<T>(what: &T) -> bool
where
    T: Serialize + for<'de> Deserialize<'de> + PartialEq,
{
    let json = serde_json::to_string(what).expect("it has a JSON form");
    serde_json::from_str::<T>(&json).is_ok_and(|back| back == *what)
}

#[rstest]
#[case::key(
    NftElement { key: data("0x0000000a"), ..NftElement::default() },
    "element 0x0000000a"
)]
#[case::end_of_an_interval(
    NftElement {
        key: data("0x0000000b"),
        flags: Some(ElementFlags::INTERVAL_END),
        ..NftElement::default()
    },
    "element 0x0000000b flags 0x1"
)]
#[case::interval_of_several_values(
    NftElement {
        key: data("0x0100000a 0x00005000"),
        key_end: data("0x0100000a 0x00005a00"),
        timeout: Some(30_000),
        ..NftElement::default()
    },
    "element 0x0100000a 0x00005000 - 0x0100000a 0x00005a00 timeout 30000ms"
)]
#[case::every_other_key(
    NftElement { flags: Some(ElementFlags::CATCHALL), ..NftElement::default() },
    "element flags 0x2"
)]
#[case::value(
    NftElement { key: data("0x0a"), data: data("0x08070605"), ..NftElement::default() },
    "element 0x0a : 0x08070605"
)]
#[case::verdict(
    NftElement { key: data("0x0a"), data: data("jump -> other"), ..NftElement::default() },
    "element 0x0a : jump -> other"
)]
#[case::object(
    NftElement { key: data("0x0a"), object: Some(name("a b")), ..NftElement::default() },
    "element 0x0a : object \"a b\""
)]
#[case::all_else(
    NftElement {
        key: data("0x0a"),
        flags: Some(ElementFlags::from(0x80)),
        expressions: vec![Expression::Counter, Expression::Last],
        userdata: Some((&[0, 1, 0][..]).into()),
        other: vec![attribute(77)],
        ..NftElement::default()
    },
    "element 0x0a flags 0x80 [ counter ] [ last ] userdata 0x000100 attribute 77 0x3f"
)]
fn elements(#[case] element: NftElement, #[case] printed: &str) {
    assert_eq!(element.to_string(), printed);
    assert!(survives(&element));
}

fn set(flags: u32) -> NftSet {
    NftSet {
        name: name("s"),
        flags: flags.into(),
        key_type: None,
        key_length: None,
        data_type: None,
        data_length: None,
        policy: None,
        object_kind: None,
        timeout: None,
        gc_interval: None,
        description: SetDescription::default(),
        userdata: None,
        expressions: Vec::new(),
        other: Vec::new(),
        elements: Vec::new(),
    }
}

#[test]
fn a_set_is_printed_with_all_that_is_known_and_what_is_not() {
    assert_eq!(set(0).to_string(), "set s flags 0x0");
    let whole = NftSet {
        key_type: Some(7),
        key_length: Some(4),
        data_type: Some(0xffff_ff00),
        data_length: Some(16),
        policy: Some(1),
        object_kind: Some(ObjectKind::Quota),
        timeout: Some(60_000),
        gc_interval: Some(500),
        description: SetDescription {
            size: Some(128),
            concatenation: Some((&[1, 2][..]).into()),
            other: vec![attribute(3)],
        },
        userdata: Some((&[9][..]).into()),
        expressions: vec![Expression::Counter],
        other: vec![attribute(99)],
        elements: vec![NftElement::default()],
        ..set(0x1058)
    };
    assert_eq!(
        whole.to_string(),
        "set s flags 0x1058 key_type 7 key_len 4 data_type 4294967040 data_len 16 policy 1 obj_type 2 timeout 60000ms \
         gc_interval 500ms size 128 concat 0x0102 attribute 3 0x3f userdata 0x09 [ counter ] attribute 99 0x3f"
    );
    assert!(survives(&whole) && survives(&set(0)));
}

#[test]
fn objects_and_flowtables_are_printed_with_what_is_not_known() {
    let object = NftObject {
        name: name("q"),
        kind: ObjectKind::Quota,
        data: Expression::read("quota bytes 100 flags 1"),
        userdata: Some((&[0][..]).into()),
        other: vec![attribute(9)],
    };
    assert_eq!(
        object.to_string(),
        "object q quota bytes 100 flags 1 userdata 0x00 attribute 9 0x3f"
    );
    let unknown = NftObject {
        kind: ObjectKind::from(12),
        data: Expression::read("unknown-12 raw 0x01"),
        ..object.clone()
    };
    let flowtable = NftFlowtable {
        name: name("ft"),
        hook: Some(FlowtableHook {
            number: Some(0),
            priority: Some(-10),
            devices: vec![
                Device::Name(name("lo")),
                Device::Prefix(name("eth")),
                Device::Other(attribute(7)),
            ],
            other: vec![attribute(8)],
        }),
        flags: Some(FlowtableFlags::COUNTER),
        other: vec![attribute(9)],
    };
    assert_eq!(
        flowtable.to_string(),
        "flowtable ft hook 0 prio -10 dev lo dev prefix eth dev attribute 7 0x3f attribute 8 0x3f flags 0x2 \
         attribute 9 0x3f"
    );
    assert!(survives(&object) && survives(&unknown) && survives(&flowtable));
}

#[rstest]
#[case(Hook::Postrouting, "\"postrouting\"")]
#[case(Hook::Unknown(9), "\"unknown-9\"")]
fn hooks(#[case] hook: Hook, #[case] json: &str) {
    assert_eq!(serde_json::to_string(&hook).expect("a word"), json);
    assert!(survives(&hook));
    assert!(serde_json::from_str::<Hook>("\"prerouting 1\"").is_err());
}

#[rstest]
#[case(ChainKind::Nat, "\"nat\"")]
#[case(ChainKind::Other(name("new kind")), "\"\\\"new kind\\\"\"")]
fn kinds_of_chains(#[case] kind: ChainKind, #[case] json: &str) {
    assert_eq!(serde_json::to_string(&kind).expect("a word"), json);
    assert_eq!(kind, serde_json::from_str(json).expect("a kind"), "{json}");
}

fn rule(expressions: &[&str]) -> Arc<NftRule> {
    let read = |printed: &&str| Arc::new(Expression::read(printed));
    Arc::new(NftRule {
        expressions: expressions.iter().map(read).collect(),
        other: Vec::new(),
        compat: None,
        userdata: None,
    })
}

fn table(sets: &[(&str, u32)], rules: Vec<Arc<NftRule>>) -> NftTable {
    let (chains, sets) = (
        vec![NftChain {
            name: "c".to_owned(),
            base: None,
            rules,
            flags: ChainFlags::default(),
            userdata: None,
            other: Vec::new(),
        }],
        sets.iter().map(|&(of, key_type)| NftSet {
            name: name(of),
            key_type: Some(key_type),
            ..set(u32::from(of.starts_with("__")))
        }),
    );
    NftTable {
        family: "ip".to_owned(),
        name: "t".to_owned(),
        flags: TableFlags::default(),
        chains,
        sets: sets.collect(),
        objects: Vec::new(),
        flowtables: Vec::new(),
        stamp: None,
        userdata: None,
        other: Vec::new(),
    }
}

/// The names of sets, each with its type, and then the sets of all rules.
fn names(table: &NftTable) -> String {
    let sets = table.sets.iter();
    let sets = sets.map(|set| format!("{}={}", set.name, set.key_type.unwrap_or_default()));
    let rules = table.chains.iter().flat_map(|chain| &chain.rules);
    let used = rules.flat_map(|rule| &rule.expressions);
    let used = used.filter_map(|expression| Some(expression.set()?.to_string()));
    sets.chain(used).collect::<Vec<_>>().join(" ")
}

#[rstest]
#[case::none(&[("s", 1)], &["s"], "s=1 s")]
#[case::as_they_are(&[("__set0", 1), ("__set1", 2)], &["__set0", "__set1"], "__set0=1 __set1=2 __set0 __set1")]
#[case::turned_round(&[("__set0", 1), ("__set1", 2)], &["__set1", "__set0"], "__set0=2 __set1=1 __set0 __set1")]
#[case::a_gap(&[("__set7", 1)], &["__set7", "__set7"], "__set0=1 __set0 __set0")]
#[case::each_kind_apart(
    &[("__set4", 1), ("__map9", 2), ("__set2", 3)],
    &["__set2", "__map9", "__set4"],
    "__set0=3 __map0=2 __set1=1 __set0 __map0 __set1"
)]
#[case::unused_last(&[("__set0", 1), ("__set1", 2), ("__set2", 3)], &["__set2"], "__set0=3 __set1=1 __set2=2 __set0")]
#[case::behind_the_named(&[("__set3", 1), ("s", 2)], &["__set3", "s"], "s=2 __set0=1 __set0 s")]
fn anonymous_sets_are_numbered_by_first_use(
    #[case] sets: &[(&str, u32)],
    #[case] used: &[&str],
    #[case] expected: &str,
) {
    let lookup = |set: &&str| rule(&["counter", &format!("lookup reg 1 set {set} 0x0")]);
    let mut table = table(sets, used.iter().map(lookup).collect());
    table.number_anonymous_sets();
    assert_eq!(names(&table), expected);
    let numbered = table.clone();
    table.number_anonymous_sets();
    assert_eq!(table, numbered);
}

#[test]
fn the_name_of_another_set_is_not_taken() {
    let mut table = table(&[("__set5", 1), ("__set0", 2)], vec![]);
    table.sets[1].flags = SetFlags::default();
    table.number_anonymous_sets();
    assert_eq!(names(&table), "__set0=2 __set1=1");
}

#[rstest]
#[case("lookup reg 1 set __set7 dreg 0 0x0")]
#[case("lookup reg 1 set __set7 attribute 77 0x3f")]
#[case("dynset add reg_key 1 set __set7 flags 0x0")]
#[case("objref sreg 1 set __set7")]
fn every_expression_that_names_a_set_gets_its_new_name(#[case] printed: &str) {
    let own = rule(&[printed, "counter"]);
    let mut table = table(&[("__set7", 1)], vec![own.clone()]);
    table.number_anonymous_sets();
    let renamed = &table.chains[0].rules[0];
    assert_eq!(
        renamed.expressions[0].to_string(),
        printed.replace("__set7", "__set0")
    );
    assert_eq!(
        own.expressions[0].to_string(),
        printed,
        "others hold it too"
    );
    assert!(Arc::ptr_eq(&own.expressions[1], &renamed.expressions[1]));
}

#[test]
fn a_stamp_is_part_of_a_table_and_of_nothing_else() {
    let table = table(&[], vec![rule(&["counter"])]);
    let stamped = NftTable {
        stamp: Some(Stamp {
            version: Some(Bytes::from(&[1, 1, 6, 0][..])),
            build: None,
        }),
        ..table.clone()
    };
    assert_ne!(stamped, table);
    assert!(stamped.is_same_but_stamp(&table));
    let dormant = NftTable {
        flags: TableFlags::DORMANT,
        ..table.clone()
    };
    assert!(!stamped.is_same_but_stamp(&dormant));
    assert!(survives(&stamped) && survives(&table));
}

#[test]
fn what_packets_meet_of_a_set_is_not_what_people_see_of_it() {
    let set = |flags: u32| -> NftSet {
        let set = serde_json::json!({ "name": "a", "flags": flags, "key_type": 7 });
        serde_json::from_value(set).expect("a set")
    };
    let seen = NftSet {
        name: name("b"),
        key_type: Some(9),
        ..set(0)
    };
    assert_eq!(seen.bare(), set(0).bare());
    let filled = |flags| NftSet {
        elements: vec![NftElement {
            key: data("0x010200c0"),
            ..NftElement::default()
        }],
        ..set(flags)
    };
    assert_ne!(filled(0).bare(), set(0).bare());
    let from_the_lowest = |key: &str| NftSet {
        elements: vec![NftElement {
            key: data(key),
            flags: Some(ElementFlags::INTERVAL_END),
            ..NftElement::default()
        }],
        ..set(4)
    };
    assert_eq!(from_the_lowest("0x00000000").bare(), set(4).bare());
    assert_ne!(from_the_lowest("0x010200c0").bare(), set(4).bare());
    // Packets fill one that rules write into.
    let eval = 0x20;
    assert_eq!(filled(eval).bare(), set(eval).bare());
}
