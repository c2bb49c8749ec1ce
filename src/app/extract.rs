//! `hopscope extract`: analyses the inputs as `report` does, then reads them again and writes the packets
//! of the connections that were asked for.

use std::borrow::Cow;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::atomic::Ordering;

use anyhow::{Context as _, bail};
use zeroize::Zeroize as _;

use crate::base::Nanos;
use crate::capture::write::{InterfaceKey, Packet, Writer};
use crate::capture::{self, Batch, Interface, Merged, Record, Source, Window};
use crate::cli::{Extract, FailOn, Inputs};
use crate::engine::replay::{self, Wanted, replay};
use crate::engine::{Judge, judge};
use crate::model::InputFacts;
use crate::report::comments::Comments;
use crate::report::mask::Masker;
use crate::report::redact;
use crate::store::Analysis;

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
    args.filter.as_deref().map(analyse::parse_filter).transpose()?;
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
    let analyse::Read { collected, counters, facts, whole } = read;
    let mut judge = Judge::new(&products);
    judge.told = super::told::told(&args.inputs)?;
    let mut a = judge::whole_by(&mut judge, collected, counters, facts, &|_, _| false);
    let known = Known { keys, copies: Copies::of(std::mem::take(&mut judge.copied)), window, clocks };
    let mut written = None;
    if whole && let Some(ready) = prepare(args, &known, &a, &mut on_progress)? {
        let mut redacted = None;
        if args.redact {
            let packets = redact::packets::Packets::new(&mut a, &|flow| ready.wanted.has(flow));
            redacted = Some(packets.map_err(|why| refused(&why))?);
        }
        written = put(args, &known, &a, (ready, redacted), &mut out, &mut on_progress)?;
    }
    progress.clear();
    let Some(written) = written else {
        complain("interrupted: nothing was written");
        return Ok(code::INTERRUPTED);
    };
    out.finish().with_context(|| cannot_write(args))?;
    analyse::warn(&a.inputs, args.quiet);
    if !args.quiet {
        written.words(&args.output).iter().for_each(|line| complain(line));
    }
    Ok(analyse::exit_code(&a.inputs, None, FailOn::Never))
}

/// What one reading leaves for another of the same inputs.
pub(super) struct Known {
    pub(super) keys: Keys,
    pub(super) copies: Copies,
    pub(super) window: Window,
    pub(super) clocks: Vec<(usize, Nanos)>,
}

impl Known {
    /// The inputs once more.
    pub(super) fn open(&self, inputs: &Inputs) -> Result<Merged, capture::Error> {
        Merged::open_by(&inputs.files, &self.window, &self.clocks)
    }
}

/// What was written, and what was not.
pub(super) struct Written {
    packets: u64,
    connections: usize,
    left_out: u64,
    copied: u64,
}

impl Written {
    /// In words, the most important last.
    pub(super) fn words(&self, output: &Path) -> Vec<String> {
        let mut words = Vec::new();
        if self.left_out != 0 {
            let packets = count(self.left_out, "packet");
            words.push(format!("left out: {packets} that brought fragments, because there are too many"));
        }
        if self.copied != 0 {
            words.push(format!(
                "left out: the second copy of {} captured at two places, since one file cannot keep the two apart; for \
                 that copy, name only the other file",
                count(self.copied, "connection")
            ));
        }
        let place = if output.as_os_str() == "-" { "standard output".to_owned() } else { out_file::name(output) };
        let (packets, connections) = (count(self.packets, "packet"), count(self.connections as u64, "connection"));
        words.push(format!("{packets} of {connections} written to {place}"));
        words
    }
}

/// Reads the inputs again and writes the packets that were asked for, as they are. `None`: it was interrupted.
pub(super) fn write(
    args: &Extract,
    known: &Known,
    a: &Analysis,
    out: &mut OutFile,
    on_progress: &mut dyn FnMut(capture::Progress) -> bool,
) -> anyhow::Result<Option<Written>> {
    let Some(ready) = prepare(args, known, a, on_progress)? else { return Ok(None) };
    put(args, known, a, (ready, None), out, on_progress)
}

/// What is to be written.
struct Ready {
    wanted: Wanted,
    connections: usize,
    left_out: u64,
    copied: u64,
}

