//! Why an accept is wrong: the one entrance to shapes and recipes.

use super::expected;
use super::reading::{Encoding, readings};
use super::recipe::Recipe;
use super::search::search;
use super::shape::shape;

/// How a wrong accept was probably computed: shapes that need no guess first, then what may have been
/// hashed. `wrong_guids`: known wrong GUIDs, each with what is known of it. `tries`: hashes that may
/// be computed. `None` where nothing fits, and where the accept is right.
pub fn explain(key: &[u8], found: &[u8], wrong_guids: &[(&str, &str)], tries: usize) -> Option<Recipe> {
    let mut left = tries;
    explain_within(key, found, wrong_guids, &mut left)
}

/// As [`explain`]; takes the hashes it computed off `tries`.
pub fn explain_within(key: &[u8], found: &[u8], wrong_guids: &[(&str, &str)], tries: &mut usize) -> Option<Recipe> {
    if expected(key).as_bytes() == found {
        return None;
    }
    let readings = readings(found);
    shape(key, found, &readings).or_else(|| search(key, &readings, wrong_guids, tries))
}

/// What can be said of an accept that nothing explains: its length, and the digest it may be. A
/// clause without a capital or a full stop.
pub fn what_it_is(found: &[u8]) -> String {
    let characters = match found.len() {
        1 => "it is 1 character".to_owned(),
        n => format!("it is {n} characters"),
    };
    let all = readings(found);
    let best = all
        .iter()
        .filter(|r| r.encoding != Encoding::WordsSwapped)
        .find_map(|r| Some((r, family(r.digest.len())?)))
        .or_else(|| all.first().map(|r| (r, "no digest in use")));
    match best {
        Some((r, family)) => {
            let form = match r.encoding {
                Encoding::Hex => "in hex",
                Encoding::Base64OfHex { .. } => "as hex digits in base64",
                Encoding::Base64Twice => "in base64 twice",
                Encoding::UrlSafe => "in URL-safe base64",
                Encoding::Base64 | Encoding::WordsSwapped => "in base64",
            };
            format!("{characters}: {} bytes {form}, the length of {family}", r.digest.len())
        }
        None if found.len() < 11 => format!("{characters}, too short for a digest"),
        None => format!("{characters} of text, no base64 and no hex"),
    }
}

