//! Setups made in fresh network namespaces, and nothing left of them.

use std::fs;
use std::sync::mpsc::{Receiver, Sender, channel};

use nix::unistd::gettid;
use rstest::rstest;

use super::super::tests::in_a_fresh_namespace;
use super::*;
use crate::agent::kernel::{LegacyTables, prepare};
use crate::catalog::Family;
use crate::scenario::{Set, SetKind};

/// A node with a bridge, a container behind it and a machine beside it; the format's own example, in both families.
const NODE: &str = r#"
interfaces = [
  { name = "docker0", kind = "bridge" },
  { name = "vethc", kind = "veth", end = "inner", master = "docker0" },
  { name = "eth0", kind = "veth", end = "peer" },
]
addresses = [
  { interface = "docker0", address = "172.17.0.1/16" },
  { interface = "docker0", address = "fd00:17::1/64" },
  { interface = "eth0", address = "192.0.2.1/24" },
  { interface = "lo", address = "10.96.0.1/32" },
  { interface = "lo", address = "fd00:96::1/128" },
  { at = "peer", address = "192.0.2.2/24" },
  { at = "inner", address = "172.17.0.2/16" },
  { at = "inner", address = "fd00:17::2/64" },
]
routes = [
  { to = "10.97.0.0/16", interface = "lo" },
  { to = "0.0.0.0/0", via = "192.0.2.2" },
  { at = "peer", to = "0.0.0.0/0", via = "192.0.2.1" },
  { at = "inner", to = "0.0.0.0/0", via = "172.17.0.1" },
  { at = "inner", to = "::/0", via = "fd00:17::1" },
]
sysctls = { "net.ipv4.conf.docker0.route_localnet" = "1", "net.ipv4.conf.lo.accept_local" = "1", "net.ipv4.conf.eth0.rp_filter" = "2" }
sets = [
  { name = "one", type = "hash:ip", family = "ipv4", entries = ["10.0.0.1"] },
  { name = "all", type = "list:set", family = "ipv4", entries = ["one"] },
]
"#;

/// Another one, which has names and addresses of the first.
const OTHER: &str = r#"
interfaces = [{ name = "eth0", kind = "veth", end = "inner" }]
addresses = [
  { interface = "eth0", address = "172.17.0.1/16" },
  { at = "inner", address = "172.17.0.2/16" },
]
sets = [{ name = "one", type = "hash:net", family = "ipv6", entries = ["fd00::/8"] }]
"#;

fn setup(text: &str) -> Setup {
    toml::from_str(text).expect("a setup")
}

/// A namespace that does as it is told, by a thread of this process.
struct Far {
    thread: u32,
    tell: Sender<Box<dyn FnOnce() + Send>>,
    done: Receiver<()>,
}

impl Far {
    fn new() -> Self {
        let (tell, told) = channel::<Box<dyn FnOnce() + Send>>();
        let (report, done) = channel();
        let (name, named) = channel();
        thread::spawn(move || {
            in_a_fresh_namespace(move || {
                prepare(LegacyTables::Leave).expect("prepared");
                name.send(gettid().as_raw().cast_unsigned()).expect("heard");
                for act in told {
                    act();
                    report.send(()).expect("heard");
                }
            });
        });
        Far {
            thread: named.recv().expect("a thread"),
            tell,
            done,
        }
    }

    fn does(&self, act: impl FnOnce() + Send + 'static) {
        self.tell.send(Box::new(act)).expect("it lives");
        self.done.recv().expect("it succeeded");
    }
}

/// Runs `test` in a lane with both other namespaces.
fn in_a_lane(test: impl FnOnce(&BTreeMap<Namespace, Far>) + Send + 'static) {
    in_a_fresh_namespace(|| {
        prepare(LegacyTables::Leave).expect("prepared");
        let ends = [Namespace::Peer, Namespace::Inner];
        test(&ends.map(|end| (end, Far::new())).into());
    });
}

fn furnish(lane: &mut Surroundings, far: &BTreeMap<Namespace, Far>, setup: &Setup) {
    let threads = far
        .iter()
        .map(|(at, far)| (*at, NetworkOf::Process(far.thread)))
        .collect();
    lane.furnish(Namespace::Lane, setup, &threads)
        .expect("furnished");
    for at in setup.ends() {
        let setup = setup.clone();
        far[&at].does(move || {
            let mut own = Surroundings::default();
            own.furnish(at, &setup, &BTreeMap::new())
                .expect("furnished");
        });
    }
    for at in setup.ends() {
        far[&at].does(|| settle().expect("settled"));
    }
    settle().expect("settled");
}

