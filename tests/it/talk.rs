//! What is kept of a WebSocket's talk beside what was said in it, read from the same bytes by a reader of its own
//! (`tests/support/frames.rs`).
#![allow(
    clippy::use_debug,
    clippy::cast_possible_truncation,
    clippy::type_complexity,
    reason = "a failing test prints what it found; its numbers are small"
)]

use hopscope::base::limits;
use hopscope::model::{Exchange, FrameFaultKind, Spoken, WsCounts};

use crate::support::frames::{self, BINARY, CLOSE, FIN, Frame, Inflater, Message, PING, PONG, RSV1, TEXT};
use crate::support::script::{self, Script};

/// Any key: no test of talk asks for another.
pub(crate) const KEY: &str = "q83vASNFZ4mrze8BI0VniQ==";

/// One direction behind the handshake.
#[derive(Debug)]
pub(crate) struct Said {
    pub frames: Vec<Frame>,
    pub messages: Vec<Message>,
    /// Where the first frame begins in the direction's stream.
    pub base: usize,
}

impl Said {
    /// All of `stream` behind its head. `forgets`: no_context_takeover, where compression was agreed on.
    pub(crate) fn of(stream: &[u8], forgets: Option<bool>) -> Said {
        let head = memchr::memmem::find(stream, b"\r\n\r\n").expect("a head");
        Said::behind(head + 4, stream, forgets)
    }

    pub(crate) fn behind(base: usize, stream: &[u8], forgets: Option<bool>) -> Said {
        let frames = frames::frames(&stream[base..]);
        let messages = frames::messages(&frames, forgets.map(Inflater::new));
        Said { frames, messages, base }
    }

    fn with(&self, opcode: u8) -> impl Iterator<Item = &Frame> {
        self.frames.iter().filter(move |frame| frame.opcode() == opcode)
    }

    fn wire(&self, opcode: u8) -> impl Iterator<Item = u64> {
        self.messages.iter().filter(move |m| m.opcode == opcode).map(|m| m.wire as u64)
    }

    /// What is wrong with its headers, and whether compressing gained nothing, by name.
    fn faults(&self, client: bool) -> Vec<String> {
        use FrameFaultKind as Kind;
        let (mut kinds, mut open, mut same, mut last) = (Vec::new(), false, 0, None);
        for frame in &self.frames {
            same = if frame.mask == last { same + 1 } else { 1 };
            last = frame.mask;
            let zero = frame.mask == Some([0; 4]);
            let of_frame = [
                (client && frame.mask.is_none(), Kind::MaskMissing),
                (!client && frame.mask.is_some(), Kind::MaskUnexpected),
                (client && zero, Kind::MaskZero),
                (client && frame.mask.is_some() && !zero && same >= 4, Kind::MaskConstant),
                (matches!(frame.opcode(), 3..=7 | 11..), Kind::OpcodeReserved),
                (frame.is_control() && frame.payload.len() > 125, Kind::ControlTooLong),
                (frame.is_control() && open, Kind::ControlInterleaved),
            ];
            kinds.extend(of_frame.into_iter().filter(|(is, _)| *is).map(|(_, kind)| kind));
            if !frame.is_control() {
                open = frame.first & FIN == 0;
            }
        }
        let compressed = self.messages.iter().filter(|m| m.compressed).take(limits::USELESS_MESSAGES as usize);
        let sizes: Vec<(usize, usize)> = compressed.map(|m| (m.wire, m.content.len())).collect();
        let total = sizes.iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        if sizes.len() == limits::USELESS_MESSAGES as usize && total.0 >= total.1 {
            kinds.push(Kind::DeflateUseless);
        }
        sorted(&kinds)
    }
}

