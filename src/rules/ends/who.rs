//! Who ended a journey's tunnel: the sender of the first FIN, RST or Close, walked from leg to leg as long as a hop
//! only passed on what came from behind it.

use crate::base::Nanos;
use crate::model::{Exchange, Hop};
use crate::rules::journey::{Journey, Leg};

use super::support::{FROM_CLIENT, FROM_SERVER};

/// Where the end came from.
#[derive(Clone, Copy, Debug)]
pub(in crate::rules) enum Who<'a> {
    Client(Leg<'a>),
    /// The hop itself, and the leg nearer the client.
    Hop(&'a Hop, Leg<'a>),
    /// Who answers the last leg in view: the backend, or a hop whose other side is not in view.
    Server(Leg<'a>),
}

impl<'a> Who<'a> {
    /// The leg at whose end it stands.
    pub(in crate::rules) fn leg(&self) -> Leg<'a> {
        match *self {
            Who::Client(leg) | Who::Hop(_, leg) | Who::Server(leg) => leg,
        }
    }
}

/// How much later an end may be seen than the one that it passes on is: ends are compared by the time since each
/// leg's own 101, so that other clocks change nothing.
const SLACK: Nanos = Nanos::from_millis(20);

/// `None`: no leg ended.
pub(in crate::rules) fn ended<'a>(journey: &Journey<'a>) -> Option<Who<'a>> {
    let mut near = journey.first()?;
    // What ended farther away long before is why, whoever ended the client's leg in the end.
    let mut passed = 0;
    loop {
        let hop = journey.hops.iter().rfind(|hop| hop.between.0 == near.x.id).filter(|_| passed <= journey.hops.len());
        let far = hop.and_then(|hop| journey.legs.iter().find(|leg| leg.x.id == hop.between.1));
        let (Some(hop), Some(far)) = (hop, far) else {
            return match near.x.end.by? {
                FROM_CLIENT if passed == 0 => Some(Who::Client(near)),
                FROM_CLIENT => None,
                FROM_SERVER => Some(Who::Server(near)),
            };
        };
        let before = |limit: Option<Nanos>, slack: Nanos| match (after_101(far.x), limit) {
            (Some(far), Some(near)) => far.0 <= near.0.saturating_add(slack.0),
            (Some(_), None) => true,
            (None, _) => false,
        };
        let own = near.x.end.at.and_then(|_| after_101(near.x));
        let early = Nanos(-SLACK.0);
        match (near.x.end.by, far.x.end.by) {
            (Some(FROM_CLIENT), Some(FROM_SERVER)) | (None, Some(FROM_SERVER)) if before(own, early) => {}
            (Some(FROM_CLIENT), Some(FROM_CLIENT)) if before(own, early) => return Some(Who::Hop(hop, near)),
            (Some(FROM_CLIENT), _) => return Some(Who::Client(near)),
            (Some(FROM_SERVER), Some(FROM_SERVER)) if before(own, SLACK) => {}
            (Some(FROM_SERVER), _) | (None, Some(FROM_CLIENT)) => return Some(Who::Hop(hop, near)),
            (None, _) => return None,
        }
        passed += 1;
        near = *far;
    }
}

/// From the leg's 101 to its end.
fn after_101(x: &Exchange) -> Option<Nanos> {
    Some(x.end.at?.since(x.response.as_ref()?.last))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::EndHow;
    use crate::rules::ends::testing::*;

    /// Who ended a chain whose legs ended like this, in milliseconds.
    fn said(near: Option<(crate::model::Direction, i64)>, far: Option<(crate::model::Direction, i64)>) -> &'static str {
        let leg = |end: Option<(_, i64)>| end.map_or_else(open, |(by, ms)| cut(by, EndHow::Fin, ms));
        journey(leg(near), leg(far), |journey| match ended(journey) {
            None => "nobody",
            Some(Who::Client(leg)) => {
                if leg.x.id.0 == 1 {
                    "client"
                } else {
                    "?"
                }
            }
            Some(Who::Hop(..)) => "hop",
            Some(Who::Server(leg)) => {
                if leg.x.id.0 == 2 {
                    "backend"
                } else {
                    "?"
                }
            }
        })
    }

    #[test]
    fn what_a_hop_passes_on_was_ended_by_who_ended_it_first() {
        assert_eq!(said(Some((SERVER, 3_001)), Some((SERVER, 3_000))), "backend");
        assert_eq!(said(Some((CLIENT, 3_000)), Some((CLIENT, 3_003))), "client");
        assert_eq!(said(Some((CLIENT, 3_000)), None), "client");
    }

    #[test]
    fn a_hop_that_ends_both_legs_or_one_alone_did_it() {
        assert_eq!(said(Some((SERVER, 3_000)), Some((CLIENT, 3_000))), "hop");
        assert_eq!(said(Some((SERVER, 3_000)), None), "hop");
        assert_eq!(said(None, Some((CLIENT, 3_000))), "hop");
        assert_eq!(said(Some((SERVER, 3_000)), Some((SERVER, 3_500))), "hop", "the backend only followed");
    }

    #[test]
    fn what_ended_long_before_on_the_far_leg_is_why() {
        assert_eq!(said(Some((CLIENT, 9_000)), Some((SERVER, 3_000))), "backend");
        assert_eq!(said(Some((CLIENT, 9_000)), Some((CLIENT, 3_000))), "hop");
        assert_eq!(said(None, Some((SERVER, 3_000))), "backend");
        assert_eq!(said(None, None), "nobody");
    }
}
