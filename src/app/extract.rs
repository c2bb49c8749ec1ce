//! `hopscope extract`: analyses the inputs as `report` does, then reads them again and writes the packets
//! of the connections that were asked for.

use std::io::{self, Write as _};
use std::sync::atomic::Ordering;

use anyhow::{Context as _, bail};
use zeroize::Zeroize as _;

use crate::base::Nanos;
use crate::capture::write::{InterfaceKey, Packet, Writer};
use crate::capture::{Batch, Merged, Record, Source};
use crate::cli::{Extract, FailOn};
use crate::engine::replay::{self, replay};
use crate::engine::{Judge, judge};
use crate::model::InputFacts;
use crate::report::comments::Comments;
use crate::report::mask::Masker;

use super::chosen::{self, chosen};
use super::copies::Copies;
use super::keys::Keys;
use super::out_file::{self, OutFile};
use super::progress::Progress;
use super::{analyse, code, complain};

/// Runs the command; the exit code.
pub(super) fn extract(args: &Extract) -> anyhow::Result<u8> {
    let files = &args.inputs.files;
    if files.is_empty() {
        bail!("extract: no input; name a capture file");
    }
    files.iter().try_for_each(|path| Source::check_twice(path))?;
    let filter = args.filter.as_deref().map(analyse::parse_filter).transpose()?;
    let products = analyse::products()?;
    let mut keys = Keys::read(&args.inputs)?;
    let inputs = analyse::open(&args.inputs)?;
    keys.add(inputs.facts());
    let mut out = OutFile::create(&args.output, files)?;
    let interrupted = analyse::catch_interrupts()?;
    let mut progress = Progress::new(!args.quiet);
    let mut on_progress = |at| {
        progress.tell(at);
        !interrupted.load(Ordering::Relaxed)
    };

    let (window, clocks) = (inputs.window(), inputs.clocks().to_vec());
    let read = analyse::read(&args.inputs, inputs, &mut keys, &mut on_progress)?;
    let analyse::Read { mut collected, counters, facts, mut whole } = read;
    let mut judge = Judge::new(&products);
    judge.told = super::told::told(&args.inputs)?;
    let copies = Copies::of(&mut collected, &judge.told);
    let a = judge::whole_by(&mut judge, collected, counters, facts, &|_, _| false);
    let (mut written, mut connections, mut left_out, mut copied) = (0, 0, 0, 0);
    if whole {
        let filter = filter.map(|f| f.with_inputs(&a.inputs));
        let mut wanted = chosen(args, filter.as_ref(), &a, &copies)?;
        wanted.secrets = keys.secrets();
        connections = wanted.len();
        copied = copies.left_out(&wanted, &a.rows);
        if a.counters.fragments != 0 {
            let pieces = replay::pieces(&mut Merged::open_by(files, &window, &clocks)?, &wanted, &mut on_progress);
            let pieces = pieces.map_err(|err| in_words(err, args, &a.inputs))?;
            whole = pieces.is_some();
            let pieces = pieces.unwrap_or_default();
            left_out = pieces.left_out;
            wanted.add_pieces(pieces);
        }
        if whole {
            let masker = Masker::new(args.show_secrets).naming(&a.inputs);
            let mut comments = Comments::new(&a, chosen::concerns(&wanted, &a), masker);
            let mut packets = Packets::new(&header(args, &mut comments, &a.inputs), comments, &mut out);
            let mut log = keys.of(chosen::around(&wanted, &a));
            packets.secrets(&log)?;
            log.zeroize();
            packets.shifts = estimated(&a.inputs, &clocks);
            let mut inputs = Merged::open_by(files, &window, &clocks)?;
            whole =
                replay(&mut inputs, &wanted, &mut on_progress, &mut |batch, record, _| packets.write(batch, record))
                    .map_err(|err| in_words(err, args, &a.inputs))?;
            written = packets.written;
        }
    }
    progress.clear();
    if !whole {
        complain("interrupted: nothing was written");
        return Ok(code::INTERRUPTED);
    }
    out.finish().with_context(|| cannot_write(args))?;
    analyse::warn(&a.inputs, args.quiet);
    if left_out != 0 && !args.quiet {
        complain(&format!(
            "left out: {} that brought fragments, because there are too many",
            count(left_out, "packet")
        ));
    }
    if copied != 0 && !args.quiet {
        complain(&format!(
            "left out: the second copy of {} captured at two places, since one file cannot keep the two apart; for \
             that copy, name only the other file",
            count(copied, "connection")
        ));
    }
    if !args.quiet {
        let place = match args.output.as_os_str() == "-" {
            true => "standard output".to_owned(),
            false => out_file::name(&args.output),
        };
        complain(&format!(
            "{} of {} written to {place}",
            count(written, "packet"),
            count(connections as u64, "connection")
        ));
    }
    Ok(analyse::exit_code(&a.inputs, None, FailOn::Never))
}

