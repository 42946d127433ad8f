//! A build that is out to do harm: what it can reach of the machine that it runs on, in a lane of either engine.

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File, Permissions};
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use iptables_lab::agent::protocol::Request;

use iptables_lab::catalog::{Catalog, Source};
use iptables_lab::docker::ImageTag;
use iptables_lab::engine::Place;
use iptables_lab::observed::End;
use rstest::rstest;

use super::docker::{docker, wait};
use super::lab::{both, compiled, iptables_lab};
use super::lane::{On, TestLane, store_of_its_own};
use super::user::User;

/// Says what it could do, a line each. Its arguments are a port of the host's and the name of an abstract socket there.
const HARM: &str = r#"
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static void could(const char *what, int is) {
    if (is) printf("could %s\n", what);
}

static int writes(const char *path) {
    int file = open(path, O_WRONLY | O_APPEND | O_CREAT, 0600);
    int written = file >= 0 && write(file, "harm", 4) == 4;
    if (file >= 0) close(file);
    return written;
}

static int opens(const char *path) {
    int file = open(path, O_WRONLY);
    if (file >= 0) close(file);
    return file >= 0;
}

static int enters(const char *path) {
    DIR *folder = opendir(path);
    if (folder) closedir(folder);
    return folder != NULL;
}

static void look_into_the_first_process(void) {
    char target[300];
    could("look into the first process's root", enters("/proc/1/root/"));
    could("see what the first process has open", readlink("/proc/1/fd/0", target, sizeof target) > 0);
    could("open the first process's memory", open("/proc/1/mem", O_RDONLY) >= 0);
    could("open the first process's mounts", open("/proc/1/ns/mnt", O_RDONLY) >= 0);
    could("trace the first process", ptrace(PTRACE_SEIZE, 1, NULL, NULL) == 0);
}

/* Where a process has every capability, and over nothing but what it makes there. */
static void be_root_in_a_user_namespace(void) {
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET) != 0) return;
    could("make a user namespace", 1);
    could("remount its root there", mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND, NULL) == 0);
    could("write to its root there", writes("/harm"));
    could("write to /usr/sbin there", writes("/usr/sbin/harm"));
    could("remount /proc there", mount(NULL, "/proc", NULL, MS_REMOUNT | MS_BIND, NULL) == 0);
    could("uncover what /run lies over", umount2("/run", MNT_DETACH) == 0);
    if (fork() == 0) {
        could("mount a /proc that can be written to", mount("proc", "/run", "proc", 0, NULL) == 0);
        could("set the core pattern there", opens("/run/sys/kernel/core_pattern") || opens("/proc/sys/kernel/core_pattern"));
        could("mount a /sys", mount("sysfs", "/run", "sysfs", 0, NULL) == 0);
        could("make a disk there", mknod("/run/disk", S_IFBLK | 0600, makedev(254, 0)) == 0);
        _exit(0);
    }
    wait(NULL);
}

/* A socket of this family, by the calls for programs of 32 bits, whose numbers are others. */
static int has_socket_of_32_bits(int family) {
    int made = 1;
#ifdef __x86_64__
    if (fork() == 0) {
        long socket;
        __asm__ volatile("int $0x80" : "=a"(socket) : "a"(359), "b"(family), "c"(SOCK_STREAM), "d"(0) : "memory");
        _exit(socket < 0);
    }
    wait(&made);
#endif
    return made == 0;
}

static void leave_all_namespaces(void) {
    char settings[120] = "";
    could("have a socket to a virtual machine's host", socket(AF_VSOCK, SOCK_STREAM, 0) >= 0);
    could("have one by the calls of 32 bits", has_socket_of_32_bits(AF_VSOCK));
    could("have an io_uring", syscall(SYS_io_uring_setup, 1, settings) >= 0);
    could("reach its user's keys", syscall(SYS_keyctl, 0, -4, 1) >= 0);
}

/* Folders as deep as the file system has them: to the last no path leads, and nobody may enter it. */
static int dig(const char *from) {
    int left = 5000;
    if (chdir(from) != 0) return 1;
    while (left-- > 0 && mkdir("deep", 0700) == 0 && chdir("deep") == 0);
    return chmod(".", 0) != 0;
}

