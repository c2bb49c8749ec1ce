//! Fetches exchanges before they are judged: when that begins, most of them are in no cache any more,
//! and a rule waits longer for a head than it takes to read it.

use std::slice::from_ref;

use prefetch_index::prefetch_index;

use crate::model::{Exchange, Head};

/// Exchanges whose own lines are fetched ahead, and whose heads.
const FAR: usize = 12;
const NEAR: usize = 6;

/// Bytes of a line of the cache.
const LINE: usize = 64;

/// Lines fetched of a head's text or of its fields.
const LINES: usize = 10;

/// Starts fetching those that come soon after `at`.
#[inline]
pub(super) fn fetch(all: &[Box<Exchange>], at: usize) {
    if let Some(x) = all.get(at + FAR) {
        prefetch_index(from_ref(&x.id), 0);
        head(&x.request);
        prefetch_index(from_ref(&x.response), 0);
        prefetch_index(from_ref(&x.after_101), 0);
        prefetch_index(from_ref(&x.times), 0);
        prefetch_index(from_ref(&x.ws), 0);
        prefetch_index(from_ref(&x.end), 0);
        prefetch_index(from_ref(&x.quality), 0);
    }
    if let Some(x) = all.get(at + NEAR) {
        content(&x.request);
        x.response.as_ref().into_iter().for_each(content);
        if let Some(talk) = &x.talk {
            prefetch_index(from_ref(&talk.client), 0);
            prefetch_index(from_ref(&talk.server), 0);
            prefetch_index(from_ref(&talk.silence), 0);
        }
    }
}

fn head(h: &Head) {
    prefetch_index(from_ref(&h.text), 0);
    prefetch_index(from_ref(&h.range), 0);
}

fn content(h: &Head) {
    for at in (0..h.text.len()).step_by(LINE).take(LINES) {
        prefetch_index(&h.text, at);
    }
    let fields = LINE / size_of::<crate::model::Field>();
    for at in (0..h.fields.len()).step_by(fields).take(LINES) {
        prefetch_index(&h.fields, at);
    }
}
