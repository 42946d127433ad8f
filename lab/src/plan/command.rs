//! The commands of the procedure: how a build writes, saves and restores, as argument lists and standard input.

use super::step::RuleSet;
use crate::catalog::{Backend, Build, Family};
use crate::observed::Text;
use crate::scenario::{Scenario, Write};
use crate::tool::iptables::is_iptables_table;
use crate::tool::{Printed, Ruleset, Table};

/// A command: program and arguments, and what it reads from standard input.
pub type Command = (Vec<String>, Option<Text>);

/// `iptables-nft-save`, `ip6tables-legacy-save`.
pub fn save(backend: Backend, family: Family) -> Vec<String> {
    vec![format!("{}-{backend}-save", family.command())]
}

/// `iptables-nft-restore`, `ip6tables-legacy-restore`.
pub fn restore(backend: Backend, family: Family) -> Vec<String> {
    vec![format!("{}-{backend}-restore", family.command())]
}

/// `nft -f -`: commands from standard input.
pub fn nft_file() -> Vec<String> {
    ["nft", "-f", "-"].map(str::to_owned).to_vec()
}

/// `nft -s list ruleset`: every table of every family, without counts.
pub fn nft_list() -> Vec<String> {
    ["nft", "-s", "list", "ruleset"].map(str::to_owned).to_vec()
}

/// `iptables-nft -t TABLE -C CHAIN …`: is this rule there?
pub fn check(
    backend: Backend,
    family: Family,
    table: &str,
    chain: &str,
    rule: &[String],
) -> Vec<String> {
    iptables(backend, family, table, &["-C", chain], rule)
}

/// The commands with which `writer` writes `rules` of the scenario in the way of `how`: the scenario says which way its
/// system's is.
pub fn write(
    writer: &Build,
    family: Family,
    scenario: &Scenario,
    how: Write,
    rules: &RuleSet,
) -> Vec<Command> {
    let kept = scenario.ruleset(family).only(|index| rules.contains(index));
    let restore = restore(writer.backend, family);
    match how {
        Write::Restore => vec![(restore, Some(kept.to_string().into()))],
        Write::RestoreNoflush => {
            let argv = restore
                .into_iter()
                .chain(["--noflush".to_owned()])
                .collect();
            vec![(argv, Some(kept.to_string().into()))]
        }
        Write::Append => one_by_one(writer.backend, family, &kept, "-A"),
        Write::Insert => one_by_one(writer.backend, family, &kept, "-I"),
        Write::Nft => {
            let native = scenario.nft.get(&family);
            let text = native.map(|native| native.only(|index| rules.contains(index)));
            text.into_iter()
                .map(|text| (nft_file(), Some(text.into())))
                .collect()
        }
    }
}

/// Chains and policies first, then a command a rule. Inserted rules go in last first, so that they end up in order.
fn one_by_one(backend: Backend, family: Family, ruleset: &Ruleset, how: &str) -> Vec<Command> {
    let mut commands = Vec::new();
    for table in &ruleset.tables {
        for chain in &table.chains {
            let words = match &chain.policy {
                Some(policy) => vec!["-P", &chain.name, policy],
                None => vec!["-N", &chain.name],
            };
            commands.push((iptables(backend, family, &table.name, &words, &[]), None));
        }
        let rule = |rule: &crate::tool::Rule| {
            (
                iptables(
                    backend,
                    family,
                    &table.name,
                    &[how, &rule.chain],
                    &rule.tokens().to_strings(),
                ),
                None,
            )
        };
        if how == "-I" {
            commands.extend(table.rules.iter().rev().map(rule));
        } else {
            commands.extend(table.rules.iter().map(rule));
        }
    }
    commands
}

/// `iptables-nft -t TABLE WORDS RULE`.
pub fn iptables(
    backend: Backend,
    family: Family,
    table: &str,
    words: &[&str],
    rule: &[String],
) -> Vec<String> {
    let mut argv = vec![
        format!("{}-{backend}", family.command()),
        "-t".to_owned(),
        table.to_owned(),
    ];
    argv.extend(words.iter().map(|&word| word.to_owned()));
    argv.extend_from_slice(rule);
    argv
}

