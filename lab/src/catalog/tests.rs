//! Catalog files good and bad, and versions in order.

use super::*;
use rstest::rstest;

fn load(text: &str) -> Result<Catalog, CatalogError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("own.toml");
    std::fs::write(&path, text).unwrap();
    Catalog::load(&[path])
}

#[test]
fn the_embedded_catalog_has_ten_releases_then_debians_four_suites_of_iptables_and_of_nft() {
    let catalog = Catalog::load(&[]).unwrap();
    let names: Vec<&str> = catalog.images.iter().map(|i| i.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "1.8.4",
            "1.8.5",
            "1.8.6",
            "1.8.7",
            "1.8.8",
            "1.8.9",
            "1.8.10",
            "1.8.11",
            "1.8.12",
            "1.8.13",
            "debian-1.8.7-1",
            "debian-1.8.9-2",
            "debian-1.8.11-2",
            "debian-sid",
            "debian-nft-0.9.8-3.1+deb11u2",
            "debian-nft-0.9.8-3.1+deb11u2.no-xtables",
            "debian-nft-1.0.6-2+deb12u2",
            "debian-nft-1.0.6-2+deb12u2.no-xtables",
            "debian-nft-1.1.3-1",
            "debian-nft-1.1.3-1.no-xtables",
            "debian-nft-sid",
            "debian-nft-sid.no-xtables",
        ]
    );
}

#[test]
fn an_nft_without_xtables_is_named_after_its_version_too() {
    let text = "[[debian]]\nsuite = 'forky'\ntool = 'nft'\nvariant = 'no-xtables'";
    let catalog = load(text).unwrap();
    let image = catalog.images.last().unwrap();
    assert_eq!(image.name, "debian-nft-forky.no-xtables");
    let found = image.name_of(&Version::new("1.1.6-1"));
    assert_eq!(found, "debian-nft-1.1.6-1.no-xtables");
}

#[test]
fn what_holds_nft_has_one_build_of_the_images_name() {
    let text = "[[debian]]\nsuite = 'forky'\ntool = 'nft'\nversion = '1:1.1.5~rc1-1+b1'";
    let catalog = load(text).unwrap();
    let image = catalog.images.last().unwrap();
    let ids: Vec<String> = image.ids().iter().map(ToString::to_string).collect();
    assert_eq!(ids, ["debian-nft-1_1.1.5_rc1-1+b1"]);
    let found = image.name_of(&Version::new("1.1.6-1"));
    assert_eq!(found, "debian-nft-1.1.6-1");
    assert_eq!(image.tool, Tool::Nft);
    let of_iptables = catalog
        .images
        .iter()
        .filter(|image| image.tool == Tool::Iptables);
    assert!(of_iptables.into_iter().all(|image| image.ids().len() == 2));
}

#[test]
fn a_build_of_an_older_recording_is_an_iptables() {
    let build = serde_json::json!({
        "id": "1.8.8-nft", "version": "1.8.8", "backend": "nft", "origin": "upstream",
        "key": "0".repeat(64), "digest": "0".repeat(64), "banner": "iptables v1.8.8 (nf_tables)",
    });
    let build: Build = serde_json::from_value(build).unwrap();
    assert_eq!(build.tool, Tool::Iptables);
}

#[test]
fn own_builds_come_last_and_paths_are_relative_to_their_file() {
    let text = "[[build]]\nname = 'head'\ntree = 'src/iptables'\nbackends = ['legacy', 'nft']";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("own.toml");
    std::fs::write(&path, text).unwrap();
    let catalog = Catalog::load(&[path]).unwrap();
    let last = catalog.images.last().unwrap();
    let tree = folder.path().join("src/iptables");
    assert_eq!((last.name.as_str(), last.origin), ("head", Origin::Own));
    assert_eq!(last.source, Source::Tree { path: tree });
    assert_eq!(last.backends, Backend::ALL);
}

#[test]
fn an_own_build_takes_an_upstream_releases_place() {
    let catalog = load("[[build]]\nname = '1.8.5'\ntree = '/src'").unwrap();
    let found: Vec<Origin> = catalog
        .images
        .iter()
        .filter(|image| image.name == "1.8.5")
        .map(|image| image.origin)
        .collect();
    assert_eq!(found, [Origin::Own]);
}

