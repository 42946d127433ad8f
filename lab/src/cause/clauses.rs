//! The clauses of encodings: which of them hold a part of a rule, and how those of two encodings differ.

use crate::catalog::{Family, Tool};
use crate::observed::{Clause, Encoding};

/// What stands in the place of a clause in another encoding of the same rule: in the place of what nf_tables does itself most often an
/// extension.
pub fn counterpart(form: &str, encoded: &Encoding, own: &Encoding) -> Option<String> {
    let others = own.clauses().map(Clause::form);
    let others: Vec<String> = others.filter(|form| !encoded.has(form)).collect();
    let is_extension = |form: &str| form.starts_with("match ") || form.starts_with("target ");
    let is_target = |form: &&String| form.starts_with("target ");
    let target = others
        .iter()
        .find(is_target)
        .filter(|_| !is_plain(form) && !is_extension(form));
    let extension = target.or_else(|| others.iter().find(|of| is_extension(of)));
    let extension = extension.filter(|_| !is_extension(form));
    let forms = encoded.clauses().map(Clause::form);
    let before = forms.take_while(|of| of != form);
    let before = before.filter(|of| !own.has(of)).count();
    let in_place = others.get(before).or(others.last());
    extension.or(in_place).cloned()
}

/// Whether a clause is made only of what every iptables-nft knows (`nft_is_expr_compatible` of 1.8.4): it does not refuse a table because
/// of such a clause, but passes it over.
pub fn is_plain(form: &str) -> bool {
    const KNOWN: [&str; 4] = ["payload", "meta", "cmp", "bitwise"];
    let mut expressions = form.split("; ");
    expressions.all(|of| {
        let kind = of.split(' ').next().unwrap_or_default();
        KNOWN.contains(&kind) && !of.contains(" set ")
    })
}

/// Whether something else follows the part in one encoding than in the other.
pub fn is_elsewhere(family: Family, part: &str, one: &Encoding, other: &Encoding) -> bool {
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
pub fn is_reordered(one: &Encoding, other: &Encoding) -> bool {
    let forms = |of: &Encoding| -> Vec<String> { of.clauses().map(Clause::form).collect() };
    let (mut one, mut other) = (forms(one), forms(other));
    if one == other {
        return false;
    }
    one.sort_unstable();
    other.sort_unstable();
    one == other
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
pub fn named_only(part: &str) -> String {
    format!("({part})")
}

/// Forms as one text, in an order of their own.
pub fn joined(mut forms: Vec<String>) -> String {
    forms.sort_unstable();
    forms.dedup();
    forms.join(" + ")
}
