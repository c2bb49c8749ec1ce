//! What is known of products and backends, as data: one file each, and how they are recognised.
//!
//! A new product is a new TOML file and its line in `FILES`; docs/CONTRIBUTING.md says how.

mod data;
mod load;
mod pattern;
mod recognise;
pub mod said;

use std::borrow::Cow;
use std::path::Path;
use std::sync::OnceLock;

use memchr::memmem;

use crate::base::Nanos;
use crate::model::{Confidence, Exchange, FaultClass, Fix, Head, KnownLimit, LimitKind, Text};
pub use data::{
    BackendBody, Case, ClassEntry, Ends, EndsWebSocket, ErrorPage, Fingerprint, FixEntry, Heartbeat, Product, Says,
    SaysClose, SaysNo, ServerSoftware, Side, Timeout, TimeoutKind, WrongGuid,
};
pub use load::{Error, load_user_dir};
pub use recognise::Recognised;

/// Slug and text of every product's file, sorted.
macro_rules! files {
    ($($slug:literal)*) => { [$(($slug, include_str!(concat!($slug, ".toml")))),*] };
}

static FILES: &[(&str, &str)] = &files! {
    "apache"
    "api-gateway"
    "ats"
    "aws-alb"
    "aws-clb"
    "aws-nat"
    "aws-nlb"
    "azure-app-gateway"
    "azure-app-service"
    "azure-front-door"
    "azure-lb"
    "bluecoat"
    "caddy"
    "cloudflare"
    "cloudfront"
    "envoy"
    "f5"
    "fastly"
    "fly"
    "go-reverseproxy"
    "google-lb"
    "h2o"
    "haproxy"
    "heroku"
    "iis-arr"
    "ingress-nginx"
    "ironport"
    "istio"
    "kong"
    "lighttpd"
    "mitmproxy"
    "netscaler"
    "nghttpx"
    "nginx"
    "node-http-proxy"
    "oci-lb"
    "openresty"
    "openshift-router"
    "squid"
    "tengine"
    "tinyproxy"
    "traefik"
    "varnish"
    "zscaler"
};

static BUILTIN: Products = Products { known: OnceLock::new(), guids: OnceLock::new() };

/// All that is known: the built-in data, and the user's. Read when it is first asked for: a capture in
/// which nothing is wrong needs none of it.
#[derive(Clone, Debug)]
pub struct Products {
    known: OnceLock<Known>,
    guids: OnceLock<Vec<WrongGuid>>,
}

#[derive(Clone, Debug)]
struct Known {
    list: Vec<Product>,
    index: recognise::Index,
    bodies: Vec<BackendBody>,
    servers: Vec<ServerSoftware>,
    classes: Vec<ClassEntry>,
}

/// Read when the first one is asked for.
static HEARTBEATS: OnceLock<Vec<Heartbeat>> = OnceLock::new();

/// The heartbeat that a message with this content is. `agreed`: the subprotocol that the 101 chose. `None`: none that is
/// known.
pub fn heartbeat(is_text: bool, content: &[u8], agreed: Option<&[u8]>) -> Option<&'static Heartbeat> {
    let read = || load::heartbeats("heartbeats.toml", include_str!("heartbeats.toml")).map(|h| h.heartbeat);
    let known = HEARTBEATS.get_or_init(|| read().unwrap_or_default());
    known.iter().find(|beat| {
        let fits = match (is_text, &beat.text, &beat.hex) {
            (true, Some(text), _) => pattern::matches(text, content),
            (false, _, Some(hex)) => content.len() * 2 == hex.len() && pattern::begins_hex(hex, content),
            _ => false,
        };
        fits && beat.subprotocol.as_ref().is_none_or(|name| agreed == Some(name.as_bytes()))
    })
}

