//! What lies in a store, and what is left of what was half made.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::misses::Miss;
use super::*;
use crate::catalog::{Backend, BuildId, Digest, Version};
use crate::images::archive::Package;
use crate::images::digest;
use crate::images::tree::{Kind, Tree};

fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("store")).unwrap();
    (folder, store)
}

fn tree(store: &Store, text: &str) -> Tree {
    let mut tree = Tree::new(Kind::Root, &store.tmp()).unwrap();
    tree.add_file(Path::new("usr/sbin/a"), true, &mut text.as_bytes())
        .unwrap();
    tree
}

fn record(key: &Digest, digest: &Digest) -> Record {
    Record {
        key: key.clone(),
        digest: digest.clone(),
        version: Version::new("1.8.8"),
        banners: BTreeMap::from([(Backend::Nft, "iptables v1.8.8 (nf_tables)".to_owned())]),
        libnftnl: Some("1.2.9".to_owned()),
        packages: Vec::new(),
        ids: vec![BuildId::new("1.8.8", Backend::Nft)],
    }
}

fn build(store: &Store, key: &Digest, text: &str) -> Result<PathBuf, StoreError> {
    let draft = store.draft(&tree(store, text))?;
    let record = record(key, &draft.digest);
    store.keep_build(draft, &record)
}

#[test]
fn a_build_is_there_only_when_it_is_kept() {
    let (_folder, store) = store();
    let key = digest::of_bytes(b"key");
    drop(store.draft(&tree(&store, "a")).unwrap());
    assert_eq!(store.build(&key), None);
    assert_eq!(fs::read_dir(store.tmp()).unwrap().count(), 0);
    let rootfs = build(&store, &key, "a").unwrap();
    let (found, tar) = store.build(&key).unwrap();
    assert_eq!(
        (&tar, digest::of_file(&tar).unwrap()),
        (&rootfs, found.digest.clone())
    );
    assert_eq!(found, record(&key, &found.digest));
}

#[test]
fn half_a_build_is_no_build() {
    let (_folder, store) = store();
    let key = digest::of_bytes(b"key");
    let rootfs = build(&store, &key, "a").unwrap();
    fs::write(rootfs.with_file_name("build.json"), "{\"key\":").unwrap();
    assert_eq!(store.build(&key), None);
    build(&store, &key, "a").unwrap();
    assert!(store.build(&key).is_some());
}

#[test]
fn the_same_key_must_come_to_the_same_digest_even_after_removal() {
    let (_folder, store) = store();
    let key = digest::of_bytes(b"key");
    build(&store, &key, "a").unwrap();
    store.remove(Remove::Builds).unwrap();
    assert_eq!(store.build(&key), None);
    let error = build(&store, &key, "b").unwrap_err();
    let StoreError::Unreproducible { before, now, .. } = &error else {
        panic!("{error}");
    };
    let message = error.to_string();
    assert!(message.contains(before.as_str()) && message.contains(now.as_str()));
    assert_eq!(store.build(&key), None);
    build(&store, &key, "a").unwrap();
}

#[test]
fn a_lock_is_waited_for_and_says_so() {
    let (_folder, store) = store();
    let held = store.lock("key", || panic!("nobody holds it")).unwrap();
    let (waits, waiting) = std::sync::mpsc::channel();
    let other = {
        let store = store.clone();
        std::thread::spawn(move || store.lock("key", || waits.send(()).unwrap()).map(drop))
    };
    waiting.recv().unwrap();
    drop(held);
    other.join().unwrap().unwrap();
}

#[test]
fn a_miss_is_remembered_for_an_hour_in_its_own_words() {
    let (_folder, store) = store();
    assert_eq!(store.miss("tarball"), None);
    store.keep_miss("tarball", "no route").unwrap();
    let remembered = store.miss("tarball").map(|miss| miss.to_string());
    assert_eq!(remembered.as_deref(), Some("no route"));
    let old = Miss {
        reason: "no route".to_owned(),
        at: Timestamp::now() - SignedDuration::from_mins(61),
    };
    store.write_json(&store.miss_path("tarball"), &old).unwrap();
    assert_eq!(store.miss("tarball"), None);
}

#[test]
fn a_package_set_counts_while_its_files_are_there_and_the_question_is_the_same() {
    let (folder, store) = store();
    let file = folder.path().join("netbase.deb");
    fs::write(&file, "deb").unwrap();
    let package = Package {
        name: "netbase".to_owned(),
        version: Version::new("6.4"),
        architecture: "all".to_owned(),
        sha256: digest::of_bytes(b"deb"),
    };
    let asked = ["netbase".to_owned()];
    let kept = store
        .keep_package_set("trixie", "base", &asked, vec![(file, package.clone())])
        .unwrap();
    assert_eq!(store.package_set("trixie", "base", &asked), Some(kept));
    assert_eq!(
        store.package_set("trixie", "base", &["iptables".to_owned()]),
        None
    );
    fs::remove_file(store.package(&package)).unwrap();
    assert_eq!(store.package_set("trixie", "base", &asked), None);
}
