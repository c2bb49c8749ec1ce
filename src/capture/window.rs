//! `--since` and `--until`: which packets lie inside, and how their times are written.
//!
//! Times that count from the end of the inputs need a walk over them beforehand, so they work for
//! regular files only.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Span, SpanRelativeTo};

use super::error::Error;
use super::file::Reader;
use super::source::Source;
use crate::base::escape::escape;
use crate::base::{Nanos, Timestamp, limits};
use crate::model::InputFacts;

/// What the user wants to see. Both ends belong to it.
#[derive(Clone, Debug, Default)]
pub struct Window {
    pub since: Option<Moment>,
    pub until: Option<Moment>,
}

/// A point in time as a user writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Moment {
    At(Timestamp),
    /// This long before the last packet of all inputs.
    BeforeEnd(Nanos),
    /// The last such time of day that the inputs hold, in this zone.
    OnTheClock(Time, TimeZone),
}

/// A window in packet time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    since: Timestamp,
    until: Timestamp,
}

impl Moment {
    /// Reads `2026-01-31T12:00:00Z` and other RFC 3339 times, `2026-01-31 12:00:30.5` and `2026-01-31`
    /// (midnight) in `zone`, `12:00` and `12:00:30` (a time of day in `zone`), and `-15m`, `-1h30m`,
    /// `-2d` before the end of the inputs.
    pub fn parse(text: &str, zone: &TimeZone) -> Result<Self, Error> {
        let trimmed = text.trim();
        let moment = match trimmed.strip_prefix('-') {
            Some(span) => before_end(span),
            None => instant(trimmed)
                .or_else(|| local(trimmed, zone))
                .or_else(|| trimmed.parse::<Time>().ok().map(|time| Moment::OnTheClock(time, zone.clone()))),
        };
        moment.ok_or_else(|| Error::Time { text: escape(text.as_bytes()) })
    }
}

impl Window {
    /// In packet time. Walks over the inputs where a time counts from their end.
    pub(super) fn resolve(&self, paths: &[PathBuf]) -> Result<Bounds, Error> {
        let Some(relative) = self.relative() else { return Ok(self.with_span(None)) };
        let mut span: Option<(Timestamp, Timestamp)> = None;
        for path in paths {
            let source = Source::open(path)?;
            if source.again.is_none() {
                return Err(Error::WindowNeedsFile { name: source.name, text: relative.to_owned() });
            }
            if let Some((first, last)) = span_of(source)? {
                span = Some(span.map_or((first, last), |(a, b)| (a.min(first), b.max(last))));
            }
        }
        Ok(self.with_span(span))
    }

    /// In packet time, for inputs that cannot be read twice.
    pub(super) fn absolute(&self, name: &str) -> Result<Bounds, Error> {
        match self.relative() {
            Some(text) => Err(Error::WindowNeedsFile { name: name.to_owned(), text: text.to_owned() }),
            None => Ok(self.with_span(None)),
        }
    }

    /// The option whose time needs the end of the inputs.
    fn relative(&self) -> Option<&'static str> {
        let needs_end = |moment: &Option<Moment>| moment.as_ref().is_some_and(|m| !matches!(m, Moment::At(_)));
        if needs_end(&self.since) {
            Some("--since")
        } else if needs_end(&self.until) {
            Some("--until")
        } else {
            None
        }
    }

    /// `span`: first and last packet of all inputs; `None` where there is none, and nothing to bound.
    fn with_span(&self, span: Option<(Timestamp, Timestamp)>) -> Bounds {
        let place = |moment: &Moment| match moment {
            Moment::At(at) => Some(*at),
            Moment::BeforeEnd(length) => span.map(|(_, last)| last - *length),
            Moment::OnTheClock(time, zone) => span.and_then(|(_, last)| latest(*time, zone, last)),
        };
        let since = self.since.as_ref().and_then(place).unwrap_or(Timestamp(i64::MIN));
        let mut until = self.until.as_ref().and_then(place).unwrap_or(Timestamp(i64::MAX));
        // 23:00 for a capture from 22:00 to 22:30 means the hour after it, not the day before.
        if let (Some(Moment::OnTheClock(..)), Some((first, _))) = (&self.until, span)
            && until < first
        {
            until = until + Nanos::from_secs(86_400);
        }
        Bounds { since, until }
    }
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds { since: Timestamp(i64::MIN), until: Timestamp(i64::MAX) }
    }
}

impl Bounds {
    /// The same, as a window that no longer depends on where the inputs end.
    pub(super) fn window(self) -> Window {
        Window { since: Some(Moment::At(self.since)), until: Some(Moment::At(self.until)) }
    }

    /// Reads the next batch that has a packet inside. False: there are no more.
    pub(super) fn advance(self, reader: &mut Reader, facts: &mut InputFacts) -> bool {
        if self == Bounds::default() {
            return reader.advance(facts);
        }
        while reader.advance(facts) {
            reader.retain(|record| (self.since..=self.until).contains(&record.ts), facts);
            if !reader.records().is_empty() {
                return true;
            }
        }
        false
    }
}

