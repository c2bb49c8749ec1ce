//! Field lines of the head that is being read, and those of heads that were read lately: most heads of a site have
//! their fields at the same places, and share the list of them.

use std::sync::Arc;

use crate::model::{Field, Names};

/// To read heads with.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Of the head that was read last.
    pub fields: Vec<Field>,
    /// Lists that were made lately, each at a place that its contents say.
    known: Vec<Option<Arc<[Field]>>>,
}

/// Lists that are remembered.
const LISTS: usize = 64;
/// Fields above which a list is not.
const FIELDS: usize = 64;

impl Scratch {
    /// The list of the fields that were read last out of this text.
    pub(super) fn list(&mut self, text: &[u8]) -> (Names, Arc<[Field]>) {
        let names = Names::of(text, &mut self.fields);
        let fields = self.fields.as_slice();
        if fields.is_empty() || fields.len() > FIELDS {
            return (names, fields.into());
        }
        if self.known.is_empty() {
            self.known.resize(LISTS, None);
        }
        let sum = fields.iter().fold(0_u32, |sum, f| sum.rotate_left(5) ^ f.value.end);
        let Some(place) = self.known.get_mut((sum.wrapping_mul(0x9e37_79b1) >> 26) as usize % LISTS) else {
            return (names, fields.into());
        };
        match place {
            Some(list) if list.len() == fields.len() && list.iter().zip(fields).all(|(a, b)| a.is_same(b)) => {
                (names, Arc::clone(list))
            }
            _ => (names, Arc::clone(place.insert(fields.into()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::http1::{Kind, head, parse};

    #[test]
    fn heads_with_their_fields_at_the_same_places_share_them_and_others_do_not() {
        let mut scratch = Scratch::default();
        let mut read = |text: &str| {
            let parts = parse(Kind::Request, text.as_bytes(), &mut scratch.fields);
            head(text.as_bytes(), parts, &mut scratch)
        };
        let a = read("GET /a HTTP/1.1\r\nHost: one\r\nUpgrade: websocket\r\n\r\n");
        let b = read("GET /b HTTP/1.1\r\nHost: two\r\nUpgrade: websocket\r\n\r\n");
        assert!(Arc::ptr_eq(&a.fields, &b.fields));
        assert_eq!((a.first_value("host"), b.first_value("host")), (Some(&b"one"[..]), Some(&b"two"[..])));
        // Another name at the same place.
        let c = read("GET /c HTTP/1.1\r\nHose: one\r\nUpgrade: websocket\r\n\r\n");
        assert!(!Arc::ptr_eq(&a.fields, &c.fields));
        assert_eq!((c.first_value("host"), c.first_value("hose")), (None, Some(&b"one"[..])));
        let d = read("GET /c HTTP/1.1\r\nHost:  one\r\nUpgrade: websocket\r\n\r\n");
        assert!(!Arc::ptr_eq(&a.fields, &d.fields));
    }
}
