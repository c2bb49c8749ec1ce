//! Limits that products have: after how long they end a tunnel.

use crate::base::Nanos;

/// A limit that a product has unless somebody changed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownLimit {
    /// The product's slug, that of the product it is built on, and its name.
    pub slug: Box<str>,
    pub kind_of: Option<Box<str>>,
    pub product: Box<str>,
    pub kind: LimitKind,
    /// Above zero.
    pub length: Nanos,
    /// What it is called in the product's configuration.
    pub setting: Box<str>,
    /// It is only believed.
    pub guess: bool,
}

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitKind {
    /// Time without payload. TCP keep-alives are none.
    Idle,
    /// Time since the connection was opened, busy or not.
    Lifetime,
}

/// How long tunnels through one proxy lasted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lasted {
    /// The longest that none of its limits cut. `None`: nothing was measured.
    pub survived: Option<Nanos>,
    /// The shortest after which it cut. `None`: it cut none.
    pub cut_at: Option<Nanos>,
    /// Tunnels that were measured.
    pub samples: u64,
}

impl Lasted {
    /// One more tunnel: the longest that it bore, and after how long it was cut.
    pub fn add(&mut self, survived: Option<Nanos>, cut_at: Option<Nanos>) {
        if survived.is_none() && cut_at.is_none() {
            return;
        }
        self.samples = self.samples.saturating_add(1);
        self.survived = self.survived.max(survived);
        self.cut_at = match (self.cut_at, cut_at) {
            (Some(known), Some(new)) => Some(known.min(new)),
            (known, new) => known.or(new),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_that_was_borne_and_the_shortest_that_was_cut_are_kept() {
        let mut lasted = Lasted::default();
        let s = |s| Some(Nanos::from_secs(s));
        lasted.add(None, None);
        for (survived, cut_at) in [(s(20), None), (s(55), s(61)), (None, s(60)), (s(30), None)] {
            lasted.add(survived, cut_at);
        }
        assert_eq!(lasted, Lasted { survived: s(55), cut_at: s(60), samples: 4 });
    }
}
