//! Patterns of field values: `*` and `|`, no more. Linear in the value for every star.

use memchr::memmem;

/// Longest version that is believed, in bytes.
const VERSION_BYTES: usize = 32;

/// Whether `value` is of the form `pattern`: `*` stands for any bytes, `|` parts alternatives.
/// Letter case counts.
pub(super) fn matches(pattern: &str, value: &[u8]) -> bool {
    pattern.split('|').any(|one| matches_one(one.as_bytes(), value))
}

fn matches_one(pattern: &[u8], value: &[u8]) -> bool {
    let mut parts = pattern.split(|&b| b == b'*');
    let Some(mut rest) = parts.next().and_then(|first| value.strip_prefix(first)) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        // The leftmost place is as good as any: what follows a star may begin anywhere behind it.
        let Some(at) = memmem::find(rest, part) else { return false };
        rest = rest.get(at + part.len()..).unwrap_or_default();
    }
    rest.ends_with(last)
}

/// Whether `bytes` begin as these hexadecimal digits say, of which a dot is any.
pub(super) fn begins_hex(digits: &str, bytes: &[u8]) -> bool {
    let said: String = bytes.iter().take(digits.len().div_ceil(2)).map(|b| format!("{b:02x}")).collect();
    said.len() >= digits.len() && digits.bytes().zip(said.bytes()).all(|(d, s)| d == b'.' || d.eq_ignore_ascii_case(&s))
}

/// The version that stands right behind `mark`: begins with a digit and has no character that could
/// do harm. `None` where there is none.
pub(super) fn version_after(mark: &str, value: &[u8]) -> Option<String> {
    let at = memmem::find(value, mark.as_bytes())? + mark.len();
    let version: String = value
        .get(at..)?
        .iter()
        .take(VERSION_BYTES)
        .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'+'))
        .map(|&b| char::from(b))
        .collect();
    version.starts_with(|c: char| c.is_ascii_digit()).then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_anything_and_bars_part_alternatives() {
        assert!(matches("nginx", b"nginx") && !matches("nginx", b"nginx/1.2") && !matches("nginx", b"Nginx"));
        assert!(matches("nginx|nginx/*", b"nginx/1.2") && matches("*", b"") && matches("*a*b", b"xaxb"));
        assert!(!matches("a*a", b"a") && matches("a*a", b"aa") && !matches("*(squid/*)", b"1.1 x (squid/5.7"));
        assert!(matches("*(squid/*)", b"1.1 x (squid/5.7)") && matches("a**b", b"ab"));
    }

    #[test]
    fn a_version_begins_with_a_digit_and_ends_at_the_first_odd_byte() {
        assert_eq!(version_after("nginx/", b"nginx/1.22.1 (Ubuntu)").as_deref(), Some("1.22.1"));
        assert_eq!(version_after("(squid/", b"1.1 h (squid/5.7)").as_deref(), Some("5.7"));
        assert_eq!(version_after("nginx/", b"nginx/\x1b[31m"), None);
        assert_eq!(version_after("nginx/", b"nginx"), None);
        assert_eq!(
            version_after("v", [b'v'].iter().chain([b'1'; 500].iter()).copied().collect::<Vec<u8>>().as_slice())
                .map(|v| v.len()),
            Some(32)
        );
    }
}
