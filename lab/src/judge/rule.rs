//! One rule through every operation: what was seen of it, which parts differ, and what follows for packets.

use std::rc::Rc;
use std::sync::Arc;

use super::by_operation::{Answer, RestoreVerdict, WriteVerdict};
use super::chain_in_lane::RuleInLane;
use super::complaint::{each_line_once, why_unwritten};
use super::consequence;
use super::fate::{Fate, Fates};
use super::location::Location;
use super::reading::Restored;
use super::reason::{Complaint, Lacking, Reason};
use super::rewrite::is_alike;
use super::verdict::{Consequence, Impact, Verdict};
use super::{Pairing, RuleVerdict};
use crate::observed::End;
use crate::plan::Operation;
use crate::recording::CommandRecord;
use crate::tool::{Difference, Rule};

impl<'a> Pairing<'a> {
    /// The verdicts about a rule that the writer did not take.
    pub(super) fn refused_by_writer(&self, location: &Location<'_>) -> RuleVerdict {
        let refusal = self.evidence.refusal(location.global);
        let complaint = refusal.map(|command| self.complaint(command));
        let lacked = self.evidence.lacked_around(location.rule);
        let verdict = match refusal.map(|command| command.end) {
            Some(End::Signal(_)) => WriteVerdict::Crashed,
            Some(End::TimedOut) => WriteVerdict::TimedOut,
            _ if complaint.as_ref().is_some_and(says_unsupported) => WriteVerdict::Unsupported,
            _ if lacked.is_some() => WriteVerdict::Unsupported,
            _ => WriteVerdict::Refused,
        };
        let why = |complaint: Complaint| match lacked {
            Some(lacked) => Reason::Lacking {
                what: Lacking::Surroundings(lacked.into()),
                complaint: complaint.core(),
            },
            None => why_unwritten(complaint, location.rule),
        };
        self.unwritten(location, verdict, complaint.map(why))
    }

    /// The verdicts about a rule of a scenario that this kernel has not what it takes for.
    pub(super) fn lacking(&self, location: &Location<'_>, lacks: &str) -> RuleVerdict {
        self.unwritten(
            location,
            WriteVerdict::Unsupported,
            Some(Reason::said(lacks)),
        )
    }

    fn unwritten(
        &self,
        location: &Location<'_>,
        write: WriteVerdict,
        reason: Option<Reason>,
    ) -> RuleVerdict {
        let mut verdict = self.blank(location);
        verdict.operations.set_because(Answer::Write(write), reason);
        verdict
    }

    /// The verdicts about a rule of whose writing the recording holds no dump.
    pub(super) fn unknown(&self, location: &Location<'_>) -> RuleVerdict {
        let mut verdict = self.blank(location);
        verdict.operations.explain(Operation::Write, Reason::NoDump);
        verdict
    }

    /// The verdicts about a rule that the writer took.
    pub(super) fn rule(&self, in_lane: RuleInLane<'_, 'a>) -> RuleVerdict {
        let mut verdict = self.blank(in_lane.location);
        verdict.written = in_lane.written().map(|rule| rule.text.clone());
        verdict.witness_before = in_lane.witness_before().map(|rule| rule.text.clone());
        let operations = &mut verdict.operations;
        if let Some(write) = write(in_lane).filter(|_| self.witness_speaks_like_writer()) {
            operations.set(Answer::Write(write));
        }
        let rewritten = self.rewritten(in_lane);
        let rewrite = rewritten.as_ref().map(|fate| fate.verdict);
        let read = self.read(in_lane, rewrite);
        operations.set_because(Answer::Save(read.verdict), read.reason);
        let (reading, chain) = (&in_lane.chain.reading, in_lane.chain);
        let synced = self.synced(in_lane, &reading.sync, &chain.synced);
        let noflush = self.synced(in_lane, &reading.sync_noflush, &chain.synced_noflush);
        let restored = [
            (Answer::Rewrite as fn(RestoreVerdict) -> Answer, &rewritten),
            (Answer::Sync, &synced),
            (Answer::SyncNoflush, &noflush),
        ];
        for (answer, fate) in restored {
            if let Some(fate) = fate {
                operations.set_because(answer(fate.verdict), fate.reason.clone());
            }
        }
        let read = read.rule;
        verdict.read = read.as_ref().map(|rule| rule.text.clone());
        let after = rewritten.as_ref().and_then(|fate| fate.after.as_ref());
        verdict.witness_after = after.map(|rule| rule.text.clone());
        let is_kept = rewrite == Some(RestoreVerdict::Kept);
        let reread = self.recognise(in_lane, is_kept, &mut verdict);
        let drifted = self.cycle(in_lane, &mut verdict);
        let seen = Aftermath {
            read,
            rewritten,
            reread,
            synced,
            noflush,
            drifted,
        };
        finish(in_lane, &seen, verdict)
    }

