//! A decoded field list, in the form in which [`Head`](crate::model::Head) holds it.

use std::ops::Range;

use crate::base::limits;
use crate::model::{Field, LineFaults, Mark};

/// Fields of one block in the order in which they were sent. Made once, used again and again.
#[derive(Debug, Default)]
pub struct List {
    /// [`START`], then `name: value` and a line end for each field. At most `limits::HPACK_LIST_BYTES`.
    pub text: Vec<u8>,
    /// At most `limits::HEAD_FIELDS`. What is unknown is an empty range of the field's text, with
    /// `LineFaults::UNKNOWN`.
    pub fields: Vec<Field>,
    /// Of the list as a whole: `BAD_CODING`, `TOO_LARGE`, `TOO_MANY`, and `UNKNOWN` or `POSSIBLE` where any
    /// field has it.
    pub faults: LineFaults,
    /// Fields that were left out because of a limit.
    pub left_out: u32,
    /// Its block was decoded to its end.
    pub complete: bool,
}

/// What stands where HTTP/1 has the start line: the version.
pub const START: &[u8] = b"HTTP/2\r\n";

impl List {
    /// Empties it; room for an ordinary list is kept.
    pub fn begin(&mut self) {
        self.text.clear();
        self.fields.clear();
        self.faults = LineFaults::NONE;
        self.left_out = 0;
        self.complete = false;
        self.text.extend_from_slice(START);
    }

    /// The bytes of a range; empty where it is not inside the text.
    pub fn bytes(&self, range: &Range<u32>) -> &[u8] {
        self.text.get(range.start as usize..range.end as usize).unwrap_or_default()
    }

    /// The first field with this name, which is in lower case.
    pub fn find(&self, name: &[u8]) -> Option<&Field> {
        self.fields.iter().find(|f| self.bytes(&f.name) == name)
    }

    /// The value of the first field with this name.
    pub fn value(&self, name: &[u8]) -> Option<&[u8]> {
        self.find(name).map(|f| self.bytes(&f.value))
    }

    /// Adds a field whose name and value the functions append, `length` bytes of them together. `false`: there
    /// is no room for it, nor for those that follow.
    pub(super) fn add(
        &mut self,
        length: usize,
        faults: LineFaults,
        name: impl FnOnce(&mut Vec<u8>),
        value: impl FnOnce(&mut Vec<u8>),
    ) -> bool {
        const SEPARATORS: usize = 4;
        let over = LineFaults(LineFaults::TOO_LARGE.0 | LineFaults::TOO_MANY.0);
        if self.fields.len() >= limits::HEAD_FIELDS {
            self.faults.add(LineFaults::TOO_MANY);
        } else if self.text.len().saturating_add(length) + SEPARATORS > limits::HPACK_LIST_BYTES {
            self.faults.add(LineFaults::TOO_LARGE);
        }
        if self.faults.has(over) {
            self.left_out = self.left_out.saturating_add(1);
            return false;
        }
        let at = |text: &Vec<u8>| u32::try_from(text.len()).unwrap_or(u32::MAX);
        let start = at(&self.text);
        name(&mut self.text);
        let name = start..at(&self.text);
        self.text.extend_from_slice(b": ");
        let start = at(&self.text);
        value(&mut self.text);
        let value = start..at(&self.text);
        self.text.extend_from_slice(b"\r\n");
        self.fields.push(Field { name, value, faults, mark: Mark::default() });
        self.faults.add(LineFaults(faults.0 & SPREADS.0));
        true
    }
}

/// Faults of a field that its list has too.
const SPREADS: LineFaults = LineFaults(LineFaults::UNKNOWN.0 | LineFaults::POSSIBLE.0 | LineFaults::BAD_CODING.0);