/// Which packets were asked for. `None`: it was interrupted.
fn prepare(
    args: &Extract,
    known: &Known,
    a: &Analysis,
    on_progress: &mut dyn FnMut(capture::Progress) -> bool,
) -> anyhow::Result<Option<Ready>> {
    let filter = args.filter.as_deref().map(analyse::parse_filter).transpose()?.map(|f| f.with_inputs(&a.inputs));
    let mut wanted = chosen(args, filter.as_ref(), a, &known.copies)?;
    wanted.secrets = known.keys.secrets();
    let (connections, copied) = (wanted.len(), known.copies.left_out(&wanted, &a.rows));
    let mut left_out = 0;
    if a.counters.fragments != 0 {
        let pieces = replay::pieces(&mut known.open(&args.inputs)?, &wanted, on_progress);
        let Some(pieces) = pieces.map_err(|err| in_words(err, args, &a.inputs))? else { return Ok(None) };
        left_out = pieces.left_out;
        wanted.add_pieces(pieces);
    }
    Ok(Some(Ready { wanted, connections, left_out, copied }))
}

/// Writes it. `None`: it was interrupted.
fn put(
    args: &Extract,
    known: &Known,
    a: &Analysis,
    (ready, redacted): (Ready, Option<redact::packets::Packets>),
    out: &mut OutFile,
    on_progress: &mut dyn FnMut(capture::Progress) -> bool,
) -> anyhow::Result<Option<Written>> {
    let Ready { wanted, connections, left_out, copied } = ready;
    let masker = Masker::new(args.show_secrets).naming(&a.inputs);
    let mut comments = Comments::new(a, chosen::concerns(&wanted, a), masker);
    let mut packets = Packets::new(&header(args, &mut comments, &a.inputs), comments, out);
    packets.redacted = redacted;
    if !args.redact {
        let mut log = known.keys.of(chosen::around(&wanted, a));
        packets.secrets(&log)?;
        log.zeroize();
    }
    packets.shifts = estimated(&a.inputs, &known.clocks);
    let mut inputs = known.open(&args.inputs)?;
    let whole = replay(&mut inputs, &wanted, on_progress, &mut |batch, record, _| packets.write(batch, record))
        .map_err(|err| in_words(err, args, &a.inputs))?;
    Ok(whole.then_some(Written { packets: packets.written, connections, left_out, copied }))
}

/// Formats packets and writes them.
struct Packets<'a> {
    writer: Writer,
    comments: Comments<'a>,
    out: &'a mut OutFile,
    /// One block at a time.
    block: Vec<u8>,
    written: u64,
    /// `None`: packets are written as they are.
    redacted: Option<redact::packets::Packets>,
    /// By input, to be added to its times: one file has one clock.
    shifts: Vec<Nanos>,
}

impl<'a> Packets<'a> {
    fn new(header: &str, comments: Comments<'a>, out: &'a mut OutFile) -> Self {
        let mut block = Vec::new();
        let writer = Writer::new(&mut block, header.to_owned(), program());
        Packets { writer, comments, out, block, written: 0, redacted: None, shifts: Vec::new() }
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
        let mut data = Cow::Borrowed(record.data(batch.bytes));
        if let Some(redacted) = &mut self.redacted {
            let new = redacted.packet(record.link, &data);
            data = Cow::Owned(new.map_err(|why| io::Error::other(format!("{}", refused(&why))))?);
        }
        let shift = self.shifts.get(usize::from(batch.input)).copied().unwrap_or_default();
        let record = &Record { ts: record.ts + shift, ..*record };
        // What an interface is called may name a host.
        let nameless = Interface { name: None, description: None, ..interface.clone() };
        let interface = if self.redacted.is_some() { &nameless } else { interface };
        let packet = Packet { key, interface, record, data: &data, comments: &notes };
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
    // What was looked for may be what is hidden.
    let filter = args.filter.as_deref().unwrap_or_default();
    let filter = if args.redact && !filter.is_empty() { "a filter".to_owned() } else { comments.words(filter) };
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

/// Why packets are not written, and what to do.
fn refused(why: &str) -> anyhow::Error {
    anyhow::anyhow!("--redact: {why}; nothing was written. Choose other connections, or hand on a report with --redact")
}

fn cannot_write(args: &Extract) -> String {
    format!("{}: cannot write the packets there", out_file::name(&args.output))
}

fn count(n: u64, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}
