//! Which of the candidates are pairs: each leg has at most one leg before it and one behind it, all of a
//! knot are decided together, and what would be nearly as good another way is left open.

use pathfinding::kuhn_munkres::kuhn_munkres;
use pathfinding::matrix::Matrix;

use crate::base::limits;

use super::score::MARGIN;
use super::{Map, Set};

/// A candidate and how well it fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pair {
    pub near: usize,
    pub far: usize,
    pub points: i32,
}

/// What was decided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Assigned {
    pub pairs: Vec<(usize, usize)>,
    /// Legs with several partners that are nearly as good, and how many.
    pub rivals: Vec<(usize, usize)>,
    /// Knots too large to be decided.
    pub knots: u64,
}

/// Decides between candidates.
pub(super) fn assign(pairs: &[Pair]) -> Assigned {
    let mut out = Assigned::default();
    let mut left: Vec<Pair> = pairs.to_vec();
    left.sort_by_key(|p| (std::cmp::Reverse(p.points), p.near, p.far));
    // What beats all that it excludes together is part of the best whole.
    loop {
        let clear: Vec<Pair> = clear(&left).collect();
        if clear.is_empty() {
            break;
        }
        let (mut near, mut far) = (Set::default(), Set::default());
        for pair in &clear {
            near.insert(pair.near);
            far.insert(pair.far);
            out.pairs.push((pair.near, pair.far));
        }
        left.retain(|p| !near.contains(&p.near) && !far.contains(&p.far));
    }
    for knot in knots(&left) {
        decide(&knot, &mut out);
    }
    out.pairs.sort_unstable();
    out.rivals.sort_unstable();
    out
}

/// Pairs better than the best other of their near leg and the best other of their far leg together, or
/// than either by far.
fn clear(left: &[Pair]) -> impl Iterator<Item = Pair> {
    let mut best: Map<(bool, usize), [i32; 2]> = Map::default();
    for pair in left {
        for end in [(false, pair.near), (true, pair.far)] {
            let [first, second] = best.entry(end).or_insert([0; 2]);
            if pair.points > *first {
                (*first, *second) = (pair.points, *first);
            } else {
                *second = pair.points.max(*second);
            }
        }
    }
    left.iter().copied().filter(move |pair| {
        let other = |end| match best.get(&end) {
            Some(&[first, second]) if first == pair.points => second,
            Some(&[first, _]) => first,
            None => 0,
        };
        let (near, far) = (other((false, pair.near)), other((true, pair.far)));
        let margin = |other: i32| if other == 0 { 0 } else { MARGIN };
        pair.points >= near + far && pair.points >= near + margin(near) && pair.points >= far + margin(far)
    })
}

/// Candidates that exclude one another, directly or by others.
fn knots(left: &[Pair]) -> Vec<Vec<Pair>> {
    let mut parent: Map<(bool, usize), (bool, usize)> = Map::default();
    fn root(parent: &Map<(bool, usize), (bool, usize)>, mut at: (bool, usize)) -> (bool, usize) {
        while let Some(&up) = parent.get(&at) {
            at = up;
        }
        at
    }
    for pair in left {
        let (a, b) = (root(&parent, (false, pair.near)), root(&parent, (true, pair.far)));
        if a != b {
            // The lower one stays above, so that the roads stay short enough.
            let (up, down) = if a < b { (a, b) } else { (b, a) };
            parent.insert(down, up);
        }
    }
    let mut groups: Map<(bool, usize), Vec<Pair>> = Map::default();
    for pair in left {
        groups.entry(root(&parent, (false, pair.near))).or_default().push(*pair);
    }
    let mut knots: Vec<Vec<Pair>> = groups.into_values().collect();
    knots.sort_by_key(|knot| knot.iter().map(|p| (p.near, p.far)).min());
    knots
}

