//! What the image of a build is called in Docker: one name for who makes it, who runs it, and the scripts that people paste.

use std::borrow::Cow;

use sha2::{Digest as _, Sha256};

use super::{Backend, BuildId};

/// What the repositories of builds begin with.
pub const REPOSITORIES: &str = "iptables-lab/";

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

/// How many digits tell names apart.
const DIGITS: usize = 12;

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
    #[case(BuildId::new("debian-1.8.7-1", Backend::Legacy), "debian-1.8.7-1")]
    #[case(
        BuildId::of_tool(Tool::Nft, "debian-nft-1.1.3-1", Backend::Nft),
        "debian-nft-1.1.3-1"
    )]
    fn both_backends_are_in_one_image(#[case] build: BuildId, #[case] image: &str) {
        assert_eq!(build.image(), image);
    }
}
