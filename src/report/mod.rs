//! Reports: one format per file. What comes in: a finished analysis. What goes out: bytes in a
//! writer. A report decides nothing about faults; it masks secrets and escapes what was captured.

use std::io;

use crate::store::Analysis;

pub mod build;
pub mod comments;
pub mod csv;
pub mod document;
pub mod html;
pub mod json;
pub mod junit;
pub mod markdown;
pub mod mask;
pub mod mermaid;
pub mod ndjson;
pub mod passed;
mod quote;
pub mod redact;
pub mod sarif;
pub mod schema;
mod secrets;
pub mod text;
pub mod time;
mod told;
mod view;

/// One format of a report.
pub struct Format {
    /// What `--format` takes.
    pub name: &'static str,
    /// Of a file, without the dot.
    pub extension: &'static str,
    /// Fails only where `out` fails.
    pub write: fn(&Analysis, &Options, &mut dyn io::Write) -> io::Result<()>,
}

/// How a report is to look. Machines' formats heed `show_secrets` only.
#[derive(Clone, Debug)]
pub struct Options {
    /// Times in UTC instead of the zone of this machine.
    pub utc: bool,
    pub show_secrets: bool,
    /// Colours, by ANSI sequences; never the only sign of anything.
    pub color: bool,
    /// Columns of the terminal that it is shown on. `None`: it is none.
    pub columns: Option<usize>,
    /// The summary and the faults, nothing else.
    pub quiet: bool,
    /// Healthy upgrades listed one by one; if there are more, they are counted.
    pub max_healthy: usize,
    /// Chains that a filter took away, where it left none. `None`: no filter, or it left some.
    pub filtered_out: Option<usize>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            utc: false,
            show_secrets: false,
            color: false,
            columns: None,
            quiet: false,
            max_healthy: 10,
            filtered_out: None,
        }
    }
}

/// Every format, the default first.
pub static FORMATS: &[&Format] = &[
    &text::FORMAT,
    &json::FORMAT,
    &ndjson::FORMAT,
    &csv::FORMAT,
    &markdown::FORMAT,
    &html::FORMAT,
    &mermaid::FORMAT,
    &junit::FORMAT,
    &sarif::FORMAT,
];

/// The format with this name.
pub fn find(name: &str) -> Option<&'static Format> {
    FORMATS.iter().copied().find(|f| f.name == name)
}

/// The names of all formats, the default first.
pub fn names() -> impl Iterator<Item = &'static str> {
    FORMATS.iter().map(|f| f.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_found_by_name() {
        assert!(names().all(|name| find(name).is_some_and(|f| f.name == name)));
        assert!(find("pdf").is_none());
    }
}
