//! The table and the chain that a component adds as its own to what it listed.

use super::listing::read_listing;
use crate::catalog::Family;
use crate::observed::{Text, kernel_table};
use crate::tool::{Component, Printed, PrintedTable};

/// What is loaded in place of all that is there: the listing, then the commands that add what the component owns.
pub fn with_own_chain(print: &Text, component: Component<'_>) -> Text {
    let printed = read_listing(component.family, &print.to_lossy());
    let added = added(&printed, component);
    [b"flush ruleset\n", print.bytes(), added.as_bytes()]
        .concat()
        .into()
}

/// What is loaded beside what others own: the chains that the component owns, emptied and filled with what was listed of them, and
/// what it adds.
pub fn own_chains(print: &Text, component: Component<'_>) -> Text {
    let Component { family, .. } = component;
    let printed = read_listing(family, &print.to_lossy());
    let mut script = String::new();
    for table in component
        .tables
        .iter()
        .filter_map(|of| printed.table(&of.name))
    {
        let place = place(family, &table.name);
        let chains = table.chains.iter().map(|chain| &chain.name);
        for chain in chains.filter(|chain| component.owned.contains(chain)) {
            script.push_str(&format!("flush chain {place} {chain}\n"));
            let rules = table.rules.iter().filter(|rule| rule.chain == *chain);
            script.extend(rules.map(|rule| format!("add rule {place} {chain} {}\n", rule.text)));
        }
    }
    script.push_str(&added(&printed, component));
    script.into()
}

/// The commands that add a table of the component's own, and its chain to tables of others, with a jump from the first chain there
/// that hangs in a hook.
fn added(printed: &Printed, component: Component<'_>) -> String {
    let Component { family, adds, .. } = component;
    let mut script = format!("add table {}\n", place(family, adds));
    for table in component.tables {
        let place = place(family, &table.name);
        script.push_str(&format!("add table {place}\nadd chain {place} {adds}\n"));
        let hooked = printed.table(&table.name).and_then(first_hooked);
        script.extend(hooked.map(|chain| format!("add rule {place} {chain} jump {adds}\n")));
    }
    script
}

fn first_hooked(table: &PrintedTable) -> Option<&str> {
    let mut chains = table.chains.iter();
    let hooked = chains.find(|chain| chain.policy.is_some());
    hooked.map(|chain| chain.name.as_str())
}

/// How commands name a table of a ruleset for `family`: `ip filter`.
fn place(family: Family, table: &str) -> String {
    let (family, table) = kernel_table(family, table);
    format!("{family} {table}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tool::Table;

    const LISTING: &str = "\
table ip filter {
	chain MINE {
		ip saddr 192.0.2.1 counter accept
	}

	chain INPUT {
		type filter hook input priority filter; policy accept;
		counter jump MINE
	}
}
";

    fn component<'c>(family: Family, tables: &'c [Table], owned: &'c [String]) -> Component<'c> {
        Component {
            family,
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

    const ADDED: &str = "\
add table ip OWN
add table ip filter
add chain ip filter OWN
add rule ip filter INPUT jump OWN
";

    #[test]
    fn a_component_adds_its_table_and_its_chain_to_all_that_it_listed() {
        let text = with_own_chain(
            &LISTING.into(),
            component(Family::Ipv4, &[table("filter")], &[]),
        );
        assert_eq!(text.to_lossy(), format!("flush ruleset\n{LISTING}{ADDED}"));
    }

    #[test]
    fn what_was_not_listed_has_no_chain_to_jump_from() {
        let text = with_own_chain(
            &"".into(),
            component(Family::Ipv6, &[table("inet own")], &[]),
        );
        let added = "add table ip6 OWN\nadd table inet own\nadd chain inet own OWN\n";
        assert_eq!(text.to_lossy(), format!("flush ruleset\n{added}"));
    }

    #[test]
    fn a_component_that_flushes_nothing_fills_its_own_chains_anew() {
        let (tables, owned) = ([table("filter")], ["MINE".to_owned()]);
        let text = own_chains(&LISTING.into(), component(Family::Ipv4, &tables, &owned));
        let filled = "flush chain ip filter MINE\nadd rule ip filter MINE ip saddr 192.0.2.1 counter accept\n";
        assert_eq!(text.to_lossy(), format!("{filled}{ADDED}"));
    }
}
