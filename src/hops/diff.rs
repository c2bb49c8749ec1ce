//! What a hop did to a head: fields that are gone, new, changed, moved or spelt otherwise. Facts only;
//! whether any of it is a fault is for the rules.

use crate::model::{Field, Head};

/// The differences between a head as it reached the hop and as it left it. All borrow from the two
/// heads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diff<'a> {
    /// Field lines that have no counterpart behind the hop: name and value as they came, in their order.
    pub removed: Vec<(&'a [u8], &'a [u8])>,
    /// Field lines that only the hop's own head has, in their order.
    pub added: Vec<(&'a [u8], &'a [u8])>,
    /// Name (as it left the hop), the value that came, the value that left.
    pub changed: Vec<(&'a [u8], &'a [u8], &'a [u8])>,
    /// Names (as they left the hop) of fields that stand elsewhere among the fields that both heads have.
    pub moved: Vec<&'a [u8]>,
    /// Names that are spelt with other capitals: as they came, as they left.
    pub recased: Vec<(&'a [u8], &'a [u8])>,
}

impl Diff<'_> {
    /// Whether both heads have the same field lines in the same order and spelling.
    pub fn is_empty(&self) -> bool {
        self.removed.is_empty()
            && self.added.is_empty()
            && self.changed.is_empty()
            && self.moved.is_empty()
            && self.recased.is_empty()
    }
}

/// Compares the head that reached a hop with the head that left it: of a request, near and far; of a
/// response, far and near.
///
/// Between HTTP/2 and HTTP/1.x, `:authority` is `Host` and the other pseudo-fields are start lines (RFC 9113 §8.3),
/// and that names are in small letters on one side is the version's doing.
///
/// Lines of one name are paired in their order, equal values first (RFC 9110 §5.3: only lines of the same
/// name have an order that counts).
pub fn compare<'a>(came: &'a Head, left: &'a Head) -> Diff<'a> {
    let mut diff = Diff::default();
    let bridges = came.coded != left.coded;
    let mut partner: Vec<Option<usize>> = vec![None; came.fields.len()];
    let mut taken = vec![false; left.fields.len()];
    // Equal values first, then what is left of each name in its order.
    for equal in [true, false] {
        for (i, a) in came.fields.iter().enumerate() {
            if partner.get(i).copied().flatten().is_some() {
                continue;
            }
            let fits = |(j, b): &(usize, &Field)| {
                !taken.get(*j).copied().unwrap_or(true)
                    && same_name(came.name(a), left.name(b), bridges)
                    && (!equal || came.value(a) == left.value(b))
            };
            if let Some((j, _)) = left.fields.iter().enumerate().find(fits)
                && let (Some(mine), Some(theirs)) = (partner.get_mut(i), taken.get_mut(j))
            {
                (*mine, *theirs) = (Some(j), true);
            }
        }
    }
    for (a, partner) in came.fields.iter().zip(&partner) {
        let Some(b) = partner.and_then(|j| left.fields.get(j)) else {
            if !(bridges && is_pseudo(came.name(a))) {
                diff.removed.push((came.name(a), came.value(a)));
            }
            continue;
        };
        if came.value(a) != left.value(b) {
            diff.changed.push((left.name(b), came.value(a), left.value(b)));
        }
        if came.name(a) != left.name(b) && !bridges {
            diff.recased.push((came.name(a), left.name(b)));
        }
    }
    let shown = |b: &Field| !(bridges && is_pseudo(left.name(b)));
    let new = left.fields.iter().zip(&taken).filter(|(b, taken)| !**taken && shown(b));
    diff.added = new.map(|(b, _)| (left.name(b), left.value(b))).collect();
    let places: Vec<usize> = partner.into_iter().flatten().collect();
    diff.moved = out_of_order(&places).into_iter().filter_map(|j| left.fields.get(j)).map(|b| left.name(b)).collect();
    diff
}

fn is_pseudo(name: &[u8]) -> bool {
    name.starts_with(b":")
}

fn same_name(came: &[u8], left: &[u8], bridges: bool) -> bool {
    let host = |name: &[u8]| name == b":authority" || name.eq_ignore_ascii_case(b"host");
    came.eq_ignore_ascii_case(left) || bridges && host(came) && host(left)
}

