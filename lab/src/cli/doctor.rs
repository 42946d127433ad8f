//! `doctor`: what works on this machine, and what is missing.

use std::fmt::Write as _;

use clap::{Args, ValueEnum};
use miette::miette;

use super::arguments::Common;
use super::exit::Exit;
use super::target;
use crate::experiment::doctor::{Check, examine};
use crate::experiment::{Failure, OrFailure};

#[derive(Args)]
pub struct DoctorArgs {
    /// How the result is printed.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

/// The form of what is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Lines for the terminal.
    Table,
    /// One JSON document.
    Json,
}

pub async fn run(args: &DoctorArgs, common: &Common) -> Result<Exit, Failure> {
    let checks = examine(common.session_options()).await?;
    target::print(&match args.format {
        Format::Table => table(&checks),
        Format::Json => {
            let text = serde_json::to_string_pretty(&checks);
            text.map_err(|error| miette!("{error}")).or_fault()? + "\n"
        }
    })?;
    let works = checks.iter().any(Check::is_working_engine);
    Ok(if works { Exit::Ran } else { Exit::Lacks })
}

fn table(checks: &[Check]) -> String {
    let mut text = String::new();
    for check in checks {
        let engine = check.engine.unwrap_or("");
        let works = if check.works { "works" } else { "lacks" };
        // Writing to a string never fails.
        let _ = writeln!(text, "{engine:8}{:14}{works}  {}", check.what, check.says);
        if let Some(mend) = check.mend.as_deref().filter(|mend| !mend.is_empty()) {
            let _ = writeln!(text, "{:29}mend: {mend}", "");
        }
    }
    text
}
