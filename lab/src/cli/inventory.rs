//! `inventory`: every iptables on a node.

use std::path::Path;

use clap::{Args, ValueEnum};
use miette::miette;

use super::exit::Exit;
use super::target;
use crate::advice::Published;
use crate::experiment::{Failure, OrFailure};
use crate::{inventory, report};

#[derive(Args)]
pub struct InventoryArgs {
    /// How the inventory is printed.
    #[arg(long, value_enum, default_value = "text", value_name = "FORMAT")]
    format: Form,
    /// Look only at this process. Repeats; without it, at all.
    #[arg(long, value_name = "PID")]
    pid: Vec<u32>,
}

/// How the inventory is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For people.
    Text,
    /// For programs: reports/inventory-schema.json.
    Json,
}

pub fn run(args: &InventoryArgs) -> Result<Exit, Failure> {
    if !nix::unistd::geteuid().is_root() {
        let error = miette!(
            help = "run it as root on the node; it reads files and runs `--version`, and changes nothing",
            "only root can look under the roots of others' processes"
        );
        return Err(Failure::lacks(error));
    }
    let found = inventory::take(Path::new("/proc"), &args.pid)
        .map_err(|error| miette!("/proc cannot be read: {error}"))
        .or_lacks()?;
    let text = match args.format {
        Form::Json => {
            let json = serde_json::to_string_pretty(&found).map_err(|error| miette!("{error}"));
            format!("{}\n", report::json::inert(&json.or_fault()?))
        }
        Form::Text => {
            let published = Published::embedded().or_fault()?;
            report::inventory::render(&found, |build| published.build(build.as_str()).is_some())
        }
    };
    target::print(&text)?;
    Ok(Exit::Ran)
}
