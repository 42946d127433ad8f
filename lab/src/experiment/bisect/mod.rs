//! Finds the upstream commits at the ends of causes: between the releases that a run shows, one commit after the other is compiled
//! and takes the place of the encoder or the decoder, beside a release that stays.

mod ends;
mod git;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use miette::miette;

use super::failure::{Failure, OrFailure};
use super::matrix::{self, MatrixRequest, Record};
use super::needed::Pairs;
use super::progress::say;
use super::run::RunOptions;
use super::scenarios::{ScenarioChoice, scenarios};
use super::session::{Session, SessionOptions};
use super::stored::matrix_of_file;
use crate::catalog::{BuildId, Tool};
use crate::cause::{Cause, Effect, FoundCommit, KnownCause, causes};
use crate::images::Effort;
use crate::matrix::Matrix;
use crate::plan::Operation;
use crate::report;
use crate::scenario::Scenario;
use ends::{Between, End, EndOf};
use git::Repository;

/// Which commits are looked for, and with what.
pub struct BisectRequest {
    /// The causes, by name; all of the run's where none is named.
    pub causes: Vec<String>,
    /// A run that shows them: a report in JSON, or a recording.
    pub from: PathBuf,
    /// The repository of the tool's history.
    pub tree: PathBuf,
    /// Whose history that is.
    pub tool: Tool,
    /// The source tree of the libnftnl that commits of nft are linked with; the toolchain's where none is named.
    pub libnftnl: Option<PathBuf>,
    /// How much at a time, and how long.
    pub options: RunOptions,
}

/// What came of it.
pub struct Bisected {
    /// The causes, each with its commits.
    pub causes: Vec<KnownCause>,
    /// How many commits were compiled or taken from the store.
    pub commits: usize,
    /// How many of these do not compile.
    pub skipped: usize,
    /// How many times a commit or a release was tried beside another.
    pub tries: usize,
}

/// Looks for the commits at the ends of causes.
///
/// # Errors
/// A file or repository that cannot be used, a cause that the run does not show, what the machine lacks, or someone interrupted.
pub async fn bisect(
    request: BisectRequest,
    session: impl Fn() -> SessionOptions,
) -> Result<Bisected, Failure> {
    let repository = Repository::open(&request.tree).or_bad_input()?;
    let matrix = matrix_of_file(&request.from)?;
    let found = causes(&matrix);
    let mut shown = report::causes::shown(&matrix, &found);
    for name in &request.causes {
        super::causes::named(&shown, name)?;
    }
    let mut search = Search {
        request: &request,
        session: &session,
        repository: &repository,
        matrix: &matrix,
        folder: tempfile::tempdir()
            .map_err(|error| miette!("no temporary directory: {error}"))
            .or_lacks()?,
        commits: BTreeMap::new(),
        tries: 0,
    };
    for (cause, known) in found.causes.iter().zip(&mut shown) {
        if !request.causes.is_empty() && !request.causes.contains(&cause.name) {
            continue;
        }
        for of in EndOf::ALL {
            let found = search.end(cause, of).await?;
            say(format_args!(
                "{}: {} {}",
                cause.name,
                of.as_str(),
                report::wording::found_commit(&found)
            ));
            let place = match of {
                EndOf::EncodedSince => &mut known.commits.encoded_since,
                EndOf::EncodedUntil => &mut known.commits.encoded_until,
                EndOf::MisreadSince => &mut known.commits.misread_since,
                EndOf::Mended => &mut known.commits.mended,
            };
            *place = Some(found);
        }
    }
    let is_asked = |of: &KnownCause| request.causes.is_empty() || request.causes.contains(&of.name);
    shown.retain(is_asked);
    Ok(Bisected {
        causes: shown,
        skipped: search.commits.values().filter(|of| of.is_err()).count(),
        commits: search.commits.len(),
        tries: search.tries,
    })
}

/// A commit that was made a build: its tree, or why there is none.
type Made = Result<PathBuf, String>;

struct Search<'a, S> {
    request: &'a BisectRequest,
    session: &'a S,
    repository: &'a Repository,
    matrix: &'a Matrix,
    /// Where the files of commits are written.
    folder: tempfile::TempDir,
    commits: BTreeMap<String, Made>,
    tries: usize,
}

