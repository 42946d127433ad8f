//! What `diagnose` says of damaged rules and of sound ones, and that what it offers mends them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::OnceLock;

use iptables_lab::advice::{
    Diagnosis, Finding, KnownRules, Likeness, Published, Step, diagnose, sections,
};
use iptables_lab::agent::protocol::Request;
use iptables_lab::catalog::{Catalog, Family, Image, Source, Tool};
use iptables_lab::engine::Place;
use iptables_lab::judge::verdict::Consequence;
use iptables_lab::observed::End;
use iptables_lab::report;
use iptables_lab::scenario::{self, Scenario, Setup};
use iptables_lab::tool::Table;
use iptables_lab::tool::iptables::stem;
use rstest::rstest;
use serde_json::Value;

use super::lab::{both, iptables_lab};
use super::lane::{On, TestLane, usual_store};
use super::prints::{self, Prints};

fn scenarios() -> &'static [Scenario] {
    static ALL: OnceLock<Vec<Scenario>> = OnceLock::new();
    ALL.get_or_init(|| scenario::shipped().unwrap())
}

fn published() -> &'static Published {
    static REPORT: OnceLock<Published> = OnceLock::new();
    REPORT.get_or_init(|| Published::embedded().unwrap())
}

fn known() -> KnownRules<'static> {
    KnownRules::new(published(), scenarios())
}

fn diagnosis(print: &str) -> Diagnosis {
    thread_local! {
        static KNOWN: KnownRules<'static> = known();
    }
    KNOWN.with(|known| diagnose(&sections(print, None).unwrap(), known))
}

fn page(print: &str) -> String {
    report::diagnosis::render(&diagnosis(print), published(), 100)
}

fn commands(diagnosis: &Diagnosis) -> Vec<String> {
    diagnosis
        .repair
        .commands
        .iter()
        .map(|words| words.join(" "))
        .collect()
}

fn filter(rules: &str) -> String {
    format!(
        "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n{rules}COMMIT\n"
    )
}

fn run(words: &[&str], print: &str) -> Output {
    let mut command = iptables_lab();
    command
        .arg("diagnose")
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(print.as_bytes())
        .unwrap();
    child.wait_with_output().unwrap()
}

/// Issue 22, rows 1, 2 and 2c: what everybody writes is nobody's damage.
#[rstest]
#[case("-A INPUT -j DROP\n")]
#[case("-A INPUT -j ACCEPT\n")]
#[case("-A INPUT -p tcp -j ACCEPT\n")]
#[case("-A INPUT -p udp -j DROP\n")]
#[case("-A INPUT -p tcp -j DROP\n")]
#[case("-A INPUT -p tcp -j ACCEPT\n-A INPUT -p tcp -j ACCEPT\n-A INPUT -p tcp -j ACCEPT\n")]
#[case("-A INPUT -p icmp -m icmp --icmp-type 8 -m limit --limit 1/sec -j ACCEPT\n")]
#[case("-A INPUT -p icmp -m icmp --icmp-type 8 -m limit --limit 10/sec -j ACCEPT\n")]
#[case("-A INPUT -s 10.0.0.0/8 -p tcp -j ACCEPT\n")]
#[case("-A INPUT -p tcp -m tcp --dport 22 -j DROP\n")]
#[case("-A INPUT -s 203.0.113.9/32\n-A INPUT -s 203.0.113.9/32\n-A INPUT -s 203.0.113.9/32\n")]
#[case(
    "-A INPUT -j LOGGING\n-A INPUT -p tcp -j LOGGING\n-A INPUT -j LOGGING\n-A INPUT -j LOGGING\n"
)]
fn what_everybody_writes_is_no_damage(#[case] rules: &str) {
    let found = diagnosis(&filter(rules));
    assert_eq!(found.findings, []);
    assert!(found.repair == Default::default(), "{found:?}");
}

/// The line of the issue of 2022, as it was pasted there.
const MARKED: &str = "-A KUBE-FIREWALL -m comment --comment \"kubernetes firewall for dropping marked packets\" -j DROP\n";

