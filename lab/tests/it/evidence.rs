//! The folder for a bug tracker, and the script in it that stands alone.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use iptables_lab::catalog::Backend;
use iptables_lab::images::Store;
use iptables_lab::matrix::Matrix;
use iptables_lab::recording;
use rstest::rstest;

use super::lab::{both, iptables_lab};
use super::lane::usual_store;

pub const WRITER: &str = "debian-1.8.9-2-nft";
pub const READER: &str = "debian-1.8.7-1-nft";

/// As people run it: what earlier tests learnt of transitions is not run again. Whether a loss is there, the script shows.
pub fn evidence(folder: &Path, more: &[&str]) -> Output {
    let mut command = iptables_lab();
    command.env_remove("IPTABLES_LAB_FRESH");
    command
        .args(["evidence", "--quiet", "--output"])
        .arg(folder);
    command.args(more).output().unwrap()
}

fn of(writer: &str, reader: &str, folder: &Path) -> Output {
    let words = [
        "--scenario",
        "kube-firewall",
        "--writer",
        writer,
        "--reader",
        reader,
    ];
    evidence(folder, &words)
}

/// The folder of the loss that the project began with, made once.
fn made() -> &'static Path {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    MADE.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("evidence");
        let _ = std::fs::remove_dir_all(&folder);
        let output = of(WRITER, READER, &folder);
        assert!(output.status.success(), "{}", both(&output));
        assert_eq!(
            output.stdout,
            format!("{}\n", folder.display()).into_bytes()
        );
        folder
    })
}

