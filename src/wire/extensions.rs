//! The grammar of `Sec-WebSocket-Extensions` (RFC 6455 §9.1) and the parameters of
//! permessage-deflate (RFC 7692 §7.1).

use crate::model::Deflate;
use crate::model::head::{split_list, trim};

/// One extension with its parameters, in wire order. Quotes are taken off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension {
    pub name: Vec<u8>,
    /// Name and, where there is one, value.
    pub params: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl Extension {
    /// Whether it is permessage-deflate.
    pub fn is_deflate(&self) -> bool {
        self.name.eq_ignore_ascii_case(b"permessage-deflate")
    }

    /// `None` where the parameter is absent, `Some(None)` where it has no value.
    fn param(&self, name: &[u8]) -> Option<Option<&[u8]>> {
        self.params.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_deref())
    }
}

/// Reads a whole list. `Err` says in words what does not follow the grammar.
pub fn parse(list: &[u8]) -> Result<Vec<Extension>, &'static str> {
    split_list(list).iter().map(|member| parse_one(member)).collect()
}

fn parse_one(member: &[u8]) -> Result<Extension, &'static str> {
    let mut parts = split_params(member).into_iter();
    let name = parts.next().unwrap_or_default().to_vec();
    if !is_token(&name) {
        return Err("an extension name is no token");
    }
    let params = parts.map(parse_param).collect::<Result<_, _>>()?;
    Ok(Extension { name, params })
}

fn parse_param(part: &[u8]) -> Result<(Vec<u8>, Option<Vec<u8>>), &'static str> {
    let (name, value) = match part.iter().position(|&b| b == b'=') {
        Some(at) => (trim(&part[..at]), Some(trim(&part[at + 1..]))),
        None => (trim(part), None),
    };
    if !is_token(name) {
        return Err("a parameter name is no token");
    }
    let value = match value {
        Some([b'"', inner @ .., b'"']) => {
            let plain: Vec<u8> = unescape(inner);
            // RFC 6455 §9.1: what is in the quotes must be a token too.
            if !is_token(&plain) {
                return Err("a quoted parameter value is no token");
            }
            Some(plain)
        }
        Some(plain) if is_token(plain) => Some(plain.to_vec()),
        Some(_) => return Err("a parameter value is no token"),
        None => None,
    };
    Ok((name.to_vec(), value))
}

/// Splits at semicolons outside quotes; trims.
fn split_params(member: &[u8]) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    let (mut from, mut quoted, mut escaped) = (0, false, false);
    for (i, &b) in member.iter().enumerate() {
        match b {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b';' if !quoted => {
                parts.push(trim(&member[from..i]));
                from = i + 1;
            }
            _ => {}
        }
    }
    parts.push(trim(&member[from..]));
    parts
}

fn unescape(quoted: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(quoted.len());
    let mut bytes = quoted.iter();
    while let Some(&b) = bytes.next() {
        match b {
            b'\\' => out.extend(bytes.next()),
            _ => out.push(b),
        }
    }
    out
}

/// RFC 9110 §5.6.2.
fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b))
}

/// What makes this permessage-deflate answer wrong by itself (RFC 7692 §7.1), in words.
pub fn bad_deflate_answer(answer: &Extension) -> Option<String> {
    for (i, (name, value)) in answer.params.iter().enumerate() {
        let lower = name.to_ascii_lowercase();
        let shown = String::from_utf8_lossy(&lower).into_owned();
        if answer.params[..i].iter().any(|(n, _)| n.eq_ignore_ascii_case(name)) {
            return Some(format!("{shown} is given twice"));
        }
        match lower.as_slice() {
            b"client_no_context_takeover" | b"server_no_context_takeover" if value.is_some() => {
                return Some(format!("{shown} takes no value"));
            }
            b"client_no_context_takeover" | b"server_no_context_takeover" => {}
            b"client_max_window_bits" | b"server_max_window_bits" => match value.as_deref().map(window_bits) {
                Some(Some(_)) => {}
                Some(None) => return Some(format!("{shown} is not a number from 8 to 15")),
                None => return Some(format!("{shown} has no value")),
            },
            _ => return Some(format!("the parameter {shown} is unknown")),
        }
    }
    None
}

