//! Container images: a root filesystem, and the lab's own binary as the agent in it.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use jiff::{SignedDuration, Timestamp};

use super::compile;
use super::store::Store;
use crate::catalog::{Digest, REPOSITORIES, repository};
use crate::docker::{Docker, DockerError, ImageTag, OwnImage};

/// Where the agent lies in every image.
pub const AGENT_PATH: &str = "/.iptables-lab/agent";

/// The label with the digest of the root filesystem.
const DIGEST_LABEL: &str = "iptables-lab.digest";

const HOLDER: &str = "iptables-lab-holder";

/// How old an image must be to be removed for another of its name: a run that is just starting may be about to use it.
const SETTLED: SignedDuration = SignedDuration::from_mins(10);

/// Makes container images of one agent.
pub(super) struct Images<'a> {
    pub(super) docker: &'a Docker,
    pub(super) store: &'a Store,
    /// The lab's own static binary.
    pub(super) agent: &'a Path,
    pub(super) agent_digest: Digest,
    /// The images that were there at the start.
    pub(super) known: Vec<OwnImage>,
}

impl Images<'_> {
    /// The image that holds the agent alone: a lane's holder runs it, and every build's image begins with it.
    pub(super) fn holder(&self) -> ImageTag {
        ImageTag {
            repository: HOLDER.to_owned(),
            tag: self.agent_digest.short().to_owned(),
        }
    }

    /// The image of the root filesystem `digest`, called `name`.
    pub(super) fn image(&self, name: &str, digest: &Digest) -> ImageTag {
        ImageTag {
            repository: repository(name),
            tag: format!("{}-{}", digest.short(), self.agent_digest.short()),
        }
    }

    /// Whether it is there: it was at the start, or another run has made it since.
    ///
    /// # Errors
    /// The daemon does not answer.
    pub(super) async fn has(&self, image: &ImageTag) -> Result<bool, DockerError> {
        let listed = |own: &OwnImage| own.tag.as_ref() == Some(image);
        Ok(self.known.iter().any(listed)
            || self.docker.image_id(&image.reference()).await?.is_some())
    }

    /// Makes the holder's image.
    ///
    /// # Errors
    /// The agent cannot be read, or Docker fails.
    pub(super) async fn make_holder(&self) -> Result<(), DockerError> {
        self.import(&self.holder(), None, &HashMap::new()).await
    }

    /// Makes the image of a root filesystem.
    ///
    /// # Errors
    /// The tar cannot be read, or Docker fails.
    pub(super) async fn make(
        &self,
        image: &ImageTag,
        rootfs: &Path,
        digest: &Digest,
    ) -> Result<(), DockerError> {
        let labels = HashMap::from([(DIGEST_LABEL.to_owned(), digest.to_string())]);
        self.import(image, Some(rootfs), &labels).await
    }

    async fn import(
        &self,
        image: &ImageTag,
        rootfs: Option<&Path>,
        labels: &HashMap<String, String>,
    ) -> Result<(), DockerError> {
        let agent = tempfile::NamedTempFile::new_in(self.store.tmp()).and_then(|file| {
            pack_agent(self.agent, file.as_file())?;
            Ok(file)
        });
        let agent = agent.map_err(|source| DockerError::File {
            action: format!("pack the agent {}", self.agent.display()),
            source,
        })?;
        let tars: Vec<&Path> = [Some(agent.path()), rootfs].into_iter().flatten().collect();
        let entrypoint = [AGENT_PATH, "agent"];
        self.docker.import(image, &tars, &entrypoint, labels).await
    }

    /// Removes the images of the same name with another agent or another digest, but for those in use or just made.
    pub(super) async fn remove_others(&self, image: &ImageTag) {
        let now = Timestamp::now().as_second();
        for own in &self.known {
            let replaced = match &own.tag {
                Some(tag) => tag.repository == image.repository && tag != image,
                None => image.repository == HOLDER,
            };
            if replaced && now - own.created > SETTLED.as_secs() {
                // Another run may be at the same one, and the daemon fail over it; what is left goes next time.
                let _ = self.docker.remove_image(&own.reference()).await;
            }
        }
    }
}

/// Whether the lab made the image: one that a user made from one of the lab's carries its label too, and is not ours.
pub(super) fn is_made_here(image: &OwnImage) -> bool {
    let Some(tag) = &image.tag else {
        return true;
    };
    let names = [HOLDER, compile::TOOLCHAIN];
    tag.repository.starts_with(REPOSITORIES) || names.contains(&tag.repository.as_str())
}

/// Writes a tar with the agent in it, without the blocks of zeros that end a tar: a root filesystem may follow.
fn pack_agent(agent: &Path, to: &File) -> io::Result<()> {
    let mut file = File::open(agent)?;
    let size = file.metadata()?.len();
    let mut header = tar::Header::new_gnu();
    header.set_path(AGENT_PATH.trim_start_matches('/'))?;
    header.set_size(size);
    header.set_mode(0o755);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_cksum();
    let mut to = io::BufWriter::new(to);
    to.write_all(header.as_bytes())?;
    io::copy(&mut file, &mut to)?;
    let padding = size.next_multiple_of(512) - size;
    io::copy(&mut io::repeat(0).take(padding), &mut to)?;
    to.flush()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(Some("iptables-lab/1.8.8"), true)]
    #[case(Some("iptables-lab-holder"), true)]
    #[case(Some("iptables-lab-toolchain"), true)]
    #[case(Some("registry.example/iptables-lab/1.8.8"), false)]
    #[case(Some("iptables-labelled"), false)]
    #[case(None, true)]
    fn an_image_that_a_user_made_from_one_of_ours_is_not_ours(
        #[case] repository: Option<&str>,
        #[case] ours: bool,
    ) {
        let tag = repository.map(|repository| ImageTag {
            repository: repository.to_owned(),
            tag: "1".to_owned(),
        });
        let image = OwnImage {
            id: "sha256:0".to_owned(),
            tag,
            created: 0,
        };
        assert_eq!(is_made_here(&image), ours);
    }

    #[test]
    fn what_follows_the_agent_in_a_tar_is_read_too() {
        let folder = tempfile::tempdir().unwrap();
        let agent = folder.path().join("agent");
        std::fs::write(&agent, vec![7; 700]).unwrap();
        let packed = File::create_new(folder.path().join("agent.tar")).unwrap();
        pack_agent(&agent, &packed).unwrap();
        let mut bytes = std::fs::read(folder.path().join("agent.tar")).unwrap();
        let mut rootfs = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(0);
        rootfs
            .append_data(&mut header, "etc/passwd", io::empty())
            .unwrap();
        bytes.extend(rootfs.into_inner().unwrap());
        let mut archive = tar::Archive::new(bytes.as_slice());
        let entries = archive.entries().unwrap();
        let found: Vec<(String, u64)> = entries
            .map(|entry| {
                let entry = entry.unwrap();
                (entry.path().unwrap().display().to_string(), entry.size())
            })
            .collect();
        let expected = [
            (".iptables-lab/agent".to_owned(), 700),
            ("etc/passwd".to_owned(), 0),
        ];
        assert_eq!(found, expected);
    }
}
