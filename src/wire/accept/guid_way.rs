//! What servers take for the GUID of RFC 6455 §1.3.

use std::borrow::Cow;

use super::GUID;
use super::hash::unhex;

/// Characters of the GUID.
const LEN: usize = GUID.len();

/// A GUID as a server used it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GuidWay {
    /// What is hashed.
    pub(super) bytes: Cow<'static, [u8]>,
    sort: Sort,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Sort {
    Right,
    Absent,
    /// The right one in another dress, in words.
    Dressed(&'static str),
    /// A wrong one that is known, and what is known of it.
    Known(String),
    /// One edit away from the right one, and which.
    Edited(String),
}

impl GuidWay {
    pub(super) fn right() -> Self {
        GuidWay { bytes: Cow::Borrowed(GUID.as_bytes()), sort: Sort::Right }
    }

    pub(super) fn absent() -> Self {
        GuidWay { bytes: Cow::Borrowed(b""), sort: Sort::Absent }
    }

    /// Right, absent, and the right one in other dresses; the likely first.
    pub(super) fn main() -> Vec<GuidWay> {
        let lower = GUID.to_ascii_lowercase();
        let bare: String = GUID.chars().filter(|&c| c != '-').collect();
        let mut all = vec![GuidWay::right(), GuidWay::absent()];
        let mut dressed = |text: String, words| {
            all.push(GuidWay { bytes: Cow::Owned(text.into_bytes()), sort: Sort::Dressed(words) });
        };
        dressed(lower.clone(), "the GUID in lower case");
        dressed(bare.clone(), "the GUID without its dashes");
        dressed(format!("{GUID}\n"), "the GUID with a line feed behind it");
        dressed(format!("{GUID}\0"), "the GUID with the NUL that ends a C string");
        dressed(format!("{{{GUID}}}"), "the GUID in braces");
        dressed(format!("{GUID} "), "the GUID with a space behind it");
        dressed(format!("{GUID}\r\n"), "the GUID with CR LF behind it");
        dressed(format!("\"{GUID}\""), "the GUID in quotes");
        dressed(format!("'{GUID}'"), "the GUID in single quotes");
        dressed(bare.to_ascii_lowercase(), "the GUID in lower case without its dashes");
        dressed(format!("{{{lower}}}"), "the GUID in lower case, in braces");
        if let Some(bytes) = unhex(bare.as_bytes()) {
            // A UUID type of Windows keeps its first three groups little-endian.
            let mut mixed = bytes.clone();
            for (from, len) in [(0, 4), (4, 2), (6, 2)] {
                if let Some(group) = mixed.get_mut(from..from + len) {
                    group.reverse();
                }
            }
            all.push(GuidWay {
                bytes: Cow::Owned(bytes),
                sort: Sort::Dressed("the 16 bytes of the GUID, not its text"),
            });
            all.push(GuidWay {
                bytes: Cow::Owned(mixed),
                sort: Sort::Dressed("the 16 bytes of the GUID as Windows stores them, not its text"),
            });
        }
        all
    }

    /// The known wrong ones, as they are and in lower case.
    pub(super) fn known(wrong_guids: &[(&str, &str)]) -> impl Iterator<Item = GuidWay> {
        let way = |text: String, note: &str| GuidWay {
            bytes: Cow::Owned(text.into_bytes()),
            sort: Sort::Known(note.to_owned()),
        };
        wrong_guids.iter().flat_map(move |(guid, note)| {
            let lower = guid.to_ascii_lowercase();
            let other = (lower != *guid).then(|| way(lower, note));
            std::iter::once(way((*guid).to_owned(), note)).chain(other)
        })
    }

    /// Everything one edit away from the right one: one character left out, two swapped, one replaced
    /// by a hex digit, one hex digit or dash put in, one moved to another place.
    pub(super) fn edits() -> impl Iterator<Item = GuidWay> {
        deletions()
            .chain(swaps(1))
            .chain(substitutions())
            .chain(insertions())
            .chain(moves())
            .chain((2..LEN).flat_map(swaps))
    }

    /// Whether it is RFC 6455's, as it stands there.
    pub(super) fn is_right(&self) -> bool {
        self.sort == Sort::Right
    }

    pub(super) fn is_absent(&self) -> bool {
        self.sort == Sort::Absent
    }

    /// "the GUID", "the wrong GUID … (…)".
    pub(super) fn words(&self) -> Cow<'static, str> {
        let text = String::from_utf8_lossy(&self.bytes);
        match &self.sort {
            Sort::Right => Cow::Borrowed("the GUID"),
            Sort::Absent => Cow::Borrowed("no GUID"),
            Sort::Dressed(words) => Cow::Borrowed(words),
            Sort::Known(note) if note.is_empty() => Cow::Owned(format!("the wrong GUID {text}")),
            Sort::Known(note) => Cow::Owned(format!("the wrong GUID {text} ({note})")),
            Sort::Edited(how) => Cow::Owned(format!("the mistyped GUID {text} ({how})")),
        }
    }
}