impl<S: Fn() -> SessionOptions> Search<'_, S> {
    /// The commit at an end of a cause, or why there is none.
    async fn end(&mut self, cause: &Cause, of: EndOf) -> Result<FoundCommit, Failure> {
        let tool = self.request.tool;
        let between = match ends::end(cause, &self.matrix.builds, of, tool) {
            End::Between(between) => between,
            End::Not(because) => return Ok(without(because)),
        };
        let releases = [&between.before, &between.after].map(|of| of.version.release().to_owned());
        let names = [releases[0].as_str(), releases[1].as_str()];
        let commits = self.repository.between(names).or_bad_input()?;
        let mut found = FoundCommit {
            between: Some(releases.clone()),
            ..without(String::new())
        };
        found.because = None;
        // What the releases do is tried again: nothing is looked for that is not there.
        for (build, is_after) in [(between.before, false), (between.after, true)] {
            let expected = is_after == between.begins;
            let mut shows = None;
            for _ in 0..CONFIRMED {
                shows = self
                    .shows(cause, of, &between, build.id.as_str(), None)
                    .await?;
                if shows == Some(expected) {
                    break;
                }
            }
            if shows != Some(expected) {
                let id = &build.id;
                let why = match expected {
                    true => format!("{id} does not show it by itself"),
                    false => format!("{id} shows it too"),
                };
                found.because = Some(why);
                return Ok(found);
            }
        }
        // The place of the last commit that is as the release before, and of the first that is as the one after.
        let (mut low, mut high) = (None, commits.len() - 1);
        let mut skipped: Vec<usize> = Vec::new();
        let mut in_a_row = 0;
        loop {
            let from = low.map_or(0, |low: usize| low + 1);
            let open: Vec<usize> = (from..high).filter(|at| !skipped.contains(at)).collect();
            let Some(&at) = open.get(place(open.len(), in_a_row)) else {
                break;
            };
            say(format_args!(
                "{}: {}: {} commits left, about {} to try",
                cause.name,
                of.as_str(),
                high - from,
                usize::BITS - (high - from).leading_zeros()
            ));
            let commit = commits[at].clone();
            let tree = self.tree(&commit)?;
            let shows = match &tree {
                Ok(tree) => {
                    let name = build_name(&commit);
                    self.shows(cause, of, &between, &name, Some(tree)).await?
                }
                Err(_) => None,
            };
            match shows {
                Some(shows) if shows == between.begins => high = at,
                Some(_) => low = Some(at),
                None => skipped.push(at),
            }
            in_a_row = if shows.is_none() { in_a_row + 1 } else { 0 };
        }
        let from = low.map_or(0, |low| low + 1);
        let in_question: Vec<&usize> = skipped
            .iter()
            .filter(|at| (from..high).contains(at))
            .collect();
        let said = self.repository.said(&commits[high]).or_bad_input()?;
        for at in &in_question {
            let said = self.repository.said(&commits[**at]).or_bad_input()?;
            found.skipped.push(said.commit);
        }
        if !in_question.is_empty() {
            found.because = Some("this one, or one of those that could not be tried".to_owned());
        }
        found.commit = Some(said.commit);
        found.date = Some(said.date);
        found.subject = Some(said.subject);
        Ok(found)
    }

    /// The files of a commit.
    fn tree(&mut self, commit: &str) -> Result<Made, Failure> {
        if let Some(known) = self.commits.get(commit) {
            return Ok(known.clone());
        }
        let into = self.folder.path().join(build_name(commit));
        std::fs::create_dir(&into)
            .map_err(|error| miette!("{}: {error}", into.display()))
            .or_lacks()?;
        self.repository.unpack(commit, &into).or_lacks()?;
        self.commits.insert(commit.to_owned(), Ok(into.clone()));
        Ok(Ok(into))
    }

    /// Whether a build shows the cause beside the partner; none where it cannot be made.
    async fn shows(
        &mut self,
        cause: &Cause,
        of: EndOf,
        between: &Between<'_>,
        name: &str,
        tree: Option<&Path>,
    ) -> Result<Option<bool>, Failure> {
        // What each of many small runs says of itself would hide what is found.
        let mut options = SessionOptions {
            quiet: true,
            ..(self.session)()
        };
        let partner = &between.partner;
        let id = match tree {
            None => BuildId::named(name),
            Some(tree) => {
                let file = self.folder.path().join(format!("{name}.toml"));
                let text = own_build(name, tree, self.request);
                std::fs::write(&file, text)
                    .map_err(|error| miette!("{}: {error}", file.display()))
                    .or_lacks()?;
                options.builds.push(file);
                let id = BuildId::of_tool(self.request.tool, name, between.before.backend);
                if let Some(why) = self.lacking(name, &options).await? {
                    say(format_args!("{name} cannot be made: {why}"));
                    let commit = self
                        .commits
                        .keys()
                        .find(|of| build_name(of) == name)
                        .cloned();
                    if let Some(commit) = commit {
                        self.commits.insert(commit, Err(why));
                    }
                    return Ok(None);
                }
                id
            }
        };
        self.tries += 1;
        let ids = [id.as_str(), partner.id.as_str()].map(glob::Pattern::escape);
        let request = MatrixRequest {
            scenarios: self.scenario(between)?,
            operations: operations(cause),
            pairs: Pairs {
                writers: &ids,
                readers: &ids,
                backend: None,
            },
            shard: None,
            record: Record::No,
            options: self.request.options,
            known: None,
            transcripts: None,
        };
        let ran = matrix::run(request, options).await?;
        ran.ended?;
        let pair = match of.is_of_encoder() {
            true => (id, partner.id.clone()),
            false => (partner.id.clone(), id),
        };
        let shown = causes(&ran.matrix).causes.into_iter();
        let mut same = shown.filter(|of| is_same(of, cause));
        Ok(Some(same.any(|of| of.pairs.contains_key(&pair))))
    }

    /// Why a build cannot be made; none where it can.
    async fn lacking(
        &self,
        name: &str,
        options: &SessionOptions,
    ) -> Result<Option<String>, Failure> {
        let again = SessionOptions {
            store: options.store.clone(),
            builds: options.builds.clone(),
            tarballs: options.tarballs.clone(),
            ..*options
        };
        let session = Session::open(again).await?;
        let images = session.catalog.images.iter();
        let images = images.filter(|image| image.name == name).cloned().collect();
        let provision = session.try_provide(images, Effort::Usual).await?;
        let reason = provision.missing.first().map(|of| of.reason.clone());
        Ok(reason.filter(|_| provision.builds.is_empty()))
    }

    /// The scenario that shows the cause with the partner, of one family.
    fn scenario(&self, between: &Between<'_>) -> Result<Vec<Scenario>, Failure> {
        let choice = ScenarioChoice {
            named: vec![between.seen.scenario.clone()],
            ..ScenarioChoice::default()
        };
        let mut chosen = scenarios(&choice)?;
        for scenario in &mut chosen {
            scenario
                .rules
                .retain(|family, _| *family == between.seen.family);
        }
        Ok(chosen)
    }
}

