//! A capture from a short script of bytes: a step is a byte that says who sends and what is odd about
//! it, a byte of length, and that many bytes of payload.
//!
//! Bit 0 the server sends · bit 1 on the second connection · bit 2 a FIN behind it · bit 3 a RST · bit 4
//! sent again, starting 3 bytes earlier · bit 5 lost before the capture · bit 6 held back until after
//! the next step · bit 7 three seconds later.

const SYN: u8 = 0x02;
const ACK: u8 = 0x10;

#[derive(Default)]
struct Connection {
    /// Next sequence number of the client and of the server.
    next: [u32; 2],
    /// The last few bytes of each side.
    last: [Vec<u8>; 2],
}

/// A pcap file of raw IPv4 packets.
pub(crate) fn capture(mut steps: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 262_144, 101] {
        file.extend_from_slice(&word.to_le_bytes());
    }
    let mut connections = [Connection::default(), Connection::default()];
    let mut now_us = 0;
    for (index, connection) in connections.iter_mut().enumerate() {
        connection.next = [u32::MAX - 100, 1_000];
        for (from, flags) in [(0, SYN), (1, SYN | ACK)] {
            put(&mut file, now_us, packet(connection, index, from, flags, 0, &[]));
            connection.next[from] = connection.next[from].wrapping_add(1);
        }
    }
    let mut held: Option<Vec<u8>> = None;
    while let [control, length, rest @ ..] = steps {
        let (payload, rest) = rest.split_at(usize::from(*length).min(rest.len()));
        steps = rest;
        let bit = |n: u8| control >> n & 1 == 1;
        let (index, from) = (usize::from(bit(1)), usize::from(bit(0)));
        let connection = &mut connections[index];
        now_us += if bit(7) { 3_000_000 } else { 200 };
        let flags = ACK | u8::from(bit(2)) | u8::from(bit(3)) << 2;
        let mut sent = vec![packet(connection, index, from, flags, 0, payload)];
        if bit(4) {
            let mut again = connection.last[from].clone();
            let back = again.len() as u32;
            again.extend_from_slice(payload);
            sent.push(packet(connection, index, from, ACK, back, &again));
        }
        connection.next[from] = connection.next[from].wrapping_add(payload.len() as u32 + u32::from(bit(2)));
        connection.last[from].extend_from_slice(payload);
        let known = connection.last[from].len().saturating_sub(3);
        connection.last[from].drain(..known);
        let waiting = held.take();
        if !bit(5) {
            if bit(6) {
                held = sent.pop();
            }
            sent.into_iter().for_each(|packet| put(&mut file, now_us, packet));
        }
        waiting.into_iter().for_each(|packet| put(&mut file, now_us, packet));
    }
    held.into_iter().for_each(|packet| put(&mut file, now_us, packet));
    file
}

fn put(file: &mut Vec<u8>, now_us: u32, packet: Vec<u8>) {
    for word in [now_us / 1_000_000, now_us % 1_000_000, packet.len() as u32, packet.len() as u32] {
        file.extend_from_slice(&word.to_le_bytes());
    }
    file.extend_from_slice(&packet);
}

fn packet(connection: &Connection, index: usize, from: usize, flags: u8, back: u32, payload: &[u8]) -> Vec<u8> {
    let ends = [([192, 0, 2, 1], 40_000 + index as u16), ([192, 0, 2, 2], 80_u16)];
    let (own, peer) = (ends[from], ends[1 - from]);
    let mut packet = vec![0x45, 0];
    packet.extend_from_slice(&(40 + payload.len() as u16).to_be_bytes());
    packet.extend_from_slice(&[0, 0, 0x40, 0, 64, 6, 0, 0]);
    packet.extend_from_slice(&own.0);
    packet.extend_from_slice(&peer.0);
    packet.extend_from_slice(&own.1.to_be_bytes());
    packet.extend_from_slice(&peer.1.to_be_bytes());
    packet.extend_from_slice(&connection.next[from].wrapping_sub(back).to_be_bytes());
    let ack = if flags & ACK == 0 { 0 } else { connection.next[1 - from] };
    packet.extend_from_slice(&ack.to_be_bytes());
    packet.extend_from_slice(&[0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    packet.extend_from_slice(payload);
    packet
}
