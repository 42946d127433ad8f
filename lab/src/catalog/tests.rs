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
fn the_embedded_catalog_has_releases_then_debians_four_suites() {
    let catalog = Catalog::load(&[]).unwrap();
    let images = || catalog.images.iter();
    let of_nft = |i: &&Image| i.tool == Tool::Nft && i.origin == Origin::Upstream;
    let releases: Vec<&str> = images().filter(of_nft).map(|i| i.name.as_str()).collect();
    assert_eq!(releases.len(), 20);
    assert_eq!((releases[0], releases[19]), ("nft-0.9.8", "nft-1.1.7"));
    assert!(releases.contains(&"nft-1.0.6.1"), "a point release");
    let others = images().filter(|i| !of_nft(i));
    let names: Vec<&str> = others.map(|i| i.name.as_str()).collect();
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
            "debian-1.8.7-1.no-u32",
            "debian-1.8.9-2.no-u32",
            "debian-1.8.11-2.no-u32",
            "debian-sid.no-u32",
        ]
    );
}

#[test]
fn a_release_of_nft_has_the_libnftnl_that_it_demands_and_runs_where_it_is_named() {
    let catalog = Catalog::load(&[]).unwrap();
    let mut images = catalog.images.iter();
    let image = images.find(|image| image.name == "nft-1.0.6").unwrap();
    let archives: Vec<&str> = image.releases().map(|of| of.archive.as_str()).collect();
    assert_eq!(
        archives,
        ["nftables-1.0.6.tar.xz", "libnftnl-1.2.4.tar.bz2"]
    );
    assert_eq!(image.ids(), [BuildId::named("nft-1.0.6")]);
    assert!(!image.is_unasked());
}

#[rstest]
#[case::extension("['u32']", "no-u32")]
#[case::several("['u32', 'string']", "no-u32-string")]
#[case::file("['/etc/protocols']", "no-etc-protocols")]
fn what_is_taken_out_of_a_build_is_in_its_name(#[case] without: &str, #[case] variant: &str) {
    let text = format!("[[debian]]\nsuite = 'forky'\nversion = '2.0-1'\nwithout = {without}");
    let catalog = load(&text).unwrap();
    let image = catalog.images.last().unwrap();
    assert_eq!(image.name, format!("debian-2.0-1.{variant}"));
    assert!(!image.is_unasked());
    let own = load(&format!(
        "[[build]]\nname = 'a'\nrootfs = 'b'\nwithout = {without}"
    ))
    .unwrap();
    let own = own.images.last().unwrap();
    let named = own.variant.as_ref().map(Variant::as_str);
    assert_eq!((own.name.as_str(), named), ("a", Some(variant)));
    assert!(own.is_unasked());
}

#[rstest]
#[case("u32", "usr/lib/x86_64-linux-gnu/xtables/libxt_u32.so", true)]
#[case("REJECT", "usr/lib/xtables/libip6t_REJECT.so", true)]
#[case("u32", "usr/lib/xtables/libxt_u32b.so", false)]
#[case("u32", "usr/lib/libxt_u32.so", false)]
#[case("/etc/protocols", "etc/protocols", true)]
#[case("/etc/protocols", "usr/etc/protocols", false)]
fn an_extension_is_its_files(#[case] named: &str, #[case] path: &str, #[case] is_it: bool) {
    let left_out = LeftOut::from(named.to_owned());
    assert_eq!(left_out.is(std::path::Path::new(path)), is_it);
}

#[test]
fn an_own_nft_has_its_own_libnftnl() {
    let text = "[[build]]\nname = 'mine'\ntool = 'nft'\ntree = '/nft'\nlibnftnl = '/lib'";
    let catalog = load(text).unwrap();
    let last = catalog.images.last().unwrap();
    assert_eq!(last.ids(), [BuildId::named("mine")]);
    let path = "/lib".into();
    assert_eq!(last.libnftnl, Some(Libnftnl::Tree { path }));
}

#[test]
fn own_packages_lie_upon_those_of_a_suite() {
    let text = "[[build]]\nname = 'mine'\ndeb = ['a.deb', '/b.deb']\nsuite = 'sid'";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("own.toml");
    std::fs::write(&path, text).unwrap();
    let catalog = Catalog::load(&[path]).unwrap();
    let expected = Source::Debs {
        files: vec![folder.path().join("a.deb"), "/b.deb".into()],
        suite: "sid".to_owned(),
    };
    assert_eq!(catalog.images.last().unwrap().source, expected);
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
#[case::nft_of_the_host(
    "[[build]]\nname = 'a'\nhost = true\ntool = 'nft'",
    "an iptables, and no nft",
    1,
    1
)]
#[case::name_of_an_nft(
    "[[build]]\nname = 'git-nft'\ntree = 'b'\ntool = 'nft'",
    "`git-nft` cannot be the name of an nft",
    2,
    8
)]
#[case::libnftnl_of_an_iptables(
    "[[build]]\nname = 'a'\ntree = 'b'\nlibnftnl = 'c'",
    "what an nft is linked with",
    4,
    12
)]
#[case::package_of_no_suite("[[build]]\nname = 'a'\ndeb = 'b.deb'", "needs the `suite`", 3, 7)]
#[case::suite_of_no_package(
    "[[build]]\nname = 'a'\ntree = 'b'\nsuite = 'sid'",
    "says where what a `deb` depends on",
    1,
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
    let recipe = catalog.recipe(Tool::Iptables, &Version::new(version));
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
