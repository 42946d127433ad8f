//! Which cause each loss of a run has: exactly one.

use super::clauses::{
    clauses_of, counterpart, is_elsewhere, is_plain, is_reordered, joined, named_only,
};
use super::own::OwnRules;
use super::signature::{Effect, Own, Signature};
use crate::catalog::{BuildId, Family};
use crate::judge::verdict::Verdict;
use crate::judge::{Cell, RuleVerdict};
use crate::matrix::{Certainty, Harm, Harmed, How, LostPart, Matrix, Side, harms, parts};
use crate::observed::{Clause, Encoding};
use crate::plan::Operation;

/// What one operation of a pairing does to one part of a rule, or to a rule or a chain as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// The rule's place among the cell's rules; none where the chain itself suffers.
    pub rule: Option<usize>,
    /// The place of the rule, or behind all of them of the chain.
    pub subject: usize,
    /// What is done to it.
    pub harm: Harm,
    /// The part of which this is said.
    pub part: LostPart,
    /// Who encoded the rule that was decoded so.
    pub encoder: Side,
    /// Whether the cause is told by this loss itself, and it does not follow from another one's.
    pub is_direct: bool,
}

/// Finds the cause of each loss of a run, cell by cell.
pub struct Attribution<'m> {
    own: OwnRules<'m>,
    /// Whether nobody wrote back what was printed: what is printed otherwise is all that is known then.
    prints_only: bool,
}

/// A loss whose cause is looked for.
struct Sought {
    loss: Loss,
    effect: Effect,
    /// None of one that follows from another part's or another rule's.
    found: Option<Signature>,
}

/// Who encoded a rule of a cell, and who decodes it.
#[derive(Clone, Copy)]
struct Between<'m> {
    cell: &'m Cell,
    rule: usize,
    side: Side,
    decoder: &'m BuildId,
}

/// A loss of a rule, and what was said of the rule.
#[derive(Clone, Copy)]
struct Told<'t, 'm> {
    between: Between<'m>,
    verdict: &'t RuleVerdict,
    harm: &'t Harm,
    effect: Effect,
    part: &'t LostPart,
}

impl<'m> Between<'m> {
    /// How the rule was encoded that was decoded so.
    fn encoding(&self) -> Option<&'m Encoding> {
        let encoded = match self.side {
            Side::Writer => self.cell.encoded.by_writer(self.rule),
            Side::Reader => self.cell.encoded.by_reader(self.rule),
        };
        encoded.map(AsRef::as_ref)
    }

    /// Whether its decoder died of something in the cell.
    fn has_died(&self) -> bool {
        let mut crashes = self.cell.outcome.crashes.iter();
        crashes.any(|crash| crash.by == *self.decoder)
    }
}

impl<'t> Told<'t, '_> {
    /// What it is looked up by elsewhere.
    fn known(&self) -> (usize, Effect, &'t str) {
        (self.between.rule, self.effect, &self.part.name)
    }
}

impl<'m> Attribution<'m> {
    /// Of the cells of a run.
    pub fn new(matrix: &'m Matrix) -> Self {
        Attribution {
            own: OwnRules::of(matrix),
            prints_only: !matrix.operations.contains(&Operation::Rewrite),
        }
    }

    /// All losses of one of its cells, each with its cause.
    pub fn cell(&self, cell: &'m Cell) -> Vec<(Loss, Signature)> {
        let mut all: Vec<Sought> = Vec::new();
        for of in harms(cell) {
            self.subject(cell, &of, &mut all);
        }
        let found: Vec<Signature> = (0..all.len())
            .map(|at| {
                let told = all[at].found.clone();
                let of_other = followed_gladly(&all, at);
                let told = of_other.cloned().or(told);
                told.unwrap_or_else(|| self.followed(cell, &all, at))
            })
            .collect();
        let losses = all.into_iter().map(|of| of.loss);
        losses.zip(found).collect()
    }

