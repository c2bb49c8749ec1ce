//! Packet time: whole nanoseconds since the Unix epoch. Never the clock of this machine.

use std::ops::{Add, Sub};

/// A point in time: nanoseconds since 1970-01-01T00:00:00Z, as the capture says. Range 1677 to 2262;
/// what a hostile file puts outside is clamped to that range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

/// A length of time in nanoseconds; negative where the capture's times go backwards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nanos(pub i64);

impl Timestamp {
    /// From whole seconds and nanoseconds since the epoch, clamped to the range.
    pub fn from_parts(seconds: i64, nanos: u32) -> Self {
        Timestamp(seconds.saturating_mul(1_000_000_000).saturating_add(i64::from(nanos)))
    }

    /// Time from `earlier` to this; negative where `earlier` is later.
    pub fn since(self, earlier: Timestamp) -> Nanos {
        Nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Nanos {
    pub const ZERO: Nanos = Nanos(0);

    /// From whole milliseconds.
    pub const fn from_millis(ms: i64) -> Self {
        Nanos(ms.saturating_mul(1_000_000))
    }

    /// From whole seconds.
    pub const fn from_secs(s: i64) -> Self {
        Nanos(s.saturating_mul(1_000_000_000))
    }

    /// As seconds, for people and for rates.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }
}

impl Add for Nanos {
    type Output = Nanos;
    fn add(self, more: Nanos) -> Nanos {
        Nanos(self.0.saturating_add(more.0))
    }
}

impl Add<Nanos> for Timestamp {
    type Output = Timestamp;
    fn add(self, by: Nanos) -> Timestamp {
        Timestamp(self.0.saturating_add(by.0))
    }
}

impl Sub<Nanos> for Timestamp {
    type Output = Timestamp;
    fn sub(self, by: Nanos) -> Timestamp {
        Timestamp(self.0.saturating_sub(by.0))
    }
}
