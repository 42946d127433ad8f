//! What tables and policies are called in a ruleset.

use super::words::Word;
use crate::catalog::Family;
use crate::observed::nft_family;

/// What the ruleset calls a table.
pub(super) fn name_of(family: Family, table_family: &str, table: &str) -> String {
    if table_family == nft_family(family) {
        table.to_owned()
    } else {
        format!("{table_family} {table}")
    }
}

/// The policy of a base chain, in iptables' words; none of a chain that hangs nowhere.
pub(super) fn policy(block: &[Word]) -> Option<String> {
    block.iter().find(|word| word.is("hook"))?;
    let at = block.iter().position(|word| word.is("policy"));
    let word = at.and_then(|at| block.get(at + 1));
    Some(word.map_or_else(|| "ACCEPT".to_owned(), |word| word.text.to_uppercase()))
}
