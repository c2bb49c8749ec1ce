//! For the tests of these rules: an upgraded exchange in which something was said.

use crate::base::{Nanos, PacketRef, Timestamp};
use crate::model::{
    Direction, Exchange, Finding, FrameFault, FrameFaultKind, OpenPing, Pings, Rare, SentClose, Spoken, Talk,
};
use crate::rules::Rule;
use crate::rules::testing::{GOOD, exchange, granted, run};

pub(crate) const CLIENT: Direction = Direction::ClientToServer;
pub(crate) const SERVER: Direction = Direction::ServerToClient;

/// Every kind of fault, and the rule that tells it.
pub(super) const KINDS: &[(FrameFaultKind, &str)] = &[
    (FrameFaultKind::MaskMissing, "mask-missing"),
    (FrameFaultKind::MaskUnexpected, "mask-unexpected"),
    (FrameFaultKind::MaskConstant, "mask-constant"),
    (FrameFaultKind::MaskZero, "mask-zero"),
    (FrameFaultKind::RsvSet, "rsv-set"),
    (FrameFaultKind::Rsv1WithoutExtension, "rsv1-without-extension"),
    (FrameFaultKind::Rsv1OnControl, "rsv1-on-control"),
    (FrameFaultKind::Rsv1OnContinuation, "rsv1-on-continuation"),
    (FrameFaultKind::OpcodeReserved, "opcode-reserved"),
    (FrameFaultKind::ControlTooLong, "control-too-long"),
    (FrameFaultKind::ControlFragmented, "control-fragmented"),
    (FrameFaultKind::LengthNotMinimal, "length-not-minimal"),
    (FrameFaultKind::LengthMsb, "length-msb"),
    (FrameFaultKind::FrameHuge, "frame-huge"),
    (FrameFaultKind::ContinuationUnexpected, "continuation-unexpected"),
    (FrameFaultKind::ContinuationMissing, "continuation-missing"),
    (FrameFaultKind::ControlInterleaved, "control-interleaved"),
    (FrameFaultKind::Utf8Invalid, "utf8-invalid"),
    (FrameFaultKind::JsonAsBinary, "text-as-binary-json"),
    (FrameFaultKind::EmptyFragments, "empty-fragment-flood"),
    (FrameFaultKind::DeflateData, "deflate-error"),
    (FrameFaultKind::DeflateWindow, "deflate-error-window"),
    (FrameFaultKind::DeflateContext, "deflate-error-context"),
    (FrameFaultKind::DeflateTruncated, "deflate-error-truncated"),
    (FrameFaultKind::DeflateTrailer, "deflate-error-trailer"),
    (FrameFaultKind::DeflateBomb, "deflate-bomb"),
    (FrameFaultKind::DeflateUseless, "deflate-useless"),
    (FrameFaultKind::DataAfterClose, "data-after-close"),
    (FrameFaultKind::PongMismatch, "pong-mismatch"),
];

/// Whole seconds behind the time at which [`fault`]s come.
pub(in crate::rules) fn later(seconds: i64) -> Timestamp {
    Timestamp::from_parts(1_700_000_010, 0) + Nanos::from_secs(seconds)
}

/// The only one of its kind.
pub(super) fn fault(kind: FrameFaultKind, detail: u64) -> FrameFault {
    FrameFault { kind, at: PacketRef::new(0, 20), ts: later(0), offset: 900, length: 6, detail, count: 1 }
}

/// A granted exchange without a fault.
pub(crate) fn talked() -> Exchange {
    let mut x = exchange(GOOD, Some(&granted()));
    x.talk = Some(Box::default());
    x.times.last = Some(later(60));
    x
}

/// One in which this side committed a fault.
pub(crate) fn spoken(from: Direction, kind: FrameFaultKind, detail: u64) -> Exchange {
    let mut x = talked();
    rare(&mut x, from).faults.push(fault(kind, detail));
    x
}

/// What this side has that few have.
pub(super) fn rare(x: &mut Exchange, from: Direction) -> &mut Rare {
    let talk: &mut Talk = x.talk.get_or_insert_default();
    let spoken: &mut Spoken = match from {
        Direction::ClientToServer => &mut talk.client,
        Direction::ServerToClient => &mut talk.server,
    };
    spoken.rare.get_or_insert_default()
}

/// The first fault of this side.
pub(super) fn fault_of(x: &mut Exchange, from: Direction) -> &mut FrameFault {
    &mut rare(x, from).faults[0]
}

/// This side sends a Close, so many seconds behind the fault.
pub(super) fn close(x: &mut Exchange, from: Direction, code: Option<u16>, seconds: i64) {
    let payload = if code.is_some() { 2 } else { 0 };
    let close = SentClose { ts: later(seconds), code, payload, length: payload + 2, ..SentClose::default() };
    rare(x, from).close = Some(Box::new(close));
}

/// One in which Pings of this side wait that came at these seconds, and two were answered; seen for 60 s.
pub(crate) fn pinged(from: Direction, seconds: &[i64]) -> Exchange {
    let open = |s: &i64| OpenPing { at: PacketRef::new(0, 30), ts: later(*s), offset: 950, length: 6, crc: 0 };
    let open = seconds.iter().map(open).collect();
    let mut x = talked();
    rare(&mut x, from).pings = Some(Box::new(Pings { open, answered: 2, ..Pings::default() }));
    x
}

pub(super) fn found(rule: &'static Rule, x: &Exchange) -> Vec<Finding> {
    run(rule, x)
}
