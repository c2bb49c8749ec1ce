//! What keeps an input from being read at all. A fault inside one that can be read is no error: it
//! stands in its `InputFacts`.

use std::io;
use std::path::Path;

use crate::base::escape::escape;
use crate::base::limits;

/// Why there is nothing to analyse: what, where, why, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The devices could not be listed (feature `live`).
    #[error("cannot list the devices: {0}")]
    Devices(String),
    /// A device that is not there. `there_are`: the names of those that are.
    #[error("{name}: no such device (there are: {there_are}; see: hopscope interfaces)")]
    NoDevice { name: String, there_are: String },
    /// `to_do`: how to get it.
    #[error("{name}: cannot capture: permission denied ({to_do})")]
    NoPermission { name: String, to_do: String },
    #[error("{name}: cannot capture: {why}")]
    CannotCapture { name: String, why: String },
    /// What the caller wanted done between opening devices and the first thread failed, in its words.
    #[error("{0}")]
    NotReady(String),
    /// `why`: the words of its compiler.
    #[error("-f '{filter}': {why} (its language is tcpdump's: man pcap-filter)")]
    BadFilter { filter: String, why: String },
    /// `name` is safe to print.
    #[error("{name}: cannot open: {why}{}", hint(*.reason))]
    Open {
        name: String,
        /// The system's own words, told here already: not a `#[source]`, which would tell them again.
        why: String,
        reason: io::ErrorKind,
    },
    /// Opened, but nothing that can be read as a capture.
    #[error("{name}: cannot read: {why} ({to_do})")]
    Refused { name: String, why: String, to_do: String },
    /// A pipe or the like, where the input has to be read a second time.
    #[error("{name}: cannot be read twice, and that is needed here (save it to a file first)")]
    Once { name: String },
    #[error("-: standard input can be read only once (name it once)")]
    StdinTwice,
    #[error(
        "{text}: not a time (write 2026-01-31T12:00:00Z, \"2026-01-31 12:00\" for local time, 12:00:30, or -15m for 15 minutes before the end)"
    )]
    Time { text: String },
    #[error("too many inputs: {0} are given, {max} can be read at once (join them with mergecap)", max = limits::INPUTS)]
    TooManyInputs(usize),
    /// A time that counts from the end of the inputs, and an input whose end cannot be known before.
    #[error(
        "{name}: cannot find its last packet before reading it, and {text} counts from there (give a date and a time, or save it to a file first)"
    )]
    WindowNeedsFile { name: String, text: String },
}

impl Error {
    /// The system refused to open `path`.
    pub(super) fn open(path: &Path, source: io::Error) -> Self {
        Error::Open { name: name_of(path), why: in_words(&source), reason: source.kind() }
    }

    pub(super) fn refused(name: &str, why: impl Into<String>, to_do: impl Into<String>) -> Self {
        Error::Refused { name: name.to_owned(), why: why.into(), to_do: to_do.into() }
    }
}

/// A path as it can be printed.
pub(super) fn name_of(path: &Path) -> String {
    escape(path.as_os_str().as_encoded_bytes())
}

/// The system's words, without its number: `no such file`, `permission denied`.
pub(super) fn in_words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => {
            let text = error.to_string();
            let text = text.split(" (os error").next().unwrap_or_default();
            let mut chars = text.chars();
            chars.next().map(|c| c.to_lowercase().chain(chars).collect()).unwrap_or_default()
        }
    }
}

fn hint(reason: io::ErrorKind) -> &'static str {
    match reason {
        io::ErrorKind::NotFound => " (check the name)",
        io::ErrorKind::PermissionDenied => " (ask its owner for the right to read it, or run as root)",
        _ => "",
    }
}