    fn subject(&self, cell: &'m Cell, of: &Harmed, all: &mut Vec<Sought>) {
        let verdict = of.rule.and_then(|at| cell.outcome.rules.get(at));
        let told = of.harms.iter().filter(|harm| self.is_loss(harm));
        for harm in told {
            let encoder = harm.encoder_in(cell, verdict);
            let decoder = encoder.decoder(cell, of.rule);
            for part in parts(harm) {
                let effect = Effect::of(part.how, harm.operation);
                let between = of.rule.map(|rule| Between {
                    cell,
                    rule,
                    side: encoder,
                    decoder,
                });
                let told = between.zip(verdict).map(|(between, verdict)| Told {
                    between,
                    verdict,
                    harm,
                    effect,
                    part: &part,
                });
                let found = told.and_then(|told| self.direct(told));
                let loss = Loss {
                    rule: of.rule,
                    subject: of.rule.unwrap_or(cell.outcome.rules.len()),
                    harm: harm.clone(),
                    part,
                    encoder,
                    is_direct: found.is_some(),
                };
                all.push(Sought {
                    loss,
                    effect,
                    found,
                });
            }
        }
    }

    /// Whether something is lost, or would be if what was printed were written back.
    fn is_loss(&self, harm: &Harm) -> bool {
        let is_printed_only = harm.verdict == Verdict::Differs && self.prints_only;
        harm.is_harmful() || is_printed_only || harm.verdict == Verdict::Doubled
    }

    /// The cause that the loss itself tells; none where it follows from another one.
    fn direct(&self, told: Told<'_, 'm>) -> Option<Signature> {
        let Told {
            between,
            verdict,
            harm,
            effect,
            ..
        } = told;
        match effect {
            Effect::Doubled => self.signature(told, String::new(), Own::Itself),
            // It writes the rule itself, and fails at that.
            _ if harm.operation == Operation::Reassert => {
                self.signature(told, String::new(), Own::Itself)
            }
            Effect::HitsAnother | Effect::Misses if self.is_itself(told) => {
                let named = wrongly_found(verdict, harm);
                let form = self.own_form(told, &named);
                self.signature(told, form, Own::Itself)
            }
            Effect::HitsAnother | Effect::Misses => self.of_rule(told),
            Effect::Dropped | Effect::Altered | Effect::Added => self.of_part(told),
            // What its decoder died of it printed nothing of.
            Effect::Crashes | Effect::Hangs | Effect::Refused
                if (effect != Effect::Refused || between.has_died())
                    && self.of_sets(between).is_some() =>
            {
                let (encoded, own) = self.of_sets(between)?;
                let signature = self.signature(told, encoded, Own::As(own))?;
                Some(Signature {
                    effect: Effect::Crashes,
                    ..signature
                })
            }
            _ if is_as_run(verdict, harm) => None,
            _ if self.is_itself(told) => self.signature(told, String::new(), Own::Itself),
            _ => self.of_rule(told),
        }
    }

    fn signature(&self, told: Told<'_, 'm>, encoded: String, own: Own) -> Option<Signature> {
        Some(Signature {
            decoder: self.decoder(told.between.decoder, &encoded),
            effect: told.effect,
            encoded,
            own,
        })
    }

    /// Whether the decoder does the same to what it wrote itself.
    fn is_itself(&self, told: Told<'_, 'm>) -> bool {
        let Between {
            cell,
            rule,
            side,
            decoder,
        } = told.between;
        // What the reader left as it was, its writer reads as it wrote it.
        let is_as_written = side == Side::Reader
            && cell.encoded.by_reader(rule) == cell.encoded.by_writer(rule)
            && cell.encoded.sets_rewritten.is_none();
        // A print that is restored whole, and not without a flush, is not at fault.
        let is_of_noflush =
            told.effect == Effect::UnrestorableNoflush && is_restored_whole(cell, side);
        is_of_noflush
            || (is_as_written && !is_as_run(told.verdict, told.harm))
            || self.own.does_to_its_own(cell, decoder, told.known())
    }

