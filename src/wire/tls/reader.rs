//! Takes vectors with their lengths in front (RFC 8446 §3.4) off the front of bytes.

/// What is left to read.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    /// The next `n` bytes. `None`: fewer are left, and none was taken.
    pub fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(taken)
    }

    pub fn u8(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    pub fn u16(&mut self) -> Option<u16> {
        let (two, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u16::from_be_bytes(*two))
    }

    /// A vector whose length stands before it in one byte.
    pub fn vec8(&mut self) -> Option<&'a [u8]> {
        let mut ahead = *self;
        let n = ahead.u8()?;
        let taken = ahead.take(usize::from(n))?;
        *self = ahead;
        Some(taken)
    }

    /// A vector whose length stands before it in two bytes.
    pub fn vec16(&mut self) -> Option<&'a [u8]> {
        let mut ahead = *self;
        let n = ahead.u16()?;
        let taken = ahead.take(usize::from(n))?;
        *self = ahead;
        Some(taken)
    }

    /// As [`Reader::vec16`]; where the length says more than is there, all that is there.
    pub fn vec16_cut(&mut self) -> Option<&'a [u8]> {
        let n = usize::from(self.u16()?).min(self.0.len());
        self.take(n)
    }
}

#[cfg(test)]
mod tests {
    use super::Reader;

    #[test]
    fn a_vector_that_is_cut_is_not_taken() {
        let mut r = Reader(&[0, 3, 1, 2]);
        assert_eq!(r.vec16(), None);
        assert_eq!(r.0.len(), 4);
        assert_eq!(r.vec16_cut(), Some(&[1, 2][..]));
        assert_eq!((r.u8(), r.u16(), r.vec8()), (None, None, None));
    }
}
