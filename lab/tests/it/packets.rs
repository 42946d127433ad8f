//! Packets through real rules: lanes furnished, probes sent, and what became of them.

use std::thread;
use std::time::Duration;

use iptables_lab::catalog::Family;
use iptables_lab::scenario::{Arrival, Namespace, Outcome};
use iptables_lab::tool::iptables::stem;
use nix::libc;
use rstest::rstest;

use super::lane::{On, TestLane};

/// The format's own example: a node with a container behind a bridge, and a machine beside it.
const NODE: &str = r#"
interfaces = [
  { name = "docker0", kind = "bridge" },
  { name = "eth0", kind = "veth", end = "peer" },
  { name = "vethc", kind = "veth", end = "inner", master = "docker0" },
]
addresses = [
  { interface = "docker0", address = "172.17.0.1/16" },
  { interface = "docker0", address = "fd00:17::1/64" },
  { interface = "eth0", address = "192.0.2.1/24" },
  { interface = "eth0", address = "2001:db8::1/64" },
  { at = "peer", address = "192.0.2.2/24" },
  { at = "peer", address = "2001:db8::2/64" },
  { at = "inner", address = "172.17.0.2/16" },
  { at = "inner", address = "fd00:17::2/64" },
]
routes = [
  { at = "peer", to = "0.0.0.0/0", via = "192.0.2.1" },
  { at = "peer", to = "::/0", via = "2001:db8::1" },
  { at = "inner", to = "0.0.0.0/0", via = "172.17.0.1" },
  { at = "inner", to = "::/0", via = "fd00:17::1" },
]
sysctls = { "net.ipv4.conf.docker0.route_localnet" = "1" }
"#;

/// A probe of every kind, in both families where there are two addresses.
fn every_kind(path: &str, rest: &str, addresses: &[(&str, &str)], expect: &str) -> String {
    let mut probes = String::new();
    for (from, to) in addresses {
        for (kind, port) in [("icmp", ""), ("udp", "port = 53"), ("tcp", "port = 80")] {
            let from = match *from {
                "" => String::new(),
                from => format!("from = \"{from}\""),
            };
            probes += &format!(
                "[[probe]]\nname = \"{kind} {path} to {to}\"\nkind = \"{kind}\"\npath = \"{path}\"\nto = \"{to}\"\n{port}\n{from}\n{rest}\nexpect = \"{expect}\"\n"
            );
        }
    }
    probes
}

#[rstest]
fn without_rules_every_packet_is_delivered_on_every_path(#[values(On::Docker, On::Native)] on: On) {
    needs!(on.need());
    let mut lane = TestLane::open(on);
    lane.furnish(NODE);
    let paths = [
        every_kind(
            "loopback",
            "",
            &[("127.0.0.2", "127.0.0.1"), ("", "172.17.0.1"), ("", "::1")],
            "delivered",
        ),
        every_kind(
            "in",
            "",
            &[
                ("", "192.0.2.1"),
                ("172.17.0.2", "192.0.2.1"),
                ("2001:db8::2", "fd00:17::1"),
            ],
            "delivered",
        ),
        every_kind(
            "out",
            "mark = 7",
            &[
                ("", "192.0.2.2"),
                ("172.17.0.1", "192.0.2.2"),
                ("", "fd00:17::2"),
            ],
            "delivered",
        ),
        every_kind(
            "forward",
            "",
            &[
                ("192.0.2.2", "172.17.0.2"),
                ("172.17.0.2", "192.0.2.2"),
                ("fd00:17::2", "2001:db8::2"),
            ],
            "delivered",
        ),
    ];
    let probes = paths.concat();
    for _ in 0..3 {
        let outcomes = lane.all_met(NODE, &probes);
        assert_eq!(outcomes.len(), 36);
        assert!(outcomes.iter().all(|outcome| outcome.refused.is_none()));
        let at: Vec<_> = outcomes
            .iter()
            .filter_map(|outcome| outcome.arrival)
            .map(|arrival| arrival.at)
            .collect();
        assert_eq!(at[..18], [Namespace::Lane; 18]);
        assert_eq!(at[18..24], [Namespace::Peer; 6]);
        assert_eq!(at[24..30], [Namespace::Inner; 6]);
        assert_eq!(at[30..], [Namespace::Peer; 6]);
    }
}

