//! What the rules of this folder share: where a fault stands, how it is told, and what the other side made of it.

use crate::base::Nanos;
use crate::model::{
    Direction, EndHow, Evidence, Exchange, FaultClass, FrameFault, FrameFaultKind, SentClose, Talk, Text,
};
use crate::rules::Findings;
use crate::rules::rule::Builder;

/// Who sent it.
pub(super) const BOTH: [Direction; 2] = [Direction::ClientToServer, Direction::ServerToClient];

/// What follows a fault by more than this is not taken for the answer to it.
const REACTION: Nanos = Nanos::from_secs(5);

/// Faults beside which broken headers are mere symptoms: what was read as frames is none, or lacks its beginning.
pub(super) const NO_FRAMES: &[&str] = &[
    "hop-101-fabricated",
    "hop-first-frames-lost",
    "not-websocket-after-101",
    "res-101-then-http",
    "res-101-then-tls",
];

/// Class of what is mended in the code of whoever sent it; `fix_class` of this folder says whether that is the
/// client.
pub(super) const SENDER: Option<FaultClass> = Some(FaultClass::Backend);

/// A fault of one direction, and the exchange it belongs to.
#[derive(Clone, Copy)]
pub(super) struct Found<'a> {
    x: &'a Exchange,
    pub from: Direction,
    pub fault: &'a FrameFault,
}

/// What was said, where the frames are those of RFC 6455: the protocol before it had others.
pub(super) fn talk(x: &Exchange) -> Option<&Talk> {
    x.talk.as_deref().filter(|_| !x.request.has_hixie())
}

/// The faults of this kind, one of each side at most.
pub(super) fn each(x: &Exchange, kind: FrameFaultKind) -> impl Iterator<Item = Found<'_>> {
    let of = move |from| talk(x).and_then(|talk| talk.of(from).fault(kind)).map(|fault| Found { x, from, fault });
    BOTH.into_iter().filter_map(of)
}

impl Found<'_> {
    /// Adds the finding: `The client sent a frame … (the first of 3); the server closed with 1002.` `did`: what its
    /// sender did, behind `The client`.
    pub(super) fn tell<'o>(&self, out: &'o mut Findings<'_>, did: &str) -> Builder<'o> {
        let many = match self.fault.count {
            0 | 1 => String::new(),
            count => format!(" (the first of {count})"),
        };
        let text = format!("The {} {did}{many}{}.", self.from.sender(), self.reaction());
        out.add(Text::own(text)).evidence(self.evidence())
    }

    /// Where it stands.
    pub(super) fn evidence(&self) -> Evidence {
        bytes(self.from, self.fault.at, self.fault.offset, self.fault.length)
    }

    /// Whether the other side failed the connection with one of these codes behind it.
    pub(super) fn failed_with(&self, codes: &[u16]) -> bool {
        self.answer().and_then(|close| close.code).is_some_and(|code| codes.contains(&code))
    }

    /// The other side's Close behind the fault.
    fn answer(&self) -> Option<&SentClose> {
        let close = self.x.talk.as_deref()?.of(self.from.other()).close()?;
        (close.ts >= self.fault.ts).then_some(close)
    }

    /// What the other side did about it, behind a semicolon. Empty: nothing that is known to be about it.
    fn reaction(&self) -> String {
        let other = self.from.other().sender();
        if let Some(close) = self.answer() {
            return match close.code {
                // It left as it would have without the fault.
                None | Some(1000 | 1001) => String::new(),
                Some(code) => format!("; the {other} closed with {code}"),
            };
        }
        let end = &self.x.end;
        let cut = end.tcp_by == Some(self.from.other()) && matches!(end.tcp_how, EndHow::Fin | EndHow::Rst);
        let soon = |at: crate::base::Timestamp| (Nanos::ZERO..=REACTION).contains(&at.since(self.fault.ts));
        if cut && end.tcp_at.is_some_and(soon) { format!("; the {other} cut the connection") } else { String::new() }
    }
}

/// Evidence: these bytes of a direction's stream.
pub(super) fn bytes(from: Direction, at: crate::base::PacketRef, offset: u64, length: u32) -> Evidence {
    Evidence { at, direction: Some(from), bytes: Some(offset..offset.saturating_add(length.into())) }
}

/// A number of bytes in words.
pub(super) fn size(bytes: u64) -> String {
    const KIB: u64 = 1 << 10;
    const MIB: u64 = 1 << 20;
    match bytes {
        1 => "1 byte".to_owned(),
        0..KIB => format!("{bytes} bytes"),
        KIB..MIB => format!("{} KiB", bytes / KIB),
        _ => format!("{} MiB", bytes / MIB),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::frames::testing::*;
    use crate::rules::testing::{With as _, words};

    const RULE: &crate::rules::Rule = &crate::rules::frames::opcode_reserved::RULE;
    const KIND: FrameFaultKind = FrameFaultKind::OpcodeReserved;

    fn told(x: &Exchange) -> String {
        found(RULE, x).first().map(|f| words(&f.message)).unwrap_or_default()
    }

    #[test]
    fn the_message_says_how_often_and_what_the_other_side_did() {
        let x = spoken(CLIENT, KIND, 3);
        assert_eq!(told(&x), "The client sent a frame with the reserved opcode 3.");
        let x = spoken(CLIENT, KIND, 3).with(|x| {
            fault_of(x, CLIENT).count = 5;
            close(x, SERVER, Some(1002), 1);
        });
        let all = "The client sent a frame with the reserved opcode 3 (the first of 5); the server closed with 1002.";
        assert_eq!(told(&x), all);
    }

    #[test]
    fn a_close_before_the_fault_a_plain_one_and_ones_own_are_no_reaction() {
        for (from, code, after) in [(SERVER, Some(1002), -1), (SERVER, Some(1000), 1), (SERVER, None, 1)] {
            let x = spoken(CLIENT, KIND, 3).with(|x| close(x, from, code, after));
            assert!(!told(&x).contains(';'), "{code:?} {after}: {}", told(&x));
        }
        assert!(!told(&spoken(CLIENT, KIND, 3).with(|x| close(x, CLIENT, Some(1002), 1))).contains(';'));
    }

    #[test]
    fn a_connection_that_is_cut_soon_behind_it_is_a_reaction() {
        let cut = |by, seconds| {
            told(&spoken(SERVER, KIND, 3).with(|x| {
                x.end.tcp_by = Some(by);
                x.end.tcp_how = EndHow::Rst;
                x.end.tcp_at = Some(later(seconds));
            }))
        };
        assert!(cut(CLIENT, 1).ends_with("; the client cut the connection."));
        assert!(!cut(CLIENT, 6).contains(';') && !cut(SERVER, 1).contains(';'));
    }

    #[test]
    fn the_protocol_before_rfc_6455_has_other_frames() {
        let mut x = crate::rules::testing::exchange(
            &crate::rules::testing::with_line("Sec-WebSocket-Key1: 4 @1  46546xW%0l 1 5"),
            Some(&crate::rules::testing::granted()),
        );
        x.talk = spoken(CLIENT, KIND, 3).talk;
        assert_eq!(told(&x), "");
    }

    #[test]
    fn sizes_are_told_in_words() {
        let all = [1, 126, 2048, 17 << 20].map(size);
        assert_eq!(all, ["1 byte", "126 bytes", "2 KiB", "17 MiB"]);
    }
}
