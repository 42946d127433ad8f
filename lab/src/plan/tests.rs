//! Plans: who writes, who reads, who is the witness, and in which kind of lane.

use rstest::rstest;

use super::*;
use crate::catalog::{Digest, Version};

fn build(image: &str, origin: Origin, backend: Backend) -> Build {
    let digest: Digest = "0".repeat(64).parse().unwrap();
    Build {
        id: BuildId::new(image, backend),
        version: Version::new(image.trim_start_matches("debian-")),
        tool: Tool::Iptables,
        backend,
        origin,
        variant: None,
        key: digest.clone(),
        digest,
        libnftnl: None,
        banner: String::new(),
    }
}

fn builds() -> Vec<Build> {
    let images = [
        ("1.8.7", Origin::Upstream),
        ("debian-1.8.9-2", Origin::Debian),
        ("1.8.10", Origin::Upstream),
        ("debian-1.8.13-1", Origin::Debian),
    ];
    let of_image = |(image, origin)| Backend::ALL.map(|backend| build(image, origin, backend));
    images.into_iter().flat_map(of_image).collect()
}

#[rstest]
#[case(None, "1.8.10-nft")]
#[case(Some("1.8.7-nft"), "1.8.10-nft")]
#[case(Some("1.8.10-nft"), "1.8.7-nft")]
fn the_witness_is_the_newest_upstream_build_that_is_not_the_reader(
    #[case] reader: Option<&str>,
    #[case] expected: &str,
) {
    let builds = builds();
    let reader = reader.map(|id| BuildId::new(id.trim_end_matches("-nft"), Backend::Nft));
    let found = witness(&builds, Tool::Iptables, Backend::Nft, reader.as_ref()).unwrap();
    assert_eq!(found.id.as_str(), expected);
}

#[test]
fn without_an_upstream_build_the_newest_of_any_origin_is_the_witness() {
    let debian = builds()
        .into_iter()
        .filter(|build| build.origin == Origin::Debian);
    let debian: Vec<Build> = debian.collect();
    let found = witness(&debian, Tool::Iptables, Backend::Legacy, None).unwrap();
    assert_eq!(found.id.as_str(), "debian-1.8.13-1-legacy");
}

#[test]
fn every_pairing_is_laid_out_once_in_the_lane_of_its_kind() {
    let builds = builds();
    let text = "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -j DROP\nCOMMIT\n";
    let scenario = Scenario::from_rules("own", Family::Ipv4, text).unwrap();
    let selection = Selection {
        available: &builds,
        writers: &builds,
        readers: &builds,
        are_readers_named: false,
    };
    let plan = Plan::new(&[scenario], selection, Operation::ALL.to_vec());
    assert_eq!(plan.pairings(), builds.len() * builds.len());
    for load in &plan.loads {
        for reader in &load.readers {
            assert_eq!(
                load.kind,
                LaneKind::of(load.writer.backend, reader.build.backend)
            );
            assert_ne!(reader.witness.as_ref(), Some(&reader.build.id));
            let members = &plan.lanes[&load.kind];
            assert!(members.contains(&reader.build.id) && members.contains(&load.writer.id));
            assert!(
                reader
                    .witness
                    .iter()
                    .all(|witness| members.contains(witness))
            );
        }
    }
}

/// nft itself, newer than any iptables.
fn nft() -> Build {
    let build = build("debian-nft-9.9.9-1", Origin::Upstream, Backend::Nft);
    Build {
        id: BuildId::of_tool(Tool::Nft, "debian-nft-9.9.9-1", Backend::Nft),
        tool: Tool::Nft,
        ..build
    }
}

fn scenarios() -> [Scenario; 2] {
    let text = "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -j DROP\nCOMMIT\n";
    let file = "title = 't'\ngroup = 'g'\nfamilies = ['ipv4']\nwrite = 'nft'\n\
        source = { project = 'p', url = 'u', version = '1' }\n[rules]\nipv4 = '''\n\
        add table ip filter\nadd chain ip filter INPUT\nadd rule ip filter INPUT drop\n'''\n";
    [
        Scenario::from_rules("own", Family::Ipv4, text).unwrap(),
        Scenario::from_toml("native", file).unwrap(),
    ]
}

fn plan_of(writers: &[Build], readers: &[Build]) -> Plan {
    plan_where(true, writers, readers)
}

fn plan_where(are_readers_named: bool, writers: &[Build], readers: &[Build]) -> Plan {
    let mut available = builds();
    available.push(nft());
    let selection = Selection {
        available: &available,
        writers,
        readers,
        are_readers_named,
    };
    Plan::new(&scenarios(), selection, Operation::ALL.to_vec())
}

#[test]
fn nft_writes_what_its_users_write_and_iptables_all_else() {
    let mut all = builds();
    all.push(nft());
    let plan = plan_of(&all, &all);
    // Whoever writes, all read.
    assert_eq!(plan.pairings(), (builds().len() + 1) * all.len());
    for load in &plan.loads {
        let tool = if load.scenario == "native" {
            Tool::Nft
        } else {
            Tool::Iptables
        };
        assert_eq!(load.writer.tool, tool);
        for reader in &load.readers {
            // It is a witness of what nft makes of nft's rules alone, and there is no other.
            let is_of_nft_alone = (tool, reader.build.tool) == (Tool::Nft, Tool::Nft);
            assert_eq!(reader.witness.is_none(), is_of_nft_alone);
            assert_ne!(reader.witness.as_ref(), Some(&nft().id));
        }
    }
    let kinds: Vec<LaneKind> = [LaneKind::Nft, LaneKind::Cross]
        .into_iter()
        .filter(|kind| plan.lanes[kind].contains(&nft().id))
        .collect();
    assert_eq!(kinds, [LaneKind::Nft, LaneKind::Cross]);
    assert!(!plan.lanes[&LaneKind::Legacy].contains(&nft().id));
}

