//! Which cause each loss of a run has: exactly one.

use super::own::OwnRules;
use super::signature::{Effect, Own, Signature};
use crate::catalog::{BuildId, Family, Tool};
use crate::judge::verdict::Verdict;
use crate::judge::{Cell, RuleVerdict};
use crate::matrix::{Certainty, Harm, Harmed, How, LostPart, Matrix, Side, harms, parts};
use crate::observed::{Clause, Encoding};
use crate::plan::Operation;
use crate::tool::iptables::{compare, tokens};

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
            let decoder = match encoder {
                Side::Writer => &cell.reader,
                Side::Reader => &cell.writer,
            };
            for part in parts(harm) {
                let effect = Effect::of(part.how, harm.operation);
                let between = of.rule.map(|rule| Between {
                    cell,
                    rule,
                    side: encoder,
                    decoder,
                });
                let found = between.zip(verdict).and_then(|(between, verdict)| {
                    self.direct(between, verdict, (harm, effect, &part))
                });
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
    fn direct(
        &self,
        between: Between<'m>,
        verdict: &RuleVerdict,
        (harm, effect, part): (&Harm, Effect, &LostPart),
    ) -> Option<Signature> {
        let Between { cell, rule, .. } = between;
        let of = |encoded: String, own: Own| {
            Some(Signature {
                decoder: self.program(between.decoder),
                effect,
                encoded,
                own,
            })
        };
        let encoded = match between.side {
            Side::Writer => cell.encoded.by_writer(rule),
            Side::Reader => cell.encoded.by_reader(rule),
        };
        let encoded = encoded.map(AsRef::as_ref);
        let known = (rule, effect, part.name.as_str());
        // What the reader left as it was, its writer reads as it wrote it.
        let is_as_written = between.side == Side::Reader
            && cell.encoded.by_reader(rule) == cell.encoded.by_writer(rule)
            && cell.encoded.sets_rewritten.is_none();
        let is_itself = || {
            (is_as_written && !is_as_run(verdict, harm))
                || self.own.does_to_its_own(cell, between.decoder, known)
        };
        let own_encoding = || self.own.encoding(cell, between.decoder, known);
        // Its own fault has its own encoding, whoever wrote the rule.
        let own_form = |part: &str| {
            let own = own_encoding().or(encoded)?;
            Some(clauses_of(cell.family, part, own).first()?.form())
        };
        let can_be_of_sets = matches!(effect, Effect::Refused | Effect::Replaced);
        // What its decoder died of it printed nothing of.
        let died = || {
            let mut crashes = cell.outcome.crashes.iter();
            crashes.any(|crash| crash.by == *between.decoder)
        };
        match effect {
            Effect::Doubled => of(String::new(), Own::Itself),
            // It writes the rule itself, and fails at that.
            _ if harm.operation == Operation::Reassert => of(String::new(), Own::Itself),
            Effect::HitsAnother | Effect::Misses => {
                let named = wrongly_found(verdict, harm);
                match is_itself() {
                    true => {
                        let form = own_form(&named);
                        of(form.unwrap_or_else(|| named_only(&named)), Own::Itself)
                    }
                    false => {
                        self.as_a_whole(between, (encoded, own_encoding()), can_be_of_sets, &of)
                    }
                }
            }
            Effect::Dropped | Effect::Altered | Effect::Added => {
                let encoded = encoded?;
                let clauses = clauses_of(cell.family, &part.name, encoded);
                if is_itself() {
                    let form = own_form(&part.name);
                    let form = form.unwrap_or_else(|| named_only(&part.name));
                    return match is_first(cell.family, harm, part, encoded) {
                        true => of(form, Own::Itself),
                        false => None,
                    };
                }
                match own_encoding() {
                    Some(whole) => {
                        let own: Vec<String> = clauses_of(cell.family, &part.name, whole)
                            .iter()
                            .map(|clause| clause.form())
                            .collect();
                        let mut new = clauses.iter().map(|clause| clause.form());
                        match new.find(|form| !own.contains(form)) {
                            Some(new) => of(new, Own::As(joined(own))),
                            None if is_elsewhere(cell.family, &part.name, encoded, whole) => {
                                let first = clauses.first()?;
                                let is_first = is_first(cell.family, harm, part, encoded);
                                is_first.then(|| of(first.form(), Own::InAnotherOrder))?
                            }
                            None => None,
                        }
                    }
                    None => {
                        let after = match between.side {
                            Side::Writer => cell.encoded.by_reader(rule),
                            Side::Reader => None,
                        };
                        let is_gone =
                            |clause: &&&Clause| after.is_some_and(|of| !of.has(&clause.form()));
                        let gone = clauses.iter().find(is_gone).or(clauses.first());
                        let form = gone.map(|clause| clause.form());
                        let form = form.unwrap_or_else(|| named_only(&part.name));
                        let own = self.extension(between.decoder, &part.name, &form);
                        of(form, own.map_or(Own::Unknown, Own::As))
                    }
                }
            }
            Effect::Crashes | Effect::Hangs | Effect::Refused
                if (effect != Effect::Refused || died()) && self.of_sets(between).is_some() =>
            {
                let (encoded, own) = self.of_sets(between)?;
                Some(Signature {
                    decoder: self.program(between.decoder),
                    effect: Effect::Crashes,
                    encoded,
                    own: Own::As(own),
                })
            }
            _ if is_as_run(verdict, harm) => None,
            _ if is_itself() => of(String::new(), Own::Itself),
            _ => self.as_a_whole(between, (encoded, own_encoding()), can_be_of_sets, &of),
        }
    }

    /// A set that its decoder would have left otherwise, and what it leaves instead.
    fn of_sets(&self, between: Between<'m>) -> Option<(String, String)> {
        let left = match between.side {
            Side::Writer => &between.cell.encoded.sets,
            Side::Reader => between.cell.encoded.sets_by_reader(),
        };
        let own = self.own.sets(between.cell, between.decoder)?;
        let well_read = self.own.well_read_sets(between.decoder);
        let mut new = left.difference(own);
        let unread = new.clone().find(|of| !well_read.contains(*of));
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
    fn as_a_whole(
        &self,
        between: Between<'m>,
        (encoded, own): (Option<&Encoding>, Option<&Encoding>),
        can_be_of_sets: bool,
        of: &dyn Fn(String, Own) -> Option<Signature>,
    ) -> Option<Signature> {
        let encoded = encoded?;
        let forms = encoded.clauses().map(|clause| clause.form());
        let new: Vec<String> = match own {
            Some(own) => forms.filter(|form| !own.has(form)).collect(),
            None => forms.collect(),
        };
        let well_read = self.own.well_read(between.decoder);
        let unread = new.iter().find(|form| !well_read.contains(*form));
        if unread.is_none()
            && can_be_of_sets
            && let Some((encoded, own)) = self.of_sets(between)
        {
            return of(encoded, Own::As(own));
        }
        match own {
            Some(own) if new.is_empty() => {
                let mut more = own.clauses().map(|clause| clause.form());
                match more.find(|form| !encoded.has(form)) {
                    Some(more) => of(String::new(), Own::As(more)),
                    None => is_reordered(encoded, own)
                        .then(|| of(String::new(), Own::InAnotherOrder))?,
                }
            }
            Some(own) => {
                let form = unread.or(new.first())?.clone();
                let place = encoded.clauses().position(|of| of.form() == form);
                let others: Vec<String> = own
                    .clauses()
                    .map(|clause| clause.form())
                    .filter(|form| !encoded.has(form))
                    .collect();
                // The one in its place, or the last.
                let before = encoded.clauses().take(place.unwrap_or(0));
                let before = before.filter(|of| !own.has(&of.form())).count();
                // In the place of what nf_tables does itself stands most often an extension.
                let is_extension =
                    |form: &&String| form.starts_with("match ") || form.starts_with("target ");
                let other = match is_extension(&&form) {
                    true => None,
                    false => others.iter().find(is_extension),
                };
                let other = other.or(others.get(before)).or(others.last()).cloned();
                of(form, Own::As(other.unwrap_or_default()))
            }
            None => of(unread?.clone(), Own::Unknown),
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
        let decoder = match loss.encoder {
            Side::Writer => &cell.reader,
            Side::Reader => &cell.writer,
        };
        let encoded = match loss.rule {
            Some(_) if sought.effect.is_of_part() => named_only(&loss.part.name),
            Some(_) => String::new(),
            None => "chain".to_owned(),
        };
        Signature {
            decoder: self.program(decoder),
            effect: sought.effect,
            encoded,
            own: Own::Unknown,
        }
    }

    fn program(&self, build: &BuildId) -> String {
        let build = self.own.build(build);
        build.map_or_else(String::new, |of| of.tool.commands().program(of.backend))
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

/// Whether a verdict is what others bring upon the rule.
fn is_as_run(verdict: &RuleVerdict, harm: &Harm) -> bool {
    let mut as_run = verdict.as_run();
    as_run.any(|(operation, of)| operation == harm.operation && of.verdict == harm.verdict)
}

/// The clauses that a part is encoded in. Part names are of no two tools: whichever knows it.
pub fn clauses_of<'e>(family: Family, part: &str, encoding: &'e Encoding) -> Vec<&'e Clause> {
    let is_in = |clause: &&Clause| {
        let mut dialects = Tool::ALL.iter().map(|tool| tool.dialect());
        dialects.any(|of| of.is_encoded_in(family, part, clause))
    };
    encoding.clauses().filter(is_in).collect()
}

/// A part that the kernel has no expression of: by its name.
fn named_only(part: &str) -> String {
    format!("({part})")
}

/// Whether something else follows the part in one encoding than in the other.
fn is_elsewhere(family: Family, part: &str, one: &Encoding, other: &Encoding) -> bool {
    let next = |of: &Encoding| {
        let first = *clauses_of(family, part, of).first()?;
        let mut after = of
            .clauses()
            .skip_while(|clause| !std::ptr::eq(*clause, first));
        after.nth(1).map(Clause::form)
    };
    next(one) != next(other)
}

/// Whether both have the same clauses, and not in the same order.
fn is_reordered(one: &Encoding, other: &Encoding) -> bool {
    let forms = |of: &Encoding| -> Vec<String> { of.clauses().map(Clause::form).collect() };
    let (mut one, mut other) = (forms(one), forms(other));
    if one == other {
        return false;
    }
    one.sort_unstable();
    other.sort_unstable();
    one == other
}

fn joined(mut forms: Vec<String>) -> String {
    forms.sort_unstable();
    forms.dedup();
    forms.join(" + ")
}

/// The part that a rule has otherwise which was taken for this one.
fn wrongly_found(verdict: &RuleVerdict, harm: &Harm) -> String {
    let deleted = verdict.deleted_instead.as_deref();
    let deleted = deleted.filter(|_| harm.verdict == Verdict::WrongRule);
    match deleted {
        Some(other) => {
            let words = |text: &str| -> Vec<String> {
                let all = tokens::tokens(text).skip(2);
                all.map_while(|word| Some(word.ok()?.text.into_owned()))
                    .collect()
            };
            let given = verdict.written.as_deref().unwrap_or(&verdict.given);
            let difference = compare(&words(given), &words(other));
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