static int reaches(int kind, const struct sockaddr *to, socklen_t length) {
    int s = socket(kind, SOCK_STREAM, 0);
    int there = connect(s, to, length) == 0;
    close(s);
    return there;
}

static void lines(const char *path, const char *with) {
    char line[4096];
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file))
        if (strstr(line, with)) printf("%s", line);
    if (file) fclose(file);
}

static void processes(void) {
    struct dirent *entry;
    DIR *proc = opendir("/proc");
    while (proc && (entry = readdir(proc))) {
        char path[300], name[64] = "";
        if (atoi(entry->d_name) == 0) continue;
        snprintf(path, sizeof path, "/proc/%s/comm", entry->d_name);
        FILE *file = fopen(path, "r");
        if (file && fgets(name, sizeof name, file)) printf("process %s", name);
        if (file) fclose(file);
    }
}

int main(int count, char **words) {
    if (count > 1 && strcmp(words[1], "--version") == 0) {
        puts("iptables v1.8.9 (nf_tables)");
        return 0;
    }
    if (count > 2 && strcmp(words[1], "dig") == 0) return dig(words[2]);
    setvbuf(stdout, NULL, _IONBF, 0);
    if (count > 1 && strcmp(words[1], "linger") == 0) {
        if (fork() == 0) {
            setsid();
            if (fork() != 0) _exit(0);
            close(0); close(1); close(2);
            for (;;) pause();
        }
        return 0;
    }
    could("write to its root", writes("/harm"));
    could("write to /etc/passwd", writes("/etc/passwd"));
    could("write to /usr/sbin", writes("/usr/sbin/harm"));
    could("write to /run", writes("/run/harm"));
    could("set the core pattern", opens("/proc/sys/kernel/core_pattern"));
    could("set the modprobe path", opens("/proc/sys/kernel/modprobe"));
    could("pull the system request trigger", opens("/proc/sysrq-trigger"));
    could("mount", mount("tmpfs", "/run", "tmpfs", 0, NULL) == 0);
    could("remount its root", mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND, NULL) == 0);
    could("make a disk", mknod("/run/disk", S_IFBLK | 0600, makedev(254, 0)) == 0);
    could("change its root", chroot("/run") == 0);
    could("set the host name", sethostname("harm", 4) == 0);
    could("see docker.sock", access("/run/docker.sock", F_OK) == 0 || access("/var/run/docker.sock", F_OK) == 0);
    could("kill the first process", kill(1, SIGKILL) == 0 && kill(1, 0) != 0);
    if (count > 2) {
        struct sockaddr_in host = { AF_INET, htons(atoi(words[1])), { htonl(INADDR_LOOPBACK) } };
        could("reach the host's loopback", reaches(AF_INET, (void *)&host, sizeof host));
        struct sockaddr_un name = { AF_UNIX };
        strncpy(name.sun_path + 1, words[2], sizeof name.sun_path - 2);
        could("reach an abstract socket",
              reaches(AF_UNIX, (void *)&name, sizeof(sa_family_t) + 1 + strlen(words[2])));
    }
    processes();
    look_into_the_first_process();
    leave_all_namespaces();
    lines("/proc/net/dev", ":");
    lines("/proc/self/status", "CapPrm");
    lines("/proc/self/status", "CapEff");
    lines("/proc/self/status", "CapBnd");
    lines("/proc/self/status", "NoNewPrivs");
    be_root_in_a_user_namespace();
    return 0;
}
"#;

/// What it said that it could do.
fn could(said: &str) -> BTreeSet<&str> {
    let lines = said.lines();
    lines
        .filter_map(|line| line.strip_prefix("could "))
        .collect()
}

/// What it can do in a lane, which harms nothing: /run is its own, in memory; in a user namespace it has rights over what
/// it makes there alone.
fn harmless(on: On) -> BTreeSet<&'static str> {
    let there: &[_] = match on {
        On::Docker => &["write to /run"],
        On::Native => &["write to /run", "make a user namespace"],
    };
    there.iter().copied().collect()
}