#[test]
fn unasked_nft_reads_what_nft_wrote() {
    let mut all = builds();
    all.push(nft());
    let plan = plan_where(false, &all, &all);
    let readers = |scenario: &str| -> std::collections::BTreeSet<Tool> {
        let loads = plan.loads.iter().filter(|load| load.scenario == scenario);
        let readers = loads.flat_map(|load| &load.readers);
        readers.map(|reader| reader.build.tool).collect()
    };
    assert_eq!(readers("own"), [Tool::Iptables].into());
    assert_eq!(readers("native"), Tool::ALL.into());
}

#[test]
fn a_scenario_that_no_writer_can_write_has_no_load() {
    let iptables = plan_of(&builds(), &builds());
    assert!(iptables.loads.iter().all(|load| load.scenario == "own"));
    assert!(
        iptables
            .lanes
            .values()
            .all(|members| !members.contains(&nft().id))
    );
    let native = plan_of(&[nft()], &builds());
    assert!(native.loads.iter().all(|load| load.scenario == "native"));
    assert_eq!(native.pairings(), builds().len());
    assert_eq!(plan_of(&builds(), &[]).loads, []);
}

#[test]
fn nft_prints_as_nft_whoever_wrote() {
    let plan = plan_of(&[nft()], &builds());
    let load = plan
        .loads
        .iter()
        .find(|of| of.kind == LaneKind::Cross)
        .unwrap();
    let print = |id: &BuildId| load.print_command(id).join(" ");
    assert_eq!(print(&nft().id), "nft -s list ruleset");
    assert_eq!(print(&load.readers[0].build.id), "iptables-legacy-save");
    let witness = load.readers[0].witness.as_ref().unwrap();
    assert_eq!(print(witness), "iptables-nft-save");
}

/// Rules of iptables, and a layer of nft's after them.
fn layered() -> Scenario {
    let file = "title = 't'\ngroup = 'g'\nfamilies = ['ipv4']\nwrite = 'append'\n\
        source = { project = 'p', url = 'u', version = '1' }\n[rules]\nipv4 = '''\n\
        *filter\n:INPUT ACCEPT [0:0]\n-A INPUT -j DROP\nCOMMIT\n'''\n\
        [[layer]]\nwrite = 'nft-insert'\nsource = { project = 'q', url = 'u', version = '1' }\n\
        rules = { ipv4 = \"add table ip filter\\nadd chain ip filter INPUT\\nadd rule ip filter INPUT accept\" }\n";
    Scenario::from_toml("layered", file).unwrap()
}

fn plan_of_layers(available: &[Build], are_readers_named: bool) -> Plan {
    let selection = Selection {
        available,
        writers: available,
        readers: available,
        are_readers_named,
    };
    Plan::new(&[layered()], selection, Operation::ALL.to_vec())
}

#[test]
fn the_newest_build_of_its_tool_writes_a_layer_and_has_a_witness_of_its_own() {
    let mut all = builds();
    let older = Build {
        id: BuildId::of_tool(Tool::Nft, "debian-nft-0.9.8-1", Backend::Nft),
        version: Version::new("0.9.8-1"),
        ..nft()
    };
    let newest = Build {
        version: Version::new("9.9.9-1"),
        ..nft()
    };
    all.extend([older.clone(), newest]);
    let plan = plan_of_layers(&all, true);
    assert_eq!(plan.without_bystander, []);
    assert!(!plan.loads.is_empty());
    for load in &plan.loads {
        assert_eq!(
            (load.writer.tool, load.writer.backend),
            (Tool::Iptables, Backend::Nft)
        );
        let by: Vec<_> = load
            .bystanders
            .iter()
            .map(|of| (of.layer, &of.build.id))
            .collect();
        assert_eq!(by, [(2, &nft().id)]);
        assert_eq!(load.writer_of(2).id, nft().id);
        assert_eq!(load.writer_of(1), &load.writer);
        for reader in &load.readers {
            let [Some(beside)] = reader.beside.as_slice() else {
                panic!("{reader:?}");
            };
            // What nft wrote is printed again by the reader's tool, and by no build that is the reader.
            let expected = match reader.build.tool {
                Tool::Nft if reader.build.id == nft().id => &older.id,
                Tool::Nft => &nft().id,
                Tool::Iptables => reader.witness.as_ref().unwrap(),
            };
            assert_eq!(beside, expected);
            assert_eq!(load.kind_of(beside).0, reader.build.tool);
            let witness = reader.witness.as_ref().unwrap();
            assert_eq!(load.kind_of(witness).0, Tool::Iptables);
            let members = &plan.lanes[&load.kind];
            assert!(members.contains(&nft().id) && members.contains(beside));
        }
    }
    let readers = plan.loads.iter().flat_map(|load| &load.readers);
    assert!(readers.into_iter().any(|of| of.build.tool == Tool::Nft));
    let unasked = plan_of_layers(&all, false).loads;
    let mut readers = unasked.iter().flat_map(|load| &load.readers);
    assert!(
        readers.all(|of| of.build.tool == Tool::Iptables),
        "unasked nft reads what nft wrote, and not what is written beside iptables' rules"
    );
}

#[test]
fn where_nobody_can_write_a_layer_there_is_no_load_and_the_plan_says_why() {
    let plan = plan_of_layers(&builds(), true);
    assert_eq!(plan.loads, []);
    let without = WithoutBystander {
        scenario: "layered".to_owned(),
        layer: 2,
        tool: Tool::Nft,
        backend: Backend::Nft,
    };
    assert_eq!(
        plan.without_bystander,
        [without],
        "no layer of nft's lies in legacy's tables"
    );
}