fn sorted(kinds: &[FrameFaultKind]) -> Vec<String> {
    let mut names: Vec<String> = kinds.iter().map(|kind| format!("{kind:?}")).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// An opening handshake that agrees on these extensions; empty: on none.
pub(crate) fn opened(extensions: &str) -> Script {
    let field = match extensions {
        "" => String::new(),
        some => format!("\nSec-WebSocket-Extensions: {some}"),
    };
    let [request, response] = [script::upgrade_request(KEY), script::upgrade_response(KEY)];
    let offer = if extensions.is_empty() {
        ""
    } else {
        "\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"
    };
    Script::flow()
        .head(script::Side::Client, &format!("{request}{offer}"))
        .head(script::Side::Server, &format!("{response}{field}"))
}

/// Everything in which an exchange differs from what client and server said; empty: nothing.
pub(crate) fn differences(x: &Exchange, said: [&Said; 2]) -> Vec<String> {
    let mut wrong = counts(x, said);
    let Some(talk) = &x.talk else {
        wrong.push("there is no talk".to_owned());
        return wrong;
    };
    for (side, spoken, own, other) in
        [("client", &talk.client, said[0], said[1]), ("server", &talk.server, said[1], said[0])]
    {
        let mut told = Told { side, wrong: &mut wrong };
        totals(&mut told, spoken, own);
        messages(&mut told, spoken, own);
        controls(&mut told, spoken, own, other);
        let faults: Vec<FrameFaultKind> = spoken.faults().iter().map(|fault| fault.kind).collect();
        told.same("faults", sorted(&faults), own.faults(side == "client"));
    }
    records(x, said, &mut wrong);
    wrong
}

struct Told<'a> {
    side: &'static str,
    wrong: &'a mut Vec<String>,
}

impl Told<'_> {
    fn same<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, found: T, expected: T) {
        if found != expected {
            self.wrong.push(format!("{}: {what}: {found:?} found, {expected:?} said", self.side));
        }
    }
}

/// What counts frames by direction and opcode.
pub(crate) fn counts(x: &Exchange, said: [&Said; 2]) -> Vec<String> {
    let mut wrong = Vec::new();
    let totals = x.ws.unwrap_or_default();
    for (side, own, found) in [("client", said[0], totals.client), ("server", said[1], totals.server)] {
        let number = |opcode| own.with(opcode).count() as u32;
        let ended = own.frames.iter().filter(|f| !f.is_control() && f.first & FIN != 0).count();
        let expected = WsCounts {
            frames: own.frames.len() as u32,
            messages: ended as u32,
            payload_bytes: own.frames.iter().map(|f| f.payload.len() as u64).sum(),
            text: number(TEXT),
            binary: number(BINARY),
            ping: number(PING),
            pong: number(PONG),
            close: number(CLOSE),
            masked: own.frames.iter().any(|f| f.mask.is_some()),
            unmasked: own.frames.iter().any(|f| f.mask.is_none()),
            broken: false,
            lost: found.lost,
        };
        Told { side, wrong: &mut wrong }.same("counts", found, expected);
    }
    let rsv1 = said.iter().any(|own| own.frames.iter().any(|f| f.first & RSV1 != 0));
    Told { side: "both", wrong: &mut wrong }.same("compressed", totals.compressed, rsv1);
    wrong
}

fn totals(told: &mut Told<'_>, spoken: &Spoken, said: &Said) {
    let largest = |opcode| said.wire(opcode).max().unwrap_or(0) as u32;
    told.same("text bytes", spoken.text_bytes, said.wire(TEXT).sum());
    told.same("binary bytes", spoken.binary_bytes, said.wire(BINARY).sum());
    told.same("largest text", spoken.largest_text, largest(TEXT));
    told.same("largest binary", spoken.largest_binary, largest(BINARY));
    told.same("the last frame's bits", spoken.last.map(|last| last.bits), said.frames.last().map(|f| f.first));
    // The checksum and length of each message, as many whole ones as there is room for.
    let (mut sum, mut covered) = (0_u32, 0);
    for message in &said.messages {
        if covered + message.content.len() > limits::DIGEST_BYTES as usize {
            break;
        }
        covered += message.content.len();
        sum = (sum.rotate_left(5) ^ frames::crc(&message.content)).wrapping_mul(0x9e37_79b1);
        sum ^= message.content.len() as u32;
    }
    let digest = spoken.digest;
    told.same("digest (crc, bytes, broken)", (digest.crc, digest.bytes, digest.broken), (sum, covered as u32, false));
}

