//! Scenario files, right and wrong.

use rstest::rstest;

use super::*;

const HEAD: &str = r#"title = "t"
group = "g"
families = ["ipv4"]
source = { project = "p", url = "u", version = "1" }
"#;

const RULES: &str = "[rules]
ipv4 = '''
*filter
-A INPUT -j DROP
COMMIT
'''
";

fn shown(error: &InFile) -> String {
    let mut text = String::new();
    miette::GraphicalReportHandler::new_themed(miette::GraphicalTheme::unicode_nocolor())
        .with_width(100)
        .render_report(&mut text, error)
        .unwrap();
    text
}

fn wrong(file: &str) -> InFile {
    Scenario::from_toml("wrong", file).unwrap_err()
}

#[test]
fn the_list_and_the_folder_agree() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
    let files = std::fs::read_dir(folder).unwrap();
    let paths = files.map(|file| file.unwrap().path());
    let mut on_disk: Vec<Scenario> = paths
        .filter(|path| !path.ends_with("schema.json"))
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            let name = name.strip_suffix(".toml").unwrap();
            let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            assert!(name.chars().all(is_plain), "{name}");
            Scenario::from_toml(name, &std::fs::read_to_string(&path).unwrap()).unwrap()
        })
        .collect();
    on_disk.sort_by(|one, other| one.name.cmp(&other.name));
    assert_eq!(on_disk, shipped().unwrap());
}

#[test]
fn shipped_scenarios_have_their_family() {
    for scenario in shipped().unwrap() {
        assert!(scenario.families().count() > 0, "{}", scenario.name);
        assert!(scenario.source.is_some(), "{}", scenario.name);
        for family in scenario.families() {
            assert!(scenario.rule_count(family) > 0, "{}", scenario.name);
        }
    }
}

#[test]
fn a_file_is_read_whole() {
    let probe = r#"
[setup]
interfaces = [
  { name = "br0", kind = "bridge" },
  { name = "eth0", kind = "veth", end = "peer" },
  { name = "eth1", kind = "veth", end = "inner", master = "br0" },
]
addresses = [
  { interface = "br0", address = "10.0.0.1/24" },
  { at = "peer", address = "192.0.2.2/24" },
]
routes = [{ at = "peer", to = "10.0.0.0/24", via = "192.0.2.1" }]
sysctls = { "net.ipv4.conf.br0.route_localnet" = "1" }
sets = [{ name = "s", type = "hash:ip", family = "ipv4", entries = ["10.0.0.3"] }]
nfacct = ["web"]
[[probe]]
name = "p"
kind = "tcp"
path = "loopback"
from = "127.0.0.2"
to = "127.0.0.1"
port = 80
mark = 0x8000
expect = "to 127.0.0.3:8080"
"#;
    let file = format!("write = \"restore-noflush\"\n{HEAD}{RULES}{probe}");
    let scenario = Scenario::from_toml("whole", &file).unwrap();
    assert_eq!(scenario.write, Write::RestoreNoflush);
    let setup = &scenario.setup;
    assert_eq!(setup.ends(), [Namespace::Peer, Namespace::Inner].into());
    assert_eq!(setup.sets[0].kind, SetKind::HashIp);
    assert_eq!(setup.accounts, ["web"]);
    assert_eq!(setup.addresses[1].interface, "eth0");
    assert_eq!(String::from(setup.addresses[0].address), "10.0.0.1/24");
    let probe = &scenario.probes[0];
    assert_eq!(probe.mark, Some(0x8000));
    assert_eq!(
        probe.expect,
        Expect::To("127.0.0.3".parse().unwrap(), Some(8080))
    );
    assert_eq!(scenario.families().collect::<Vec<_>>(), [Family::Ipv4]);
}