    /// What the rewrite made of it. A save that failed is not restored by anyone who looks at exit statuses.
    fn rewritten(&self, in_lane: RuleInLane<'_, '_>) -> Option<Fate> {
        let reading = &in_lane.chain.reading;
        if reading.rewrite.is_none() && reading.saved.succeeded() {
            return None;
        }
        let restored = reading
            .rewrite
            .as_ref()
            .zip(in_lane.chain.rewritten.as_deref());
        let fate = self.fate(in_lane, &reading.saved, restored);
        // What is said of its lines alone is said of them.
        let part = reading.part.as_ref().map(|part| part.restored.command);
        Some(match part {
            Some(command) if fate.verdict == RestoreVerdict::Unrestorable => {
                let complaint = Reason::Complaint(self.complaint(command));
                Fate::because(RestoreVerdict::Unrestorable, complaint)
            }
            _ => fate,
        })
    }

    /// What a sync made of it.
    fn synced(
        &self,
        in_lane: RuleInLane<'_, '_>,
        sync: &Option<Restored<'_>>,
        fates: &Option<Rc<Fates>>,
    ) -> Option<Fate> {
        let restored = sync.as_ref().zip(fates.as_deref())?;
        Some(self.fate(in_lane, &in_lane.chain.reading.saved, Some(restored)))
    }

    /// A rule of which nothing is known yet.
    pub(super) fn blank(&self, location: &Location<'_>) -> RuleVerdict {
        RuleVerdict {
            table: location.names.table.clone(),
            chain: location.names.chain.clone(),
            index: location.index,
            tool: location.rule.tool,
            layer: location.layer,
            given: location.rule.text.clone(),
            ..RuleVerdict::default()
        }
    }

    /// What a command that failed said: its standard error, or how it ended.
    pub(super) fn complaint(&self, command: &CommandRecord) -> Complaint {
        let said = self.evidence.text(command.stderr);
        match each_line_once(said.trim()) {
            said if said.is_empty() => Complaint::Ended(command.end),
            said => Complaint::Said(said.into()),
        }
    }
}

/// Writer and witness, side by side; none where there is no witness to ask.
fn write(in_lane: RuleInLane<'_, '_>) -> Option<WriteVerdict> {
    let witness = in_lane.witness_before()?;
    Some(match is_alike(in_lane.written(), Some(witness)) {
        true => WriteVerdict::Faithful,
        false => WriteVerdict::Misprinted,
    })
}

/// What was seen of a rule after it was written.
struct Aftermath {
    /// As the reader prints it.
    read: Option<Arc<Rule>>,
    /// What the rewrite made of it.
    rewritten: Option<Fate>,
    /// As the writer prints it after the rewrite.
    reread: Option<Arc<Rule>>,
    /// What the sync made of it.
    synced: Option<Fate>,
    /// What the sync without a flush made of it.
    noflush: Option<Fate>,
    /// What became of it as both went on rewriting, if it did not stay.
    drifted: Option<Fate>,
}

impl Aftermath {
    /// The first of rewrite, syncs and cycle that did not keep it.
    fn damage(&self) -> Option<&Fate> {
        let fates = self.rewritten.iter().chain(&self.synced);
        let fates = fates.chain(&self.noflush).chain(&self.drifted);
        fates
            .into_iter()
            .find(|fate| fate.verdict == RestoreVerdict::Changed)
    }
}

