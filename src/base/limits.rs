//! Every bound of the program, in one place, with its unit. Hitting one is counted (`Counters`) and
//! shown; none is ever passed in silence.

/// Milliseconds by which a packet may stand too late in its file, or its batch, and is still taken at its time: the queues of
/// a network card, and interfaces that are captured together, are emptied one after the other. By more, a clock was set, unless it goes back and forth (then [`REORDER_MS`]).
pub const DISORDER_MS: i64 = 10;

/// Packets looked at together: long enough to hide the memory's latency, short enough for its cache.
pub const BATCH_PACKETS: usize = 64;

/// Segments handed from one thread to the other at a time: as many as a page may hold, since who read it takes
/// all of it apart.
pub const PIECE_SEGMENTS: usize = 4_096;

/// Pages of read buffers that one of these pieces may stand in, besides the one it ends with.
pub const PIECE_PAGES: usize = 8;

/// Batches after which a piece is handed on however little is in it.
pub const PIECE_BATCHES: usize = 256;

/// Pieces that may wait for the analysis. The pages that they stand in are in memory.
pub const PIECES: usize = 8;

/// Bytes that heads read ahead may take in one of these pieces; further ones are read when their turn comes.
pub const READY_BYTES: usize = 2 << 20;

/// Bytes of a head that is read ahead; a larger one is read when its turn comes.
pub const READY_HEAD_BYTES: usize = 8 << 10;

/// Ports of one host at which software is told apart.
pub const HOP_PORTS: usize = 32;

/// Bytes of input below which a second thread does not pay.
pub const THREAD_BYTES: u64 = 4 << 20;

/// Exchanges that are judged on one thread before a second one pays.
pub const JUDGED_PER_THREAD: usize = 1_000;

/// Exchanges that each rule looks at before the next rule does: about as much as a processor has at hand.
pub const JUDGED_SIDE_BY_SIDE: usize = 32;

/// Exchanges that one thread judges before it asks for more.
pub const JUDGED_IN_A_ROW: usize = 512;

/// Exchanges that are judged before what was judged of the first of them found its place, at most.
pub const JUDGED_AHEAD: usize = 8_192;

/// Exchanges that are shown while reading goes on, and as many connections without a request: copies, which go
/// when all is read.
pub const PREVIEWED: usize = 10_000;

/// The same for the first look at a capture that has an end; twice as many at each other one.
pub const PREVIEWED_FIRST: usize = 1_000;

/// Groups of chains that the terminal UI tells apart, those with the most faults first; all others are one group, whose
/// heading counts them.
pub const UI_GROUPS: usize = 10_000;

/// Bytes of one stream that are read again at a time to be looked at.
pub const STRETCH_BYTES: usize = 512 << 10;

/// Pieces that they may be in.
pub const STRETCH_PIECES: usize = 32 << 10;

/// Streams inside one connection whose bytes are kept until it is known which of them is looked for.
pub const STRETCH_STREAMS: usize = 16;

/// Stretches that the terminal UI keeps, so that the way back to one takes no time.
pub const UI_STRETCHES: usize = 8;

/// Bytes of the answers to one key of the filter that are made ready for the terminal UI; where they would be more,
/// each exchange is asked by itself, which takes longer.
pub const FILTER_COLUMN_BYTES: usize = 256 << 20;

/// Bytes of the read buffer of one input. Larger records grow it, up to `RECORD_BYTES`.
pub const READ_BUFFER_BYTES: usize = 256 << 10;

/// Pages of that size that each thread reads from files before they are asked for.
pub const PAGES_AHEAD: usize = 2;

/// Bytes unpacked at a time of a compressed input.
pub const UNPACK_CHUNK_BYTES: usize = 256 << 10;

/// Chunks of one compressed input that are unpacked ahead of the reader, or being read.
pub const UNPACK_CHUNKS: usize = 4;

/// Memory that unpacking one compressed input may ask for, as a power of two of bytes: 128 MiB. What
/// needs more (`zstd --ultra --long=28` and above, `xz` with larger dictionaries) is refused.
pub const UNPACK_WINDOW_LOG: u32 = 27;

/// Largest record or block of a capture file that is believed, in bytes.
pub const RECORD_BYTES: usize = 64 << 20;