fn text(name: &str) -> String {
    std::fs::read_to_string(made().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The root filesystem of a build, as the store keeps it.
pub fn rootfs(id: &str) -> PathBuf {
    rootfs_of(made(), id)
}

/// The same of a build that the report in `folder` is about.
pub fn rootfs_of(folder: &Path, id: &str) -> PathBuf {
    let recorded = recording::read(&folder.join("recording.jsonl")).unwrap();
    let mut builds = recorded.recording.head.builds.iter();
    let build = builds.find(|build| build.id.as_str() == id);
    let store = Store::open(&usual_store()).unwrap();
    store.build(&build.unwrap().key).unwrap().1
}

fn reproduce(writer: &Path, reader: &Path) -> (Option<i32>, String) {
    let script = made().join("reproduce.sh");
    let output = Command::new("sh")
        .arg(script)
        .args([writer, reader])
        .output()
        .unwrap();
    (output.status.code(), both(&output))
}

#[test]
fn the_least_rule_is_left_with_what_it_does_to_packets() {
    needs!(Docker);
    insta::assert_snapshot!(text("rules.save"), @r"
    *filter
    :KUBE-FIREWALL - [0:0]
    -A KUBE-FIREWALL -m mark --mark 0x00008000/0x00008000 -j DROP
    COMMIT
    ");
    assert!(
        text("written.save").contains("-A KUBE-FIREWALL -m mark --mark 0x8000/0x8000 -j DROP\n")
    );
    for after in ["read.save", "after.save"] {
        assert!(
            text(after).contains("-A KUBE-FIREWALL -j DROP\n"),
            "{after}"
        );
    }
    assert!(text("kernel-before.txt").contains("[ meta load mark => reg 1 ]"));
    assert!(!text("kernel-after.txt").contains("mark"));
}

#[test]
fn the_report_says_first_what_a_maintainer_asks_first() {
    needs!(Docker);
    let report = text("REPORT.md");
    let first = report.lines().nth(2).unwrap();
    assert!(first.starts_with("**Fixed upstream in 1.8."), "{first}");
    assert!(
        first.contains("Packages of older releases need the fix backported."),
        "{first}"
    );
    for said in [
        "- `match mark` is lost: `-m mark --mark 0x8000/0x8000`",
        "Blackhole (confirmed with packets): packets that the rules let through are dropped.",
        "- `ping-localhost`: delivered to 127.0.0.1",
        "it ended with exit status 1: the loss is there",
        "git bisect start --term-old=broken --term-new=fixed v1.8.",
        "WRITER=/path/to/1.8.9/xtables-nft-multi FIND=fix git bisect run sh -c './autogen.sh ",
        "| writer | debian-1.8.9-2-nft | iptables v1.8.9",
        "4 rules of 30 words, shrunk to 1 rule of 6 words",
        "nothing more can be left out",
    ] {
        assert!(report.contains(said), "{said}\n{report}");
    }
    let row = report
        .lines()
        .find(|line| line.starts_with("| debian-1.8.9-2-nft | "));
    assert!(row.unwrap().contains("**X**"), "{report}");
    let newest = report
        .lines()
        .find(|line| line.starts_with("| debian-1.8.7-1-nft | "));
    assert!(!newest.unwrap().contains("**X**"), "{report}");
    for line in report.lines().filter_map(|line| line.strip_prefix("- `")) {
        if let Some((file, _)) = line
            .split_once("`: ")
            .filter(|(name, _)| name.contains('.'))
        {
            assert!(made().join(file).exists(), "{file}");
        }
    }
}

#[test]
fn of_a_misread_rule_the_report_speaks_of_the_writers_releases() {
    needs!(Root, Native);
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("report");
    let mut words = vec!["--engine", "native", "--scenario", "kube-firewall"];
    words.extend(["--writer", READER, "--reader", WRITER]);
    let output = evidence(&folder, &words);
    assert!(output.status.success(), "{}", both(&output));
    let report = read(&folder, "REPORT.md");
    for said in [
        "# The writer prints a rule without -m mark after the reader's restore (",
        "**Fixed upstream in 1.8.",
        " is the first writer without it, debian-1.8.7-1-nft the last with it.**",
        "Blackhole as soon as the writer restores what it prints: ",
        "exit status 1: the loss is there",
        "FIND=fix git bisect run sh -c './autogen.sh && ./configure --disable-shared --enable-static --disable-connlabel \
         && make -j2 || exit 125; WRITER=$PWD ",
    ] {
        assert!(report.contains(said), "{said}\n{report}");
    }
}

#[test]
fn the_recording_is_of_just_this_pairing_and_judges_the_same() {
    needs!(Docker);
    let recorded = recording::read(&made().join("recording.jsonl"))
        .unwrap()
        .recording;
    let [cell] = Matrix::of(&recorded).cells.try_into().unwrap();
    assert_eq!(
        (cell.writer.as_str(), cell.reader.as_str()),
        (WRITER, READER)
    );
    assert_eq!(cell.verdict.as_str(), "lossy");
}

#[test]
fn the_script_shows_the_loss_and_not_the_other_way_round() {
    needs!(Root, Docker);
    let (writer, reader) = (rootfs(WRITER), rootfs(READER));
    let (status, said) = reproduce(&writer, &reader);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("-A KUBE-FIREWALL -j DROP"), "{said}");
    let (status, said) = reproduce(&reader, &writer);
    assert_eq!(status, Some(0), "{said}");
    let (status, said) = reproduce(&writer, &writer);
    assert_eq!(status, Some(0), "{said}");
}

#[test]
fn a_root_filesystem_may_be_a_folder_and_its_proc_is_left_alone() {
    needs!(Root, Docker);
    let unpacked = tempfile::tempdir().unwrap();
    let mut tar = Command::new("tar");
    tar.arg("-xf")
        .arg(rootfs(READER))
        .arg("-C")
        .arg(unpacked.path());
    assert!(tar.status().unwrap().success());
    let (status, said) = reproduce(&rootfs(WRITER), unpacked.path());
    assert_eq!(status, Some(1), "{said}");
    let proc = std::fs::read_dir(unpacked.path().join("proc")).unwrap();
    assert_eq!(proc.count(), 0);
}

/// Without builds the script names the lab's images of them; those are there, and show the loss.
#[test]
fn the_container_images_that_the_script_names_show_the_loss() {
    needs!(Docker);
    let script = made().join("reproduce.sh");
    let run = |images: &[&str]| {
        let mut command = Command::new("sh");
        command.arg(&script).args(images);
        let command = command.env_remove("WRITER").env_remove("READER");
        command.output().unwrap()
    };
    let usage = String::from_utf8(run(&[]).stderr).unwrap();
    let images: Vec<&str> = usage
        .split_whitespace()
        .filter(|word| word.starts_with("image:iptables-lab/"))
        .collect();
    assert_eq!(images.len(), 2, "{usage}");
    let output = run(&images);
    assert_eq!(output.status.code(), Some(1), "{}", both(&output));
}

/// What runs a build's binary by its bare path: the binary itself where it is static, else a program that runs it where
/// its libraries are.
fn bare(id: &str, unpacked: &Path) -> PathBuf {
    let root = unpacked.join(id);
    std::fs::create_dir(&root).unwrap();
    let mut tar = Command::new("tar");
    tar.arg("-xf").arg(rootfs(id)).arg("-C").arg(&root);
    assert!(tar.status().unwrap().success());
    let multi = root.join("usr/sbin/xtables-nft-multi");
    if !root.join("lib64").exists() {
        return multi;
    }
    let program = unpacked.join(format!("{id}.sh"));
    let text = format!(
        "#!/bin/sh\nexec chroot {} /usr/sbin/xtables-nft-multi \"$@\"\n",
        root.display()
    );
    std::fs::write(&program, text).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    program
}

#[test]
fn bare_binaries_show_the_loss_in_a_clean_namespace_and_not_the_other_way_round() {
    needs!(Root, Docker);
    let unpacked = tempfile::tempdir().unwrap();
    let recorded = recording::read(&made().join("recording.jsonl")).unwrap();
    let witness = recorded.recording.head.witness[&Backend::Nft].to_string();
    let (writer, reader) = (
        bare(&witness, unpacked.path()),
        bare(READER, unpacked.path()),
    );
    let (status, said) = reproduce(&writer, &reader);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("-A KUBE-FIREWALL -j DROP"), "{said}");
    let (status, said) = reproduce(&reader, &writer);
    assert_eq!(status, Some(0), "{said}");
    let (status, said) = reproduce(&unpacked.path().join("nothing"), &reader);
    assert_eq!(status, Some(125), "{said}");
}

#[test]
fn who_looks_for_the_commit_that_mended_it_gets_the_statuses_exchanged() {
    needs!(Root, Docker);
    let (writer, reader) = (rootfs(WRITER), rootfs(READER));
    let fix = |writer: &Path, reader: &Path| {
        let mut script = Command::new("sh");
        script
            .arg(made().join("reproduce.sh"))
            .args([writer, reader]);
        let output = script.env("FIND", "fix").output().unwrap();
        (output.status.code(), both(&output))
    };
    let (status, said) = fix(&writer, &reader);
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("the loss is there"), "{said}");
    let (status, said) = fix(&writer, &writer);
    assert_eq!(status, Some(1), "{said}");
    let (status, said) = fix(&writer, Path::new("/nonexistent"));
    assert_eq!(status, Some(125), "{said}");
}