/// A file with a layer that is written so, with these rules; what is wrong with it, and where.
#[rstest]
#[case::no_such_way(
    "write = 'ipset'",
    "ipv4 = '''\nadd table ip t\n'''",
    "unknown variant `ipset`",
    "12:9"
)]
#[case::no_rules("write = 'nft'", "", "this layer has no rules", "14:1")]
#[case::another_family(
    "write = 'nft'",
    "ipv6 = '''\nadd table ip6 t\n'''",
    "these rules are for ipv6, which families does not name",
    "15:8"
)]
#[case::no_such_chain(
    "write = 'nft'",
    "ipv4 = '''\nadd table ip t\nadd rule ip t c accept\n'''",
    "the table t has no such chain",
    "17:15"
)]
#[case::what_takes_the_others_away(
    "write = 'restore'",
    "ipv4 = '''\n*filter\n-A INPUT -j ACCEPT\nCOMMIT\n'''",
    "this takes away what layers before it have in table filter",
    "12:9"
)]
#[case::what_is_taken_away(
    "write = 'append'\nwhen = 'before'",
    "ipv4 = '''\n*filter\n-A INPUT -j ACCEPT\nCOMMIT\n'''",
    "this takes away what layers before it have in table filter",
    "5:1"
)]
#[case::what_cannot_stay(
    "write = 'append'\nstays = true",
    "ipv4 = '''\n*mangle\n-A INPUT -j ACCEPT\nCOMMIT\n'''",
    "no program stays that writes with iptables -A, rule by rule",
    "13:9"
)]
fn what_is_wrong_with_a_layer_is_shown_at_its_place(
    #[case] head: &str,
    #[case] rules: &str,
    #[case] message: &str,
    #[case] place: &str,
) {
    let source = "source = { project = 'q', url = 'u', version = '1' }";
    let layer = format!("[[layer]]\n{head}\n{source}\n[layer.rules]\n{rules}\n");
    let text = shown(&wrong(&format!("{HEAD}{RULES}{layer}")));
    assert!(text.contains(message), "{text}");
    assert!(text.contains(&format!("wrong.toml:{place}]")), "{text}");
}

#[test]
fn rules_for_nft_are_a_ruleset_like_others() {
    let rules = "add table ip t\nadd chain ip t c\nadd rule ip t c drop\n";
    let file = format!("write = \"nft\"\n{HEAD}[rules]\nipv4 = '''\n{rules}'''\n");
    let scenario = Scenario::from_toml("nft", &file).unwrap();
    assert_eq!(scenario.tool(), Tool::Nft);
    assert_eq!(scenario.text_of(Family::Ipv4, |_| true), rules);
    assert_eq!(scenario.rule_count(Family::Ipv4), 1);
    assert_eq!(scenario.families().collect::<Vec<_>>(), [Family::Ipv4]);
    let (place, table, rule) = scenario.placed_rules(Family::Ipv4).next().unwrap();
    assert_eq!(
        (place, table, &*rule.text),
        (0, "t", "add rule ip t c drop")
    );
}

#[rstest]
#[case("flush ruleset", 9, 1, "no command that a scenario")]
#[case("add rule ip t c drop", 9, 15, "the table t has no such chain")]
#[case("add chain ip6 t c", 9, 11, "for ipv4 has no tables of this family")]
fn a_fault_in_rules_for_nft_points_into_the_file(
    #[case] command: &str,
    #[case] line: usize,
    #[case] column: usize,
    #[case] says: &str,
) {
    let rules = format!("[rules]\nipv4 = '''\nadd table ip t\n{command}\n'''\n");
    let error = wrong(&format!("write = \"nft\"\n{HEAD}{rules}"));
    assert_eq!((error.line, error.column), (line, column), "{error}");
    assert!(error.message.contains(says), "{error}");
}

#[rstest]
#[case::literal(
    "[rules]\nipv4 = '''\n*filter\n-A INPUT -s a,b -j DROP\nCOMMIT\n'''\n",
    8,
    13
)]
#[case::on_the_first_line("[rules]\nipv4 = '''*filter\n-A NONE -j DROP\nCOMMIT\n'''\n", 7, 4)]
#[case::basic_without_escapes(
    "[rules]\nipv4 = \"\"\"\n*filter\n-A NONE -j DROP\nCOMMIT\n\"\"\"\n",
    8,
    4
)]
#[case::basic_with_escapes("[rules]\nipv4 = \"*filter\\n-A NONE -j DROP\\nCOMMIT\"\n", 6, 8)]
#[case::no_rules("[rules]\nipv4 = ''\n", 6, 8)]
fn a_fault_in_the_rules_points_into_the_file(
    #[case] rules: &str,
    #[case] line: usize,
    #[case] column: usize,
) {
    let error = wrong(&format!("{HEAD}{rules}"));
    assert_eq!((error.line, error.column), (line, column), "{error}");
}

