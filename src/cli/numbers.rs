//! Ids as a user writes them: `3,7-9`.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// Ids and ranges of ids, in the order given. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Numbers(pub Vec<RangeInclusive<i64>>);

impl FromStr for Numbers {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.split(',').map(|part| range(part.trim())).collect::<Result<_, _>>().map(Numbers)
    }
}

impl fmt::Display for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, range) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            match range.start() == range.end() {
                true => write!(f, "{comma}{}", range.start())?,
                false => write!(f, "{comma}{}-{}", range.start(), range.end())?,
            }
        }
        Ok(())
    }
}

/// `7`, `-7`, `7-9`. Ranges have no negative ends.
fn range(part: &str) -> Result<RangeInclusive<i64>, String> {
    if let Ok(one) = part.parse::<i64>() {
        return Ok(one..=one);
    }
    let ends = part.split_once('-').map(|(from, to)| (from.trim().parse::<u32>(), to.trim().parse::<u32>()));
    match ends {
        Some((Ok(from), Ok(to))) if from <= to => Ok(i64::from(from)..=i64::from(to)),
        _ => Err(format!("{part:?} is no id and no range of ids; write 3,7-9")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn ids_and_ranges_are_read_and_written_alike() {
        for text in ["3", "3,7-9", "-4,1-1,8"] {
            let written = text.parse::<Numbers>().unwrap().to_string();
            assert_eq!(written, text.replace("1-1", "1"));
        }
        assert_eq!(" 3 , 7 - 9 ".parse::<Numbers>().unwrap().0, [3..=3, 7..=9]);
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for text in ["", "3,", "9-7", "x", "3-", "-3--1", "1.5", "99999999999999999999"] {
            assert!(text.parse::<Numbers>().unwrap_err().contains("3,7-9"), "{text}");
        }
    }
}
