//! The one way from captured bytes to the screen: escaped, and with secrets masked until a key shows them.

use std::cell::{Cell, RefCell};

use crate::base::PacketRef;
use crate::model::{InputFacts, Text};
use crate::report::mask::{Masker, own};

/// Bytes of one value that are looked at; a screen has no room for more.
const VALUE_BYTES: usize = 16 << 10;

/// Masks and escapes for one session, so that a secret keeps its number.
#[derive(Default)]
pub struct Shown {
    masked: RefCell<Masker>,
    bare: RefCell<Masker>,
    show: Cell<bool>,
}

impl Shown {
    /// `show`: secrets are shown from the beginning.
    pub fn new(show: bool) -> Shown {
        Shown { masked: RefCell::new(Masker::new(false)), bare: RefCell::new(Masker::new(true)), show: Cell::new(show) }
    }

    /// From here on these are the inputs that sentences name.
    pub fn name(&self, inputs: &[InputFacts]) {
        self.masked.borrow_mut().name(inputs);
        self.bare.borrow_mut().name(inputs);
    }

    /// Shows secrets, or masks them again; what it is now.
    pub fn toggle(&self) -> bool {
        self.show.set(!self.show.get());
        self.show.get()
    }

    pub fn secrets(&self) -> bool {
        self.show.get()
    }

    /// The value of a field, whose name decides whether it is a secret.
    pub fn field(&self, name: &[u8], value: &[u8]) -> String {
        self.with(|masker| masker.field(name, cut(value)))
    }

    /// A request target, URL or authority.
    pub fn url(&self, url: &[u8]) -> String {
        self.with(|masker| masker.url(cut(url)))
    }

    /// Captured bytes that are no secret by their place.
    pub fn bytes(&self, bytes: &[u8]) -> String {
        self.with(|masker| masker.bytes(cut(bytes)))
    }

    /// `packet 4`, or `packet 4 of edge.pcap` where the inputs are several.
    pub fn packet(&self, at: PacketRef) -> String {
        self.text(&Text::new().packets([at]))
    }

    /// A sentence.
    pub fn text(&self, text: &Text) -> String {
        self.with(|masker| masker.text(text))
    }

    /// This program's own words, or a product's.
    pub fn own(&self, words: &str) -> String {
        own(words)
    }

    fn with<T>(&self, f: impl FnOnce(&mut Masker) -> T) -> T {
        let masker = if self.show.get() { &self.bare } else { &self.masked };
        f(&mut masker.borrow_mut())
    }
}

fn cut(bytes: &[u8]) -> &[u8] {
    bytes.get(..VALUE_BYTES).unwrap_or(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_until_they_are_asked_for_and_controls_never_pass() {
        let shown = Shown::new(false);
        assert_eq!(shown.field(b"Cookie", b"a=\x1b"), "[redacted #1]");
        assert!(shown.toggle());
        assert_eq!(shown.field(b"Cookie", b"a=\x1b"), "a=\\x1b");
        assert!(!shown.toggle());
        assert_eq!(shown.field(b"Cookie", b"a=\x1b"), "[redacted #1]");
    }
}
