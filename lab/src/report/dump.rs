//! A kernel dump as text: rules as `nft --debug=netlink` prints them, and the entries of legacy tables.

use std::fmt::Write;

use super::terminal::inert;
use crate::observed::{LegacyTable, NftTable, State, nft_family};

/// Everything that the dump holds; one sentence where that is nothing.
pub fn render(dump: &State) -> String {
    let nft = dump.nft.iter().map(of_nft);
    let legacy = dump.legacy.iter().map(of_legacy);
    let text: String = nft.chain(legacy).collect();
    match text.is_empty() {
        true => "the kernel holds no table\n".to_owned(),
        false => inert(&text),
    }
}

fn of_nft(table: &NftTable) -> String {
    let mut text = format!("table {} {} (nf_tables)\n", table.family, table.name);
    for chain in &table.chains {
        let _ = write!(text, "  chain {}", chain.name);
        if let Some(hook) = &chain.base {
            let (kind, at, priority, policy) = (&hook.kind, hook.hook, hook.priority, hook.policy);
            let _ = write!(
                text,
                ": {kind} hook {at} priority {priority}, policy {policy}"
            );
        }
        text.push('\n');
        for (place, rule) in chain.rules.iter().enumerate() {
            let _ = writeln!(text, "    rule {}", place + 1);
            for expression in &rule.expressions {
                let _ = writeln!(text, "      [ {expression} ]");
            }
            for attribute in &rule.other {
                let _ = writeln!(text, "      [ {attribute} ]");
            }
            if let Some(compat) = &rule.compat {
                let _ = writeln!(text, "      compat {compat}");
            }
            if let Some(userdata) = &rule.userdata {
                let _ = writeln!(text, "      userdata {userdata}");
            }
        }
    }
    for set in &table.sets {
        let _ = writeln!(text, "  {set}");
        for element in &set.elements {
            let _ = writeln!(text, "    {element}");
        }
    }
    for object in &table.objects {
        let _ = writeln!(text, "  {object}");
    }
    for flowtable in &table.flowtables {
        let _ = writeln!(text, "  {flowtable}");
    }
    text
}

fn of_legacy(table: &LegacyTable) -> String {
    let mut text = format!(
        "table {} {} (legacy)\n",
        nft_family(table.family),
        table.name
    );
    for chain in &table.chains {
        let policy = chain.policy.as_ref();
        let policy = policy.map_or_else(String::new, |policy| format!(", policy {policy}"));
        let _ = writeln!(text, "  chain {}{policy}", chain.name);
        for rule in &chain.rules {
            let _ = writeln!(text, "    {rule}");
        }
    }
    text
}
