//! Reads data files and refuses what cannot be right, with the file and the place in it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::base::limits;
use crate::model::{Confidence, FaultClass};
use crate::products::data::{
    Answers, Backends, Classes, Closes, Fingerprint, Guids, Heartbeats, Product, Refusals, Side,
};

/// The file format that this program reads.
const FORMAT: u32 = 1;

/// Why a data file was refused.
#[derive(Debug, Error)]
pub enum Error {
    #[error("{}: cannot be read: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{file}: line {line}: {why}")]
    Syntax { file: String, line: usize, why: String },
    #[error("{file}: {place}: {why}")]
    Claim { file: String, place: String, why: String },
    #[error("{}: more than {} product files; remove some", path.display(), limits::PRODUCT_FILES)]
    TooMany { path: PathBuf },
}

/// Reads every `*.toml` of a folder, in the order of their names. A folder that is not there holds no
/// files. The first file that cannot be right ends it.
pub fn load_user_dir(dir: &Path) -> Result<Vec<Product>, Error> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(Error::Read { path: dir.to_owned(), source }),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(|source| Error::Read { path: dir.to_owned(), source })?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            paths.push(path);
        }
        if paths.len() > limits::PRODUCT_FILES {
            return Err(Error::TooMany { path: dir.to_owned() });
        }
    }
    paths.sort();
    paths.iter().map(|path| product_file(path)).collect()
}

fn product_file(path: &Path) -> Result<Product, Error> {
    let read = |source| Error::Read { path: path.to_owned(), source };
    let meta = fs::metadata(path).map_err(read)?;
    if !meta.is_file() || meta.len() > limits::PRODUCT_FILE_BYTES {
        let why = format!("no regular file of at most {} bytes", limits::PRODUCT_FILE_BYTES);
        return Err(read(io::Error::new(io::ErrorKind::InvalidInput, why)));
    }
    let text = fs::read_to_string(path).map_err(read)?;
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    product(&path.display().to_string(), &stem, &text)
}

/// One product from a file's text. `stem`: the file's name without `.toml`.
pub(super) fn product(file: &str, stem: &str, text: &str) -> Result<Product, Error> {
    let product: Product = parse(file, text)?;
    let check = Checker { file };
    check.format(product.format)?;
    if product.slug != stem || !is_slug(&product.slug) {
        let why = format!("must be the file's name without .toml, small letters, digits and `-`: `{stem}`");
        return Err(check.refuse("slug", why));
    }
    if product.name.trim().is_empty() {
        return Err(check.refuse("name", "is empty"));
    }
    if let Some(ends) = &product.ends_websocket {
        check.origin("ends_websocket", &ends.source, &ends.checked)?;
    }
    for (i, print) in product.fingerprint.iter().enumerate() {
        let place = place("fingerprint", i);
        check.origin(&place, &print.source, &print.checked)?;
        check.guess(&place, print.guess, print.strength)?;
        check.fingerprint(&place, print)?;
    }
    for (i, fix) in product.fix.iter().enumerate() {
        let place = place("fix", i);
        check.origin(&place, &fix.source, &fix.checked)?;
        if fix.guess {
            return Err(
                check.refuse(&place, "is a guess: what is only guessed is never advised; find a source or remove it")
            );
        }
        if fix.text.trim().is_empty() {
            return Err(check.refuse(&place, "has no text"));
        }
        if matches!(
            fix.class,
            FaultClass::Accept | FaultClass::Backend | FaultClass::Client | FaultClass::Read | FaultClass::Server
        ) {
            return Err(check.refuse(&place, "no proxy's configuration mends this class"));
        }
    }
    for (i, timeout) in product.timeout.iter().enumerate() {
        let place = place("timeout", i);
        check.origin(&place, &timeout.source, &timeout.checked)?;
        if timeout.seconds == 0 || timeout.setting.trim().is_empty() {
            return Err(check.refuse(&place, "needs seconds above 0 and the name of a setting"));
        }
    }
    for (i, page) in product.error_page.iter().enumerate() {
        let place = place("error_page", i);
        check.origin(&place, &page.source, &page.checked)?;
        check.guess(&place, page.guess, page.strength)?;
        check.fragment(&place, &page.fragment)?;
    }
    Ok(product)
}