#[test]
fn the_line_that_took_clusters_down_is_known() {
    let print = format!("*filter\n:KUBE-FIREWALL - [0:0]\n{MARKED}COMMIT\n");
    let found = diagnosis(&print);
    let [Finding::Damaged(damaged)] = found.findings.as_slice() else {
        panic!("{found:?}");
    };
    assert_eq!((damaged.index, damaged.likeness), (1, Likeness::Same));
    assert_eq!(damaged.damage.consequence(), Some(Consequence::Blackhole));
    // Nothing says of which family it is, so no command is offered.
    assert_eq!(commands(&found), [""; 0]);
    assert!(
        found.repair.steps.contains(&Step::SayFamily),
        "{:?}",
        found.repair
    );
}

/// Another node has other addresses and other services.
#[test]
fn a_rule_of_another_node_is_known_by_its_shape_and_mended_by_its_system() {
    let print = "*nat\n:KUBE-SERVICES - [0:0]\n:KUBE-SVC-AAAABBBBCCCCDDDD - [0:0]\n-A KUBE-SERVICES -d 10.96.3.7/32 -p tcp \
        -m comment --comment \"shop/basket:http cluster IP\" -j KUBE-SVC-AAAABBBBCCCCDDDD\nCOMMIT\n";
    let found = diagnosis(print);
    assert!(
        matches!(found.findings.as_slice(), [Finding::Damaged(of)] if of.likeness == Likeness::Alike),
        "{found:?}"
    );
    assert_eq!(commands(&found), [""; 0]);
    assert!(
        page(print).contains("Restart the kube-proxy pod on this node"),
        "{}",
        page(print)
    );
    let whole = print.replace("IP\"", "IP\" -m tcp --dport 80");
    assert_eq!(diagnosis(&whole).findings, []);
}

/// Row 4: the command of the family, from the print's first line or its addresses, and each command once.
#[rstest]
#[case::by_its_stamp(
    "# Generated by iptables-save v1.8.11 (nf_tables) on Mon\n",
    "",
    "iptables-nft -t filter -R KUBE-FIREWALL 1"
)]
#[case::by_its_stamp_v6(
    "# Generated by ip6tables-save v1.8.11 (nf_tables) on Mon\n",
    "",
    "ip6tables-nft -t filter -R KUBE-FIREWALL 1"
)]
#[case::by_an_address(
    "",
    "-A INPUT -s ::1/128 -j ACCEPT\n",
    "ip6tables -t filter -R KUBE-FIREWALL 1"
)]
#[case::of_another_backend(
    "# Generated by iptables-save v1.8.11 (legacy) on Mon\n",
    "",
    "iptables-legacy -t filter -R KUBE-FIREWALL 1"
)]
fn a_command_is_of_the_family_and_backend_that_hold_the_rule(
    #[case] stamp: &str,
    #[case] other: &str,
    #[case] command: &str,
) {
    let print = format!(
        "{stamp}*filter\n:INPUT ACCEPT [0:0]\n:KUBE-FIREWALL - [0:0]\n{other}{MARKED}COMMIT\n"
    );
    let commands = commands(&diagnosis(&print));
    assert!(
        commands.len() == 1 && commands[0].starts_with(command),
        "{commands:?}"
    );
}

#[test]
fn a_file_of_both_families_gets_the_commands_of_both() {
    let of = |program: &str| {
        format!(
            "# Generated by {program}-save v1.8.11 (nf_tables) on Mon\n*filter\n:KUBE-FIREWALL - [0:0]\n{MARKED}COMMIT\n"
        )
    };
    let commands = commands(&diagnosis(&(of("iptables") + &of("ip6tables"))));
    let programs: Vec<&str> = commands
        .iter()
        .filter_map(|of| of.split(' ').next())
        .collect();
    assert_eq!(programs, ["iptables-nft", "ip6tables-nft"]);
}

/// Who prints sound rules so cannot show what is in the kernel.
#[test]
fn a_print_of_a_reader_that_loses_the_match_itself_gets_no_command() {
    let print = format!(
        "# Generated by iptables-save v1.8.7 on Mon\n*filter\n:KUBE-FIREWALL - [0:0]\n{MARKED}COMMIT\n"
    );
    let found = diagnosis(&print);
    assert_eq!(commands(&found), [""; 0]);
    assert!(
        found.repair.steps.contains(&Step::PrintAnew {
            by: "1.8.7".to_owned()
        }),
        "{:?}",
        found.repair
    );
}