/// All that a namespace holds, but for interfaces' indices and the statistics.
fn seen() -> (Vec<String>, Vec<String>, Vec<String>, BTreeMap<u16, u32>) {
    let connection = &mut link::connect().expect("a socket");
    let links = link::all(connection).expect("readable");
    let name = |index: i32| {
        let link = links.iter().find(|link| link.index == index);
        link.map(|link| link.name.clone()).expect("an interface")
    };
    let held = route::addresses(connection).expect("readable");
    let mut addresses: Vec<String> = held
        .iter()
        .map(|held| format!("{} {}", name(held.index), String::from(held.prefix)))
        .collect();
    addresses.sort();
    let loopback = links.iter().find(|link| link.index == LOOPBACK);
    let loopback = loopback.expect("lo").inet.clone();
    let mut names: Vec<String> = links.iter().map(|link| link.name.clone()).collect();
    names.sort();
    let mut sets = ipset::names(&mut ipset::connect().expect("a socket")).expect("readable");
    sets.sort();
    (names, addresses, sets, loopback)
}

fn routes() -> String {
    let routes = fs::read_to_string("/proc/thread-self/net/route").expect("readable");
    let routes6 = fs::read_to_string("/proc/thread-self/net/ipv6_route").expect("readable");
    // Counters of use at the end.
    let stable = |line: &str| {
        line.split_whitespace()
            .take(5)
            .collect::<Vec<_>>()
            .join(" ")
    };
    let connection = &mut link::connect().expect("a socket");
    // Of every family, however many bytes they are.
    let rules = connection.whole_dump("reading the rules", libc::RTM_GETRULE, &[0; 12]);
    let rules = rules.expect("readable").len().to_string();
    routes
        .lines()
        .chain(routes6.lines())
        .map(stable)
        .chain([rules])
        .map(|line| line + "\n")
        .collect()
}

#[test]
fn a_setup_is_made_and_nothing_is_left_of_it() {
    in_a_lane(|far| {
        let fresh = (seen(), routes());
        let mut lane = Surroundings::default();
        furnish(&mut lane, far, &setup(NODE));
        let (mut names, addresses, sets, loopback) = seen();
        names.retain(|name| fresh.0.0.binary_search(name).is_err());
        assert_eq!(names, ["docker0", "eth0", "vethc"]);
        let expected = [
            "docker0 172.17.0.1/16",
            "docker0 fd00:17::1/64",
            "docker0 fe80::1/64",
            "eth0 192.0.2.1/24",
            "eth0 fe80::1/64",
            "lo 10.96.0.1/32",
            "lo 127.0.0.1/8",
            "lo ::1/128",
            "lo fd00:96::1/128",
        ];
        assert_eq!(addresses, expected);
        assert_eq!(sets, ["all", "one"]);
        // IPV4_DEVCONF_ACCEPT_LOCAL
        assert_eq!(loopback[&23], 1);
        let links = link::all(&mut link::connect().expect("a socket")).expect("readable");
        let link = |name: &str| links.iter().find(|link| link.name == name).expect("made");
        assert_eq!(link("vethc").master, Some(link("docker0").index));
        // IPV4_DEVCONF_ROUTE_LOCALNET
        assert_eq!(link("docker0").inet[&26], 1);
        let filters = ["docker0", "vethc", "eth0"].map(|name| link(name).inet[&RP_FILTER]);
        assert_eq!(filters, [0, 0, 2]);
        far[&Namespace::Inner].does(|| {
            let (names, addresses, ..) = seen();
            assert!(names.contains(&"eth0".to_owned()), "{names:?}");
            assert!(
                addresses.contains(&"eth0 fd00:17::2/64".to_owned()),
                "{addresses:?}"
            );
        });

        lane.clear().expect("cleared");
        assert_eq!((seen(), routes()), fresh);
        for far in far.values() {
            let fresh = fresh.0.clone();
            far.does(move || {
                Surroundings::default().clear().expect("cleared");
                assert_eq!(seen(), fresh);
            });
        }

        furnish(&mut lane, far, &setup(OTHER));
        let (_, addresses, sets, loopback) = seen();
        assert_eq!(
            addresses,
            ["eth0 172.17.0.1/16", "lo 127.0.0.1/8", "lo ::1/128"]
        );
        assert_eq!(
            (sets, loopback),
            (vec!["one".to_owned()], fresh.0.3.clone())
        );
        lane.clear().expect("cleared");
        assert_eq!((seen(), routes()), fresh);
    });
}

