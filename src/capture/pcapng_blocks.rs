//! The cold blocks of pcapng: sections, interfaces, statistics, secrets, names. Read with
//! draft-ietf-opsawg-pcapng open.
//!
//! In: one whole block whose two lengths agree. Out: the walker's interfaces, and `InputFacts`. What
//! is kept is bounded by `limits::INTERFACES` and `limits::SIDE_BLOCK_BYTES`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::pcapng::{INTERFACE, NAMES, Pcapng, SECRETS, SECTION_HEADER, STATISTICS, TLS_KEY_LOG, TRAILER, byte_order};
use super::record;
use super::walk::{index, u16_at, u32_at};
use crate::base::{Timestamp, limits};
use crate::model::{InputFacts, KeyLog, LinkType};

/// One interface of a section.
#[derive(Clone, Debug)]
pub(super) struct Interface {
    /// Its place in the section.
    pub(super) number: u16,
    pub(super) link: LinkType,
    /// 0: no limit.
    pub(super) snaplen: u32,
    pub(super) clock: Clock,
    /// A packet of it was read.
    pub(super) used: bool,
    /// Drops by interface and kernel as its last statistics block said.
    drops: [u64; 2],
}

/// How the numbers of an interface become packet time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    unit: Unit,
    /// if_tsoffset in nanoseconds.
    offset: i64,
}

#[derive(Clone, Copy, Debug)]
enum Unit {
    /// Whole nanoseconds of one unit.
    Nanos(u64),
    /// Units of one nanosecond.
    PerNano(u64),
    /// A second is 2 to this power of units.
    Binary(u8),
}

/// What blocks tell about the file.
pub(super) struct Side<'a> {
    pub(super) facts: &'a mut InputFacts,
    /// Bytes of secrets and names kept so far.
    pub(super) kept: &'a mut usize,
}

impl Clock {
    /// Of units since 1970, clamped to the range of `Timestamp`.
    #[inline(always)]
    pub(super) fn time(self, units: u64) -> Timestamp {
        let ns = match self.unit {
            Unit::Nanos(ns) => units.saturating_mul(ns),
            Unit::PerNano(count) => units.checked_div(count).unwrap_or(0),
            Unit::Binary(power) => {
                let ns = (u128::from(units) * 1_000_000_000).checked_shr(u32::from(power)).unwrap_or(0);
                u64::try_from(ns).unwrap_or(u64::MAX)
            }
        };
        Timestamp(i64::try_from(ns).unwrap_or(i64::MAX).saturating_add(self.offset))
    }

    /// From the options if_tsresol (default 6: microseconds) and if_tsoffset (seconds).
    fn new(resolution: u8, offset_s: i64) -> Self {
        let power = u32::from(resolution & 0x7f);
        let unit = if resolution & 0x80 != 0 {
            Unit::Binary(resolution & 0x7f)
        } else if power <= 9 {
            Unit::Nanos(10_u64.pow(9 - power))
        } else {
            // A unit too small for any number to reach a nanosecond: checked_div by 0 gives 0.
            Unit::PerNano(10_u64.checked_pow(power - 9).unwrap_or(0))
        };
        Clock { unit, offset: offset_s.saturating_mul(1_000_000_000) }
    }
}

/// Reads a block that holds no packet. `Err`: what is wrong inside it; the block's end is known.
pub(super) fn read(file: &mut Pcapng, kind: u32, block: &[u8], side: &mut Side<'_>) -> Result<(), String> {
    let body = block.get(8..block.len().saturating_sub(TRAILER)).unwrap_or_default();
    match kind {
        SECTION_HEADER => section(file, body),
        INTERFACE => interface(file, body, side),
        STATISTICS => {
            statistics(file, body, side.facts);
            Ok(())
        }
        SECRETS => {
            secrets(file.big, body, side);
            Ok(())
        }
        NAMES => {
            names(file.big, body, side);
            Ok(())
        }
        // Custom and unknown blocks are skipped, as the format asks (pcapng §3.1).
        _ => Ok(()),
    }
}

fn section(file: &mut Pcapng, body: &[u8]) -> Result<(), String> {
    file.interfaces.clear();
    file.told.clear();
    file.sections = file.sections.saturating_add(1);
    let Some(big) = body.first_chunk::<4>().and_then(byte_order) else {
        return Err("a section header with a damaged byte-order mark".to_owned());
    };
    file.big = big;
    match u16_at(big, body, 4) {
        Some(1) => Ok(()),
        Some(major) => Err(format!("a section of version {major}, and only version 1 is known")),
        None => Err("a section header without a version".to_owned()),
    }
}

fn interface(file: &mut Pcapng, body: &[u8], side: &mut Side<'_>) -> Result<(), String> {
    let (Some(link), Some(snaplen)) = (u16_at(file.big, body, 0), u32_at(file.big, body, 4)) else {
        return Err("an interface description without a link type".to_owned());
    };
    if file.interfaces.len() >= limits::INTERFACES {
        return Err(format!("more than {} interfaces in a section", limits::INTERFACES));
    }
    let (mut resolution, mut offset_s) = (6, 0);
    let mut told = record::Interface { link: LinkType(link), snaplen, ..record::Interface::default() };
    for (code, value) in Options::new(file.big, body.get(8..).unwrap_or_default()) {
        match (code, value) {
            (2, name) if side.keep(name.len()) => told.name = Some(name.into()),
            (3, words) if side.keep(words.len()) => told.description = Some(words.into()),
            (9, [first, ..]) => resolution = *first,
            (14, value) => offset_s = u64_of(file.big, value).map_or(0, u64::cast_signed),
            _ => {}
        }
    }
    let link = LinkType(link);
    if !file.declared.contains(&link) && file.declared.len() < limits::INTERFACES {
        file.declared.push(link);
    }
    file.told.push(told);
    file.interfaces.push(Interface {
        number: u16::try_from(file.interfaces.len()).unwrap_or(u16::MAX),
        link,
        snaplen,
        clock: Clock::new(resolution, offset_s),
        used: file.used.contains(&link),
        drops: [0, 0],
    });
    Ok(())
}

