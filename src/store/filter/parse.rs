//! From the text of a filter to its terms.

use crate::store::filter::keys::{Key, Unit};
use crate::store::filter::known;
use crate::store::filter::pattern::Pattern;
use crate::store::filter::{Compare, FilterError, Term, Test};

/// Alternatives of terms; empty for an empty filter.
pub(super) fn terms(text: &str) -> Result<Vec<Vec<Term>>, FilterError> {
    let mut any: Vec<Vec<Term>> = Vec::new();
    let mut all: Vec<Term> = Vec::new();
    let mut dangling = None;
    for token in tokens(text)? {
        if token.is("or") {
            if all.is_empty() {
                return Err(token.error("`or` stands between two terms: status:101 or status:200"));
            }
            any.push(std::mem::take(&mut all));
            dangling = Some(token);
        } else if !token.is("and") {
            all.push(term(&token)?);
            dangling = None;
        }
    }
    if let Some(token) = dangling {
        return Err(token.error("`or` stands between two terms: status:101 or status:200"));
    }
    if !all.is_empty() {
        any.push(all);
    }
    Ok(any)
}

/// A term as it is written, its quotes taken away.
struct Token {
    /// From 1.
    at: usize,
    text: String,
    /// Where the first operator outside quotes begins in `text`, in bytes.
    operator: Option<usize>,
    quoted: bool,
}

impl Token {
    fn is(&self, word: &str) -> bool {
        !self.quoted && self.text.eq_ignore_ascii_case(word)
    }

    fn error(&self, why: impl Into<String>) -> FilterError {
        FilterError { at: self.at, why: why.into() }
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, FilterError> {
    let mut out = Vec::new();
    let mut current: Option<Token> = None;
    let mut open = None;
    for (i, c) in text.chars().enumerate() {
        if c.is_whitespace() && open.is_none() {
            out.extend(current.take());
            continue;
        }
        let token =
            current.get_or_insert_with(|| Token { at: i + 1, text: String::new(), operator: None, quoted: false });
        match c {
            '"' if open.is_some() => open = None,
            '"' => {
                open = Some(i + 1);
                token.quoted = true;
            }
            ':' | '~' | '<' | '>' if open.is_none() && token.operator.is_none() => {
                token.operator = Some(token.text.len());
                token.text.push(c);
            }
            c => token.text.push(c),
        }
    }
    if let Some(at) = open {
        return Err(FilterError {
            at,
            why: "this quote is not closed; add another \" at the end of the words".to_owned(),
        });
    }
    out.extend(current);
    Ok(out)
}

fn term(token: &Token) -> Result<Term, FilterError> {
    let negated = token.text.starts_with('-') && token.text != "-";
    let skip = usize::from(negated);
    let text = token.text.get(skip..).unwrap_or_default();
    if text == "-" || (text.is_empty() && !token.quoted) {
        return Err(token.error("`-` negates the term behind it: -status:101"));
    }
    // `10.0.0.1:80` and `::1` are words, not keys.
    let operator = token.operator.map(|at| at.saturating_sub(skip)).filter(|&at| at > 0);
    let named = operator.and_then(|at| text.split_at_checked(at));
    let test = match named {
        Some((name, rest)) if name.chars().all(|c| c.is_ascii_alphabetic()) => {
            let Some(key) = Key::find(name) else {
                let known = Key::names().collect::<Vec<_>>().join(", ");
                return Err(token.error(format!("unknown key `{name}`; known are {known}")));
            };
            condition(token, name, key, rest)?
        }
        _ => {
            let assigned = text.split_once('=').filter(|_| !token.quoted);
            if let Some((name, value)) = assigned.filter(|(name, _)| Key::find(name).is_some()) {
                let why = format!("`=` compares nothing here: write {name}:{value}, or \"{text}\" for these words");
                return Err(token.error(why));
            }
            Test::Anywhere(Pattern::part(text, false))
        }
    };
    Ok(Term { negated, test })
}

/// `rest`: the operator and what follows it.
fn condition(token: &Token, name: &str, key: Key, rest: &str) -> Result<Test, FilterError> {
    let operators = [
        (">=", Some(Compare::AtLeast)),
        ("<=", Some(Compare::AtMost)),
        (">", Some(Compare::More)),
        ("<", Some(Compare::Less)),
        (":", None),
        ("~", None),
    ];
    let found = operators.iter().find_map(|(op, compare)| rest.strip_prefix(op).map(|value| (*op, *compare, value)));
    let Some((operator, compare, value)) = found else {
        return Err(token.error(format!("`{name}` needs an operator: one of : ~ > <")));
    };
    if value.is_empty() {
        return Err(
            token.error(format!("`{name}{operator}` needs a value behind it; {name}:* is any, -{name}:* is none"))
        );
    }
    let exact_case = key.is_exact();
    match (compare, key.unit()) {
        (Some(_), None) => Err(token.error(format!("`{name}` has no order; use {name}:value or {name}~part"))),
        (Some(compare), Some(unit)) => Ok(Test::Number(key, compare, number(token, unit, value)?)),
        (None, Some(unit)) if operator == ":" && !value.contains('*') => {
            Ok(Test::Number(key, Compare::Equal, number(token, unit, value)?))
        }
        (None, _) if operator == ":" && key.is_address() && value.contains('/') => {
            let why = || token.error(format!("`{value}` should be a network, such as 10.0.0.0/8 or 2001:db8::/32"));
            // A name of a hop may have a slash.
            let named = (key == Key::Hop).then(|| Pattern::whole(value, exact_case));
            Ok(Test::Text(key, Pattern::network(value).or(named).ok_or_else(why)?))
        }
        (None, _) => {
            let whole = operator == ":";
            let pattern = if whole { Pattern::whole(value, exact_case) } else { Pattern::part(value, exact_case) };
            match known::fault(key, name, value, &pattern) {
                Some(why) => Err(token.error(why)),
                None => Ok(Test::Text(key, pattern)),
            }
        }
    }
}

fn number(token: &Token, unit: Unit, text: &str) -> Result<f64, FilterError> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (value, name) = text.split_at(digits);
    let (scale, known) = match unit {
        Unit::Count => (name.is_empty().then_some(1.0), "a number, such as 101"),
        Unit::Size => (size(name), "a number of bytes, such as 500, 64k or 1M"),
        Unit::Time => (time(name), "a length of time with its unit, such as 200ms, 1.5s, 2m or 1h"),
    };
    match (value.parse::<f64>(), scale) {
        (Ok(value), Some(scale)) => Ok(value * scale),
        _ => Err(token.error(format!("`{text}` should be {known}"))),
    }
}

/// To bytes.
fn size(name: &str) -> Option<f64> {
    Some(match name.to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "k" | "kb" => 1e3,
        "m" | "mb" => 1e6,
        "g" | "gb" => 1e9,
        "kib" => 1024.0,
        "mib" => 1024.0 * 1024.0,
        "gib" => 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    })
}

/// To nanoseconds.
fn time(name: &str) -> Option<f64> {
    Some(match name {
        "ns" => 1.0,
        "us" | "µs" | "μs" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        "m" | "min" => 60e9,
        "h" => 3_600e9,
        "d" => 86_400e9,
        _ => return None,
    })
}
