//! One network device, opened by libpcap and read without waiting.
//!
//! Without libpcap's immediate mode: in it, a kernel buffer holds a hundredth of the packets. libpcap's warnings are
//! errors to the crate, so what is refused with promiscuous mode is tried without it.

use std::sync::Arc;

use pcap::{Active, Capture, Linktype, Precision, TimestampType};

use super::super::devices;
use super::super::error::Error;
use super::super::link_names::link_name;
use super::super::record::{Interface, Record};
use super::super::walk::offset;
use super::Setting;
use super::line::Chunk;
use crate::base::escape::escape;
use crate::base::{Timestamp, limits};
use crate::model::{InputFacts, LinkType};
use crate::wire;

/// A device that is being captured from.
pub(super) struct Device {
    pub(super) capture: Capture<Active>,
    name: String,
    link: LinkType,
    interfaces: Arc<[Interface]>,
    /// Number that the next packet gets, 1-based.
    next_no: u64,
    /// Drops as libpcap counted them last, by the kernel and the interface: in 32 bits, which overflow.
    dropped: (u32, u32),
}

/// Cooked packets that name their interface.
const DLT_LINUX_SLL2: i32 = 276;

/// All devices at once; takes no promiscuous mode.
const ANY: &str = "any";

impl Device {
    /// `notes`: what the user should know of how it was opened.
    pub(super) fn open(name: &str, setting: &Setting, notes: &mut Vec<String>) -> Result<Self, Error> {
        let promiscuous = setting.promiscuous && name != ANY;
        let mut stamps = setting.time_stamps;
        let mut opened = activate(name, setting, promiscuous, stamps);
        if stamps.is_some()
            && let Err(refused) = &opened
        {
            let without = activate(name, setting, promiscuous, None);
            if without.is_ok() {
                notes.push(format!(
                    "{}: the time stamps of this device are of its usual type: {}",
                    printable(name),
                    words(refused)
                ));
                (opened, stamps) = (without, None);
            }
        }
        if promiscuous && let Err(refused) = &opened {
            let without = activate(name, setting, false, stamps);
            if without.is_ok() {
                notes.push(format!(
                    "{}: captured without promiscuous mode, which it refuses: {}",
                    printable(name),
                    words(refused)
                ));
                opened = without;
            }
        }
        let failed = |error| cannot(name, &error);
        let mut capture = opened.map_err(failed)?;
        let cooked = Linktype(DLT_LINUX_SLL2);
        if name == ANY && capture.list_datalinks().is_ok_and(|links| links.contains(&cooked)) {
            capture.set_datalink(cooked).map_err(failed)?;
        }
        if let Some(filter) = &setting.filter {
            capture
                .filter(filter, true)
                .map_err(|error| Error::BadFilter { filter: escape(filter.as_bytes()), why: words(&error) })?;
        }
        let link = link_type(capture.get_datalink().0);
        let capture = capture.setnonblock().map_err(failed)?;
        let interface =
            Interface { link, snaplen: setting.snaplen, name: Some(name.as_bytes().into()), description: None };
        Ok(Device { capture, name: name.to_owned(), link, interfaces: [interface].into(), next_no: 1, dropped: (0, 0) })
    }

    /// What is known of it before its first packet.
    pub(super) fn facts(&self) -> InputFacts {
        let link = link_name(self.link);
        let unread = wire::link::find(self.link.0).is_none().then(|| (link.clone().into_owned(), self.link));
        InputFacts {
            path: self.name.clone(),
            format: super::FORMAT,
            link_types: vec![link.into_owned()],
            unread_links: unread.into_iter().collect(),
            ..InputFacts::default()
        }
    }

    /// Takes what has come, a batch at the most; an empty chunk where nothing has. `Err`: why no more will come.
    pub(super) fn read(&mut self, chunk: &mut Chunk) -> Result<(), String> {
        chunk.records.clear();
        chunk.section = 0;
        chunk.interfaces = Arc::clone(&self.interfaces);
        let mut bytes = std::mem::take(&mut chunk.page);
        let mut own = Vec::new();
        let page = match Arc::get_mut(&mut bytes) {
            Some(page) => page,
            None => &mut own,
        };
        page.clear();
        let (records, next_no, link) = (&mut chunk.records, &mut self.next_no, self.link);
        let read = self.capture.dispatch(Some(limits::BATCH_PACKETS), |packet| {
            let cap_len = u32::try_from(packet.data.len()).unwrap_or(u32::MAX);
            records.push(Record {
                off: offset(page.len()),
                cap_len,
                wire_len: packet.header.len.max(cap_len),
                link,
                iface: 0,
                ts: time(packet.header),
                no: *next_no,
            });
            *next_no += 1;
            page.extend_from_slice(packet.data);
        });
        chunk.page = if own.is_empty() { bytes } else { Arc::new(own) };
        match read {
            Ok(_) | Err(pcap::Error::TimeoutExpired) => Ok(()),
            // What came before the fault counts; it is met again.
            Err(_) if !chunk.records.is_empty() => Ok(()),
            Err(error) => Err(self.why_gone(&error)),
        }
    }