/// Why this answer does not fit this offer (RFC 7692 §7.1.1, §7.1.2), in words.
pub fn unfit_deflate_answer(offer: &Extension, answer: &Extension) -> Option<String> {
    let bits = |e: &Extension, name: &[u8]| e.param(name).flatten().and_then(window_bits);
    if answer.param(b"client_max_window_bits").is_some() && offer.param(b"client_max_window_bits").is_none() {
        return Some("client_max_window_bits was not offered".to_owned());
    }
    if offer.param(b"server_no_context_takeover").is_some() && answer.param(b"server_no_context_takeover").is_none() {
        return Some("the client required server_no_context_takeover and the server did not agree".to_owned());
    }
    for name in [&b"server_max_window_bits"[..], b"client_max_window_bits"] {
        let shown = String::from_utf8_lossy(name);
        match (bits(offer, name), bits(answer, name)) {
            (Some(most), Some(found)) if found > most => {
                return Some(format!("{shown} is {found}, more than the offered {most}"));
            }
            (Some(_), None) if name.starts_with(b"server") => {
                return Some(format!("the client required {shown} and the server did not agree"));
            }
            _ => {}
        }
    }
    None
}

/// permessage-deflate as a 101 agrees on it. `None`: it does not, or not in a way that can be followed.
pub fn agreed(answer: &[u8]) -> Option<Deflate> {
    let answer = parse(answer).ok()?;
    let deflate = answer.iter().find(|extension| extension.is_deflate())?;
    let bits = |name: &[u8]| deflate.param(name).flatten().and_then(window_bits).unwrap_or(15);
    Some(Deflate {
        client_bits: bits(b"client_max_window_bits"),
        server_bits: bits(b"server_max_window_bits"),
        client_no_context_takeover: deflate.param(b"client_no_context_takeover").is_some(),
        server_no_context_takeover: deflate.param(b"server_no_context_takeover").is_some(),
    })
}

/// 8 to 15 without leading zeros (RFC 7692 §7.1.2).
fn window_bits(value: &[u8]) -> Option<u8> {
    match value {
        [d @ b'8'..=b'9'] => Some(d - b'0'),
        [b'1', d @ b'0'..=b'5'] => Some(10 + d - b'0'),
        _ => None,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn one(text: &str) -> Extension {
        parse(text.as_bytes()).unwrap().remove(0)
    }

    #[test]
    fn parameters_and_quoted_values_are_read() {
        let found = one("permessage-deflate; client_max_window_bits ; server_max_window_bits=\"1\\0\"");
        assert!(found.is_deflate());
        assert_eq!(found.param(b"client_max_window_bits"), Some(None));
        assert_eq!(found.param(b"Server_max_window_bits"), Some(Some(&b"10"[..])));
        assert_eq!(parse(b"a; x=\"b,c\"").err(), Some("a quoted parameter value is no token"));
        assert_eq!(parse(b"a;, b").err(), Some("a parameter name is no token"));
        assert_eq!(parse(b"").unwrap(), []);
    }

    #[test]
    fn deflate_parameters_have_their_values() {
        for (answer, good) in [
            ("permessage-deflate", true),
            ("permessage-deflate; server_max_window_bits=8; client_no_context_takeover", true),
            ("permessage-deflate; server_max_window_bits=7", false),
            ("permessage-deflate; server_max_window_bits=016", false),
            ("permessage-deflate; server_max_window_bits", false),
            ("permessage-deflate; server_no_context_takeover=1", false),
            ("permessage-deflate; server_no_context_takeover; Server_No_Context_Takeover", false),
            ("permessage-deflate; level=9", false),
        ] {
            assert_eq!(bad_deflate_answer(&one(answer)).is_none(), good, "{answer}");
        }
    }

    #[test]
    fn what_a_101_agrees_on_is_read() {
        let found = agreed(b"x-other, permessage-deflate; server_max_window_bits=10; client_no_context_takeover");
        let whole = Deflate {
            client_bits: 15,
            server_bits: 10,
            client_no_context_takeover: true,
            server_no_context_takeover: false,
        };
        assert_eq!(found, Some(whole));
        assert_eq!(agreed(b"x-webkit-deflate-frame"), None);
    }

    #[test]
    fn an_answer_fits_its_offer_or_not() {
        for (offer, answer, fits) in [
            ("x; client_max_window_bits", "x; client_max_window_bits=12", true),
            ("x", "x; client_max_window_bits=12", false),
            ("x", "x; server_max_window_bits=12", true),
            ("x; server_max_window_bits=10", "x; server_max_window_bits=10", true),
            ("x; server_max_window_bits=10", "x; server_max_window_bits=11", false),
            ("x; server_max_window_bits=10", "x", false),
            ("x; client_max_window_bits=10", "x", true),
            ("x; server_no_context_takeover", "x", false),
        ] {
            assert_eq!(unfit_deflate_answer(&one(offer), &one(answer)).is_none(), fits, "{offer} / {answer}");
        }
    }
}
