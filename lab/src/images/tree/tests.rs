//! Trees from archives that are whole, and from those that are not.

use super::*;
use rstest::rstest;

fn tree(kind: Kind) -> Tree {
    Tree::new(kind, &std::env::temp_dir()).unwrap()
}

fn add(tree: &mut Tree, path: &str, text: &str) -> io::Result<()> {
    tree.add_file(Path::new(path), false, &mut text.as_bytes())
}

fn link(tree: &mut Tree, path: &str, target: &str) -> io::Result<()> {
    tree.add_link(Path::new(path), Path::new(target))
}

fn read(tree: &Tree, path: &str) -> Option<String> {
    let bytes = tree.read(Path::new(path)).unwrap()?;
    Some(String::from_utf8(bytes).unwrap())
}

#[test]
fn the_same_content_gives_the_same_tar_in_whatever_order_it_came() {
    let mut one = tree(Kind::Root);
    add(&mut one, "usr/bin/a", "A").unwrap();
    add(&mut one, "etc/b", "B").unwrap();
    link(&mut one, "bin", "usr/bin").unwrap();
    let mut other = tree(Kind::Root);
    link(&mut other, "bin", "usr/bin").unwrap();
    add(&mut other, "etc/b", "something else").unwrap();
    add(&mut other, "./etc/b", "B").unwrap();
    add(&mut other, "bin/a", "A").unwrap();
    let mut bytes = (Vec::new(), Vec::new());
    let digests = (
        one.write_tar(&mut bytes.0).unwrap(),
        other.write_tar(&mut bytes.1).unwrap(),
    );
    assert_eq!(bytes.0, bytes.1);
    assert_eq!(digests.0, digests.1);
    assert_eq!(digests.0, crate::images::digest::of_bytes(&bytes.0));
}

#[rstest]
#[case::up(Kind::Root, "../a")]
#[case::up_within(Kind::Source, "a/../../b")]
#[case::absolute(Kind::Root, "/etc/passwd")]
fn paths_that_climb_out_are_refused(#[case] kind: Kind, #[case] path: &str) {
    assert!(add(&mut tree(kind), path, "").is_err());
    assert!(tree(kind).add_directory(Path::new(path)).is_err());
    assert!(link(&mut tree(kind), path, "a").is_err());
}

#[rstest]
#[case::up(Kind::Root, "a", "../b", false)]
#[case::far_up(Kind::Root, "a/b", "../../c", false)]
#[case::up_and_down(Kind::Root, "a/b/c", "../d/../../e", true)]
#[case::absolute_in_a_root(Kind::Root, "a", "/usr/b", true)]
#[case::absolute_out_of_a_root(Kind::Root, "a", "/../b", false)]
#[case::absolute_in_a_source(Kind::Source, "a", "/etc", false)]
#[case::beside_in_a_source(Kind::Source, "a/b", "../c", true)]
fn links_must_stay_inside(
    #[case] kind: Kind,
    #[case] path: &str,
    #[case] target: &str,
    #[case] allowed: bool,
) {
    assert_eq!(link(&mut tree(kind), path, target).is_ok(), allowed);
}

#[test]
fn nothing_is_written_through_a_link_of_a_source_tree() {
    let mut tree = tree(Kind::Source);
    add(&mut tree, "real/a", "").unwrap();
    link(&mut tree, "link", "real").unwrap();
    assert!(add(&mut tree, "link/b", "").is_err());
}

#[test]
fn a_root_is_followed_through_its_links_as_after_chroot() {
    let mut tree = tree(Kind::Root);
    link(&mut tree, "lib", "usr/lib").unwrap();
    add(&mut tree, "lib/x/real.so.1", "library").unwrap();
    link(&mut tree, "lib/x/lib.so", "/lib/x/real.so.1").unwrap();
    link(&mut tree, "etc/alternative", "../lib/x/lib.so").unwrap();
    assert_eq!(read(&tree, "usr/lib/x/real.so.1").unwrap(), "library");
    assert_eq!(read(&tree, "etc/alternative").unwrap(), "library");
    assert_eq!(read(&tree, "etc/none"), None);
}

