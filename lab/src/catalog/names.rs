//! What the lab calls things outside of itself: container images, containers and their labels, paths in containers, and
//! the directories of its store. One name for who makes a thing, who looks for it, and the scripts that people paste.

use std::borrow::Cow;
use std::fmt;

use sha2::{Digest as _, Sha256};

use super::{Backend, BuildId, Digest};

/// The label that everything the lab makes in Docker carries.
pub const LABEL: &str = "iptables-lab";

/// The label of containers with the id of the run that started them.
pub const RUN_LABEL: &str = "iptables-lab.run";

/// The label of containers with the path of the file that the run keeps locked.
pub const LOCK_LABEL: &str = "iptables-lab.lock";

/// The label of containers with the machine that the run is on.
pub const HOST_LABEL: &str = "iptables-lab.host";

/// The label of container images with the digest of the root filesystem.
pub const DIGEST_LABEL: &str = "iptables-lab.digest";

/// What the repositories of builds begin with.
pub const REPOSITORIES: &str = "iptables-lab/";

/// The repository of the container image that holds the agent alone.
const HOLDER: &str = "iptables-lab-holder";

/// The repository of the toolchain's container image.
const TOOLCHAIN: &str = "iptables-lab-toolchain";

/// The container image that apt runs in where the machine has none.
pub const APT_IMAGE: &str = "debian:trixie-slim";

/// Where the lab's own program lies in container images, below the root: nothing else may lie there.
pub const AGENT_DIRECTORY: &str = ".iptables-lab";

/// The lab's own program in container images.
pub const AGENT_PATH: &str = "/.iptables-lab/agent";

/// Where a container finds the directory that it shares with the lab.
pub const SHARED_DIRECTORY: &str = "/run/iptables-lab";

/// How many digits tell names apart.
const DIGITS: usize = 12;

/// The name of a container image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageTag {
    /// `iptables-lab/1.8.8`.
    pub repository: String,
    /// What stands behind the colon.
    pub tag: String,
}

impl ImageTag {
    /// The image of the build's root filesystem `digest`, with the agent `agent` in it.
    pub fn of_build(name: &str, digest: &Digest, agent: &Digest) -> ImageTag {
        ImageTag {
            repository: repository(name),
            tag: format!("{}-{}", digest.short(), agent.short()),
        }
    }

    /// The image of the toolchain's root filesystem `digest`.
    pub fn of_toolchain(digest: &Digest) -> ImageTag {
        ImageTag {
            repository: TOOLCHAIN.to_owned(),
            tag: digest.short().to_owned(),
        }
    }

    /// The image that holds the agent alone: a lane's first container runs it.
    pub fn of_holder(agent: &Digest) -> ImageTag {
        ImageTag {
            repository: HOLDER.to_owned(),
            tag: agent.short().to_owned(),
        }
    }

    /// A reference as Docker lists it; an image without a name is listed as `<none>:<none>` by some engines.
    pub fn listed(reference: &str) -> Option<ImageTag> {
        let (repository, tag) = reference.rsplit_once(':')?;
        (tag != "<none>").then(|| ImageTag {
            repository: repository.to_owned(),
            tag: tag.to_owned(),
        })
    }

    /// Repository and tag, as Docker takes them.
    pub fn reference(&self) -> String {
        format!("{}:{}", self.repository, self.tag)
    }

    /// Whether it is one of the lab's own names. An image that a user made from one of the lab's has the lab's label too,
    /// and another name.
    pub fn is_of_lab(&self) -> bool {
        self.repository.starts_with(REPOSITORIES)
            || [HOLDER, TOOLCHAIN].contains(&self.repository.as_str())
    }

    /// Whether it is an image that holds the agent alone.
    pub fn is_holder(&self) -> bool {
        self.repository == HOLDER
    }
}

/// The repository of the image called `name`.
pub fn repository(name: &str) -> String {
    format!("{REPOSITORIES}{}", name_in_docker(name))
}

/// The name of an image as Docker takes it, for a repository and for a container. Docker allows lower case only, and single
/// signs between, of which `+` is none: another name is made so, and told apart from its like by a digest.
pub fn name_in_docker(name: &str) -> Cow<'_, str> {
    let words = name.split(['.', '_', '-', '+']);
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_plain = |word: &str| !word.is_empty() && word.chars().all(allowed);
    if !name.contains('+') && words.clone().all(is_plain) {
        return Cow::Borrowed(name);
    }
    let mut words: Vec<String> = words
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
        .collect();
    let digest = hex::encode(Sha256::digest(name));
    words.push(digest[..DIGITS].to_owned());
    Cow::Owned(words.join("."))
}

impl BuildId {
    /// The image that holds it: its id without the backend.
    pub fn image(&self) -> &str {
        let id = self.as_str();
        let backends = Backend::ALL.into_iter();
        let mut stems =
            backends.filter_map(|backend| id.strip_suffix(backend.as_str())?.strip_suffix('-'));
        stems.next().unwrap_or(id)
    }
}

