//! The chain that a component adds as its own to what it printed.

use super::{is_iptables_table, read};
use crate::observed::Text;
use crate::tool::{Component, Table};

/// Those of a ruleset's tables that an iptables knows: all of one in its words, few of one in nft's.
pub fn known_tables(tables: &[Table]) -> impl Iterator<Item = &Table> {
    tables.iter().filter(|table| is_iptables_table(&table.name))
}

/// `saved` with the component's chain and a jump to it in each of its tables that there is in iptables, as it adds that before it
/// restores: into the section of the table, or, where the save printed none, into a section with nothing else.
pub fn add_own_chain(saved: &Text, component: Component<'_>) -> Text {
    let own = component.adds;
    let mut lines: Vec<Vec<u8>> = saved
        .bytes()
        .split(|&byte| byte == b'\n')
        .map(<[u8]>::to_vec)
        .collect();
    if lines.last().is_some_and(Vec::is_empty) {
        lines.pop();
    }
    for table in known_tables(component.tables) {
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

/// What a component restores with `--noflush`: in each of its tables the chains it owns, as `saved` has them, and the
/// chain that it adds with a jump to it. Chains of others are not named, so they stay as they are.
pub fn own_chains(saved: &Text, component: Component<'_>) -> Text {
    let own = component.adds;
    let printed = read(&saved.to_lossy());
    let mut text = String::new();
    for table in known_tables(component.tables) {
        let saved = printed.table(&table.name);
        let is_owned = |chain: &str| component.owned.iter().any(|owned| owned == chain);
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
    use crate::catalog::Family;

    #[test]
    fn a_component_adds_nothing_to_tables_that_iptables_has_not() {
        let saved = "*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n";
        let tables = [table("inet filter"), table("own")];
        assert_eq!(
            add_own_chain(&saved.into(), component(&tables, &[])).to_lossy(),
            saved
        );
        assert_eq!(
            own_chains(&saved.into(), component(&tables, &[])).to_lossy(),
            ""
        );
    }

    fn component<'c>(tables: &'c [Table], owned: &'c [String]) -> Component<'c> {
        Component {
            family: Family::Ipv4,
            tables,
            owned,
            adds: "OWN",
        }
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
        let text = add_own_chain(&saved.into(), component(&[table("filter")], &[]));
        assert_eq!(text.to_lossy(), with_own);
    }

    #[test]
    fn a_component_that_does_not_flush_restores_what_it_owns_and_nothing_else() {
        let saved = "*filter\n:INPUT ACCEPT [0:0]\n:MINE - [0:0]\n:THEIRS - [0:0]\n-A INPUT -j THEIRS\n\
                     -A MINE -j DROP\n-A THEIRS -j MINE\nCOMMIT\n";
        let (tables, owned) = ([table("filter")], ["MINE".to_owned()]);
        let text = own_chains(&saved.into(), component(&tables, &owned));
        let expected =
            "*filter\n:OWN - [0:0]\n:MINE - [0:0]\n-A MINE -j DROP\n-A INPUT -j OWN\nCOMMIT\n";
        assert_eq!(text.to_lossy(), expected);
    }

    #[test]
    fn what_is_no_utf_8_is_handed_on_as_it_is() {
        let saved =
            Text::from(b"*nat\n-A POSTROUTING -m comment --comment \"\xff\"\nCOMMIT\n".to_vec());
        let text = add_own_chain(&saved, component(&[table("nat")], &[]));
        assert_eq!(text.bytes(), b"*nat\n:OWN - [0:0]\n-A POSTROUTING -m comment --comment \"\xff\"\n-A PREROUTING -j OWN\nCOMMIT\n");
    }
}