/// kubelet did not find its rule any more, and added it again: what is left of the first one goes.
#[test]
fn what_is_left_beside_the_whole_rule_goes() {
    let whole = MARKED.replace(" -j DROP", " -m mark --mark 0x8000/0x8000 -j DROP");
    let print = format!(
        "# Generated by iptables-save v1.8.11 (nf_tables) on Mon\n*filter\n:KUBE-FIREWALL - [0:0]\n{MARKED}{whole}COMMIT\n"
    );
    assert_eq!(
        commands(&diagnosis(&print)),
        ["iptables-nft -t filter -D KUBE-FIREWALL 1"]
    );
}

/// Row 2b: copies go from the last place to the first, whatever chain and rule they are of.
#[test]
fn copies_go_in_an_order_in_which_every_place_is_still_right() {
    let (one, other) = (
        "-A FORWARD -j DOCKER-FORWARD\n",
        "-A FORWARD -j CNI-FORWARD\n",
    );
    let rules =
        format!("{one}{other}{one}{other}{one}{other}-A FORWARD -s 203.0.113.9/32 -j DROP\n");
    let print = filter(&rules).replace(
        "*filter",
        "# Generated by iptables-save v1.8.9 (nf_tables) on Mon\n*filter",
    );
    let found = diagnosis(&print);
    assert_eq!(found.findings.len(), 2, "{found:?}");
    let places: Vec<String> = commands(&found)
        .iter()
        .filter_map(|of| of.split(' ').next_back().map(str::to_owned))
        .collect();
    assert_eq!(places, ["6", "5", "4", "3"]);
}

/// Row 3: a policy is of the system that its source says sets it.
#[rstest]
#[case("flannel")]
#[case("cilium")]
#[case("cni-firewall")]
#[case("docker")]
fn another_systems_policy_is_no_finding(#[case] name: &str) {
    let scenario = scenarios().iter().find(|of| of.name == name).unwrap();
    for family in scenario.families() {
        let print =
            dump(scenario, family, &BTreeMap::new()).replace(":FORWARD DROP", ":FORWARD ACCEPT");
        assert_eq!(diagnosis(&print).findings, []);
    }
}

#[test]
fn a_policy_that_its_own_system_sets_is_set_again_by_that_system() {
    let scenario = scenarios().iter().find(|of| of.name == "ufw").unwrap();
    let print =
        dump(scenario, Family::Ipv4, &BTreeMap::new()).replace(":INPUT DROP", ":INPUT ACCEPT");
    let found = diagnosis(&print);
    assert!(
        matches!(found.findings.as_slice(), [Finding::Policy { chain, .. }] if chain == "INPUT"),
        "{found:?}"
    );
    assert_eq!(commands(&found), [""; 0]);
    assert!(
        page(&print).contains("Run `ufw reload`, so that ufw writes its rules again"),
        "{}",
        page(&print)
    );
}

#[test]
fn every_scenario_says_whose_its_policies_are() {
    for scenario in scenarios() {
        if scenario.tool() != Tool::Iptables {
            continue;
        }
        for family in scenario.families() {
            for table in &scenario.own_ruleset(family).tables {
                let closed = table.chains.iter().filter(|of| {
                    of.policy
                        .as_deref()
                        .is_some_and(|policy| policy != "ACCEPT")
                });
                for chain in closed {
                    let policy = format!("{} {}", table.name, chain.name);
                    let system = &scenario.system;
                    let is_said = system.policies.contains(&policy)
                        || system.policies_of_others.contains_key(&policy);
                    assert!(is_said, "{}: {policy}", scenario.name);
                }
            }
        }
    }
}

#[rstest]
#[case::incompatible(
    "# Table `filter' is incompatible, use 'nft' tool.\n",
    "nft list table ip filter"
)]
#[case::warned(
    "# Warning: iptables-legacy tables present, use iptables-legacy-save to see them\n",
    "iptables-legacy-save"
)]
#[case::both(
    "# Generated by iptables-save v1.8.9 (nf_tables) on Mon\n*filter\nCOMMIT\n# Generated by iptables-save v1.8.9 (legacy) on Mon\n*filter\nCOMMIT\n",
    "iptables-legacy-save"
)]
fn what_builds_say_themselves_is_heard(#[case] print: &str, #[case] step: &str) {
    assert_eq!(diagnosis(print).findings.len(), 1);
    assert!(page(print).contains(step), "{}", page(print));
}

// What is sound.

fn plain() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/plain");
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries
        .filter(|path| path.extension() == Some("rules".as_ref()))
        .collect();
    files.sort();
    files
}

