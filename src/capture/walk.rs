//! What the walkers of all formats share: what they are given, and why they stop.

/// A walker's view of the read buffer. `at` and `next_no` move on with what it reads.
pub(super) struct Unread<'a> {
    /// Everything in memory; record offsets count from its start.
    pub(super) window: &'a [u8],
    /// First unread byte.
    pub(super) at: usize,
    /// No byte follows the window.
    pub(super) ended: bool,
    /// Number that the next packet gets, 1-based.
    pub(super) next_no: u64,
}

/// Why a walker went no further.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The batch is full.
    Full,
    /// The next record is not whole in memory: at least `need` unread bytes are wanted. `known`: it
    /// is the length of the record itself.
    More { need: usize, known: bool },
    /// The next record is faulty. `skip`: its length, where that is beyond doubt; `None`: search for
    /// the next plausible record.
    Fault { why: String, skip: Option<usize> },
}

/// Result of a search for a plausible record behind damage.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Search {
    /// It begins here in the bytes given.
    Found(usize),
    /// None begins before `from`; `need` bytes from there decide on.
    More { from: usize, need: usize },
}

/// A number of four bytes in the byte order of the file.
#[inline(always)]
pub(super) fn u32_of(big: bool, bytes: [u8; 4]) -> u32 {
    if big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
}

/// The first four of `bytes` from `at` on as a number.
#[inline(always)]
pub(super) fn u32_at(big: bool, bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk::<4>().map(|b| u32_of(big, *b))
}

/// The first two of `bytes` from `at` on as a number.
#[inline(always)]
pub(super) fn u16_at(big: bool, bytes: &[u8], at: usize) -> Option<u16> {
    let two = *bytes.get(at..)?.first_chunk::<2>()?;
    Some(if big { u16::from_be_bytes(two) } else { u16::from_le_bytes(two) })
}

/// A length of the file as an index; never cut, since every target has at least 32 bits.
#[inline(always)]
pub(super) fn index(length: u32) -> usize {
    length as usize
}

/// A place in the window as a record keeps it; the window is far below 4 GiB.
#[inline(always)]
pub(super) fn offset(at: usize) -> u32 {
    debug_assert!(u32::try_from(at).is_ok());
    #[expect(clippy::cast_possible_truncation, reason = "limits::RECORD_BYTES bounds the window far below 4 GiB")]
    let at = at as u32;
    at
}