/// First and last packet time of a file. Damage is passed over: it is told when the file is analysed.
fn span_of(source: Source) -> Result<Option<(Timestamp, Timestamp)>, Error> {
    let mut facts = InputFacts::default();
    let mut reader = Reader::open(source, limits::READ_BUFFER_BYTES, &Arc::default(), &mut facts)?;
    while reader.advance(&mut facts) {}
    Ok(facts.first.zip(facts.last))
}

fn before_end(text: &str) -> Option<Moment> {
    let span: Span = text.parse().ok()?;
    let length = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    let nanos = i64::try_from(length.as_nanos()).ok()?;
    (nanos >= 0).then_some(Moment::BeforeEnd(Nanos(nanos)))
}

fn instant(text: &str) -> Option<Moment> {
    text.parse::<jiff::Timestamp>().ok().and_then(timestamp).map(Moment::At)
}

fn local(text: &str, zone: &TimeZone) -> Option<Moment> {
    let written = text.parse::<DateTime>().or_else(|_| text.parse::<Date>().map(|d| d.at(0, 0, 0, 0))).ok()?;
    timestamp(zone.to_timestamp(written).ok()?).map(Moment::At)
}

/// The last moment up to `end` at which a clock shows `time`.
fn latest(time: Time, zone: &TimeZone, end: Timestamp) -> Option<Timestamp> {
    let date = jiff::Timestamp::from_nanosecond(i128::from(end.0)).ok()?.to_zoned(zone.clone()).date();
    let on = |date: Date| zone.to_timestamp(date.to_datetime(time)).ok().and_then(timestamp);
    on(date).filter(|at| *at <= end).or_else(|| on(date.yesterday().ok()?))
}

fn timestamp(at: jiff::Timestamp) -> Option<Timestamp> {
    i64::try_from(at.as_nanosecond()).ok().map(Timestamp)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn ns(text: &str) -> i64 {
        match Moment::parse(text, &TimeZone::fixed(jiff::tz::offset(2))).unwrap() {
            Moment::At(at) => at.0,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn dates_are_read_with_and_without_a_zone() {
        const S: i64 = 1_000_000_000;
        assert_eq!(ns("2023-11-14T22:13:20Z"), 1_700_000_000 * S);
        assert_eq!(ns("2023-11-14T22:13:20.000000007Z"), 1_700_000_000 * S + 7);
        assert_eq!(ns("2023-11-15T03:13:20+05:00"), 1_700_000_000 * S);
        assert_eq!(ns("2023-11-15T00:13:20"), 1_700_000_000 * S);
        assert_eq!(ns("2023-11-15 00:13:20.5"), 1_700_000_000 * S + S / 2);
        assert_eq!(ns("2023-11-15 00:13"), 1_699_999_980 * S);
        assert_eq!(ns("2023-11-15"), 1_699_999_200 * S);
    }

    #[test]
    fn lengths_before_the_end_are_read() {
        let parse = |text: &str| Moment::parse(text, &TimeZone::UTC).unwrap();
        for (text, seconds) in [("-15m", 900), ("-1h30m", 5_400), ("-2d", 172_800), ("-90s", 90), ("-0s", 0)] {
            assert_eq!(parse(text), Moment::BeforeEnd(Nanos::from_secs(seconds)), "{text}");
        }
        assert_eq!(parse("-500ms"), Moment::BeforeEnd(Nanos::from_millis(500)));
    }

    #[test]
    fn what_is_no_time_is_refused_with_examples() {
        for text in
            ["", "-", "soon", "--5m", "-5 parsecs", "25:00", "2023-02-30", "-1mo", "9999-01-01T00:00:00Z", "\x1b["]
        {
            let error = Moment::parse(text, &TimeZone::UTC).unwrap_err().to_string();
            assert!(error.contains("-15m") && !error.contains('\x1b'), "{text}: {error}");
        }
    }

    #[test]
    fn a_time_of_day_is_the_last_one_of_the_inputs() {
        let at = |text: &str| text.parse::<jiff::Timestamp>().ok().and_then(timestamp).unwrap();
        let clock = |text: &str| Some(Moment::parse(text, &TimeZone::UTC).unwrap());
        let span = Some((at("2026-01-01T22:00:00Z"), at("2026-01-02T03:00:00Z")));
        let bounds = |since, until| Window { since, until }.with_span(span);
        let night = bounds(clock("23:30"), clock("01:00"));
        assert_eq!((night.since, night.until), (at("2026-01-01T23:30:00Z"), at("2026-01-02T01:00:00Z")));
        let after = bounds(clock("02:00"), clock("04:00"));
        assert_eq!((after.since, after.until), (at("2026-01-02T02:00:00Z"), at("2026-01-02T04:00:00Z")));
    }
}
