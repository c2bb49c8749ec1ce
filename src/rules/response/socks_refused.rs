//! `socks-refused`.

use crate::model::{Direction, Evidence, FlowFacts, Preview, Severity, SocksAnswer, SocksRefused, Text};
use crate::rules::{Check, Explains, Findings, Rule, Seen};
use crate::wire::socks;

pub(super) static RULE: Rule = Rule {
    id: SOCKS,
    severity: Severity::Error,
    title: "the SOCKS proxy refused the connection",
    about: "The client asked its SOCKS proxy for a connection, and the proxy said no: it wants credentials, its rules \
        do not allow the destination, or it cannot reach it. No request was ever sent. Its answer tells which, though \
        many proxies say \"general failure\" for anything.\n\nWho refused credentials or offers is told as the client's \
        fault, all else as the proxy's.",
    refs: &["RFC 1928 §3", "RFC 1928 §6", "RFC 1929 §2"],
    causes: &[CREDENTIALS, METHOD, RULES, UNREACHABLE],
    fix: None,
    explains: &[Explains::Refused],
    symptom_of: &[],
    check: Check::Flow(check),
};

/// Slug of this rule.
pub(in crate::rules) const SOCKS: &str = "socks-refused";

const CREDENTIALS: &str = "the client's user name or password is wrong, or has expired";
const METHOD: &str = "the proxy wants credentials, and the client offers none, or not in a way that the proxy takes";
const RULES: &str = "the proxy's rules do not allow this client, host or port";
const UNREACHABLE: &str = "the proxy cannot reach the destination: its name, address or port is wrong, it is down, or a \
    firewall stands between";
const REFUSED: &str = "nothing listens at the destination's port, or a firewall refuses";
const GENERAL: &str = "the proxy says no more; its log does: often the destination's name is not known to it, or its rules \
    forbid it";
const UNSUPPORTED: &str =
    "the proxy does not know this kind of request or address: of another version of SOCKS perhaps";
const IDENT: &str = "the proxy wants to know the client's user by identd, and got no answer, or another name";

/// Whose the fault most likely is: that of the client, or of the proxy. `None`: nothing was refused.
pub(in crate::rules) fn at_fault(flow: &FlowFacts) -> Option<Direction> {
    Some(match refused(flow)?.how {
        SocksAnswer::NoMethod | SocksAnswer::Credentials(_) => Direction::ClientToServer,
        SocksAnswer::Reply(_) => Direction::ServerToClient,
    })
}

fn refused(flow: &FlowFacts) -> Option<&SocksRefused> {
    flow.said.as_ref()?.socks.as_deref()
}

fn check(flow: &FlowFacts, _: &Seen, out: &mut Findings<'_>) {
    let (Some(refused), Some(said)) = (refused(flow), &flow.said) else { return };
    let text = Text::own(format!("The SOCKS {} proxy {} refused ", refused.version, flow.server));
    let text = match &refused.target {
        Some(target) => text.say("the connection to ").url(target).say(" with "),
        None => text.say(format!("{} with ", flow.client)),
    };
    let (answer, cause) = answer(refused);
    let mut found = out
        .add(text.say(answer.clone()).say("."))
        .cause(cause)
        .expected(Text::own("succeeded"))
        .found(Text::own(answer));
    let directions = [Direction::ClientToServer, Direction::ServerToClient];
    for (message, direction) in said.first.iter().zip(directions) {
        if let Some(Preview { at, .. }) = message {
            found = found.evidence(Evidence { at: *at, direction: Some(direction), bytes: None });
        }
    }
}

/// What a refusal says, and what it most likely comes of.
fn answer(refused: &SocksRefused) -> (String, &'static str) {
    match refused.how {
        SocksAnswer::NoMethod => ("\"no acceptable methods\" (0xff)".to_owned(), METHOD),
        SocksAnswer::Credentials(status) => (format!("\"authentication failed\" (status {status})"), CREDENTIALS),
        SocksAnswer::Reply(code) if refused.version == 4 => {
            let cause = if matches!(code, 0x5c | 0x5d) { IDENT } else { GENERAL };
            (format!("\"{}\" (code {code})", socks::reply_4_name(code)), cause)
        }
        SocksAnswer::Reply(code) => {
            let cause = match code {
                2 => RULES,
                3 | 4 | 6 => UNREACHABLE,
                5 => REFUSED,
                7 | 8 => UNSUPPORTED,
                _ => GENERAL,
            };
            (format!("\"{}\" (reply {code})", socks::reply_name(code)), cause)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{PacketRef, Timestamp};
    use crate::model::{ConnectState, Said};
    use crate::rules::testing::{flow, run_flow, words};

    fn told(version: u8, target: Option<&[u8]>, how: SocksAnswer) -> FlowFacts {
        let first = [3, 4].map(|n| {
            Some(Preview { bytes: Box::default(), at: PacketRef::new(0, n), ts: Timestamp::default(), offset: 0 })
        });
        let socks = Some(Box::new(SocksRefused { version, target: target.map(Into::into), how }));
        FlowFacts {
            said: Some(Box::new(Said { first, socks, ..Said::default() })),
            ..flow(ConnectState::Established, 1)
        }
    }

    #[test]
    fn a_reply_tells_its_reason_and_destination() {
        let flow = told(5, Some(b"chat.example:9090"), SocksAnswer::Reply(2));
        let found = run_flow(&RULE, &flow);
        let message = words(&found[0].message);
        assert!(
            message.ends_with(
                "refused the connection to chat.example:9090 with \"connection not allowed by \
                                   ruleset\" (reply 2)."
            ),
            "{message}"
        );
        assert_eq!((found[0].evidence.len(), &*found[0].causes), (2, &[RULES.into()][..]));
        assert_eq!(at_fault(&flow), Some(Direction::ServerToClient));
    }

    #[test]
    fn refused_credentials_are_the_clients() {
        for how in [SocksAnswer::NoMethod, SocksAnswer::Credentials(1)] {
            let flow = told(5, None, how);
            assert_eq!((run_flow(&RULE, &flow).len(), at_fault(&flow)), (1, Some(Direction::ClientToServer)));
        }
    }

    #[test]
    fn socks_4_has_codes_of_its_own() {
        let found = run_flow(&RULE, &told(4, Some(b"192.0.2.1:80"), SocksAnswer::Reply(0x5c)));
        assert_eq!(&*found[0].causes, [IDENT]);
    }

    #[test]
    fn other_connections_are_not() {
        assert!(run_flow(&RULE, &flow(ConnectState::Established, 1)).is_empty());
    }
}