#[rstest]
#[case::unknown_key("[[build]]\nname = 'a'\ntre = '/x'", "unknown field `tre`", 3, 1)]
#[case::unknown_table("[[builds]]\nname = 'a'", "unknown field `builds`", 1, 3)]
#[case::no_toml("[[build]]\nname = ", "string values must be quoted", 2, 8)]
#[case::no_source("\n[[build]]\nname = 'a'", "exactly one thing", 2, 1)]
#[case::host_is_false("[[build]]\nname = 'a'\nhost = false", "exactly one thing", 1, 1)]
#[case::two_sources(
    "[[build]]\nname = 'a'\nhost = true\ntree = 'b'",
    "exactly one thing",
    1,
    1
)]
#[case::bad_name(
    "[[build]]\nname = 'a b'\nhost = true",
    "`a b` cannot be the name",
    2,
    8
)]
#[case::empty_name("[[build]]\nname = ''\nhost = true", "cannot be the name", 2, 8)]
#[case::twice(
    "[[build]]\nname = 'a'\nhost = true\n[[build]]\nname = 'a'\nhost = true",
    "already the name",
    5,
    8
)]
#[case::debians(
    "[[build]]\nname = 'debian-1.8.7-1'\nhost = true",
    "own catalog has",
    2,
    8
)]
#[case::tool(
    "[[debian]]\nsuite = 'sid'\ntool = 'ipset'",
    "unknown variant `ipset`",
    3,
    8
)]
#[case::tool_of_an_own_build(
    "[[build]]\nname = 'a'\nhost = true\ntool = 'nft'",
    "unknown field `tool`",
    4,
    1
)]
#[case::digest(
    "[[build]]\nname = 'a'\ntarball = 'b'\nsha256 = '12'",
    "not a sha256 digest",
    4,
    10
)]
#[case::digest_of_nothing(
    "[[build]]\nname = 'a'\nhost = true\nsha256 = '12'",
    "not a sha256",
    4,
    10
)]
#[case::backend(
    "[[build]]\nname = 'a'\nhost = true\nbackends = ['nf']",
    "unknown variant `nf`",
    4,
    13
)]
#[case::no_backend(
    "[[build]]\nname = 'a'\nhost = true\nbackends = []",
    "has no backends",
    2,
    8
)]
#[case::release_without_url(
    "[[release]]\nversion = '1.8.14'\ndate = 2026-09-01\narchive = 'a'\n\
         sha256 = '993a3a5490a544c2cbf2ef15cf7e7ed21af1845baf228318d5c36ef8827e157c'",
    "needs the `url`",
    2,
    11
)]
fn a_wrong_file_is_refused_with_the_place(
    #[case] text: &str,
    #[case] message: &str,
    #[case] line: usize,
    #[case] column: usize,
) {
    let error = load(text).unwrap_err();
    let CatalogError::Entry {
        message: said, at, ..
    } = &error
    else {
        panic!("{error}");
    };
    let before = &text[..at.offset()];
    let place = (
        before.matches('\n').count() + 1,
        before.len() - before.rfind('\n').map_or(0, |end| end + 1) + 1,
    );
    assert!(said.contains(message), "{said}");
    assert_eq!(place, (line, column), "{said}");
}

#[rstest]
#[case("1.8.4", "-Wno-implicit-function-declaration", Linkage::Shared)]
#[case("1.8.7-1", "-Wno-implicit-function-declaration", Linkage::Shared)]
#[case("1.8.8", "", Linkage::Static)]
#[case("1.8.10", "", Linkage::Static)]
fn the_recipe_goes_by_version(
    #[case] version: &str,
    #[case] cflags: &str,
    #[case] linkage: Linkage,
) {
    let catalog = Catalog::load(&[]).unwrap();
    let cflags = cflags.to_owned();
    let recipe = catalog.recipe(&Version::new(version));
    assert_eq!(recipe, Recipe { cflags, linkage });
}

#[test]
fn versions_are_ordered_as_versions() {
    let ordered = [
        "1.8.4", "1.8.7", "1.8.7-1", "1.8.9", "1.8.10", "1.8.11-2", "1.8.13",
    ];
    let mut versions: Vec<Version> = ordered.iter().rev().map(|v| Version::new(*v)).collect();
    versions.sort();
    assert_eq!(versions, ordered.map(Version::new));
}
