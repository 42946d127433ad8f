//! `diagnose`: what a node's rules look like that some reader has damaged.

use std::io::Read;
use std::path::PathBuf;

use clap::Args;
use miette::miette;

use super::exit::{Exit, Failure, Or};
use super::{output, parse_family};
use crate::advice::{KnownRules, Published, diagnose};
use crate::catalog::Family;
use crate::{report, scenario};

#[derive(Args)]
pub struct DiagnoseArgs {
    /// What `iptables-save` printed on the node; `-`, or nothing, is standard input.
    file: Option<PathBuf>,
    /// The print's family; both are looked for where it is not said.
    #[arg(long, value_parser = parse_family, value_name = "ipv4|ipv6")]
    family: Option<Family>,
}

pub fn run(args: &DiagnoseArgs) -> Result<Exit, Failure> {
    let mut bytes = Vec::new();
    let file = args.file.as_ref().filter(|file| file.as_os_str() != "-");
    let (name, read) = match file {
        Some(path) => {
            let read = std::fs::File::open(path).and_then(|mut file| file.read_to_end(&mut bytes));
            (path.display().to_string(), read)
        }
        None => (
            "standard input".to_owned(),
            std::io::stdin().lock().read_to_end(&mut bytes),
        ),
    };
    read.map_err(|error| miette!("{name} cannot be read: {error}"))
        .or_exit(Exit::Usage)?;
    let print = String::from_utf8_lossy(&bytes);
    if !print.lines().any(|line| line.starts_with(['*', '#'])) {
        let error = miette!(
            help = "give it what `iptables-save` or `ip6tables-save` prints",
            "{name} is no print of an iptables-save: no line begins a table"
        );
        return Err(Failure::new(Exit::Usage, error));
    }
    let published = Published::embedded().or_exit(Exit::Fault)?;
    let scenarios = scenario::shipped().or_exit(Exit::Fault)?;
    let known = KnownRules::new(&published, &scenarios, args.family);
    let diagnosis = diagnose(&print, &known);
    let basis = format!(
        "Compared with {} scenarios between {} builds, from the report that is part of this program, made on {}.",
        published.scenarios().len(),
        published.builds.len(),
        published.started.strftime("%Y-%m-%d")
    );
    output::print(&report::diagnosis::render(
        &diagnosis,
        &basis,
        args.family,
        output::width(),
    ))?;
    Ok(Exit::Ran)
}