#[rstest]
fn the_kernel_sends_nothing_that_nobody_asked_for(#[values(On::Docker, On::Native)] on: On) {
    needs!(on.need());
    let mut lane = TestLane::open(on);
    lane.furnish(NODE);
    let rules = "*filter\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n-A INPUT -j ACCEPT\n-A OUTPUT -j ACCEPT\nCOMMIT\n";
    for family in [Family::Ipv4, Family::Ipv6] {
        lane.write(family, rules);
    }
    // By itself it says within a second, and again, which multicast groups it is in, and looks for routers after four.
    thread::sleep(Duration::from_secs(6));
    for family in [Family::Ipv4, Family::Ipv6] {
        let ran = lane.run(&format!("{}-nft-save -c", stem(family)), None);
        let stdout = ran.stdout.to_lossy().into_owned();
        let rules: Vec<&str> = stdout.lines().filter(|l| l.contains("-A ")).collect();
        let unmet = ["[0:0] -A INPUT -j ACCEPT", "[0:0] -A OUTPUT -j ACCEPT"];
        assert_eq!(rules, unmet, "{family}");
    }
}

#[rstest]
fn a_marked_packet_is_dropped_and_an_unmarked_one_is_not(#[values(On::Docker, On::Native)] on: On) {
    needs!(on.need());
    let mut lane = TestLane::open(on);
    lane.furnish("");
    let rules =
        "*filter\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -m mark --mark 0x8000/0x8000 -j DROP\nCOMMIT\n";
    lane.write(Family::Ipv4, rules);
    lane.write(Family::Ipv6, rules);
    let addresses = [("", "127.0.0.1"), ("", "::1")];
    let marked = every_kind("loopback", "mark = 0x8001", &addresses, "dropped");
    let unmarked = every_kind("loopback", "mark = 1", &addresses, "delivered");
    let unmarked = unmarked.replace("loopback to", "unmarked to");
    let outcomes = lane.all_met("", &(marked + &unmarked));
    // What OUTPUT drops is refused to who sends it, but for TCP, which goes on trying.
    let refused: Vec<_> = outcomes.iter().map(|outcome| outcome.refused).collect();
    let eperm = Some(libc::EPERM);
    assert_eq!(refused[..3], [eperm, eperm, None]);
    assert_eq!(refused[6..], [None; 6]);
    // What is expected otherwise is told as it is, after some patience.
    let wrong = every_kind("loopback", "mark = 0x8000", &addresses[..1], "delivered");
    let sent = lane.send("", &wrong);
    assert!(
        sent.iter()
            .all(|(_, outcome)| outcome.arrival.is_none() && !outcome.answered)
    );
    let wrong = every_kind("loopback", "", &addresses[..1], "dropped");
    let sent = lane.send("", &wrong);
    assert!(
        sent.iter()
            .all(|(_, outcome)| outcome.arrival.is_some() && outcome.answered)
    );
}