/// The hashes whose digest has this length in bytes.
fn family(len: usize) -> Option<&'static str> {
    Some(match len {
        16 => "MD5",
        20 => "SHA-1",
        28 => "SHA-224",
        32 => "SHA-256",
        48 => "SHA-384",
        64 => "SHA-512",
        _ => return None,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]
mod tests {
    use super::super::{GUID, KeyForm, key_form};
    use super::*;
    use crate::base::limits;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;
    use sha1::{Digest as _, Sha1};

    const KEY: &[u8] = b"dGhlIHNhbXBsZSBub25jZQ==";

    /// Wrong last groups seen in public code, with the accept of the sample key where it is known.
    const KNOWN: [(&str, &str); 8] = [
        ("5AB5A9DA63B2", "wz7g+/6wKhyLRMa987EJxG8kQMA="),
        ("C5AB0DC85B1", "VItzKoTOxM89ZkhtW9idPYR/BMs="),
        ("5AB0DC85B11", "PqrUWKkukdFUBIRNpUXUnidFcM8="),
        ("5AB0DC85B11F", "tF+4yo8PvjWV9zMFht911yVrKKY="),
        ("5AB5DC085B11", "oaMi3hzjas62i/BuwYpSNXwtj5s="),
        ("5AB9DC11B5AB", "FlscFByo7EQHPKXToHKEWjb17RQ="),
        ("C5AB5DC85B11", "BhIYzfwTy8IEWezaV/irm8NnSV8="),
        ("5AB9FFC3B2E8", ""),
    ];

    fn sha(parts: &[&[u8]]) -> String {
        let mut sha = Sha1::new();
        for part in parts {
            sha.update(part);
        }
        STANDARD.encode(sha.finalize())
    }

    fn of(found: &str) -> Recipe {
        explain(KEY, found.as_bytes(), &[], limits::ACCEPT_TRIES).unwrap_or_else(|| panic!("nothing explains {found}"))
    }

    #[test]
    fn every_known_recipe_is_named() {
        for (found, kind, part) in [
            ("s3pPLMBiTxaQ9kYGzzhZRbK-xOo=", "url-safe", "URL-safe"),
            ("WJfwerbIozKsJXHxxI0JTO1SQgU=", "guid-wrong", "lower case"),
            ("hHLtf2V1k8aDQZfNjw3Ia1hCwt0=", "guid-missing", "without the GUID"),
            ("2OZf2Seed9yzIpkj+zvC9KS9Mjw=", "order-swapped", "wrong way round"),
            ("BXhwxM0SZasKmCD9S4BfpPmCnEw=", "key-decoded", "decodes to"),
            ("r9/ho7dygrDPAQf/zFnJxWqPVO4=", "key-altered", "line feed behind"),
            ("BQgomKt49tqcGtJYe4ASzQz1IXI=", "guid-wrong", "GUID with a line feed"),
            ("wRn3T1d05f86S/JjgrE2dZ0BqLI=", "guid-wrong", "GUID with the NUL"),
            ("ENhfyOH3bzAxCPh+tpSqexhz57w=", "key-altered", "NUL"),
            ("kex8Ji4w0ek1Mc3Dwcf4mOpf5b4=", "key-altered", "CR LF"),
            ("s3mCG3XUBfFRrUGpYOBQiHm5i8g=", "key-altered", "space before"),
            ("xytUlkF2rVz2XzwONMCug9nn1qA=", "key-altered", "space"),
            ("jIHLlg2Ll4lVOTyDUwiw+voDDsc=", "key-altered", "double quotes"),
            ("RZWuh2JK/hL0RMgTNJFfZIAppXg=", "key-altered", "without its padding"),
            ("CAV2rT4szLbzEtluVJbfjB7GFPY=", "key-altered", "key in lower case"),
            ("JE93uw0f/vKl8uDMK0C8ztc6gVM=", "guid-wrong", "without its dashes"),
            ("/RT0V1zpbDH48QYiJP08HEjZeik=", "guid-wrong", "braces"),
            ("Kfh9QIsMVZcl6xEPYxPHzW8SZ8w=", "key-literal", "empty key"),
            ("XQrm6Chk/7FvMjgNsAUNcO619pQ=", "key-literal", "\"None\""),
            ("gH2cR3x4MfGXKljgIwL3fMYv0sY=", "key-literal", "\"undefined\""),
            ("CPa0COphauzHUG76L+nWjWRLkdA=", "key-literal", "\"null\""),
            ("gOYSbpmmlqWkVS3Q71eZLDG7Dxs=", "utf16", "UTF-16"),
            ("vWlruhjBidPqlvBVul5KBx2/bgk=", "other-hash", "hashed twice"),
            ("BKguWnClpU89ejmNzZHuX1i/Z/A=", "hmac", "of the key under the GUID"),
            ("I0LaJwpzqqaocDChnoeI5+bJdnQ=", "hmac", "of the GUID under the key"),
            ("LE96sxZPYsAGRvaQRVk4z+rEvrI=", "byte-swapped", "byte order"),
            ("s3pPLMBiTxaQ9kYGzzhZRQ==", "truncated", "16 of 20 bytes"),
            ("YjM3YTRmMmNjMDYyNGYxNjkwZjY0NjA2Y2YzODU5NDViMmJlYzRlYQ==", "base64-of-hex", "lower case"),
            ("QjM3QTRGMkNDMDYyNEYxNjkwRjY0NjA2Q0YzODU5NDVCMkJFQzRFQQ==", "base64-of-hex", "upper case"),
            ("czNwUExNQmlUeGFROWtZR3p6aFpSYksreE9vPQ==", "double-base64", "second time"),
            ("c8qeCxwB8sJPxkSckeL76bKL7f642+KYzDiR7EbKyTY=", "other-hash", "SHA-256, not SHA-1"),
            ("fI/F95pFHyUax3HLt0ktmQ==", "other-hash", "MD5, not SHA-1"),
            ("b37a4f2cc0624f1690f64606cf385945b2bec4ea", "hex", "in hex"),
            // Shapes without a vector in the list.
            ("s3pPLMBiTxaQ9kYGzzhZRbK+xOo", "padding", "without its padding"),
            ("s3pPLMBiTxaQ9kYGzzhZRbK+xOo==", "padding", "more padding"),
            ("s3pPLMBiTxaQ9kYGzzhZRbK+xOp=", "padding", "must be zero"),
            ("s3pPLMBiTxaQ9kYGzz", "truncated", "18 of its 28"),
            ("s3pplmbitxaq9kygzzhzrbk+xoo=", "case-changed", "lower case"),
            ("\"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\"", "whitespace-quoted", "quotes"),
            ("s3pPLMBiTxaQ9kY GzzhZRbK+xOo=", "whitespace-quoted", "white space"),
            ("dGhlIHNhbXBsZSBub25jZQ==", "echoed-key", "sent back"),
            ("B37A4F2CC0624F1690F64606CF385945B2BEC4EA", "hex", "in hex"),
            ("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=-wrong", "unexplained", "6 more characters behind"),
            ("", "truncated", "empty"),
        ] {
            let recipe = of(found);
            assert_eq!(recipe.kind, kind, "{found}: {}", recipe.words);
            assert!(recipe.words.contains(part), "{found}: {}", recipe.words);
        }
    }

    #[test]
    fn the_right_accept_needs_no_explanation() {
        assert_eq!(explain(KEY, b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", &[], limits::ACCEPT_TRIES), None);
    }

    #[test]
    fn what_nothing_explains_stays_unexplained() {
        for found in ["AAAAAAAAAAAAAAAAAAAAAAAAAAA=", "no", "hello world", "AAAAAAAAAAAAAAAAAAAAAA=="] {
            assert_eq!(explain(KEY, found.as_bytes(), &[], limits::ACCEPT_TRIES), None, "{found}");
        }
    }

    #[test]
    fn every_edit_of_the_guid_is_found() {
        let mut edits: Vec<Vec<u8>> = Vec::new();
        let guid = GUID.as_bytes();
        for i in 0..36 {
            edits.push([&guid[..i], &guid[i + 1..]].concat());
            if i < 35 {
                let mut swapped = guid.to_vec();
                swapped.swap(i, i + 1);
                edits.push(swapped);
            }
            for digit in b"0123456789ABCDEF" {
                let mut other = guid.to_vec();
                other[i] = *digit;
                edits.push(other);
            }
        }
        assert_eq!(edits.len(), 36 + 35 + 36 * 16);
        for edit in edits.iter().filter(|e| *e != guid) {
            let recipe = of(&sha(&[KEY, edit]));
            assert_eq!(recipe.kind, "guid-wrong");
            let text = String::from_utf8_lossy(edit);
            assert!(recipe.words.contains(&*text), "{text}: {}", recipe.words);
        }
    }

    #[test]
    fn known_wrong_guids_are_named_with_what_is_known_of_them() {
        let list: Vec<(String, &str)> = KNOWN
            .iter()
            .map(|(group, _)| (format!("258EAFA5-E914-47DA-95CA-{group}"), "seen in public code"))
            .collect();
        let list: Vec<(&str, &str)> = list.iter().map(|(guid, note)| (guid.as_str(), *note)).collect();
        for ((group, sample), (guid, _)) in KNOWN.iter().zip(&list) {
            let found = sha(&[KEY, guid.as_bytes()]);
            assert!(sample.is_empty() || *sample == found, "{group}: {found}");
            let recipe = explain(KEY, found.as_bytes(), &list, limits::ACCEPT_TRIES).unwrap();
            assert_eq!(recipe.kind, "guid-wrong");
            assert!(recipe.words.contains(group) && recipe.words.contains("seen in public code"), "{}", recipe.words);
        }
    }

    #[test]
    fn faults_may_come_together() {
        let decoded = STANDARD.decode(KEY).unwrap();
        for (found, kind, parts) in [
            (sha(&[&decoded, GUID.to_ascii_lowercase().as_bytes()]), "guid-wrong", ["decodes to", "lower case"]),
            (sha(&[GUID.as_bytes(), &decoded]), "order-swapped", ["decodes to", "wrong way round"]),
            (sha(&[KEY, b"\n"]), "guid-missing", ["line feed", "without the GUID"]),
        ] {
            let recipe = of(&found);
            assert_eq!(recipe.kind, kind, "{}", recipe.words);
            assert!(parts.iter().all(|p| recipe.words.contains(p)), "{}", recipe.words);
        }
        let hex = STANDARD.decode(sha(&[&decoded, GUID.as_bytes()])).unwrap();
        let hex: String = hex.iter().map(|b| format!("{b:02x}")).collect();
        let recipe = of(&hex);
        assert_eq!(recipe.kind, "key-decoded");
        assert!(recipe.words.ends_with(", in hex instead of base64"), "{}", recipe.words);
        let cut = sha(&[KEY]);
        let cut = STANDARD.encode(&STANDARD.decode(cut).unwrap()[..16]);
        let recipe = of(&cut);
        assert_eq!(recipe.kind, "guid-missing");
        assert!(recipe.words.ends_with(", cut to its first 16 bytes"), "{}", recipe.words);
    }

    #[test]
    fn a_recipe_explains_the_next_accept_with_one_hash() {
        let recipe = of("BXhwxM0SZasKmCD9S4BfpPmCnEw=");
        let key = b"x3JJHMbDL1EzLkh9GBhXDw==";
        let found = sha(&[&STANDARD.decode(key).unwrap(), GUID.as_bytes()]);
        assert_eq!(recipe.again(key, found.as_bytes()), Some(recipe.clone()));
        assert_eq!(recipe.again(key, b"HSmrc0sMlYUkAGmm5OPpG2HaGWk="), None);
    }

    #[test]
    fn no_more_is_hashed_than_allowed() {
        assert_eq!(explain(KEY, b"BXhwxM0SZasKmCD9S4BfpPmCnEw=", &[], 0), None);
        assert_eq!(explain(KEY, b"BXhwxM0SZasKmCD9S4BfpPmCnEw=", &[], 1), None);
    }

    #[test]
    fn an_accept_that_nothing_explains_is_described() {
        for (found, words) in [
            ("AAAAAAAAAAAAAAAAAAAAAAAAAAA=", "it is 28 characters: 20 bytes in base64, the length of SHA-1"),
            ("AAAAAAAAAAAAAAAAAAAAAA==", "it is 24 characters: 16 bytes in base64, the length of MD5"),
            ("yes", "it is 3 characters, too short for a digest"),
            ("not a digest!", "it is 13 characters of text, no base64 and no hex"),
            ("!", "it is 1 character, too short for a digest"),
            ("d41d8cd98f00b204e9800998ecf8427e", "it is 32 characters: 16 bytes in hex, the length of MD5"),
        ] {
            assert_eq!(what_it_is(found.as_bytes()), words);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_bytes_are_taken_without_a_panic(key in proptest::collection::vec(any::<u8>(), 0..200), found in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = explain(&key, &found, &[("258EAFA5", "")], 500);
            let _ = what_it_is(&found);
            let _ = key_form(&key);
        }

        #[test]
        fn sixteen_bytes_make_a_good_key(bytes in any::<[u8; 16]>()) {
            prop_assert_eq!(key_form(STANDARD.encode(bytes).as_bytes()), KeyForm::Good);
        }
    }
}