/// `backends.toml`.
pub(super) fn backends(file: &str, text: &str) -> Result<Backends, Error> {
    let backends: Backends = parse(file, text)?;
    let check = Checker { file };
    check.format(backends.format)?;
    for (i, body) in backends.body.iter().enumerate() {
        let place = place("body", i);
        check.origin(&place, &body.source, &body.checked)?;
        check.fragment(&place, &body.fragment)?;
    }
    for (i, server) in backends.server.iter().enumerate() {
        check.origin(&place("server", i), &server.source, &server.checked)?;
    }
    Ok(backends)
}

/// `guids.toml`.
pub(super) fn guids(file: &str, text: &str) -> Result<Guids, Error> {
    let guids: Guids = parse(file, text)?;
    let check = Checker { file };
    check.format(guids.format)?;
    for (i, guid) in guids.guid.iter().enumerate() {
        check.origin(&place("guid", i), &guid.source, &guid.checked)?;
        if guid.guid.is_empty() || guid.guid == crate::wire::accept::GUID {
            return Err(check.refuse(&place("guid", i), "is empty or the right one"));
        }
    }
    Ok(guids)
}

/// `heartbeats.toml`.
pub(super) fn heartbeats(file: &str, text: &str) -> Result<Heartbeats, Error> {
    let heartbeats: Heartbeats = parse(file, text)?;
    let check = Checker { file };
    check.format(heartbeats.format)?;
    for (i, beat) in heartbeats.heartbeat.iter().enumerate() {
        let place = place("heartbeat", i);
        check.origin(&place, &beat.source, &beat.checked)?;
        let hex =
            |hex: &String| hex.len() >= 2 && hex.len().is_multiple_of(2) && hex.bytes().all(|b| b.is_ascii_hexdigit());
        let fine = match (&beat.text, &beat.hex) {
            (Some(text), None) => !text.is_empty() && text.bytes().any(|b| b != b'*'),
            (None, Some(digits)) => hex(digits),
            _ => false,
        };
        if !fine {
            return Err(check.refuse(&place, "give text, or hex with pairs of hexadecimal digits"));
        }
    }
    Ok(heartbeats)
}

/// `answers.toml`.
pub(super) fn answers(file: &str, text: &str) -> Result<Answers, Error> {
    let answers: Answers = parse(file, text)?;
    let check = Checker { file };
    check.format(answers.format)?;
    for (i, says) in answers.says.iter().enumerate() {
        let place = place("says", i);
        check.origin(&place, &says.source, &says.checked)?;
        let fine = |word: &String| word.len() >= 4 && !word.bytes().any(|b| b.is_ascii_uppercase());
        if says.words.is_empty() || !says.words.iter().all(fine) {
            return Err(check.refuse(&place, "give words of four letters at least, in small letters"));
        }
    }
    Ok(answers)
}

/// `closes.toml`.
pub(super) fn closes(file: &str, text: &str) -> Result<Closes, Error> {
    let closes: Closes = parse(file, text)?;
    let check = Checker { file };
    check.format(closes.format)?;
    for (i, says) in closes.close.iter().enumerate() {
        let place = place("close", i);
        check.origin(&place, &says.source, &says.checked)?;
        if says.codes.is_empty() || says.codes.iter().any(|code| !(1_001..=4_999).contains(code)) {
            return Err(check.refuse(&place, "give codes from 1001 to 4999"));
        }
    }
    Ok(closes)
}

/// `refusals.toml`.
pub(super) fn refusals(file: &str, text: &str) -> Result<Refusals, Error> {
    let refusals: Refusals = parse(file, text)?;
    let check = Checker { file };
    check.format(refusals.format)?;
    for (i, says) in refusals.refusal.iter().enumerate() {
        let place = place("refusal", i);
        check.origin(&place, &says.source, &says.checked)?;
        let hex = |hex: &String| hex.len() >= 2 && hex.bytes().all(|b| b.is_ascii_hexdigit() || b == b'.');
        let fine = match (&says.text, &says.hex) {
            (Some(text), None) => text.trim_matches('*').len() >= 2 && says.not_hex.is_none(),
            (None, Some(digits)) => hex(digits) && says.not_hex.as_ref().is_none_or(hex),
            _ => false,
        };
        if !fine {
            return Err(check.refuse(&place, "give text, or hex with hexadecimal digits"));
        }
    }
    Ok(refusals)
}