#[rstest]
fn a_redirected_packet_is_found_where_it_goes_and_a_masqueraded_one_is_seen_from_elsewhere(
    #[values(On::Docker, On::Native)] on: On,
) {
    needs!(on.need());
    let mut lane = TestLane::open(on);
    lane.furnish(NODE);
    lane.write(
        Family::Ipv4,
        "*nat
:PREROUTING ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
-A PREROUTING -i eth0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80
-A PREROUTING -i docker0 -p udp -m udp --dport 53 -j REDIRECT --to-ports 5353
-A OUTPUT -d 192.0.2.77/32 -p icmp -j DNAT --to-destination 127.0.0.1
-A POSTROUTING -s 172.17.0.0/16 -o eth0 -j MASQUERADE
COMMIT
",
    );
    lane.write(
        Family::Ipv6,
        "*nat
:PREROUTING ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
-A PREROUTING -i eth0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination [fd00:17::2]:80
-A POSTROUTING -s fd00:17::/64 -o eth0 -j MASQUERADE
COMMIT
",
    );
    let probes = r#"
[[probe]]
name = "published"
kind = "tcp"
path = "in"
to = "192.0.2.1"
port = 8080
expect = "to 172.17.0.2:80"
seen_from = "192.0.2.2"
[[probe]]
name = "published, ipv6"
kind = "tcp"
path = "in"
to = "2001:db8::1"
port = 8080
expect = "to [fd00:17::2]:80"
[[probe]]
name = "resolver"
kind = "udp"
path = "forward"
from = "172.17.0.2"
to = "192.0.2.2"
port = 53
expect = "to 172.17.0.1:5353"
[[probe]]
name = "other address"
kind = "icmp"
path = "out"
to = "192.0.2.77"
expect = "to 127.0.0.1"
[[probe]]
name = "masqueraded"
kind = "tcp"
path = "forward"
from = "172.17.0.2"
to = "192.0.2.2"
port = 443
expect = "delivered"
seen_from = "192.0.2.1"
[[probe]]
name = "masqueraded, icmp"
kind = "icmp"
path = "forward"
from = "172.17.0.2"
to = "192.0.2.2"
expect = "delivered"
seen_from = "192.0.2.1"
[[probe]]
name = "masqueraded, ipv6"
kind = "udp"
path = "forward"
from = "fd00:17::2"
to = "2001:db8::2"
port = 443
expect = "delivered"
seen_from = "2001:db8::1"
"#;
    let outcomes = lane.all_met(NODE, probes);
    let places: Vec<_> = outcomes
        .iter()
        .filter_map(|one| one.arrival)
        .map(|one| one.at)
        .collect();
    let (inner, peer, own) = (Namespace::Inner, Namespace::Peer, Namespace::Lane);
    assert_eq!(places, [inner, inner, own, own, peer, peer, peer]);
    assert!(
        outcomes.iter().all(|outcome| outcome.answered),
        "{outcomes:#?}"
    );
}

#[rstest]
fn a_rejected_packet_is_refused_to_its_sender_however_many_there_are(
    #[values(On::Docker, On::Native)] on: On,
) {
    needs!(on.need());
    let mut lane = TestLane::open(on);
    lane.furnish(NODE);
    lane.write(
        Family::Ipv4,
        "*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A INPUT -i eth0 -p tcp -m tcp --dport 80 -j REJECT --reject-with tcp-reset
-A INPUT -p tcp -m tcp --dport 81 -j REJECT
-A INPUT -i eth0 -j REJECT --reject-with icmp-host-prohibited
-A FORWARD -j REJECT --reject-with icmp-net-unreachable
-A OUTPUT -p tcp -m tcp --dport 82 -j REJECT
COMMIT
",
    );
    lane.write(
        Family::Ipv6,
        "*filter
:FORWARD ACCEPT [0:0]
-A FORWARD -j REJECT --reject-with icmp6-adm-prohibited
COMMIT
",
    );
    let tcp = |name: &str, path: &str, to: &str, port: u16| {
        format!(
            "[[probe]]\nname = \"{name}\"\nkind = \"tcp\"\npath = \"{path}\"\nto = \"{to}\"\nport = {port}\nexpect = \"dropped\"\n"
        )
    };
    let probes = [
        tcp("reset", "in", "192.0.2.1", 80),
        tcp("unreachable", "loopback", "127.0.0.1", 81),
        tcp("on its way out", "loopback", "127.0.0.1", 82),
        every_kind("in", "", &[("172.17.0.2", "192.0.2.1")], "delivered"),
        every_kind("in", "", &[("192.0.2.2", "172.17.0.1")], "dropped")
            .replace("port = 80", "port = 83"),
        every_kind(
            "forward",
            "",
            &[("192.0.2.2", "172.17.0.2"), ("2001:db8::2", "fd00:17::2")],
            "dropped",
        ),
    ]
    .concat();
    let (refused, unreachable) = (Some(libc::ECONNREFUSED), Some(libc::EHOSTUNREACH));
    let expected = [
        [refused; 3],
        [None; 3],
        [unreachable; 3],
        [Some(libc::ENETUNREACH); 3],
        [Some(libc::EACCES); 3],
    ];
    for _ in 0..4 {
        let outcomes = lane.all_met(NODE, &probes);
        let found: Vec<_> = outcomes.iter().map(|outcome| outcome.refused).collect();
        assert_eq!(found, expected.concat());
    }
}

