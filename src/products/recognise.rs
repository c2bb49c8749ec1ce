//! Which product wrote a head. Every name of a head is looked up once; only fingerprints that ask for
//! that name are tried.

use std::collections::HashMap;

use memchr::memmem;

use crate::base::limits;
use crate::model::{Confidence, Head, Text};
use crate::products::data::{Case, ErrorPage, Fingerprint, Product, Side};
use crate::products::pattern;

/// A product that was recognised.
#[derive(Clone, Debug)]
pub struct Recognised<'a> {
    pub product: &'a Product,
    /// As the product tells it. `None` where it does not.
    pub version: Option<String>,
    pub confidence: Confidence,
    /// The signs, strongest first: `Server: nginx/1.22.1`.
    pub evidence: Vec<Text>,
    /// A sign says that the product wrote the answer by itself.
    pub own: bool,
}

/// Index of a fingerprint: its product and its place there.
type Key = (usize, usize);

/// Fingerprints by what makes it worth trying them.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    request: SideIndex,
    response: SideIndex,
}

#[derive(Clone, Debug, Default)]
struct SideIndex {
    /// By the field's name in lower case.
    by_name: HashMap<Box<[u8]>, Vec<Key>>,
    /// Those that look at the shape of the head or at its content.
    others: Vec<Key>,
    /// Those that look at cookies.
    cookies: Vec<Key>,
    /// The longest name in `by_name`.
    longest: usize,
}

/// A fingerprint that fits.
struct Hit {
    key: Key,
    strength: Confidence,
    shape: bool,
    own: bool,
    version: Option<String>,
    evidence: Text,
}

/// What a head is looked at with.
struct Subject<'a> {
    head: &'a Head,
    body: &'a [u8],
    /// HTTP/1.x, all names are in lower case, and there are at least two.
    lower: bool,
    /// HTTP/1.x, where the letter case of names is the sender's.
    spells: bool,
}

impl Index {
    pub(super) fn new(products: &[Product]) -> Self {
        let mut index = Index::default();
        for (p, product) in products.iter().enumerate() {
            for (f, print) in product.fingerprint.iter().enumerate() {
                let side = match print.side {
                    Side::Request => &mut index.request,
                    Side::Response => &mut index.response,
                };
                match (&print.field, &print.cookie) {
                    (Some(field), _) => {
                        let name = field.to_ascii_lowercase().into_bytes().into_boxed_slice();
                        side.longest = side.longest.max(name.len());
                        side.by_name.entry(name).or_default().push((p, f));
                    }
                    (None, Some(_)) => side.cookies.push((p, f)),
                    (None, None) => side.others.push((p, f)),
                }
            }
        }
        index
    }

    /// Who sent this request.
    pub(super) fn request<'a>(&self, products: &'a [Product], head: &Head) -> Option<Recognised<'a>> {
        let hits = self.request.hits(products, &Subject::new(head, b""), "cookie");
        decide(products, hits)
    }

    /// Who sent this response. `body`: the first bytes of its content.
    pub(super) fn response<'a>(&self, products: &'a [Product], head: &Head, body: &[u8]) -> Option<Recognised<'a>> {
        let mut hits = self.response.hits(products, &Subject::new(head, body), "set-cookie");
        if let Some((p, page)) = error_page(products, head.status().unwrap_or(0), body) {
            hits.push(Hit {
                key: (p, usize::MAX),
                strength: page.strength,
                shape: false,
                own: true,
                version: None,
                evidence: Text::own("the text of its own error page: ").bytes(page.fragment.as_bytes()),
            });
        }
        decide(products, hits)
    }
}

/// The error page with the longest fragment that is in `body`, and the index of its product.
pub(super) fn error_page<'a>(products: &'a [Product], status: u16, body: &[u8]) -> Option<(usize, &'a ErrorPage)> {
    if body.is_empty() {
        return None;
    }
    let pages =
        products.iter().enumerate().flat_map(|(p, product)| product.error_page.iter().map(move |page| (p, page)));
    let found: Vec<_> = pages
        .filter(|(_, page)| page.status.is_empty() || page.status.contains(&status))
        .filter(|(_, page)| memmem::find(body, page.fragment.as_bytes()).is_some())
        .collect();
    // The longest tells whose page it is; of several of that product, one for this status says more.
    let (product, _) = found.iter().max_by_key(|(_, page)| page.fragment.len())?;
    found
        .iter()
        .filter(|(p, _)| p == product)
        .max_by_key(|(_, page)| (!page.status.is_empty(), page.fragment.len()))
        .copied()
}