/// Those of a ruleset's tables that an iptables knows: all of one in its words, few of one in nft's.
pub fn known_tables(tables: &[Table]) -> impl Iterator<Item = &Table> {
    tables.iter().filter(|table| is_iptables_table(&table.name))
}

/// `saved` with the chain `own` and a jump to it in each of `tables` that there is in iptables, as a component adds its own chain before it
/// restores: into the section of the table, or, where the save printed none, into a section with nothing else.
pub fn add_own_chain(saved: &Text, tables: &[Table], own: &str) -> Text {
    let mut lines: Vec<Vec<u8>> = saved
        .bytes()
        .split(|&byte| byte == b'\n')
        .map(<[u8]>::to_vec)
        .collect();
    if lines.last().is_some_and(Vec::is_empty) {
        lines.pop();
    }
    for table in known_tables(tables) {
        let declare = format!(":{own} - [0:0]").into_bytes();
        let jump = format!("-A {} -j {own}", first_hook(&table.name)).into_bytes();
        let header = format!("*{}", table.name).into_bytes();
        let start = lines
            .iter()
            .position(|line| line.trim_ascii_end() == header);
        let end = start.and_then(|start| {
            lines[start..]
                .iter()
                .position(|line| line.trim_ascii_end() == b"COMMIT")
                .map(|end| start + end)
        });
        match start.zip(end) {
            Some((start, end)) => {
                lines.insert(end, jump);
                lines.insert(start + 1, declare);
            }
            None => lines.extend([header, declare, jump, b"COMMIT".to_vec()]),
        }
    }
    let mut text = lines.join(&b'\n');
    text.push(b'\n');
    text.into()
}

/// What a component restores with `--noflush`: in each of `tables` the chains it owns, as `saved` has them, and the
/// chain `own` with a jump to it. Chains of others are not named, so they stay as they are.
pub fn own_chains(saved: &Text, tables: &[Table], owned: &[String], own: &str) -> Text {
    let printed = Printed::read(&saved.to_lossy());
    let mut text = String::new();
    for table in known_tables(tables) {
        let saved = printed.table(&table.name);
        let is_owned = |chain: &str| owned.iter().any(|owned| owned == chain);
        let chains = saved.iter().flat_map(|saved| &saved.chains);
        let chains = chains.filter(|chain| is_owned(&chain.name));
        let rules = saved.iter().flat_map(|saved| &saved.rules);
        let rules = rules.filter(|rule| is_owned(&rule.chain));
        text.push_str(&format!("*{}\n:{own} - [0:0]\n", table.name));
        text.extend(chains.map(|chain| format!(":{} - [0:0]\n", chain.name)));
        text.extend(rules.map(|rule| format!("{}\n", rule.text)));
        text.push_str(&format!(
            "-A {} -j {own}\nCOMMIT\n",
            first_hook(&table.name)
        ));
    }
    text.into()
}

/// The rules of what a save printed, by their places among its `-A` lines from 0, in the tables for which `is_meant` says so.
pub fn rules_of_tables(saved: &Text, is_meant: impl Fn(&str) -> bool) -> RuleSet {
    let (mut meant, mut rule) = (false, 0);
    let mut rules = Vec::new();
    for line in saved.bytes().split(|&byte| byte == b'\n') {
        if let Some(table) = line.strip_prefix(b"*") {
            meant = is_meant(String::from_utf8_lossy(table).trim_end());
        }
        if is_rule(line) {
            rules.extend(meant.then_some(rule));
            rule += 1;
        }
    }
    rules.into_iter().collect()
}

/// What a save printed with only some of its rules, by their places among its `-A` lines from 0, and all of its chains.
pub fn only_rules(saved: &Text, rules: &RuleSet) -> Text {
    let mut rule = 0;
    let is_kept = |line: &&[u8]| {
        if !is_rule(line) {
            return true;
        }
        rule += 1;
        rules.contains(rule - 1)
    };
    let lines = saved.bytes().split(|&byte| byte == b'\n');
    let kept: Vec<&[u8]> = lines.filter(is_kept).collect();
    kept.join(&b'\n').into()
}

