//! The head of a timeline: round steps, and what stands at them; and the strip that shows all of the capture.

use crate::base::{Nanos, Timestamp};

use super::bars::Axis;

/// Columns that a label should have at least.
const LABEL: usize = 10;
/// The longest step, in nanoseconds.
const DAY: i64 = 86_400_000_000_000;

/// Steps of the unit that they are told in.
const UNITS: &[(i64, &str, &[i64])] = &[
    (1, "ns", &[1, 2, 5, 10, 20, 50, 100, 200, 500]),
    (1_000, "µs", &[1, 2, 5, 10, 20, 50, 100, 200, 500]),
    (1_000_000, "ms", &[1, 2, 5, 10, 20, 50, 100, 200, 500]),
    (1_000_000_000, "s", &[1, 2, 5, 10, 20, 30]),
    (60_000_000_000, "min", &[1, 2, 5, 10, 20, 30]),
    (3_600_000_000_000, "h", &[1, 2, 6, 12]),
    (DAY, "d", &[1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 10_000]),
];

/// `┼0 s    ┼10 s   ┼20 s`, in so many columns; counted from `zero`.
pub fn ruler(axis: Axis, zero: Timestamp, columns: usize) -> String {
    let most = (columns / LABEL).max(1);
    let (step, unit, name) = step(axis.length.0 / i64::try_from(most).unwrap_or(1).max(1));
    // Far from zero the figures would have no room: then it is counted from the window's first step.
    let first = axis.from.since(zero).0.div_euclid(step) * step;
    let far = (first / unit.max(1)).abs() >= 10_000;
    let zero = if far { zero + Nanos(first) } else { zero };
    let mut cells = vec![' '; columns];
    let mut at = axis.from.since(zero).0.div_euclid(step) * step;
    let mut free = 0;
    while zero + Nanos(at) <= axis.end() {
        if let Some(column) = usize::try_from(axis.column(zero + Nanos(at), columns)).ok().filter(|at| *at >= free) {
            let sign = if far { "+" } else { "" };
            let label = if at == 0 && !far { "┼0".to_owned() } else { format!("┼{sign}{}", told(at, unit, name)) };
            for (place, c) in cells.iter_mut().skip(column).zip(label.chars()) {
                *place = c;
            }
            free = column + label.chars().count() + 1;
        }
        at = at.saturating_add(step);
    }
    cells.into_iter().collect()
}

/// `500 µs`, `1.5 ms`: in the next unit where it would have four figures.
fn told(at: i64, unit: i64, name: &str) -> String {
    let n = at / unit;
    let next = UNITS.iter().find(|(next, ..)| *next == unit * 1_000).filter(|_| n >= 1_000);
    match next {
        Some((_, name, _)) => format!("{} {name}", n as f64 / 1_000.0),
        None => format!("{n} {name}"),
    }
}

/// The least round step that is as long, its unit in nanoseconds, and what that is called.
fn step(least: i64) -> (i64, i64, &'static str) {
    for (unit, name, steps) in UNITS {
        for step in *steps {
            if unit.saturating_mul(*step) >= least {
                return (unit.saturating_mul(*step), *unit, name);
            }
        }
    }
    (DAY * 100_000, DAY, "d")
}

/// Heights of a column that stand for numbers, from none to the most.
pub fn height(n: u32, most: u32) -> char {
    const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    if n == 0 || most == 0 {
        return ' ';
    }
    let at = usize::try_from((u64::from(n) * 8 - 1) / u64::from(most)).unwrap_or(0);
    HEIGHTS.get(at.min(7)).copied().unwrap_or('█')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ruled(from_ms: i64, ms: i64, columns: usize) -> String {
        let axis = Axis { from: Timestamp(from_ms * 1_000_000), length: Nanos::from_millis(ms) };
        ruler(axis, Timestamp(0), columns)
    }

    #[test]
    fn steps_are_round_and_their_labels_have_room() {
        assert_eq!(ruled(0, 70_000, 50), "┼0            ┼20 s         ┼40 s         ┼60 s   ");
        assert_eq!(ruled(0, 3, 30), "┼0        ┼1 ms     ┼2 ms     ");
        assert_eq!(ruled(0, 3, 60), "┼0        ┼500 µs   ┼1 ms     ┼1.5 ms   ┼2 ms     ┼2.5 ms   ");
        assert_eq!(ruled(36_000_123, 3, 30), "┼+0 ms    ┼+1 ms    ┼+2 ms    ");
        for ms in [1, 10, 100, 1_000, 60_000, 3_600_000, 86_400_000, 864_000_000, 100_000_000_000] {
            let text = ruled(0, ms, 80);
            assert_eq!(text.chars().count(), 80);
            assert!((2..12).contains(&text.matches('┼').count()), "{text}");
        }
    }

    #[test]
    fn one_is_seen_beside_many() {
        assert_eq!([0, 1, 500, 1_000].map(|n| height(n, 1_000)), [' ', '▁', '▄', '█']);
    }
}