#[test]
fn a_fault_is_shown_with_its_line() {
    let file = format!("{HEAD}{}", RULES.replace("DROP", "\"DROP"));
    insta::assert_snapshot!(shown(&wrong(&file)));
}

#[rstest]
#[case::unknown_key(&format!("{HEAD}colour = 1\n{RULES}"), 5, "unknown field `colour`")]
#[case::unknown_rule_key(&format!("{HEAD}{RULES}ipv5 = ''\n"), 11, "unknown field `ipv5`")]
#[case::unknown_write(&format!("write = \"later\"\n{HEAD}{RULES}"), 1, "unknown variant `later`")]
#[case::no_toml("title = ", 1, "")]
#[case::missing(HEAD, 1, "missing field `rules`")]
#[case::family_without_rules(&format!("{HEAD}{RULES}").replace("[\"ipv4\"]", "[\"ipv4\", \"ipv6\"]"), 3, "no rules for ipv6")]
#[case::rules_without_family(&format!("{HEAD}{RULES}").replace("[\"ipv4\"]", "[\"ipv6\"]").replace("ipv4 =", "ipv6 = ''\nipv4 ="), 7, "which families does not name")]
#[case::family_twice(&format!("{HEAD}{RULES}").replace("[\"ipv4\"]", "[\"ipv4\", \"ipv4\"]"), 3, "named twice")]
#[case::no_family(&format!("{HEAD}{RULES}").replace("[\"ipv4\"]", "[]"), 3, "no family")]
fn what_is_wrong_is_said(#[case] file: &str, #[case] line: usize, #[case] says: &str) {
    let error = wrong(file);
    assert!(error.message.contains(says), "{}", error.message);
    assert_eq!(error.line, line, "{error}");
}

#[rstest]
#[case::icmp_port(
    "kind = \"icmp\"\nport = 1\nto = \"127.0.0.1\"\nexpect = \"dropped\"",
    "no ports"
)]
#[case::udp_no_port(
    "kind = \"udp\"\nto = \"127.0.0.1\"\nexpect = \"dropped\"",
    "needs a port"
)]
#[case::other_family("kind = \"icmp\"\nto = \"::1\"\nexpect = \"dropped\"", "no ipv6")]
#[case::mixed(
    "kind = \"icmp\"\nfrom = \"::1\"\nto = \"127.0.0.1\"\nexpect = \"dropped\"",
    "both families"
)]
#[case::outcome(
    "kind = \"icmp\"\nto = \"127.0.0.1\"\nexpect = \"lost\"",
    "is no outcome"
)]
#[case::outcome_address(
    "kind = \"icmp\"\nto = \"127.0.0.1\"\nexpect = \"to nobody\"",
    "is no outcome"
)]
#[case::redirected_port(
    "kind = \"icmp\"\nto = \"127.0.0.1\"\nexpect = \"to 127.0.0.1:80\"",
    "no ports"
)]
#[case::from_port(
    "kind = \"icmp\"\nfrom_port = 5\nto = \"127.0.0.1\"\nexpect = \"dropped\"",
    "no ports"
)]
#[case::port_zero(
    "kind = \"udp\"\nport = 0\nto = \"127.0.0.1\"\nexpect = \"dropped\"",
    "the port 0"
)]
#[case::seen_from(
    "kind = \"icmp\"\nseen_from = \"::1\"\nto = \"127.0.0.1\"\nexpect = \"delivered\"",
    "both families"
)]
#[case::not_its_own(
    "kind = \"icmp\"\nfrom = \"10.0.0.1\"\nto = \"127.0.0.1\"\nexpect = \"delivered\"",
    "comes from 10.0.0.1, which is no address of the lane"
)]
fn wrong_probes_are_refused(#[case] probe: &str, #[case] says: &str) {
    let file = format!("{HEAD}{RULES}[[probe]]\nname = \"p\"\npath = \"loopback\"\n{probe}\n");
    let error = wrong(&file);
    assert!(error.message.contains(says), "{}", error.message);
    assert!(error.line >= 11, "{error}");
}