/// Whether a line of what a save printed is a rule.
fn is_rule(line: &[u8]) -> bool {
    line.starts_with(b"-A ")
}

/// The built-in chain that the own chain is called from.
pub fn first_hook(table: &str) -> &'static str {
    match table {
        "filter" | "security" => "INPUT",
        _ => "PREROUTING",
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::catalog::{BuildId, Digest, Origin, Tool, Version};

    fn writer() -> Build {
        let digest: Digest = "0".repeat(64).parse().unwrap();
        Build {
            id: BuildId::new("1.8.7", Backend::Nft),
            version: Version::new("1.8.7"),
            tool: Tool::Iptables,
            backend: Backend::Nft,
            origin: Origin::Upstream,
            key: digest.clone(),
            digest,
            libnftnl: None,
            banner: String::new(),
        }
    }

    fn written(write: Write, rules: &str) -> Vec<String> {
        let text = "*filter\n:INPUT DROP [0:0]\n:OWN - [0:0]\n-A INPUT -j OWN\n-A OWN -s 10.0.0.1 -j DROP\n\
                    -A OWN -j RETURN\nCOMMIT\n";
        let scenario = Scenario::from_rules("own", Family::Ipv4, text).unwrap();
        let rules = rules.parse().unwrap();
        let commands = super::write(&writer(), Family::Ipv4, &scenario, write, &rules);
        let shown = |(argv, stdin): Command| match stdin {
            Some(stdin) => format!(
                "{} <<{}",
                argv.join(" "),
                stdin.to_lossy().replace('\n', "|")
            ),
            None => argv.join(" "),
        };
        commands.into_iter().map(shown).collect()
    }

    #[rstest]
    #[case(Write::Restore, "1,3", &["iptables-nft-restore <<*filter|:INPUT DROP [0:0]|:OWN - [0:0]|-A INPUT -j OWN|-A OWN -j RETURN|COMMIT|"])]
    #[case(Write::RestoreNoflush, "1", &["iptables-nft-restore --noflush <<*filter|:INPUT DROP [0:0]|:OWN - [0:0]|-A INPUT -j OWN|COMMIT|"])]
    #[case(Write::Append, "1-3", &[
        "iptables-nft -t filter -P INPUT DROP", "iptables-nft -t filter -N OWN", "iptables-nft -t filter -A INPUT -j OWN",
        "iptables-nft -t filter -A OWN -s 10.0.0.1 -j DROP", "iptables-nft -t filter -A OWN -j RETURN",
    ])]
    #[case(Write::Insert, "2-3", &[
        "iptables-nft -t filter -P INPUT DROP", "iptables-nft -t filter -N OWN", "iptables-nft -t filter -I OWN -j RETURN",
        "iptables-nft -t filter -I OWN -s 10.0.0.1 -j DROP",
    ])]
    fn rules_are_written_the_way_their_system_writes(
        #[case] write: Write,
        #[case] rules: &str,
        #[case] commands: &[&str],
    ) {
        assert_eq!(written(write, rules), commands);
    }

    #[test]
    fn nft_is_given_the_chosen_rules_and_all_that_they_need() {
        let text = "title = 't'\ngroup = 'g'\nfamilies = ['ipv4']\nwrite = 'nft'\n\
            source = { project = 'p', url = 'u', version = '1' }\n[rules]\nipv4 = '''\n\
            add table ip t\nadd chain ip t c\nadd rule ip t c accept\nadd rule ip t c drop\n'''\n";
        let scenario = Scenario::from_toml("nft", text).unwrap();
        let rules = "2".parse().unwrap();
        let commands = super::write(&writer(), Family::Ipv4, &scenario, Write::Nft, &rules);
        let [(argv, Some(stdin))] = commands.as_slice() else {
            panic!("{commands:?}");
        };
        assert_eq!(argv.join(" "), "nft -f -");
        let expected = "add table ip t\nadd chain ip t c\nadd rule ip t c drop\n";
        assert_eq!(stdin.to_lossy(), expected);
        assert!(super::write(&writer(), Family::Ipv6, &scenario, Write::Nft, &rules).is_empty());
    }

    #[test]
    fn a_component_adds_nothing_to_tables_that_iptables_has_not() {
        let saved = "*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n";
        let tables = [table("inet filter"), table("own")];
        assert_eq!(
            add_own_chain(&saved.into(), &tables, "OWN").to_lossy(),
            saved
        );
        assert_eq!(
            own_chains(&saved.into(), &tables, &[], "OWN").to_lossy(),
            ""
        );
    }

    fn table(name: &str) -> Table {
        Table {
            name: name.to_owned(),
            chains: Vec::new(),
            rules: Vec::new(),
        }
    }

    #[rstest]
    #[case(
        "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -j DROP\nCOMMIT\n",
        "*filter\n:OWN - [0:0]\n:INPUT ACCEPT [0:0]\n-A INPUT -j DROP\n-A INPUT -j OWN\nCOMMIT\n"
    )]
    #[case(
        "# Table `filter' is incompatible, use 'nft' tool.\n",
        "# Table `filter' is incompatible, use 'nft' tool.\n*filter\n:OWN - [0:0]\n-A INPUT -j OWN\nCOMMIT\n"
    )]
    #[case("", "*filter\n:OWN - [0:0]\n-A INPUT -j OWN\nCOMMIT\n")]
    fn a_component_adds_its_chain_to_what_it_saved_or_to_nothing(
        #[case] saved: &str,
        #[case] with_own: &str,
    ) {
        let text = add_own_chain(&saved.into(), &[table("filter")], "OWN");
        assert_eq!(text.to_lossy(), with_own);
    }

    #[test]
    fn a_component_that_does_not_flush_restores_what_it_owns_and_nothing_else() {
        let saved = "*filter\n:INPUT ACCEPT [0:0]\n:MINE - [0:0]\n:THEIRS - [0:0]\n-A INPUT -j THEIRS\n\
                     -A MINE -j DROP\n-A THEIRS -j MINE\nCOMMIT\n";
        let text = own_chains(
            &saved.into(),
            &[table("filter")],
            &["MINE".to_owned()],
            "OWN",
        );
        let expected =
            "*filter\n:OWN - [0:0]\n:MINE - [0:0]\n-A MINE -j DROP\n-A INPUT -j OWN\nCOMMIT\n";
        assert_eq!(text.to_lossy(), expected);
    }

    #[test]
    fn a_part_of_a_print_has_all_chains_and_some_rules() {
        let saved = "# by\n*nat\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -j ACCEPT\nCOMMIT\n*filter\n:INPUT ACCEPT [0:0]\n\
                     -A INPUT -j DROP\n-A INPUT -j ACCEPT\nCOMMIT\n";
        let saved = Text::from(saved);
        let of_filter = rules_of_tables(&saved, |table| table == "filter");
        assert_eq!(of_filter.to_string(), "2-3");
        let part = only_rules(&saved, &"1,3".parse().unwrap());
        let expected = "# by\n*nat\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -j ACCEPT\nCOMMIT\n*filter\n\
                        :INPUT ACCEPT [0:0]\n-A INPUT -j ACCEPT\nCOMMIT\n";
        assert_eq!(part.to_lossy(), expected);
        assert_eq!(only_rules(&saved, &RuleSet::first(3)), saved);
    }

    #[test]
    fn what_is_no_utf_8_is_handed_on_as_it_is() {
        let saved =
            Text::from(b"*nat\n-A POSTROUTING -m comment --comment \"\xff\"\nCOMMIT\n".to_vec());
        let text = add_own_chain(&saved, &[table("nat")], "OWN");
        assert_eq!(text.bytes(), b"*nat\n:OWN - [0:0]\n-A POSTROUTING -m comment --comment \"\xff\"\n-A PREROUTING -j OWN\nCOMMIT\n");
    }
}
