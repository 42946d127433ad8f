//! What differs from run to run by a build's own doing, on either engine and in any order.

use crate::catalog::{Backend, Build, Family, Tool};
use crate::judge::Cell;
use crate::plan::Operation;

/// `check_entry()` in iptables/ip6tables.c of 1.8.9 makes its mask as long as a pointer, and not as the entry. Mended in
/// 1.8.10 by 78850e7dba64, "ip6tables: Fix checking existence of rule".
const SHORT_MASK: &str = "ip6tables-legacy -C of 1.8.9 compares rules by a mask that is too short, and by what lies behind it in memory (mended in 1.8.10): \
     whether it finds a near miss differs from run to run";

/// A word about it; none where nobody was asked what chance answers.
pub(super) fn note(builds: &[Build], cells: &[Cell]) -> Option<String> {
    let has_short_mask = |build: &&Build| {
        build.tool == Tool::Iptables
            && build.backend == Backend::Legacy
            && build.version.release() == "1.8.9"
    };
    let readers: Vec<&Build> = builds.iter().filter(has_short_mask).collect();
    let was_asked = |cell: &Cell| {
        cell.family == Family::Ipv6
            && readers.iter().any(|reader| reader.id == cell.reader)
            && cell
                .outcome
                .rules
                .iter()
                .any(|rule| rule.of(Operation::Check).is_some())
    };
    cells.iter().any(was_asked).then(|| SHORT_MASK.to_owned())
}
