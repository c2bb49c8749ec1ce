//! What is captured while the program runs, and how. Feature `live`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

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

    /// Keep all that is captured in this pcapng file, which is written anew. A full disk ends nothing: what is not
    /// kept is counted
    #[arg(short = 'w', long = "write", value_name = "FILE", requires = "interfaces")]
    pub write: Option<PathBuf>,

    /// Keep the last N files of this size instead, `100M,10`: FILE_00001_TIME.pcapng and so on
    #[arg(long, value_name = "SIZE,N", requires = "write", value_parser = ring)]
    pub ring: Option<Ring>,

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

    /// Who stamps packets with their times: host, host_lowprec, host_hiprec, adapter, adapter_unsynced. Where the device
    /// cannot do it the host does; libpcap does not tell
    #[arg(short = 'j', long, value_name = "TYPE", requires = "interfaces")]
    pub time_stamp_type: Option<TimeStamps>,

    /// Leave the devices in their mode: only packets for this host, and those it sends
    #[arg(long, requires = "interfaces")]
    pub no_promiscuous: bool,

    /// Become this user once the devices are open; needs root. All other rights are given up in any case (Linux)
    #[arg(long, value_name = "NAME", requires = "interfaces")]
    pub user: Option<String>,
}

/// Who stamps packets, in the words of tcpdump.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TimeStamps {
    #[value(name = "host")]
    Host,
    #[value(name = "host_lowprec")]
    HostLowPrecision,
    #[value(name = "host_hiprec")]
    HostHighPrecision,
    #[value(name = "adapter")]
    Adapter,
    #[value(name = "adapter_unsynced")]
    AdapterUnsynced,
}

/// Files that go round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ring {
    /// Bytes of one at most, but for one packet.
    pub bytes: u64,
    /// How many there are at most.
    pub files: usize,
}

fn ring(text: &str) -> Result<Ring, String> {
    let form = || format!("{text:?} is no size and number of files; write for example 100M,10");
    let (bytes, files) = text.split_once(',').ok_or_else(form)?;
    let files = files.trim().parse().ok().filter(|files| (1..=limits::RING_FILES).contains(files)).ok_or_else(form)?;
    let bytes = bytes_of(bytes.trim()).filter(|bytes| *bytes > 0).ok_or_else(form)?;
    Ok(Ring { bytes, files })
}

fn duration(text: &str) -> Result<Duration, String> {
    let length = text.parse::<jiff::SignedDuration>().ok().and_then(|length| Duration::try_from(length).ok());
    length.ok_or_else(|| format!("{text:?} is no length of time; write for example 90s, 10m or 1h30m"))
}

fn size(text: &str) -> Result<u32, String> {
    let bytes = bytes_of(text).and_then(|bytes| i32::try_from(bytes).ok()).and_then(|bytes| u32::try_from(bytes).ok());
    bytes.filter(|bytes| *bytes > 0).ok_or_else(|| format!("{text:?} is no size below 2G; write for example 64M"))
}

/// Bytes: `1048576`, `1024K`, `64M`, `1G`.
fn bytes_of(text: &str) -> Option<u64> {
    let unit = match text.chars().last() {
        Some('K' | 'k') => 1 << 10,
        Some('M' | 'm') => 1 << 20,
        Some('G' | 'g') => 1 << 30,
        _ => 1_u64,
    };
    let number = text.trim_end_matches(['K', 'k', 'M', 'm', 'G', 'g']);
    number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit))
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
    fn a_ring_has_a_size_and_a_number() {
        assert_eq!(ring("3G, 10"), Ok(Ring { bytes: 3 << 30, files: 10 }));
        for wrong in ["100M", "100M,0", "0,1", ",1", "1,", "1,100000", "x,1"] {
            assert!(ring(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_length_of_time_is_never_negative() {
        assert_eq!(duration("1m30s"), Ok(Duration::from_secs(90)));
        assert!(duration("-1s").is_err() && duration("soon").is_err());
    }
}
