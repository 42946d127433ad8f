//! The language as a whole: parse, print, compare, on made-up and on real texts.

use proptest::prelude::*;
use rstest::rstest;

use super::*;

const FILTER: &str = "*filter\n:INPUT ACCEPT [0:0]\n:KUBE - [0:0]\n-A INPUT -j KUBE\nCOMMIT\n";

fn words(line: &str) -> Vec<String> {
    let tokens = tokens::split(line).unwrap();
    tokens
        .into_iter()
        .map(|token| token.text.into_owned())
        .collect()
}

#[test]
fn reads_tables_chains_and_rules() {
    let text = "# by hand\n*nat\n:OUTPUT DROP [1:2]\n:A - [0:0]\n\n[12:34] -A A -m comment --comment \"a b\" -j B  \nCOMMIT\n*filter\n-A INPUT\nCOMMIT";
    let ruleset = parse(text).unwrap();
    insta::assert_debug_snapshot!(ruleset);
}

#[test]
fn dos_line_ends_are_taken() {
    let ruleset = parse(&FILTER.replace('\n', "\r\n")).unwrap();
    assert_eq!(ruleset, parse(FILTER).unwrap());
}

#[rstest]
#[case::outside("-A INPUT -j DROP\n", 1, 1, "before its table")]
#[case::after_commit(
    "*filter\nCOMMIT\n-A INPUT -j DROP\n",
    3,
    1,
    "outside a table: `filter` ended"
)]
#[case::chain_outside(":INPUT ACCEPT [0:0]\n", 1, 1, "chain stands before its table")]
#[case::unknown("*filter\nhello\nCOMMIT\n", 2, 1, "no line of a ruleset")]
#[case::misspelled_commit("*filter\nCOMIT\n", 2, 1, "no line of a ruleset")]
#[case::indented("*filter\n  COMMIT\n", 2, 1, "begins with blanks")]
#[case::quote(
    "*filter\n-A INPUT -m comment --comment \"a b\n",
    2,
    31,
    "never closed"
)]
#[case::no_commit("*nat\n*filter\nCOMMIT\n", 1, 1, "`nat` has no COMMIT")]
#[case::no_commit_at_end("*filter\n-A INPUT\n", 1, 1, "`filter` has no COMMIT")]
#[case::commit_of_nothing("COMMIT\n", 1, 1, "ends no table")]
#[case::twice("*nat\nCOMMIT\n*nat\nCOMMIT\n", 3, 2, "was there before")]
#[case::no_such_table("*flter\nCOMMIT\n", 1, 2, "no table `flter`")]
#[case::undeclared("*filter\n-A KUBE -j DROP\nCOMMIT\n", 2, 4, "`KUBE` is not declared")]
#[case::other_tables_chain("*filter\n-A PREROUTING -j DROP\nCOMMIT\n", 2, 4, "not declared")]
#[case::chain_twice("*filter\n:A -\n:A -\nCOMMIT\n", 3, 1, "declared before")]
#[case::no_chain("*filter\n-A\nCOMMIT\n", 2, 1, "names no chain")]
#[case::option_for_chain("*filter\n-A -j DROP\nCOMMIT\n", 2, 1, "names no chain")]
#[case::policy("*filter\n:INPUT REJECT [0:0]\nCOMMIT\n", 2, 8, "is ACCEPT or DROP")]
#[case::no_policy("*filter\n:INPUT - [0:0]\nCOMMIT\n", 2, 8, "is ACCEPT or DROP")]
#[case::policy_of_own("*filter\n:KUBE DROP [0:0]\nCOMMIT\n", 2, 7, "only built-in chains")]
#[case::policy_missing("*filter\n:KUBE\nCOMMIT\n", 2, 1, "only built-in chains")]
#[case::chain_counters("*filter\n:KUBE - [0]\nCOMMIT\n", 2, 9, "no counters")]
#[case::nameless_chain("*filter\n: - [0:0]\nCOMMIT\n", 2, 1, "without a name")]
#[case::rule_counters("*filter\n[1] -A INPUT\nCOMMIT\n", 2, 1, "no counters")]
#[case::insert("*filter\n-I INPUT -j DROP\nCOMMIT\n", 2, 1, "with `-I`")]
#[case::delete("*filter\n[1:2] -D INPUT -j DROP\nCOMMIT\n", 2, 7, "with `-D`")]
#[case::replace("*filter\n-R INPUT 1 -j DROP\nCOMMIT\n", 2, 1, "with `-R`")]
#[case::table(
    "*filter\n-A INPUT -t nat -j DROP\nCOMMIT\n",
    2,
    10,
    "does not name its table"
)]
#[case::sources(
    "*filter\n-A INPUT -s 10.0.0.1,10.0.0.2 -j DROP\nCOMMIT\n",
    2,
    13,
    "2 rules in the kernel"
)]
#[case::both_lists(
    "*filter\n-A INPUT --src a,b -j DROP -d c,d\nCOMMIT\n",
    2,
    16,
    "4 rules in the kernel"
)]
#[case::joined_list(
    "*filter\n-A INPUT --source=a,b,c\nCOMMIT\n",
    2,
    10,
    "3 rules in the kernel"
)]
#[case::negated_list(
    "*filter\n-A INPUT ! -s a,b -j DROP\nCOMMIT\n",
    2,
    15,
    "refuses a list"
)]
fn faults_have_their_place(
    #[case] text: &str,
    #[case] line: usize,
    #[case] column: usize,
    #[case] says: &str,
) {
    let fault = parse(text).unwrap_err();
    assert!(fault.message.contains(says), "{fault}");
    assert_eq!((fault.line, fault.column), (line, column), "{fault}");
}

