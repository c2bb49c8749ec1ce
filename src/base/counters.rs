//! What was counted while reading: the `counters` of every report. A limit that was hit, a packet
//! that could not be read and a byte that was lost is a number here, never silence.

use super::limits;

/// All counters of one analysis. Counts, unless the name says bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets read from all inputs.
    pub packets: u64,
    /// Packets whose headers did not parse as far as TCP though they claim to be TCP/IP, or whose
    /// link type is unknown.
    pub undecodable: u64,
    /// TCP connections seen.
    pub flows: u64,
    /// Request heads seen whole or begun (HTTP/1.x).
    pub http_requests: u64,
    /// Final and interim response heads.
    pub http_responses: u64,
    /// Holes in streams that were looked at.
    pub gaps: u64,
    /// Bytes in those holes.
    pub gap_bytes: u64,
    /// Of those, the holes that the snap length cut into packets, and their bytes.
    pub gaps_cut: u64,
    /// Connections of which the first bytes of a side were lost, before it was known what they speak.
    pub starts_lost: u64,
    pub gap_bytes_cut: u64,
    /// Of those, the holes whose bytes never came to their receiver either, and their bytes.
    pub gaps_undelivered: u64,
    pub gap_bytes_undelivered: u64,
    /// Packets that repeat one already seen (a mirror's copy), not retransmissions.
    pub duplicate_packets: u64,
    /// Flows, held segments and exchanges given up because a limit was reached.
    pub evicted: u64,
    pub dropped_kernel: u64,
    pub dropped_interface: u64,
    pub dropped_hopscope: u64,
    /// Segments that carried bytes already seen, with equal content.
    pub retransmissions: u64,
    /// Segments that carried other bytes for a place already seen.
    pub overlap_conflicts: u64,
    /// Segments too far from their connection's window to belong to it.
    pub out_of_window: u64,
    /// Resets behind which both ends went on.
    pub resets_unheeded: u64,
    /// Packets cut by the snap length.
    pub snapped: u64,
    /// Fragments of IP datagrams seen, and of these the ones whose datagram never became whole within
    /// `limits::FRAGMENT_*`.
    pub fragments: u64,
    pub fragments_lost: u64,
    /// Fragments that carried other bytes, or another length, than those before them.
    pub fragment_conflicts: u64,
    /// Packets in more wrappers than `limits::NESTING`.
    pub too_deep: u64,
    /// Packets whose wrappers are told as `…` because of `limits::STACKS`.
    pub stacks_beyond: u64,
    /// Segments that arrived out of order and were put right.
    pub reordered: u64,
    /// Times at which packet time went backwards within an input.
    pub time_backwards: u64,
    /// Request or response heads given up because they outgrew `limits::HEAD_BYTES`.
    pub heads_too_large: u64,
    /// Upgraded connections whose first and last frames and messages are not kept because of `limits::TALK_BYTES`.
    pub talks_not_kept: u64,
    /// Directions of upgraded connections whose compressed messages were not all read because of
    /// `limits::INFLATERS`, `limits::INFLATED_*` or a hole.
    pub not_inflated: u64,
    /// Ends of tunnels that are not remembered because of `limits::TUNNEL_*`, so that what many have in common may be
    /// missed.
    pub ends_not_kept: u64,
    /// Flows that spoke HTTP/1.x, TLS, and HTTP/2 in clear.
    pub flows_http1: u64,
    pub flows_tls: u64,
    pub flows_http2: u64,
    /// TLS connections of which something inside was read.
    pub flows_tls_read: u64,
    /// TLS connections that no key log has anything for, though there is one.
    pub flows_tls_missed: u64,
    /// TLS connections with secrets, of a version or suite that is not read.
    pub flows_tls_unknown: u64,
    /// TLS records that did not fit their tag or MAC.
    pub tls_records_failed: u64,
    /// What was given up of TLS connections because of `limits::TLS_TRIED_BYTES`, `limits::TLS_HELD_*` or
    /// `limits::TLS_HELLO_BYTES`.
    pub tls_given_up: u64,
    /// Packets of a live capture that were analysed and not kept.
    pub packets_not_kept: u64,
    /// Exchanges of a stream that were put into chains before all of their legs may have come: `limits::JOIN_OPEN`.
    pub joined_early: u64,
    /// Secrets of TLS that were read, and those left out: malformed lines, lines beyond
    /// `limits::TLS_KEY_LINE_BYTES`, randoms beyond `limits::TLS_SECRETS`.
    pub tls_secrets: u64,
    pub tls_secrets_dropped: u64,
    /// Flows that began with a PROXY protocol header, and those a SOCKS proxy opened.
    pub flows_proxy_protocol: u64,
    pub flows_socks: u64,
    /// CONNECT tunnels that were granted.
    pub flows_connect: u64,
    /// SOCKS requests that were refused.
    pub socks_refused: u64,
    /// Streams left alone because they lie deeper than `limits::NESTING`.
    pub nested_too_deep: u64,
    /// Flows with WebSocket frames whose handshake is not in the capture.
    pub flows_websocket_midstream: u64,
    /// Exchanges left out because their connections were captured twice: the first copy counts.
    pub flows_seen_twice: u64,
    /// Flows given up because analysing them failed (a fault of this program).
    pub bugs: u64,
    /// Names that TLS connections asked for which were not read, in the order of their first; at most
    /// `limits::TLS_NAMES`.
    pub tls_names: Vec<TlsName>,
    /// QUIC connections that clients opened, by their first packets.
    pub quic_connections: u64,
    /// Packets that look like such a one, and were not looked at because of `limits::QUIC_TRIES`.
    pub quic_not_looked_at: u64,
    /// Names that they ask for; at most `limits::TLS_NAMES`, nothing offered is told.
    pub quic_names: Vec<TlsName>,
}

