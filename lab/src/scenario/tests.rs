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
    let mut on_disk: Vec<Scenario> = files
        .map(|file| {
            let path = file.unwrap().path();
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
        for ruleset in scenario.rulesets.values() {
            assert!(ruleset.rule_count() > 0, "{}", scenario.name);
        }
    }
}

#[test]
fn a_file_is_read_whole() {
    let probe = r#"
[setup]
interfaces = [{ name = "d0", kind = "bridge" }]
addresses = [{ interface = "d0", address = "10.0.0.1/24" }]
routes = [{ to = "10.1.0.0/16", via = "10.0.0.2" }]
sysctls = { "net.ipv4.ip_forward" = "1" }
sets = [{ name = "s", type = "hash:ip", family = "ipv4", entries = ["10.0.0.3"] }]
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
    assert_eq!(scenario.setup.sets[0].kind, "hash:ip");
    assert_eq!(
        String::from(scenario.setup.addresses[0].address),
        "10.0.0.1/24"
    );
    let probe = &scenario.probes[0];
    assert_eq!(probe.mark, Some(0x8000));
    assert_eq!(
        probe.expect,
        Expect::To("127.0.0.3".parse().unwrap(), Some(8080))
    );
    assert_eq!(scenario.families().collect::<Vec<_>>(), [Family::Ipv4]);
}

#[test]
fn rules_for_nft_are_a_ruleset_like_others() {
    let rules = "add table ip t\nadd chain ip t c\nadd rule ip t c drop\n";
    let file = format!("write = \"nft\"\n{HEAD}[rules]\nipv4 = '''\n{rules}'''\n");
    let scenario = Scenario::from_toml("nft", &file).unwrap();
    assert!(scenario.rulesets.is_empty());
    assert_eq!(scenario.write.tool(), Tool::Nft);
    assert_eq!(scenario.nft[&Family::Ipv4].only(|_| true), rules);
    assert_eq!(scenario.rule_count(Family::Ipv4), 1);
    assert_eq!(scenario.families().collect::<Vec<_>>(), [Family::Ipv4]);
    let (place, table, rule) = scenario.placed_rules(Family::Ipv4).next().unwrap();
    assert_eq!(
        (place, table, rule.text.as_str()),
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
fn wrong_probes_are_refused(#[case] probe: &str, #[case] says: &str) {
    let file = format!("{HEAD}{RULES}[[probe]]\nname = \"p\"\npath = \"loopback\"\n{probe}\n");
    let error = wrong(&file);
    assert!(error.message.contains(says), "{}", error.message);
    assert!(error.line >= 11, "{error}");
}

#[rstest]
#[case("/tmp/My rules.txt", "my-rules")]
#[case("node1.v4", "node1")]
#[case("-", "rules")]
fn own_rules_are_named_after_their_file(#[case] file: &str, #[case] name: &str) {
    let text = "*filter\n-A INPUT -j DROP\nCOMMIT\n";
    let scenario = Scenario::from_rules(file, Family::Ipv6, text).unwrap();
    assert_eq!(scenario.name, name);
    assert_eq!(scenario.rulesets[&Family::Ipv6].rule_count(), 1);
}

#[test]
fn own_rules_that_are_none_are_refused() {
    for text in ["", "# nothing\n"] {
        let error = Scenario::from_rules("x", Family::Ipv4, text).unwrap_err();
        assert!(error.message.contains("no table"), "{error}");
    }
}
