//! Known losses by their causes: which losses of a run have which cause, for entries that name one.

use super::attribution::Attribution;
use super::known::KnownCauses;
use crate::matrix::{Known, Matrix, NamedLoss};

/// Marks the losses of a run that are known, those too that are known by their cause.
pub fn mark(matrix: &mut Matrix, known: &Known) {
    let losses = match known.names_causes() {
        true => named_losses(matrix),
        false => Vec::new(),
    };
    matrix.mark(known, &losses);
}

/// The losses of each cell, each with the name of its cause.
fn named_losses(matrix: &Matrix) -> Vec<Vec<NamedLoss>> {
    let attribution = Attribution::new(matrix);
    let known = KnownCauses::built_in();
    let cells = matrix.cells.iter().map(|cell| {
        let losses = attribution.cell(cell).into_iter();
        let losses = losses.map(|(loss, signature)| NamedLoss {
            rule: loss.rule,
            verdict: loss.harm.verdict,
            part: loss.part.name,
            cause: match known.of(&signature) {
                Some(entry) => entry.name.clone(),
                None => signature.id().to_string(),
            },
        });
        losses.collect()
    });
    cells.collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn matrix() -> Matrix {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/recordings");
        let file = std::path::Path::new(folder).join("kube-firewall-by-1.8.9.jsonl");
        Matrix::of(&crate::recording::read(&file).unwrap().recording)
    }

    /// The parts that are lost of rules that an entry marks as known.
    fn marked(more: &str) -> Vec<String> {
        let text = format!(
            "[[known]]\nscenario = '*'\nwriters = ['*']\nreaders = ['*']\nurl = ''\nreason = ''\n{more}"
        );
        let names: Vec<String> = KnownCauses::built_in().names().collect();
        let mut matrix = matrix();
        mark(
            &mut matrix,
            &Known::read("known.toml", &text, &names).unwrap(),
        );
        let worst = matrix.cells.iter().flat_map(crate::matrix::worst);
        let known = worst.filter(|of| of.known.is_some());
        let mut parts: Vec<String> = known.flat_map(|of| of.form.harm.lost).collect();
        parts.sort_unstable();
        parts.dedup();
        parts
    }

    #[rstest]
    #[case::its_losses("cause = 'native-mark'", &["match mark"])]
    #[case::with_what_fits("cause = 'native-mark'\nlost = ['match mark']", &["match mark"])]
    #[case::with_what_does_not("cause = 'native-mark'\nlost = ['source']", &[])]
    #[case::in_another_chain("cause = 'native-mark'\nrules = ['INPUT']", &[])]
    #[case::another("cause = 'native-nflog'", &[])]
    #[case::that_nobody_named("cause = 'c00000000'", &[])]
    fn an_entry_names_the_losses_of_its_cause(#[case] more: &str, #[case] parts: &[&str]) {
        assert_eq!(marked(more), parts);
    }

    #[test]
    fn a_cause_that_there_is_not_is_refused_with_its_place() {
        let text = "[[known]]\nscenario = '*'\nwriters = ['*']\nreaders = ['*']\n\
                    cause = 'native-mrak'\nurl = ''\nreason = ''\n";
        let error = Known::read("known.toml", text, &["native-mark".to_owned()]).unwrap_err();
        let mut said = String::new();
        let handler = miette::NarratableReportHandler::new();
        handler.render_report(&mut said, &error).unwrap();
        for words in [
            "no cause is called native-mrak; there are: native-mark",
            "known.toml",
            "line 5, columns 9 to 21",
        ] {
            assert!(said.contains(words), "{words}: {said}");
        }
    }
}