/// Largest packet of a pcap file that is believed, in bytes, unless the file's header allows more
/// (up to `RECORD_BYTES`). The largest snap length of libpcap and Wireshark.
pub const PCAP_PACKET_BYTES: usize = 256 << 10;

/// Largest pcapng block at which reading may start again behind damage, in bytes.
pub const RESYNC_BLOCK_BYTES: usize = 1 << 20;

/// Damaged places of one input that are told one by one; the rest are counted together.
pub const DAMAGES: usize = 64;

/// Bytes of the kernel's buffer of each device that is captured from, unless the user says otherwise.
pub const LIVE_BUFFER_BYTES: u32 = 32 << 20;

/// Bytes kept of each packet that is captured, unless the user says otherwise: whole ones. The largest snap length of
/// libpcap.
pub const LIVE_SNAPLEN: u32 = 256 << 10;

/// Seconds after which a live capture that was stopped ends, whatever the kernel still has of the time before.
pub const LIVE_END_S: u64 = 30;

/// Milliseconds after which the kernel hands packets over that did not fill a block of its buffer.
pub const LIVE_BLOCK_MS: i32 = 50;

/// Milliseconds for which a silent input holds up the packets of the others.
pub const LIVE_HOLD_MS: u64 = 200;

/// Milliseconds between two looks whether the key logs of a live capture have grown.
pub const LIVE_KEYS_MS: u64 = 200;

/// Bytes of one running input that wait for others; beyond them, nothing is waited for.
pub const LIVE_WAITING_BYTES: usize = 32 << 20;

/// Batches of a pipe that are read ahead beside devices.
pub const LIVE_CHUNKS: usize = 64;

/// Milliseconds for which a captured packet is held before it is written to the file that keeps the capture, so that a
/// finding that comes meanwhile can stand at it; and bytes of packets that are held.
pub const KEEP_HELD_MS: u64 = 1_000;
pub const KEEP_HELD_BYTES: usize = 16 << 20;

/// Bytes of packets that may wait for a slow disk. What comes beyond them is not kept, and counted.
pub const KEEP_WAITING_BYTES: usize = 64 << 20;

/// Bytes that are given to the disk at once, where packets come fast.
pub const KEEP_CHUNK_BYTES: usize = 64 << 10;

/// Seconds after which a full disk is tried again.
pub const KEEP_RETRY_S: u64 = 10;

/// Findings that wait for a packet to stand at; the oldest go first.
pub const KEEP_LATE: usize = 1_000;

/// Findings, each with a packet, that are remembered so that none stands in a kept file twice.
pub const KEEP_NOTED: usize = 100_000;

/// Seconds for which the end of the program waits for the disk.
pub const KEEP_END_S: u64 = 10;

/// Files of a ring at most.
pub const RING_FILES: usize = 99_999;

/// Inputs of one analysis: a packet names its input in 16 bits.
pub const INPUTS: usize = 65_535;

/// Inputs that are held open from the start. Of more than that, each waits closed until its first
/// packet is due.
pub const OPEN_INPUTS: usize = 16;

/// Bytes read of a waiting input to learn when its first packet is due; grows where that is not enough.
pub const PROBE_BYTES: usize = 16 << 10;

/// Interfaces one pcapng section may declare.
pub const INTERFACES: usize = 4096;

/// Bytes of one comment that `extract` writes; the rest of a longer one is left out, and it says so.
pub const COMMENT_BYTES: usize = 4096;

/// Comments that `extract` writes to one packet; the last of more says how many there are.
pub const PACKET_COMMENTS: usize = 16;

/// Bytes of a packet on an Ethernet with its usual MTU of 1,500, with room for tags and tunnels around
/// it: what is longer was captured before the network card cut it, or behind its joining it.
pub const WIRE_BYTES: u32 = 1_650;

/// Segments out of order that are worth a word, and how many packets there are to one of them then.
pub const REORDERED_MIN: u64 = 10;
pub const REORDERED_SHARE: u64 = 100;

/// Bytes of secrets and names kept from the blocks of one capture file.
pub const SIDE_BLOCK_BYTES: usize = 16 << 20;

/// Packets that are remembered to know their copies. Each is 8 bytes.
pub const COPIES_REMEMBERED: usize = 4_096;

/// Packet time within which a copy follows its original, in milliseconds: less than any time after which
/// a segment is sent again for want of an answer.
pub const COPY_MS: i64 = 100;

