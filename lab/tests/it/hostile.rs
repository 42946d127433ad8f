//! A build that is out to do harm: what it can reach of the machine that it runs on, in a lane of either engine.

use std::collections::HashMap;
use std::fs;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};

use iptables_lab::agent::protocol::{End, Request};
use iptables_lab::catalog::{Catalog, Source};
use iptables_lab::docker::ImageTag;
use iptables_lab::engine::Place;
use rstest::rstest;

use super::docker::{docker, wait};
use super::lab::compiled;
use super::lane::{On, TestLane, store_of_its_own};

/// Says what it could do, a line each. Its arguments are a port of the host's and the name of an abstract socket there.
const HARM: &str = r#"
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
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
    lines("/proc/net/dev", ":");
    lines("/proc/self/status", "CapPrm");
    lines("/proc/self/status", "CapEff");
    lines("/proc/self/status", "CapBnd");
    lines("/proc/self/status", "NoNewPrivs");
    return 0;
}
"#;

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
        static COUNT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let image = Image(ImageTag {
            repository: "iptables-lab-test/hostile".to_owned(),
            tag: format!("{}-{count}", std::process::id()),
        });
        let files: [&Path; 1] = [&packed];
        wait(docker().import(&image.0, &files, &[], &HashMap::new())).unwrap();
        image
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let _ = wait(docker().remove_image(&self.0.reference()));
        // And what the lab made of it.
        let made = format!("iptables-lab/hostile-{}", self.0.tag);
        for image in wait(docker().own_images()).into_iter().flatten() {
            if image.tag.as_ref().is_some_and(|tag| tag.repository == made) {
                let _ = wait(docker().remove_image(&image.reference()));
            }
        }
    }
}

/// A lane of the build, with what it was made from.
fn lane(on: On, folder: &Path) -> (TestLane, Image) {
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
    (lane, image)
}

#[rstest]
fn a_hostile_build_reaches_nothing_but_its_lane(#[values(On::Docker, On::Native)] on: On) {
    let folder = tempfile::tempdir().unwrap();
    let (mut lane, _image) = lane(on, folder.path());
    let host = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = host.local_addr().unwrap().port();
    let name = format!("iptables-lab-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let _abstract = UnixListener::bind_addr(&address).unwrap();
    let ran = lane.run(&format!("iptables-nft {port} {name}"), None);
    assert_eq!(ran.end, End::Exit(0), "{ran:#?}");
    let said = ran.stdout.to_lossy().into_owned();
    let could: Vec<&str> = said
        .lines()
        .filter_map(|line| line.strip_prefix("could "))
        .collect();
    assert_eq!(could, ["write to /run"], "{said}");
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
    let folder = tempfile::tempdir().unwrap();
    let (mut lane, _image) = lane(On::Native, folder.path());
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