fn edited(text: Vec<u8>, how: String) -> GuidWay {
    GuidWay { bytes: Cow::Owned(text), sort: Sort::Edited(how) }
}

fn deletions() -> impl Iterator<Item = GuidWay> {
    GUID.bytes().enumerate().map(|(i, gone)| {
        let mut text = GUID.as_bytes().to_vec();
        text.remove(i);
        edited(text, format!("character {}, {}, is left out", i + 1, char::from(gone)))
    })
}

/// Two characters that stand `apart` change places.
fn swaps(apart: usize) -> impl Iterator<Item = GuidWay> {
    GUID.bytes().zip(GUID.bytes().skip(apart)).enumerate().filter(|(_, (a, b))| a != b).map(move |(i, _)| {
        let mut text = GUID.as_bytes().to_vec();
        text.swap(i, i + apart);
        edited(text, format!("characters {} and {} are swapped", i + 1, i + apart + 1))
    })
}

/// One character stands elsewhere, further than one place away.
fn moves() -> impl Iterator<Item = GuidWay> {
    GUID.bytes().enumerate().flat_map(|(from, c)| {
        (0..LEN).filter(move |to| to.abs_diff(from) > 1).filter_map(move |to| {
            let mut text = GUID.as_bytes().to_vec();
            let moved = text.remove(from);
            text.insert(to, moved);
            // The move of one of several equal neighbours is the move of the next.
            let changed = text != GUID.as_bytes();
            let how = format!("character {}, {}, stands as character {}", from + 1, char::from(c), to + 1);
            changed.then(|| edited(text, how))
        })
    })
}

fn substitutions() -> impl Iterator<Item = GuidWay> {
    GUID.bytes().enumerate().flat_map(|(i, was)| {
        b"0123456789ABCDEF".iter().filter(move |&&c| c != was).map(move |&now| {
            let text = GUID.bytes().enumerate().map(|(j, c)| if i == j { now } else { c }).collect();
            edited(text, format!("character {} is {} instead of {}", i + 1, char::from(now), char::from(was)))
        })
    })
}

fn insertions() -> impl Iterator<Item = GuidWay> {
    (0..=LEN).flat_map(|i| {
        b"0123456789ABCDEF-".iter().map(move |&extra| {
            let mut text = GUID.as_bytes().to_vec();
            text.insert(i, extra);
            edited(text, format!("{} is put in as character {}", char::from(extra), i + 1))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_cover_every_deletion_swap_and_hex_digit() {
        assert_eq!(deletions().count(), 36);
        // Of the 35 pairs of neighbours, `55` and `11` and the like swap to themselves.
        let same = GUID.bytes().zip(GUID.bytes().skip(1)).filter(|(a, b)| a == b).count();
        assert_eq!(swaps(1).count(), 35 - same);
        // 32 hex digits have 15 others, four dashes 16.
        assert_eq!(substitutions().count(), 32 * 15 + 4 * 16);
        assert!(GuidWay::edits().all(|w| *w.bytes != *GUID.as_bytes()));
        let moved = b"258EAFA5-E914-47DA-95CA-5AB0DC85B11C";
        let moved = GuidWay::edits().find(|w| *w.bytes == *moved).map(|w| w.words().into_owned());
        assert!(moved.is_some_and(|w| w.ends_with("(character 25, C, stands as character 36)")));
    }

    #[test]
    fn known_ones_come_in_both_cases() {
        let all: Vec<_> = GuidWay::known(&[("258EAFA5-E914-47DA-95CA-5AB5DC11B735", "generated code")]).collect();
        assert_eq!(all.len(), 2);
        assert!(all.iter().all(|w| w.words().contains("generated code")));
    }
}
