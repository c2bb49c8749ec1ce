//! The one function through which captured bytes reach a screen or a report.

/// Appends `bytes` to `out` as text that cannot move a cursor, hide, reorder or join with its
/// surroundings: UTF-8 is kept, a backslash is doubled, bytes that are not UTF-8 become `\xNN`, and
/// control, bidirectional, zero-width and other invisible characters become `\u{NNNN}` (ASCII
/// controls `\xNN`).
pub fn escape_into(out: &mut String, bytes: &[u8]) {
    use std::fmt::Write as _;
    // Nearly all there is. Without an early end the loop looks at many bytes at once.
    let plain = bytes.iter().fold(true, |plain, &b| plain & (b' '..=b'~').contains(&b) & (b != b'\\'));
    if plain && let Ok(text) = str::from_utf8(bytes) {
        out.push_str(text);
        return;
    }
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => out.push_str("\\\\"),
                '\0'..='\x1f' | '\x7f' => {
                    let _ = write!(out, "\\x{:02x}", u32::from(c));
                }
                c if is_unsafe(c) => {
                    let _ = write!(out, "\\u{{{:04x}}}", u32::from(c));
                }
                c => out.push(c),
            }
        }
        for b in chunk.invalid() {
            let _ = write!(out, "\\x{b:02x}");
        }
    }
}

/// `bytes` as safe text; see [`escape_into`].
pub fn escape(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    escape_into(&mut out, bytes);
    out
}

/// Characters that a terminal or a browser may act on, or that nobody can see.
fn is_unsafe(c: char) -> bool {
    matches!(c,
        '\u{80}'..='\u{9f}'          // C1 controls
        | '\u{ad}'                   // soft hyphen
        | '\u{34f}' | '\u{61c}'
        | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}'    // zero width, direction marks
        | '\u{2028}'..='\u{202e}'    // line separators, bidirectional embeddings
        | '\u{2060}'..='\u{206f}'
        | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}'  // tags, variation selectors
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_stays_as_it_is() {
        assert_eq!(escape("GET /päth?x=1".as_bytes()), "GET /päth?x=1");
    }

    #[test]
    fn controls_bidi_and_bad_utf8_are_spelt_out() {
        assert_eq!(escape(b"a\x1b[31m\r\n\\\xff"), "a\\x1b[31m\\x0d\\x0a\\\\\\xff");
        assert_eq!(escape("\u{202e}x\u{200b}".as_bytes()), "\\u{202e}x\\u{200b}");
    }
}
