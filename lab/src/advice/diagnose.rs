//! What a node's rules look like that some reader has damaged, told from nothing but their print.

use std::collections::{BTreeMap, BTreeSet};

use super::finding::Finding;
use super::known_rules::{Done, KnownRules};
use super::print::Section;
use super::published::{Damage, Published};
use super::repair::{Repair, repair};
use crate::catalog::{Backend, BuildId, Origin};
use crate::matrix::{BuildSet, Certainty, Member};

/// Who may have done it: readers, and the writers whose rules they damage so. Of two that rewrite in turn, whoever encoded what the
/// other one decoded otherwise is the writer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Likely {
    /// The writers.
    pub writers: BuildSet,
    /// The readers.
    pub readers: BuildSet,
    /// How many of the damaged lines that explains.
    pub explained: usize,
}

/// What is to be said of a print.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    /// All that was found, in the print's order.
    pub findings: Vec<Finding>,
    /// Who may have damaged rules; none where none are.
    pub likely: Option<Likely>,
    /// Which releases printed it, where it says so: `1.8.9`.
    pub printed_by: BTreeSet<String>,
    /// What mends it.
    pub repair: Repair,
}

/// Looks through what `iptables-save` printed.
pub fn diagnose(sections: &[Section], known: &KnownRules<'_>) -> Diagnosis {
    let mut findings: Vec<Finding> = sections
        .iter()
        .flat_map(|section| known.findings(section))
        .collect();
    if are_of_two_backends(sections) {
        findings.push(Finding::TwoBackends);
    }
    let printed_by: BTreeSet<String> = sections
        .iter()
        .filter_map(|of| of.release.clone())
        .collect();
    Diagnosis {
        likely: likely(&findings, &known.damages, known.published),
        repair: repair(&findings, &printed_by),
        findings,
        printed_by,
    }
}

/// Whether legacy builds and nft builds both have tables: a print says so in a warning, or there are two prints.
fn are_of_two_backends(sections: &[Section]) -> bool {
    let mut comments = sections
        .iter()
        .flat_map(|section| &section.printed.comments);
    let says_so = comments.any(|comment| {
        comment.contains("-legacy tables present") || comment.contains("legacy tables present, use")
    });
    let with_tables = sections
        .iter()
        .filter(|section| !section.printed.tables.is_empty());
    let backends: BTreeSet<Backend> = with_tables.filter_map(|section| section.backend).collect();
    says_so || backends.len() > 1
}

/// The pairings that explain most of the damaged lines.
fn likely(findings: &[Finding], known: &[Done<'_>], published: &Published) -> Option<Likely> {
    let damaged = findings.iter().filter_map(|finding| match finding {
        Finding::Damaged(damaged) => Some(&damaged.damage),
        _ => None,
    });
    // Where the writer only reads the rule so, it is not in the kernel before the writer itself writes that.
    let is_done = |damage: &Damage| damage.certainty() != Certainty::IfWrittenBack;
    let mut explained: BTreeMap<(&BuildId, &BuildId), usize> = BTreeMap::new();
    for found in damaged {
        // Whatever leaves the same line of the same rule may have done it.
        let alike = known.iter().filter(|done| {
            let damage = done.damage;
            let same_place = damage.table == found.table && damage.chain == found.chain;
            same_place
                && is_done(damage)
                && damage.left.iter().any(|left| found.left.contains(left))
        });
        let parties = alike.flat_map(|done| {
            let worst = done.damage.worst_of_parts();
            let pairs = published.pairings(done.pairs);
            pairs.filter_map(move |pair| Some(worst?.parties(pair)))
        });
        let pairs: BTreeSet<_> = parties.collect();
        for pair in pairs {
            *explained.entry(pair).or_insert(0) += 1;
        }
    }
    let most = *explained.values().max()?;
    let best = explained.iter().filter(|(_, count)| **count == most);
    let (writers, readers): (BTreeSet<&BuildId>, BTreeSet<&BuildId>) =
        best.map(|(pair, _)| *pair).unzip();
    Some(Likely {
        writers: set(&writers, published),
        readers: set(&readers, published),
        explained: most,
    })
}

/// Those of the report's builds.
fn set(chosen: &BTreeSet<&BuildId>, published: &Published) -> BuildSet {
    let members = published.builds.iter().map(|build| Member {
        id: &build.id,
        version: &build.version,
        tool: build.tool,
        backend: build.backend,
        variant: build.variant.as_ref(),
        // A report that is published is of releases and packages.
        origin: Origin::Upstream,
    });
    BuildSet::of(members, |id| chosen.contains(id))
}
