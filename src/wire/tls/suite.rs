//! Cipher suites (the registry of RFC 8447 §8): their names, and how a record of theirs is protected.

use Cipher::{
    Aes128Cbc, Aes128Ccm, Aes128Ccm8, Aes128Gcm, Aes256Cbc, Aes256Ccm, Aes256Ccm8, Aes256Gcm, ChaCha20Poly1305, Unread,
};

/// How the records of a suite are protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cipher {
    Aes128Gcm,
    Aes256Gcm,
    ChaCha20Poly1305,
    Aes128Ccm,
    Aes256Ccm,
    /// With a tag of 8 bytes.
    Aes128Ccm8,
    Aes256Ccm8,
    Aes128Cbc(Mac),
    Aes256Cbc(Mac),
    /// Known by name only.
    Unread,
}

/// The hash of a MAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mac {
    Sha1,
    Sha256,
    Sha384,
}

/// A cipher suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suite {
    pub number: u16,
    /// As the registry spells it.
    pub name: &'static str,
    pub cipher: Cipher,
}

/// The suite of a number. `None`: not one of the table.
pub fn find(number: u16) -> Option<&'static Suite> {
    SUITES.binary_search_by_key(&number, |s| s.number).ok().and_then(|at| SUITES.get(at))
}

impl Suite {
    /// Whether keys are derived with SHA-384 (RFC 5246 §5, RFC 8446 §7.1); else with SHA-256.
    pub fn sha384(&self) -> bool {
        self.name.ends_with("_SHA384")
    }

    /// Whether it is one of TLS 1.3 (RFC 8446 §B.4).
    pub fn is_1_3(&self) -> bool {
        self.number >> 8 == 0x13
    }
}

impl Cipher {
    /// Bytes of the key.
    pub fn key_bytes(self) -> usize {
        match self {
            Aes128Gcm | Aes128Ccm | Aes128Ccm8 | Aes128Cbc(_) => 16,
            Aes256Gcm | Aes256Ccm | Aes256Ccm8 | Aes256Cbc(_) => 32,
            ChaCha20Poly1305 => 32,
            Unread => 0,
        }
    }

    /// Bytes of the tag; 0 where there is a MAC instead.
    pub fn tag_bytes(self) -> usize {
        match self {
            Aes128Ccm8 | Aes256Ccm8 => 8,
            Aes128Cbc(_) | Aes256Cbc(_) | Unread => 0,
            _ => 16,
        }
    }

    /// Its MAC. `None`: it needs none.
    pub fn mac(self) -> Option<Mac> {
        match self {
            Aes128Cbc(mac) | Aes256Cbc(mac) => Some(mac),
            _ => None,
        }
    }
}

impl Mac {
    /// Bytes of the MAC, and of its key (RFC 5246 §A.6).
    pub fn bytes(self) -> usize {
        match self {
            Mac::Sha1 => 20,
            Mac::Sha256 => 32,
            Mac::Sha384 => 48,
        }
    }
}

const fn suite(number: u16, name: &'static str, cipher: Cipher) -> Suite {
    Suite { number, name, cipher }
}

