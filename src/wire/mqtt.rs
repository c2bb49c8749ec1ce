//! What an MQTT packet over WebSocket says of its connection (MQTT 3.1.1 §3.1, §6; MQTT 5.0 §3.1).

/// The first byte of a CONNECT.
pub const CONNECT: u8 = 0x10;

/// The keep-alive of a CONNECT, in seconds; 0: none is promised. `None`: these bytes begin no CONNECT, or end before it.
pub fn keep_alive(bytes: &[u8]) -> Option<u16> {
    let [_level, _flags, high, low, ..] = behind_name(bytes)? else { return None };
    Some(u16::from_be_bytes([*high, *low]))
}

/// The protocol level of a CONNECT: 3 (MQTT 3.1), 4 (3.1.1) or 5. `None` as for [`keep_alive`].
pub fn version(bytes: &[u8]) -> Option<u8> {
    behind_name(bytes)?.first().copied()
}

/// What stands behind the protocol's name in a CONNECT.
fn behind_name(bytes: &[u8]) -> Option<&[u8]> {
    let [CONNECT, rest @ ..] = bytes else { return None };
    // The remaining length: seven bits a byte, at most four (§2.2.3).
    let length = rest.iter().take(4).position(|b| b & 0x80 == 0)? + 1;
    let header = rest.get(length..)?;
    header.strip_prefix(b"\0\x04MQTT").or_else(|| header.strip_prefix(b"\0\x06MQIsdp"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connect_of_any_version_tells_its_keep_alive() {
        assert_eq!(keep_alive(b"\x10\x10\0\x04MQTT\x04\x02\0\x3c\0\x04abcd"), Some(60));
        assert_eq!(keep_alive(b"\x10\xff\x01\0\x04MQTT\x05\xc2\x01\x2c\0"), Some(300));
        assert_eq!(keep_alive(b"\x10\x12\0\x06MQIsdp\x03\x02\0\0"), Some(0));
        assert_eq!(version(b"\x10\xff\x01\0\x04MQTT\x05\xc2\x01\x2c\0"), Some(5));
    }

    #[test]
    fn other_packets_and_cut_ones_tell_none() {
        for bytes in
            [&b""[..], b"\x10", b"\x10\xff\xff\xff\xff\xff", b"\x10\x10\0\x04MQTT\x04\x02\0", b"\x30\x05\0\x04MQTT"]
        {
            assert_eq!(keep_alive(bytes), None);
        }
    }
}