/// A lane that knows no way beyond its neighbour.
const ISLAND: &str = r#"
interfaces = [{ name = "eth0", kind = "veth", end = "peer" }]
addresses = [
  { interface = "eth0", address = "192.0.2.1/24" },
  { at = "peer", address = "192.0.2.2/24" },
]
routes = [{ at = "peer", to = "0.0.0.0/0", via = "192.0.2.1" }]
"#;

#[rstest]
fn a_packet_without_a_route_fares_alike_however_many_there_are(
    #[values(On::Docker, On::Native)] on: On,
) {
    needs!(on.need());
    let mut lane = TestLane::open(on);
    lane.furnish(ISLAND);
    let probes = every_kind("forward", "", &[("192.0.2.2", "203.0.113.1")], "dropped");
    // The kernel would tell the first ones that there is no way, and leave the others without an answer.
    for _ in 0..3 {
        let outcomes = lane.all_met(ISLAND, &probes);
        assert!(
            outcomes.iter().all(|outcome| outcome.refused.is_none()),
            "{outcomes:#?}"
        );
    }
}

/// A datagram with both ports given.
fn datagram(name: &str, path: &str, ports: (u16, u16), to: &str, expect: &str) -> String {
    let (from_port, port) = ports;
    format!(
        "[[probe]]\nname = \"{name}\"\nkind = \"udp\"\npath = \"{path}\"\nto = \"{to}\"\nfrom_port = {from_port}\nport = {port}\nexpect = \"{expect}\"\n"
    )
}

#[rstest]
fn every_round_begins_with_nothing_remembered(#[values(On::Docker, On::Native)] on: On) {
    needs!(on.need());
    let mut lane = TestLane::open(on);
    lane.furnish(NODE);
    let neighbour = |expect| datagram("neighbour", "out", (1, 2), "2001:db8::2", expect);
    lane.all_met(NODE, &neighbour("delivered"));
    lane.write(
        Family::Ipv4,
        "*filter
:INPUT ACCEPT [0:0]
-A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT
-A INPUT -i eth0 -j DROP
COMMIT
",
    );
    lane.write(
        Family::Ipv6,
        "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -i eth0 -p ipv6-icmp -j DROP\nCOMMIT\n",
    );
    // The neighbour's answer is dropped now, and so is what waits for it.
    lane.all_met(NODE, &neighbour("dropped"));
    // What comes in would answer what went out, were that not forgotten.
    for _ in 0..2 {
        lane.all_met(
            NODE,
            &datagram("out", "out", (4000, 4001), "192.0.2.2", "delivered"),
        );
        lane.all_met(
            NODE,
            &datagram("in", "in", (4001, 4000), "192.0.2.1", "dropped"),
        );
    }
}

#[rstest]
fn the_same_ports_can_be_sent_from_over_and_over_and_listened_on_meanwhile(
    #[values(On::Docker, On::Native)] on: On,
) {
    needs!(on.need());
    let mut lane = TestLane::open(on);
    lane.furnish(NODE);
    let mut probes = String::new();
    for (number, path, to) in [
        (1, "in", "192.0.2.1"),
        (2, "in", "192.0.2.1"),
        (3, "loopback", "127.0.0.1"),
    ] {
        let udp = datagram(
            &format!("udp {number}"),
            path,
            (4000, 4000),
            to,
            "delivered",
        );
        probes += &udp.replace("udp", "tcp");
        probes += &udp;
    }
    for _ in 0..3 {
        // A connection to oneself is one that both ends open: no rule is needed for it to be there.
        let outcomes = lane.all_met(NODE, &probes);
        assert!(outcomes.iter().all(|outcome| outcome.refused.is_none()));
    }
}

