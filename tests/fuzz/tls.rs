//! TLS: hellos as bytes, and connections with a key log of their own.

use hopscope::base::{PacketRef, Timestamp};
use hopscope::model::Direction::{ClientToServer, ServerToClient};
use hopscope::proto::tls::{Event, Input, Session, Tools, What};
use hopscope::wire::tls::{hello, record};

/// Two bytes of length, whose first bit says that the key log comes late, and a key log; then pieces of a connection, each of a byte that says what it is, two of
/// length, and as many bytes unless it is a gap. Of that byte: 1 the client's, 2 a gap, 4 a close, 8 the key log
/// is read only now.
pub(crate) fn connections(input: &[u8]) {
    hellos(input);
    let Some((late, log, mut rest)) = key_log(input) else { return };
    let (mut tools, mut session) = (Tools::default(), Session::new([0, 0]));
    if late {
        tools.secrets.may_grow = true;
    } else {
        tools.secrets.read(log);
    }
    let (mut ends, mut plain_ends, mut taken, mut shown) = ([0_u64; 2], [0_u64; 2], 0_u64, 0_u64);
    let mut plain = Vec::new();
    while let [control, high, low, behind @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let client = control & 1 != 0;
        let what = if control & 2 != 0 {
            rest = behind;
            What::Gap(length as u64)
        } else {
            let (bytes, later) = behind.split_at(length.min(behind.len()));
            rest = later;
            What::Data(bytes)
        };
        if control & 8 != 0 {
            tools.secrets.read(log);
            session.retry(&mut tools);
        }
        let side = usize::from(!client);
        let carried = match what {
            What::Data(bytes) => bytes.len() as u64,
            What::Gap(n) => n,
            What::Close => 0,
        };
        let dir = if client { ClientToServer } else { ServerToClient };
        let close = (control & 4 != 0).then_some(What::Close);
        taken += carried;
        for what in std::iter::once(what).chain(close) {
            let mut input = Input { dir, ts: Timestamp(0), at: PacketRef::new(0, 1), offset: ends[side], what };
            while let Some(event) = session.next(&mut tools, &mut input, &mut plain) {
                let (dir, offset, length) = match event {
                    Event::Data(d) => {
                        assert!(d.length > 0 && d.length <= plain.len());
                        shown += d.length as u64;
                        (d.place.dir, d.offset, d.length as u64)
                    }
                    Event::Lost(l) => (l.dir, l.offset, l.length),
                    _ => continue,
                };
                let end = &mut plain_ends[usize::from(dir == ServerToClient)];
                assert_eq!(*end, offset, "no byte twice, and none left out in silence");
                *end += length;
            }
        }
        ends[side] += carried;
    }
    assert!(shown <= taken && plain_ends.iter().sum::<u64>() <= taken);
}

/// Nothing that is read of a hello lies outside it.
fn hellos(input: &[u8]) {
    if let record::Read::Header(header) = record::header(input) {
        assert_eq!(header.bytes(), input[..record::HEADER_BYTES]);
    }
    if let Some(hello) = hello::client(input) {
        assert!(hello.suites().count() * 2 <= input.len() && hello.alpn().count() <= input.len());
        assert!(hello.server_name().is_none_or(|n| n.len() <= input.len()));
        let _ = (hello.offers_1_3(), hello.early_data(), hello.pre_shared_key(), hello.encrypted_hello());
    }
    if let Some(hello) = hello::server(input) {
        let _ = (hello.version(), hello.is_retry(), hello.alpn(), hello.encrypt_then_mac());
    }
    let read = hello::encrypted_extensions(input);
    let _ = (read.alpn(), read.early_data());
}

fn key_log(input: &[u8]) -> Option<(bool, &[u8], &[u8])> {
    let (length, rest) = input.split_first_chunk::<2>()?;
    let length = u16::from_be_bytes(*length);
    let (log, rest) = rest.split_at_checked(usize::from(length & 0x7fff))?;
    Some((length & 0x8000 != 0, log, rest))
}
