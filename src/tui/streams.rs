//! Streams that were read again for the screen of bytes: the last few, so that the way back to one takes no time.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::base::limits;
use crate::engine::stretch::{Ask, Stretch};

/// What came of it: `Err` says in words why there is nothing.
pub type Read = Result<Arc<Stretch>, String>;

#[derive(Default)]
pub struct Streams(VecDeque<(Ask, Read)>);

impl Streams {
    /// `None`: it was not read yet.
    pub fn get(&self, ask: &Ask) -> Option<&Read> {
        self.0.iter().find(|(known, _)| known == ask).map(|(_, read)| read)
    }

    pub fn put(&mut self, ask: Ask, read: Read) {
        self.0.retain(|(known, _)| *known != ask);
        self.0.push_front((ask, read));
        self.0.truncate(limits::UI_STRETCHES);
    }

    /// The analysis is another one.
    pub fn forget(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ExchangeId;
    use crate::engine::stretch::{From, Way};

    #[test]
    fn the_last_few_are_kept() {
        let ask = |n: u64| Ask { exchange: ExchangeId(n), way: Way::Both, from: From::End };
        let mut streams = Streams::default();
        (0..limits::UI_STRETCHES as u64 + 1).for_each(|n| streams.put(ask(n), Err(n.to_string())));
        streams.put(ask(1), Err("again".to_owned()));
        assert_eq!((streams.get(&ask(0)), streams.get(&ask(1))), (None, Some(&Err("again".to_owned()))));
        assert_eq!(streams.0.len(), limits::UI_STRETCHES);
        streams.forget();
        assert_eq!(streams.get(&ask(1)), None);
    }
}
