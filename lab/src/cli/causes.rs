//! `causes`: what the losses of a run come of.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use miette::miette;

use super::exit::Exit;
use super::target::{self, Targets};
use crate::experiment::Failure;
use crate::experiment::causes::{self, Completed};
use crate::experiment::progress::say;
use crate::experiment::stored::matrix_of_file;
use crate::report;

#[derive(Args)]
pub struct CausesArgs {
    /// The cause to show whole, by its name. Without one, all are listed.
    #[arg(value_name = "CAUSE")]
    cause: Option<String>,
    /// A report in JSON, or a recording: its causes, with whom they hit. Without it, what this program knows of causes.
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// Put what the run shows into this file of causes (reports/causes.toml), new causes too. One that is not there is made of what
    /// this program knows.
    #[arg(long, value_name = "FILE", requires = "from")]
    complete: Option<PathBuf>,
    /// Such a file of earlier runs: when each cause was seen is taken from it, and causes that only it has.
    #[arg(long, value_name = "FILE", requires = "complete")]
    earlier: Option<PathBuf>,
    /// Write a page of Markdown for each into this folder, which must be there: NAME.md. With --complete, for each in its file.
    #[arg(long, value_name = "DIR")]
    pages: Option<PathBuf>,
    /// How they are printed [default: text]. Repeats, each with its --output.
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Vec<CausesFormat>,
    /// Where the format at the same place goes: a file, or `-` for standard output, which is the default. Repeats.
    #[arg(long, value_name = "FILE")]
    output: Vec<PathBuf>,
}

/// A form of causes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum CausesFormat {
    /// For the terminal.
    Text,
    /// For issues and mails.
    Markdown,
    /// One JSON document.
    Json,
    /// How each build writes each part of a rule, and who reads it otherwise: one JSON document. It takes --from.
    Compat,
}

pub fn run(args: &CausesArgs) -> Result<Exit, Failure> {
    let targets = Targets::open(&args.format, CausesFormat::Text, &args.output)?;
    let matrix = args.from.as_deref().map(matrix_of_file).transpose()?;
    let is_compat = args.format.contains(&CausesFormat::Compat);
    let compat = matrix
        .as_ref()
        .filter(|_| is_compat)
        .map(report::compat::compat);
    if is_compat && compat.is_none() {
        let error = miette!("--format compat is made of a run: say which with --from");
        return Err(Failure::bad_input(error));
    }
    let all = match &matrix {
        Some(matrix) => causes::of_matrix(matrix),
        None => causes::built_in(),
    };
    let mut paged = all.clone();
    if let Some(path) = &args.complete {
        let Completed { known, new, all } = causes::complete(path, args.earlier.as_deref(), &all)?;
        say(format_args!(
            "{}: {known} causes seen again, {new} new",
            path.display()
        ));
        paged = all;
    }
    if let Some(folder) = &args.pages {
        for cause in &paged {
            let page = folder.join(format!("{}.md", cause.name));
            target::write(&page, &report::causes::markdown(cause))?;
        }
    }
    let one = args.cause.as_deref();
    let one = one.map(|name| causes::named(&all, name)).transpose()?;
    targets.write(|format, width, to| {
        let text = match (format, one) {
            (CausesFormat::Text, Some(one)) => width.text(|width| report::causes::one(one, width)),
            (CausesFormat::Text, None) => width.text(|width| report::causes::table(&all, width)),
            (CausesFormat::Markdown, Some(one)) => report::causes::markdown(one),
            (CausesFormat::Markdown, None) => {
                let pages: Vec<String> = all.iter().map(report::causes::markdown).collect();
                pages.join("\n")
            }
            (CausesFormat::Compat, _) => report::causes::json(&compat)?,
            (CausesFormat::Json, Some(one)) => report::causes::json(&one)?,
            (CausesFormat::Json, None) => report::causes::json(&all)?,
        };
        to.write_all(text.as_bytes())
    })?;
    Ok(Exit::Ran)
}