/// `classes.toml`.
pub(super) fn classes(file: &str, text: &str) -> Result<Classes, Error> {
    let classes: Classes = parse(file, text)?;
    let check = Checker { file };
    check.format(classes.format)?;
    for (i, class) in classes.class.iter().enumerate() {
        check.origin(&place("class", i), &class.source, &class.checked)?;
        if class.guess || class.text.trim().is_empty() {
            return Err(check.refuse(&place("class", i), "needs a text that is no guess"));
        }
    }
    Ok(classes)
}

fn parse<T: DeserializeOwned>(file: &str, text: &str) -> Result<T, Error> {
    toml::from_str(text).map_err(|e| {
        let at = e.span().map_or(0, |span| span.start);
        let line = 1 + text.bytes().take(at).filter(|&b| b == b'\n').count();
        Error::Syntax { file: file.to_owned(), line, why: e.message().replace('\n', " ") }
    })
}

/// `fingerprint 3`: entries are counted from 1, as a person counts them in the file.
fn place(what: &str, index: usize) -> String {
    format!("{what} {}", index + 1)
}

struct Checker<'a> {
    file: &'a str,
}

impl Checker<'_> {
    fn refuse(&self, place: &str, why: impl Into<String>) -> Error {
        Error::Claim { file: self.file.to_owned(), place: place.to_owned(), why: why.into() }
    }

    fn format(&self, format: u32) -> Result<(), Error> {
        if format == FORMAT {
            return Ok(());
        }
        Err(self.refuse("format", format!("is {format}, but this program reads format {FORMAT}")))
    }

    /// Where a claim is from and when that was looked at.
    fn origin(&self, place: &str, source: &str, checked: &str) -> Result<(), Error> {
        if source.trim().is_empty() {
            return Err(self.refuse(place, "source is empty: say where this is known from"));
        }
        if !is_date(checked) {
            return Err(self.refuse(place, format!("checked is `{checked}`, but must be a date such as 2026-11-22")));
        }
        Ok(())
    }

    fn guess(&self, place: &str, guess: bool, strength: Confidence) -> Result<(), Error> {
        if guess && strength > Confidence::Possible {
            return Err(self.refuse(place, "is a guess: its strength can only be `possible`"));
        }
        Ok(())
    }

    /// Shorter fragments turn up in anybody's text.
    fn fragment(&self, place: &str, fragment: &str) -> Result<(), Error> {
        if fragment.len() < 8 {
            return Err(self.refuse(place, "the fragment is shorter than 8 bytes and would fit anything"));
        }
        Ok(())
    }

    fn fingerprint(&self, place: &str, print: &Fingerprint) -> Result<(), Error> {
        if print.field.is_none() && (print.value.is_some() || print.version_after.is_some() || print.any_case) {
            return Err(self.refuse(place, "value, version_after and any_case belong to a field, but there is none"));
        }
        let in_response = print.body.is_some() || print.empty_body || !print.status.is_empty();
        if print.side == Side::Request && in_response {
            return Err(self.refuse(place, "status, body and empty_body are looked for in responses only"));
        }
        if print.before.len() == 1 {
            return Err(self.refuse(place, "before takes two field names or more"));
        }
        let positive = print.field.is_some() || print.cookie.is_some() || print.body.is_some() || print.is_shape();
        if !positive {
            return Err(
                self.refuse(place, "says nothing that a head could show: give a field, a cookie, an order or a body")
            );
        }
        if let Some(body) = &print.body {
            self.fragment(place, body)?;
        }
        Ok(())
    }
}

