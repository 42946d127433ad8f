//! The command line as such: its help, its examples, what the docs say of it.

use std::path::PathBuf;

use super::*;

#[test]
fn the_command_line_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn the_help_of_every_command_has_examples() {
    for command in Cli::command()
        .get_subcommands()
        .filter(|of| !of.is_hide_set())
    {
        let after = command.get_after_help().map(ToString::to_string);
        let example = format!("  iptables-lab {}", command.get_name());
        let has_example = after.is_some_and(|after| {
            // Some are of what reads another command's print.
            after.starts_with("Example") && after.contains(example.trim_start())
        });
        assert!(has_example, "{}", command.get_name());
    }
}

/// The text after `iptables-lab`, as a shell would give it to the program: what a shell does with the rest is not this
/// program's.
fn parse(own: &str) -> Result<Cli, clap::Error> {
    let own = own.split(['|', '>', '#']).next().unwrap_or_default();
    let own = own.split("     ").next().unwrap_or_default();
    let words = own.split_whitespace().map(|word| word.trim_matches('\''));
    Cli::try_parse_from(["iptables-lab"].into_iter().chain(words))
}

#[track_caller]
fn assert_taken(line: &str, own: &str) {
    let error = parse(own).err().map(|error| error.to_string());
    assert!(error.is_none(), "{line}: {}", error.unwrap_or_default());
}

/// What the examples say can be typed.
#[test]
fn every_example_is_taken_by_the_command_line() {
    let mut tried = 0;
    for command in Cli::command().get_subcommands() {
        let after = command
            .get_after_help()
            .map(ToString::to_string)
            .unwrap_or_default()
            .replace("\\\n    ", "");
        for line in after.lines().filter(|line| line.starts_with("  ")) {
            let Some((_, own)) = line.split_once("iptables-lab ") else {
                continue;
            };
            assert_taken(line, own);
            tried += 1;
        }
    }
    assert!(tried > 20, "{tried}");
}

/// So can what the README and the pages in docs/ say: indented lines, and what stands between backquotes.
#[rstest::rstest]
fn every_command_of_a_page_is_taken_by_the_command_line(
    #[base_dir = "$CARGO_MANIFEST_DIR/.."]
    #[files("README.md")]
    #[files("CONTRIBUTING.md")]
    #[files("docs/**/*.md")]
    path: PathBuf,
) {
    let page = std::fs::read_to_string(&path).unwrap();
    let page = page.replace("\\\n", " ").replace("\\|", "|");
    for line in page.lines() {
        let parts: Vec<&str> = match line.starts_with("    ") {
            true => vec![line],
            false => line.split('`').skip(1).step_by(2).collect(),
        };
        for part in parts {
            let runs = ["iptables-lab ", "cargo run --release -- "];
            let own = runs.iter().find_map(|run| Some(part.split_once(run)?.1));
            let is_command = |own: &&str| {
                let name = own.split(' ').next().unwrap_or_default();
                name != "help" && Cli::command().find_subcommand(name).is_some()
            };
            if let Some(own) = own.filter(is_command) {
                assert_taken(line, own);
            }
        }
    }
}

#[test]
fn the_docs_have_the_same_exit_statuses_as_the_help() {
    let page = include_str!("../../../docs/reference/exit-statuses.md");
    let all = [
        Exit::Ran,
        Exit::Found,
        Exit::Usage,
        Exit::Lacks,
        Exit::Fault,
        Exit::Interrupted,
    ];
    let lines = EXIT_STATUSES.lines().skip(1);
    for (exit, line) in all.into_iter().zip(lines) {
        let (status, meaning) = line.trim().split_once(' ').unwrap();
        assert_eq!(status, exit.status().to_string());
        let row = format!(
            "| {status} | {} |",
            meaning.trim().replace("--fail-on", "`--fail-on`")
        );
        assert!(page.contains(&row), "{row}");
    }
}

/// Help is read at 80 columns, too: an example that is broken there cannot be copied, and a paragraph that has line breaks
/// of its own is broken twice.
#[test]
fn examples_fit_80_columns_and_paragraphs_are_one_line() {
    let program = Cli::command();
    for command in std::iter::once(&program).chain(program.get_subcommands()) {
        let text = command.get_after_help().map(ToString::to_string);
        let text = text.unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let is_example = |line: &str| line.starts_with("  ");
        for line in lines.iter().filter(|line| is_example(line)) {
            assert!(line.chars().count() <= 80, "{line}");
        }
        let is_text = |line: &str| !line.is_empty() && !is_example(line);
        for pair in lines.windows(2) {
            assert!(!pair.iter().all(|line| is_text(line)), "{pair:?}");
        }
    }
}