#[test]
fn rulesets_of_plain_users_are_sound() {
    let files = plain();
    assert!(files.len() >= 50, "{}", files.len());
    for file in files {
        let found = diagnosis(&std::fs::read_to_string(&file).unwrap());
        assert!(
            found.findings.is_empty() && found.repair == Default::default(),
            "{}: {found:#?}",
            file.display()
        );
    }
}

/// The shipped systems in pairs, as they are together on a node.
#[test]
fn shipped_systems_side_by_side_are_sound() {
    let of_iptables: Vec<&Scenario> = scenarios()
        .iter()
        .filter(|of| of.tool() == Tool::Iptables)
        .collect();
    let mut pairs = 0;
    for family in [Family::Ipv4, Family::Ipv6] {
        let of_family: Vec<&Scenario> = of_iptables
            .iter()
            .copied()
            .filter(|of| of.families().any(|it| it == family))
            .collect();
        for (at, one) in of_family.iter().enumerate() {
            for other in &of_family[at..] {
                let print = together(&[one, other], family);
                let found = diagnosis(&print);
                assert!(
                    found.findings.is_empty(),
                    "{} and {}: {:#?}",
                    one.name,
                    other.name,
                    found.findings
                );
                pairs += 1;
            }
        }
    }
    assert!(pairs > 2000, "{pairs}");
}

/// What every writer prints of its own rules, in every scenario where nobody else wrote any.
#[test]
fn what_writers_really_print_of_their_own_is_sound() {
    let mut looked_at = 0;
    for file in prints::names() {
        let stored = Prints::stored(&file);
        let name = file.rsplit_once('-').map_or("", |(name, _)| name);
        let mut scenarios = scenarios().iter();
        if scenarios.any(|of| of.name == name && !of.beside.is_empty()) {
            continue;
        }
        let own = stored.pairings().filter(|(_, reader)| reader.is_none());
        for (writer, _) in own.filter(|(writer, _)| !writer.starts_with("debian-nft-")) {
            let family = match file.ends_with("-ipv6") {
                true => Family::Ipv6,
                false => Family::Ipv4,
            };
            let print = stamp(family) + stored.of(writer, None).unwrap() + "\n";
            let found = diagnosis(&print).findings;
            assert!(found.is_empty(), "{file} {writer}: {found:#?}");
            looked_at += 1;
        }
    }
    assert!(looked_at > 1000, "{looked_at}");
}

// What is damaged.

/// What readers really print of a rule is known, and who does so.
#[rstest]
#[case("1.8.10-nft", "1.8.7-nft", "match mark lost", ("1.8.8", "debian-1.8.7-1"))]
#[case("debian-1.8.9-2-nft", "debian-1.8.7-1-nft", "match mark lost", ("1.8.8", "debian-1.8.7-1"))]
#[case("1.8.7-nft", "1.8.5-nft", "source, destination altered", ("1.8.7", "1.8.6"))]
fn what_readers_really_print_is_known_with_who_does_so(
    #[case] writer: &str,
    #[case] reader: &str,
    #[case] what: &str,
    #[case] (oldest_writer, newest_reader): (&str, &str),
) {
    let stored = Prints::stored("kube-firewall-ipv4");
    let print = stamp(Family::Ipv4) + stored.of(writer, Some(reader)).unwrap() + "\n";
    let found = diagnosis(&print);
    let [Finding::Damaged(damaged)] = found.findings.as_slice() else {
        panic!("{found:#?}");
    };
    let form = damaged.damage.form().unwrap();
    assert_eq!(report::wording::what(&form), what);
    let likely = found.likely.unwrap();
    let oldest = likely.writers.spans()[0].names.first().unwrap();
    let newest = likely.readers.spans()[0].names.last().unwrap();
    assert_eq!(
        (oldest.stem.as_str(), newest.stem.as_str()),
        (oldest_writer, newest_reader)
    );
}

/// A place in a scenario's ruleset: table, chain, and index from 1.
type Spot = (String, String, usize);

fn stamp(family: Family) -> String {
    format!(
        "# Generated by {}-save v9.9.9 (nf_tables) on Mon\n",
        stem(family)
    )
}

/// The tables of a scenario that iptables knows.
fn tables(scenario: &Scenario, family: Family) -> impl Iterator<Item = &Table> {
    let tables = scenario.ruleset(family).tables.iter();
    tables.filter(|table| Tool::Iptables.dialect().has_table(&table.name))
}

