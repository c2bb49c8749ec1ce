//! Where a redirect of a WebSocket request leads (RFC 9110 §10.2.2). Not a rule: reads Location only.

use crate::model::Head;

/// What a Location is, seen from the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Broken,
    Host,
    Login,
    Loop,
    Other,
    Slash,
    ToHttps,
}

/// A URL reference, cut as RFC 3986 §5.2.2 needs it.
struct Reference<'a> {
    scheme: Option<Vec<u8>>,
    authority: Option<&'a [u8]>,
    path: &'a [u8],
    /// With its question mark, without the fragment.
    query: &'a [u8],
}

/// Which kind of redirect this is. The request is taken as sent over plain HTTP unless it came inside TLS, or a proxy
/// says that the client used it (X-Forwarded-Proto).
pub(super) fn kind(request: &Head, inside_tls: bool, location: &[u8]) -> Kind {
    let Some(to) = read(location) else { return meant(request, inside_tls, location) };
    let asked = read_target(request.target());
    let host = asked.authority.or_else(|| request.host()).unwrap_or_default();
    let was_tls = inside_tls
        || request.first_value("x-forwarded-proto").is_some_and(|p| {
            let first = p.split(|&b| b == b',').next().unwrap_or_default().trim_ascii();
            first.eq_ignore_ascii_case(b"https") || first.eq_ignore_ascii_case(b"wss")
        });
    let scheme: &[u8] = if was_tls { b"https" } else { b"http" };
    let new_scheme = to.scheme.as_deref().unwrap_or(scheme);
    let default_port = |s: &[u8]| if s == b"https" { &b":443"[..] } else { b":80" };
    let here = bare(host, default_port(scheme));
    let there = to.authority.map_or_else(|| here.clone(), |a| bare(a, default_port(new_scheme)));
    let same_host = name(&here) == name(&there);
    if is_glued(request, location) {
        return Kind::Broken;
    }
    let (path, asked_path) = (path_of(&to, &asked), or_root(asked.path));
    let same_target = path == asked_path && to.query == asked.query;

    if same_target && here == there && new_scheme == scheme {
        Kind::Loop
    } else if same_target && same_host && new_scheme == b"https" {
        Kind::ToHttps
    } else if same_host && path != asked_path && to.query == asked.query && flat(&path) == flat(&asked_path) {
        Kind::Slash
    } else if is_login(&there, &path, to.query) {
        Kind::Login
    } else if !same_host {
        Kind::Host
    } else {
        Kind::Other
    }
}

/// What a Location means whose scheme is that of WebSocket, as frameworks write it that build it from the request (Starlette,
/// Werkzeug): no client follows it, but why it is sent is told by the rest.
fn meant(request: &Head, inside_tls: bool, location: &[u8]) -> Kind {
    let as_http = |scheme: &[u8], http: &[u8]| {
        let begin = location.trim_ascii().split_at_checked(scheme.len());
        begin.filter(|(begin, _)| begin.eq_ignore_ascii_case(scheme)).map(|(_, rest)| [http, rest].concat())
    };
    let secure = as_http(b"wss:", b"https:");
    let is_secure = secure.is_some();
    match secure.or_else(|| as_http(b"ws:", b"http:")).map(|location| kind(request, inside_tls, &location)) {
        Some(kind @ Kind::Slash) => kind,
        Some(kind @ (Kind::ToHttps | Kind::Loop)) if is_secure => kind,
        _ => Kind::Broken,
    }
}

/// Whether a host is the one that was asked with the first piece of the path behind it: a slash is missing between them.
pub(super) fn is_glued(request: &Head, location: &[u8]) -> bool {
    let here = name(request.host().unwrap_or_default());
    let asked = read_target(request.target()).path;
    let first = asked.strip_prefix(b"/").unwrap_or(asked).split(|&b| b == b'/').next().unwrap_or_default();
    let glued = [here, first].concat();
    // A name that only ends so has the path behind it.
    if read(location).is_some_and(|to| to.path.starts_with(asked)) {
        return false;
    }
    !here.is_empty()
        && !first.is_empty()
        && location_host(location).is_some_and(|there| there.eq_ignore_ascii_case(&glued))
}

/// The request target that a client asks for which follows this Location. `None` where none can.
pub(in crate::rules) fn redirected_to(request: &Head, location: &[u8]) -> Option<Vec<u8>> {
    let to = read(location)?;
    let asked = read_target(request.target());
    Some([path_of(&to, &asked), to.query.to_vec()].concat())
}

/// Whether Location names another port than the one that was asked, as the client writes both.
pub(in crate::rules) fn leads_to_other_port(request: &Head, inside_tls: bool, location: &[u8]) -> bool {
    let Some(Reference { scheme, authority: Some(there), .. }) = read(location) else { return false };
    let own: &[u8] = if inside_tls { b"443" } else { b"80" };
    let default = match scheme.as_deref() {
        Some(b"https") => b"443",
        Some(_) => &b"80"[..],
        None => own,
    };
    port(there).unwrap_or(default) != port(request.host().unwrap_or_default()).unwrap_or(own)
}

