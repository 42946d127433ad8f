//! What `ipset save` prints: the sets of a node, with their entries.

use super::check::LONGEST_SET;
use super::{Entry, Part, Set, SetKind};
use crate::catalog::Family;
use crate::tool::{Fault, InFile};

/// The sets of a file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IpsetFile {
    /// Those that can be made, lists of sets last.
    pub sets: Vec<Set>,
    /// What cannot, a sentence each.
    pub left_out: Vec<String>,
}

/// How many entries a set has at most where nobody says otherwise (`IPSET_DEFAULT_MAXELEM`).
const MOST_ENTRIES: usize = 65_536;

impl IpsetFile {
    /// Reads what `ipset save` printed; `name` is the file it stands in.
    ///
    /// # Errors
    /// A line is none of its.
    pub fn read(name: &str, text: &str) -> Result<IpsetFile, InFile> {
        let mut file = IpsetFile::default();
        let mut unmade: Vec<String> = Vec::new();
        let mut dropped = Vec::new();
        let mut start = 0;
        for line in text.split_inclusive('\n') {
            let span = start..start + line.trim_end().len();
            start += line.len();
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                [] => {}
                [comment, ..] if comment.starts_with('#') => {}
                ["create", set, kind, options @ ..] => match made(set, kind, options) {
                    Some(set) => file.sets.push(set),
                    None => {
                        unmade.push((*set).to_owned());
                        file.left_out.push(format!(
                            "{set} is of type {kind}, which the lab does not make: an empty set stands in for it"
                        ));
                    }
                },
                ["add", set, entry, options @ ..] => {
                    let nomatch = options.iter().take_while(|word| **word != "comment");
                    let entry = match nomatch.copied().any(|word| word == "nomatch") {
                        true => format!("{entry} nomatch"),
                        false => (*entry).to_owned(),
                    };
                    match file.sets.iter_mut().find(|of| of.name == *set) {
                        Some(of) if is_taken(of, &entry) => of.entries.push(entry),
                        None if !unmade.iter().any(|of| of == set) => {
                            let wrong = format!("there is no set {set} above this line");
                            return Err(Fault::at(text, span, wrong).in_file(name, text));
                        }
                        Some(_) | None => dropped.push((*set).to_owned()),
                    }
                }
                _ => {
                    let fault = Fault::at(text, span, "this is no line of `ipset save`");
                    let fault = fault.with_help("give it what `ipset save` prints on the node");
                    return Err(fault.in_file(name, text));
                }
            }
        }
        file.put_in_order();
        for of_set in dropped.chunk_by(|one, other| one == other) {
            let (set, count) = (&of_set[0], of_set.len());
            if !unmade.contains(set) {
                let said =
                    format!("{set}: {count} entries are left out, which the lab cannot make");
                file.left_out.push(said);
            }
        }
        Ok(file)
    }

    /// Sets before the lists that have them as entries, and no entry that is no set.
    fn put_in_order(&mut self) {
        self.sets.sort_by_key(|set| set.kind == SetKind::ListSet);
        let is_list = |set: &&Set| set.kind == SetKind::ListSet;
        let plain = self.sets.iter().filter(|set| !is_list(set));
        let plain: Vec<String> = plain.map(|set| set.name.clone()).collect();
        let lists = self.sets.iter_mut();
        for list in lists.filter(|set| set.kind == SetKind::ListSet) {
            list.entries.retain(|entry| plain.contains(entry));
        }
    }
}

fn made(name: &str, kind: &str, options: &[&str]) -> Option<Set> {
    let is_inet6 = options.windows(2).any(|of| of == ["family", "inet6"]);
    let kind = SetKind::named(kind).filter(|_| name.len() <= LONGEST_SET)?;
    Some(Set {
        name: name.to_owned(),
        kind,
        family: match is_inet6 {
            true => Family::Ipv6,
            false => Family::Ipv4,
        },
        entries: Vec::new(),
    })
}

/// Whether the kernel takes an entry. Of networks of no length only sets with interfaces have any (`hash_net4_uadt` of
/// net/netfilter/ipset/ip_set_hash_net.c).
fn is_taken(set: &Set, entry: &str) -> bool {
    let Ok(read) = Entry::parse(set.kind, set.family, entry) else {
        return false;
    };
    let is_all = |part: &Part| {
        matches!(
            part,
            Part::Address {
                length: Some(0),
                ..
            }
        )
    };
    // Entries become words of scripts. What nobody calls an interface or a set is left out.
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:,=@%+ ".contains(c);
    if !entry.chars().all(plain) {
        return false;
    }
    let has_all = read.parts.iter().any(is_all) && set.kind != SetKind::HashNetIface;
    set.entries.len() < MOST_ENTRIES && !has_all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As ipset 7.19 saves it.
    const SAVED: &str = "\
create all list:set size 8
create web hash:net family inet hashsize 1024 maxelem 65536 timeout 300 comment bucketsize 12 initval 0x5f8f8a3c
create six hash:ip family inet6 hashsize 1024 maxelem 65536 bucketsize 12 initval 0x1b2c3d4e
create cards hash:mac hashsize 1024 maxelem 65536 bucketsize 12 initval 0x2a3b4c5d
add all web
add all cards
add web 10.0.0.0/8 timeout 299 comment \"nomatch this\"
add web 10.1.0.0/16 timeout 299 nomatch
add six fd00::1
add cards 00:11:22:33:44:55
";

    #[test]
    fn the_sets_of_a_node_are_read_with_what_is_in_them() {
        let file = IpsetFile::read("node.ipset", SAVED).expect("it was saved");
        let sets: Vec<String> = file
            .sets
            .iter()
            .map(|of| {
                format!(
                    "{} {} {} {:?}",
                    of.name,
                    of.kind.as_str(),
                    of.family,
                    of.entries
                )
            })
            .collect();
        let expected = [
            "web hash:net ipv4 [\"10.0.0.0/8\", \"10.1.0.0/16 nomatch\"]",
            "six hash:ip ipv6 [\"fd00::1\"]",
            "all list:set ipv4 [\"web\"]",
        ];
        assert_eq!(sets, expected);
        let [left_out] = file.left_out.as_slice() else {
            panic!("{:?}", file.left_out);
        };
        assert!(
            left_out.starts_with("cards is of type hash:mac"),
            "{left_out}"
        );
    }

    #[test]
    fn what_was_not_saved_by_ipset_is_refused_at_its_line() {
        let wrong = IpsetFile::read("node.ipset", "create web hash:ip\nName: web\n");
        let said = format!(
            "{:?}",
            miette::Report::new(wrong.expect_err("it is no save"))
        );
        assert!(
            said.contains("no line of `ipset save`") && said.contains("Name: web"),
            "{said}"
        );
        assert!(IpsetFile::read("node.ipset", "add web 10.0.0.1\n").is_err());
    }

    #[test]
    fn an_entry_that_a_shell_would_run_is_left_out_and_said_so() {
        let saved =
            "create nets hash:net,iface\nadd nets 10.0.0.0/8,$(id)\nadd nets 10.0.0.0/8,eth0\n";
        let file = IpsetFile::read("node.ipset", saved).expect("it was saved");
        assert_eq!(file.sets[0].entries, ["10.0.0.0/8,eth0"]);
        assert_eq!(
            file.left_out,
            ["nets: 1 entries are left out, which the lab cannot make"]
        );
    }
}
