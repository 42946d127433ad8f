//! What came of one scenario, in one line: while the others still run, people read it.

use std::cmp::Reverse;

use super::terminal::{inert, sign};
use super::wording;
use crate::matrix::{Loss, Matrix, losses};

/// The worst loss of a scenario, and how many others there are.
pub fn line(matrix: &Matrix, scenario: &str) -> String {
    let losses = losses(matrix, scenario);
    let new = losses.iter().filter(|loss| loss.known.is_none());
    let mut losses: Vec<&Loss> = new.collect();
    losses.sort_by_key(|loss| {
        let harm = &loss.form.harm;
        let is_silent = harm.verdict.is_silent_damage();
        let consequence = harm.consequence.map(|of| (Reverse(harm.certainty), of));
        Reverse((
            is_silent,
            consequence,
            harm.verdict.severity(),
            loss.pairings,
        ))
    });
    let Some((worst, others)) = losses.split_first() else {
        return format!("{scenario}  no rule was lost or changed");
    };
    let harm = &worst.form.harm;
    let consequence = harm.consequence.map_or_else(String::new, |of| {
        format!(" ({})", wording::consequence_in_short(of, harm.certainty))
    });
    let more = match others.len() {
        0 => String::new(),
        more => format!(" (+{more} more)"),
    };
    let line = format!(
        "{scenario}  {} {}{consequence}: {} → {}{more}",
        sign(harm.verdict),
        wording::what(&worst.form),
        wording::builds(&worst.writers),
        wording::builds(&worst.readers),
    );
    inert(&line)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn matrix() -> Matrix {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/recordings");
        let file = std::path::Path::new(folder).join("kube-firewall-by-1.8.9.jsonl");
        Matrix::of(&crate::recording::read(&file).unwrap().recording)
    }

    #[test]
    fn the_worst_loss_is_told_and_the_others_are_counted() {
        insta::assert_snapshot!(line(&matrix(), "kube-firewall"));
    }

    #[test]
    fn where_nothing_is_lost_that_is_said() {
        let mut matrix = matrix();
        matrix
            .cells
            .retain(|cell| cell.verdict == crate::judge::verdict::Verdict::Same);
        assert!(!matrix.cells.is_empty());
        let line = line(&matrix, "kube-firewall");
        assert_eq!(line, "kube-firewall  no rule was lost or changed");
    }
}
