//! Sentences about captured bytes, kept apart until the report: so that the bytes are escaped, and
//! secrets masked with one numbering, in one place.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::base::PacketRef;

/// A sentence made of our own words and captured bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text(pub Cow<'static, [Part]>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Our own words.
    Own(Cow<'static, str>),
    /// Captured bytes that are no secret by their place; still escaped, and masked where they look
    /// like a token.
    Bytes(Box<[u8]>),
    /// The value of a field; its name decides whether it is a secret.
    Field { name: Box<[u8]>, value: Box<[u8]> },
    /// A request target or URL: secrets in its query and userinfo are masked.
    Url(Box<[u8]>),
    /// Packets, in the order in which something went through them. What their inputs are called the report
    /// knows.
    Packets(Box<[PacketRef]>),
}

impl Text {
    pub fn new() -> Self {
        Text::default()
    }

    /// Our own words, whole.
    pub fn own(words: impl Into<Cow<'static, str>>) -> Self {
        Text(Cow::Owned(vec![Part::Own(words.into())]))
    }

    /// What is said of nearly every exchange: it takes no memory of its own.
    pub const fn fixed(parts: &'static [Part]) -> Self {
        Text(Cow::Borrowed(parts))
    }

    /// Adds our own words.
    pub fn say(mut self, words: impl Into<Cow<'static, str>>) -> Self {
        self.0.to_mut().push(Part::Own(words.into()));
        self
    }

    /// Adds captured bytes.
    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.to_mut().push(Part::Bytes(bytes.into()));
        self
    }

    /// Adds a field's value.
    pub fn field(mut self, name: &[u8], value: &[u8]) -> Self {
        self.0.to_mut().push(Part::Field { name: name.into(), value: value.into() });
        self
    }

    /// Adds a request target or URL.
    pub fn url(mut self, url: &[u8]) -> Self {
        self.0.to_mut().push(Part::Url(url.into()));
        self
    }

    /// Adds packets, in the order in which something went through them.
    pub fn packets(mut self, all: impl IntoIterator<Item = PacketRef>) -> Self {
        self.0.to_mut().push(Part::Packets(all.into_iter().collect()));
        self
    }

    /// Adds another text.
    pub fn join(mut self, other: Text) -> Self {
        self.0.to_mut().extend(other.0.into_owned());
        self
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Packets in words: `packets 4 → 5`, `packets 4 of edge.pcap → 9 of app.pcap`, `packet 4`. `name`: what an input
/// is called; `None` where there is no other that it could be mistaken for, or where it is not known.
pub fn packets_in_words<'a>(all: &[PacketRef], name: impl Fn(u16) -> Option<&'a str>) -> String {
    let mut out = String::from(if all.len() == 1 { "packet" } else { "packets" });
    let one = all.windows(2).all(|pair| matches!(pair, [a, b] if a.input() == b.input()));
    for (index, at) in all.iter().enumerate() {
        let between = if index == 0 { " " } else { " → " };
        let _ = write!(out, "{between}{}", at.number());
        // Of packets that lie together, the last one says where.
        let says = !one || index + 1 == all.len();
        match name(at.input()).filter(|_| says) {
            Some(name) => {
                let _ = write!(out, " of {name}");
            }
            None if !one => {
                let _ = write!(out, " of input {}", at.input());
            }
            None => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_name_their_input_where_it_could_be_another() {
        let (a, b, c) = (PacketRef::new(0, 4), PacketRef::new(0, 5), PacketRef::new(1, 9));
        let files = |input| Some(if input == 0 { "edge.pcap" } else { "app.pcap" });
        assert_eq!(packets_in_words(&[a, b], |_| None), "packets 4 → 5");
        assert_eq!(packets_in_words(&[a, c], |_| None), "packets 4 of input 0 → 9 of input 1");
        assert_eq!(packets_in_words(&[a, c], files), "packets 4 of edge.pcap → 9 of app.pcap");
        assert_eq!(packets_in_words(&[a, b], files), "packets 4 → 5 of edge.pcap");
        assert_eq!(packets_in_words(&[c], files), "packet 9 of app.pcap");
        assert_eq!(packets_in_words(&[c], |_| None), "packet 9");
    }
}
