//! Targets of libraries that ask for a WebSocket and poll where they get none: engine.io, SignalR, SockJS.

/// How libraries name their transports in the query.
const QUERY: [&[u8]; 4] =
    [b"transport=polling", b"transport=longpolling", b"transport=serversentevents", b"transport=foreverframe"];

/// The last segment of SockJS's paths, `PREFIX/SERVER/SESSION/TRANSPORT`.
pub const SOCKJS: [&[u8]; 6] = [b"xhr", b"xhr_send", b"xhr_streaming", b"eventsource", b"htmlfile", b"jsonp"];

/// Whether a request for this target polls.
pub fn is_poll(target: &[u8]) -> bool {
    let (path, query) = split(target);
    let lower = query.to_ascii_lowercase();
    lower.split(|&b| b == b'&').any(|pair| QUERY.contains(&pair))
        || sockjs(path).is_some_and(|(_, transport)| SOCKJS.contains(&transport))
}

/// Whether it may poll: near enough to keep it, and quick.
pub fn may_poll(target: &[u8]) -> bool {
    memchr::memmem::find(target, b"transport=").is_some() && is_poll(target)
}

/// The session that a request of engine.io goes on with: `sid` of its query. `None`: it opens one, or is of another
/// library.
pub fn session(target: &[u8]) -> Option<&[u8]> {
    let (_, query) = split(target);
    query.split(|&b| b == b'&').find_map(|pair| pair.strip_prefix(b"sid=")).filter(|id| !id.is_empty())
}

/// What all transports of one client's application have in common.
pub fn base(target: &[u8]) -> &[u8] {
    let (path, _) = split(target);
    match sockjs(path) {
        Some((prefix, transport)) if transport == b"websocket" || SOCKJS.contains(&transport) => prefix,
        _ => path,
    }
}

/// The prefix and the transport.
fn sockjs(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut parts = path.rsplitn(4, |&b| b == b'/');
    let (transport, _session, _server) = (parts.next()?, parts.next()?, parts.next()?);
    Some((parts.next()?, transport))
}

fn split(target: &[u8]) -> (&[u8], &[u8]) {
    match target.iter().position(|&b| b == b'?') {
        Some(at) => (target.get(..at).unwrap_or_default(), target.get(at + 1..).unwrap_or_default()),
        None => (target, &[]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_transports_of_an_application_have_one_base() {
        assert_eq!(base(b"/socket.io/?transport=websocket"), base(b"/socket.io/?transport=polling"));
        assert_eq!(base(b"/a/echo/1/x/websocket"), b"/a/echo");
        assert_eq!(base(b"/a/echo/1/y/xhr"), b"/a/echo");
        assert_eq!(base(b"/a/b/c/chat"), b"/a/b/c/chat");
        assert!(is_poll(b"/s?x=1&transport=longPolling") && is_poll(b"/echo/1/y/xhr"));
        assert!(may_poll(b"/s/?EIO=4&transport=polling&sid=x") && !may_poll(b"/s/?EIO=4&transport=websocket&sid=x"));
        assert_eq!(session(b"/s/?EIO=4&transport=polling&sid=x"), Some(&b"x"[..]));
        assert_eq!((session(b"/s/?sid=&xsid=1"), session(b"/sid=1")), (None, None));
        assert!(!is_poll(b"/s?transport=websocket") && !is_poll(b"/xhr") && !is_poll(b"") && !is_poll(b"?"));
    }
}