/// The host that Location names. `None`: it names none, or no client can follow it.
pub(in crate::rules) fn location_host(location: &[u8]) -> Option<&[u8]> {
    read(location)?.authority.map(name)
}

/// Whether this redirect of a request in clear wants the same over TLS.
pub(in crate::rules) fn wants_tls(request: &Head, location: &[u8]) -> bool {
    let clear = kind(request, false, location);
    clear == Kind::ToHttps || clear == Kind::Loop && location.starts_with(b"https:")
}

fn port(authority: &[u8]) -> Option<&[u8]> {
    let port = authority.get(name(authority).len() + 1..)?;
    (!port.is_empty()).then_some(port)
}

/// The path that a Location leads to; a relative one replaces the last segment (RFC 3986 §5.2.3). Never empty.
fn path_of(to: &Reference<'_>, asked: &Reference<'_>) -> Vec<u8> {
    let path = match to.path {
        b"" if to.authority.is_none() => asked.path.to_vec(),
        p if p.starts_with(b"/") || to.authority.is_some() => p.to_vec(),
        p => {
            let cut = asked.path.iter().rposition(|&b| b == b'/').map_or(0, |at| at + 1);
            [asked.path.get(..cut).unwrap_or_default(), p].concat()
        }
    };
    or_root(&path)
}

fn or_root(path: &[u8]) -> Vec<u8> {
    if path.is_empty() { b"/".to_vec() } else { path.to_vec() }
}

/// `None` where no client can follow it.
fn read(location: &[u8]) -> Option<Reference<'_>> {
    let location = location.trim_ascii();
    if location.is_empty() || location.iter().any(|b| b.is_ascii_whitespace() || b.is_ascii_control()) {
        return None;
    }
    let no_fragment = location.split(|&b| b == b'#').next().unwrap_or_default();
    let (scheme, rest) = match split_scheme(no_fragment) {
        Some((scheme, rest)) => (Some(scheme.to_ascii_lowercase()), rest),
        None => (None, no_fragment),
    };
    // `ws` is no scheme of HTTP; a second scheme behind the first shows as a host with this name.
    if scheme.as_deref().is_some_and(|s| s != b"http" && s != b"https") {
        return None;
    }
    let (authority, rest) = match rest.strip_prefix(b"//") {
        Some(rest) => {
            let end = rest.iter().position(|b| matches!(b, b'/' | b'?')).unwrap_or(rest.len());
            let (authority, rest) = rest.split_at(end);
            let nowhere = authority.is_empty() || authority.starts_with(b":");
            let twice = [&b"http:"[..], b"https:", b"ws:", b"wss:"].iter().any(|s| authority.eq_ignore_ascii_case(s));
            if nowhere || twice {
                return None;
            }
            (Some(authority), rest)
        }
        None if scheme.is_some() => return None,
        None => (None, rest),
    };
    let query_at = rest.iter().position(|&b| b == b'?').unwrap_or(rest.len());
    let (path, query) = rest.split_at(query_at);
    Some(Reference { scheme, authority, path, query })
}

/// A request target (RFC 9112 §3.2): a path with a query, or a whole URL towards a forward proxy. A
/// path may begin with two slashes.
fn read_target(target: &[u8]) -> Reference<'_> {
    let absolute = (!target.starts_with(b"/")).then(|| split_scheme(target)).flatten();
    let (authority, rest) = match absolute.and_then(|(_, rest)| rest.strip_prefix(b"//")) {
        Some(rest) => {
            let end = rest.iter().position(|b| matches!(b, b'/' | b'?')).unwrap_or(rest.len());
            let (authority, rest) = rest.split_at(end);
            (Some(authority), rest)
        }
        None => (None, target),
    };
    let (path, query) = rest.split_at(rest.iter().position(|&b| b == b'?').unwrap_or(rest.len()));
    Reference { scheme: None, authority, path, query }
}

/// RFC 3986 §3.1.
fn split_scheme(url: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = url.iter().position(|&b| b == b':')?;
    let (scheme, rest) = url.split_at(colon);
    let letters = |b: &u8| b.is_ascii_alphanumeric() || b"+-.".contains(b);
    let good = scheme.first().is_some_and(u8::is_ascii_alphabetic) && scheme.iter().all(letters);
    good.then_some((scheme, rest.get(1..).unwrap_or_default()))
}

/// Lower case, without userinfo and the scheme's own port.
fn bare(authority: &[u8], default_port: &[u8]) -> Vec<u8> {
    let at = authority.iter().rposition(|&b| b == b'@').map_or(0, |at| at + 1);
    let host = authority.get(at..).unwrap_or_default().to_ascii_lowercase();
    host.strip_suffix(default_port).map(<[u8]>::to_vec).unwrap_or(host)
}

