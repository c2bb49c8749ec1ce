//! A small language for TCP segments, so that few bytes make a conversation. Each instruction is one
//! byte of what and one of how much, then payload where the instruction has some:
//!
//! bit 0: the server sends · bit 1: another connection · bits 2-3: FIN, SYN, or RST · bits 4-5: the
//! sequence number is right, jumps ahead, goes back, or is far off · bit 6: time passes · bit 7: the
//! payload is one of the texts below instead of the bytes that follow.

/// What HTTP and WebSocket are made of; fuzzing would find these too, but late.
const TEXTS: &[&[u8]] = &[
    b"GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
      Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
      Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
    b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 5\r\nServer: nginx\r\n\r\nsorry",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"3\r\nabc\r\n0\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58",
    b"\x81\x05Hello",
    b"\x88\x02\x03\xe8",
    b"GET /chat HTTP/1.1\r\nHost: a\r\n",
    b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: x\r\n",
    b"\r\n",
    b"HTTP/1.1 502 Bad Gateway\r\nServer: awselb/2.0\r\n",
    b"PROXY TCP4 192.0.2.1 192.0.2.2 5 80\r\n",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0f\xc0\0\x02\x01\xc0\0\x02\x02\0\x05\0\x50\x04\0\0",
    b"\x05\x01\0",
    b"\x05\0",
    b"\x05\x01\0\x03\x01a\0\x50",
    b"\x05\0\0\x01\0\0\0\0\0\0",
    b"HTTP/1.1 200 Connection established\r\n\r\n",
    b"\x16\x03\x01\0\x05\x01\0\0\x01\0",
];

/// A pcap file (link type RAW) with the segments.
pub(crate) fn capture(mut program: &[u8]) -> Vec<u8> {
    let mut file = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 101, 0, 0, 0];
    // The client's numbers pass the end of their range.
    let mut next = [[0xffff_ff80_u32, 7_000], [0x7fff_ff00, 0xffff_fffe]];
    let mut micros = 1_000_000_u64;
    while let Some((&[what, much], rest)) = program.split_first_chunk() {
        program = rest;
        let (from, flow) = (usize::from(what & 1), usize::from(what >> 1 & 1));
        let payload = if what & 0x80 != 0 {
            TEXTS[usize::from(much) % TEXTS.len()]
        } else {
            let (payload, rest) = program.split_at(usize::from(much).min(program.len()));
            program = rest;
            payload
        };
        let own = next[flow][from];
        let seq = match what >> 4 & 3 {
            0 => own,
            1 => own.wrapping_add(u32::from(much) + 1),
            2 => own.wrapping_sub(u32::from(much) / 2),
            _ => own.wrapping_add(u32::from(much) << 23),
        };
        let (flags, takes) = match what >> 2 & 3 {
            0 => (0x10, 0),
            1 => (0x11, 1),
            2 => (if from == 0 { 0x02 } else { 0x12 }, 1),
            _ => (0x14, 0),
        };
        micros += if what & 0x40 != 0 { u64::from(much) * 100_000 } else { 100 };
        let ack = next[flow][1 - from];
        packet(&mut file, micros, flow, from, (seq, ack, flags), payload);
        if what & 0x30 == 0 {
            next[flow][from] = own.wrapping_add(payload.len() as u32 + takes);
        } else if what & 0x30 == 0x10 && takes == 0 {
            // Ahead: sometimes the hole is filled later, sometimes never.
            next[flow][from] = own.wrapping_add(u32::from(much & 1) * (payload.len() as u32 + u32::from(much) + 1));
        }
    }
    file
}

fn packet(
    file: &mut Vec<u8>,
    micros: u64,
    flow: usize,
    from: usize,
    (seq, ack, flags): (u32, u32, u8),
    payload: &[u8],
) {
    let len = 40 + payload.len() as u32;
    for word in [(micros / 1_000_000) as u32, (micros % 1_000_000) as u32, len, len] {
        file.extend_from_slice(&word.to_le_bytes());
    }
    let (client, server) = ([10, 0, 0, 1 + flow as u8], [10, 0, 0, 9]);
    let (source, target) = if from == 0 { (client, server) } else { (server, client) };
    let (source_port, target_port) = if from == 0 { (40_000_u16, 80_u16) } else { (80, 40_000) };
    file.extend_from_slice(&[0x45, 0]);
    file.extend_from_slice(&(len as u16).to_be_bytes());
    file.extend_from_slice(&[0, 0, 0x40, 0, 64, 6, 0, 0]);
    file.extend_from_slice(&source);
    file.extend_from_slice(&target);
    file.extend_from_slice(&source_port.to_be_bytes());
    file.extend_from_slice(&target_port.to_be_bytes());
    file.extend_from_slice(&seq.to_be_bytes());
    file.extend_from_slice(&ack.to_be_bytes());
    file.extend_from_slice(&[0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    file.extend_from_slice(payload);
}