/// A scenario's rules with some of them as others, as iptables-save prints them; a bystander's are not there.
fn dump(scenario: &Scenario, family: Family, others: &BTreeMap<Spot, String>) -> String {
    let mut text = stamp(family);
    for table in tables(scenario, family) {
        let _ = writeln!(text, "*{}", table.name);
        for chain in &table.chains {
            let _ = writeln!(
                text,
                ":{} {} [0:0]",
                chain.name,
                chain.policy.as_deref().unwrap_or("-")
            );
        }
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for rule in &table.rules {
            let index = counts.entry(&rule.chain).or_insert(0);
            *index += 1;
            let spot = (table.name.clone(), rule.chain.clone(), *index);
            let own = (rule.tool == Tool::Iptables).then_some(&*rule.text);
            let line = others.get(&spot).map(String::as_str).or(own);
            if let Some(line) = line {
                let _ = writeln!(text, "{line}");
            }
        }
        text.push_str("COMMIT\n");
    }
    text
}

/// Several systems' rules in the same tables; a chain of both is there once, and closed if one of them closes it.
fn together(scenarios: &[&Scenario], family: Family) -> String {
    let mut all: BTreeMap<&str, (BTreeMap<&str, &str>, Vec<&str>)> = BTreeMap::new();
    for table in scenarios.iter().flat_map(|of| tables(of, family)) {
        let (chains, rules) = all.entry(&table.name).or_default();
        for chain in &table.chains {
            let policy = chain.policy.as_deref().unwrap_or("-");
            let known = chains.entry(&chain.name).or_insert(policy);
            if policy == "DROP" {
                *known = policy;
            }
        }
        let of_iptables = table
            .rules
            .iter()
            .filter(|rule| rule.tool == Tool::Iptables);
        rules.extend(of_iptables.map(|rule| &*rule.text));
    }
    let mut text = stamp(family);
    for (name, (chains, rules)) in all {
        let _ = writeln!(text, "*{name}");
        for (chain, policy) in chains {
            let _ = writeln!(text, ":{chain} {policy} [0:0]");
        }
        let _ = writeln!(text, "{}\nCOMMIT", rules.join("\n"));
    }
    text
}

/// What one pairing, or one loss, leaves of a scenario's rules.
struct Left {
    scenario: &'static Scenario,
    family: Family,
    lines: BTreeMap<Spot, String>,
}

/// Every line of every shipped loss by itself, and all that one pairing leaves together.
fn shipped_losses() -> (Vec<Left>, Vec<Left>) {
    let mut single: BTreeMap<(&str, Family, Spot, &str), ()> = BTreeMap::new();
    let mut by_pair: BTreeMap<(&str, Family, String), BTreeMap<Spot, String>> = BTreeMap::new();
    for (damage, pairs) in published().damages() {
        let (Some(index), true) = (damage.index, damage.takes_parts()) else {
            continue;
        };
        let spot = (damage.table.clone(), damage.chain.clone(), index);
        // What nft prints stands in no print of iptables'.
        let left: Vec<&String> = damage
            .left
            .iter()
            .filter(|of| of.starts_with("-A "))
            .collect();
        for left in &left {
            single.insert((&damage.scenario, damage.family, spot.clone(), left), ());
        }
        for (writer, reader) in pairs {
            let key = (
                damage.scenario.as_str(),
                damage.family,
                format!("{writer} {reader}"),
            );
            if let Some(left) = left.first() {
                by_pair
                    .entry(key)
                    .or_default()
                    .insert(spot.clone(), (*left).clone());
            }
        }
    }
    let of = |name: &str| scenarios().iter().find(|of| of.name == name).unwrap();
    let single = single.into_keys().map(|(name, family, spot, left)| Left {
        scenario: of(name),
        family,
        lines: BTreeMap::from([(spot, left.to_owned())]),
    });
    let distinct: BTreeSet<_> = by_pair
        .into_iter()
        .map(|((name, family, _), lines)| (name, family, lines))
        .collect();
    let together = distinct.into_iter().map(|(name, family, lines)| Left {
        scenario: of(name),
        family,
        lines,
    });
    (single.collect(), together.collect())
}