/// Without the port.
fn name(host: &[u8]) -> &[u8] {
    match host.iter().rposition(|&b| b == b':') {
        Some(colon) if host.get(colon + 1..).is_some_and(|p| p.iter().all(u8::is_ascii_digit)) => &host[..colon],
        _ => host,
    }
}

/// The path with its slashes made alike.
fn flat(path: &[u8]) -> Vec<&[u8]> {
    path.split(|&b| b == b'/').filter(|s| !s.is_empty()).collect()
}

/// Whether this looks like a login page or an identity provider.
fn is_login(host: &[u8], path: &[u8], query: &[u8]) -> bool {
    let has = |text: &[u8], words: &[&str]| {
        let text = text.to_ascii_lowercase();
        words.iter().any(|w| text.windows(w.len()).any(|s| s == w.as_bytes()))
    };
    let first_label = host.split(|&b| b == b'.').next().unwrap_or_default();
    let idp = ["accounts", "auth", "id", "idp", "keycloak", "login", "signin", "sso"];
    idp.iter().any(|l| first_label == l.as_bytes())
        || has(host, &["okta.com", "auth0.com", "microsoftonline.com", "cloudflareaccess.com"])
        || has(path, &["/login", "/signin", "/sign-in", "/sign_in", "/oauth", "/saml", "/sso", "/openid", "/auth/"])
        || path.ends_with(b"/auth")
        || has(
            query,
            &["next=", "returnurl=", "return_to=", "returnto=", "redirect_uri=", "redirect_to=", "samlrequest=", "rd="],
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::response::testing::*;

    fn of(target: &str, more: &str, location: &str) -> Kind {
        let request = ask(more).replace("/chat", target);
        kind(&exchange(&request, None).request, false, location.as_bytes())
    }

    #[test]
    fn who_came_by_tls_is_sent_round_in_a_circle() {
        let request = exchange(&ask(""), None).request;
        assert_eq!(kind(&request, true, b"https://ws.example/chat"), Kind::Loop);
        assert_eq!(kind(&request, false, b"https://ws.example/chat"), Kind::ToHttps);
    }

    #[test]
    fn https_is_the_same_address_over_tls() {
        assert_eq!(of("/chat?x=1", "", "https://WS.example:443/chat?x=1"), Kind::ToHttps);
        assert_eq!(of("/chat", "", "https://ws.example:8443/chat"), Kind::ToHttps);
        assert_eq!(of("/chat", "X-Forwarded-Proto: https\r\n", "https://ws.example/chat"), Kind::Loop);
    }

    #[test]
    fn the_same_address_is_a_loop_however_it_is_written() {
        for same in ["/chat", "http://ws.example:80/chat", "//ws.example/chat", "chat", "/chat#top"] {
            assert_eq!(of("/chat", "", same), Kind::Loop, "{same}");
        }
    }

    #[test]
    fn slashes_are_told_apart_from_other_paths() {
        assert_eq!(of("/chat", "", "/chat/"), Kind::Slash);
        assert_eq!(of("/chat", "", "https://ws.example/chat/"), Kind::Slash);
        assert_eq!(of("//chat", "", "/chat"), Kind::Slash);
        assert_eq!(of("ws://ws.example/chat", "", "/chat/"), Kind::Slash);
        assert_eq!(of("/chat", "", "/chat/v2"), Kind::Other);
        assert_eq!(of("/chat?a", "", "/chat/?b"), Kind::Other);
    }

    #[test]
    fn login_pages_and_other_hosts_are_known() {
        assert_eq!(of("/chat", "", "https://login.corp.example/x"), Kind::Login);
        assert_eq!(of("/chat", "", "/Account/Login?ReturnUrl=%2Fchat"), Kind::Login);
        assert_eq!(of("/chat", "", "https://www.ws.example/chat"), Kind::Host);
        assert_eq!(of("/chat", "", "//eu.ws.example/chat"), Kind::Host);
    }

    #[test]
    fn of_a_location_with_the_scheme_of_websocket_the_rest_tells_what_is_meant() {
        assert_eq!(of("/chat", "", "ws://ws.example/chat/"), Kind::Slash);
        assert_eq!(of("/chat", "", "wss://ws.example/chat"), Kind::ToHttps);
        assert_eq!(of("/chat", "X-Forwarded-Proto: https\r\n", "wss://ws.example/chat"), Kind::Loop);
        assert_eq!(of("/chat", "", "wss://other.example/chat"), Kind::Broken);
    }

    #[test]
    fn what_no_client_can_follow_is_broken() {
        for bad in ["ws://ws.example/chat", "wss://ws.example/", "https://wss://ws.example/", "", "http:///x", "a b"] {
            assert_eq!(of("/chat", "", bad), Kind::Broken, "{bad}");
        }
    }
}
