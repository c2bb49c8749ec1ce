//! The content of an answer, made readable.

/// Content as one line: white space in a row is one space, and of HTML the text alone.
pub(super) fn readable(body: &[u8]) -> Vec<u8> {
    let html = body.trim_ascii_start().starts_with(b"<");
    let mut out = Vec::with_capacity(body.len());
    let mut in_tag = false;
    for &byte in body {
        match byte {
            b'<' if html => in_tag = true,
            b'>' if in_tag => in_tag = false,
            _ if in_tag => continue,
            _ if !byte.is_ascii_whitespace() => {
                out.push(byte);
                continue;
            }
            _ => {}
        }
        if out.last().is_some_and(|last| *last != b' ') {
            out.push(b' ');
        }
    }
    out.truncate(out.trim_ascii_end().len());
    // Nothing but tags: they are all there is to show.
    if out.is_empty() { body.trim_ascii().to_vec() } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_one_line_and_html_its_text() {
        assert_eq!(readable(b" not\r\n\tallowed \n"), b"not allowed");
        assert_eq!(readable(b"<html>\r\n<h1>502 Bad</h1><hr></html>"), b"502 Bad");
        assert_eq!(readable(b"a < b"), b"a < b");
        assert_eq!(readable(b"<br>"), b"<br>");
        assert_eq!(readable(b"<p unfinished"), b"<p unfinished");
        assert_eq!(readable(b""), b"");
    }
}