/// Formats packets and writes them.
struct Packets<'a> {
    writer: Writer,
    comments: Comments<'a>,
    out: &'a mut OutFile,
    /// One block at a time.
    block: Vec<u8>,
    written: u64,
    /// By input, to be added to its times: one file has one clock.
    shifts: Vec<Nanos>,
}

impl<'a> Packets<'a> {
    fn new(header: &str, comments: Comments<'a>, out: &'a mut OutFile) -> Self {
        let mut block = Vec::new();
        let writer = Writer::new(&mut block, header.to_owned(), program());
        Packets { writer, comments, out, block, written: 0, shifts: Vec::new() }
    }

    /// What opens the connections, before their packets.
    fn secrets(&mut self, key_log: &[u8]) -> io::Result<()> {
        if !key_log.is_empty() {
            Writer::secrets(&mut self.block, key_log);
            self.out.write_all(&self.block)?;
            self.block.zeroize();
        }
        Ok(())
    }

    fn write(&mut self, batch: &Batch<'_>, record: &Record) -> io::Result<()> {
        let Some(interface) = batch.interfaces.get(usize::from(record.iface)) else { return Ok(()) };
        let key = InterfaceKey { input: batch.input, section: batch.section, number: record.iface };
        let notes = self.comments.of(batch.at(record));
        let data = record.data(batch.bytes);
        let shift = self.shifts.get(usize::from(batch.input)).copied().unwrap_or_default();
        let record = &Record { ts: record.ts + shift, ..*record };
        let packet = Packet { key, interface, record, data, comments: &notes };
        let comments = &self.comments;
        self.writer.packet(&mut self.block, &packet, || {
            let InterfaceKey { input, section, number } = key;
            let section = if section == 0 { String::new() } else { format!("section {section}, ") };
            format!("{section}interface {number} of {}", comments.file(input))
        });
        self.out.write_all(&self.block)?;
        self.block.clear();
        self.written += 1;
        Ok(())
    }
}

/// What the analysis found each clock to be off by, beyond what the user told, which is in the times already.
fn estimated(inputs: &[InputFacts], told: &[(usize, Nanos)]) -> Vec<Nanos> {
    let of = |at: usize| told.iter().filter(|(input, _)| *input == at).map(|(_, by)| *by).next_back();
    let beyond =
        |(at, facts): (usize, &InputFacts)| Nanos(facts.clock_offset.0.saturating_sub(of(at).map_or(0, |by| by.0)));
    inputs.iter().enumerate().map(beyond).collect()
}

/// What the file says of itself.
fn header(args: &Extract, comments: &mut Comments<'_>, inputs: &[InputFacts]) -> String {
    let filter = comments.words(args.filter.as_deref().unwrap_or_default());
    let files: Vec<String> = (0..inputs.len()).filter_map(|i| Some(comments.file(u16::try_from(i).ok()?))).collect();
    format!(
        "{}, extract: the connections of {} in {}. Comments name the findings that a packet is evidence of.",
        program(),
        chosen::in_words(args, &filter),
        files.join(", ")
    )
}

fn program() -> String {
    concat!("hopscope ", env!("CARGO_PKG_VERSION")).to_owned()
}

fn in_words(err: replay::Error, args: &Extract, inputs: &[InputFacts]) -> anyhow::Error {
    let name = |input: u16| inputs.get(usize::from(input)).map_or("", |facts| &facts.path);
    match err {
        replay::Error::TwoPlaces { one, other, first, second } => {
            let (first, second) = (name(first), name(second));
            anyhow::anyhow!(
                "{one} and {other} were captured in both {first} and {second}, and one file cannot keep the two places \
                 apart; write a file for each: choose by --exchange, or with -Y 'file:{first} …'"
            )
        }
        replay::Error::Write(err) => anyhow::Error::from(err).context(cannot_write(args)),
        err => err.into(),
    }
}

fn cannot_write(args: &Extract) -> String {
    format!("{}: cannot write the packets there", out_file::name(&args.output))
}

fn count(n: u64, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}
