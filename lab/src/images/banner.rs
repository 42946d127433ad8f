//! What a build prints as its version.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::roots::{Job, RootId, Roots, RootsError};
use crate::agent::exec::ENVIRONMENT;
use crate::catalog::{Backend, Version};

/// How long a build may take to say its version.
const TIME: Duration = Duration::from_secs(30);

/// Why a build does not say its version: it is of no use.
#[derive(Debug, thiserror::Error)]
#[error("its {}{why}", command.join(" "))]
pub(super) struct BannerError {
    /// Program and argument.
    command: Vec<String>,
    #[source]
    why: NoBanner,
}

/// What a build does in place of saying its version.
#[derive(Debug, thiserror::Error)]
enum NoBanner {
    #[error(" ends with exit status {status}: {output}")]
    Fails {
        /// How it ended.
        status: i64,
        /// All it printed.
        output: String,
    },
    #[error(": hangs")]
    Hangs,
    #[error(": {0}")]
    NotRun(#[from] RootsError),
}

/// What each backend of a root filesystem prints as its version; `backends` says where their commands lie.
///
/// # Errors
/// One of them does not say it.
pub(super) async fn ask(
    roots: &dyn Roots,
    root: &RootId,
    backends: &[(Backend, PathBuf)],
) -> Result<BTreeMap<Backend, String>, BannerError> {
    let mut banners = BTreeMap::new();
    for (backend, path) in backends {
        let command = vec![format!("/{}", path.display()), "--version".to_owned()];
        let banner = ask_one(roots, root, command.clone()).await;
        let banner = banner.map_err(|why| BannerError { command, why })?;
        banners.insert(*backend, banner);
    }
    Ok(banners)
}

async fn ask_one(
    roots: &dyn Roots,
    root: &RootId,
    command: Vec<String>,
) -> Result<String, NoBanner> {
    let job = Job {
        command,
        environment: ENVIRONMENT
            .map(|(name, value)| format!("{name}={value}"))
            .to_vec(),
        files: None,
    };
    let mut ignored = |_: &[u8]| {};
    let asked = tokio::time::timeout(TIME, roots.run(root, job, &mut ignored));
    let done = asked.await.map_err(|_| NoBanner::Hangs)??;
    let output = String::from_utf8_lossy(&done.output).trim().to_owned();
    match done.status {
        0 => Ok(output),
        status => Err(NoBanner::Fails { status, output }),
    }
}

/// The version in `iptables v1.8.8 (nf_tables)`.
pub(super) fn version_in(banner: &str) -> Option<Version> {
    let word = banner.split_whitespace().nth(1)?;
    let version = word.strip_prefix('v')?;
    Some(Version::new(version))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(
        NoBanner::Fails { status: 127, output: "no libxtables.so.12".to_owned() },
        "its /sbin/iptables --version ends with exit status 127: no libxtables.so.12"
    )]
    #[case(NoBanner::Hangs, "its /sbin/iptables --version: hangs")]
    fn a_build_that_does_not_say_its_version_is_told_with_the_command(
        #[case] why: NoBanner,
        #[case] said: &str,
    ) {
        let command = ["/sbin/iptables", "--version"].map(str::to_owned).to_vec();
        assert_eq!(BannerError { command, why }.to_string(), said);
    }
}
