//! Packets into tunnels, link layers and fragments, as their specifications say. Knows nothing of the
//! program's parsers.

use super::link::{Link, Packet};

/// What a wrapper takes and gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// An IPv4 or IPv6 packet.
    Ip(Vec<u8>),
    /// An Ethernet frame.
    Ethernet(Vec<u8>),
}

/// One wrapper. Numbers are identifiers of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrap {
    /// IEEE 802.1Q.
    Vlan(u16),
    /// IEEE 802.1ad.
    ServiceVlan(u16),
    /// RFC 3032; a frame is carried as a pseudowire with a control word (RFC 4385).
    Mpls(u32),
    /// RFC 2516.
    Pppoe(u16),
    /// RFC 1042.
    Snap,
    /// IEEE 802.1ah.
    Pbb(u32),
    /// RFC 7348, to this port.
    Vxlan(u32, u16),
    /// RFC 8926, with one option, to this port.
    Geneve(u32, u16),
    /// RFC 8300, type 1.
    Nsh(u32),
    /// RFC 2784 and RFC 2890.
    Gre {
        key: Option<u32>,
        sequence: bool,
        checksum: bool,
    },
    /// RFC 2637.
    Pptp(u16),
    /// draft-foschiano-erspan, types 1 to 3.
    Erspan(u8, u16),
    /// RFC 2003 and RFC 2473: in IPv4, in IPv6.
    InIpv4,
    InIpv6,
    /// RFC 3378.
    EtherIp,
    /// 3GPP TS 29.281, with an extension header.
    Gtp(u32),
    Tzsp,
    /// RFC 4302: an authentication header before what the packet carries.
    Authenticated,
}