    /// How the decoder encodes the rule itself.
    fn own_encoding(&self, told: Told<'_, 'm>) -> Option<&'m Encoding> {
        let Between { cell, decoder, .. } = told.between;
        self.own.encoding(cell, decoder, told.known())
    }

    /// How the decoder encodes a part itself: its own fault has its own encoding, whoever wrote the rule.
    fn own_form(&self, told: Told<'_, 'm>, part: &str) -> String {
        let own = self.own_encoding(told).or(told.between.encoding());
        let held = own.map(|own| clauses_of(told.between.cell.family, part, own));
        let form = held.and_then(|held| Some(held.first()?.form()));
        form.unwrap_or_else(|| named_only(part))
    }

    /// Of a part that is read otherwise: its first clause that the decoder would have written otherwise.
    fn of_part(&self, told: Told<'_, 'm>) -> Option<Signature> {
        let (between, part) = (told.between, told.part);
        let Between { cell, rule, .. } = between;
        let encoded = between.encoding()?;
        let is_first = || is_first(cell.family, told.harm, part, encoded);
        if self.is_itself(told) {
            let form = self.own_form(told, &part.name);
            return is_first().then(|| self.signature(told, form, Own::Itself))?;
        }
        let clauses = clauses_of(cell.family, &part.name, encoded);
        let Some(whole) = self.own_encoding(told) else {
            let after = match between.side {
                Side::Writer => cell.encoded.by_reader(rule),
                Side::Reader => None,
            };
            let is_gone = |clause: &&&Clause| after.is_some_and(|of| !of.has(&clause.form()));
            let gone = clauses.iter().find(is_gone).or(clauses.first());
            let form = gone.map(|clause| clause.form());
            let form = form.unwrap_or_else(|| named_only(&part.name));
            let own = self.extension(between.decoder, &part.name, &form);
            return self.signature(told, form, own.map_or(Own::Unknown, Own::As));
        };
        let own = clauses_of(cell.family, &part.name, whole);
        let own: Vec<String> = own.iter().map(|clause| clause.form()).collect();
        let mut new = clauses.iter().map(|clause| clause.form());
        if let Some(new) = new.find(|form| !own.contains(form)) {
            return self.signature(told, new, Own::As(joined(own)));
        }
        let is_moved = is_elsewhere(cell.family, &part.name, encoded, whole) && is_first();
        let form = clauses.first()?.form();
        is_moved.then(|| self.signature(told, form, Own::InAnotherOrder))?
    }

    /// A set that its decoder would have left otherwise, and what it leaves instead.
    fn of_sets(&self, between: Between<'m>) -> Option<(String, String)> {
        let left = match between.side {
            Side::Writer => &between.cell.encoded.sets,
            Side::Reader => between.cell.encoded.sets_by_reader(),
        };
        let own = self.own.sets(between.cell, between.decoder)?;
        let well_read = self
            .own
            .well_read_sets(between.decoder, &between.cell.scenario);
        let mut new = left.difference(own);
        let unread = new.clone().filter(|of| !well_read.contains(*of));
        // That lacks what it says of itself is a fault before anything that is only new.
        let lacking = unread.clone().find(|of| of.contains(" without "));
        let unread = lacking.or_else(|| unread.clone().next());
        let new = unread.or_else(|| new.next())?;
        // Of the same kind, up to what is kept with it.
        let kind = |of: &str| of.split(" key-").next().unwrap_or_default().to_owned();
        let mut others = own.difference(left);
        let alike = others.clone().find(|of| kind(of) == kind(new));
        let other = alike.or_else(|| others.next()).cloned();
        Some((new.clone(), other.unwrap_or_default()))
    }

    /// What a build of iptables writes of a match whose native form it does not know: the extension of that name, in whatever revision.
    /// Sets it never writes, so that says nothing of theirs.
    fn extension(&self, decoder: &BuildId, part: &str, form: &str) -> Option<String> {
        let is_xtables = self.own.build(decoder)?.tool.dialect().is_xtables();
        let is_native = !form.starts_with("match ") && !form.contains("lookup");
        let is_match = part.starts_with("match ") && !form.starts_with('(');
        (is_xtables && is_native && is_match).then(|| format!("{part} rev ?"))
    }

    /// Of a rule that goes wrong as a whole: the first clause that its decoder would have written otherwise and reads well nowhere.
    fn of_rule(&self, told: Told<'_, 'm>) -> Option<Signature> {
        let encoded = told.between.encoding()?;
        let own = self.own_encoding(told);
        let forms = encoded.clauses().map(Clause::form);
        let new: Vec<String> = match own {
            Some(own) => forms.filter(|form| !own.has(form)).collect(),
            None => forms.collect(),
        };
        let Between { cell, decoder, .. } = told.between;
        let well_read = self.own.well_read(decoder, &cell.scenario);
        let mut unread = new.iter().filter(|form| !well_read.contains(*form));
        let other = unread.clone().find(|form| !is_plain(form));
        let unread = other.or_else(|| unread.next());
        let can_be_of_sets = matches!(told.effect, Effect::Refused | Effect::Replaced);
        if unread.is_none()
            && can_be_of_sets
            && let Some((encoded, own)) = self.of_sets(told.between)
        {
            return self.signature(told, encoded, Own::As(own));
        }
        let Some(own) = own else {
            return self.signature(told, unread?.clone(), Own::Unknown);
        };
        if let Some(form) = unread.or(new.first()) {
            let other = counterpart(form, encoded, own);
            return self.signature(told, form.clone(), Own::As(other.unwrap_or_default()));
        }
        let mut more = own.clauses().map(Clause::form);
        match more.find(|form| !encoded.has(form)) {
            Some(more) => self.signature(told, String::new(), Own::As(more)),
            None => is_reordered(encoded, own)
                .then(|| self.signature(told, String::new(), Own::InAnotherOrder))?,
        }
    }

    /// The cause of a loss that follows from another: of another part of its rule, of the rule that is at fault, or of any rule that goes
    /// wrong in the same way.
    fn followed(&self, cell: &'m Cell, all: &[Sought], at: usize) -> Signature {
        let sought = &all[at];
        let loss = &sought.loss;
        let direct = all.iter().filter(|of| {
            of.found.is_some()
                && of.loss.encoder == loss.encoder
                && of.loss.harm.verdict != Verdict::Doubled
        });
        let mut of_rule = direct.clone().filter(|of| of.loss.rule == loss.rule);
        let verdict = loss.rule.and_then(|at| cell.outcome.rules.get(at));
        let culprits = verdict.into_iter().flat_map(|of| of.as_run());
        let culprits: Vec<_> = culprits.flat_map(|(_, of)| &of.because_of).collect();
        let is_culprit = |of: &&Sought| {
            let rule = of.loss.rule.and_then(|at| cell.outcome.rules.get(at));
            rule.is_some_and(|rule| {
                culprits.iter().any(|name| {
                    name.table == rule.table && name.chain == rule.chain && name.index == rule.index
                })
            })
        };
        let rank = |of: &&Sought| {
            let is_alike = of.effect == sought.effect;
            let is_near = of.loss.harm.certainty == Certainty::Shown;
            (!is_alike, !of.effect.spreads(), !is_near)
        };
        let found = match sought.effect.is_of_part() {
            true => of_rule.min_by_key(|of| !of.effect.is_of_part()),
            false => direct
                .clone()
                .filter(is_culprit)
                .min_by_key(rank)
                .or_else(|| {
                    direct
                        .clone()
                        .filter(|of| of.effect.spreads())
                        .min_by_key(rank)
                })
                .or_else(|| of_rule.next()),
        };
        let found = found.or_else(|| match loss.rule {
            Some(_) => None,
            None => direct.clone().max_by_key(|of| of.loss.harm.gravity()),
        });
        if let Some(found) = found.and_then(|of| of.found.as_ref()) {
            return found.clone();
        }
        let decoder = loss.encoder.decoder(cell, loss.rule);
        let encoded = match loss.rule {
            Some(_) if sought.effect.is_of_part() => named_only(&loss.part.name),
            Some(_) => String::new(),
            None => "chain".to_owned(),
        };
        Signature {
            decoder: self.decoder(decoder, &encoded),
            effect: sought.effect,
            encoded,
            own: Own::Unknown,
        }
    }

    /// Who decodes, as signatures have it: a program. One that lacks extension files is another where it decodes what these are for.
    fn decoder(&self, build: &BuildId, encoded: &str) -> String {
        let Some(build) = self.own.build(build) else {
            return String::new();
        };
        let program = build.tool.commands().program(build.backend);
        let form = encoded.trim_start_matches('(');
        let is_extension = form.starts_with("match ") || form.starts_with("target ");
        match is_extension && build.variant.is_some() {
            true => format!("{program} without extensions"),
            false => program,
        }
    }
}

