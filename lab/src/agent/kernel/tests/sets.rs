//! Sets, maps and objects that the kernel really sent, and anonymous sets that it numbered in two ways.
//!
//! `testdata/sets-1.0.6.nft` and `testdata/sets-renumbered-1.0.6.nft` are the same rules, of which the second were added in another
//! order, beside a rule that was then deleted.

use rstest::rstest;

use super::{IPTABLES_NFT, NFT, nft_of, show};
use crate::agent::kernel::decoded::DecodedRules;
use crate::agent::kernel::nft;
use crate::observed::State;

pub(super) const SETS: &[u8] = include_bytes!("../testdata/sets-1.0.6.nft");
const RENUMBERED: &[u8] = include_bytes!("../testdata/sets-renumbered-1.0.6.nft");

#[test]
fn sets_of_nft_1_0_6() {
    insta::assert_snapshot!(show(&nft_of(SETS).expect("well formed")));
}

#[test]
fn how_the_kernel_numbered_anonymous_sets_is_no_difference() {
    let names = |answer: &[u8], name: &[u8]| answer.windows(name.len()).any(|of| of == name);
    assert!(names(RENUMBERED, b"__set2") && !names(SETS, b"__set2"));
    let sets = nft_of(SETS).expect("well formed");
    assert!(sets == nft_of(RENUMBERED).expect("well formed"));
    let mut decoded = DecodedRules::default();
    for answer in [SETS, RENUMBERED, SETS, RENUMBERED] {
        let again = nft::decode(answer, &mut decoded).expect("well formed");
        assert!(
            again == sets,
            "rules that were decoded before stay as they are"
        );
    }
}

#[rstest]
#[case::nft(NFT)]
#[case::iptables(IPTABLES_NFT)]
#[case::sets(SETS)]
fn what_was_decoded_comes_back_from_json(#[case] answer: &[u8]) {
    let state = State {
        nft: nft_of(answer).expect("well formed"),
        legacy: Vec::new(),
    };
    let json = serde_json::to_string(&state).expect("it has a JSON form");
    let back: State = serde_json::from_str(&json).expect("it is read back");
    assert!(back == state);
}
