//! `client-closed-tcp-first`.

use super::support::{FROM_CLIENT, FROM_SERVER, last_packet, sent_close, tunnel};
use crate::model::{EndHow, Exchange, Severity, Text};
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "client-closed-tcp-first",
    severity: Severity::Info,
    title: "the client closed the TCP connection, which is the server's part",
    about: "Both sides sent a Close frame, and then the client closed the TCP connection first. The server should: whoever \
        closes first keeps the connection's ports in TIME-WAIT. It does no harm but on clients with very many \
        connections.",
    refs: &["RFC 6455 §7.1.1"],
    causes: &["the client's library does not wait", "the server waits too long"],
    fix: None,
    explains: &[],
    symptom_of: &[],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    let both = sent_close(x, FROM_CLIENT) && sent_close(x, FROM_SERVER);
    if tunnel(x).is_none() || !both || x.end.tcp_how != EndHow::Fin || x.end.tcp_by != Some(FROM_CLIENT) {
        return;
    }
    let found = out
        .add(Text::own("The client closed the TCP connection first after the Close frames."))
        .expected(Text::own("FIN from the server"))
        .found(Text::own("FIN from the client"));
    // The packet of the end is that of the Close frame here.
    if let Some(packet) = last_packet(x, FROM_CLIENT).filter(|_| x.end.how == EndHow::Fin) {
        found.evidence(packet);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::ends::testing::*;

    #[test]
    fn a_client_that_closes_first_is_noted_and_a_server_is_not() {
        let mut x = goodbye(1000);
        assert!(!fires(&RULE, &x));
        x.end.tcp_by = Some(CLIENT);
        assert!(fires(&RULE, &x));
        x.ws.iter_mut().for_each(|ws| ws.client.close = 0);
        assert!(!fires(&RULE, &x));
    }
}
