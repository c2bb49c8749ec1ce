//! `json`: one object, CONTRACT §3. Written piece by piece: never more than one exchange in memory
//! twice. Each exchange, chain and finding stands on a line of its own, so that two reports can be
//! compared line by line.

use std::cell::RefCell;
use std::io::{self, Write};

use serde::ser::{Serialize, SerializeSeq as _, SerializeStruct as _, Serializer};
use serde_json::ser::Formatter;

use crate::report::build::{self, Owners};
use crate::report::document as doc;
use crate::report::mask::Masker;
use crate::report::{Format, Options};
use crate::store::Analysis;

pub(super) static FORMAT: Format = Format { name: "json", extension: "json", write };

/// Writes the report and a line break.
pub fn write(a: &Analysis, options: &Options, out: &mut dyn Write) -> io::Result<()> {
    let whole = Whole { a, masker: RefCell::new(Masker::new(options.show_secrets)) };
    let mut out = io::BufWriter::new(out);
    whole.serialize(&mut serde_json::Serializer::with_formatter(&mut out, Lines::default()))?;
    out.write_all(b"\n")?;
    out.flush()
}

/// Serialises as [`doc::Report`] does, without building it.
struct Whole<'a> {
    a: &'a Analysis,
    masker: RefCell<Masker>,
}

impl Serialize for Whole<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let (a, m) = (self.a, &self.masker);
        let owners = Owners::new(a);
        let mut report = to.serialize_struct("Report", 9)?;
        report.serialize_field("schema", doc::SCHEMA)?;
        report.serialize_field("tool", &build::tool())?;
        report.serialize_field("inputs", &build::inputs(&a.inputs))?;
        report.serialize_field("counters", &build::counters(&a.counters))?;
        report.serialize_field("exchanges", &each(&a.rows, |row| build::exchange(row, true, &mut m.borrow_mut())))?;
        report.serialize_field("chains", &each(&a.chains, |c| build::chain(c, &mut m.borrow_mut())))?;
        let indices: Vec<usize> = (0..a.findings.len()).collect();
        report
            .serialize_field("findings", &each(&indices, |&i| build::finding_of(a, &owners, i, &mut m.borrow_mut())))?;
        report.serialize_field("intermediaries", &[(); 0])?;
        report.serialize_field("patterns", &each(&a.patterns, |p| build::pattern(p, &mut m.borrow_mut())))?;
        report.end()
    }
}

/// A list whose members are made when they are written.
struct Each<'a, T, F>(&'a [T], F);

fn each<T, D: Serialize, F: Fn(&T) -> D>(items: &[T], make: F) -> Each<'_, T, F> {
    Each(items, make)
}

impl<T, D: Serialize, F: Fn(&T) -> D> Serialize for Each<'_, T, F> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut list = to.serialize_seq(Some(self.0.len()))?;
        for item in self.0 {
            list.serialize_element(&self.1(item))?;
        }
        list.end()
    }
}

/// Breaks lines between the report's fields and between the members of its lists, nowhere deeper.
#[derive(Default)]
struct Lines {
    depth: usize,
    /// The innermost list has members.
    filled: bool,
}

impl Lines {
    fn line<W: ?Sized + Write>(&self, out: &mut W) -> io::Result<()> {
        out.write_all(if self.depth == 1 { b"\n  " } else { b"\n    " })
    }
}

impl Formatter for Lines {
    fn begin_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.depth += 1;
        self.filled = false;
        out.write_all(b"[")
    }

    fn end_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.depth -= 1;
        if self.depth == 1 && self.filled {
            self.line(out)?;
        }
        out.write_all(b"]")
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        if !first {
            out.write_all(b",")?;
        }
        if self.depth == 2 { self.line(out) } else { Ok(()) }
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.filled = true;
        Ok(())
    }

    fn begin_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.depth += 1;
        out.write_all(b"{")
    }

    fn end_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.depth -= 1;
        out.write_all(if self.depth == 0 { b"\n}" } else { b"}" })
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        if !first {
            out.write_all(b",")?;
        }
        if self.depth == 1 { self.line(out) } else { Ok(()) }
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        out.write_all(if self.depth == 1 { b": " } else { b":" })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use super::*;
    use crate::store::testing;

    fn written(a: &Analysis) -> String {
        let mut out = Vec::new();
        write(a, &Options::default(), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn written_piece_by_piece_it_is_the_report_built_whole() {
        for a in [testing::sample(), Analysis::default()] {
            let pieces: serde_json::Value = serde_json::from_str(&written(&a)).unwrap();
            let whole = serde_json::to_value(build::build(&a, &mut Masker::new(false))).unwrap();
            assert_eq!(pieces, whole);
        }
    }

    #[test]
    fn an_empty_report_has_every_list() {
        insta::assert_snapshot!(written(&Analysis::default()), @"");
    }

    #[test]
    fn the_sample_reads_as_the_contract_says() {
        insta::assert_snapshot!(written(&testing::sample()), @"");
    }
}
