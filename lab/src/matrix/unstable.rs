//! What differs from run to run by a build's own doing, on either engine and in any order.

use crate::catalog::{Backend, Build, Family, Tool};
use crate::judge::Cell;
use crate::plan::Operation;

/// What differs from run to run by a build's own doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnstableAnswer {
    /// `check_entry()` in iptables/ip6tables.c of 1.8.9 makes its mask as long as a pointer, and not as the entry. Mended in
    /// 1.8.10 by 78850e7dba64, "ip6tables: Fix checking existence of rule".
    ShortMask,
}

impl UnstableAnswer {
    /// What of it may be seen in these cells; none where nobody was asked what chance answers.
    pub(super) fn of(builds: &[Build], cells: &[Cell]) -> Option<Self> {
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
        let is_seen = cells.iter().any(was_asked);
        is_seen.then_some(UnstableAnswer::ShortMask)
    }
}
