//! Alerts (RFC 8446 §6).

/// A level of 2 ends the connection; so do all but close_notify in TLS 1.3, whatever they say.
pub const FATAL: u8 = 2;
pub const CLOSE_NOTIFY: u8 = 0;

/// Level and description. `None`: not an alert in clear, which has two bytes.
pub fn read(body: &[u8]) -> Option<(u8, u8)> {
    match *body {
        [level @ 1..=2, description] => Some((level, description)),
        _ => None,
    }
}

/// A description as the registry spells it. `None`: not assigned.
pub fn name(description: u8) -> Option<&'static str> {
    Some(match description {
        0 => "close_notify",
        10 => "unexpected_message",
        20 => "bad_record_mac",
        21 => "decryption_failed",
        22 => "record_overflow",
        30 => "decompression_failure",
        40 => "handshake_failure",
        41 => "no_certificate",
        42 => "bad_certificate",
        43 => "unsupported_certificate",
        44 => "certificate_revoked",
        45 => "certificate_expired",
        46 => "certificate_unknown",
        47 => "illegal_parameter",
        48 => "unknown_ca",
        49 => "access_denied",
        50 => "decode_error",
        51 => "decrypt_error",
        52 => "too_many_cids_requested",
        60 => "export_restriction",
        70 => "protocol_version",
        71 => "insufficient_security",
        80 => "internal_error",
        86 => "inappropriate_fallback",
        90 => "user_canceled",
        100 => "no_renegotiation",
        109 => "missing_extension",
        110 => "unsupported_extension",
        111 => "certificate_unobtainable",
        112 => "unrecognized_name",
        113 => "bad_certificate_status_response",
        114 => "bad_certificate_hash_value",
        115 => "unknown_psk_identity",
        116 => "certificate_required",
        117 => "general_error",
        120 => "no_application_protocol",
        121 => "ech_required",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_has_two_bytes_and_a_level() {
        assert_eq!(read(&[1, 0]), Some((1, CLOSE_NOTIFY)));
        assert_eq!(read(&[2, 40]), Some((FATAL, 40)));
        assert_eq!((read(&[3, 0]), read(&[1]), read(&[1, 0, 0])), (None, None, None));
        assert_eq!((name(40), name(99)), (Some("handshake_failure"), None));
    }
}