impl SideIndex {
    fn hits(&self, products: &[Product], subject: &Subject<'_>, cookie_field: &str) -> Vec<Hit> {
        let mut hits: Vec<Hit> = Vec::new();
        let mut lowered = Vec::with_capacity(self.longest);
        let print_of = |&(p, f): &Key| products.get(p).and_then(|product| product.fingerprint.get(f));
        for field in subject.head.fields.iter() {
            let (name, value) = (subject.head.name(field), subject.head.value(field));
            if name.len() <= self.longest {
                lowered.clear();
                lowered.extend(name.iter().map(u8::to_ascii_lowercase));
                for key in self.by_name.get(lowered.as_slice()).into_iter().flatten() {
                    let Some(print) = print_of(key) else { continue };
                    if hits.iter().all(|hit| hit.key != *key) {
                        hits.extend(subject.try_field(print, *key, name, value));
                    }
                }
            }
            if name.eq_ignore_ascii_case(cookie_field.as_bytes()) {
                for key in &self.cookies {
                    let Some(print) = print_of(key) else { continue };
                    if hits.iter().all(|hit| hit.key != *key) {
                        hits.extend(subject.try_cookie(print, *key, name, value));
                    }
                }
            }
        }
        for key in &self.others {
            let Some(print) = print_of(key) else { continue };
            if subject.holds(print) {
                hits.push(subject.hit(print, *key, print.strength, None, Text::own(in_words(print))));
            }
        }
        hits
    }
}

impl<'a> Subject<'a> {
    fn new(head: &'a Head, body: &'a [u8]) -> Self {
        let no_capitals = head.iter().all(|(name, _)| !name.iter().any(u8::is_ascii_uppercase));
        let spells = head.version().starts_with(b"HTTP/1.");
        Subject { head, body, lower: spells && no_capitals && head.fields.len() >= 2, spells }
    }

    fn hit(&self, print: &Fingerprint, key: Key, strength: Confidence, version: Option<String>, evidence: Text) -> Hit {
        Hit { key, strength, shape: print.is_shape(), own: print.own, version, evidence }
    }

    fn try_field(&self, print: &Fingerprint, key: Key, name: &[u8], value: &[u8]) -> Option<Hit> {
        let field = print.field.as_deref()?;
        let value = if field.eq_ignore_ascii_case("via") { last_member(value) } else { value };
        let fits = print.value.as_ref().is_none_or(|pattern| pattern::matches(pattern, value));
        if !fits || !self.holds(print) {
            return None;
        }
        // A name that the product writes with capitals, without any: a hop in between lowered it.
        let lowered = !name.iter().any(u8::is_ascii_uppercase) && field.bytes().any(|b| b.is_ascii_uppercase());
        let relayed = lowered && self.spells && !print.any_case;
        let strength = if relayed { Confidence::Possible } else { print.strength };
        let version = print.version_after.as_ref().and_then(|mark| pattern::version_after(mark, value));
        let shown = value.get(..limits::PRODUCT_EVIDENCE_BYTES).unwrap_or(value);
        let mut evidence = Text::new().bytes(name).say(": ").field(name, shown);
        if print.is_shape() {
            evidence = evidence.say(format!(" ({})", in_words(print)));
        }
        Some(self.hit(print, key, strength, version, evidence))
    }

    /// Only the cookie's name is looked at, and shown.
    fn try_cookie(&self, print: &Fingerprint, key: Key, name: &[u8], value: &[u8]) -> Option<Hit> {
        let start = print.cookie.as_deref()?.as_bytes();
        let cookie = value
            .split(|&b| b == b';')
            .map(<[u8]>::trim_ascii_start)
            .find(|cookie| cookie.starts_with(start) && cookie.contains(&b'='))?;
        if !self.holds(print) {
            return None;
        }
        let cookie_name = cookie.split(|&b| b == b'=').next().unwrap_or_default();
        let shown = cookie_name.get(..limits::PRODUCT_EVIDENCE_BYTES).unwrap_or(cookie_name);
        let evidence = Text::new().bytes(name).say(" with the cookie ").bytes(shown);
        Some(self.hit(print, key, print.strength, None, evidence))
    }

    /// All conditions but the field's value and the cookie.
    fn holds(&self, print: &Fingerprint) -> bool {
        let head = self.head;
        (print.status.is_empty() || head.status().is_some_and(|status| print.status.contains(&status)))
            && print.http.as_ref().is_none_or(|http| head.version() == http.as_bytes())
            && print.also.iter().all(|name| head.has(name))
            && !print.absent.iter().any(|name| head.has(name))
            && print.with.iter().all(|(name, form)| head.first_value(name).is_some_and(|v| pattern::matches(form, v)))
            && !print
                .without
                .iter()
                .any(|(name, form)| head.first_value(name).is_some_and(|v| pattern::matches(form, v)))
            && self.run_at(&print.first, self.pseudo())
            && (print.last.is_empty()
                || head.fields.len().checked_sub(print.last.len()).is_some_and(|at| self.run_at(&print.last, at)))
            && (print.run.is_empty() || (0..head.fields.len()).any(|at| self.run_at(&print.run, at)))
            && self.stand_in_order(&print.before)
            && print.case.is_none_or(|Case::Lower| self.lower)
            && print.exact.iter().all(|exact| head.iter().any(|(name, _)| name == exact.as_bytes()))
            && print.body.as_ref().is_none_or(|part| memmem::find(self.body, part.as_bytes()).is_some())
            && (!print.empty_body || self.has_no_content())
    }

    /// How many pseudo-fields (RFC 9113 §8.3) stand before the fields.
    fn pseudo(&self) -> usize {
        if self.spells { 0 } else { self.head.iter().take_while(|(name, _)| name.starts_with(b":")).count() }
    }

