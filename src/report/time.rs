//! Times and lengths of time as text: exact UTC for machines, short local time for people.

use jiff::tz::TimeZone;

use crate::base::{Nanos, Timestamp};

/// RFC 3339 in UTC with nine digits: `2026-01-02T03:04:05.000000006Z`, as every time in JSON.
pub fn rfc3339(ts: Timestamp) -> String {
    let seconds = ts.0.div_euclid(1_000_000_000);
    let (year, month, day) = date(seconds.div_euclid(86_400));
    let second = seconds.rem_euclid(86_400);
    let mut text = String::with_capacity(30);
    // Digit by digit: a report has several times in each exchange, and formatting them costs the most.
    for (number, digits, end) in [
        (year, 4, '-'),
        (month, 2, '-'),
        (day, 2, 'T'),
        (second / 3_600, 2, ':'),
        (second / 60 % 60, 2, ':'),
        (second % 60, 2, '.'),
        (ts.0.rem_euclid(1_000_000_000), 9, 'Z'),
    ] {
        let mut unit = 10_i64.pow(digits - 1);
        while unit > 0 {
            text.push(u8::try_from(number / unit % 10).map_or('0', |digit| char::from(b'0' + digit)));
            unit /= 10;
        }
        text.push(end);
    }
    text
}

/// Year, month and day of a number of days since 1970-01-01, in the Gregorian calendar. Years begin in
/// March here, so that the leap day is the last one.
fn date(days: i64) -> (i64, i64, i64) {
    /// Days from 0000-03-01 to 1970-01-01, and in 400 years.
    const EPOCH: i64 = 719_468;
    const ERA: i64 = 146_097;
    let era = (days + EPOCH).div_euclid(ERA);
    let of_era = (days + EPOCH).rem_euclid(ERA);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / (ERA - 1)) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march + 2) / 5 + 1;
    let month = if march < 10 { march + 3 } else { march - 9 };
    (era * 400 + year + i64::from(month <= 2), month, day)
}

/// A length of time as a person says it: three figures and a unit, `3.00 s`, `1.67 ms`, `2 min 5 s`.
pub fn human(length: Nanos) -> String {
    let sign = if length.0 < 0 { "-" } else { "" };
    let ns = length.0.unsigned_abs();
    let text = match ns {
        0..1_000 => format!("{ns} ns"),
        1_000..1_000_000 => three_figures(ns, 1_000, "µs"),
        1_000_000..1_000_000_000 => three_figures(ns, 1_000_000, "ms"),
        1_000_000_000..60_000_000_000 => three_figures(ns, 1_000_000_000, "s"),
        _ => {
            let s = ns / 1_000_000_000;
            let (days, hours, minutes, seconds) = (s / 86_400, s / 3_600 % 24, s / 60 % 60, s % 60);
            match (days, hours) {
                (0, 0) => two(minutes, "min", seconds, "s"),
                (0, _) => two(hours, "h", minutes, "min"),
                _ => two(days, "d", hours, "h"),
            }
        }
    };
    format!("{sign}{text}")
}

/// The clock by which a text report tells times: a time zone, and the day that need not be repeated.
#[derive(Clone, Debug)]
pub struct Clock {
    zone: TimeZone,
    day: Option<jiff::civil::Date>,
}

impl Clock {
    /// In UTC, or in the zone of this machine. `day`: a time on the day that the reader knows already;
    /// `None`: every time is told with its date.
    pub fn new(utc: bool, day: Option<Timestamp>) -> Self {
        let zone = if utc { TimeZone::UTC } else { TimeZone::system() };
        let day = day.map(|ts| instant(ts).to_zoned(zone.clone()).date());
        Clock { zone, day }
    }

    /// `02:14:07.311`, with the date before it on another day than the known one.
    pub fn time(&self, ts: Timestamp) -> String {
        let zoned = instant(ts).to_zoned(self.zone.clone());
        let format = if self.day == Some(zoned.date()) { "%H:%M:%S.%3f" } else { "%Y-%m-%d %H:%M:%S.%3f" };
        zoned.strftime(format).to_string()
    }

    /// `2026-01-02 03:04:05`.
    pub fn date_time(&self, ts: Timestamp) -> String {
        instant(ts).to_zoned(self.zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string()
    }

    /// `UTC`, `CEST`, `+03`: the zone's name at that time.
    pub fn zone(&self, ts: Timestamp) -> String {
        instant(ts).to_zoned(self.zone.clone()).strftime("%Z").to_string()
    }
}

/// jiff's range is wider than ours, so the epoch is never really needed.
fn instant(ts: Timestamp) -> jiff::Timestamp {
    jiff::Timestamp::from_nanosecond(i128::from(ts.0)).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
}

fn three_figures(ns: u64, unit: u64, name: &str) -> String {
    let value = ns as f64 / unit as f64;
    // Cut, not rounded up to the next unit: 999.9 µs must not read as "1000 µs".
    let decimals = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
    let scale = [1.0, 10.0, 100.0][decimals.min(2)];
    format!("{:.decimals$} {name}", (value * scale).floor() / scale)
}

fn two(large: u64, large_unit: &str, small: u64, small_unit: &str) -> String {
    if small == 0 { format!("{large} {large_unit}") } else { format!("{large} {large_unit} {small} {small_unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_get_nine_digits_and_a_z() {
        assert_eq!(rfc3339(Timestamp::from_parts(1_700_000_000, 6)), "2023-11-14T22:13:20.000000006Z");
        assert_eq!(rfc3339(Timestamp(i64::MIN)).len(), 30);
        assert_eq!(rfc3339(Timestamp(i64::MAX)).len(), 30);
    }

    #[test]
    fn every_day_is_told_as_the_calendar_has_it() {
        let days = |day: i64| Timestamp(day * 86_400_000_000_000 + day * 1_000_000_007);
        // All that 64 bits can hold, at least one time on every day.
        for ts in (-106_000..106_000).map(days).chain([Timestamp(i64::MIN), Timestamp(-1), Timestamp(i64::MAX)]) {
            assert_eq!(rfc3339(ts), format!("{:.9}", instant(ts)));
        }
    }

    #[test]
    fn people_get_three_figures() {
        let all: Vec<String> =
            [0, 999, 1_670_000, 999_999, 42_000_000, 420_000_000, 3_000_000_000, 125_000_000_000, 86_400_000_000_000]
                .map(|ns| human(Nanos(ns)))
                .to_vec();
        assert_eq!(
            all,
            ["0 ns", "999 ns", "1.67 ms", "999 µs", "42.0 ms", "420 ms", "3.00 s", "2 min 5 s", "1 d"]
                .map(str::to_owned)
        );
        assert_eq!(human(Nanos(i64::MIN)), "-106751 d 23 h");
    }

    #[test]
    fn the_known_day_is_not_repeated() {
        let first = Timestamp::from_parts(1_700_000_000, 311_000_000);
        let clock = Clock::new(true, Some(first));
        assert_eq!(clock.time(first), "22:13:20.311");
        assert_eq!(clock.time(first + Nanos::from_secs(86_400)), "2023-11-15 22:13:20.311");
        assert_eq!(clock.zone(first), "UTC");
        assert_eq!(clock.date_time(first), "2023-11-14 22:13:20");
    }
}
