//! Sentences about captured bytes, kept apart until the report: so that the bytes are escaped, and
//! secrets masked with one numbering, in one place.

use std::borrow::Cow;

/// A sentence made of our own words and captured bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text(pub Vec<Part>);

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
}

impl Text {
    pub fn new() -> Self {
        Text::default()
    }

    /// Our own words, whole.
    pub fn own(words: impl Into<Cow<'static, str>>) -> Self {
        Text(vec![Part::Own(words.into())])
    }

    /// Adds our own words.
    pub fn say(mut self, words: impl Into<Cow<'static, str>>) -> Self {
        self.0.push(Part::Own(words.into()));
        self
    }

    /// Adds captured bytes.
    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.push(Part::Bytes(bytes.into()));
        self
    }

    /// Adds a field's value.
    pub fn field(mut self, name: &[u8], value: &[u8]) -> Self {
        self.0.push(Part::Field { name: name.into(), value: value.into() });
        self
    }

    /// Adds a request target or URL.
    pub fn url(mut self, url: &[u8]) -> Self {
        self.0.push(Part::Url(url.into()));
        self
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