    /// Whether the field names from the `at`-th on are these.
    fn run_at(&self, names: &[String], at: usize) -> bool {
        names.iter().enumerate().all(|(i, name)| {
            let field = self.head.fields.get(at + i);
            field.is_some_and(|field| self.head.name(field).eq_ignore_ascii_case(name.as_bytes()))
        })
    }

    /// Whether these fields are there and first stand in this order.
    fn stand_in_order(&self, names: &[String]) -> bool {
        let place = |name: &String| self.head.iter().position(|(n, _)| n.eq_ignore_ascii_case(name.as_bytes()));
        names.is_sorted_by(|a, b| matches!((place(a), place(b)), (Some(a), Some(b)) if a < b))
    }

    fn has_no_content(&self) -> bool {
        self.body.is_empty() && self.head.first_value("content-length").is_none_or(|length| length == b"0")
    }
}

/// `Via` is appended to: its last member is the nearest hop (RFC 9110 §7.6.3).
fn last_member(value: &[u8]) -> &[u8] {
    value.rsplit(|&b| b == b',').next().unwrap_or_default().trim_ascii()
}

/// The shape that a fingerprint asks for, in words.
fn in_words(print: &Fingerprint) -> String {
    let mut words = Vec::new();
    if let Some(http) = &print.http {
        words.push(http.clone());
    }
    if !print.first.is_empty() {
        words.push(format!("the fields begin with {}", print.first.join(", ")));
    }
    if !print.last.is_empty() {
        words.push(format!("the fields end with {}", print.last.join(", ")));
    }
    if !print.run.is_empty() {
        words.push(format!("{} follow one another", print.run.join(", ")));
    }
    if !print.before.is_empty() {
        words.push(format!("in this order: {}", print.before.join(", ")));
    }
    if print.case.is_some() {
        words.push("all field names in lower case".to_owned());
    }
    if !print.exact.is_empty() {
        words.push(format!("spelt {}", print.exact.join(", ")));
    }
    for (name, pattern) in &print.with {
        words.push(format!("{name}: {pattern}"));
    }
    if !print.absent.is_empty() {
        words.push(format!("no {}", print.absent.join(", no ")));
    }
    if let Some(body) = &print.body {
        words.push(format!("the content has `{body}`"));
    }
    if print.empty_body {
        words.push("no content".to_owned());
    }
    words.join("; ")
}

/// The product that the signs speak for.
///
/// What has the shape of a product beats a field of another: order and letter case are made by the hop
/// that sent the bytes, a field may have been relayed. Two products with good signs of their own make
/// each other no more than `likely`.
fn decide(products: &[Product], hits: Vec<Hit>) -> Option<Recognised<'_>> {
    let mut found: Vec<Found> = Vec::new();
    for hit in hits {
        let at = found.iter().position(|f| f.product == hit.key.0).unwrap_or(found.len());
        if at == found.len() {
            found.push(Found { product: hit.key.0, best: Confidence::Possible, shaped: false, hits: Vec::new() });
        }
        if let Some(entry) = found.get_mut(at) {
            entry.best = entry.best.max(hit.strength);
            entry.shaped |= hit.shape && hit.strength >= Confidence::Likely;
            entry.hits.push(hit);
        }
    }
    let best_of = |slug: &str| {
        let same = |f: &&Found| products.get(f.product).is_some_and(|p| p.slug == slug);
        found.iter().find(same).map(|f| f.best)
    };
    // The special product stands for the one it is built on, unless the signs of that are better.
    let hidden: Vec<usize> = found
        .iter()
        .filter_map(|f| Some((f, products.get(f.product)?.kind_of.as_deref()?)))
        .map(|(f, base)| if best_of(base) > Some(f.best) { f.product } else { slug_index(products, base) })
        .collect();
    found.retain(|f| !hidden.contains(&f.product));
    let good = found.iter().filter(|f| f.best >= Confidence::Likely).count();
    let mut winner = found.into_iter().reduce(|a, b| if b.rank() > a.rank() { b } else { a })?;
    winner.hits.sort_by_key(|hit| std::cmp::Reverse(hit.strength));
    let confidence = if good > 1 { winner.best.min(Confidence::Likely) } else { winner.best };
    Some(Recognised {
        product: products.get(winner.product)?,
        version: winner.hits.iter().find_map(|hit| hit.version.clone()),
        own: winner.hits.iter().any(|hit| hit.own),
        confidence,
        evidence: winner.hits.into_iter().map(|hit| hit.evidence).collect(),
    })
}

struct Found {
    /// Index of the product.
    product: usize,
    best: Confidence,
    /// Has a sign of shape that is at least `likely`.
    shaped: bool,
    hits: Vec<Hit>,
}

impl Found {
    fn rank(&self) -> (bool, Confidence, usize) {
        (self.shaped, self.best, self.hits.iter().filter(|hit| hit.strength == self.best).count())
    }
}

/// `usize::MAX` where there is no such product.
fn slug_index(products: &[Product], slug: &str) -> usize {
    products.iter().position(|product| product.slug == slug).unwrap_or(usize::MAX)
}