/// Every shipped loss is found, but for lines that everybody could have written: these are listed.
#[test]
fn every_shipped_loss_is_found_where_nobody_else_writes_its_line() {
    let (single, _) = shipped_losses();
    assert!(single.len() > 800, "{}", single.len());
    let mut unclaimed = BTreeSet::new();
    let mut found = 0;
    for left in &single {
        let (spot, line) = left.lines.iter().next().unwrap();
        let print = match left.scenario.tool() == Tool::Nft {
            true => format!(
                "{}*{}\n:{} - [0:0]\n{line}\nCOMMIT\n",
                stamp(left.family),
                spot.0,
                spot.1
            ),
            false => dump(left.scenario, left.family, &left.lines),
        };
        let is_found = diagnosis(&print).findings.iter().any(|finding| {
            matches!(finding, Finding::Damaged(of) if of.place.table == spot.0 && *of.rule.text == **line)
        });
        match is_found {
            true => found += 1,
            false => {
                unclaimed.insert(format!("{} {line}", spot.0));
            }
        }
    }
    let listed: Vec<String> = unclaimed.into_iter().collect();
    let listed = format!(
        "{found} of {} lines are found; these could be anybody's:\n{}\n",
        single.len(),
        listed.join("\n")
    );
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true, snapshot_path => "../snapshots/diagnose" }, {
        insta::assert_snapshot!("unclaimed", listed);
    });
}

/// All commands that are offered for what a loss, or a pairing, leaves, run in their order in a namespace on the dump that they
/// are for, give the rules that are meant.
#[test]
fn what_is_offered_mends_every_shipped_loss() {
    needs!(Root, Native);
    let catalog = Catalog::load(&[]).unwrap();
    let newest = |image: &Image| matches!(&image.source, Source::Suite { suite } if suite == "sid");
    let mut lane = TestLane::of(On::Native, &usual_store(), &catalog, newest);
    let (single, together) = shipped_losses();
    let losses = single.into_iter().chain(together);
    let losses = losses.filter(|left| left.scenario.tool() == Tool::Iptables);
    let (mut mended, mut unwritable) = (0, BTreeSet::new());
    let mut known: BTreeMap<String, Option<String>> = BTreeMap::new();
    for left in losses {
        let print = dump(left.scenario, left.family, &left.lines);
        let repair = diagnosis(&print).repair;
        if repair.commands.is_empty() {
            continue;
        }
        // What is meant: each line that a command is for as its system has it, the others as they are.
        let mut still = left.lines.clone();
        for (spot, goes) in repair.commands.iter().map(|words| spot_of(words)) {
            match goes {
                true => still.insert(spot, String::new()),
                false => still.remove(&spot),
            };
        }
        let goal = dump(left.scenario, left.family, &still);
        let mut after = |print: &str| rules_after(&mut lane, &left, print, &[]);
        let goal = known
            .entry(goal.clone())
            .or_insert_with(|| after(&goal))
            .clone();
        let Some(is) = rules_after(&mut lane, &left, &print, &repair.commands) else {
            // What is left cannot be written by itself: `REJECT --reject-with tcp-reset` without its protocol.
            unwritable.insert(print);
            continue;
        };
        let offered = &repair.commands;
        assert_eq!(
            Some(is),
            goal,
            "{} {}: {offered:?}",
            left.scenario.name,
            left.family
        );
        mended += 1;
    }
    let unwritable = unwritable.len();
    assert!(
        mended > 500 && unwritable * 20 < mended,
        "{mended} mended, {unwritable} cannot be written"
    );
}

/// The place that a command is about, and whether what stands there goes.
fn spot_of(command: &[String]) -> (Spot, bool) {
    let [_, _, table, option, chain, index, ..] = command else {
        panic!("{command:?}");
    };
    let spot = (table.clone(), chain.clone(), index.parse().unwrap());
    (spot, option == "-D")
}

