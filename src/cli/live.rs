//! What is captured while the program runs, and how. Feature `live`.

use std::time::Duration;

use clap::Args;

use crate::base::limits;

/// Options of live capture.
#[derive(Args, Clone, Debug)]
pub struct Live {
    /// Capture from this device, or from `any`; repeatable, also beside files and pipes. Ends by Ctrl-C
    #[arg(short, long = "interface", value_name = "NAME", conflicts_with_all = ["since", "until"])]
    pub interfaces: Vec<String>,

    /// Capture only what matches, in tcpdump's language: `tcp port 80`
    #[arg(short = 'f', long, value_name = "BPF", requires = "interfaces", allow_hyphen_values = true)]
    pub capture_filter: Option<String>,

    /// End the capture after this time: `90s`, `1h30m`
    #[arg(long, value_name = "DURATION", requires = "interfaces", value_parser = duration)]
    pub duration: Option<Duration>,

    /// End the capture after so many packets
    #[arg(long, value_name = "N", requires = "interfaces", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,

    /// Keep so many bytes of each packet. Cut packets make weak verdicts
    #[arg(long, value_name = "BYTES", requires = "interfaces", default_value_t = limits::LIVE_SNAPLEN)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=i64::from(limits::LIVE_SNAPLEN)))]
    pub snaplen: u32,

    /// The kernel's buffer for each device: `64M`. What does not fit is dropped, and counted
    #[arg(long, value_name = "SIZE", requires = "interfaces", default_value = "32M", value_parser = size)]
    pub buffer: u32,

    /// Leave the devices in their mode: only packets for this host, and those it sends
    #[arg(long, requires = "interfaces")]
    pub no_promiscuous: bool,

    /// Become this user once the devices are open; needs root. All other rights are given up in any case (Linux)
    #[arg(long, value_name = "NAME", requires = "interfaces")]
    pub user: Option<String>,
}

fn duration(text: &str) -> Result<Duration, String> {
    let length = text.parse::<jiff::SignedDuration>().ok().and_then(|length| Duration::try_from(length).ok());
    length.ok_or_else(|| format!("{text:?} is no length of time; write for example 90s, 10m or 1h30m"))
}

/// Bytes: `1048576`, `1024K`, `64M`, `1G`.
fn size(text: &str) -> Result<u32, String> {
    let unit = match text.chars().last() {
        Some('K' | 'k') => 1 << 10,
        Some('M' | 'm') => 1 << 20,
        Some('G' | 'g') => 1 << 30,
        _ => 1_u64,
    };
    let number = text.trim_end_matches(['K', 'k', 'M', 'm', 'G', 'g']);
    let bytes = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    let bytes = bytes.and_then(|bytes| i32::try_from(bytes).ok()).and_then(|bytes| u32::try_from(bytes).ok());
    bytes.filter(|bytes| *bytes > 0).ok_or_else(|| format!("{text:?} is no size below 2G; write for example 64M"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units_of_1024() {
        assert_eq!([size("7"), size("2K"), size("64M"), size("1G")], [Ok(7), Ok(2 << 10), Ok(64 << 20), Ok(1 << 30)]);
        for wrong in ["", "M", "-1", "0", "2G", "1.5M", "64 MB"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_length_of_time_is_never_negative() {
        assert_eq!(duration("1m30s"), Ok(Duration::from_secs(90)));
        assert!(duration("-1s").is_err() && duration("soon").is_err());
    }
}