/// A container image of the user's that holds the program and nothing else.
struct Image(ImageTag);

impl Image {
    fn make(folder: &Path) -> Image {
        let program = compiled(folder, HARM);
        let mut tar = tar::Builder::new(Vec::new());
        tar.append_path_with_name(&program, "usr/sbin/xtables-nft-multi")
            .unwrap();
        let mut link = tar::Header::new_gnu();
        link.set_entry_type(tar::EntryType::Symlink);
        link.set_size(0);
        tar.append_link(&mut link, "usr/sbin/iptables-nft", "xtables-nft-multi")
            .unwrap();
        let packed = folder.join("harm.tar");
        fs::write(&packed, tar.into_inner().unwrap()).unwrap();
        let image = Image(ImageTag {
            repository: "iptables-lab-test/hostile".to_owned(),
            tag: number(),
        });
        let files: [&Path; 1] = [&packed];
        wait(docker().import(&image.0, &files, &[], &HashMap::new())).unwrap();
        image
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let _ = wait(docker().remove_image(&self.0.reference()));
        remove_images_of(&format!("hostile-{}", self.0.tag));
    }
}

/// Removes what the lab made in Docker of a build of this name.
fn remove_images_of(name: &str) {
    let made = format!("iptables-lab/{name}");
    for image in wait(docker().own_images()).into_iter().flatten() {
        if image.tag.as_ref().is_some_and(|tag| tag.repository == made) {
            let _ = wait(docker().remove_image(&image.reference()));
        }
    }
}

/// Which no other has, in this process nor in another.
fn number() -> String {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{}-{count}", std::process::id())
}

/// A lane of the build, and what it was made from, which goes when the lane has gone.
fn lane(on: On, folder: &Path) -> (Image, TestLane) {
    let image = Image::make(folder);
    let (name, reference) = (format!("hostile-{}", image.0.tag), image.0.reference());
    let file: PathBuf = folder.join("own.toml");
    let entry = format!("[[build]]\nname = \"{name}\"\nimage = \"{reference}\"\n");
    fs::write(&file, entry).unwrap();
    let catalog = Catalog::load(&[file]).unwrap();
    let store = store_of_its_own(folder);
    let lane = TestLane::of(
        on,
        &store,
        &catalog,
        |image| matches!(&image.source, Source::Container { reference: of } if *of == reference),
    );
    (image, lane)
}

