//! Proxy-Connection: a client that believes to speak to a proxy.

use crate::model::{Exchange, Severity, Text};
use crate::rules::request::facts::REQUEST;
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "proxy-connection-field",
    severity: Severity::Info,
    title: "the client sent Proxy-Connection",
    about: "`Proxy-Connection` is in no standard; clients send it when they are configured to use a \
        forward proxy. A proxy that passes it on to a server, or a client whose proxy is none, shows in \
        this field.",
    refs: &["RFC 9112 §C.2.2"],
    causes: &["the client is configured to use a forward proxy"],
    fix: None,
    explains: &[],
    symptom_of: &[],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    if !x.is_websocket() {
        return;
    }
    if let Some(value) = x.request.first_value("proxy-connection") {
        out.add(Text::own("The request has a Proxy-Connection field: the client means to speak to a forward proxy."))
            .found(Text::own("Proxy-Connection: ").field(b"Proxy-Connection", value))
            .field(&x.request, "proxy-connection", REQUEST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{exchange, fires, with_line};

    #[test]
    fn the_field_is_told() {
        assert!(fires(&RULE, &exchange(&with_line("Proxy-Connection: keep-alive"), None)));
    }

    #[test]
    fn another_field_is_not() {
        assert!(!fires(&RULE, &exchange(&with_line("Proxy-Authorization: Basic eA=="), None)));
    }
}