#[test]
fn a_word_longer_than_the_buffer_is_refused() {
    let rule = |length| {
        format!(
            "*filter\n-A INPUT -m comment --comment {}\nCOMMIT\n",
            "a".repeat(length)
        )
    };
    assert!(parse(&rule(1023)).is_ok());
    assert_eq!(parse(&rule(1024)).unwrap_err().column, 31);
}

#[rstest]
#[case::comment("-m comment --comment \"-s a,b\" -j DROP")]
#[case::comment_word("-m comment --comment -s -j DROP --ports 1,2")]
#[case::other_list("-p tcp -m multiport --dports 1,2 -m conntrack --ctstate NEW,RELATED")]
fn only_address_lists_are_refused(#[case] rule: &str) {
    assert!(parse(&format!("*filter\n-A INPUT {rule}\nCOMMIT\n")).is_ok());
}

#[test]
fn the_lines_to_write_are_shown() {
    let text = "*filter\n-A INPUT -s a,b -m comment --comment \"x y\" -d c,d -j DROP\nCOMMIT\n";
    let fault = parse(text).unwrap_err().in_file("node.rules", text);
    let mut shown = String::new();
    miette::GraphicalReportHandler::new_themed(miette::GraphicalTheme::unicode_nocolor())
        .with_width(100)
        .render_report(&mut shown, &fault)
        .unwrap();
    insta::assert_snapshot!(shown);
}

#[test]
fn a_part_of_a_ruleset_keeps_its_chains() {
    let text = "*nat\n:A - [0:0]\n-A A -j B\n-A A -j C\nCOMMIT\n*filter\n-A INPUT -j D\nCOMMIT\n";
    let part = parse(text).unwrap().only(|index| index == 1);
    assert_eq!(
        part.to_string(),
        "*nat\n:A - [0:0]\n-A A -j C\nCOMMIT\n*filter\nCOMMIT\n"
    );
}

#[test]
fn snapshots_leave_out_only_what_changes() {
    let text = "# Generated by iptables-save v1.8.9 (nf_tables) on Mon\n# Warning: iptables-legacy tables present\n*filter\n:INPUT ACCEPT [12:34]\n[5:6] -A INPUT -m comment --comment \"[1:2] # Generated by me\" \nCOMMIT\n# Completed on Mon\n";
    assert_eq!(
        normalise_save(text),
        "# Warning: iptables-legacy tables present\n*filter\n:INPUT ACCEPT\n-A INPUT -m comment --comment \"[1:2] # Generated by me\"\nCOMMIT\n"
    );
}