#[rstest]
fn a_hostile_build_reaches_nothing_but_its_lane(#[values(On::Docker, On::Native)] on: On) {
    needs!(on.need(), Docker);
    let folder = tempfile::tempdir().unwrap();
    let (_image, mut lane) = lane(on, folder.path());
    let host = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = host.local_addr().unwrap().port();
    let name = format!("iptables-lab-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let _abstract = UnixListener::bind_addr(&address).unwrap();
    let ran = lane.run(&format!("iptables-nft {port} {name}"), None);
    assert_eq!(ran.end, End::Exit(0), "{ran:#?}");
    let said = ran.stdout.to_lossy().into_owned();
    assert_eq!(could(&said), harmless(on), "{said}");
    let processes = said.lines().filter(|line| line.starts_with("process "));
    let processes: Vec<&str> = processes.collect();
    assert_eq!(processes.len(), 2, "the agent, and the build: {said}");
    let interfaces = said.lines().filter_map(|line| line.split_once(':'));
    let interfaces: Vec<&str> = interfaces
        .map(|(name, _)| name.trim())
        .filter(|name| !["CapPrm", "CapEff", "CapBnd", "NoNewPrivs"].contains(name))
        .collect();
    assert_eq!(interfaces, ["lo"], "{said}");
    // CAP_NET_ADMIN and CAP_NET_RAW, and no other.
    for set in ["CapPrm", "CapEff", "CapBnd"] {
        let line = format!("{set}:\t0000000000003000");
        assert!(said.lines().any(|of| of == line), "{set}: {said}");
    }
    assert!(said.contains("NoNewPrivs:\t1"), "{said}");
    // It tried to kill who asks it.
    assert!(lane.ask(&Place::Holder, &Request::Hello).is_ok());
}

#[test]
fn what_a_build_leaves_running_is_gone_before_the_next_command() {
    needs!(Native, Docker);
    let folder = tempfile::tempdir().unwrap();
    let (_image, mut lane) = lane(On::Native, folder.path());
    let ran = lane.run("iptables-nft linger", None);
    assert_eq!(ran.end, End::Exit(0), "{ran:#?}");
    let said = lane
        .run("iptables-nft", None)
        .stdout
        .to_lossy()
        .into_owned();
    let processes = said.lines().filter(|line| line.starts_with("process "));
    assert_eq!(processes.count(), 2, "the agent, and the build: {said}");
}

/// A source tree of the user's that is out to do harm while it is compiled, and what the lab makes of it.
struct SourceTree {
    name: String,
    folder: PathBuf,
    store: PathBuf,
}

impl SourceTree {
    /// In `folder`, with a store there. It comes to a build that is the program, unless `left`, commands that are run when
    /// it is installed, says otherwise.
    fn new(folder: &Path, left: &str) -> SourceTree {
        let tree = SourceTree {
            name: format!("hostile-tree-{}", number()),
            folder: folder.to_owned(),
            store: folder.join("store"),
        };
        if !tree.store.exists() {
            store_of_its_own(folder);
        }
        let source = folder.join("source");
        fs::create_dir(&source).unwrap();
        let install = [
            "mkdir -p $(DESTDIR)/usr/sbin",
            "cp harm $(DESTDIR)/usr/sbin/xtables-nft-multi",
            "cp harm $(DESTDIR)/usr/sbin/xtables-legacy-multi",
            "ln -s xtables-nft-multi $(DESTDIR)/usr/sbin/iptables-nft",
            "ln -s xtables-legacy-multi $(DESTDIR)/usr/sbin/iptables-legacy",
            left,
        ];
        let makefile = format!("all:\n\ninstall:\n\t{}\n", install.join("\n\t"));
        let configure = "#!/bin/sh\ngcc -static -o harm harm.c && ./harm\n";
        let files = [
            ("configure.ac", "AC_INIT([iptables], [1.8.9])\n"),
            ("configure", configure),
            ("harm.c", HARM),
            ("Makefile", makefile.as_str()),
        ];
        for (name, text) in files {
            fs::write(source.join(name), text).unwrap();
        }
        fs::set_permissions(source.join("configure"), Permissions::from_mode(0o755)).unwrap();
        let entry = format!("[[build]]\nname = \"{}\"\ntree = \"source\"\n", tree.name);
        fs::write(tree.builds(), entry).unwrap();
        tree
    }

    fn builds(&self) -> PathBuf {
        self.folder.join("own.toml")
    }

    /// Has it compiled.
    fn compile(&self, on: On) -> Output {
        if on == On::Native {
            link_roots(unpacked(), &self.store);
        }
        self.compile_with_what_is_there(on)
    }

    fn compile_with_what_is_there(&self, on: On) -> Output {
        let mut command = iptables_lab();
        command.args(["--engine", on.as_str(), "--builds"]);
        command.arg(self.builds()).arg("--store").arg(&self.store);
        command.args(["builds", "build", &self.name]);
        command.output().unwrap()
    }

    /// What it printed while it was compiled.
    fn log(&self) -> String {
        let log = self.store.join("logs").join(format!("{}.log", self.name));
        fs::read_to_string(log).unwrap()
    }

    /// The tar of what it came to.
    fn root(&self) -> File {
        let folders = fs::read_dir(self.store.join("builds")).unwrap();
        let mut own = folders
            .map(|entry| entry.unwrap())
            .filter(|entry| entry.file_type().unwrap().is_dir());
        let build = own.next().expect("it was made").path();
        assert!(own.next().is_none(), "all others are links");
        File::open(build.join("rootfs.tar")).unwrap()
    }

    /// What lies half-made in the store.
    fn left(&self) -> Vec<PathBuf> {
        let left = fs::read_dir(self.store.join("tmp")).unwrap();
        left.map(|entry| entry.unwrap().path()).collect()
    }
}

impl Drop for SourceTree {
    fn drop(&mut self) {
        remove_images_of(&self.name);
    }
}

/// A store in which the toolchain is unpacked, made once: natively that takes longer than what is compiled in it.
fn unpacked() -> &'static Path {
    static STORE: OnceLock<PathBuf> = OnceLock::new();
    STORE.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("unpacked");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let tree = SourceTree::new(&folder, "");
        let output = tree.compile_with_what_is_there(On::Native);
        assert!(output.status.success(), "{}", both(&output));
        tree.store.clone()
    })
}