fn messages(told: &mut Told<'_>, spoken: &Spoken, said: &Said) {
    let kept = &said.messages[..said.messages.len().min(limits::MESSAGES_KEPT)];
    told.same("messages kept", spoken.messages().len(), kept.len());
    for (n, (found, own)) in spoken.messages().iter().zip(kept).enumerate() {
        told.same(
            &format!("message {n} (opcode, crc, bytes, compressed, whole)"),
            (found.opcode, found.crc, found.bytes, found.compressed, found.whole),
            (own.opcode, frames::crc(&own.content), own.content.len() as u32, own.compressed, true),
        );
        told.same(
            &format!("message {n} (wire bytes, frames, offset, mask)"),
            (found.wire_bytes, found.frames, found.offset, found.mask),
            (own.wire as u32, own.frames.min(255) as u8, (said.base + own.at) as u64, own.mask.unwrap_or_default()),
        );
    }
    let compressed = || said.messages.iter().filter(|m| m.compressed);
    let rare = spoken.rare.as_deref().cloned().unwrap_or_default();
    told.same("inflated messages", rare.inflated_messages, compressed().count() as u32);
    told.same("deflated bytes", rare.deflated_bytes, compressed().map(|m| m.wire as u64).sum());
    told.same("inflated bytes", rare.inflated_bytes, compressed().map(|m| m.content.len() as u64).sum());
    told.same("why not inflated", rare.not_inflated, None);
}

/// Pings with the Pongs of the other side, and the first Close.
fn controls(told: &mut Told<'_>, spoken: &Spoken, said: &Said, other: &Said) {
    let pings: Vec<&Frame> = said.with(PING).collect();
    // The newest Ping that was answered: it answers those before it (RFC 6455 §5.5.3).
    let answered =
        pings.iter().rposition(|ping| other.with(PONG).any(|pong| pong.payload == ping.payload)).map_or(0, |n| n + 1);
    let found = spoken.pings().map(|pings| (pings.period.count, pings.answered, pings.open.len(), pings.open_more));
    let open = pings.len() - answered;
    let kept = open.min(limits::PINGS_OPEN);
    let expected = (pings.len() as u32, answered as u32, kept, (open - kept) as u32);
    told.same("pings (all, answered, open, more)", found, (!pings.is_empty()).then_some(expected));
    let close = spoken.close().map(|close| {
        (close.code, close.reason.to_vec(), close.payload as usize, close.offset as usize, close.length as usize)
    });
    let first = said.with(CLOSE).next().map(|frame| {
        let code = frame.payload.first_chunk().map(|code| u16::from_be_bytes(*code));
        let reason = frame.payload.get(2..).unwrap_or_default().to_vec();
        (code, reason, frame.payload.len(), said.base + frame.at, frame.length)
    });
    told.same("close (code, reason, payload, offset, length)", close, first);
}

/// The frames that are kept to be shown: each is one that was said, and they are the first and the last ones.
fn records(x: &Exchange, said: [&Said; 2], wrong: &mut Vec<String>) {
    let Some(talk) = &x.talk else { return };
    let all = said[0].frames.len() + said[1].frames.len();
    let first = all.min(limits::FRAMES_FIRST);
    let last = (all - first).min(limits::FRAMES_LAST);
    let mut told = Told { side: "both", wrong };
    told.same("records (first, all)", (talk.first_frames, talk.frames.len()), (first, first + last));
    for (index, own) in said.into_iter().enumerate() {
        let side = usize::from(index == 1);
        let of_side = talk.frames.iter().filter(|record| usize::from(record.from != client()) == side);
        for record in of_side {
            let at = (record.offset as usize).wrapping_sub(own.base);
            let found = (record.bits, record.payload as usize, record.masked);
            let same = own.frames.iter().find(|frame| frame.at == at);
            let expected = same.map(|frame| (frame.first, frame.payload.len(), frame.mask.is_some()));
            told.same(&format!("record of side {side} at {at}"), Some(found), expected);
        }
    }
}

fn client() -> hopscope::model::Direction {
    hopscope::model::Direction::ClientToServer
}
