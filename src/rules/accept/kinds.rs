//! The closed list of what can be wrong with an accept: `accept_kind` of the report.

/// One kind of a wrong accept.
pub struct Kind {
    /// The word in every output.
    pub word: &'static str,
    /// What it means, in one line without a full stop.
    pub line: &'static str,
    /// What usually causes it, likeliest first.
    pub causes: &'static [&'static str],
}

/// Every kind, in the order of the documentation.
pub static KINDS: &[Kind] = &[
    Kind {
        word: "truncated",
        line: "the right value or digest, cut short",
        causes: &[
            "a buffer of the server is too small for 28 characters",
            "the server takes only a part of the 20 bytes of SHA-1",
        ],
    },
    Kind {
        word: "padding",
        line: "the right value with its base64 padding missing, repeated or not zero",
        causes: &["the server's base64 encoder leaves out the padding (a URL-safe or raw variant), or is home-made"],
    },
    Kind {
        word: "url-safe",
        line: "the right value in the URL-safe base64 alphabet (- and _ for + and /)",
        causes: &[
            "the server uses the URL-safe base64 encoder; two of three accepts are wrong, the others right by luck",
        ],
    },
    Kind {
        word: "case-changed",
        line: "the right value with its letters in another case",
        causes: &[
            "an intermediary or a framework changes the case of field values",
            "the server lower-cases the whole response head",
        ],
    },
    Kind {
        word: "whitespace-quoted",
        line: "the right value with quotes, white space or NUL in or around it",
        causes: &[
            "the server's base64 encoder adds line breaks, or its template adds quotes",
            "the server sends the NUL that ends a C string",
        ],
    },
    Kind {
        word: "hex",
        line: "the right digest in hex instead of base64",
        causes: &["the server uses the hash function's hex output (hexdigest) where base64 of the bytes is due"],
    },
    Kind {
        word: "base64-of-hex",
        line: "base64 of the right digest's hex digits instead of its bytes",
        causes: &[
            "the server encodes the hash function's hex output in base64 (sha1() of PHP without its second argument, hexdigest)",
        ],
    },
    Kind {
        word: "double-base64",
        line: "the right value encoded in base64 a second time",
        causes: &["two layers of the server encode, such as a digest function that gives base64 already"],
    },
    Kind {
        word: "echoed-key",
        line: "the request's key, sent back",
        causes: &["the server, a mock or an intermediary answers without computing anything"],
    },
    Kind {
        word: "byte-swapped",
        line: "the right digest with the bytes of each 32-bit word in reverse",
        causes: &["a home-made SHA-1 takes the machine's byte order for that of the standard"],
    },
    Kind {
        word: "constant",
        line: "the same value for different keys",
        causes: &[
            "the accept is written into the server, a mock or a configuration",
            "a cache or a recorder answers with a 101 it kept",
        ],
    },
    Kind {
        word: "other-exchange",
        line: "the right value for the key of another request",
        causes: &[
            "an intermediary answered with a 101 that it had kept from another request: a 101 must never be cached",
            "responses were crossed: the intermediary or the server mixed up two connections",
            "the server keeps the key in a variable that all connections share",
        ],
    },
    Kind {
        word: "other-leg",
        line: "the right value for the key on the next leg: an intermediary changed the key and not the accept",
        causes: &[
            "the intermediary sends a key of its own and passes on the accept to it; it must compute one for each side",
        ],
    },
    Kind {
        word: "key-decoded",
        line: "the key was decoded from base64 before it was hashed",
        causes: &["the server hashes the 16 bytes of the key; it must hash the 24 characters as they were sent"],
    },
    Kind {
        word: "key-altered",
        line: "the key was changed before it was hashed: white space, NUL, quotes, case, cut, decoded in transit",
        causes: &[
            "the server reads the field's value with its line end, white space or a wrong length",
            "an intermediary changed the key on its way to the server",
        ],
    },
    Kind {
        word: "key-literal",
        line: "an empty key, or a word like null or undefined, was hashed",
        causes: &[
            "the server did not find the key: it looks for the field name in one letter case only, or under a wrong name",
            "an intermediary removed Sec-WebSocket-Key on the way to the server",
        ],
    },
    Kind {
        word: "guid-missing",
        line: "the key was hashed without the GUID",
        causes: &["the server leaves out the GUID of RFC 6455 §1.3"],
    },
    Kind {
        word: "guid-wrong",
        line: "the key was hashed with a wrong GUID: one known from public code, one edit away, or in another dress",
        causes: &["the GUID in the server's code was mistyped or made up; it is 258EAFA5-E914-47DA-95CA-C5AB0DC85B11"],
    },
    Kind {
        word: "order-swapped",
        line: "the GUID was hashed before the key",
        causes: &["the server joins GUID and key the wrong way round; the key comes first"],
    },
    Kind {
        word: "other-hash",
        line: "another hash than SHA-1 was used, or SHA-1 twice",
        causes: &[
            "the server hashes with SHA-256, MD5 or another function, often because SHA-1 was thought unsafe; here it is fixed",
        ],
    },
    Kind {
        word: "hmac",
        line: "an HMAC was computed instead of a plain hash",
        causes: &["the server uses an HMAC function; a plain SHA-1 of key and GUID is due"],
    },
    Kind {
        word: "utf16",
        line: "key and GUID were hashed as UTF-16 text",
        causes: &[
            "the server hashes the strings of its language (two bytes a character) without making them ASCII first",
        ],
    },
    Kind {
        word: "unexplained",
        line: "no known mistake gives this value",
        causes: &[
            "the 101 was made up by something that does not speak WebSocket",
            "an intermediary that ends WebSocket itself changed the key on the way",
            "the server's own computation is wrong in a way not known here",
        ],
    },
];

/// The kind with this word.
pub fn find(word: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|k| k.word == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_closed_and_each_word_stands_once() {
        let words: std::collections::BTreeSet<_> = KINDS.iter().map(|k| k.word).collect();
        assert_eq!(words.len(), KINDS.len());
        assert_eq!(words.len(), 23);
        assert!(KINDS.iter().all(|k| !k.line.ends_with('.') && !k.causes.is_empty()));
        assert!(find("other-leg").is_some() && find("other").is_none());
    }
}
