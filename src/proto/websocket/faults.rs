//! What is wrong with a frame's header (RFC 6455 §5), given the ones before it.

use crate::base::limits;
use crate::model::FrameFaultKind as Kind;
use crate::wire::websocket::{CONTINUATION, Header, TEXT};

use super::tunnel::{flag, state};

/// Calls `tell` for each fault, with the number that belongs to it. `client`: who sent it; `of`: the bits of the
/// direction's state before it; `flags`: of the tunnel.
pub(super) fn of_header(h: &Header, client: bool, of: u8, flags: u8, tell: &mut dyn FnMut(Kind, u64)) {
    let mut fault = |is: bool, kind, detail| {
        if is {
            tell(kind, detail);
        }
    };
    let control = h.is_control();
    // What RSV bits mean is an extension's to say.
    let agreed = flags & flag::UNKNOWN_EXTENSION != 0;
    if of & state::CLOSED != 0 {
        // Whatever it is, nobody reads it any more (RFC 6455 §1.4): some servers write an HTTP response there.
        return fault(!control, Kind::DataAfterClose, 0);
    }
    let (in_message, lost) = (of & state::MESSAGE != 0, of & state::LOST != 0);
    let continuation = h.opcode == CONTINUATION;
    fault(client && h.mask.is_none(), Kind::MaskMissing, 0);
    fault(!client && h.mask.is_some(), Kind::MaskUnexpected, 0);
    fault(h.mask == Some([0; 4]) && client, Kind::MaskZero, 0);
    fault(h.rsv & 0b011 != 0 && !agreed, Kind::RsvSet, u64::from(h.rsv));
    if h.rsv1() && !agreed {
        let deflate = flags & flag::DEFLATE != 0;
        fault(control && deflate, Kind::Rsv1OnControl, 0);
        fault(continuation && deflate, Kind::Rsv1OnContinuation, 0);
        fault(!deflate, Kind::Rsv1WithoutExtension, 0);
    }
    fault(matches!(h.opcode, 3..=7 | 0xb..), Kind::OpcodeReserved, u64::from(h.opcode));
    fault(control && h.payload > 125, Kind::ControlTooLong, h.payload);
    fault(control && !h.fin, Kind::ControlFragmented, 0);
    fault(!h.is_minimal(), Kind::LengthNotMinimal, h.payload);
    fault(h.payload > limits::FRAME_HUGE_BYTES, Kind::FrameHuge, h.payload);
    fault(continuation && !in_message && !lost, Kind::ContinuationUnexpected, 0);
    fault(!continuation && h.opcode <= TEXT + 1 && in_message, Kind::ContinuationMissing, 0);
    fault(control && in_message, Kind::ControlInterleaved, 0);
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::wire::websocket::header;

    fn faults(bytes: &[u8], client: bool, of: u8, flags: u8) -> Vec<Kind> {
        let mut padded = bytes.to_vec();
        padded.resize(14, 0);
        let mut found = Vec::new();
        of_header(&header(&padded).unwrap(), client, of, flags, &mut |kind, _| found.push(kind));
        found
    }

    #[test]
    fn each_header_has_its_faults_and_no_others() {
        let (message, lost, closed) = (state::MESSAGE, state::LOST, state::CLOSED);
        let (deflate, unknown) = (flag::DEFLATE, flag::UNKNOWN_EXTENSION);
        let mask = [0x81, 0x80, 1, 2, 3, 4];
        for (bytes, client, of, flags, expected) in [
            (&[0x81, 5][..], false, 0, 0, &[][..]),
            (&mask, true, 0, 0, &[]),
            (&[0x81, 5], true, 0, 0, &[Kind::MaskMissing]),
            (&mask, false, 0, 0, &[Kind::MaskUnexpected]),
            (&[0x81, 0x80], true, 0, 0, &[Kind::MaskZero]),
            (&[0xa1, 5], false, 0, 0, &[Kind::RsvSet]),
            (&[0xa1, 5], false, 0, unknown, &[]),
            (&[0xc1, 5], false, 0, 0, &[Kind::Rsv1WithoutExtension]),
            (&[0xc1, 5], false, 0, deflate, &[]),
            (&[0xc9, 5], false, 0, deflate, &[Kind::Rsv1OnControl]),
            (&[0xc0, 5], false, message, deflate, &[Kind::Rsv1OnContinuation]),
            (&[0x83, 5], false, 0, 0, &[Kind::OpcodeReserved]),
            (&[0x8b, 5], false, 0, 0, &[Kind::OpcodeReserved]),
            (&[0x89, 126, 0, 126], false, 0, 0, &[Kind::ControlTooLong]),
            (&[0x09, 5], false, 0, 0, &[Kind::ControlFragmented]),
            (&[0x81, 126, 0, 125], false, 0, 0, &[Kind::LengthNotMinimal]),
            (&[0x81, 126, 0, 126], false, 0, 0, &[]),
            (&[0x81, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff], false, 0, 0, &[Kind::LengthNotMinimal]),
            (&[0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0], false, 0, 0, &[]),
            (&[0x82, 127, 0, 0, 0, 0, 2, 0, 0, 0], false, 0, 0, &[Kind::FrameHuge]),
            (&[0x80, 5], false, 0, 0, &[Kind::ContinuationUnexpected]),
            (&[0x80, 5], false, message, 0, &[]),
            (&[0x80, 5], false, lost, 0, &[]),
            (&[0x81, 5], false, message, 0, &[Kind::ContinuationMissing]),
            (&[0x81, 5], false, lost, 0, &[]),
            (&[0x89, 5], false, message, 0, &[Kind::ControlInterleaved]),
            (&[0x81, 5], false, closed, 0, &[Kind::DataAfterClose]),
            (&[0x88, 5], false, closed, 0, &[]),
            (b"HTTP/1.1 200 OK", false, closed, 0, &[]),
        ] {
            assert_eq!(faults(bytes, client, of, flags), expected, "{bytes:x?}");
        }
    }
}
