//! The history of a program, in a git repository that somebody else keeps: it is only read.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use miette::{Report, miette};

/// A git repository.
#[derive(Debug, Clone)]
pub struct Repository(PathBuf);

/// What git says of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitSaid {
    /// The first twelve digits of its name.
    pub commit: String,
    /// The day on which it was committed.
    pub date: String,
    /// Its first line.
    pub subject: String,
}

impl Repository {
    /// The repository at `path`, with or without a work tree.
    ///
    /// # Errors
    /// There is no git, it is no repository, or its history is cut off.
    pub fn open(path: &Path) -> Result<Self, Report> {
        let repository = Repository(path.to_owned());
        let is_shallow = repository.git(&["rev-parse", "--is-shallow-repository"]);
        let is_shallow = is_shallow.map_err(|error| {
            miette!(
                help = "give the directory of a clone: git clone --bare URL DIR",
                "{} is no git repository: {error}",
                path.display()
            )
        })?;
        match is_shallow.trim() {
            "true" => Err(miette!(
                help = "fetch the whole history: git fetch --unshallow --tags",
                "the history in {} is cut off",
                path.display()
            )),
            _ => Ok(repository),
        }
    }

    /// The commits after the tag of one release up to that of another, the oldest first.
    ///
    /// # Errors
    /// A tag is not there.
    pub fn between(&self, releases: [&str; 2]) -> Result<Vec<String>, Report> {
        let [from, to] = releases.map(|release| format!("v{release}"));
        for tag in [&from, &to] {
            let name = format!("{tag}^{{commit}}");
            let known = self.git(&["rev-parse", "--verify", "--quiet", &name]);
            known.map_err(|_| {
                miette!(
                    help = "fetch the tags: git fetch --tags",
                    "{} has no tag {tag}",
                    self.0.display()
                )
            })?;
        }
        let range = format!("{from}..{to}");
        let list = self.git(&["rev-list", "--reverse", "--topo-order", &range])?;
        Ok(list.lines().map(str::to_owned).collect())
    }

    /// What is said of a commit.
    ///
    /// # Errors
    /// It is not there.
    pub fn said(&self, commit: &str) -> Result<CommitSaid, Report> {
        let line = self.git(&["show", "-s", "--format=%H%x09%cs%x09%s", commit])?;
        let mut words = line.trim_end().splitn(3, '\t').map(str::to_owned);
        let mut next = || words.next().unwrap_or_default();
        let name = next();
        Ok(CommitSaid {
            commit: name.chars().take(12).collect(),
            date: next(),
            subject: next(),
        })
    }

    /// Writes the files of a commit into an empty directory.
    ///
    /// # Errors
    /// It is not there, or the disk is full.
    pub fn unpack(&self, commit: &str, into: &Path) -> Result<(), Report> {
        let mut archive = self.command(&["archive", "--format=tar", commit]);
        let mut archive = archive
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| miette!("git cannot be run: {error}"))?;
        let stdout = archive.stdout.take().map_or_else(Stdio::null, Stdio::from);
        let unpacked = Command::new("tar")
            .args(["-x", "-C"])
            .arg(into)
            .stdin(stdout)
            .stderr(Stdio::null())
            .status();
        let archived = archive.wait();
        let is_well = [archived, unpacked]
            .into_iter()
            .all(|status| status.is_ok_and(|status| status.success()));
        match is_well {
            true => Ok(()),
            false => Err(miette!(
                "the files of commit {commit} cannot be written down"
            )),
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut git = Command::new("git");
        git.arg("-C")
            .arg(&self.0)
            .args(arguments)
            .stdin(Stdio::null());
        git
    }

    fn git(&self, arguments: &[&str]) -> Result<String, Report> {
        let output = self.command(arguments).output();
        let output = output.map_err(|error| miette!("git cannot be run: {error}"))?;
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            false => Err(miette!(
                "{}",
                String::from_utf8_lossy(&output.stderr).trim().to_owned()
            )),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// A history of three commits: the first is tagged v1, the last v2.
    fn history() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let repository = Repository(folder.path().to_owned());
        let who = ["-c", "user.name=a", "-c", "user.email=a@example.org"];
        repository.git(&["init", "-q"]).unwrap();
        for (at, tag) in [(1, Some("v1")), (2, None), (3, Some("v2"))] {
            std::fs::write(folder.path().join("file"), at.to_string()).unwrap();
            repository.git(&["add", "file"]).unwrap();
            let subject = format!("change {at}");
            let commit = [&who[..], &["commit", "-q", "-m", &subject]].concat();
            repository.git(&commit).unwrap();
            if let Some(tag) = tag {
                repository.git(&["tag", tag]).unwrap();
            }
        }
        folder
    }

    #[test]
    fn commits_between_two_releases_are_listed_and_unpacked() {
        needs!(Git);
        let folder = history();
        let repository = Repository::open(folder.path()).unwrap();
        let commits = repository.between(["1", "2"]).unwrap();
        let said = commits.iter().map(|of| repository.said(of).unwrap());
        let said: Vec<_> = said.collect();
        let subjects: Vec<&str> = said.iter().map(|of| of.subject.as_str()).collect();
        assert_eq!(subjects, ["change 2", "change 3"]);
        assert!(
            said.iter()
                .all(|of| of.commit.len() == 12 && of.date.len() == 10)
        );
        let into = tempfile::tempdir().unwrap();
        repository.unpack(&commits[0], into.path()).unwrap();
        assert_eq!(
            std::fs::read_to_string(into.path().join("file")).unwrap(),
            "2"
        );
        assert!(repository.unpack("0123456789", into.path()).is_err());
    }

    #[test]
    fn what_cannot_be_used_is_said_with_what_to_do() {
        needs!(Git);
        let folder = history();
        let repository = Repository::open(folder.path()).unwrap();
        let error = repository.between(["1", "3"]).unwrap_err();
        assert!(error.to_string().ends_with("has no tag v3"), "{error}");
        let clone = tempfile::tempdir().unwrap();
        let url = format!("file://{}", folder.path().display());
        let into = clone.path().join("shallow");
        let arguments = ["clone", "-q", "--depth", "1", &url, into.to_str().unwrap()];
        repository.git(&arguments).unwrap();
        let error = Repository::open(&into).unwrap_err();
        assert!(error.to_string().contains("is cut off"), "{error}");
        let empty = tempfile::tempdir().unwrap();
        assert!(Repository::open(empty.path()).is_err());
    }
}