/// Connections that share addresses and ports in several networks (VLANs, tunnels) and are told apart.
pub const NAMESAKES: u16 = 64;

/// Wrappers remembered of such connections, each way.
pub const NAMESAKE_VIAS: usize = 65_536;

/// Flows held at once. The one idle longest goes first.
pub const FLOWS: usize = 1_000_000;

/// Bytes one direction of a flow may hold back, waiting for a missing segment.
pub const REORDER_BYTES: usize = 1 << 20;

/// Segments one direction of a flow may hold back.
pub const REORDER_SEGMENTS: usize = 4096;

/// Bytes all flows together may hold back.
pub const REORDER_TOTAL_BYTES: usize = 64 << 20;

/// Packet time after which a missing segment that its receiver has acknowledged is taken for lost to
/// the capture, in milliseconds.
pub const REORDER_MS: i64 = 2_000;

/// The same for one that its receiver, by its acknowledgements, lacks too: five time-outs that double
/// from one second on (RFC 6298 §2, §5.5), in milliseconds.
pub const RESEND_MS: i64 = 32_000;

/// Packet time in which both ends may show that they did not heed a reset, in milliseconds: as long as a
/// stream waits for a next try.
pub const RESET_MS: i64 = 10_000;

/// Packet time after which a silent flow that nobody looks at, or in which nothing was said, is forgotten, in seconds.
/// Nothing is lost by it: where it speaks again it is another flow.
pub const FLOW_IDLE_S: i64 = 3_600;

/// The same for a flow that is looked at, as an open WebSocket is: it is given up, and counted. No tunnel that anything
/// keeps alive is silent for so long.
pub const FLOW_SILENT_S: i64 = 24 * 3_600;

/// Packet time between two looks for such flows, in seconds; each looks at 1,024 of them.
pub const FLOW_SWEEP_S: i64 = 1;

/// Packet time a closed flow is remembered, so that late segments do not open a new one, in seconds.
pub const FLOW_LINGER_S: i64 = 60;

/// First bytes of a direction that decide what it speaks.
pub const SNIFF_BYTES: usize = 64;

/// Largest HTTP head kept, in bytes.
pub const HEAD_BYTES: usize = 256 << 10;

/// Fields one head may have.
pub const HEAD_FIELDS: usize = 1_000;

/// Requests that may wait for their responses on one connection.
pub const PIPELINE: usize = 1_000;

/// Packet time after a refusal in which the same client's success takes its edge off, in seconds.
pub const RETRY_S: i64 = 10;

/// Later successes that one refusal is compared with.
pub const RETRIES_COMPARED: usize = 64;

/// Interim responses kept for one exchange.
pub const INTERIM_HEADS: usize = 16;

/// Bytes kept of the body of a refused upgrade: enough to recognise an error page.
pub const BODY_PREVIEW_BYTES: usize = 1_024;

/// Bytes kept of what is not what it should be (garbage for a response, what follows a 101).
pub const ODD_PREVIEW_BYTES: usize = 64;

/// Client bytes kept that came before the answer to an upgrade request.
pub const EARLY_BYTES: usize = 64 << 10;

/// Bytes a server may send before the client's first, while the flow is still worth a look.
pub const BANNER_BYTES: usize = 1_024;

/// Flows without a request that are kept as findings (refused connections).
pub const LONE_FLOWS: usize = 10_000;

/// Largest product file of the user that is read, in bytes.
pub const PRODUCT_FILE_BYTES: u64 = 1 << 20;

/// Product files of the user that are read.
pub const PRODUCT_FILES: usize = 1_000;

/// Bytes shown of a field's value by which a product was recognised.
pub const PRODUCT_EVIDENCE_BYTES: usize = 200;

/// Candidates kept whole for one analysis. Beyond it the oldest finished ones go and are counted.
pub const EXCHANGES: usize = 2_000_000;

/// Exchanges that a live capture keeps to be shown or reported at its end. Beyond them the one that ended first goes, and
/// is counted; `ndjson` keeps none that it has told.
pub const LIVE_EXCHANGES: usize = 100_000;

/// Keys and accepts remembered across exchanges.
pub const SEEN_KEYS: usize = 100_000;

/// Packet time over which exchanges are compared with each other while streaming, in seconds.
pub const SEEN_S: i64 = 120;

/// Earlier exchanges, of the same key or at the same server, that one exchange is compared with.
pub const SEEN_COMPARED: usize = 256;

