//! What verdicts, consequences and gaps mean, each in half a sentence.

use crate::judge::NotRun;
use crate::judge::verdict::{Consequence, Verdict};
use crate::matrix::Absence;

/// What a verdict means.
pub fn verdict_meaning(of: Verdict) -> &'static str {
    match of {
        Verdict::Faithful => "writer and witness print it alike",
        Verdict::Misprinted => "writer and witness print it differently",
        Verdict::Refused => "the program ends with an error",
        Verdict::Unsupported => {
            "not tested: the build, the kernel or the surroundings lack what it takes"
        }
        Verdict::Same => "printed and kept as it was",
        Verdict::Reworded => "printed differently, kept",
        Verdict::Lossy => "printed differently, and not kept",
        Verdict::Differs => "printed differently or not at all, and not written back",
        Verdict::Incompatible => "another rule keeps the program from the rule's table",
        Verdict::Invisible => "not in the reader's tables: not seen, not touched",
        Verdict::Crashed => "the build dies",
        Verdict::TimedOut => "the build hangs",
        Verdict::Kept => "the kernel holds the same rule",
        Verdict::Changed => "the kernel does not hold the same rule any more",
        Verdict::Unrestorable => "the reader refuses its own print",
        Verdict::NothingToRestore => "not printed, so not restored",
        Verdict::Recognised => "the writer still knows it",
        Verdict::Misread => "after the rewrite its writer reads it differently",
        Verdict::Unreadable => "after the rewrite its writer cannot read its table any more",
        Verdict::Stable => "however often both rewrite, it stays",
        Verdict::Drifts => "the first rewrite keeps it; later ones change it",
        Verdict::Found => "-C finds it",
        Verdict::NotFound => "-C does not find it",
        Verdict::FoundWrong => "-C finds a rule that is not there",
        Verdict::Deleted => "-D deletes it",
        Verdict::NotDeleted => "-D does not delete it",
        Verdict::WrongRule => "-D deletes another rule",
        Verdict::Averted => "the reader looks first, and takes its other backend",
        Verdict::Doubled => "not seen, so written again: there under both backends",
    }
}

/// What a consequence means.
pub fn consequence_meaning(of: Consequence) -> &'static str {
    match of {
        Consequence::Misdirected => "packets are treated otherwise than the rule says",
        Consequence::Exposure => "packets that the rules kept out are let through",
        Consequence::Blackhole => "packets that the rules let through are dropped",
    }
}

/// Why an operation that was asked for has no verdict about a rule.
pub fn not_run_meaning(of: NotRun) -> &'static str {
    match of {
        NotRun::NotWritten => "the rule could not be written",
        NotRun::Averted => "the reader looks first, and takes its other backend",
        NotRun::NotSampled => {
            "not sampled: of more than 300 rules one of each shape is asked for, at most 100; --all-rules asks for all"
        }
        NotRun::NoWitness => "there is no other build that could print it a second time",
        NotRun::NotPrinted => "its writer itself does not print it",
        NotRun::NothingRestored => "the reader could not print and restore the rules",
        NotRun::OtherBackend => "it is in the other backend's tables",
        NotRun::SameBackend => "only a reader of the other backend writes it anew",
        NotRun::OtherLayer => {
            "it is a bystander's rule: a reader writes only the writer's rules anew"
        }
        NotRun::OtherWords => "it is in another tool's words, in which the reader is not asked",
        NotRun::NoCommand => "the reader's tool has no command for that",
    }
}

/// Why a pairing has no cell.
pub fn absence_meaning(of: Absence) -> &'static str {
    match of {
        Absence::NotRun => "the run was cut short before this pairing",
        Absence::NotOfScenario => "the scenario's system never puts these two side by side",
    }
}

/// What stands where a pairing has no cell.
pub fn absence(of: Absence) -> &'static str {
    match of {
        Absence::NotRun => "not run",
        Absence::NotOfScenario => "not in the scenario",
    }
}
