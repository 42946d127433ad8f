//! A print with some of its rules.

use crate::observed::Text;

/// The table and chain of each rule of a print, in the order of the text.
pub fn places(print: &str) -> Vec<(&str, &str)> {
    let mut table = "";
    let mut places = Vec::new();
    for line in print.lines() {
        if let Some(name) = line.strip_prefix('*') {
            table = name.trim_end();
        }
        if let Some(rule) = line.strip_prefix(RULE) {
            let chain = rule.split(' ').next().unwrap_or_default();
            places.push((table, chain));
        }
    }
    places
}

/// A print with only the rules whose place is kept, and all of its chains.
pub fn only(print: &Text, keep: &dyn Fn(usize) -> bool) -> Text {
    let mut rule = 0;
    let is_kept = |line: &&[u8]| {
        if !line.starts_with(RULE.as_bytes()) {
            return true;
        }
        rule += 1;
        keep(rule - 1)
    };
    let lines = print.bytes().split(|&byte| byte == b'\n');
    let kept: Vec<&[u8]> = lines.filter(is_kept).collect();
    kept.join(&b'\n').into()
}

/// What a line begins with that is a rule.
const RULE: &str = "-A ";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_print_has_all_chains_and_some_rules() {
        let saved = "# by\n*nat\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -j ACCEPT\nCOMMIT\n*filter\n:INPUT ACCEPT [0:0]\n\
                     -A INPUT -j DROP\n-A INPUT -j ACCEPT\nCOMMIT\n";
        let filter = ("filter", "INPUT");
        assert_eq!(places(saved), [("nat", "OUTPUT"), filter, filter]);
        let saved = Text::from(saved);
        let part = only(&saved, &|rule| rule != 1);
        let expected = "# by\n*nat\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -j ACCEPT\nCOMMIT\n*filter\n\
                        :INPUT ACCEPT [0:0]\n-A INPUT -j ACCEPT\nCOMMIT\n";
        assert_eq!(part.to_lossy(), expected);
        assert_eq!(only(&saved, &|_| true), saved);
    }
}