/// Secrets that get a number of their own in a report; what comes later is masked without one.
pub const MASKED_SECRETS: usize = 1_000_000;

/// Ways of computing an accept that are tried for one mismatch.
pub const ACCEPT_TRIES: usize = 200_000;

/// Ways that are tried where the server's last mismatches stayed unexplained.
pub const ACCEPT_TRIES_AGAIN: usize = 500;

/// Mismatches of one server that may stay unexplained before fewer ways are tried.
pub const ACCEPT_UNEXPLAINED: u32 = 3;

/// Ways that are tried for all mismatches of one analysis together: a few seconds of hashing.
pub const ACCEPT_TRIES_TOTAL: usize = 5_000_000;

/// Requests of a capture, the first ones, of whose tunnels it is noted that nothing is wrong with their end.
pub const NOTED: u64 = 10_000;

/// Findings kept for one subject.
pub const FINDINGS_PER_SUBJECT: usize = 64;

/// Bytes kept of each direction after a 101: enough to tell frames from HTTP and TLS.
pub const AFTER_101_BYTES: usize = 16;

/// Bytes of a PROXY protocol header that are read; of a longer one the rest is passed over.
pub const PROXY_HEADER_BYTES: usize = 4 << 10;

/// TLVs kept of one PROXY protocol header.
pub const PROXY_TLVS: usize = 32;

/// Bytes of one direction of a SOCKS negotiation: the longest messages of RFC 1928 and RFC 1929
/// behind each other.
pub const SOCKS_BYTES: usize = 1_100;

/// Bytes of both sides that are held until a SOCKS proxy has answered; a client may send on before that.
pub const SOCKS_HELD_BYTES: usize = 8 << 10;

/// Tunnels inside each other in one packet, and protocols that may stand around a stream (PROXY headers,
/// SOCKS and CONNECT inside each other). What lies deeper is not looked at.
pub const NESTING: usize = 8;

/// Legs of a journey behind one of its hops that are looked at for whether it comes back to that hop's host.
pub const JOURNEY_LEGS: usize = 16;

/// Bytes a client may send while the first word of its server is waited for, on a connection that is
/// not read any further.
pub const FIRST_WORD_BYTES: u64 = 16 << 10;

/// Packet time in which a server that closes without a byte has closed at once, in milliseconds.
pub const AT_ONCE_MS: i64 = 1_000;

/// Segments of a connection joined midstream that are looked at for WebSocket frames.
pub const MIDSTREAM_SEGMENTS: u32 = 24;

/// Segments of such a connection at whose edge an HTTP start line is looked for.
pub const MIDSTREAM_EDGES: u32 = 16_384;

/// Segments of one direction at which a chain of frames may be tried to begin.
pub const MIDSTREAM_TRIES: u8 = 6;

/// Frames that must follow each other without a fault to be believed without their handshake.
pub const MIDSTREAM_FRAMES: u32 = 3;

/// Evidence that they must give, in bits: how unlikely it is that any other bytes read like that. All
/// tries of a connection together stay below one in a million.
pub const MIDSTREAM_BITS: u32 = 25;

/// Largest payload of a frame by which a chain is recognised, in bytes.
pub const MIDSTREAM_PAYLOAD_BYTES: u64 = 1 << 20;

/// Ports of one server at which a client is refused before it is taken for one that looks for open ports.
pub const SCANNED_PORTS: usize = 4;

/// Servers remembered that take PROXY headers, that speak TLS, and forward proxies.
pub const PROXY_PEERS: usize = 10_000;

/// Requests remembered by which clients poll where they get no WebSocket.
pub const POLLS: usize = 10_000;

/// Servers remembered of those that one client polled for one application.
pub const POLLED_SERVERS: usize = 16;
/// VLAN tags, labels and tunnels of one packet that are told one by one.
pub const LAYERS: usize = 16;

/// Different stacks of wrappers that are told apart; those beyond share one. A segment names its own in
/// 16 bits, and 0 is none.
pub const STACKS: usize = 65_534;

/// Fragmented IP datagrams that are put together at once. The one begun first goes first.
pub const FRAGMENTED_DATAGRAMS: usize = 1_024;

/// Pieces that one datagram may lie in.
pub const FRAGMENTS: usize = 2_048;