/// How often a release is asked that does not do what it did.
const CONFIRMED: usize = 3;

/// Which of so many commits is tried next: the middle one; after some in a row that do not compile, one far from these.
fn place(commits: usize, in_a_row: usize) -> usize {
    const EIGHTHS: [usize; 7] = [4, 2, 6, 1, 7, 3, 5];
    commits * EIGHTHS[in_a_row % EIGHTHS.len()] / 8
}

fn without(because: String) -> FoundCommit {
    FoundCommit {
        commit: None,
        date: None,
        subject: None,
        between: None,
        because: Some(because),
        skipped: Vec::new(),
    }
}

/// Whether both are the same cause: by name, or as what is read so, whatever the decoder would have written itself.
fn is_same(one: &Cause, other: &Cause) -> bool {
    let told = |of: &Cause| -> Vec<(String, Effect, String)> {
        let all = of.signatures.keys();
        all.map(|of| (of.decoder.clone(), of.effect, of.encoded.clone()))
            .collect()
    };
    let (own, others) = (told(one), told(other));
    one.name == other.name || own.iter().any(|of| others.contains(of))
}

/// What a commit is called as a build.
fn build_name(commit: &str) -> String {
    let start: String = commit.chars().take(12).collect();
    format!("commit-{start}")
}

/// A file with a build that is made of a source tree.
fn own_build(name: &str, tree: &Path, request: &BisectRequest) -> String {
    let path = |of: &Path| toml::Value::from(of.display().to_string());
    let mut text = toml::Table::new();
    let mut build = toml::Table::new();
    build.insert("name".to_owned(), name.into());
    build.insert("tree".to_owned(), path(tree));
    build.insert("tool".to_owned(), request.tool.as_str().into());
    if let Some(libnftnl) = &request.libnftnl {
        build.insert("libnftnl".to_owned(), path(libnftnl));
    }
    text.insert("build".to_owned(), vec![toml::Value::Table(build)].into());
    text.to_string()
}

/// What readers must do for the cause to be seen.
fn operations(cause: &Cause) -> Vec<Operation> {
    let mut all = Operation::DECISIVE.to_vec();
    let effects = cause.signatures.keys().map(|of| of.effect);
    for effect in effects {
        match effect {
            Effect::HitsAnother | Effect::Misses => {
                all.extend([Operation::Check, Operation::Delete]);
            }
            Effect::UnrestorableNoflush => all.push(Operation::SyncNoflush),
            Effect::Unrestorable => all.push(Operation::Sync),
            Effect::Doubled => all.push(Operation::Reassert),
            _ => {}
        }
    }
    Operation::with_needs(&all)
}