/// TLS connections to one name that were not read, as far as their ClientHellos were seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsName {
    /// SNI (RFC 6066 §3), as captured; empty: none.
    pub name: Box<[u8]>,
    /// The protocols offered (RFC 7301), as captured, joined by `, `; empty: none.
    pub offers: Box<[u8]>,
    pub flows: u64,
}

impl Counters {
    /// Adds what was counted elsewhere.
    pub fn add(&mut self, other: &Counters) {
        let Counters {
            packets,
            undecodable,
            flows,
            http_requests,
            http_responses,
            gaps,
            gap_bytes,
            gaps_cut,
            starts_lost,
            gap_bytes_cut,
            gaps_undelivered,
            gap_bytes_undelivered,
            duplicate_packets,
            evicted,
            dropped_kernel,
            dropped_interface,
            dropped_hopscope,
            retransmissions,
            overlap_conflicts,
            out_of_window,
            resets_unheeded,
            snapped,
            fragments,
            fragments_lost,
            fragment_conflicts,
            too_deep,
            stacks_beyond,
            reordered,
            time_backwards,
            heads_too_large,
            talks_not_kept,
            not_inflated,
            ends_not_kept,
            flows_http1,
            flows_tls,
            flows_http2,
            flows_tls_read,
            flows_tls_missed,
            flows_tls_unknown,
            tls_records_failed,
            tls_given_up,
            packets_not_kept,
            joined_early,
            tls_secrets,
            tls_secrets_dropped,
            flows_proxy_protocol,
            flows_socks,
            flows_connect,
            socks_refused,
            nested_too_deep,
            flows_websocket_midstream,
            flows_seen_twice,
            bugs,
            tls_names,
            quic_connections,
            quic_not_looked_at,
            quic_names,
        } = other;
        self.quic_connections += quic_connections;
        self.quic_not_looked_at += quic_not_looked_at;
        for name in quic_names {
            count_name(&mut self.quic_names, &name.name, &name.offers, name.flows);
        }
        self.packets += packets;
        self.undecodable += undecodable;
        self.flows += flows;
        self.http_requests += http_requests;
        self.http_responses += http_responses;
        self.gaps += gaps;
        self.gap_bytes += gap_bytes;
        self.gaps_cut += gaps_cut;
        self.starts_lost += starts_lost;
        self.gap_bytes_cut += gap_bytes_cut;
        self.gaps_undelivered += gaps_undelivered;
        self.gap_bytes_undelivered += gap_bytes_undelivered;
        self.duplicate_packets += duplicate_packets;
        self.evicted += evicted;
        self.dropped_kernel += dropped_kernel;
        self.dropped_interface += dropped_interface;
        self.dropped_hopscope += dropped_hopscope;
        self.retransmissions += retransmissions;
        self.overlap_conflicts += overlap_conflicts;
        self.out_of_window += out_of_window;
        self.resets_unheeded += resets_unheeded;
        self.snapped += snapped;
        self.fragments += fragments;
        self.fragments_lost += fragments_lost;
        self.fragment_conflicts += fragment_conflicts;
        self.too_deep += too_deep;
        self.stacks_beyond += stacks_beyond;
        self.reordered += reordered;
        self.time_backwards += time_backwards;
        self.heads_too_large += heads_too_large;
        self.talks_not_kept += talks_not_kept;
        self.not_inflated += not_inflated;
        self.ends_not_kept += ends_not_kept;
        self.flows_http1 += flows_http1;
        self.flows_tls += flows_tls;
        self.flows_http2 += flows_http2;
        self.flows_proxy_protocol += flows_proxy_protocol;
        self.flows_socks += flows_socks;
        self.flows_connect += flows_connect;
        self.socks_refused += socks_refused;
        self.nested_too_deep += nested_too_deep;
        self.flows_websocket_midstream += flows_websocket_midstream;
        self.flows_seen_twice += flows_seen_twice;
        self.bugs += bugs;
        self.flows_tls_read += flows_tls_read;
        self.flows_tls_missed += flows_tls_missed;
        self.flows_tls_unknown += flows_tls_unknown;
        self.tls_records_failed += tls_records_failed;
        self.tls_given_up += tls_given_up;
        self.packets_not_kept += packets_not_kept;
        self.joined_early += joined_early;
        self.tls_secrets += tls_secrets;
        self.tls_secrets_dropped += tls_secrets_dropped;
        for name in tls_names {
            self.tls_name(&name.name, &name.offers, name.flows);
        }
    }

    /// TLS connections that were not read, and of which nothing is known but what they said in clear.
    pub fn flows_tls_unread(&self) -> u64 {
        self.flows_tls.saturating_sub(self.flows_tls_read)
    }

    /// Counts TLS connections under a name; beyond the limit they are not.
    pub fn tls_name(&mut self, name: &[u8], offers: &[u8], flows: u64) {
        count_name(&mut self.tls_names, name, offers, flows);
    }

    /// Counts a QUIC connection under a name; beyond the limit it is not.
    pub fn quic_name(&mut self, name: &[u8]) {
        count_name(&mut self.quic_names, name, b"", 1);
    }
}

fn count_name(names: &mut Vec<TlsName>, name: &[u8], offers: &[u8], flows: u64) {
    let room = names.len() < limits::TLS_NAMES;
    match names.iter_mut().find(|known| *known.name == *name && *known.offers == *offers) {
        Some(known) => known.flows += flows,
        None if room => names.push(TlsName { name: name.into(), offers: offers.into(), flows }),
        None => {}
    }
}