impl Products {
    /// What comes with the program; read once.
    pub fn builtin() -> &'static Products {
        &BUILTIN
    }

    /// The built-in data and the products of a folder. A file of the user's takes the place of the
    /// built-in product with the same slug. A folder that is not there adds nothing.
    pub fn with_user_dir(dir: &Path) -> Result<Products, Error> {
        let mut list = BUILTIN.known().list.clone();
        for product in load_user_dir(dir)? {
            match list.iter_mut().find(|known| known.slug == product.slug) {
                Some(known) => *known = product,
                None => list.push(product),
            }
        }
        Ok(Products { known: OnceLock::from(Known::new(list)), guids: OnceLock::new() })
    }

    fn known(&self) -> &Known {
        self.known.get_or_init(|| {
            // What does not load is left out; a test holds that there is nothing of the kind.
            let list = FILES.iter().filter_map(|(slug, text)| load::product(&format!("{slug}.toml"), slug, text).ok());
            Known::new(list.collect())
        })
    }

    /// All products, built-in ones by slug, then the user's own.
    pub fn iter(&self) -> impl Iterator<Item = &Product> {
        self.known().list.iter()
    }

    pub fn get(&self, slug: &str) -> Option<&Product> {
        self.known().list.iter().find(|product| product.slug == slug)
    }

    /// The product that wrote the response on this leg, or passed it on last, by the signs of its head
    /// and content. `None` without a response or a sign.
    pub fn responder(&self, x: &Exchange) -> Option<Recognised<'_>> {
        self.responder_of(x.response.as_ref()?, &x.body)
    }

    /// As [`Products::responder`], for a head and the first bytes of its content.
    pub fn responder_of(&self, response: &Head, body: &[u8]) -> Option<Recognised<'_>> {
        let known = self.known();
        known.index.response(&known.list, response, body)
    }

    /// The proxy that sent this request, by the marks it leaves there. `None` where it shows none; a
    /// client of its own looks like that.
    pub fn request_hop(&self, request: &Head) -> Option<Recognised<'_>> {
        let known = self.known();
        known.index.request(&known.list, request)
    }

    /// The product whose own error page this is, and what the page says. The page may have been relayed.
    pub fn error_page(&self, status: u16, body: &[u8]) -> Option<(&Product, &ErrorPage)> {
        let (product, page) = recognise::error_page(&self.known().list, status, body)?;
        Some((self.known().list.get(product)?, page))
    }

    /// Whether a proxy wrote the response on this leg by itself: it is a page of its own, or bears a sign
    /// that only such answers have.
    pub fn writes_itself(&self, x: &Exchange) -> bool {
        let page = x.status().is_some_and(|status| self.error_page(status, &x.body).is_some());
        page || self.responder(x).is_some_and(|found| found.own && found.confidence >= Confidence::Likely)
    }

    /// The backend's error that this content is: the longest known fragment in it, whoever passed it on.
    /// `status`: 0 where it is not known.
    pub fn backend_body(&self, status: u16, body: &[u8]) -> Option<&BackendBody> {
        self.known()
            .bodies
            .iter()
            .filter(|known| status == 0 || known.status.is_empty() || known.status.contains(&status))
            .filter(|known| memmem::find(body, known.fragment.as_bytes()).is_some())
            .max_by_key(|known| known.fragment.len())
    }

    /// The backend software that the response names, and the field that names it. Proxies that relay the
    /// backend's `Server` (HAProxy, Apache, Squid, Varnish) are not it.
    pub fn server_software(&self, response: &Head) -> Option<(&ServerSoftware, Text)> {
        self.known().servers.iter().find_map(|known| {
            let value = response.first_value(&known.field)?;
            pattern::matches(&known.value, value).then(|| {
                let shown = value.get(..crate::base::limits::PRODUCT_EVIDENCE_BYTES).unwrap_or(value);
                (known, Text::own(known.field.clone()).say(": ").field(known.field.as_bytes(), shown))
            })
        })
    }

    /// GUIDs that programs hash in place of the right one.
    pub fn wrong_guids(&self) -> &[WrongGuid] {
        let read = || load::guids("guids.toml", include_str!("guids.toml")).map(|g| g.guid).unwrap_or_default();
        self.guids.get_or_init(read)
    }

    /// Every known time-out with its product, for a gap or a life that was measured.
    pub fn timeouts(&self) -> impl Iterator<Item = (&Product, &Timeout)> {
        self.known().list.iter().flat_map(|product| product.timeout.iter().map(move |timeout| (product, timeout)))
    }

    /// The limits that end tunnels, of all products.
    pub fn limits(&self) -> Vec<KnownLimit> {
        let of = |(product, timeout): (&Product, &Timeout)| {
            let kind = match timeout.kind {
                TimeoutKind::Idle => LimitKind::Idle,
                TimeoutKind::Lifetime => LimitKind::Lifetime,
                TimeoutKind::Head | TimeoutKind::Shutdown => return None,
            };
            timeout.tunnels.then(|| KnownLimit {
                slug: product.slug.as_str().into(),
                kind_of: product.kind_of.as_deref().map(Into::into),
                product: product.name.as_str().into(),
                kind,
                length: Nanos::from_secs(timeout.seconds.into()),
                setting: timeout.setting.as_str().into(),
                guess: timeout.guess,
            })
        };
        self.timeouts().filter_map(of).collect()
    }

    /// What mends this class of faults in this product: one fix per range of versions, its parts joined.
    /// Empty where the product does it right by itself, or where nothing is known.
    pub fn fixes(&self, product: &Product, class: FaultClass) -> Vec<Fix> {
        let own = join_parts(product, class);
        if !own.is_empty() {
            return own;
        }
        let same = product.fixes_of.as_deref().and_then(|slug| self.get(slug));
        let borrowed = same.map(|base| join_parts(base, class)).unwrap_or_default();
        borrowed.into_iter().map(|fix| Fix { product: Cow::Owned(product.name.clone()), ..fix }).collect()
    }

    /// For a product that is not known: first what to do in words (product `any`), then the fixes of the
    /// commonest products.
    pub fn class_fixes(&self, class: FaultClass) -> Vec<Fix> {
        let Some(entry) = self.known().classes.iter().find(|entry| entry.class == class) else { return Vec::new() };
        let words = Fix {
            product: Cow::Borrowed("any"),
            versions: Cow::Borrowed(""),
            text: Cow::Owned(entry.text.trim_end().to_owned()),
        };
        let common = entry.products.iter().filter_map(|slug| self.get(slug));
        std::iter::once(words).chain(common.flat_map(|product| self.fixes(product, class))).collect()
    }
}