/// What the kernel's rules are after a print was restored and commands were run; none where it cannot be restored.
fn rules_after(
    lane: &mut TestLane,
    left: &Left,
    print: &str,
    commands: &[Vec<String>],
) -> Option<String> {
    lane.ask(&Place::Holder, &Request::Clear).unwrap();
    let sets = Setup {
        sets: left.scenario.setup.sets.clone(),
        ..Setup::default()
    };
    lane.furnish_with(&sets);
    let command = stem(left.family);
    let restored = lane.run(&format!("{command}-nft-restore"), Some(print));
    if restored.end != End::Exit(0) {
        return None;
    }
    for words in commands {
        let ran = lane.run_words(words, None);
        assert_eq!(ran.end, End::Exit(0), "{words:?}: {ran:#?}");
    }
    let saved = lane.run(&format!("{command}-nft-save"), None);
    let saved = saved.stdout.to_lossy().into_owned();
    let mut rules = String::new();
    for line in saved.lines().filter(|line| !line.starts_with('#')) {
        let without_counters = line
            .strip_prefix(':')
            .and_then(|chain| chain.split(" [").next());
        let _ = writeln!(rules, "{}", without_counters.unwrap_or(line));
    }
    Some(rules)
}

// The command.

#[test]
fn its_json_keeps_to_its_schema_and_its_exit_status_says_what_was_found() {
    let print = format!(
        "# Generated by iptables-save v1.8.11 (nf_tables) on Mon\n*filter\n:KUBE-FIREWALL - [0:0]\n{MARKED}COMMIT\n"
    );
    let schema = report::diagnosis_json::schema();
    let validator = jsonschema::validator_for(schema.as_value()).unwrap();
    for (print, status) in [
        (print.as_str(), Some(1)),
        (&filter("-A INPUT -j DROP\n"), Some(0)),
    ] {
        let output = run(&["--format", "json", "--fail-on", "damaged"], print);
        assert_eq!(output.status.code(), status, "{}", both(&output));
        let value: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(validator.is_valid(&value), "{value:#}");
        assert_eq!(
            value["repair"]["commands"].as_array().unwrap().len(),
            usize::from(status == Some(1))
        );
    }
    let other = run(&["--fail-on", "policy"], &print);
    assert_eq!(other.status.code(), Some(0), "{}", both(&other));
}

#[test]
fn a_family_that_the_print_denies_is_a_usage_error() {
    let output = run(
        &["--family", "ipv6"],
        &filter("-A INPUT -s 10.0.0.1/32 -j DROP\n"),
    );
    assert_eq!(output.status.code(), Some(2), "{}", both(&output));
    assert!(
        both(&output).contains("these are ipv4 rules, and --family says ipv6"),
        "{}",
        both(&output)
    );
}

#[test]
fn the_page_says_what_is_damaged_who_did_it_and_what_mends_it() {
    let print = format!(
        "# Generated by iptables-save v1.8.9 (nf_tables) on Mon Nov 23 2026\n*filter\n:INPUT ACCEPT [0:0]\n:KUBE-FIREWALL - \
         [0:0]\n-A INPUT -j KUBE-FIREWALL\n{MARKED}COMMIT\n"
    );
    let output = run(&[], &print);
    let page = String::from_utf8_lossy(&output.stdout)
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    for part in [
        "filter (ipv4) KUBE-FIREWALL 1: the reader drops `-m mark`",
        "Effect: blackhole (packets that the rules let through are dropped)",
        "Likely: iptables-nft ",
        "iptables-nft -t filter -R KUBE-FIREWALL 1 -m comment --comment 'kubernetes firewall for dropping marked packets' -m mark \
         --mark 0x00008000/0x00008000 -j DROP",
    ] {
        assert!(page.contains(part), "{part}\n{}", both(&output));
    }
}

#[test]
fn where_nothing_is_found_that_is_said() {
    let output = run(&[], &filter("-A INPUT -i lo -j ACCEPT\n"));
    assert!(
        both(&output).contains("Nothing found."),
        "{}",
        both(&output)
    );
}

#[test]
fn control_sequences_in_a_print_come_out_inert() {
    let rule = "-A KUBE-FIREWALL -m comment --comment \"\u{1b}[31mred\" -j DROP\n";
    let print = format!("*filter\n:KUBE-FIREWALL - [0:0]\n{rule}{rule}{rule}COMMIT\n");
    let output = run(&[], &print);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("the same rule 3 times"), "{said}");
    assert!(!said.contains('\u{1b}'), "{said:?}");
}

#[rstest]
#[case("", "is not what iptables-save prints")]
#[case("hello\n", "is not what iptables-save prints")]
fn what_is_no_print_is_refused(#[case] print: &str, #[case] said: &str) {
    let output = run(&[], print);
    assert_eq!(output.status.code(), Some(2), "{}", both(&output));
    assert!(both(&output).contains(said), "{}", both(&output));
}