/// Packets of one fragmented datagram that `extract` knows of, those that came twice included.
pub const FRAGMENT_PACKETS: usize = 2_048;

/// Packets that `extract` writes because they brought a fragment: 18 MiB at the most while it runs.
pub const EXTRACTED_FRAGMENTS: usize = 1 << 20;

/// Bytes all fragments together may hold, with what is kept of each.
pub const FRAGMENT_BYTES: usize = 16 << 20;

/// Largest datagram that is put together, in bytes behind its IP header (RFC 791 §3.1).
pub const DATAGRAM_BYTES: u32 = 65_535;

/// Packet time in which all fragments of a datagram must come, in seconds. RFC 1122 §3.3.2 says 60 to
/// 120, senders repeat their identifications sooner; Linux waits 30.
pub const FRAGMENT_S: i64 = 30;

/// Seconds of packet time after a request within which the leg behind a hop must begin.
pub const JOIN_S: i64 = 10;

/// Seconds for which a proxy answers by itself what its backends refused a while before: nginx takes them for dead for
/// 10, and checks of a backend's life come every few seconds.
pub const FAILED_REMEMBERED_S: i64 = 30;

/// Connections that failed before a request, of those that its answer is explained by, the last ones.
pub const TRIES_REMEMBERED: usize = 4;

/// Requests that waited at a hop at one time, among which a connection that it opened in vain is shared out, the latest ones.
pub const TRIES_SPREAD: usize = 16;

/// Near legs compared with each far leg at most, the latest first.
pub const JOIN_CANDIDATES: usize = 64;

/// Legs of one knot of candidates that are assigned together; a larger knot stays unjoined where it is
/// not clear by itself.
pub const JOIN_KNOT: usize = 128;

/// Addresses of X-Forwarded-For that are looked at, the last ones.
pub const FORWARDED_FOR: usize = 16;

/// First messages of each direction that joining compares.
pub const JOIN_MESSAGES: usize = 4;

/// Milliseconds by which a far leg may seem to begin before, or to be answered after, the near one:
/// packets of several interfaces are not stamped in order.
pub const JOIN_SLACK_MS: i64 = 2;

/// Pairs of legs from which the difference of two clocks is estimated at most.
pub const CLOCK_PAIRS: usize = 4_096;

/// Pairs of legs whose heads are looked at to recognise the software of one hop.
pub const PAIRS_RECOGNISED: usize = 64;

/// Signs kept for each recognised software.
pub const SIGNS_SHOWN: usize = 4;

/// Marks of upgrade requests (the end of a path, a cookie, an address) by which plain requests that may be
/// legs of them are known.
pub const WANTED: usize = 4_096;

/// Answers without a request in view that are kept because what they answer may have been captured by another name.
pub const HALVES: usize = 20_000;

/// Plain requests kept because they may be legs.
pub const TENTATIVE: usize = 20_000;

/// Inputs in which one key or id may stand for their clocks to be compared by it.
pub const JOIN_INPUTS: usize = 8;

/// Addresses known as a second one of their host while a capture is streamed.
pub const HOSTS_UNITED: usize = 100_000;

/// Exchanges that wait to be joined while a capture is streamed; of more, the older half is joined at once.
pub const JOIN_OPEN: usize = 20_000;

/// Proxies that are listed, each with what its chains came to.
pub const PROXIES: usize = 10_000;

/// Milliseconds that a packet takes at most between two places where it is captured, for what is seen at both
/// to be one connection.
pub const TWIN_MS: u64 = 500;

/// Milliseconds by which clocks that the user told may still be off.
pub const TOLD_CLOCK_MS: i64 = 200;

/// Requests with keys of their own that are tried as legs behind hops that make keys; more are, of hops that
/// this shows.
pub const JOIN_LONERS: usize = 1_024;

/// Exchanges with one key of which each may be the first behind a bridge from HTTP/2; with more, none is taken for it.
pub const JOIN_CARRIED: usize = 8;

/// Bytes of the HPACK dynamic table of one direction, counted as RFC 7541 §4.1 does. Of a larger one the
/// newest entries are kept.
pub const HPACK_TABLE_BYTES: usize = 64 << 10;

/// Bytes of one decoded field list; the rest of a longer one is left out.
pub const HPACK_LIST_BYTES: usize = 64 << 10;

/// Decoded bytes of one name or value that are kept; of a longer one nothing is.
pub const HPACK_STRING_BYTES: usize = 32 << 10;