const SETS: &str = r#"
interfaces = [{ name = "eth0", kind = "veth", end = "peer" }]
addresses = [
  { interface = "eth0", address = "192.0.2.1/24" },
  { interface = "eth0", address = "2001:db8::1/64" },
  { at = "peer", address = "192.0.2.2/24" },
  { at = "peer", address = "192.0.2.3/24" },
  { at = "peer", address = "2001:db8::2/64" },
  { at = "peer", address = "2001:db8::3/64" },
]
sets = [
  { name = "hash:ip", type = "hash:ip", family = "ipv4", entries = ["192.0.2.3"] },
  { name = "hash:net", type = "hash:net", family = "ipv4", entries = ["192.0.2.0/24", "192.0.2.2 nomatch"] },
  { name = "hash:net6", type = "hash:net", family = "ipv6", entries = ["2001:db8::3/128"] },
  { name = "hash:ip,port", type = "hash:ip,port", family = "ipv4", entries = ["192.0.2.3,udp:1003"] },
  { name = "hash:ip,port,ip", type = "hash:ip,port,ip", family = "ipv4", entries = ["192.0.2.3,udp:1004,192.0.2.1"] },
  { name = "hash:ip,port,net", type = "hash:ip,port,net", family = "ipv4", entries = ["192.0.2.3,udp:1005,192.0.2.0/30"] },
  { name = "hash:net,port", type = "hash:net,port", family = "ipv4", entries = ["192.0.2.3/32,udp:1000-1010"] },
  { name = "hash:net,iface", type = "hash:net,iface", family = "ipv4", entries = ["192.0.2.3/32,eth0"] },
  { name = "bitmap:port", type = "bitmap:port", family = "ipv4", entries = ["1008"] },
  { name = "list:set", type = "list:set", family = "ipv4", entries = ["hash:ip"] },
]
"#;

#[rstest]
fn a_set_of_each_type_is_matched_and_goes_with_its_rules(#[values(On::Docker, On::Native)] on: On) {
    needs!(on.need());
    let mut lane = TestLane::open(on);
    // One rule a set, each for a port of its own: what comes from 192.0.2.3 is in the set.
    let matches = [
        ("hash:ip", "src"),
        ("hash:net", "src"),
        ("hash:ip,port", "src,dst"),
        ("hash:ip,port,ip", "src,dst,dst"),
        ("hash:ip,port,net", "src,dst,dst"),
        ("hash:net,port", "src,dst"),
        ("hash:net,iface", "src,src"),
        ("list:set", "src"),
    ];
    let ports = [1001, 1002, 1003, 1004, 1005, 1006, 1007, 1009];
    let mut rules = "*filter\n:INPUT ACCEPT [0:0]\n".to_owned();
    let mut probes = String::new();
    let mut probe = |to: &str, port: u16, from: &str, expect: &str| {
        probes += &format!(
            "[[probe]]\nname = \"{port} {from}\"\nkind = \"udp\"\npath = \"in\"\nto = \"{to}\"\nport = {port}\nfrom = \"{from}\"\nexpect = \"{expect}\"\n"
        );
    };
    for ((set, directions), port) in matches.iter().zip(ports) {
        rules += &format!(
            "-A INPUT -p udp -m udp --dport {port} -m set --match-set {set} {directions} -j DROP\n"
        );
        probe("192.0.2.1", port, "192.0.2.3", "dropped");
        probe("192.0.2.1", port, "192.0.2.2", "delivered");
    }
    rules += "-A INPUT -p udp -m set --match-set bitmap:port dst -j DROP\nCOMMIT\n";
    probe("192.0.2.1", 1008, "192.0.2.2", "dropped");
    probe("192.0.2.1", 1000, "192.0.2.3", "delivered");
    probe("2001:db8::1", 1001, "2001:db8::3", "dropped");
    probe("2001:db8::1", 1001, "2001:db8::2", "delivered");
    let rules6 = "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -p udp -m set --match-set hash:net6 src -j DROP\nCOMMIT\n";
    // What rules held on to can be removed, and made anew.
    for _ in 0..2 {
        lane.furnish(SETS);
        lane.write(Family::Ipv4, &rules);
        lane.write(Family::Ipv6, rules6);
        lane.all_met(SETS, &probes);
    }
}

