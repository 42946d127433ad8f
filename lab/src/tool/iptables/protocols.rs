//! Names of protocols that the builds do not know: every build has Debian's `/etc/protocols`, which leaves out some of IANA's
//! names and has others for the same numbers. A number is known to every build.

use std::borrow::Cow;

use super::tokens;

/// IANA's names, as Red Hat's `/etc/protocols` has them, that Debian's (netbase 6.4) has not: `ipv4` is `ipencap` there, and
/// `ospfigp` is `ospf`.
const UNKNOWN: [(&str, u8); 20] = [
    ("ipv4", 4),
    ("cbt", 7),
    ("argus", 13),
    ("emcon", 14),
    ("mux", 18),
    ("il", 40),
    ("sdrp", 42),
    ("dsr", 48),
    ("swipe", 53),
    ("narp", 54),
    ("mobile", 55),
    ("tlsp", 56),
    ("ospfigp", 89),
    ("pgm", 113),
    ("smp", 121),
    ("ptp", 123),
    ("crtp", 126),
    ("crudp", 127),
    ("iplt", 129),
    ("rsvp-e2e-ignore", 134),
];

/// A protocol's name and the number that takes its place.
pub type Renamed = (&'static str, u8);

/// A ruleset with numbers for the names of protocols that the builds do not know, and which these are. All else stands as it
/// stood.
pub fn with_numbers(text: &str) -> (Cow<'_, str>, Vec<Renamed>) {
    let mut renamed: Vec<Renamed> = Vec::new();
    let mut lines: Vec<Cow<'_, str>> = Vec::new();
    for line in text.split_inclusive('\n') {
        lines.push(match in_line(line) {
            Some((line, names)) => {
                let new = names.into_iter().filter(|name| !renamed.contains(name));
                let new: Vec<Renamed> = new.collect();
                renamed.extend(new);
                line.into()
            }
            None => line.into(),
        });
    }
    match renamed.is_empty() {
        true => (text.into(), renamed),
        false => (lines.concat().into(), renamed),
    }
}

/// A line with numbers for such names, if it has any.
fn in_line(line: &str) -> Option<(String, Vec<Renamed>)> {
    let content = line.trim_end_matches(['\n', '\r']);
    // Most lines of most rulesets name none.
    if !UNKNOWN.iter().any(|(name, _)| content.contains(name)) {
        return None;
    }
    let words = tokens::split(content).ok()?;
    let mut out = line.to_owned();
    let mut renamed = Vec::new();
    for pair in words.windows(2).rev() {
        let is_protocol = ["-p", "--protocol", "--proto"].contains(&&*pair[0].text);
        let known = UNKNOWN.iter().find(|(name, _)| *name == pair[1].text);
        if let (true, Some(&(name, number))) = (is_protocol, known) {
            out.replace_range(pair[1].span.clone(), &number.to_string());
            renamed.push((name, number));
        }
    }
    (!renamed.is_empty()).then_some((out, renamed))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("-A INPUT -p ipv4 -j ACCEPT\n", "-A INPUT -p 4 -j ACCEPT\n")]
    #[case(
        "-A INPUT ! --protocol ipv4 -j DROP",
        "-A INPUT ! --protocol 4 -j DROP"
    )]
    #[case(
        "-A O -p ospfigp -j A\r\n-A O -p tcp -j A\n",
        "-A O -p 89 -j A\r\n-A O -p tcp -j A\n"
    )]
    fn a_name_that_no_build_knows_becomes_its_number(#[case] given: &str, #[case] written: &str) {
        assert_eq!(with_numbers(given).0, written);
    }

    #[rstest]
    #[case("-A INPUT -p ipencap -j ACCEPT\n")]
    #[case("-A INPUT -p tcp -m comment --comment \"-p ipv4 \" -j ACCEPT\n")]
    #[case(":ipv4 - [0:0]\n-A INPUT -j ipv4\n")]
    fn all_else_stands_as_it_stood(#[case] given: &str) {
        let (written, renamed) = with_numbers(given);
        assert!(matches!(written, Cow::Borrowed(_)) && renamed.is_empty());
        assert_eq!(written, given);
    }

    /// What is in the table must not be in the file that the builds have.
    #[test]
    fn the_names_are_none_of_debians() {
        let debians = [
            "ipencap", "ospf", "tcp", "igmp", "ipip", "gre", "esp", "ah", "pim", "vrrp",
        ];
        assert!(UNKNOWN.iter().all(|(name, _)| !debians.contains(name)));
    }
}