#[test]
fn an_empty_namespace_is_cleared_as_often_as_one_likes() {
    in_a_fresh_namespace(|| {
        prepare(LegacyTables::Leave).expect("prepared");
        let fresh = (seen(), routes());
        for _ in 0..2 {
            Surroundings::default().clear().expect("cleared");
            assert_eq!((seen(), routes()), fresh);
        }
    });
}

#[rstest]
#[case(SetKind::HashIp, Family::Ipv4, &["10.0.0.1", "10.0.1.0/24", "10.0.2.1-10.0.2.9"])]
#[case(SetKind::HashIp, Family::Ipv6, &["fd00::1"])]
#[case(SetKind::HashNet, Family::Ipv4, &["10.0.0.0/8", "10.1.0.0/16 nomatch", "192.0.2.1"])]
#[case(SetKind::HashNet, Family::Ipv6, &["fd00::/8"])]
#[case(SetKind::HashIpPort, Family::Ipv4, &["10.0.0.1,tcp:80", "10.0.0.1,udp:53", "10.0.0.1,443"])]
#[case(SetKind::HashIpPort, Family::Ipv6, &["fd00::1,sctp:80-90"])]
#[case(SetKind::HashIpPortIp, Family::Ipv4, &["10.0.0.1,tcp:80,10.0.0.2"])]
#[case(SetKind::HashIpPortNet, Family::Ipv4, &["10.0.0.1,udp:53,10.0.0.0/24"])]
#[case(SetKind::HashNetPort, Family::Ipv4, &["10.0.0.0/24,tcp:80"])]
#[case(SetKind::HashNetIface, Family::Ipv4, &["10.0.0.0/24,eth0", "0.0.0.0/0,lo"])]
#[case(SetKind::BitmapPort, Family::Ipv4, &["80", "8000-8010"])]
#[case(SetKind::ListSet, Family::Ipv6, &[])]
fn a_set_of_each_type_is_made(
    #[case] kind: SetKind,
    #[case] family: Family,
    #[case] entries: &'static [&'static str],
) {
    in_a_fresh_namespace(move || {
        let set = Set {
            name: "cali40s:é".to_owned(),
            kind,
            family,
            entries: entries.iter().map(|&entry| entry.to_owned()).collect(),
        };
        ipset::make(&set).expect("made");
        let again = ipset::make(&set).expect_err("there already");
        assert!(
            again.to_string().starts_with("making the set cali40s:é: "),
            "{again}"
        );
        ipset::reset().expect("deleted");
        ipset::make(&set).expect("made again");
    });
}

#[test]
fn what_the_kernel_will_not_hold_is_said_in_its_words() {
    in_a_fresh_namespace(|| {
        let set = Set {
            name: "nets".to_owned(),
            kind: SetKind::HashNet,
            family: Family::Ipv4,
            entries: vec!["0.0.0.0/0".to_owned()],
        };
        let refused = ipset::make(&set).expect_err("a net of everything");
        let says = "adding `0.0.0.0/0` to the set nets: IPSET_ERR_INVALID_CIDR";
        assert!(refused.to_string().starts_with(says), "{refused}");
    });
}

#[test]
fn what_the_kernel_lacks_is_told_from_what_it_refuses() {
    let refused = |errno| KernelError::refused("asking")(io::Error::from_raw_os_error(errno));
    let lacks = refused(libc::EOPNOTSUPP).lacking_if(&[libc::ENOENT, libc::EOPNOTSUPP]);
    assert!(matches!(lacks, KernelError::Lacks { .. }), "{lacks}");
    let fault = refused(libc::EPERM).lacking_if(&[libc::ENOENT, libc::EOPNOTSUPP]);
    assert!(matches!(fault, KernelError::Refused { .. }), "{fault}");
}

#[test]
fn that_the_kernel_lacks_something_is_seen_from_its_answer() {
    in_a_fresh_namespace(|| {
        let connection = &mut link::connect().expect("a socket");
        let lacks = link::make_kind(connection, "odd0", "nosuchkind", Kind::Bridge);
        let lacks = lacks.expect_err("nobody has that");
        assert!(matches!(lacks, KernelError::Lacks { .. }), "{lacks}");
        let says = "making the nosuchkind odd0: ";
        assert!(lacks.to_string().starts_with(says), "{lacks}");
        let connection = &mut ipset::connect().expect("a socket");
        let lacks = ipset::newest_revision(connection, "hash:none", libc::AF_INET);
        let lacks = lacks.expect_err("nobody has that");
        assert!(matches!(lacks, KernelError::Lacks { .. }), "{lacks}");
        let says = "looking for the set type hash:none: IPSET_ERR_FIND_TYPE: no such set type";
        assert_eq!(lacks.to_string(), says);
    });
}