#[rstest]
fn settings_of_interfaces_hold_and_are_put_back(#[values(On::Docker, On::Native)] on: On) {
    needs!(on.need());
    let mut lane = TestLane::open(on);
    let peer = r#"
interfaces = [{ name = "eth0", kind = "veth", end = "peer" }]
addresses = [
  { interface = "eth0", address = "192.0.2.1/24" },
  { at = "peer", address = "192.0.2.2/24" },
  { at = "peer", address = "198.51.100.1/32" },
]
"#;
    let local = format!("{peer}sysctls = {{ \"net.ipv4.conf.eth0.route_localnet\" = \"1\" }}\n");
    let strict = format!("{peer}sysctls = {{ \"net.ipv4.conf.eth0.rp_filter\" = \"1\" }}\n");
    let probes = r#"
[[probe]]
name = "to the node's own loopback"
kind = "tcp"
path = "in"
from = "192.0.2.2"
to = "192.0.2.1"
port = 10250
expect = "to 127.0.0.1:10250"
[[probe]]
name = "from where nobody is"
kind = "udp"
path = "in"
from = "198.51.100.1"
to = "192.0.2.1"
port = 5000
expect = "delivered"
"#;
    let rules = "*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p tcp -m tcp --dport 10250 -j DNAT --to-destination 127.0.0.1:10250\nCOMMIT\n";
    for (setup, expected) in [
        (&local, [true, true]),
        (&strict, [false, false]),
        (&peer.to_owned(), [false, true]),
    ] {
        lane.furnish(setup);
        lane.write(Family::Ipv4, rules);
        let sent = lane.send(setup, probes);
        let met: Vec<_> = sent
            .iter()
            .map(|(probe, outcome)| probe.is_met_by(outcome))
            .collect();
        assert_eq!(met, expected, "{sent:#?}");
    }
}

#[rstest]
fn another_setup_takes_the_place_of_the_first(#[values(On::Docker, On::Native)] on: On) {
    needs!(on.need());
    let mut lane = TestLane::open(on);
    lane.furnish(NODE);
    lane.all_met(
        NODE,
        &every_kind("forward", "", &[("192.0.2.2", "172.17.0.2")], "delivered"),
    );
    let other = r#"
interfaces = [{ name = "eth0", kind = "veth", end = "inner" }]
addresses = [
  { interface = "eth0", address = "192.0.2.1/24" },
  { at = "inner", address = "192.0.2.9/24" },
]
"#;
    lane.furnish(other);
    let outcomes = lane.all_met(
        other,
        &every_kind("out", "", &[("", "192.0.2.9")], "delivered"),
    );
    let arrival = Arrival {
        at: Namespace::Inner,
        from: "192.0.2.1".parse().unwrap(),
        to: "192.0.2.9".parse().unwrap(),
        port: None,
    };
    let icmp = Outcome {
        arrival: Some(arrival),
        answered: true,
        refused: None,
    };
    assert_eq!(outcomes[0], icmp);
    // Neither the peer nor the bridge is there any more.
    let gone = every_kind("out", "", &[("", "172.17.0.2")], "dropped");
    let outcomes = lane.all_met(other, &gone);
    let refused: Vec<_> = outcomes.iter().map(|outcome| outcome.refused).collect();
    assert_eq!(refused, [Some(libc::ENETUNREACH); 3]);
}