/// Names the parts that differ, and says what follows for packets.
fn finish(in_lane: RuleInLane<'_, '_>, seen: &Aftermath, mut verdict: RuleVerdict) -> RuleVerdict {
    let in_kernel = seen
        .damage()
        .and_then(|fate| fate.in_kernel.as_deref().cloned());
    let in_kernel = in_lane.witness_before().zip(in_kernel);
    let found = in_kernel.or_else(|| differing(in_lane, seen, &verdict));
    verdict.potential = potential(in_lane, seen, found.as_ref(), &verdict);
    verdict.consequence = verdict
        .potential
        .filter(|_| seen.damage().is_some())
        .map(Impact::from);
    if let Some((_, difference)) = found {
        (verdict.lost, verdict.altered, verdict.added) =
            (difference.lost, difference.altered, difference.added);
    }
    verdict
}

/// What the difference does to packets, or would if what was read were written back.
fn potential(
    in_lane: RuleInLane<'_, '_>,
    seen: &Aftermath,
    found: Option<&(&Arc<Rule>, Difference)>,
    verdict: &RuleVerdict,
) -> Option<Consequence> {
    let original = in_lane.witness_before().or(in_lane.written());
    let original = original.map_or(in_lane.location.rule, |rule| &**rule);
    let damage = seen.damage();
    if damage.is_some_and(|fate| fate.is_gone) {
        return Some(consequence::of_vanished(original));
    }
    // Another wording of a rule that the kernel still holds, and that its writer still knows, harms nobody.
    let is_harmless = verdict.of(Operation::Save) == Some(Verdict::Reworded)
        && verdict.of(Operation::Recognition) != Some(Verdict::Misread)
        && damage.is_none();
    if is_harmless {
        return None;
    }
    let left_out = verdict.of(Operation::Save) == Some(Verdict::Differs)
        && seen.read.is_none()
        && in_lane.chain.read.is_some()
        && verdict.of(Operation::Rewrite).is_none();
    match found {
        Some((from, difference)) => Some(consequence::of_changed(from, difference)),
        None if left_out => Some(consequence::of_vanished(original)),
        None => None,
    }
}

/// The two prints whose difference says most: what the kernel lost, as the witness prints it; else what the reader
/// prints; else what the writer prints afterwards.
fn differing<'l>(
    in_lane: RuleInLane<'l, '_>,
    seen: &Aftermath,
    verdict: &RuleVerdict,
) -> Option<(&'l Arc<Rule>, Difference)> {
    let (written, read) = (in_lane.written_for_readers(), seen.read.as_ref());
    let damage = seen.damage();
    let compared = [
        (
            damage.is_some(),
            in_lane.witness_before(),
            damage.and_then(|fate| fate.after.as_ref()),
        ),
        (
            matches!(
                verdict.of(Operation::Save),
                Some(Verdict::Lossy | Verdict::Differs)
            ),
            written,
            read,
        ),
        (
            verdict.of(Operation::Recognition) == Some(Verdict::Misread),
            written,
            seen.reread.as_ref(),
        ),
        (
            verdict.of(Operation::Save) == Some(Verdict::Reworded),
            written,
            read,
        ),
    ];
    compared
        .into_iter()
        .filter(|(applies, ..)| *applies)
        .find_map(|(_, from, to)| {
            let (from, to) = (from?, to?);
            let difference = from.difference(to);
            (!difference.is_empty()).then_some((from, difference))
        })
}

/// Whether a refusal says that something is missing, rather than that the rule is wrong.
pub(super) fn says_unsupported(complaint: &Complaint) -> bool {
    const LACKS: [&str; 6] = [
        "missing kernel module",
        "No chain/target/match by that name",
        "can't initialize",
        "not supported",
        "Protocol not supported",
        "No such file or directory",
    ];
    lacks_an_extension(complaint) || complaint.has_one_of(&LACKS)
}

/// Whether a refusal says that the build lacks a match or a target.
pub(super) fn lacks_an_extension(complaint: &Complaint) -> bool {
    complaint.has_one_of(&["Couldn't load match", "Couldn't load target"])
}