const SETUP: &str = r#"
[setup]
interfaces = [
  { name = "eth0", kind = "veth", end = "peer" },
  { name = "br0", kind = "bridge" },
]
addresses = [
  { interface = "eth0", address = "192.0.2.1/24" },
  { at = "peer", address = "192.0.2.2/24" },
]
"#;

#[rstest]
#[case::unknown_place(
    "in",
    "from = \"192.0.2.3\"",
    "192.0.2.3, which is no address of the peer"
)]
#[case::own_place("in", "from = \"192.0.2.1\"", "from an address of the lane itself")]
#[case::nobody("forward", "", "needs from")]
#[case::other_place("out", "from = \"192.0.2.2\"", "which is no address of the lane")]
fn a_probe_has_to_be_sent_from_somewhere(
    #[case] path: &str,
    #[case] from: &str,
    #[case] says: &str,
) {
    let probe = format!(
        "[[probe]]\nname = \"p\"\nkind = \"icmp\"\npath = \"{path}\"\n{from}\nto = \"192.0.2.1\"\nexpect = \"dropped\"\n"
    );
    let error = wrong(&format!("{HEAD}{RULES}{SETUP}{probe}"));
    assert!(error.message.contains(says), "{}", error.message);
    let without = wrong(&format!("{HEAD}{RULES}{}", probe.replace("out", "in")));
    assert!(
        ["which no veth leads to", "needs from"]
            .iter()
            .any(|says| without.message.contains(says)),
        "{}",
        without.message
    );
}

#[rstest]
#[case::name(
    "interfaces = [{ name = \"a b\", kind = \"bridge\" }]",
    "no interface can have"
)]
#[case::long_name(
    "interfaces = [{ name = \"sixteen-letters-\", kind = \"bridge\" }]",
    "no interface can have"
)]
#[case::loopback("interfaces = [{ name = \"lo\", kind = \"bridge\" }]", "there already")]
#[case::twice(
    "interfaces = [{ name = \"b\", kind = \"bridge\" }, { name = \"b\", kind = \"bridge\" }]",
    "there already"
)]
#[case::kind(
    "interfaces = [{ name = \"d\", kind = \"dummy\" }]",
    "unknown variant `dummy`"
)]
#[case::no_end(
    "interfaces = [{ name = \"v\", kind = \"veth\" }]",
    "needs its other end"
)]
#[case::end_in_the_lane(
    "interfaces = [{ name = \"v\", kind = \"veth\", end = \"lane\" }]",
    "needs its other end"
)]
#[case::bridge_end(
    "interfaces = [{ name = \"b\", kind = \"bridge\", end = \"peer\" }]",
    "has no other end"
)]
#[case::end_twice(
    "interfaces = [{ name = \"v\", kind = \"veth\", end = \"peer\" }, { name = \"w\", kind = \"veth\", end = \"peer\" }]",
    "leads to the peer, and so does `v`"
)]
#[case::master(
    "interfaces = [{ name = \"v\", kind = \"veth\", end = \"peer\", master = \"b\" }]",
    "no bridge of the setup"
)]
#[case::address_nowhere(
    "addresses = [{ at = \"inner\", address = \"10.0.0.1/8\" }]",
    "in the inner, which no veth leads to"
)]
#[case::address_of_nothing(
    "addresses = [{ interface = \"b\", address = \"10.0.0.1/8\" }]",
    "no interface of the lane"
)]
#[case::route_nowhere("routes = [{ to = \"10.0.0.0/8\" }]", "leads nowhere")]
#[case::route_to_a_host(
    "routes = [{ to = \"10.1.0.0/8\", interface = \"lo\" }]",
    "write 10.0.0.0/8"
)]
#[case::route_mixed("routes = [{ to = \"10.0.0.0/8\", via = \"::1\" }]", "both families")]
#[case::sysctl(
    "sysctls = { \"net.ipv4.ip_forward\" = \"1\" }",
    "no setting of an interface"
)]
#[case::sysctl_of_nothing(
    "sysctls = { \"net.ipv4.conf.b.rp_filter\" = \"1\" }",
    "no interface of the lane"
)]
#[case::set_kind(
    "sets = [{ name = \"s\", type = \"hash:mac\", family = \"ipv4\" }]",
    "unknown variant `hash:mac`"
)]
#[case::set_entry(
    "sets = [{ name = \"s\", type = \"hash:ip\", family = \"ipv4\", entries = [\"x\"] }]",
    "no address in `x`"
)]
#[case::set_of_nothing(
    "sets = [{ name = \"s\", type = \"list:set\", family = \"ipv4\", entries = [\"t\"] }]",
    "no set above it"
)]
#[case::set_twice(
    "sets = [{ name = \"s\", type = \"hash:ip\", family = \"ipv4\" }, { name = \"s\", type = \"hash:ip\", family = \"ipv4\" }]",
    "the name of another"
)]
#[case::account_twice("nfacct = [\"web\", \"web\"]", "is named twice")]
#[case::account_without_a_name("nfacct = [\"\"]", "of 1 to 31 bytes")]
fn a_setup_that_cannot_be_made_is_refused(#[case] setup: &str, #[case] says: &str) {
    let error = wrong(&format!("{HEAD}{RULES}[setup]\n{setup}\n"));
    assert!(error.message.contains(says), "{}", error.message);
    assert_eq!(error.line, 12, "{error}");
}

