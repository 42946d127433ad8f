//! Rules and their partners, few and many.

use super::*;
use Partner::{Ambiguous, At, Gone};
use proptest::prelude::*;
use rstest::rstest;

fn rules(lines: &[&str]) -> Vec<Vec<String>> {
    lines
        .iter()
        .map(|line| line.split(' ').map(str::to_owned).collect())
        .collect()
}

#[rstest]
#[case::equal(&["-s a -j X", "-j Y"], &["-s a -j X", "-j Y"], &[At(0), At(1)], &[At(0), At(1)])]
#[case::equal_twice(&["-j X", "-j X"], &["-j X", "-j X"], &[At(0), At(1)], &[At(0), At(1)])]
#[case::one_of_two_equals(&["-j X", "-j X"], &["-j X"], &[Ambiguous, Ambiguous], &[Ambiguous])]
#[case::doubled(&["-j X"], &["-j X", "-j X"], &[Ambiguous], &[Ambiguous, Ambiguous])]
#[case::lost_match(&["-m mark --mark 1 -j DROP", "-j X"], &["-j DROP", "-j X"], &[At(0), At(1)], &[At(0), At(1)])]
#[case::gone(&["-s a -p tcp -j X", "-j Y"], &["-j Y"], &[Gone, At(0)], &[At(1)])]
#[case::new(&["-j Y"], &["-s a -p tcp -j X", "-j Y"], &[At(1)], &[Gone, At(0)])]
#[case::nothing_left(&["-j Y"], &[], &[Gone], &[])]
#[case::tie_behind_an_equal_head(&["-j A", "-s 1 -j B", "-s 2 -j B"], &["-j A", "-s 3 -j B"], &[At(0), Ambiguous, Ambiguous], &[At(0), Ambiguous])]
#[case::both_lost_the_same(&["-s 1 -j B", "-s 2 -j B"], &["-j B", "-j B"], &[At(0), At(1)], &[At(0), At(1)])]
fn pairs(
    #[case] from: &[&str],
    #[case] to: &[&str],
    #[case] expected: &[Partner],
    #[case] expected_to: &[Partner],
) {
    let alignment = aligned(&rules(from), &rules(to));
    assert_eq!(alignment.from, expected);
    assert_eq!(alignment.to, expected_to);
}

fn packed(rules: &[Vec<String>]) -> Vec<Words> {
    rules.iter().map(Words::from_iter).collect()
}

fn aligned(from: &[Vec<String>], to: &[Vec<String>]) -> Alignment {
    let (from, to) = (packed(from), packed(to));
    align(
        &from.iter().collect::<Vec<_>>(),
        &to.iter().collect::<Vec<_>>(),
    )
}

/// All alignments, one by one: their cost and each element's partner.
fn every(from: &[Vec<String>], to: &[Vec<String>]) -> Vec<(u32, Vec<Option<usize>>)> {
    let Some((head, rest)) = from.split_first() else {
        let cost = to.iter().map(|rule| rule.len().max(1) as u32).sum();
        return vec![(cost, Vec::new())];
    };
    let mut all = Vec::new();
    let mut add = |cost: u32, partner: Option<usize>, skip: usize| {
        for (more, partners) in every(rest, &to[skip..]) {
            let mut list = vec![partner];
            list.extend(partners.into_iter().map(|p| p.map(|p| p + skip)));
            all.push((cost + more, list));
        }
    };
    add(head.len().max(1) as u32, None, 0);
    for j in 0..to.len() {
        let skipped: u32 = to[..j].iter().map(|rule| rule.len().max(1) as u32).sum();
        add(skipped + slow_distance(head, &to[j]), Some(j), j + 1);
    }
    all
}

fn slow_distance(a: &[String], b: &[String]) -> u32 {
    match (a.split_first(), b.split_first()) {
        (None, _) => b.len() as u32,
        (_, None) => a.len() as u32,
        (Some((x, a)), Some((y, b))) if x == y => slow_distance(a, b),
        (Some((_, ra)), Some((_, rb))) => 1 + slow_distance(ra, b).min(slow_distance(a, rb)),
    }
}

fn brute_force(from: &[Vec<String>], to: &[Vec<String>]) -> Vec<Partner> {
    let all = every(from, to);
    let least = all.iter().map(|(cost, _)| *cost).min().unwrap();
    let best: Vec<_> = all.iter().filter(|(cost, _)| *cost == least).collect();
    (0..from.len())
        .map(|i| {
            let said = best[0].1[i];
            match best.iter().all(|(_, list)| list[i] == said) {
                true => said.map_or(Gone, At),
                false => Ambiguous,
            }
        })
        .collect()
}