pub fn read(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn a_loss_of_another_kind_than_the_pairing_has_is_none() {
    needs!(Native);
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("report");
    let mut words = vec!["--engine", "native", "--scenario", "kube-firewall"];
    words.extend(["--loss", "crashed"]);
    words.extend(["--writer", WRITER, "--reader", READER]);
    let output = evidence(&folder, &words);
    assert_eq!(output.status.code(), Some(1), "{}", both(&output));
    let said = String::from_utf8(output.stdout).unwrap();
    let nothing = "no loss of the kind `crashed` in kube-firewall between";
    assert!(said.starts_with(nothing), "{said}");
    assert!(!folder.exists());
}

/// The script is often all that somebody has of a report.
#[test]
fn without_builds_the_script_says_how_it_is_run() {
    needs!(Engine);
    let script = made().join("reproduce.sh");
    let mut command = Command::new("sh");
    command
        .arg(script)
        .env_remove("WRITER")
        .env_remove("READER");
    for arguments in [&[][..], &["/one/build"]] {
        let output = command.args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(125), "{}", both(&output));
        let said = String::from_utf8(output.stderr).unwrap();
        for line in [
            "the reader drops `-m mark` when it prints and restores the rules: debian-1.8.9-2-nft writes",
            "\nExit status: 1 while the loss is there",
            "./reproduce.sh WRITER READER\n",
            "\n  /path/to/rootfs  ",
            "./reproduce.sh image:iptables-lab/debian-1.8.9-2 image:iptables-lab/debian-1.8.7-1\n",
        ] {
            assert!(said.contains(line), "{line}\n{said}");
        }
        assert!(!said.contains("set -u"), "{said}");
    }
}