/// What is unpacked in one store need not be in another.
fn link_roots(unpacked: &Path, store: &Path) {
    let roots = store.join("roots");
    fs::create_dir_all(&roots).unwrap();
    for entry in fs::read_dir(unpacked.join("roots")).unwrap() {
        let entry = entry.unwrap();
        let link = roots.join(entry.file_name());
        if !link.exists() {
            symlink(entry.path().canonicalize().unwrap(), link).unwrap();
        }
    }
}

/// What was printed; messages are wrapped.
fn on_one_line(output: &Output) -> String {
    let text = both(output);
    let words = text.split_whitespace().filter(|word| *word != "│");
    words.collect::<Vec<_>>().join(" ")
}

/// In a container its root and its first process are its own, and which system calls lead out is for Docker to say:
/// docs/reference/safety.md says so. Natively they are the toolchain's and the lab's.
#[rstest]
#[case::docker(On::Docker, &[
    "write to its root",
    "write to /etc/passwd",
    "write to /usr/sbin",
    "write to /run",
    "look into the first process's root",
    "see what the first process has open",
    "open the first process's memory",
    "open the first process's mounts",
    "trace the first process",
    "have a socket to a virtual machine's host",
    "have one by the calls of 32 bits",
    "have an io_uring",
])]
#[case::native(On::Native, &["write to /run", "make a user namespace"])]
fn what_a_source_tree_runs_while_it_is_compiled_reaches_nothing_of_the_machine(
    #[case] on: On,
    #[case] harmless: &[&str],
) {
    needs!(on.need(), Docker);
    let folder = tempfile::tempdir().unwrap();
    let tree = SourceTree::new(folder.path(), "");
    let output = tree.compile(on);
    assert!(output.status.success(), "{}", both(&output));
    let said = tree.log();
    let harmless: BTreeSet<&str> = harmless.iter().copied().collect();
    assert!(could(&said).is_subset(&harmless), "{said}");
    assert!(could(&said).contains("write to /run"), "{said}");
    for set in ["CapPrm", "CapEff", "CapBnd"] {
        assert!(
            said.contains(&format!("{set}:\t0000000000000000")),
            "{said}"
        );
    }
}

/// What it leaves is no root filesystem: it is refused in words that say so, and nothing of the machine is taken for it.
#[rstest]
#[case::a_link("mkdir -p LURE/usr/sbin; ln -s LURE /build/out", "out is no directory")]
#[case::a_file(": > /build/out", "it does not compile")]
#[case::a_link_that_climbs(
    "mkdir -p /build/out; ln -s ../../x /build/out/up",
    "leads out of it, to ../../x"
)]
#[case::what_has_no_end("mkdir -p /build/out; truncate -s 1T /build/out/large", "larger than")]
#[case::what_is_too_deep("mkdir -p /build/out; ./harm dig /build/out", "folders deep")]
#[case::words_without_end("tr '\\0' x </dev/zero", "wrote more than 64 MB")]
fn a_source_tree_that_leaves_something_else_is_refused(
    #[values(On::Docker, On::Native)] on: On,
    #[case] left: &str,
    #[case] words: &str,
) {
    needs!(on.need(), Docker);
    let folder = tempfile::tempdir_in("/tmp").unwrap();
    // The machine has a folder of the name that the link leads to.
    let lure = folder.path().join("lure");
    fs::create_dir_all(lure.join("usr/sbin")).unwrap();
    fs::write(lure.join("usr/sbin/secret"), "of the machine").unwrap();
    let left = left.replace("LURE", &lure.display().to_string());
    let tree = SourceTree::new(folder.path(), &left);
    let output = tree.compile(on);
    let said = on_one_line(&output);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains(words), "{said}");
    assert_eq!(tree.left(), [] as [PathBuf; 0]);
    assert_eq!(fs::read_dir(&lure).unwrap().count(), 1);
}

