//! The TLS layer on what openssl said to openssl (`tests/support/tls_openssl`): the suites and the habits that
//! rustls does not have.

use std::path::Path;

use hopscope::proto::tls::FailedWhy;

use super::sources;
use super::tls::Reader;

/// What stands in a .talk file.
struct Talk {
    key_log: String,
    sent: [Vec<u8>; 2],
    wire: Vec<(bool, Vec<u8>)>,
}

fn talk(name: &str) -> Talk {
    let text = sources::read(&Path::new("tests/support/tls_openssl").join(name).with_extension("talk"));
    let mut talk = Talk { key_log: String::new(), sent: Default::default(), wire: Vec::new() };
    for line in text.lines() {
        let (what, rest) = line.split_once(' ').unwrap();
        if what == "key" {
            talk.key_log += &format!("{rest}\n");
            continue;
        }
        let (side, digits) = rest.split_once(' ').unwrap();
        let bytes = (0..digits.len()).step_by(2).map(|i| u8::from_str_radix(&digits[i..i + 2], 16).unwrap()).collect();
        match what {
            "sent" => talk.sent[usize::from(side == "s")] = bytes,
            _ => talk.wire.push((side == "c", bytes)),
        }
    }
    talk
}

/// The file, the suite, and whether it is encrypt-then-MAC.
const TALKS: [(&str, &str, bool); 14] = [
    ("ccm", "TLS_ECDHE_ECDSA_WITH_AES_128_CCM", false),
    ("ccm8", "TLS_ECDHE_ECDSA_WITH_AES_256_CCM_8", false),
    ("ccm-1_3", "TLS_AES_128_CCM_SHA256", false),
    ("ccm8-1_3", "TLS_AES_128_CCM_8_SHA256", false),
    ("cbc-sha1-etm", "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", true),
    ("cbc-sha256-etm", "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256", true),
    ("cbc-sha384-etm", "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384", true),
    ("cbc-sha1", "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", false),
    ("cbc-sha256", "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256", false),
    ("cbc-sha384", "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384", false),
    ("renegotiation", "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256", true),
    ("renegotiation-gcm", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", false),
    ("key-update", "TLS_AES_128_GCM_SHA256", false),
    ("padded-1_3", "TLS_AES_256_GCM_SHA384", false),
];

fn read(talk: &Talk, piece: usize) -> Reader {
    let mut reader = Reader::new(&talk.key_log);
    for (client, bytes) in &talk.wire {
        for part in bytes.chunks(piece) {
            reader.push(*client, part);
        }
    }
    reader.close();
    reader
}

/// The piece that is the server's answer: data, and long.
fn answer(talk: &Talk) -> usize {
    let is = |&n: &usize| !talk.wire[n].0 && talk.wire[n].1[0] == 23 && talk.wire[n].1.len() > 580;
    (0..talk.wire.len()).rfind(is).unwrap()
}

#[test]
fn every_connection_of_openssl_comes_out_as_it_was_sent() {
    for (name, suite, encrypt_then_mac) in TALKS {
        let talk = talk(name);
        assert!(talk.sent[0].len() > 60 && talk.sent[1].len() > 600);
        for piece in [usize::MAX, 1_000, 7, 1] {
            let reader = read(&talk, piece);
            assert!(reader.plain == talk.sent, "{name} in pieces of {piece}");
            assert_eq!((&reader.failed, &reader.lost, &reader.blind), (&vec![], &vec![], &vec![]), "{name}");
            let facts = reader.session.facts();
            assert_eq!(facts.suite().unwrap().name, suite, "{name}");
            assert_eq!(facts.encrypt_then_mac, encrypt_then_mac, "{name}");
            assert_eq!(facts.renegotiations, u32::from(name.starts_with("renegotiation")), "{name}");
            assert_eq!(facts.server_name.as_deref(), Some(&b"ends.example"[..]));
        }
    }
}

#[test]
fn a_flipped_bit_anywhere_in_a_sealed_record_shows_nothing_of_it() {
    for (name, _, _) in TALKS {
        let clean = talk(name);
        let hit = answer(&clean);
        let length = clean.wire[hit].1.len();
        for at in [length - 1, length - 9, length - 300, length - 500] {
            let mut talk = Talk { key_log: clean.key_log.clone(), sent: clean.sent.clone(), wire: clean.wire.clone() };
            talk.wire[hit].1[at] ^= 1;
            let reader = read(&talk, usize::MAX);
            assert_eq!(reader.failed.iter().map(|f| f.why).collect::<Vec<_>>(), [FailedWhy::Tag], "{name} at {at}");
            assert!(!reader.plain[1].windows(12).any(|w| w == b"HTTP/1.1 101"), "{name} at {at}");
            assert!(reader.plain[1].ends_with(b"end\n"), "{name}: it goes on behind it");
        }
    }
}

#[test]
fn a_lost_record_is_got_over_with_a_mac_too() {
    for (name, _, _) in TALKS {
        let talk = talk(name);
        let lost = answer(&talk);
        let mut reader = Reader::new(&talk.key_log);
        for (n, (client, bytes)) in talk.wire.iter().enumerate() {
            if n == lost {
                reader.gap(*client, bytes.len());
            } else {
                reader.push(*client, bytes);
            }
        }
        reader.close();
        assert!(reader.plain[1].ends_with(b"end\n"), "{name}");
        assert_eq!((reader.failed.len(), reader.lost.len()), (0, 1), "{name}");
    }
}
