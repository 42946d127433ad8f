//! An iptables that hangs: a real one in an image of the user's own, whose save never ends where it meets one rule.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use iptables_lab::docker::ImageTag;
use serde_json::Value;

use super::docker::{docker, wait};
use super::lab::{both, compiled, iptables_lab, joined, small_run};
use super::lane::store_of_its_own;

/// Prints what the real save prints, and then hangs if that names this chain.
const SAVE: &str = r#"
#include <string.h>
#include <unistd.h>
#include <sys/wait.h>

int main(void) {
    static char text[1 << 20];
    size_t length = 0;
    ssize_t part;
    int pipes[2];
    if (pipe(pipes) != 0) return 99;
    if (fork() == 0) {
        dup2(pipes[1], 1);
        close(pipes[0]);
        close(pipes[1]);
        execl("/usr/sbin/xtables-nft-multi", "iptables-nft-save", (char *)0);
        _exit(98);
    }
    close(pipes[1]);
    while ((part = read(pipes[0], text + length, sizeof text - 1 - length)) > 0) length += part;
    int status;
    wait(&status);
    if (write(1, text, length) != (ssize_t)length) return 97;
    while (strstr(text, "-A HANGS ") != 0) pause();
    return WIFEXITED(status) ? WEXITSTATUS(status) : 96;
}
"#;

const RULES: &str = "*filter
:INPUT ACCEPT [0:0]
:HANGS - [0:0]
-A INPUT -s 192.0.2.7/32 -j DROP
-A HANGS -s 192.0.2.8/32 -j DROP
COMMIT
";

/// The tar of the wrapper, without the blocks of zeros that end a tar.
fn wrapper(folder: &Path) -> PathBuf {
    let program = compiled(folder, SAVE);
    let mut tar = tar::Builder::new(Vec::new());
    tar.append_path_with_name(&program, "usr/local/sbin/iptables-nft-save")
        .unwrap();
    let mut bytes = tar.into_inner().unwrap();
    bytes.truncate(bytes.len() - 1024);
    let packed = folder.join("save.tar");
    fs::write(&packed, bytes).unwrap();
    packed
}

/// An image that is removed when this is dropped.
struct Image(ImageTag);

impl Drop for Image {
    fn drop(&mut self) {
        let _ = wait(docker().remove_image(&self.0.reference()));
    }
}

/// The image of `build` with the wrapper in the place of its save.
fn hanging_image(build: &str, folder: &Path) -> Image {
    let recording = &small_run().recording;
    let builds = &recording.head.builds;
    let build = builds.iter().find(|of| of.id.as_str() == build).unwrap();
    let (name, digest) = (build.id.as_str(), build.digest.short());
    let repository = format!("iptables-lab/{}", name.strip_suffix("-nft").unwrap());
    let docker = docker();
    let images = wait(docker.own_images()).unwrap();
    let tags = images.into_iter().filter_map(|image| image.tag);
    let tag = tags
        .filter(|tag| tag.repository == repository)
        .find(|tag| tag.tag.starts_with(digest))
        .unwrap();
    let (real, hangs) = (folder.join("real.tar"), wrapper(folder));
    let labels = HashMap::new();
    wait(docker.export(&tag.reference(), &labels, &real)).unwrap();
    let image = Image(ImageTag {
        repository: "iptables-lab-test/hangs".to_owned(),
        tag: std::process::id().to_string(),
    });
    wait(docker.import(&image.0, &[&hangs, &real], &[], &labels)).unwrap();
    image
}

/// The lab's own images of the build that hangs.
struct Made(String);

impl Drop for Made {
    fn drop(&mut self) {
        for image in wait(docker().own_images()).into_iter().flatten() {
            if image
                .tag
                .as_ref()
                .is_some_and(|tag| tag.repository == self.0)
            {
                let _ = wait(docker().remove_image(&image.reference()));
            }
        }
    }
}

#[test]
fn an_iptables_that_hangs_is_killed_and_the_run_goes_on() {
    needs!(Docker);
    let (writer, folder) = (&small_run().writer, tempfile::tempdir().unwrap());
    let name = format!("hangs-{}", std::process::id());
    let image = hanging_image(writer, folder.path());
    let _made = Made(format!("iptables-lab/{name}"));
    let (catalog, rules) = (
        folder.path().join("own.toml"),
        folder.path().join("hang.save"),
    );
    let entry = format!(
        "[[build]]\nname = \"{name}\"\nimage = \"{}\"\n",
        image.0.reference()
    );
    fs::write(&catalog, entry).unwrap();
    fs::write(&rules, RULES).unwrap();
    let store = store_of_its_own(folder.path());
    let output = iptables_lab()
        .args([
            "matrix",
            "--operation",
            "all",
            "--timeout",
            "1",
            "--format",
            "json",
            "--writer",
            writer,
        ])
        .args(["--reader", writer, "--reader", &format!("{name}-nft")])
        .args(["--store".as_ref(), store.as_os_str()])
        .args(["--builds".as_ref(), catalog.as_os_str()])
        .args(["--rules".as_ref(), rules.as_os_str()])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", both(&output));
    let matrix: Value = serde_json::from_slice(&output.stdout).unwrap();
    let rules = |reader: &str| -> Vec<Value> {
        let cells = joined(&matrix);
        let cell = cells.iter().find(|cell| cell["reader"] == reader).unwrap();
        cell["outcome"]["rules"].as_array().unwrap().clone()
    };
    let verdicts = |reader: &str| -> Vec<String> {
        let rules = rules(reader).into_iter();
        let words = rules.map(|rule| {
            rule["operations"]["save"]["verdict"]
                .as_str()
                .unwrap()
                .to_owned()
        });
        words.collect()
    };
    assert_eq!(matrix["cut_short"], Value::Null);
    assert_eq!(verdicts(writer), ["same", "same"]);
    // The rule that it hangs at is found, and the other one is judged without it.
    let reader = format!("{name}-nft");
    assert_eq!(verdicts(&reader), ["incompatible", "timed-out"]);
    assert_eq!(
        rules(&reader)[0]["operations"]["save"]["without_it"],
        "same"
    );
}