impl Known {
    fn new(list: Vec<Product>) -> Known {
        let backends = load::backends("backends.toml", include_str!("backends.toml")).ok();
        let (bodies, servers) = backends.map(|b| (b.body, b.server)).unwrap_or_default();
        Known {
            index: recognise::Index::new(&list),
            list,
            bodies,
            servers,
            classes: load::classes("classes.toml", include_str!("classes.toml")).map(|c| c.class).unwrap_or_default(),
        }
    }
}

/// A product's fixes of one class, parts of one change joined by an empty line.
fn join_parts(product: &Product, class: FaultClass) -> Vec<Fix> {
    let mut fixes: Vec<Fix> = Vec::new();
    for part in product.fix.iter().filter(|part| part.class == class) {
        let text = part.text.trim_end();
        match fixes.iter_mut().find(|fix| fix.versions == part.versions) {
            Some(fix) => {
                let joined = fix.text.to_mut();
                joined.push_str("\n\n");
                joined.push_str(text);
            }
            None => fixes.push(Fix {
                product: Cow::Owned(product.name.clone()),
                versions: Cow::Owned(part.versions.clone()),
                text: Cow::Owned(text.to_owned()),
            }),
        }
    }
    fixes
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use base64::Engine as _;
    use sha1::{Digest as _, Sha1};

    use super::*;
    use crate::base::{PacketRef, Timestamp};
    use crate::model::{Field, LineFaults, Mark, StartLine};

    /// A head from its text; lines end in LF here.
    pub(in crate::products) fn head(text: &str) -> Head {
        let at = |from: usize, to: usize| u32::try_from(from).unwrap()..u32::try_from(to).unwrap();
        let first = text.lines().next().unwrap();
        let space = first.find(' ').unwrap();
        let start = if first.starts_with("HTTP/") {
            let status = first[space + 1..].split(' ').next().unwrap().parse().unwrap();
            StartLine::Response { version: at(0, space), status, reason: at(space + 4, first.len()) }
        } else {
            let version = first.rfind(' ').unwrap();
            StartLine::Request {
                method: at(0, space),
                target: at(space + 1, version),
                version: at(version + 1, first.len()),
            }
        };
        let mut from = first.len() + 1;
        let mut fields = Vec::new();
        for line in text.lines().skip(1) {
            let colon = line.find(':').unwrap();
            let value = at(from + (colon + 2).min(line.len()), from + line.len());
            fields.push(Field { name: at(from, from + colon), value, faults: LineFaults::NONE, mark: Mark::default() });
            from += line.len() + 1;
        }
        Head {
            text: text.as_bytes().into(),
            start,
            fields: fields.into(),
            names: crate::model::Names::default(),
            faults: LineFaults::NONE,
            complete: true,
            coded: false,
            at: PacketRef::default(),
            at_last: PacketRef::default(),
            first: Timestamp::default(),
            last: Timestamp::default(),
            range: 0..text.len() as u64,
        }
    }

    fn response(text: &str, body: &str) -> Option<(String, Option<String>, Confidence)> {
        let found = Products::builtin().responder_of(&head(text), body.as_bytes())?;
        Some((found.product.slug.clone(), found.version, found.confidence))
    }

    fn request(text: &str) -> Option<(String, Option<String>, Confidence)> {
        let found = Products::builtin().request_hop(&head(text))?;
        Some((found.product.slug.clone(), found.version, found.confidence))
    }

    fn slug(found: Option<(String, Option<String>, Confidence)>, least: Confidence) -> String {
        found.filter(|f| f.2 >= least).map(|f| f.0).unwrap_or_default()
    }

    #[test]
    fn the_list_is_the_folder_sorted() {
        let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/src/products");
        let names = fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
        let other = ["answers", "backends", "classes", "closes", "guids", "heartbeats", "refusals"];
        let slugs = names.filter_map(|n| n.strip_suffix(".toml").map(str::to_owned));
        let folder: BTreeSet<String> = slugs.filter(|s| !other.contains(&s.as_str())).collect();
        let list: Vec<String> = FILES.iter().map(|(slug, _)| (*slug).to_owned()).collect();
        assert_eq!(list, folder.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn a_heartbeat_is_known_by_its_whole_content_and_its_protocol() {
        let name = |text, content: &[u8], agreed| heartbeat(text, content, agreed).map(|beat| &*beat.protocol);
        assert_eq!(name(true, b"2", None), Some("Engine.IO"));
        assert_eq!(name(false, b"\xc0\x00", None), Some("MQTT"));
        assert_eq!(name(true, br#"[null,"17","phoenix","heartbeat",{}]"#, None), Some("Phoenix Channels"));
        let ping: &[u8] = br#"{"type":"ping"}"#;
        assert_eq!(name(true, ping, Some(b"graphql-transport-ws")), Some("GraphQL over WebSocket"));
        for (text, content) in [(true, ping), (true, &b"22"[..]), (true, b""), (false, b"\xc0"), (false, b"\xc0\0\0")] {
            assert_eq!(name(text, content, None), None, "{content:?}");
        }
    }

    #[test]
    fn every_file_loads() {
        for (slug, text) in FILES {
            if let Err(e) = load::product(&format!("{slug}.toml"), slug, text) {
                panic!("{e}");
            }
        }
        for error in [
            load::backends("backends.toml", include_str!("backends.toml")).err(),
            load::guids("guids.toml", include_str!("guids.toml")).err(),
            load::classes("classes.toml", include_str!("classes.toml")).err(),
            load::heartbeats("heartbeats.toml", include_str!("heartbeats.toml")).err(),
            load::answers(said::ANSWERS_FILE, said::ANSWERS_TEXT).err(),
            load::closes(said::CLOSES_FILE, said::CLOSES_TEXT).err(),
            load::refusals(said::REFUSALS_FILE, said::REFUSALS_TEXT).err(),
        ] {
            assert!(error.is_none(), "{}", error.unwrap());
        }
    }

    #[test]
    fn what_refers_to_another_product_names_one_that_is_there() {
        let products = Products::builtin();
        for product in products.iter() {
            for slug in product.kind_of.iter().chain(&product.fixes_of) {
                assert!(products.get(slug).is_some_and(|base| base.slug != product.slug), "{}: {slug}", product.slug);
            }
        }
        assert_eq!(products.known().classes.len(), FaultClass::ALL.len());
        for class in FaultClass::ALL {
            let entry = products.known().classes.iter().find(|entry| entry.class == class).unwrap();
            assert!(entry.products.len() <= 3);
            for slug in &entry.products {
                let product = products.get(slug).unwrap();
                assert!(!products.fixes(product, class).is_empty(), "{slug} has no fix for {}", class.word());
            }
            let fixes = products.class_fixes(class);
            assert_eq!(fixes[0].product, "any");
            assert!(fixes.len() > entry.products.len());
        }
    }

    #[test]
    fn the_sample_accepts_of_the_wrong_guids_are_right() {
        let mut samples = 0;
        for wrong in Products::builtin().wrong_guids() {
            let Some(sample) = &wrong.sample_accept else { continue };
            let hash = Sha1::new().chain_update("dGhlIHNhbXBsZSBub25jZQ==").chain_update(&wrong.guid).finalize();
            assert_eq!(&base64::engine::general_purpose::STANDARD.encode(hash), sample, "{}", wrong.guid);
            samples += 1;
        }
        assert!(samples >= 7);
        let tutorial = "258EAFA5-E914-47DA-95CA-5AB5A9DA63B2";
        assert!(Products::builtin().wrong_guids().iter().any(|wrong| wrong.guid == tutorial));
    }

    #[test]
    fn nginx_is_known_by_its_server_field_and_by_how_it_writes_a_request() {
        let answer = "HTTP/1.1 505 HTTP Version Not Supported\nServer: nginx/1.22.1\nDate: x\nContent-Type: text/plain\nConnection: keep-alive";
        assert_eq!(response(answer, ""), Some(("nginx".to_owned(), Some("1.22.1".to_owned()), Confidence::Certain)));
        let bare =
            "GET /chat HTTP/1.0\nHost: b:8080\nConnection: close\nSec-WebSocket-Key: k\nSec-WebSocket-Version: 13";
        assert_eq!(slug(request(bare), Confidence::Likely), "nginx");
        assert_eq!(slug(request(&bare.replace("1.0", "1.1")), Confidence::Likely), "nginx");
        let both = "GET /chat HTTP/1.1\nUpgrade: websocket\nConnection: upgrade\nHost: b:8080\nSec-WebSocket-Key: k";
        assert_eq!(slug(request(both), Confidence::Likely), "nginx");
        let browser = "GET /chat HTTP/1.1\nHost: a\nConnection: Upgrade\nPragma: no-cache\nUser-Agent: Mozilla/5.0\nUpgrade: websocket\nOrigin: https://a\nSec-WebSocket-Version: 13\nSec-WebSocket-Key: k";
        assert_eq!(slug(request(browser), Confidence::Possible), "");
    }

    #[test]
    fn a_look_alike_of_nginx_is_not_nginx() {
        let answer =
            |server: &str| format!("HTTP/1.1 502 Bad Gateway\nServer: {server}\nDate: x\nContent-Type: text/html");
        assert_eq!(slug(response(&answer("openresty/1.21.4.1"), ""), Confidence::Certain), "openresty");
        let page = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n</body>\r\n</html>";
        assert_eq!(slug(response(&answer("awselb/2.0"), page), Confidence::Certain), "aws-alb");
        let nginx = page.replace("</center>\r\n", "</center>\r\n<hr><center>nginx</center>\r\n");
        let (product, page) = Products::builtin().error_page(502, nginx.as_bytes()).unwrap();
        assert_eq!(product.slug, "nginx");
        assert!(page.means.contains("no valid answer"));
    }

    #[test]
    fn haproxy_is_known_by_its_pages_and_by_lower_case_names() {
        let page = "<html><body><h1>503 Service Unavailable</h1>\nNo server is available to handle this request.\n</body></html>";
        let own =
            "HTTP/1.1 503 Service Unavailable\ncontent-length: 107\ncache-control: no-cache\ncontent-type: text/html";
        assert_eq!(slug(response(own, page), Confidence::Certain), "haproxy");
        let relayed = "HTTP/1.1 101 Switching Protocols\ndate: x\nupgrade: websocket\nconnection: Upgrade\nsec-websocket-accept: a\nserver: nginx/1.22.1";
        assert_eq!(slug(response(relayed, ""), Confidence::Likely), "haproxy");
        let sent = "GET /chat HTTP/1.1\nhost: a\nupgrade: websocket\nconnection: Upgrade\nsec-websocket-key: k\nsec-websocket-version: 13\nuser-agent: Python/3.11 websockets/12";
        assert_eq!(slug(request(sent), Confidence::Likely), "haproxy");
        let client = sent.replace("Python/3.11 websockets/12", "node");
        assert!(request(&client).unwrap().2 == Confidence::Possible);
    }

    #[test]
    fn apache_is_known_by_what_it_appends() {
        let sent = "GET /chat HTTP/1.1\nHost: b\nSec-WebSocket-Key: k\nX-Forwarded-For: 1\nX-Forwarded-Host: a\nX-Forwarded-Server: s\nConnection: Keep-Alive";
        assert_eq!(slug(request(sent), Confidence::Certain), "apache");
        let up = sent.replace("Keep-Alive", "Upgrade\nUpgrade: websocket");
        assert_eq!(slug(request(&up), Confidence::Certain), "apache");
        let own = "HTTP/1.1 503 Service Unavailable\nDate: x\nServer: Apache/2.4.71 (Debian)\nContent-Length: 339";
        assert_eq!(response(own, "").unwrap().1.as_deref(), Some("2.4.71"));
    }

    #[test]
    fn hops_that_write_via_are_known_by_its_last_member() {
        let answer = "HTTP/1.1 404 Not Found\nDate: x\nX-Varnish: 2\nAge: 0\nVia: 1.1 h (squid/5.7), 1.1 varnish (Varnish/7.1)\nConnection: keep-alive";
        assert_eq!(response(answer, ""), Some(("varnish".to_owned(), Some("7.1".to_owned()), Confidence::Certain)));
        let squid = "GET /chat HTTP/1.1\nSec-WebSocket-Key: k\nHost: b\nVia: 1.1 h (squid/5.7)\nX-Forwarded-For: 1\nCache-Control: max-age=259200\nConnection: keep-alive";
        assert_eq!(request(squid), Some(("squid".to_owned(), Some("5.7".to_owned()), Confidence::Certain)));
        let caddy = "GET /chat HTTP/1.1\nHost: b\nUser-Agent: x\nConnection: Upgrade\nSec-Websocket-Key: k\nVia: 2.0 Caddy\nX-Forwarded-For: 1";
        assert_eq!(slug(request(caddy), Confidence::Certain), "caddy");
        let nghttpx = "GET /chat HTTP/1.1\nHost: b\nSec-Websocket-Key: k\nUpgrade: websocket\nConnection: Upgrade\nX-Forwarded-Proto: http\nVia: 1.1 nghttpx";
        assert_eq!(slug(request(nghttpx), Confidence::Certain), "nghttpx");
        let tiny =
            "GET /chat HTTP/1.1\nHost: b\nConnection: close\nVia: 1.1 vm (tinyproxy/1.11.1)\nSec-WebSocket-Key: k";
        assert_eq!(slug(request(tiny), Confidence::Likely), "tinyproxy");
    }

    #[test]
    fn varnish_envoy_and_node_are_known_by_their_requests() {
        let pass = "GET /chat HTTP/1.1\nSec-WebSocket-Key: k\nHost: a\nX-Forwarded-For: 1\nX-Varnish: 3";
        assert_eq!(slug(request(pass), Confidence::Certain), "varnish");
        let pipe = format!("{pass}\nupgrade: websocket\nconnection: Upgrade");
        assert_eq!(slug(request(&pipe), Confidence::Certain), "varnish");
        let envoy = "GET /chat HTTP/1.1\nhost: a\nupgrade: websocket\nconnection: Upgrade\nsec-websocket-key: k\nuser-agent: Python/3\nx-forwarded-proto: http\nx-request-id: 55d6a4c4-df39-452c-b40e-2e3a1e6693f3\nx-envoy-expected-rq-timeout-ms: 15000";
        assert_eq!(slug(request(envoy), Confidence::Certain), "envoy");
        assert_eq!(
            slug(
                response("HTTP/1.1 403 Forbidden\ndate: x\nserver: envoy\nconnection: close", ""),
                Confidence::Certain
            ),
            "envoy"
        );
        assert_eq!(
            slug(
                response("HTTP/1.1 403 Forbidden\ndate: x\nserver: istio-envoy\nx-envoy-upstream-service-time: 1", ""),
                Confidence::Certain
            ),
            "istio"
        );
        let node = "GET /chat HTTP/1.1\nuser-agent: Python/3\nsec-websocket-version: 13\nsec-websocket-key: k\nconnection: Upgrade\nupgrade: websocket\nhost: a";
        assert_eq!(slug(request(node), Confidence::Likely), "node-http-proxy");
    }

    #[test]
    fn a_relayed_server_field_is_no_product_but_the_backend() {
        let answer = "HTTP/1.1 404 Not Found\nContent-Length: 1\nServer: Python/3.11 websockets/12.0";
        assert_eq!(response(answer, ""), None);
        assert_eq!(Products::builtin().server_software(&head(answer)).unwrap().0.stack, "Python websockets");
    }

    #[test]
    fn two_products_with_good_signs_are_only_likely() {
        let answer = "HTTP/1.1 200 OK\nDate: x\nServer: nginx/1.25.3\nX-Varnish: 2\nAge: 0\nVia: 1.1 varnish (Varnish/7.1)\nConnection: keep-alive";
        assert_eq!(response(answer, "").unwrap(), ("varnish".to_owned(), Some("7.1".to_owned()), Confidence::Likely));
        let front = "HTTP/1.1 200 OK\nServer: nginx/1.25.3\nDate: x\nConnection: keep-alive\nX-Varnish: 2\nAge: 0\nVia: 1.1 varnish (Varnish/7.1)";
        assert_eq!(response(front, "").unwrap(), ("nginx".to_owned(), Some("1.25.3".to_owned()), Confidence::Likely));
    }

    #[test]
    fn evidence_shows_the_field_and_never_a_cookies_value() {
        let answer = head("HTTP/1.1 200 OK\nDate: x\nSet-Cookie: BIGipServerpool=secret; path=/");
        let found = Products::builtin().responder_of(&answer, b"").unwrap();
        assert_eq!(found.product.slug, "f5");
        assert!(!format!("{:?}", found.evidence).contains(&format!("{:?}", b"secret")[1..20]));
        assert_eq!(
            found.evidence[0],
            Text::new().bytes(b"Set-Cookie").say(" with the cookie ").bytes(b"BIGipServerpool")
        );
    }

    #[test]
    fn the_longest_fragment_of_a_backends_body_counts() {
        let products = Products::builtin();
        let body = b"Failed to open a WebSocket connection: invalid Connection header: close.\n";
        let known = products.backend_body(426, body).unwrap();
        assert_eq!((known.stack.as_str(), known.class), ("Python websockets", Some(FaultClass::Fwd)));
        assert_eq!(
            products.backend_body(400, b"{\"code\":1,\"message\":\"Session ID unknown\"}").unwrap().class,
            Some(FaultClass::Stick)
        );
        assert!(products.backend_body(404, b"Upgrade Required").is_none());
        assert!(products.backend_body(0, b"").is_none());
    }

    #[test]
    fn an_own_page_says_whose_it_is_and_may_say_what_mends_it() {
        let of = |status, body: &str| {
            let found = Products::builtin().error_page(status, body.as_bytes());
            found.map(|(product, page)| (product.slug.as_str(), page.class))
        };
        let nginx = |line: &str, end: &str| format!("<center><h1>{line}</h1></center>\r\n{end}<hr><center>nginx");
        assert_eq!(of(301, &nginx("301 Moved Permanently", "")), Some(("nginx", None)));
        assert_eq!(of(401, &nginx("401 Authorization Required", "")), Some(("nginx", Some(FaultClass::Limit))));
        assert_eq!(of(502, &nginx("502 Bad Gateway", "")), Some(("nginx", None)));
        let large = "<center>Request Header Or Cookie Too Large</center>\r\n";
        assert_eq!(of(400, &nginx("400 Bad Request", large)), Some(("nginx", Some(FaultClass::Head))));
        let openresty = nginx("400 Bad Request", large).replace("<center>nginx", "<center>openresty");
        assert_eq!(of(400, &openresty), Some(("openresty", Some(FaultClass::Head))));
        let denied = "<h1>403 Forbidden</h1>\nRequest forbidden by administrative rules.\n";
        assert_eq!(of(403, denied), Some(("haproxy", Some(FaultClass::Limit))));
        let squid = "Copyright (C) 1996-2021 The Squid Software Foundation and contributors\">\n";
        assert_eq!(of(403, squid), Some(("squid", Some(FaultClass::Limit))));
        assert_eq!(of(431, squid), Some(("squid", Some(FaultClass::Head))));
        assert_eq!(of(502, squid), Some(("squid", None)));
        let varnish = "<h3>Guru Meditation:</h3>\n    <p>XID: 2</p>";
        assert_eq!(of(403, varnish), Some(("varnish", Some(FaultClass::Limit))));
        assert_eq!(of(503, varnish), Some(("varnish", None)));
    }

    #[test]
    fn fields_turned_around_are_node_http_proxy_and_not_the_clients_own_order() {
        let ask = |names: &str| {
            let fields = names.split(' ').map(|name| format!("\n{name}: x")).collect::<String>();
            request(&format!("GET /chat HTTP/1.1{fields}")).map(|found| (found.0, found.2))
        };
        let turned =
            "user-agent sec-websocket-extensions sec-websocket-version sec-websocket-key connection upgrade host";
        assert_eq!(ask(turned), Some(("node-http-proxy".to_owned(), Confidence::Certain)));
        // As the client ws of Node.js writes them, behind a hop that lowers names.
        let relayed = "sec-websocket-version sec-websocket-key connection upgrade sec-websocket-extensions host";
        assert_eq!(ask(relayed), Some(("haproxy".to_owned(), Confidence::Possible)));
    }

    #[test]
    fn fixes_are_in_the_products_own_language() {
        let products = Products::builtin();
        let nginx = products.fixes(products.get("nginx").unwrap(), FaultClass::Fwd);
        assert_eq!(nginx.len(), 1);
        for line in ["map $http_upgrade", "proxy_http_version 1.1;", "proxy_set_header Upgrade $http_upgrade;"] {
            assert!(nginx[0].text.contains(line), "{line}");
        }
        let openresty = products.fixes(products.get("openresty").unwrap(), FaultClass::Fwd);
        assert_eq!((openresty[0].product.as_ref(), &openresty[0].text), ("OpenResty", &nginx[0].text));
        let apache = products.fixes(products.get("apache").unwrap(), FaultClass::Fwd);
        assert_eq!(
            apache.iter().map(|fix| fix.versions.as_ref()).collect::<Vec<_>>(),
            ["2.4.47 and later", "before 2.4.47"]
        );
        assert!(products.fixes(products.get("netscaler").unwrap(), FaultClass::Fwd).is_empty());
    }

    #[test]
    fn a_users_file_takes_the_place_of_the_built_in_one() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("nginx.toml"), "format = 1\nslug = \"nginx\"\nname = \"our nginx\"\n").unwrap();
        fs::write(dir.path().join("own.toml"), "format = 1\nslug = \"own\"\nname = \"Own\"\n[[fingerprint]]\nin = \"response\"\nstrength = \"certain\"\nfield = \"X-Own\"\nsource = \"s\"\nchecked = \"2026-11-22\"\n").unwrap();
        let products = Products::with_user_dir(dir.path()).unwrap();
        assert_eq!(products.get("nginx").unwrap().name, "our nginx");
        assert_eq!(products.iter().count(), FILES.len() + 1);
        assert_eq!(products.responder_of(&head("HTTP/1.1 200 OK\nX-Own: 1"), b"").unwrap().product.slug, "own");
    }

    #[test]
    fn the_limits_of_tunnels_are_those_that_end_them() {
        let limits = Products::builtin().limits();
        let has = |slug: &str, kind, s| {
            limits.iter().any(|l| *l.slug == *slug && l.kind == kind && l.length == Nanos::from_secs(s))
        };
        assert!(has("nginx", LimitKind::Idle, 60) && has("api-gateway", LimitKind::Lifetime, 7_200));
        assert!(!has("traefik", LimitKind::Idle, 180), "it counts between requests");
        assert!(!has("envoy", LimitKind::Idle, 15), "it counts until the response");
        assert!(limits.iter().all(|l| l.length > Nanos::ZERO && !l.setting.is_empty()));
    }

    #[test]
    fn h2o_is_known_by_its_answers_and_by_what_it_adds_to_a_request() {
        let answer =
            "HTTP/1.1 426 Upgrade Required\nDate: x\nConnection: close\nServer: h2o/2.2.5\nContent-Type: text/plain";
        assert_eq!(response(answer, ""), Some(("h2o".into(), Some("2.2.5".into()), Confidence::Certain)));
        let asked = "GET /ws HTTP/1.1\nconnection: keep-alive\nhost: a\nSec-WebSocket-Key: k\nx-forwarded-proto: http\nx-forwarded-for: 1\nvia: 1.1 a";
        assert_eq!(slug(request(asked), Confidence::Likely), "h2o");
        assert_ne!(slug(request(&asked.replace("x-forwarded-for", "X-Forwarded-For")), Confidence::Likely), "h2o");
    }

    #[test]
    fn hostile_heads_are_looked_at_without_harm() {
        let products = Products::builtin();
        let long = format!(
            "HTTP/1.1 200 OK\nVia: {}\nServer: nginx/{}\n{}: x",
            ",".repeat(9_000),
            "9".repeat(9_000),
            "n".repeat(9_000)
        );
        let found = products.responder_of(&head(&long), &[0xff; 1_024]).unwrap();
        assert_eq!(found.version.map(|v| v.len()), Some(32));
        let many = format!("HTTP/1.1 200 OK{}", "\nSet-Cookie: ;;;=".repeat(1_000));
        assert!(products.responder_of(&head(&many), b"").is_none());
    }
}