#[rstest]
#[case::delivered("delivered", "127.0.0.2", Some(80), true, true)]
#[case::unanswered("delivered", "127.0.0.2", Some(80), false, false)]
#[case::elsewhere("delivered", "127.0.0.3", Some(80), true, false)]
#[case::other_port("delivered", "127.0.0.2", Some(81), true, false)]
#[case::not_dropped("dropped", "127.0.0.2", Some(80), true, false)]
#[case::redirected("to 127.0.0.3", "127.0.0.3", Some(81), false, true)]
#[case::redirected_port("to 127.0.0.3:82", "127.0.0.3", Some(81), true, false)]
fn what_is_expected_of_a_probe(
    #[case] expect: &str,
    #[case] to: &str,
    #[case] port: Option<u16>,
    #[case] answered: bool,
    #[case] is_met: bool,
) {
    let mut probe = Probe {
        name: "p".to_owned(),
        kind: ProbeKind::Tcp,
        path: ProbePath::Loopback,
        from: None,
        from_port: None,
        to: "127.0.0.2".parse().unwrap(),
        port: Some(80),
        mark: None,
        expect: expect.to_owned().try_into().unwrap(),
        seen_from: None,
    };
    let nowhere = Outcome::default();
    assert_eq!(probe.is_met_by(&nowhere), expect == "dropped");
    let arrival = Arrival {
        at: Namespace::Lane,
        from: "127.0.0.1".parse().unwrap(),
        to: to.parse().unwrap(),
        port,
    };
    let outcome = Outcome {
        arrival: Some(arrival),
        answered,
        refused: None,
    };
    assert_eq!(probe.is_met_by(&outcome), is_met);
    probe.seen_from = Some("127.0.0.9".parse().unwrap());
    assert!(!probe.is_met_by(&outcome));
}

#[rstest]
#[case("/tmp/My rules.txt", "my-rules")]
#[case("node1.v4", "node1")]
#[case("-", "rules")]
fn own_rules_are_named_after_their_file(#[case] file: &str, #[case] name: &str) {
    let text = "*filter\n-A INPUT -j DROP\nCOMMIT\n";
    let scenario = Scenario::from_rules(file, Family::Ipv6, text).unwrap();
    assert_eq!(scenario.name, name);
    assert_eq!(scenario.rule_count(Family::Ipv6), 1);
}

#[test]
fn own_rules_that_are_none_are_refused() {
    for text in ["", "# nothing\n"] {
        let error = Scenario::from_rules("x", Family::Ipv4, text).unwrap_err();
        assert!(error.message.contains("no table"), "{error}");
    }
}
