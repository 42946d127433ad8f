//! Parses the command line, dispatches, and gives the exit status.

use std::process::ExitCode;

fn main() -> ExitCode {
    match iptables_lab::init::is_due() {
        true => iptables_lab::init::run(),
        false => iptables_lab::cli::main(),
    }
}