/// Bytes of a field block put together from HEADERS and CONTINUATION; one that is longer is lost.
pub const H2_BLOCK_BYTES: usize = 64 << 10;

/// CONTINUATION frames of one field block before it is called a flood; they are read on.
pub const H2_CONTINUATIONS: u32 = 64;

/// Streams of one HTTP/2 connection that are followed at once. An eighth of them, idle longest, go first.
pub const H2_STREAMS: usize = 1_024;

/// Streams that ended last, of which late frames begin no new one.
pub const H2_CLOSED: usize = 64;

/// Bytes kept of the debug data of a GOAWAY.
pub const H2_DEBUG_BYTES: usize = 64;

/// Faults told of one HTTP/2 connection; those beyond are counted.
pub const H2_FAULTS: u32 = 64;

/// HTTP/2 frame headers that must follow each other to be believed behind a hole or midstream.
pub const H2_RESYNC_FRAMES: usize = 3;

/// Longest payload of such a frame, in bytes: what every endpoint accepts (RFC 9113 §4.2).
pub const H2_RESYNC_FRAME_BYTES: u32 = 16_384;

/// Bytes held of both directions until it is certain that a connection joined midstream speaks HTTP/2.
pub const H2_MIDSTREAM_HELD_BYTES: usize = 64 << 10;

/// Bytes held of one direction while such a chain is looked for, and pieces that they came in.
pub const H2_RESYNC_BYTES: usize = 64 << 10;
pub const H2_RESYNC_PIECES: usize = 1_024;

/// Packet time for which a flow-control window must be used up to be told, in milliseconds.
pub const H2_STALL_MS: i64 = 1_000;

/// Times at which one direction of an HTTP/2 connection is found again; then it is left alone.
pub const H2_RESYNCS: u32 = 64;

/// Largest body of a TLS record that is believed, in bytes (RFC 5246 §6.2.3; RFC 8446 §5.2 allows less).
pub const TLS_RECORD_BYTES: usize = (1 << 14) + 2_048;

/// Largest TLS hello that is put together, in bytes; of a longer one nothing is read.
pub const TLS_HELLO_BYTES: usize = 64 << 10;

/// Names of ALPN kept of those that a client offers, and suites of TLS kept of its list.
pub const TLS_ALPN: usize = 32;
pub const TLS_SUITES: usize = 128;

/// Bytes of a ClientHello in pieces that are kept of a connection that nobody will read, for the name in it. With
/// a key share of X25519MLKEM768 and tickets it has some 2,000.
pub const TLS_WATCHED_HELLO_BYTES: usize = 4 << 10;

/// Names, with the protocols offered to them, under which TLS connections that are not read are counted.
pub const TLS_NAMES: usize = 64;

/// TLS records of each direction whose size and time are kept, the first ones.
pub const TLS_FIRST_RECORDS: usize = 16;

/// Milliseconds behind a client's Finished within which a server's alert is its answer to it.
pub const TLS_REFUSED_MS: i64 = 2_000;

/// Milliseconds for which a server may be silent upon a ClientHello before it counts as one that does not answer.
pub const TLS_SILENT_MS: i64 = 2_000;

/// Bytes of a direction of a TLS connection that is not read, within which its first records are looked for.
pub const SEALED_LOOKED_AT_BYTES: u64 = 256 << 10;

/// Packets of a capture that are tried as a client's Initial packet of QUIC: a second or so of work.
pub const QUIC_TRIES: u64 = 65_536;

/// QUIC connections that are remembered by their clients' first packets, the latest.
pub const QUIC_OPENING: usize = 256;

/// Bytes of a ClientHello in QUIC that are put together, and pieces of it that wait for others.
pub const QUIC_HELLO_BYTES: usize = 16 << 10;
pub const QUIC_HELLO_PIECES: usize = 128;

/// TLS connections that are not read and whose records and ends are followed at once; of others nothing is told.
pub const SEALED_OPEN: usize = 8_192;

/// TLS connections that are not read and that are kept to be told or joined.
pub const SEALED_KEPT: usize = 4_096;

/// Bytes of TLS records that one connection may hold back, waiting for their secrets.
pub const TLS_HELD_BYTES: usize = 64 << 10;

/// Bytes of TLS records that all connections together may hold back.
pub const TLS_HELD_TOTAL_BYTES: usize = 64 << 20;