/// By number.
static SUITES: &[Suite] = &[
    suite(0x0001, "TLS_RSA_WITH_NULL_MD5", Unread),
    suite(0x0002, "TLS_RSA_WITH_NULL_SHA", Unread),
    suite(0x0004, "TLS_RSA_WITH_RC4_128_MD5", Unread),
    suite(0x0005, "TLS_RSA_WITH_RC4_128_SHA", Unread),
    suite(0x000a, "TLS_RSA_WITH_3DES_EDE_CBC_SHA", Unread),
    suite(0x0016, "TLS_DHE_RSA_WITH_3DES_EDE_CBC_SHA", Unread),
    suite(0x002f, "TLS_RSA_WITH_AES_128_CBC_SHA", Aes128Cbc(Mac::Sha1)),
    suite(0x0030, "TLS_DH_DSS_WITH_AES_128_CBC_SHA", Aes128Cbc(Mac::Sha1)),
    suite(0x0031, "TLS_DH_RSA_WITH_AES_128_CBC_SHA", Aes128Cbc(Mac::Sha1)),
    suite(0x0032, "TLS_DHE_DSS_WITH_AES_128_CBC_SHA", Aes128Cbc(Mac::Sha1)),
    suite(0x0033, "TLS_DHE_RSA_WITH_AES_128_CBC_SHA", Aes128Cbc(Mac::Sha1)),
    suite(0x0034, "TLS_DH_anon_WITH_AES_128_CBC_SHA", Aes128Cbc(Mac::Sha1)),
    suite(0x0035, "TLS_RSA_WITH_AES_256_CBC_SHA", Aes256Cbc(Mac::Sha1)),
    suite(0x0036, "TLS_DH_DSS_WITH_AES_256_CBC_SHA", Aes256Cbc(Mac::Sha1)),
    suite(0x0037, "TLS_DH_RSA_WITH_AES_256_CBC_SHA", Aes256Cbc(Mac::Sha1)),
    suite(0x0038, "TLS_DHE_DSS_WITH_AES_256_CBC_SHA", Aes256Cbc(Mac::Sha1)),
    suite(0x0039, "TLS_DHE_RSA_WITH_AES_256_CBC_SHA", Aes256Cbc(Mac::Sha1)),
    suite(0x003a, "TLS_DH_anon_WITH_AES_256_CBC_SHA", Aes256Cbc(Mac::Sha1)),
    suite(0x003b, "TLS_RSA_WITH_NULL_SHA256", Unread),
    suite(0x003c, "TLS_RSA_WITH_AES_128_CBC_SHA256", Aes128Cbc(Mac::Sha256)),
    suite(0x003d, "TLS_RSA_WITH_AES_256_CBC_SHA256", Aes256Cbc(Mac::Sha256)),
    suite(0x003e, "TLS_DH_DSS_WITH_AES_128_CBC_SHA256", Aes128Cbc(Mac::Sha256)),
    suite(0x003f, "TLS_DH_RSA_WITH_AES_128_CBC_SHA256", Aes128Cbc(Mac::Sha256)),
    suite(0x0040, "TLS_DHE_DSS_WITH_AES_128_CBC_SHA256", Aes128Cbc(Mac::Sha256)),
    suite(0x0041, "TLS_RSA_WITH_CAMELLIA_128_CBC_SHA", Unread),
    suite(0x0045, "TLS_DHE_RSA_WITH_CAMELLIA_128_CBC_SHA", Unread),
    suite(0x0067, "TLS_DHE_RSA_WITH_AES_128_CBC_SHA256", Aes128Cbc(Mac::Sha256)),
    suite(0x0068, "TLS_DH_DSS_WITH_AES_256_CBC_SHA256", Aes256Cbc(Mac::Sha256)),
    suite(0x0069, "TLS_DH_RSA_WITH_AES_256_CBC_SHA256", Aes256Cbc(Mac::Sha256)),
    suite(0x006a, "TLS_DHE_DSS_WITH_AES_256_CBC_SHA256", Aes256Cbc(Mac::Sha256)),
    suite(0x006b, "TLS_DHE_RSA_WITH_AES_256_CBC_SHA256", Aes256Cbc(Mac::Sha256)),
    suite(0x006c, "TLS_DH_anon_WITH_AES_128_CBC_SHA256", Aes128Cbc(Mac::Sha256)),
    suite(0x006d, "TLS_DH_anon_WITH_AES_256_CBC_SHA256", Aes256Cbc(Mac::Sha256)),
    suite(0x0084, "TLS_RSA_WITH_CAMELLIA_256_CBC_SHA", Unread),
    suite(0x0088, "TLS_DHE_RSA_WITH_CAMELLIA_256_CBC_SHA", Unread),
    suite(0x008c, "TLS_PSK_WITH_AES_128_CBC_SHA", Aes128Cbc(Mac::Sha1)),
    suite(0x008d, "TLS_PSK_WITH_AES_256_CBC_SHA", Aes256Cbc(Mac::Sha1)),
    suite(0x0090, "TLS_DHE_PSK_WITH_AES_128_CBC_SHA", Aes128Cbc(Mac::Sha1)),
    suite(0x0091, "TLS_DHE_PSK_WITH_AES_256_CBC_SHA", Aes256Cbc(Mac::Sha1)),
    suite(0x0094, "TLS_RSA_PSK_WITH_AES_128_CBC_SHA", Aes128Cbc(Mac::Sha1)),
    suite(0x0095, "TLS_RSA_PSK_WITH_AES_256_CBC_SHA", Aes256Cbc(Mac::Sha1)),
    suite(0x0096, "TLS_RSA_WITH_SEED_CBC_SHA", Unread),
    suite(0x009c, "TLS_RSA_WITH_AES_128_GCM_SHA256", Aes128Gcm),
    suite(0x009d, "TLS_RSA_WITH_AES_256_GCM_SHA384", Aes256Gcm),
    suite(0x009e, "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256", Aes128Gcm),
    suite(0x009f, "TLS_DHE_RSA_WITH_AES_256_GCM_SHA384", Aes256Gcm),
    suite(0x00a0, "TLS_DH_RSA_WITH_AES_128_GCM_SHA256", Aes128Gcm),
    suite(0x00a1, "TLS_DH_RSA_WITH_AES_256_GCM_SHA384", Aes256Gcm),
    suite(0x00a2, "TLS_DHE_DSS_WITH_AES_128_GCM_SHA256", Aes128Gcm),
    suite(0x00a3, "TLS_DHE_DSS_WITH_AES_256_GCM_SHA384", Aes256Gcm),
    suite(0x00a4, "TLS_DH_DSS_WITH_AES_128_GCM_SHA256", Aes128Gcm),
    suite(0x00a5, "TLS_DH_DSS_WITH_AES_256_GCM_SHA384", Aes256Gcm),
    suite(0x00a6, "TLS_DH_anon_WITH_AES_128_GCM_SHA256", Aes128Gcm),
    suite(0x00a7, "TLS_DH_anon_WITH_AES_256_GCM_SHA384", Aes256Gcm),
    suite(0x00a8, "TLS_PSK_WITH_AES_128_GCM_SHA256", Aes128Gcm),
    suite(0x00a9, "TLS_PSK_WITH_AES_256_GCM_SHA384", Aes256Gcm),
    suite(0x00aa, "TLS_DHE_PSK_WITH_AES_128_GCM_SHA256", Aes128Gcm),
    suite(0x00ab, "TLS_DHE_PSK_WITH_AES_256_GCM_SHA384", Aes256Gcm),
    suite(0x00ac, "TLS_RSA_PSK_WITH_AES_128_GCM_SHA256", Aes128Gcm),
    suite(0x00ad, "TLS_RSA_PSK_WITH_AES_256_GCM_SHA384", Aes256Gcm),
    suite(0x00ae, "TLS_PSK_WITH_AES_128_CBC_SHA256", Aes128Cbc(Mac::Sha256)),
    suite(0x00af, "TLS_PSK_WITH_AES_256_CBC_SHA384", Aes256Cbc(Mac::Sha384)),
    suite(0x00b2, "TLS_DHE_PSK_WITH_AES_128_CBC_SHA256", Aes128Cbc(Mac::Sha256)),
    suite(0x00b3, "TLS_DHE_PSK_WITH_AES_256_CBC_SHA384", Aes256Cbc(Mac::Sha384)),
    suite(0x00b6, "TLS_RSA_PSK_WITH_AES_128_CBC_SHA256", Aes128Cbc(Mac::Sha256)),
    suite(0x00b7, "TLS_RSA_PSK_WITH_AES_256_CBC_SHA384", Aes256Cbc(Mac::Sha384)),
    suite(0x00c6, "TLS_SM4_GCM_SM3", Unread),
    suite(0x00c7, "TLS_SM4_CCM_SM3", Unread),
    suite(0x1301, "TLS_AES_128_GCM_SHA256", Aes128Gcm),
    suite(0x1302, "TLS_AES_256_GCM_SHA384", Aes256Gcm),
    suite(0x1303, "TLS_CHACHA20_POLY1305_SHA256", ChaCha20Poly1305),
    suite(0x1304, "TLS_AES_128_CCM_SHA256", Aes128Ccm),
    suite(0x1305, "TLS_AES_128_CCM_8_SHA256", Aes128Ccm8),
    suite(0xc004, "TLS_ECDH_ECDSA_WITH_AES_128_CBC_SHA", Aes128Cbc(Mac::Sha1)),
    suite(0xc005, "TLS_ECDH_ECDSA_WITH_AES_256_CBC_SHA", Aes256Cbc(Mac::Sha1)),
    suite(0xc007, "TLS_ECDHE_ECDSA_WITH_RC4_128_SHA", Unread),
    suite(0xc008, "TLS_ECDHE_ECDSA_WITH_3DES_EDE_CBC_SHA", Unread),
    suite(0xc009, "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", Aes128Cbc(Mac::Sha1)),
    suite(0xc00a, "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", Aes256Cbc(Mac::Sha1)),
    suite(0xc00e, "TLS_ECDH_RSA_WITH_AES_128_CBC_SHA", Aes128Cbc(Mac::Sha1)),
    suite(0xc00f, "TLS_ECDH_RSA_WITH_AES_256_CBC_SHA", Aes256Cbc(Mac::Sha1)),
    suite(0xc011, "TLS_ECDHE_RSA_WITH_RC4_128_SHA", Unread),
    suite(0xc012, "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA", Unread),
    suite(0xc013, "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", Aes128Cbc(Mac::Sha1)),
    suite(0xc014, "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", Aes256Cbc(Mac::Sha1)),
    suite(0xc018, "TLS_ECDH_anon_WITH_AES_128_CBC_SHA", Aes128Cbc(Mac::Sha1)),
    suite(0xc019, "TLS_ECDH_anon_WITH_AES_256_CBC_SHA", Aes256Cbc(Mac::Sha1)),
    suite(0xc023, "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256", Aes128Cbc(Mac::Sha256)),
    suite(0xc024, "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384", Aes256Cbc(Mac::Sha384)),
    suite(0xc025, "TLS_ECDH_ECDSA_WITH_AES_128_CBC_SHA256", Aes128Cbc(Mac::Sha256)),
    suite(0xc026, "TLS_ECDH_ECDSA_WITH_AES_256_CBC_SHA384", Aes256Cbc(Mac::Sha384)),
    suite(0xc027, "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256", Aes128Cbc(Mac::Sha256)),
    suite(0xc028, "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384", Aes256Cbc(Mac::Sha384)),
    suite(0xc029, "TLS_ECDH_RSA_WITH_AES_128_CBC_SHA256", Aes128Cbc(Mac::Sha256)),
    suite(0xc02a, "TLS_ECDH_RSA_WITH_AES_256_CBC_SHA384", Aes256Cbc(Mac::Sha384)),
    suite(0xc02b, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", Aes128Gcm),
    suite(0xc02c, "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", Aes256Gcm),
    suite(0xc02d, "TLS_ECDH_ECDSA_WITH_AES_128_GCM_SHA256", Aes128Gcm),
    suite(0xc02e, "TLS_ECDH_ECDSA_WITH_AES_256_GCM_SHA384", Aes256Gcm),
    suite(0xc02f, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", Aes128Gcm),
    suite(0xc030, "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", Aes256Gcm),
    suite(0xc031, "TLS_ECDH_RSA_WITH_AES_128_GCM_SHA256", Aes128Gcm),
    suite(0xc032, "TLS_ECDH_RSA_WITH_AES_256_GCM_SHA384", Aes256Gcm),
    suite(0xc035, "TLS_ECDHE_PSK_WITH_AES_128_CBC_SHA", Aes128Cbc(Mac::Sha1)),
    suite(0xc036, "TLS_ECDHE_PSK_WITH_AES_256_CBC_SHA", Aes256Cbc(Mac::Sha1)),
    suite(0xc037, "TLS_ECDHE_PSK_WITH_AES_128_CBC_SHA256", Aes128Cbc(Mac::Sha256)),
    suite(0xc038, "TLS_ECDHE_PSK_WITH_AES_256_CBC_SHA384", Aes256Cbc(Mac::Sha384)),
    suite(0xc050, "TLS_RSA_WITH_ARIA_128_GCM_SHA256", Unread),
    suite(0xc051, "TLS_RSA_WITH_ARIA_256_GCM_SHA384", Unread),
    suite(0xc05c, "TLS_ECDHE_ECDSA_WITH_ARIA_128_GCM_SHA256", Unread),
    suite(0xc05d, "TLS_ECDHE_ECDSA_WITH_ARIA_256_GCM_SHA384", Unread),
    suite(0xc060, "TLS_ECDHE_RSA_WITH_ARIA_128_GCM_SHA256", Unread),
    suite(0xc061, "TLS_ECDHE_RSA_WITH_ARIA_256_GCM_SHA384", Unread),
    suite(0xc09c, "TLS_RSA_WITH_AES_128_CCM", Aes128Ccm),
    suite(0xc09d, "TLS_RSA_WITH_AES_256_CCM", Aes256Ccm),
    suite(0xc09e, "TLS_DHE_RSA_WITH_AES_128_CCM", Aes128Ccm),
    suite(0xc09f, "TLS_DHE_RSA_WITH_AES_256_CCM", Aes256Ccm),
    suite(0xc0a0, "TLS_RSA_WITH_AES_128_CCM_8", Aes128Ccm8),
    suite(0xc0a1, "TLS_RSA_WITH_AES_256_CCM_8", Aes256Ccm8),
    suite(0xc0a2, "TLS_DHE_RSA_WITH_AES_128_CCM_8", Aes128Ccm8),
    suite(0xc0a3, "TLS_DHE_RSA_WITH_AES_256_CCM_8", Aes256Ccm8),
    suite(0xc0a4, "TLS_PSK_WITH_AES_128_CCM", Aes128Ccm),
    suite(0xc0a5, "TLS_PSK_WITH_AES_256_CCM", Aes256Ccm),
    suite(0xc0a6, "TLS_DHE_PSK_WITH_AES_128_CCM", Aes128Ccm),
    suite(0xc0a7, "TLS_DHE_PSK_WITH_AES_256_CCM", Aes256Ccm),
    suite(0xc0a8, "TLS_PSK_WITH_AES_128_CCM_8", Aes128Ccm8),
    suite(0xc0a9, "TLS_PSK_WITH_AES_256_CCM_8", Aes256Ccm8),
    suite(0xc0aa, "TLS_PSK_DHE_WITH_AES_128_CCM_8", Aes128Ccm8),
    suite(0xc0ab, "TLS_PSK_DHE_WITH_AES_256_CCM_8", Aes256Ccm8),
    suite(0xc0ac, "TLS_ECDHE_ECDSA_WITH_AES_128_CCM", Aes128Ccm),
    suite(0xc0ad, "TLS_ECDHE_ECDSA_WITH_AES_256_CCM", Aes256Ccm),
    suite(0xc0ae, "TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8", Aes128Ccm8),
    suite(0xc0af, "TLS_ECDHE_ECDSA_WITH_AES_256_CCM_8", Aes256Ccm8),
    suite(0xcca8, "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", ChaCha20Poly1305),
    suite(0xcca9, "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", ChaCha20Poly1305),
    suite(0xccaa, "TLS_DHE_RSA_WITH_CHACHA20_POLY1305_SHA256", ChaCha20Poly1305),
    suite(0xccab, "TLS_PSK_WITH_CHACHA20_POLY1305_SHA256", ChaCha20Poly1305),
    suite(0xccac, "TLS_ECDHE_PSK_WITH_CHACHA20_POLY1305_SHA256", ChaCha20Poly1305),
    suite(0xccad, "TLS_DHE_PSK_WITH_CHACHA20_POLY1305_SHA256", ChaCha20Poly1305),
    suite(0xccae, "TLS_RSA_PSK_WITH_CHACHA20_POLY1305_SHA256", ChaCha20Poly1305),
    suite(0xd001, "TLS_ECDHE_PSK_WITH_AES_128_GCM_SHA256", Aes128Gcm),
    suite(0xd002, "TLS_ECDHE_PSK_WITH_AES_256_GCM_SHA384", Aes256Gcm),
    suite(0xd003, "TLS_ECDHE_PSK_WITH_AES_128_CCM_8_SHA256", Aes128Ccm8),
    suite(0xd005, "TLS_ECDHE_PSK_WITH_AES_128_CCM_SHA256", Aes128Ccm),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order() {
        assert!(SUITES.is_sorted_by(|a, b| a.number < b.number));
        assert_eq!(find(0xc02f).map(|s| s.name), Some("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"));
        assert_eq!(find(0x0a0a), None);
    }

    #[test]
    fn a_name_says_how_records_are_protected() {
        for s in SUITES {
            let says = |word: &str| s.name.contains(word);
            let fits = match s.cipher {
                Aes128Gcm => says("AES_128_GCM"),
                Aes256Gcm => says("AES_256_GCM"),
                ChaCha20Poly1305 => says("CHACHA20_POLY1305"),
                Aes128Ccm => says("AES_128_CCM") && !says("CCM_8"),
                Aes256Ccm => says("AES_256_CCM") && !says("CCM_8"),
                Aes128Ccm8 => says("AES_128_CCM_8"),
                Aes256Ccm8 => says("AES_256_CCM_8"),
                Aes128Cbc(mac) => says("AES_128_CBC") && mac_fits(s.name, mac),
                Aes256Cbc(mac) => says("AES_256_CBC") && mac_fits(s.name, mac),
                Unread => !says("AES"),
            };
            assert!(fits, "{}", s.name);
        }
    }

    fn mac_fits(name: &str, mac: Mac) -> bool {
        name.ends_with(match mac {
            Mac::Sha1 => "_SHA",
            Mac::Sha256 => "_SHA256",
            Mac::Sha384 => "_SHA384",
        })
    }
}
