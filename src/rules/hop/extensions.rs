//! What two legs agreed on in Sec-WebSocket-Extensions (RFC 6455 §9.1).

use crate::model::Head;
use crate::model::head::trim;

/// The accepted extensions, each with its parameters sorted, so that equal offers are equal: names and
/// parameters in lower case, white space and quotes dropped. The order of extensions counts.
pub(super) fn accepted(head: &Head) -> Vec<Vec<Vec<u8>>> {
    let extension = |member: Vec<u8>| {
        let mut parts = member.split(|&b| b == b';').map(parameter);
        let mut all: Vec<Vec<u8>> = parts.next().into_iter().collect();
        let mut parameters: Vec<Vec<u8>> = parts.filter(|p| !p.is_empty()).collect();
        parameters.sort_unstable();
        all.append(&mut parameters);
        all
    };
    head.members("sec-websocket-extensions").into_iter().map(extension).collect()
}

/// Whether one of them compresses messages, marked by RSV1 (RFC 7692 §6; the older drafts likewise).
pub(super) fn compresses(head: &Head) -> bool {
    accepted(head).iter().filter_map(|e| e.first()).any(|name| memchr::memmem::find(name, b"deflate").is_some())
}

fn parameter(text: &[u8]) -> Vec<u8> {
    let kept = trim(text).iter().filter(|b| !matches!(b, b' ' | b'\t' | b'"'));
    kept.map(u8::to_ascii_lowercase).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use super::*;
    use crate::rules::testing::{GOOD, exchange, granted};

    fn head(extensions: &str) -> Head {
        let lines = format!("\r\nSec-WebSocket-Extensions: {extensions}\r\n\r\n");
        exchange(GOOD, Some(&granted().replace("\r\n\r\n", &lines))).response.unwrap()
    }

    #[test]
    fn spacing_letter_case_and_the_order_of_parameters_count_nothing() {
        let one = head("permessage-deflate; client_max_window_bits=12 ;server_no_context_takeover");
        let two = head("Permessage-Deflate;server_no_context_takeover; client_max_window_bits=\"12\"");
        assert_eq!(accepted(&one), accepted(&two));
        assert_ne!(accepted(&one), accepted(&head("permessage-deflate")));
        assert!(compresses(&one) && compresses(&head("x-webkit-deflate-frame")) && !compresses(&head("foo")));
    }
}