impl Wrap {
    pub(crate) fn put(self, unit: Unit) -> Unit {
        match self {
            Wrap::Vlan(id) => tagged(unit, 0x8100, &id.to_be_bytes()),
            Wrap::ServiceVlan(id) => tagged(unit, 0x88a8, &id.to_be_bytes()),
            Wrap::Pbb(id) => {
                let frame = ethernet(unit);
                Unit::Ethernet(framed(0x88e7, &[&id.to_be_bytes()[..], &frame].concat()))
            }
            Wrap::Mpls(label) => {
                let entry = (label << 12 | 0x100 | 64).to_be_bytes();
                Unit::Ethernet(match unit {
                    Unit::Ip(packet) => framed(0x8847, &[&entry[..], &packet].concat()),
                    Unit::Ethernet(frame) => framed(0x8847, &[&entry[..], &[0, 0, 0, 1], &frame].concat()),
                })
            }
            Wrap::Pppoe(session) => {
                let (packet, six) = ip(unit);
                let length = (packet.len() as u16 + 2).to_be_bytes();
                let protocol = if six { [0, 0x57] } else { [0, 0x21] };
                Unit::Ethernet(framed(
                    0x8864,
                    &[&[0x11, 0], &session.to_be_bytes()[..], &length, &protocol, &packet].concat(),
                ))
            }
            Wrap::Snap => {
                let mut frame = ethernet(unit);
                let length = frame.len() - 14 + 8;
                let kind = [frame[12], frame[13]];
                if length <= 1_500 && kind >= [6, 0] {
                    frame[12..14].copy_from_slice(&(length as u16).to_be_bytes());
                    frame.splice(14..14, [0xaa, 0xaa, 3, 0, 0, 0, kind[0], kind[1]]);
                }
                Unit::Ethernet(frame)
            }
            Wrap::Vxlan(id, port) => {
                udp(port, &[&[8, 0, 0, 0], &(id << 8).to_be_bytes()[..], &ethernet(unit)].concat())
            }
            Wrap::Geneve(id, port) => {
                let option = [1, 2, 3, 1, 9, 9, 9, 9];
                udp(port, &[&[2, 0, 0x65, 0x58], &(id << 8).to_be_bytes()[..], &option, &ethernet(unit)].concat())
            }
            Wrap::Nsh(path) => {
                let (next, inside) = match unit {
                    Unit::Ip(packet) => (if packet[0] >> 4 == 6 { 2 } else { 1 }, packet),
                    Unit::Ethernet(frame) => (3, frame),
                };
                let header = [&[0x0f, 0xc6, 1, next], &(path << 8 | 255).to_be_bytes()[..], &[0; 16]].concat();
                Unit::Ethernet(framed(0x894f, &[header, inside].concat()))
            }
            Wrap::Gre { key, sequence, checksum } => {
                let (protocol, inside) = match unit {
                    Unit::Ip(packet) => (if packet[0] >> 4 == 6 { 0x86dd_u16 } else { 0x0800 }, packet),
                    Unit::Ethernet(frame) => (0x6558, frame),
                };
                let bit = |set: bool, bit: u8| if set { bit } else { 0 };
                let mut gre = vec![bit(checksum, 0x80) | bit(key.is_some(), 0x20) | bit(sequence, 0x10), 0];
                gre.extend(protocol.to_be_bytes());
                gre.extend([0xab, 0xcd, 0, 0].into_iter().take(if checksum { 4 } else { 0 }));
                gre.extend(key.into_iter().flat_map(u32::to_be_bytes));
                gre.extend([0, 0, 0, 7].into_iter().take(if sequence { 4 } else { 0 }));
                ipv4(47, &[gre, inside].concat())
            }
            Wrap::Pptp(call) => {
                let (packet, six) = ip(unit);
                let ppp = [&[0xff, 3, 0, if six { 0x57 } else { 0x21 }], &packet[..]].concat();
                let length = (ppp.len() as u16).to_be_bytes();
                let header = [&[0x30, 0x81, 0x88, 0x0b], &length[..], &call.to_be_bytes(), &[0, 0, 0, 1, 0, 0, 0, 1]];
                ipv4(47, &[header.concat(), ppp].concat())
            }
            Wrap::Erspan(kind, session) => {
                let frame = ethernet(unit);
                let session = session.to_be_bytes();
                let header: Vec<u8> = match kind {
                    1 => vec![0, 0, 0x88, 0xbe],
                    2 => [&[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 5], &session[..], &[0; 4]].concat(),
                    _ => [&[0x10, 0, 0x22, 0xeb, 0, 0, 0, 1, 0x20, 5], &session[..], &[0; 7], &[1], &[0; 8]].concat(),
                };
                ipv4(47, &[header, frame].concat())
            }
            Wrap::InIpv4 => {
                let (packet, six) = ip(unit);
                ipv4(if six { 41 } else { 4 }, &packet)
            }
            Wrap::InIpv6 => {
                let (packet, six) = ip(unit);
                ipv6(if six { 41 } else { 4 }, &packet)
            }
            Wrap::EtherIp => ipv4(97, &[&[0x30, 0], &ethernet(unit)[..]].concat()),
            Wrap::Gtp(tunnel) => {
                let (packet, _) = ip(unit);
                let length = (packet.len() as u16 + 8).to_be_bytes();
                let header =
                    [&[0x34, 255], &length[..], &tunnel.to_be_bytes(), &[0, 0, 0, 0x85], &[1, 0, 9, 0]].concat();
                udp(2152, &[header, packet].concat())
            }
            Wrap::Tzsp => udp(37008, &[&[1, 0, 0, 1, 0x0a, 1, 0xd0, 1], &ethernet(unit)[..]].concat()),
            Wrap::Authenticated => Unit::Ip(authenticated(ip(unit).0)),
        }
    }
}

/// The packet, a frame being carried in IP first; whether it is IPv6.
fn ip(unit: Unit) -> (Vec<u8>, bool) {
    match unit {
        Unit::Ip(packet) => {
            let six = packet[0] >> 4 == 6;
            (packet, six)
        }
        Unit::Ethernet(_) => ip(Wrap::EtherIp.put(unit)),
    }
}

fn ethernet(unit: Unit) -> Vec<u8> {
    match unit {
        Unit::Ip(packet) => framed(if packet[0] >> 4 == 6 { 0x86dd } else { 0x0800 }, &packet),
        Unit::Ethernet(frame) => frame,
    }
}

fn framed(ether_type: u16, inside: &[u8]) -> Vec<u8> {
    [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2], &ether_type.to_be_bytes()[..], inside].concat()
}