/// Sequence numbers that are tried for one TLS record behind a hole.
pub const TLS_SEQUENCE_TRIES: u64 = 1_024;

/// Bytes of TLS records that may be opened in vain on one connection: a second or so of work.
pub const TLS_TRIED_BYTES: u64 = 512 << 20;

/// TLS records that may have passed before a direction spoke with its application keys, where that could not
/// be seen.
pub const TLS_HANDSHAKE_RECORDS: u64 = 64;

/// Buffers for TLS records in pieces that are kept for the next connection.
pub const TLS_SPARE_BUFFERS: usize = 64;

/// Longest line of a TLS key log that is read, in bytes; the longest with a meaning has 192.
pub const TLS_KEY_LINE_BYTES: usize = 1_024;

/// Client randoms whose TLS secrets are held. The one learnt first goes first.
pub const TLS_SECRETS: usize = 200_000;

/// Bytes of TLS secrets that are held: all of those with five secrets of 48 bytes.
pub const TLS_SECRET_BYTES: usize = TLS_SECRETS * 5 * 48;

/// Frames kept of one WebSocket to be shown: its first ones, and its last ones.
pub const FRAMES_FIRST: usize = 8;
pub const FRAMES_LAST: usize = 8;

/// Data messages kept of one direction, to be compared with those of the next leg.
pub const MESSAGES_KEPT: usize = 8;

/// Bytes that all kept frames and messages of a capture may take. What comes later keeps none, and is counted.
pub const TALK_BYTES: usize = 2 << 20;

/// Bytes of the content of one direction's messages that go into its digest.
pub const DIGEST_BYTES: u32 = 1 << 20;

/// Small messages of one direction that are watched for coming again and again.
pub const BEATS: usize = 4;

/// Messages among those that may be there because they may be a refusal, or an MQTT client's first.
pub const REFUSALS: usize = 2;

/// Largest content of such a message, in bytes.
pub const BEAT_BYTES: usize = 64;

/// Pings of one direction that are remembered until they are answered.
pub const PINGS_OPEN: usize = 8;

/// Payload bytes above which a frame is called huge.
pub const FRAME_HUGE_BYTES: u64 = 16 << 20;

/// Fragments without a byte in one message above which it is called a flood.
pub const EMPTY_FRAGMENTS: u32 = 100;

/// Directions whose compressed messages are inflated at once; each takes some 50 KiB.
pub const INFLATERS: usize = 512;

/// Bytes that are inflated of one message.
pub const INFLATED_MESSAGE_BYTES: u64 = 16 << 20;

/// Bytes that are inflated of one direction.
pub const INFLATED_BYTES: u64 = 64 << 20;

/// How many times larger than on the wire a message may become before it is called a bomb.
pub const BOMB_RATIO: u64 = 1_000;

/// Compressed messages over which it is told that compression gained nothing.
pub const USELESS_MESSAGES: u32 = 100;

/// Hosts at the server ends of tunnels whose ends are remembered.
pub const TUNNEL_HOSTS: usize = 10_000;

/// Different silences, and different lives, after which one host cut tunnels.
pub const TUNNEL_CUTS: usize = 64;

/// Half seconds of all hosts in which tunnels began or ended.
pub const TUNNEL_SLOTS: usize = 100_000;

/// Half seconds of one host that are added up to know what was open at a time.
pub const TUNNEL_SLOTS_SUMMED: usize = 4_096;

/// Clients and targets whose reconnects are watched.
pub const TUNNEL_LIVES: usize = 50_000;

/// Bytes of an earlier audit that an audit is compared with.
pub const BASELINE_BYTES: u64 = 256 << 20;

/// Rows of the table in a Markdown report; more are counted.
pub const MARKDOWN_ROWS: usize = 50;

/// Faults that a Markdown report tells at length, of each kind one.
pub const MARKDOWN_BLOCKS: usize = 20;

/// Chains that a Mermaid report draws; more are counted.
pub const MERMAID_DIAGRAMS: usize = 50;

/// Rows of the list in an HTML report; more are counted.
pub const HTML_ROWS: usize = 5_000;

/// Chains that an HTML report tells at length, the worst first.
pub const HTML_DETAILS: usize = 300;

/// Marks on each line of an HTML report's time line; more are left out.
pub const HTML_MARKS: usize = 2_000;