fn some_rules() -> impl Strategy<Value = Vec<Vec<String>>> {
    prop::collection::vec(prop::collection::vec("[abc]", 0..4), 0..6)
}

proptest! {
    #[test]
    fn agrees_with_trying_everything(from in some_rules(), to in some_rules()) {
        let alignment = aligned(&from, &to);
        prop_assert_eq!(&alignment.from, &brute_force(&from, &to));
        prop_assert_eq!(&alignment.to, &brute_force(&to, &from));
    }

    #[test]
    fn both_sides_say_the_same(from in some_rules(), to in some_rules()) {
        let alignment = aligned(&from, &to);
        for (i, partner) in alignment.from.iter().enumerate() {
            if let At(j) = partner {
                prop_assert!(matches!(alignment.to[*j], Partner::At(k) if k == i));
            }
        }
    }
}

fn many() -> Vec<Vec<String>> {
    (0..10_000)
        .map(|n| {
            let line = format!(
                "-s 10.{}.{}.1/32 -p tcp -m comment --comment c{n} -m tcp --dport {} -j DNAT",
                n / 256,
                n % 256,
                n % 50
            );
            line.split(' ').map(str::to_owned).collect()
        })
        .collect()
}

/// How many cells of the table had to be looked at and kept, for each rule.
fn cells_a_rule(from: &[Vec<String>], to: &[Vec<String>]) -> usize {
    let (of_from, of_to) = (packed(from), packed(to));
    let sides = Sides::of(
        &of_from.iter().collect::<Vec<_>>(),
        &of_to.iter().collect::<Vec<_>>(),
    );
    sides.table().costs.len() / from.len().max(to.len())
}

/// Of which there are but 50 different ones, so that words alone do not tell which is where.
fn alike() -> Vec<Vec<String>> {
    let tail = |rule: Vec<String>| rule[rule.len() - 4..].to_vec();
    many().into_iter().map(tail).collect()
}

/// As many rules as before, each made another by `alter`, which is told its place.
fn altered(
    from: Vec<Vec<String>>,
    alter: impl Fn(usize, &mut Vec<String>),
) -> [Vec<Vec<String>>; 2] {
    let mut to = from.clone();
    let each = to.iter_mut().enumerate();
    each.for_each(|(at, rule)| alter(at, rule));
    [from, to]
}

#[rstest]
#[case::equal(altered(many(), |_, _| {}))]
#[case::a_value_altered(altered(many(), |_, rule| {
    rule[1] = format!("{}x", rule[1]);
    rule[7] = "other".to_owned();
}))]
#[case::a_match_lost(altered(many(), |_, rule| drop(rule.drain(4..8))))]
#[case::cut_off_at_the_first_match(altered(many(), |_, rule| rule.truncate(4)))]
#[case::all_words_lost(altered(many(), |_, rule| rule.clear()))]
#[case::all_words_lost_in_every_third(altered(many(), |at, rule| rule.truncate(at % 3 * 8)))]
#[case::of_like_rules(altered(alike(), |at, rule| rule.truncate(at % 3 * 2)))]
fn what_happens_to_rules_in_their_places_takes_a_diagonal(#[case] sides: [Vec<Vec<String>>; 2]) {
    let [from, to] = sides;
    for (from, to) in [(&from, &to), (&to, &from)] {
        assert!(
            cells_a_rule(from, to) <= 4,
            "{} cells",
            cells_a_rule(from, to)
        );
        let alignment = aligned(from, to);
        assert!(alignment.from.iter().enumerate().all(|(i, p)| *p == At(i)));
    }
}

#[test]
fn rules_gone_and_altered_keep_to_the_diagonal() {
    let gone = [17, 4000, 4001, 9998];
    let [from, mut to] = altered(many(), |at, rule| {
        if [0, 3000, 9999].contains(&at) {
            rule.drain(4..8);
        }
    });
    gone.iter().rev().for_each(|at| drop(to.remove(*at)));
    assert!(
        cells_a_rule(&from, &to) <= 8,
        "{} cells",
        cells_a_rule(&from, &to)
    );
    let alignment = aligned(&from, &to);
    let mut next = 0;
    for (i, partner) in alignment.from.iter().enumerate() {
        let expected = match gone.contains(&i) {
            true => Gone,
            false => {
                next += 1;
                At(next - 1)
            }
        };
        assert_eq!(*partner, expected, "rule {i}");
    }
}