#[rstest]
#[case::nft("scenario.nft.save", 0)]
#[case::legacy("scenario.legacy.save", 0)]
#[case::native_nft_beside("incompatible.save", 1)]
fn real_output_is_understood(#[case] file: &str, #[case] incompatible: usize) {
    let path = format!("{}/tests/data/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let printed = Printed::read(&text);
    assert_eq!(printed.strays, Vec::<String>::new());
    assert_eq!(printed.incompatible_tables().len(), incompatible);
    assert!(printed.tables.iter().all(|table| table.committed));
    let strict = parse(&text).unwrap();
    for (table, rules) in printed.tables.iter().zip(strict.tables) {
        assert_eq!(table.name, rules.name);
        assert!(table.rules.iter().map(|rule| &**rule).eq(&rules.rules));
        assert_eq!(table.chains, rules.chains);
    }
    assert_eq!(
        normalise_save(&normalise_save(&text)),
        normalise_save(&text)
    );
}

/// What `iptables-restore` 1.8.9 makes of every oddity of its quoting, seen by what `iptables-save` then prints.
#[test]
fn words_are_those_of_a_real_iptables_restore() {
    let given = parse(include_str!("../../tests/data/quoting.rules")).unwrap();
    let saved = Printed::read(include_str!("../../tests/data/quoting.save"));
    let given: Vec<_> = given.rules().map(|(_, rule)| rule.tokens.clone()).collect();
    let saved: Vec<_> = saved.tables[0]
        .rules
        .iter()
        .map(|rule| rule.tokens.clone())
        .collect();
    assert_eq!(given, saved);
}

#[test]
fn broken_output_is_kept() {
    let printed = Printed::read(
        "# Table `nat' is incompatible, use 'nft' tool.\n-A LOST -j DROP\n*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -m comment --comment \"cut of\n-A INPUT -m mark [unknown]\nSegmentation fault\n-A INPUT -j DR",
    );
    assert_eq!(printed.incompatible_tables(), ["nat"]);
    assert_eq!(
        printed.strays,
        [
            "-A LOST -j DROP",
            "-A INPUT -m comment --comment \"cut of",
            "Segmentation fault"
        ]
    );
    let filter = printed.table("filter").unwrap();
    assert!(!filter.committed);
    assert_eq!(filter.chain_rules("INPUT").count(), 2);
}

fn named(changes: &[Change]) -> Vec<String> {
    changes.iter().map(|change| change.part.clone()).collect()
}

#[rstest]
#[case::mark("-m comment --comment \"a b\" -m mark --mark 0x8000/0x8000 -j DROP", "-m comment --comment \"a b\" -j DROP", &["match mark"], &[], &[], true)]
#[case::comment_too("-m comment --comment c -m mark --mark 1 -j DROP", "-j DROP", &["match comment", "match mark"], &[], &[], true)]
#[case::only_comment("-m comment --comment c -j DROP", "-j DROP", &["match comment"], &[], &[], false)]
#[case::option("-p tcp -m tcp --sport 1 --dport 2 -j DROP", "-p tcp -m tcp --dport 2 -j DROP", &["tcp --sport"], &[], &[], true)]
#[case::implied_option("-p tcp --dport 2 -j DROP", "-p tcp -j DROP", &["tcp --dport"], &[], &[], true)]
#[case::implied_made_explicit("-p tcp --dport 2", "-p tcp -m tcp --dport 2", &[], &[], &["match tcp"], false)]
#[case::value("-m mark --mark 0x1", "-m mark --mark 0x2", &[], &["mark --mark"], &[], false)]
#[case::negation("-m mark ! --mark 0x1", "-m mark --mark 0x1", &[], &["mark --mark"], &[], false)]
#[case::no_synonyms("-j MARK --set-mark 0x1", "-j MARK --set-xmark 0x1/0xffffffff", &["MARK --set-mark"], &[], &["MARK --set-xmark"], false)]
#[case::target_option("-j DNAT --to-destination 1.2.3.4 --random", "-j DNAT --to-destination 1.2.3.5", &["DNAT --random"], &["DNAT --to-destination"], &[], false)]
#[case::target("-s 10.0.0.1 -j DROP", "-s 10.0.0.1", &["target"], &[], &[], false)]
#[case::other_target("-j DROP", "-j ACCEPT", &[], &["target"], &[], false)]
#[case::goto("-g A", "-j A", &["goto"], &[], &["target"], false)]
#[case::addresses("-s 10.0.0.1/32 ! -d 10.0.0.2/32 -i lo", "-s 10.0.0.3/32", &["destination", "in-interface"], &["source"], &[], false)]
#[case::everywhere("-s 0.0.0.0/0 -p tcp -j DROP", "-j DROP", &["source", "protocol"], &[], &[], true)]
#[case::spelling("--src 10.0.0.1 -j DROP", "-s 10.0.0.1 -j DROP", &[], &["source"], &[], false)]
#[case::order("-m mark --mark 1 -m comment --comment c", "-m comment --comment c -m mark --mark 1", &[], &["order"], &[], false)]
#[case::one_of_two("-m set --match-set a src -m set --match-set b dst", "-m set --match-set b dst", &["match set"], &[], &[], true)]
#[case::burst("-m limit --limit 1/sec --limit-burst 3 -j DROP", "-m limit --limit 1/sec -j DROP", &["limit --limit-burst"], &[], &[], false)]
#[case::interleaved("-j MARK -m comment --comment c --set-xmark 0x1/0x1", "-m comment --comment c -j MARK --set-xmark 0x1/0x1", &[], &["order"], &[], false)]
#[case::stray_word("-j DROP x", "-j DROP", &[], &["target"], &[], false)]
#[case::same("-j DROP", "-j DROP", &[], &[], &[], false)]
fn every_difference_is_named(
    #[case] from: &str,
    #[case] to: &str,
    #[case] lost: &[&str],
    #[case] altered: &[&str],
    #[case] added: &[&str],
    #[case] widened: bool,
) {
    let difference = compare(&words(from), &words(to));
    assert_eq!(named(&difference.lost), lost);
    assert_eq!(named(&difference.altered), altered);
    assert_eq!(named(&difference.added), added);
    assert_eq!(difference.widened(), widened);
}

#[test]
fn a_difference_is_the_json_of_the_design() {
    let from = words("-m mark ! --mark 0x1 -s 10.0.0.1 -j DROP");
    let difference = compare(&from, &words("-s 10.0.0.2 -j DROP"));
    insta::assert_snapshot!(serde_json::to_string_pretty(&difference).unwrap());
}

#[rstest]
#[case("-j ACCEPT", Target::Accept)]
#[case("--jump DROP", Target::Drop)]
#[case("-jREJECT --reject-with tcp-reset", Target::Reject)]
#[case("-j RETURN", Target::Return)]
#[case("-j KUBE-FIREWALL", Target::Jump("KUBE-FIREWALL".into()))]
#[case("-g KUBE-FIREWALL", Target::Goto("KUBE-FIREWALL".into()))]
#[case("-j DNAT --to-destination 1.2.3.4", Target::Other("DNAT".into()))]
#[case("-gKUBE", Target::Goto("KUBE".into()))]
#[case("--goto=KUBE", Target::Goto("KUBE".into()))]
#[case("-m comment --comment -j", Target::None)]
fn targets_are_told_apart(#[case] rule: &str, #[case] expected: Target) {
    assert_eq!(target(&words(rule)), expected);
}

#[test]
fn parts_have_the_names_of_the_design() {
    let rule = words(
        "! -s 10.0.0.0/8 -p tcp -m comment --comment \"a b\" -m mark ! --mark 0x1 --dport 80 -j DNAT --to-destination 1.2.3.4:80 --random -f -4",
    );
    let listed: Vec<_> = parts(&rule)
        .into_iter()
        .map(|part| format!("{} = {}", part.name, part.text))
        .collect();
    insta::assert_snapshot!(listed.join("\n"));
}

/// One piece of a rule and the part that names it.
fn piece() -> impl Strategy<Value = (Vec<&'static str>, &'static str)> {
    prop::sample::select(vec![
        (vec!["-s", "10.0.0.0/8"], "source"),
        (vec!["!", "-d", "10.0.0.1/32"], "destination"),
        (vec!["-i", "lo"], "in-interface"),
        (vec!["-o", "eth0"], "out-interface"),
        (vec!["-f"], "fragment"),
        (vec!["-m", "mark", "!", "--mark", "0x1"], "match mark"),
        (
            vec!["-m", "connmark", "--mark", "0x1/0x1"],
            "match connmark",
        ),
        (
            vec!["-m", "comment", "--comment", "-j DROP"],
            "match comment",
        ),
        (vec!["-m", "comment", "--comment", "!"], "match comment"),
        (vec!["-m", "set", "--match-set", "a", "src"], "match set"),
        (
            vec!["-m", "set", "!", "--match-set", "b", "dst"],
            "match set",
        ),
        (vec!["-m", "socket"], "match socket"),
        (vec!["-m", "unheard", "--of", "1", "2"], "match unheard"),
    ])
}

fn a_target() -> impl Strategy<Value = Vec<&'static str>> {
    prop::sample::select(vec![
        vec!["-j", "DROP"],
        vec!["-j", "CHAIN"],
        vec!["-j", "DNAT", "--to-destination", "10.0.0.1:80"],
        vec!["-j", "MARK", "--set-xmark", "0x1/0x1"],
    ])
}