/// The best whole of a knot; pairs that would be nearly as good otherwise are left open.
fn decide(knot: &[Pair], out: &mut Assigned) {
    let index = |of: fn(&Pair) -> usize| {
        let mut all: Vec<usize> = knot.iter().map(of).collect();
        all.sort_unstable();
        all.dedup();
        all
    };
    let (near, far) = (index(|p| p.near), index(|p| p.far));
    let points: Map<(usize, usize), i32> = knot.iter().map(|p| ((p.near, p.far), p.points)).collect();
    if near.len().max(far.len()) > limits::JOIN_KNOT {
        out.knots += 1;
        open(knot.iter().map(|p| (p.near, p.far)), knot, out);
        return;
    }
    let chosen = best(&near, &far, &points);
    // Would it be nearly as good if two pairs changed partners, or if one took a free leg?
    let partner_of_far: Map<usize, usize> = chosen.iter().map(|&(n, f)| (f, n)).collect();
    let partner_of_near: Map<usize, usize> = chosen.iter().map(|&(n, f)| (n, f)).collect();
    let of = |n: usize, f: usize| points.get(&(n, f)).copied();
    let mut doubtful = Vec::new();
    for &(n, f) in &chosen {
        let Some(mine) = of(n, f) else { continue };
        let by_far =
            knot.iter().filter(|p| p.near == n && p.far != f).any(|other| match partner_of_far.get(&other.far) {
                None => mine - other.points < MARGIN,
                Some(&n2) => match (of(n2, other.far), of(n2, f)) {
                    (Some(theirs), Some(swapped)) => mine + theirs - other.points - swapped < MARGIN,
                    _ => false,
                },
            });
        let by_near = knot
            .iter()
            .filter(|p| p.far == f && p.near != n)
            .any(|other| !partner_of_near.contains_key(&other.near) && mine - other.points < MARGIN);
        if by_far || by_near {
            doubtful.push((n, f));
        } else {
            out.pairs.push((n, f));
        }
    }
    open(doubtful.into_iter(), knot, out);
}

/// Legs whose pairs are left open, each with the number of its candidates.
fn open(pairs: impl Iterator<Item = (usize, usize)>, knot: &[Pair], out: &mut Assigned) {
    let mut ends: Vec<usize> = pairs.flat_map(|(n, f)| [n, f]).collect();
    ends.sort_unstable();
    ends.dedup();
    for end in ends {
        let rivals = knot.iter().filter(|p| p.near == end).count().max(knot.iter().filter(|p| p.far == end).count());
        out.rivals.push((end, rivals));
    }
}

/// The pairs with the most points together.
fn best(near: &[usize], far: &[usize], points: &Map<(usize, usize), i32>) -> Vec<(usize, usize)> {
    // The library wants no more rows than columns.
    let turned = near.len() > far.len();
    let (rows, columns) = if turned { (far, near) } else { (near, far) };
    let of = |row: usize, column: usize| {
        let pair = if turned { (column, row) } else { (row, column) };
        i64::from(points.get(&pair).copied().unwrap_or(0))
    };
    let weights = Matrix::from_rows(rows.iter().map(|&row| columns.iter().map(move |&column| of(row, column))));
    let Ok(weights) = weights else { return Vec::new() };
    let (_, chosen) = kuhn_munkres(&weights);
    let pairs = rows.iter().zip(chosen).filter_map(|(&row, column)| {
        let column = *columns.get(column)?;
        let pair = if turned { (column, row) } else { (row, column) };
        points.contains_key(&pair).then_some(pair)
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(all: &[(usize, usize, i32)]) -> Assigned {
        assign(&all.iter().map(|&(near, far, points)| Pair { near, far, points }).collect::<Vec<_>>())
    }

    #[test]
    fn three_legs_in_a_row_are_two_pairs() {
        let found = pairs(&[(1, 2, 140), (1, 3, 130), (2, 3, 138)]);
        assert_eq!(found.pairs, [(1, 2), (2, 3)]);
        assert!(found.rivals.is_empty());
    }

    #[test]
    fn the_best_whole_is_chosen_not_the_best_pair() {
        // Greedy would take (1, 10) and leave 2 alone.
        let found = pairs(&[(1, 10, 80), (1, 11, 70), (2, 10, 70)]);
        assert_eq!(found.pairs, [(1, 11), (2, 10)]);
    }

    #[test]
    fn what_fits_nearly_as_well_another_way_is_left_open() {
        let found = pairs(&[(1, 10, 80), (1, 11, 79), (2, 10, 79), (2, 11, 80)]);
        assert!(found.pairs.is_empty());
        assert_eq!(found.rivals, [(1, 2), (2, 2), (10, 2), (11, 2)]);
        let found = pairs(&[(1, 10, 80), (1, 11, 60), (2, 10, 60), (2, 11, 80)]);
        assert_eq!(found.pairs, [(1, 10), (2, 11)]);
        let one_free = pairs(&[(1, 10, 80), (2, 10, 78)]);
        assert!(one_free.pairs.is_empty());
    }

    #[test]
    fn a_knot_beyond_the_limit_is_counted_and_stays_open() {
        let many = limits::JOIN_KNOT + 1;
        let all: Vec<Pair> = (0..many)
            .flat_map(|n| [Pair { near: n, far: n, points: 80 }, Pair { near: n, far: (n + 1) % many, points: 80 }])
            .collect();
        let found = assign(&all);
        assert_eq!((found.pairs.len(), found.knots), (0, 1));
        assert!(!found.rivals.is_empty());
    }
}
