//! nft's stamp, taken out of a table's userdata.

use crate::observed::{Bytes, Stamp};

/// `NFTNL_UDATA_TABLE_NFTVER` and `NFTNL_UDATA_TABLE_NFTBLD` of libnftnl's include/libnftnl/udata.h.
const VERSION: u8 = 1;
const BUILD: u8 = 2;

/// The stamp in a table's userdata, and what else is there. Userdata without a stamp stays as it is.
pub(super) fn split(userdata: &[u8]) -> (Option<Stamp>, Option<Bytes>) {
    let whole = (None, Some(userdata.into()));
    let (mut stamp, mut rest) = (Stamp::default(), Vec::new());
    let mut unread = userdata;
    while !unread.is_empty() {
        let Some((entry, left)) = split_first(unread) else {
            return whole;
        };
        unread = left;
        match entry {
            [VERSION, _, value @ ..] if stamp.version.is_none() => {
                stamp.version = Some(value.into());
            }
            [BUILD, _, value @ ..] if stamp.build.is_none() => stamp.build = Some(value.into()),
            other => rest.extend(other),
        }
    }
    if stamp == Stamp::default() {
        return whole;
    }
    let rest = (!rest.is_empty()).then(|| Bytes::from(&*rest));
    (Some(stamp), rest)
}

/// The first entry and what follows it: a type, a length, and as many bytes (`struct nftnl_udata` of libnftnl's src/udata.c).
fn split_first(userdata: &[u8]) -> Option<(&[u8], &[u8])> {
    const HEADER: usize = 2;
    userdata.split_at_checked(HEADER + usize::from(*userdata.get(1)?))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// As nft 1.1.6 writes it: the comment if there is one, release, time of the build.
    const STAMP: [u8; 16] = [1, 4, 1, 1, 6, 0, 2, 8, 0, 0, 0, 0, 0x69, 0x20, 0, 1];
    const COMMENT: [u8; 4] = [0, 2, b'c', 0];

    fn is_stamped(stamp: Option<Stamp>) -> bool {
        let stamp = stamp.unwrap_or_default();
        let holds = |bytes: Option<Bytes>, own: &[u8]| bytes.is_some_and(|of| of.as_slice() == own);
        holds(stamp.version, &STAMP[2..6]) && holds(stamp.build, &STAMP[8..])
    }

    #[rstest]
    #[case::alone(&STAMP, None)]
    #[case::behind_a_comment(&[&COMMENT[..], &STAMP].concat(), Some(&COMMENT[..]))]
    #[case::beside_another_stamp(&[&STAMP[..], &STAMP].concat(), Some(&STAMP[..]))]
    #[case::beside_what_is_not_known(&[&STAMP[..], &[9, 0]].concat(), Some(&[9, 0][..]))]
    fn a_stamp_is_taken_out(#[case] userdata: &[u8], #[case] rest: Option<&[u8]>) {
        let (stamp, left) = split(userdata);
        assert!(is_stamped(stamp));
        assert_eq!(left.as_ref().map(Bytes::as_slice), rest);
    }

    #[rstest]
    #[case::nothing(&[])]
    #[case::comment(&COMMENT)]
    #[case::cut_off(&STAMP[..15])]
    #[case::no_list(&[1])]
    fn userdata_without_a_stamp_stays_as_it_is(#[case] userdata: &[u8]) {
        assert_eq!(split(userdata), (None, Some(userdata.into())));
    }
}