#[rstest]
#[case::missing(
    "/nonexistent/xtables-nft-multi",
    "there is no /nonexistent/xtables-nft-multi"
)]
#[case::no_iptables("/var/empty-of-iptables", "holds no xtables-nft-multi")]
#[case::no_build("/bin/false", "/bin/false does not run")]
fn what_cannot_be_tried_is_skipped_by_bisect(#[case] reader: &str, #[case] why: &str) {
    needs!(Root, Docker);
    let empty = tempfile::tempdir().unwrap();
    let reader = match reader {
        "/var/empty-of-iptables" => empty.path(),
        reader => Path::new(reader),
    };
    let (status, said) = reproduce(&rootfs(WRITER), reader);
    assert_eq!(status, Some(125), "{said}");
    assert!(said.contains(why), "{said}");
}

#[test]
fn where_nothing_is_lost_no_folder_is_made() {
    needs!(Docker);
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("report");
    let output = of("debian-1.8.13-1-nft", WRITER, &folder);
    assert_eq!(output.status.code(), Some(1), "{}", both(&output));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        said.starts_with("nothing is lost in kube-firewall between"),
        "{said}"
    );
    assert!(!folder.exists());
}

#[rstest]
#[case(&["--writer", WRITER, "--reader", READER], "name it with --scenario")]
#[case(&["--writer", WRITER, "--reader", READER, "--scenario", "kube-*"], "a report is about one scenario")]
#[case(&["--writer", WRITER, "--reader", READER, "--scenario", "netbird-beside-docker"], "has rules of several systems")]
#[case(&["--writer", WRITER, "--reader", READER, "--scenario", "nft-native-filter"], "nothing is left to run: of nft-native-filter")]
#[case(&["--writer", WRITER, "--reader", "debian-nft-1.1.3-1", "--scenario", "kube-firewall", "--loss", "not-deleted"], "the script of a report has no sync and no deletion of nft's")]
#[case(&["--writer", WRITER, "--reader", READER, "--scenario", "kube-firewall", "--loss", "all"], "invalid value 'all' for '--loss <KIND>'")]
#[case(&["--writer", WRITER, "--reader", READER, "--scenario", "kube-proxy-nat", "--family", "ipv6"], "has no ipv6 rules")]
#[case(&["--writer", "nobody", "--reader", READER, "--scenario", "kube-firewall"], "no build is called `nobody`")]
fn bad_input_is_named(#[case] words: &[&str], #[case] why: &str) {
    needs!(Engine);
    let folder = tempfile::tempdir().unwrap();
    let output = evidence(&folder.path().join("report"), words);
    assert_eq!(output.status.code(), Some(2), "{}", both(&output));
    let said = String::from_utf8_lossy(&output.stderr).replace("\n  │ ", " ");
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains(why), "{said}");
}

#[test]
fn a_folder_that_is_not_empty_is_left_as_it_is() {
    needs!(Docker);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("mine"), "").unwrap();
    let output = of(WRITER, READER, folder.path());
    assert_eq!(output.status.code(), Some(2), "{}", both(&output));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}
