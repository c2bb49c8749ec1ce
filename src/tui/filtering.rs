//! Which chains are shown, and in which order: a filter and an order on their way, of which no key has to wait for the end.

use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::store::{Asking, Columns, Filter};

use super::order::{Group, Order, Sorter};
use super::shared::Shared;

/// How long a filter or an order is gone on with before keys are looked at again. Tests that look at what comes out are
/// not to depend on how fast the machine is.
pub(super) const PATIENCE: Duration = if cfg!(test) { Duration::from_secs(3_600) } else { Duration::from_millis(6) };
/// Chains that are put in order at once, before the time is looked at.
const SLICE: usize = 1_000;
/// Exchanges, or chains, from which it takes long to give an analysis back, or to sort.
pub(super) const LARGE: usize = 10_000;

/// The filter as it stands.
#[derive(Default)]
pub struct Filtered {
    pub text: String,
    /// Why it is not understood; the last one that was still holds.
    pub error: Option<String>,
    /// It has not been asked about all chains yet, or they are not in their order; what matched before is still shown.
    going: Option<Going>,
}

/// What is on its way through the chains.
enum Going {
    Filter(Box<Asking>),
    Order(Sorter),
    /// A thread puts in order what was found.
    Sorting(Vec<u32>, Receiver<(Vec<u32>, Vec<Group>)>),
}

impl Shared {
    /// What makes filters fast is made; it may be of another analysis by now.
    pub fn take_columns(&mut self, columns: Columns) {
        if columns.are_of(&self.parts) {
            self.columns = Some(columns);
        }
    }

    /// Sets another filter; one that is not understood leaves what is shown as it is. What matches of many chains
    /// is found by and by ([`Shared::work`]).
    pub fn filter(&mut self, text: &str) {
        text.clone_into(&mut self.filter.text);
        match Filter::parse(text) {
            Err(err) => self.filter.error = Some(err.to_string()),
            Ok(filter) if filter.is_empty() => {
                self.filter.error = None;
                self.stop();
                self.found((0..u32::try_from(self.a.chains.len()).unwrap_or(u32::MAX)).collect());
            }
            Ok(filter) => {
                self.filter.error = None;
                self.stop();
                let filter = filter.with_inputs(&self.a.inputs);
                self.filter.going = Some(Going::Filter(Box::new(Asking::new(filter))));
                self.work();
            }
        }
    }

    /// Whether a filter or an order is on its way still.
    pub fn is_filtering(&self) -> bool {
        self.filter.going.is_some()
    }

    /// Goes on with the filter and the order for a while. `true`: that was all, and `visible` is another one.
    pub fn work(&mut self) -> bool {
        let began = Instant::now();
        while let Some(going) = self.filter.going.take() {
            match going {
                Going::Filter(mut asking) => match asking.work(&self.a, &self.parts, self.columns.as_ref()) {
                    Some(found) if self.order.is_natural() => return self.show(found, Vec::new()),
                    Some(found) => self.filter.going = Some(Going::Order(Sorter::new(self.order, found))),
                    None => self.filter.going = Some(Going::Filter(asking)),
                },
                Going::Order(mut sorter) => match sorter.work(self, SLICE) {
                    true if sorter.found().len() <= LARGE => {
                        let (visible, groups) = sorter.finish();
                        return self.show(visible, groups);
                    }
                    true => self.filter.going = Some(sort_beside(sorter)),
                    false => self.filter.going = Some(Going::Order(sorter)),
                },
                Going::Sorting(found, sorted) => {
                    match sorted.recv_timeout(self.patience.saturating_sub(began.elapsed())) {
                        Ok((visible, groups)) => return self.show(visible, groups),
                        Err(RecvTimeoutError::Timeout) => self.filter.going = Some(Going::Sorting(found, sorted)),
                        // It broke: what was found is there all the same.
                        Err(RecvTimeoutError::Disconnected) => return self.show(found, Vec::new()),
                    }
                }
            }
            if began.elapsed() >= self.patience {
                break;
            }
        }
        false
    }

    pub fn order(&self) -> Order {
        self.order
    }

    /// Puts the chains in another order; many by and by.
    pub fn set_order(&mut self, order: Order) {
        self.order = order;
        let found = match self.filter.going.take() {
            // It is put in order when it is through.
            Some(filter @ Going::Filter(_)) => {
                self.filter.going = Some(filter);
                return;
            }
            Some(Going::Order(sorter)) => {
                let found = sorter.found().to_vec();
                self.filter.going = Some(Going::Order(sorter));
                self.stop();
                found
            }
            Some(Going::Sorting(found, _)) => found,
            None if self.places.is_empty() => self.visible.clone(),
            None => {
                let all = self.places.iter().zip(0_u32..);
                all.filter(|(place, _)| **place != u32::MAX).map(|(_, at)| at).collect()
            }
        };
        self.found(found);
    }

    /// What is on its way is not wanted any more.
    fn stop(&mut self) {
        if let Some(Going::Order(sorter)) = self.filter.going.take()
            && sorter.found().len() > LARGE
        {
            // To give its many names back takes long.
            thread::spawn(move || drop(sorter));
        }
    }

    /// These match, in their natural order; they are shown, or still to be put in order.
    fn found(&mut self, found: Vec<u32>) {
        if self.order.is_natural() {
            self.show(found, Vec::new());
        } else {
            self.filter.going = Some(Going::Order(Sorter::new(self.order, found)));
            self.work();
        }
    }

    pub(super) fn show(&mut self, visible: Vec<u32>, groups: Vec<Group>) -> bool {
        self.places.clear();
        if !visible.is_sorted() {
            self.places.resize(self.a.chains.len(), u32::MAX);
            for (at, place) in visible.iter().zip(0..) {
                if let Some(own) = usize::try_from(*at).ok().and_then(|at| self.places.get_mut(at)) {
                    *own = place;
                }
            }
        }
        (self.visible, self.groups) = (visible, groups);
        self.generation += 1;
        true
    }
}

/// Sorts on a thread of its own.
fn sort_beside(sorter: Sorter) -> Going {
    let found = sorter.found().to_vec();
    let (tell, sorted) = channel();
    thread::spawn(move || {
        // Where nobody waits for it any more, another order is wanted by now.
        let _ = tell.send(sorter.finish());
    });
    Going::Sorting(found, sorted)
}