/// Whether the part is the one that the decoder takes wrongly first; what follows it in the rule goes with it.
fn is_first(family: Family, harm: &Harm, part: &LostPart, encoded: &Encoding) -> bool {
    let place = |of: &LostPart| {
        let held = clauses_of(family, &of.name, encoded);
        let first = held.first()?;
        let mut clauses = encoded.clauses();
        clauses.position(|clause| std::ptr::eq(clause, *first))
    };
    let rank = |of: &LostPart| (of.how != How::Altered, place(of).unwrap_or(usize::MAX));
    let first = parts(harm).into_iter().min_by_key(rank);
    first.is_none_or(|first| first == *part)
}

/// The cause of what follows from another loss wherever there is that one: what a decoder reads otherwise it does not find, and what it
/// refuses it does not write back.
fn followed_gladly(all: &[Sought], at: usize) -> Option<&Signature> {
    let Sought { loss, effect, .. } = &all[at];
    let mut others = all
        .iter()
        .filter(|of| of.found.is_some() && of.loss.encoder == loss.encoder);
    let found = match effect {
        Effect::Misses => others.find(|of| {
            of.loss.rule == loss.rule && (of.effect.is_of_part() || of.effect == Effect::Refused)
        }),
        Effect::Replaced | Effect::Refused | Effect::Unrestorable => {
            let is_worse = |of: &&Sought| match effect {
                Effect::Replaced => {
                    matches!(of.effect, Effect::Refused | Effect::Crashes | Effect::Hangs)
                }
                _ => matches!(of.effect, Effect::Crashes | Effect::Hangs),
            };
            let mut worse = others.filter(is_worse);
            let own = worse.clone().find(|of| of.loss.rule == loss.rule);
            own.or_else(|| worse.next())
        }
        _ => None,
    };
    found.and_then(|of| of.found.as_ref())
}