/// Counts of drops are totals since the start: a later block replaces an earlier one.
fn statistics(file: &mut Pcapng, body: &[u8], facts: &mut InputFacts) {
    let big = file.big;
    let Some(interface) = u32_at(big, body, 0).and_then(|n| file.interfaces.get_mut(index(n))) else { return };
    for (code, value) in Options::new(big, body.get(12..).unwrap_or_default()) {
        let Some(count) = u64_of(big, value) else { continue };
        let (known, total) = match code {
            5 => (&mut interface.drops[0], &mut facts.dropped_interface),
            7 => (&mut interface.drops[1], &mut facts.dropped_kernel),
            _ => continue,
        };
        *total = total.saturating_add(count.saturating_sub(*known));
        *known = count.max(*known);
    }
}

/// Keeps TLS key logs; other secrets (SSH, WireGuard, ZigBee) are of no use here.
fn secrets(big: bool, body: &[u8], side: &mut Side<'_>) {
    let (Some(TLS_KEY_LOG), Some(length)) = (u32_at(big, body, 0), u32_at(big, body, 4)) else { return };
    let log = body.get(8..).unwrap_or_default();
    let log = log.get(..index(length)).unwrap_or(log);
    if side.keep(log.len()) {
        side.facts.secrets.push(KeyLog::new(log));
    }
}

fn names(big: bool, body: &[u8], side: &mut Side<'_>) {
    // Records have the shape of options, and end with one of type 0 (pcapng §4.5).
    for (kind, value) in Options::new(big, body) {
        let (address, names) = match kind {
            1 => match value.split_first_chunk::<4>() {
                Some((ip, names)) => (IpAddr::V4(Ipv4Addr::from(*ip)), names),
                None => continue,
            },
            2 => match value.split_first_chunk::<16>() {
                Some((ip, names)) => (IpAddr::V6(Ipv6Addr::from(*ip)), names),
                None => continue,
            },
            _ => continue,
        };
        for name in names.split(|b| *b == 0).filter(|name| !name.is_empty()) {
            if side.keep(name.len() + size_of::<(IpAddr, Box<[u8]>)>()) {
                side.facts.names.push((address, name.into()));
            }
        }
    }
}

impl Side<'_> {
    /// Whether `bytes` more may be kept; counts what may not.
    fn keep(&mut self, bytes: usize) -> bool {
        let fits = self.kept.saturating_add(bytes) <= limits::SIDE_BLOCK_BYTES;
        if fits {
            *self.kept += bytes;
        } else {
            self.facts.side_blocks_dropped += 1;
        }
        fits
    }
}

/// Options of a block: code, value. Ends at opt_endofopt, and where an option does not fit its block.
struct Options<'a> {
    big: bool,
    rest: &'a [u8],
}

impl<'a> Options<'a> {
    fn new(big: bool, rest: &'a [u8]) -> Self {
        Options { big, rest }
    }
}

impl<'a> Iterator for Options<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let code = u16_at(self.big, self.rest, 0).filter(|code| *code != 0)?;
        let length = usize::from(u16_at(self.big, self.rest, 2)?);
        let value = self.rest.get(4..4 + length)?;
        self.rest = self.rest.get(4 + length.next_multiple_of(4)..).unwrap_or_default();
        Some((code, value))
    }
}

fn u64_of(big: bool, value: &[u8]) -> Option<u64> {
    let eight = *value.first_chunk::<8>()?;
    Some(if big { u64::from_be_bytes(eight) } else { u64::from_le_bytes(eight) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_of_every_resolution_give_nanoseconds() {
        let at = |resolution, offset, units| Clock::new(resolution, offset).time(units).0;
        assert_eq!(at(6, 0, 1_000_001), 1_000_001_000);
        assert_eq!(at(9, 0, 1_000_000_001), 1_000_000_001);
        assert_eq!(at(0, 0, 7), 7_000_000_000);
        assert_eq!(at(12, 0, 5_000), 5);
        assert_eq!(at(0x80 | 10, 0, 1_536), 1_500_000_000);
        assert_eq!(at(0x80 | 10, -1, 1_536), 500_000_000);
        assert_eq!(at(6, 1_000, 1), 1_000_000_001_000);
    }

    #[test]
    fn impossible_clocks_are_clamped() {
        for resolution in 0..=255 {
            for offset in [i64::MIN, 0, i64::MAX] {
                for units in [0, 1, u64::MAX] {
                    let _ = Clock::new(resolution, offset).time(units);
                }
            }
        }
        assert_eq!(Clock::new(0, 0).time(u64::MAX).0, i64::MAX);
        assert_eq!(Clock::new(127, 0).time(u64::MAX).0, 0);
    }
}