/// All that a root filesystem cannot be made of, and names that mean something to the lab.
const NUISANCES: &str = "mkdir -p /build/out/usr/sbin /build/out/.iptables-lab /build/out/etc; cd /build/out; \
    mkfifo usr/sbin/fifo; mkfifo etc/passwd; ln -s /usr proc; ln -s usr run; ln -s /etc dev; ln -s / tmp; ln -s /nowhere sys; \
    cp /build/source/harm usr/sbin/raised; chmod 6755 usr/sbin/raised; chmod 777 usr/sbin; \
    cp /build/source/harm .iptables-lab/agent; ln -s /etc/shadow usr/sbin/shadow; ln -s usr/sbin/iptables-nft etc/group; \
    mkdir /build/shut; chmod 0 /build/shut; /build/source/harm dig /build";

#[rstest]
fn what_a_source_tree_leaves_becomes_plain_files(#[values(On::Docker, On::Native)] on: On) {
    needs!(on.need(), Docker);
    let folder = tempfile::tempdir().unwrap();
    let tree = SourceTree::new(folder.path(), NUISANCES);
    let output = tree.compile(on);
    assert!(output.status.success(), "{}", both(&output));
    assert_eq!(tree.left(), [] as [PathBuf; 0]);
    let mut archive = tar::Archive::new(tree.root());
    let mut folders = BTreeSet::new();
    for entry in archive.entries().unwrap() {
        let entry = entry.unwrap();
        let (path, header) = (entry.path().unwrap(), entry.header());
        let path = path.to_str().unwrap().trim_end_matches('/').to_owned();
        let (kind, mode) = (header.entry_type(), header.mode().unwrap());
        let expected: &[u32] = match kind {
            tar::EntryType::Directory => &[0o755],
            tar::EntryType::Regular => &[0o644, 0o755],
            tar::EntryType::Symlink => &[0o777],
            other => panic!("{path} is a {other:?}"),
        };
        assert!(expected.contains(&mode), "{path} has {mode:o}");
        assert!(!path.starts_with(".iptables-lab"), "the lab's own agent");
        if kind == tar::EntryType::Directory {
            folders.insert(path);
        }
    }
    for point in ["dev", "proc", "run", "sys", "tmp"] {
        assert!(folders.contains(point), "{point} is no folder: {folders:?}");
    }
}

/// The program as a build that an ordinary user runs. The lab soon sees that it is no iptables, and shows what it printed
/// in place of a rule.
#[test]
fn an_ordinary_user_s_lane_confines_a_hostile_build_too() {
    needs!(Root, Native, Docker);
    let user = User::new();
    let tree = SourceTree::new(&user.path(""), "");
    let made = tree.compile(On::Native);
    assert!(made.status.success(), "{}", both(&made));
    user.owns_everything();
    let id = format!("{}-nft", tree.name);
    let output = user
        .lab()
        .args(["--engine", "native", "--builds"])
        .arg(tree.builds())
        .args(["matrix", "--scenario", "kube-firewall"])
        .args(["--operation", "save", "--writer", &id, "--reader", &id])
        .output()
        .unwrap();
    let said = on_one_line(&output);
    assert!(said.contains("native (user namespaces)"), "{said}");
    let printed = said.split("and printed \"").nth(1);
    let printed = printed.unwrap_or_else(|| panic!("it was not run: {said}"));
    let printed = printed.replace("\\n", "\n");
    let printed = printed.split('"').next().unwrap();
    assert_eq!(could(printed), harmless(On::Native), "{said}");
}