/// A tag between the addresses and the EtherType.
fn tagged(unit: Unit, ether_type: u16, tag: &[u8]) -> Unit {
    let mut frame = ethernet(unit);
    frame.splice(12..12, [&ether_type.to_be_bytes()[..], tag].concat());
    Unit::Ethernet(frame)
}

fn udp(port: u16, payload: &[u8]) -> Unit {
    let length = (payload.len() as u16 + 8).to_be_bytes();
    ipv4(17, &[&55_555_u16.to_be_bytes()[..], &port.to_be_bytes(), &length, &[0, 0], payload].concat())
}

/// RFC 791 §3.1, from 192.0.2.1 to 192.0.2.2.
fn ipv4(protocol: u8, payload: &[u8]) -> Unit {
    let total = (payload.len() as u16 + 20).to_be_bytes();
    let header = [0x45, 0, total[0], total[1], 0, 0, 0, 0, 64, protocol, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2];
    Unit::Ip([&checked(header)[..], payload].concat())
}

/// The header checksum of RFC 791 §3.1.
pub(crate) fn checked(mut header: [u8; 20]) -> [u8; 20] {
    header[10..12].fill(0);
    let sum: u32 = header.chunks(2).map(|w| u32::from(w[0]) << 8 | u32::from(w[1])).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let sum = !((folded & 0xffff) + (folded >> 16)) as u16;
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    header
}

/// RFC 8200 §3, between two documentation addresses, with hop-by-hop options before the payload.
fn ipv6(protocol: u8, payload: &[u8]) -> Unit {
    let length = (payload.len() as u16 + 8).to_be_bytes();
    let address = |last| [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last];
    let options = [protocol, 0, 1, 4, 0, 0, 0, 0];
    Unit::Ip([&[0x60, 0, 0, 0], &length[..], &[0, 64], &address(1), &address(2), &options, payload].concat())
}

fn authenticated(packet: Vec<u8>) -> Vec<u8> {
    let six = packet[0] >> 4 == 6;
    let (header, protocol_at) = if six { (40, 6) } else { (20, 9) };
    let mut out = packet[..header].to_vec();
    out.extend([packet[protocol_at], 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1]);
    out.extend([0xa5; 12]);
    out.extend(&packet[header..]);
    out[protocol_at] = 51;
    let (length_at, own) = if six { (4, 40) } else { (2, 0) };
    let length = (out.len() - own) as u16;
    out[length_at..length_at + 2].copy_from_slice(&length.to_be_bytes());
    if !six {
        let header: [u8; 20] = out[..20].try_into().expect("twenty bytes");
        out[..20].copy_from_slice(&checked(header));
    }
    out
}

/// An IP packet in fragments: `sizes` in turn, in units of eight bytes (0 counts as 1). An IPv4 header
/// must have no options.
pub(crate) fn fragments(packet: &[u8], sizes: &[usize], id: u32) -> Vec<Vec<u8>> {
    let six = packet[0] >> 4 == 6;
    let header = if six { 40 } else { 20 };
    let payload = &packet[header..];
    let mut sizes = sizes.iter().map(|s| s.max(&1) * 8).cycle();
    let (mut at, mut out) = (0, Vec::new());
    while at < payload.len() {
        let end = (at + sizes.next().unwrap_or(payload.len())).min(payload.len());
        let more = end < payload.len();
        let mut piece = packet[..header].to_vec();
        if six {
            // RFC 8200 §4.5.
            let length = (end - at + 8) as u16;
            piece[4..6].copy_from_slice(&length.to_be_bytes());
            let place = at as u16 | u16::from(more);
            piece.extend([packet[6], 0]);
            piece.extend(place.to_be_bytes());
            piece.extend(id.to_be_bytes());
            piece[6] = 44;
        } else {
            let total = (20 + end - at) as u16;
            let place = (at / 8) as u16 | if more { 0x2000 } else { 0 };
            piece[2..4].copy_from_slice(&total.to_be_bytes());
            piece[4..6].copy_from_slice(&(id as u16).to_be_bytes());
            piece[6..8].copy_from_slice(&place.to_be_bytes());
            let header: [u8; 20] = piece[..20].try_into().expect("twenty bytes");
            piece[..20].copy_from_slice(&checked(header));
        }
        piece.extend(&payload[at..end]);
        out.push(piece);
        at = end;
    }
    out
}