    /// What its packets come from: one.
    pub(super) fn interfaces(&self) -> Arc<[Interface]> {
        Arc::clone(&self.interfaces)
    }

    /// Number that the next packet would get.
    pub(super) fn next_no(&self) -> u64 {
        self.next_no
    }

    /// Packets dropped since this was asked last, by the kernel and by the interface.
    pub(super) fn drops(&mut self) -> (u64, u64) {
        let Ok(now) = self.capture.stats() else { return (0, 0) };
        let (kernel, interface) = self.dropped;
        let since = (now.dropped.wrapping_sub(kernel), now.if_dropped.wrapping_sub(interface));
        self.dropped = (now.dropped, now.if_dropped);
        (u64::from(since.0), u64::from(since.1))
    }

    fn why_gone(&self, error: &pcap::Error) -> String {
        match find(&self.name) {
            Found::Missing => "the device went away while capturing".to_owned(),
            Found::Down => "the device was taken down while capturing".to_owned(),
            Found::Up | Found::Unknown => format!("the system stopped capturing: {}", words(error)),
        }
    }
}

fn activate(
    name: &str,
    setting: &Setting,
    promiscuous: bool,
    stamps: Option<TimestampType>,
) -> Result<Capture<Active>, pcap::Error> {
    let number = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
    let capture = Capture::from_device(name)?;
    let capture = match stamps {
        Some(stamps) => capture.tstamp_type(stamps),
        None => capture,
    };
    capture
        .snaplen(number(setting.snaplen))
        .buffer_size(number(setting.buffer_bytes))
        .timeout(limits::LIVE_BLOCK_MS)
        .precision(PRECISION)
        .promisc(promiscuous)
        .open()
}

/// Linux has nanoseconds always; elsewhere the crate would not tell whether they were granted.
const PRECISION: Precision = if cfg!(target_os = "linux") { Precision::Nano } else { Precision::Micro };

#[allow(clippy::useless_conversion, reason = "the types differ between systems")]
fn time(header: &pcap::PacketHeader) -> Timestamp {
    let unit = if cfg!(target_os = "linux") { 1 } else { 1_000 };
    let part = i64::from(header.ts.tv_usec).saturating_mul(unit);
    Timestamp::from_parts(i64::from(header.ts.tv_sec), u32::try_from(part).unwrap_or(0))
}

/// The number that a capture file has for it.
fn link_type(dlt: i32) -> LinkType {
    let number = match dlt {
        // These differ between systems, and so have others in files.
        11 => 100,
        12 | 14 => 101,
        other => other,
    };
    LinkType(u16::try_from(number).unwrap_or(u16::MAX))
}

/// What is known of a device by its name.
enum Found {
    Up,
    Down,
    Missing,
    /// The devices cannot be listed.
    Unknown,
}

fn find(name: &str) -> Found {
    let Ok(all) = devices::list() else { return Found::Unknown };
    match all.iter().find(|device| device.name == name) {
        Some(device) if device.up => Found::Up,
        Some(_) => Found::Down,
        None => Found::Missing,
    }
}

/// Why a device cannot be opened. libpcap has the same words for one that is not there and for one that may not be
/// opened, so its name is looked for first.
fn cannot(name: &str, error: &pcap::Error) -> Error {
    let why = words(error);
    let printable = printable(name);
    match find(name) {
        Found::Missing => {
            let names = devices::list().unwrap_or_default().into_iter().map(|device| escape(device.name.as_bytes()));
            Error::NoDevice { name: printable, there_are: names.collect::<Vec<_>>().join(", ") }
        }
        _ if devices::is_denial(&why) => Error::NoPermission { name: printable, to_do: devices::permission_hint() },
        Found::Down => Error::CannotCapture { name: printable, why: "the device is down".into() },
        Found::Up | Found::Unknown => Error::CannotCapture { name: printable, why },
    }
}

fn printable(name: &str) -> String {
    escape(name.as_bytes())
}

/// libpcap's words, without the crate's in front.
fn words(error: &pcap::Error) -> String {
    let text = error.to_string();
    escape(text.strip_prefix("libpcap error: ").unwrap_or(&text).as_bytes())
}