/// The fewest places that must go for the rest to rise, in the order in which they stand: what is not in
/// the longest rising run (patience sorting).
fn out_of_order(places: &[usize]) -> Vec<usize> {
    let mut piles: Vec<usize> = Vec::new(); // index into `places` of each pile's top
    let mut below: Vec<Option<usize>> = Vec::with_capacity(places.len());
    for (i, place) in places.iter().enumerate() {
        let at = piles.partition_point(|&top| places.get(top).is_some_and(|p| p < place));
        below.push(at.checked_sub(1).and_then(|under| piles.get(under).copied()));
        match piles.get_mut(at) {
            Some(top) => *top = i,
            None => piles.push(i),
        }
    }
    let mut rising = vec![false; places.len()];
    let mut next = piles.last().copied();
    while let Some(i) = next {
        if let Some(mark) = rising.get_mut(i) {
            *mark = true;
        }
        next = below.get(i).copied().flatten();
    }
    places.iter().zip(rising).filter(|(_, rising)| !rising).map(|(place, _)| *place).collect()
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, reason = "a test that cannot go on has failed")]
mod tests {
    use super::*;
    use crate::hops::testing::head;

    fn names<'a>(all: &[(&'a [u8], &'a [u8])]) -> Vec<&'a str> {
        all.iter().map(|(n, _)| std::str::from_utf8(n).unwrap_or_default()).collect()
    }

    #[test]
    fn equal_heads_have_no_difference() {
        let a = head("GET / HTTP/1.1\r\nHost: x\r\nA: 1\r\nA: 2\r\n\r\n");
        assert!(compare(&a, &a).is_empty());
    }

    #[test]
    fn what_is_gone_new_and_changed_is_told_in_order() {
        let came = head("GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
        let left = head("GET / HTTP/1.0\r\nHost: 10.0.0.1:80\r\nConnection: close\r\nX-Real-IP: 10.0.0.9\r\n\r\n");
        let diff = compare(&came, &left);
        assert_eq!(names(&diff.removed), ["Upgrade"]);
        assert_eq!(names(&diff.added), ["X-Real-IP"]);
        assert_eq!(
            diff.changed,
            [(&b"Host"[..], &b"x"[..], &b"10.0.0.1:80"[..]), (b"Connection", b"Upgrade", b"close")]
        );
        assert!(diff.moved.is_empty() && diff.recased.is_empty());
    }

    #[test]
    fn other_capitals_and_another_place_are_no_change() {
        let came = head("GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nOrigin: o\r\n\r\n");
        let left = head("GET / HTTP/1.1\r\nupgrade: websocket\r\nconnection: Upgrade\r\nHost: x\r\nOrigin: o\r\n\r\n");
        let diff = compare(&came, &left);
        assert!(diff.removed.is_empty() && diff.added.is_empty() && diff.changed.is_empty());
        assert_eq!(diff.moved, [b"Host"]);
        assert_eq!(diff.recased, [(&b"Upgrade"[..], &b"upgrade"[..]), (b"Connection", b"connection")]);
    }

    #[test]
    fn between_http2_and_http1_pseudo_fields_and_capitals_are_no_difference() {
        let came = head("GET / HTTP/1.1\r\nHost: x\r\nOrigin: o\r\nUpgrade: websocket\r\n\r\n");
        // The splitter of these tests knows no names with a colon.
        let mut left = head("GET / HTTP/1.1\r\n_authority: x\r\n_path: /\r\norigin: o\r\n\r\n");
        left.text = left.text.iter().map(|&b| if b == b'_' { b':' } else { b }).collect();
        left.coded = true;
        let diff = compare(&came, &left);
        assert_eq!(names(&diff.removed), ["Upgrade"]);
        assert!(diff.added.is_empty() && diff.changed.is_empty() && diff.recased.is_empty());
    }

    #[test]
    fn of_lines_of_one_name_equal_ones_are_partners() {
        let came = head("GET / HTTP/1.1\r\nVia: 1.1 a\r\n\r\n");
        let left = head("GET / HTTP/1.1\r\nVia: 1.1 b\r\nVia: 1.1 a\r\n\r\n");
        let diff = compare(&came, &left);
        assert_eq!(diff.added, [(&b"Via"[..], &b"1.1 b"[..])]);
        assert!(diff.changed.is_empty() && diff.removed.is_empty());
    }

    #[test]
    fn a_reversed_head_moves_all_but_one() {
        assert_eq!(out_of_order(&[3, 2, 1, 0]).len(), 3);
        assert!(out_of_order(&[0, 1, 5, 9]).is_empty());
        assert_eq!(out_of_order(&[2, 0, 1]), [2]);
    }
}