/// What a capture holds of it: Ethernet, or raw IP.
pub(crate) fn captured(unit: Unit, like: &Packet) -> (Link, Packet) {
    let (link, data) = match unit {
        Unit::Ip(packet) => (Link::Raw, packet),
        Unit::Ethernet(frame) => (Link::Ethernet, frame),
    };
    (link, Packet { wire_len: data.len() as u32, data, ..like.clone() })
}

/// A unit as a frame of one of the link types that hold both or one of them.
pub(crate) fn linked(number: u16, unit: Unit) -> Vec<u8> {
    match number {
        1 => ethernet(unit),
        9 => {
            let (packet, six) = ip(unit);
            [&[0xff, 3, 0, if six { 0x57 } else { 0x21 }], &packet[..]].concat()
        }
        101 => ip(unit).0,
        // radiotap.org: no fields; then QoS data to the access point, LLC and SNAP.
        127 => {
            let (packet, six) = ip(unit);
            let mut frame = vec![0, 0, 8, 0, 0, 0, 0, 0, 0x88, 1, 0, 0];
            frame.extend([2; 18]);
            frame.extend([0x10, 0, 0, 0, 0xaa, 0xaa, 3, 0, 0, 0]);
            frame.extend(if six { [0x86, 0xdd] } else { [8, 0] });
            frame.extend(packet);
            frame
        }
        192 => [&[0, 0, 8, 0, 1, 0, 0, 0], &ethernet(unit)[..]].concat(),
        239 => {
            let (packet, six) = ip(unit);
            let length = (packet.len() as u16 + 4).to_le_bytes();
            [&[if six { 10 } else { 2 }, 0, 0, 1, 5, 0, 10, 0, b'x', 0, 0, 0], &length[..], &[9, 0], &packet].concat()
        }
        258 => {
            let mut frame = vec![0; 108];
            (frame[0], frame[4], frame[8]) = (108, 1, 1);
            frame.extend(ethernet(unit));
            frame
        }
        other => panic!("no frames of link type {other}"),
    }
}

/// Several packets as one aggregated 802.11 frame behind radiotap (IEEE 802.11 §9.3.2.2).
pub(crate) fn aggregated(packets: &[Vec<u8>]) -> Vec<u8> {
    let mut frame = vec![0, 0, 8, 0, 0, 0, 0, 0, 0x88, 1, 0, 0];
    frame.extend([2; 18]);
    frame.extend([0x10, 0, 0x80, 0]);
    let body = frame.len();
    for packet in packets {
        let padding = (frame.len() - body).next_multiple_of(4) - (frame.len() - body);
        frame.extend(std::iter::repeat_n(0, padding));
        frame.extend([2; 12]);
        frame.extend((packet.len() as u16 + 8).to_be_bytes());
        frame.extend([0xaa, 0xaa, 3, 0, 0, 0]);
        frame.extend(if packet[0] >> 4 == 6 { [0x86, 0xdd] } else { [8, 0] });
        frame.extend(packet);
    }
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fragments_cover_the_packet() {
        let Unit::Ip(packet) = ipv4(6, &[7; 50]) else { panic!("not IP") };
        let pieces = fragments(&packet, &[1, 2], 9);
        assert_eq!(pieces.iter().map(|p| p.len() - 20).collect::<Vec<_>>(), [8, 16, 8, 16, 2]);
        assert_eq!(pieces[1][4..8], [0, 9, 0x20, 1]);
        assert_eq!(pieces[4][6..8], [0, 6]);
    }

    #[test]
    fn wrappers_stand_where_they_belong() {
        let Unit::Ethernet(frame) = Wrap::Vlan(5).put(Unit::Ip(vec![0x45])) else { panic!("no frame") };
        assert_eq!(frame[12..], [0x81, 0, 0, 5, 8, 0, 0x45]);
        let Unit::Ip(packet) = Wrap::Vxlan(7, 4789).put(Unit::Ethernet(frame)) else { panic!("no packet") };
        assert_eq!(packet[28..36], [8, 0, 0, 0, 0, 0, 7, 0]);
        assert_eq!(linked(258, Unit::Ip(vec![0x45])).len(), 108 + 15);
    }
}