#[test]
fn links_in_a_circle_end() {
    let mut tree = tree(Kind::Root);
    link(&mut tree, "a", "b/x").unwrap();
    link(&mut tree, "b", "a/y").unwrap();
    assert!(add(&mut tree, "a/z", "").is_err());
    link(&mut tree, "self", "self").unwrap();
    assert_eq!(read(&tree, "self"), None);
}

#[test]
fn links_that_lead_through_links_that_lead_through_links_end() {
    let mut tree = tree(Kind::Root);
    link(&mut tree, "a/0", ".").unwrap();
    for number in 1..60 {
        let target = vec![(number - 1).to_string(); 30].join("/");
        link(&mut tree, &format!("a/{number}"), &target).unwrap();
    }
    add(&mut tree, "a/file", "text").unwrap();
    assert_eq!(read(&tree, "a/0/0/0/file").unwrap(), "text");
    assert!(add(&mut tree, "a/59/file", "").is_err());
}

#[test]
fn what_is_larger_than_it_may_be_is_refused_however_often_it_is_there() {
    let mut tree = tree(Kind::Root).holding(10_000);
    add(&mut tree, "a", &"x".repeat(6000)).unwrap();
    let again = tree.add_hard_link(Path::new("b"), Path::new("a"));
    assert!(again.unwrap_err().to_string().contains("larger"));
    let folders = (0..).map(|number| tree.add_directory(Path::new(&number.to_string())));
    assert!(folders.take(20).any(|added| added.is_err()));
}

#[rstest]
#[case::deep("a/".repeat(200))]
#[case::long("a".repeat(5000))]
fn no_path_is_too_deep_to_be_removed_again(#[case] path: String) {
    assert!(add(&mut tree(Kind::Root), &path, "").is_err());
}

#[rstest]
#[case::within("usr")]
#[case::absolute("/usr")]
#[case::nowhere("/none")]
fn nothing_is_mounted_over_what_a_link_leads_to(#[case] target: &str) {
    let mut tree = tree(Kind::Root);
    add(&mut tree, "usr/a", "").unwrap();
    link(&mut tree, "proc", target).unwrap();
    tree.add_mount_point(Path::new("proc")).unwrap();
    let place = tree.nodes.get(Path::new("proc"));
    assert_eq!(place, Some(&Node::Directory));
}

#[test]
fn what_a_link_leads_to_was_not_left_by_who_made_the_link() {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("out");
    std::os::unix::fs::symlink("/etc", &link).unwrap();
    let mut tree = tree(Kind::Root);
    assert!(tree.add_left(&link).is_err());
    assert!(tree.nodes.iter().next().is_none());
}

#[test]
fn a_second_name_has_the_same_bytes_and_must_lead_to_something() {
    let mut tree = tree(Kind::Source);
    add(&mut tree, "a", "bytes").unwrap();
    tree.add_hard_link(Path::new("b/c"), Path::new("a"))
        .unwrap();
    assert_eq!(read(&tree, "b/c").unwrap(), "bytes");
    assert!(
        tree.add_hard_link(Path::new("d"), Path::new("/etc/passwd"))
            .is_err()
    );
    assert!(
        tree.add_hard_link(Path::new("d"), Path::new("none"))
            .is_err()
    );
}

#[test]
fn the_only_top_directory_is_stripped_and_another_is_put_over() {
    let mut tree = tree(Kind::Source);
    add(&mut tree, "iptables-1.8.8/iptables/main.c", "int").unwrap();
    tree.strip_top();
    assert_eq!(read(&tree, "iptables/main.c").unwrap(), "int");
    tree.below(Path::new("build/source"));
    assert_eq!(read(&tree, "build/source/iptables/main.c").unwrap(), "int");
}
