//! What XML and HTML read as markup.

/// What stands for a character that could begin or end markup, in text and in quoted attributes alike. `None`: it means
/// nothing to either (XML 1.0 §2.4, HTML §13.1.2).
pub(crate) fn entity(c: char) -> Option<&'static str> {
    Some(match c {
        '&' => "&amp;",
        '<' => "&lt;",
        '>' => "&gt;",
        '"' => "&quot;",
        '\'' => "&#39;",
        _ => return None,
    })
}