fn flat(pieces: &[Vec<&'static str>]) -> Vec<String> {
    pieces.concat().into_iter().map(str::to_owned).collect()
}

proptest! {
    #[test]
    fn a_piece_that_is_gone_is_named(
        pieces in prop::collection::vec(piece(), 1..6),
        target in a_target(),
        gone in any::<prop::sample::Index>(),
    ) {
        let gone = gone.index(pieces.len() + 1);
        let mut all: Vec<_> = pieces.iter().map(|(words, _)| words.clone()).collect();
        all.push(target);
        let mut left = all.clone();
        left.remove(gone);
        let name = pieces.get(gone).map_or("target", |(_, name)| name);
        let difference = compare(&flat(&all), &flat(&left));
        prop_assert_eq!(named(&difference.lost), [name]);
        prop_assert!(difference.altered.is_empty() && difference.added.is_empty());
        let back = compare(&flat(&left), &flat(&all));
        prop_assert_eq!(named(&back.added), [name]);
    }

    #[test]
    fn an_option_that_is_gone_is_named(pieces in prop::collection::vec(piece(), 0..4), gone in 0..3usize) {
        let options = [vec!["--sport", "1"], vec!["!", "--dport", "2"], vec!["--tcp-flags", "SYN", "SYN"]];
        let names = ["tcp --sport", "tcp --dport", "tcp --tcp-flags"];
        let rest: Vec<_> = pieces.into_iter().map(|(words, _)| words).collect();
        let rule = |options: &[Vec<&'static str>]| {
            flat(&[vec![vec!["-p", "tcp", "-m", "tcp"]], options.to_vec(), rest.clone()].concat())
        };
        let mut left = options.to_vec();
        left.remove(gone);
        let difference = compare(&rule(&options), &rule(&left));
        prop_assert_eq!(named(&difference.lost), [names[gone]]);
        prop_assert!(difference.altered.is_empty() && difference.added.is_empty());
    }

    #[test]
    fn only_the_same_words_have_no_difference(
        from in prop::collection::vec(prop::sample::select(WORDS.to_vec()), 0..9),
        to in prop::collection::vec(prop::sample::select(WORDS.to_vec()), 0..9),
    ) {
        let (from, to) = (flat(&[from]), flat(&[to]));
        prop_assert_eq!(compare(&from, &to).is_empty(), from == to);
    }

    #[test]
    fn no_word_of_a_rule_is_without_an_atom(
        rule in prop::collection::vec(prop::sample::select(WORDS.to_vec()), 0..12),
    ) {
        let rule = flat(&[rule]);
        let mut next = 0;
        for atom in atoms::atoms(&rule) {
            prop_assert_eq!(atom.tokens.start, next);
            prop_assert!(atom.tokens.end > next);
            next = atom.tokens.end;
        }
        prop_assert_eq!(next, rule.len());
    }

    #[test]
    fn printed_and_parsed_again_it_is_the_same(tables in some_tables()) {
        let mut ruleset = Ruleset { tables };
        number_lines(&mut ruleset);
        prop_assert_eq!(parse(&ruleset.to_string()), Ok(ruleset));
    }

    #[test]
    fn any_text_is_read_or_refused(text in "([*:# -]|filter|COMMIT|-A |INPUT|ACCEPT|\"|\\\\|\r?\n|\\PC){0,30}") {
        Printed::read(&text);
        normalise_save(&text);
        if let Err(fault) = parse(&text) {
            prop_assert!(text.get(fault.span).is_some());
        }
    }
}

const WORDS: &[&str] = &[
    "!",
    "-s",
    "-d",
    "-m",
    "-j",
    "-g",
    "-p",
    "-f",
    "-4",
    "tcp",
    "mark",
    "comment",
    "--mark",
    "--comment",
    "--dport",
    "--set-xmark",
    "MARK",
    "DROP",
    "a b",
    "",
    "1",
    "-1",
    "--",
    "-",
];

fn some_tables() -> impl Strategy<Value = Vec<Table>> {
    let names = prop::sample::subsequence(vec!["filter", "nat", "mangle", "raw", "security"], 0..4);
    names.prop_flat_map(|names| names.into_iter().map(a_table).collect::<Vec<_>>())
}

fn a_table(name: &'static str) -> impl Strategy<Value = Table> {
    let own = prop::collection::btree_set("[A-Z][A-Z-]{0,6}[0-9]", 0..3);
    let words = prop::collection::vec("[ -~äß]{0,8}", 0..5);
    let rules = prop::collection::vec((any::<prop::sample::Index>(), words), 0..5);
    (own, rules).prop_map(move |(own, rules)| {
        let built_in = Chain {
            name: "OUTPUT".to_owned(),
            policy: Some("DROP".to_owned()),
        };
        let own = own.into_iter().map(|name| Chain { name, policy: None });
        let chains: Vec<Chain> = [built_in].into_iter().chain(own).collect();
        let rules = rules
            .into_iter()
            .map(|(chain, words)| Rule::new(chain.get(&chains).name.clone(), words))
            // Lists of addresses, and a table named in a rule, are refused.
            .filter(|rule| {
                !rule
                    .tokens
                    .iter()
                    .any(|word| word.contains(',') || word == "-t")
            })
            .collect();
        Table {
            name: name.to_owned(),
            chains,
            rules,
        }
    })
}

fn number_lines(ruleset: &mut Ruleset) {
    let mut line = 0;
    for table in &mut ruleset.tables {
        line += 1 + table.chains.len();
        for rule in &mut table.rules {
            line += 1;
            rule.line = line;
        }
        line += 1;
    }
}

proptest! {
    /// What was read before, and in which order, makes no difference to what is read.
    #[test]
    fn prints_that_were_read_before_change_nothing(
        prints in prop::collection::vec(prop::collection::vec("-A [AB] -j [AB\"]", 0..6), 0..5),
    ) {
        let mut known = super::KnownRules::default();
        for rules in prints {
            let print = format!("*filter\n{}\nCOMMIT\n", rules.join("\n"));
            let (alone, among) = (Printed::read(&print), Printed::read_with(&mut known, &print));
            let words = |printed: &Printed| -> Vec<(String, super::Words)> {
                let rules = printed.tables[0].rules.iter();
                rules.map(|rule| (rule.chain.clone(), rule.tokens.clone())).collect()
            };
            prop_assert_eq!(words(&alone), words(&among));
            prop_assert_eq!(alone.strays, among.strays);
        }
    }
}