/// Whether the reader could restore what it printed.
fn is_restored_whole(cell: &Cell, side: Side) -> bool {
    let rules = cell.outcome.rules.iter();
    let mut restored = rules
        .filter_map(|rule| rule.of(Operation::Rewrite))
        .peekable();
    side == Side::Writer
        && restored.peek().is_some()
        && restored.all(|verdict| verdict != Verdict::Unrestorable)
}

/// Whether a verdict is what others bring upon the rule.
fn is_as_run(verdict: &RuleVerdict, harm: &Harm) -> bool {
    let mut as_run = verdict.as_run();
    as_run.any(|(operation, of)| operation == harm.operation && of.verdict == harm.verdict)
}

/// The part that a rule has otherwise which was taken for this one.
fn wrongly_found(verdict: &RuleVerdict, harm: &Harm) -> String {
    let deleted = verdict.deleted_instead.as_deref();
    let deleted = deleted.filter(|_| harm.verdict == Verdict::WrongRule);
    match deleted {
        Some(other) => {
            let dialect = verdict.tool.dialect();
            let given = verdict.written.as_deref().unwrap_or(&verdict.given);
            let (given, other) = (dialect.words(given), dialect.words(other));
            let difference = dialect.compare(&given.to_vec(), &other.to_vec());
            let all = difference
                .altered
                .iter()
                .chain(&difference.lost)
                .chain(&difference.added);
            all.map(|of| of.part.clone()).next().unwrap_or_default()
        }
        None => harm.reason.clone().unwrap_or_default(),
    }
}