/// The container that holds the namespace of a run's lane.
pub fn lane_container(run: &str, lane: usize) -> String {
    format!("iptables-lab-{run}-{lane}")
}

/// The container of a lane, held by the container `holder`, that `of` tells from the lane's others.
pub fn container_in_lane(holder: &str, of: impl fmt::Display) -> String {
    format!("{holder}-{of}")
}

/// The container of a script that people paste, for an image or a namespace.
pub fn container_in_script(of: impl fmt::Display) -> String {
    format!("lab-{of}")
}

/// The container that a command is run to its end in: the `count`th of this process, which differs by `moment` from those
/// of a process that had the same id.
pub fn job_container(process: u32, count: u64, moment: u32) -> String {
    format!("iptables-lab-{process}-{count}-{moment:08x}")
}

/// The directory of the store in the user's cache directory.
pub const STORE: &str = "iptables-lab";

/// A directory of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Folder {
    /// Release tarballs, by digest.
    Tarballs,
    /// Debian packages, by digest.
    Packages,
    /// What each package set came to.
    Sets,
    /// The toolchain's root filesystem, by key.
    Toolchains,
    /// Builds, by key.
    Builds,
    /// Unpacked root filesystems, by digest.
    Roots,
    /// Which digest each key came to.
    Digests,
    /// What could not be had, and why.
    Misses,
    /// What runs that share the store keep locked.
    Locks,
    /// What commands printed.
    Logs,
    /// An empty directory, which processes put file systems together over that only they see.
    Stage,
    /// What is being made.
    Tmp,
    /// A locked file for each run, and a directory of its own.
    Runs,
    /// What runs learnt of transitions, by machine.
    Memory,
}

impl Folder {
    /// All of them.
    pub const ALL: [Folder; 14] = [
        Folder::Tarballs,
        Folder::Packages,
        Folder::Sets,
        Folder::Toolchains,
        Folder::Builds,
        Folder::Roots,
        Folder::Digests,
        Folder::Misses,
        Folder::Locks,
        Folder::Logs,
        Folder::Stage,
        Folder::Tmp,
        Folder::Runs,
        Folder::Memory,
    ];

    /// Its name in the store.
    pub fn name(self) -> &'static str {
        match self {
            Folder::Tarballs => "tarballs",
            Folder::Packages => "packages",
            Folder::Sets => "sets",
            Folder::Toolchains => "toolchains",
            Folder::Builds => "builds",
            Folder::Roots => "roots",
            Folder::Digests => "digests",
            Folder::Misses => "misses",
            Folder::Locks => "locks",
            Folder::Logs => "logs",
            Folder::Stage => "stage",
            Folder::Tmp => "tmp",
            Folder::Runs => "runs",
            Folder::Memory => "memory",
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::catalog::Tool;

    #[rstest]
    #[case("1.8.8", "iptables-lab/1.8.8")]
    #[case("debian-1.8.7-1", "iptables-lab/debian-1.8.7-1")]
    #[case("Git-Head", "iptables-lab/git.head.")]
    #[case(
        "debian-nft-1.0.6-2+deb12u2",
        "iptables-lab/debian.nft.1.0.6.2.deb12u2."
    )]
    #[case("..", "iptables-lab/")]
    fn names_become_repositories_that_docker_allows(#[case] name: &str, #[case] stem: &str) {
        let found = repository(name);
        let rest = found.strip_prefix(stem).unwrap();
        assert!(rest.bytes().all(|b| b.is_ascii_hexdigit()), "{found}");
    }

    #[test]
    fn names_that_look_alike_to_docker_stay_apart() {
        assert_ne!(repository("Head"), repository("head"));
        assert_ne!(repository("a..b"), repository("a.b"));
    }

    #[rstest]
    #[case("iptables-lab/1.8.8:1", true)]
    #[case("iptables-lab-holder:1", true)]
    #[case("iptables-lab-toolchain:1", true)]
    #[case("registry.example/iptables-lab/1.8.8:1", false)]
    #[case("iptables-labelled:1", false)]
    fn an_image_that_a_user_made_from_one_of_ours_is_not_ours(
        #[case] reference: &str,
        #[case] ours: bool,
    ) {
        let tag = ImageTag::listed(reference).unwrap();
        assert_eq!(
            (tag.is_of_lab(), tag.reference()),
            (ours, reference.to_owned())
        );
    }

    #[rstest]
    #[case(BuildId::new("debian-1.8.7-1", Backend::Legacy), "debian-1.8.7-1")]
    #[case(
        BuildId::of_tool(Tool::Nft, "debian-nft-1.1.3-1", Backend::Nft),
        "debian-nft-1.1.3-1"
    )]
    fn both_backends_are_in_one_image(#[case] build: BuildId, #[case] image: &str) {
        assert_eq!(build.image(), image);
    }
}