fn is_slug(slug: &str) -> bool {
    !slug.is_empty() && slug.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// `YYYY-MM-DD` with a month and a day that exist somewhere.
fn is_date(date: &str) -> bool {
    let mut parts = date.split('-');
    let mut number = |digits: usize| {
        let part = parts.next()?;
        (part.len() == digits && part.bytes().all(|b| b.is_ascii_digit())).then(|| part.parse::<u32>().ok())?
    };
    let good = matches!((number(4), number(2), number(2)), (Some(2000..), Some(1..=12), Some(1..=31)));
    good && parts.next().is_none()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use super::*;

    const HEAD: &str = "format = 1\nslug = \"x\"\nname = \"X\"\n";
    const ORIGIN: &str = "source = \"s\"\nchecked = \"2026-11-22\"\n";

    fn refusal(text: &str) -> String {
        product("x.toml", "x", text).unwrap_err().to_string()
    }

    #[test]
    fn a_claim_without_source_or_checked_does_not_load() {
        let print = "[[fingerprint]]\nin = \"response\"\nstrength = \"likely\"\nfield = \"Server\"\n";
        assert!(product("x.toml", "x", &format!("{HEAD}{print}{ORIGIN}")).is_ok());
        assert_eq!(
            refusal(&format!("{HEAD}{print}checked = \"2026-11-22\"\n")),
            "x.toml: line 4: missing field `source`"
        );
        assert_eq!(refusal(&format!("{HEAD}{print}source = \"s\"\n")), "x.toml: line 4: missing field `checked`");
        assert!(
            refusal(&format!("{HEAD}{print}source = \" \"\nchecked = \"2026-11-22\"\n"))
                .contains("fingerprint 1: source is empty")
        );
        assert!(refusal(&format!("{HEAD}{print}source = \"s\"\nchecked = \"soon\"\n")).contains("checked is `soon`"));
        for claim in [
            "[[fix]]\nclass = \"fwd\"\ntext = \"a\"\n",
            "[[timeout]]\nseconds = 1\nkind = \"idle\"\nsetting = \"t\"\n",
            "[[error_page]]\nfragment = \"12345678\"\nmeans = \"m\"\nstrength = \"likely\"\n",
            "[ends_websocket]\nhow = \"never\"\n",
        ] {
            assert!(product("x.toml", "x", &format!("{HEAD}{claim}{ORIGIN}")).is_ok(), "{claim}");
            assert!(refusal(&format!("{HEAD}{claim}")).contains("missing field `source`"), "{claim}");
        }
    }

    #[test]
    fn a_guess_is_never_above_possible_and_never_a_fix() {
        let print = "[[fingerprint]]\nin = \"response\"\nfield = \"Server\"\nguess = true\n";
        assert!(refusal(&format!("{HEAD}{print}strength = \"likely\"\n{ORIGIN}")).contains("can only be `possible`"));
        assert!(product("x.toml", "x", &format!("{HEAD}{print}strength = \"possible\"\n{ORIGIN}")).is_ok());
        let fix = "[[fix]]\nclass = \"fwd\"\ntext = \"a\"\nguess = true\n";
        assert!(refusal(&format!("{HEAD}{fix}{ORIGIN}")).contains("fix 1: is a guess"));
    }

    #[test]
    fn what_is_misspelt_is_refused_with_its_line() {
        assert!(refusal("format = 1\nslug = \"x\"\nnam = \"X\"\n").contains("line 3: unknown field `nam`"));
        assert!(
            refusal(&format!("{HEAD}[[fix]]\nclass = \"fwdd\"\ntext = \"a\"\n{ORIGIN}"))
                .contains("line 5: unknown class `fwdd`")
        );
        assert!(refusal("format = 2\nslug = \"x\"\nname = \"X\"\n").contains("reads format 1"));
        assert!(refusal("format = 1\nslug = \"y\"\nname = \"X\"\n").contains("slug: must be the file's name"));
        let empty = "[[fingerprint]]\nin = \"request\"\nstrength = \"likely\"\n";
        assert!(refusal(&format!("{HEAD}{empty}{ORIGIN}")).contains("says nothing"));
    }

    #[test]
    fn a_folder_is_read_and_a_bad_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        assert!(load_user_dir(&dir.path().join("none")).unwrap().is_empty());
        fs::write(dir.path().join("x.toml"), HEAD).unwrap();
        fs::write(dir.path().join("notes.txt"), "no product").unwrap();
        assert_eq!(load_user_dir(dir.path()).unwrap().len(), 1);
        fs::write(dir.path().join("y.toml"), "format = ").unwrap();
        let error = load_user_dir(dir.path()).unwrap_err().to_string();
        assert!(error.contains("y.toml: line 1: "), "{error}");
    }
}
