//! `hopscope report`: reads the inputs, judges, writes one report.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, bail};
use clap::CommandFactory as _;

use crate::base::Counters;
#[cfg(feature = "live")]
use crate::base::limits;
use crate::capture::{self, Merged, Moment, Source, Window};
use crate::cli::{Cli, FailOn, Inputs, Report};
use crate::engine::{self, Collected, Engine, Judge, judge};
use crate::model::{Finding, InputFacts, Severity};
use crate::products::Products;
use crate::proto::Sink;
use crate::report::{self, Format, Options};
use crate::store::{self, Filter};

use super::allow::Allowed;
use super::feed::Feed;
#[cfg(feature = "live")]
use super::keep::Noted;
use super::keys::Keys;
use super::out_file::refuse_inputs;
use super::progress::Progress;
use super::{code, colours, columns, complain, print, stdout_is_terminal, streaming, told};

/// Runs the command; the exit code.
pub(super) fn report(args: &Report) -> anyhow::Result<u8> {
    if args.schema {
        print(&report::schema::schema())?;
        return Ok(code::DONE);
    }
    if args.has_no_input() {
        bail!("report: no input; name a capture file, or - for standard input");
    }
    let Some(format) = report::find(&args.format) else {
        let names: Vec<_> = report::names().collect();
        bail!("--format {}: there is no such format; one of: {}", args.format, names.join(", "));
    };
    let filter = args.shown.filter.as_deref().map(parse_filter).transpose()?;
    let allowed = Allowed::read(&args.shown.allow)?;
    let known = Known::own()?;
    let told = told::told(&args.inputs)?;
    let mut keys = super::feed::keys(args)?;
    let mut out = None;
    let mut feed = Feed::open(args, &mut || {
        out = Some(output(args.output.as_deref(), &args.inputs)?);
        Ok(())
    })?;
    known.load_ahead();
    let runs = feed.is_live();
    #[cfg(feature = "live")]
    feed.learn(keys.take_grow());
    keys.add(feed.facts());
    let interrupted = catch_interrupts()?;
    let mut progress = Progress::new(!args.quiet);
    let mut options = options(args);
    let mut on_progress = |at| {
        progress.tell(at);
        !interrupted.load(Ordering::Relaxed)
    };
    let mut out = out.map_or_else(|| output(args.output.as_deref(), &args.inputs), Ok)?;
    let worst;
    let facts: Vec<InputFacts>;
    #[cfg(feature = "live")]
    let keeper;
    // Which names are hosts is known of the whole capture only: then nothing can be streamed.
    if format.name == "ndjson" && !args.shown.redact {
        let live = feed.is_waited_for();
        let places = feed.facts().len() > 1;
        let stream =
            streaming::Stream::new(known.products(), &options, filter.as_ref(), &allowed, &mut out, live, told, places);
        #[cfg(feature = "live")]
        let stream = stream.noting(
            feed.notes(args.shown.show_secrets)
                .map(|mut notes| -> streaming::Note { Box::new(move |findings| notes.take(findings)) }),
        );
        let closed = stream.failed();
        let mut engine = Engine::new(stream);
        engine.show_no_frames();
        engine.secrets(keys.secrets());
        engine.sink().start(feed.facts())?;
        feed.read(&mut engine, &mut |at| on_progress(at) && !closed.get(), &mut |stream, now| stream.tick(now))?;
        #[cfg_attr(not(feature = "live"), expect(unused_mut, reason = "what is kept is counted last"))]
        let (stream, mut counters) = engine.finish();
        #[cfg(feature = "live")]
        {
            keeper = feed.keeper();
            counters.packets_not_kept = keeper.as_ref().map_or(0, |keeper| keeper.kept().lost);
        }
        facts = feed.into_facts();
        let unread = counters.flows_tls_unread() != 0;
        worst = match stream.end(counters, &facts) {
            Ok(worst) => worst,
            Err(err) => {
                // What is kept is whole all the same.
                #[cfg(feature = "live")]
                super::feed::end_keeping(keeper, &facts, args.quiet);
                return Err(err.into());
            }
        };
        progress.clear();
        if keys.add(&facts) && unread && !runs && !args.quiet {
            complain("secrets that stand behind the first packet were not used: --format json reads such a file twice");
        }
    } else {
        #[cfg(feature = "live")]
        let mut notes = None;
        let Read { collected, counters, facts: inputs, .. } = match feed {
            Feed::Files(inputs) => {
                #[cfg(feature = "live")]
                {
                    keeper = None;
                }
                read(&args.inputs, inputs, &mut keys, &mut on_progress)?
            }
            #[cfg(feature = "live")]
            mut live => {
                let noted = Noted::new(
                    Collected::of_latest(limits::LIVE_EXCHANGES),
                    known.products(),
                    live.notes(args.shown.show_secrets),
                );
                let mut engine = Engine::new(noted);
                engine.show_no_frames();
                engine.secrets(keys.secrets());
                live.read(&mut engine, &mut on_progress, &mut |_, _| {})?;
                let (noted, counters) = engine.finish();
                let (collected, noting) = noted.into_parts();
                (keeper, notes) = (live.keeper(), noting);
                Read { collected, counters, facts: live.into_facts(), whole: true }
            }
        };
        let allow = |f: &Finding, x: Option<&_>| allowed.allows(f, x);
        let mut judge = Judge::new(known.products());
        judge.told = told;
        let mut analysis = judge::whole_by(&mut judge, collected, counters, inputs, &allow);
        progress.clear();
        if !args.quiet && !analysis.rows.is_empty() {
            told::complain_of_strangers(&judge.told.pins, &analysis);
        }
        #[cfg(feature = "live")]
        {
            if let Some(notes) = &mut notes {
                notes.take(&analysis.findings);
            }
            analysis.counters.packets_not_kept = keeper.as_ref().map_or(0, |keeper| keeper.kept().lost);
        }
        if let Some(filter) = filter {
            let filter = filter.with_inputs(&analysis.inputs);
            let before = analysis.chains.len();
            store::select::select(&mut analysis, &filter);
            if analysis.chains.is_empty() && before != 0 {
                options.filtered_out = Some(before);
            }
        }
        if args.shown.redact {
            report::redact::redact(&mut analysis);
        }
        write(format, &analysis, &options, &mut out).with_context(|| where_to(args))?;
        worst = analysis.findings.iter().filter(|f| !f.allowed).map(|f| f.severity).max();
        facts = std::mem::take(&mut analysis.inputs);
        // The program ends here: to give millions of small pieces back one by one would only cost time.
        std::mem::forget((analysis, judge));
    }
    out.flush().with_context(|| where_to(args))?;
    warn(&facts, args.quiet);
    #[cfg(feature = "live")]
    if !super::feed::end_keeping(keeper, &facts, args.quiet) {
        return Ok(code::CANNOT);
    }
    if interrupted.load(Ordering::Relaxed) && !runs {
        complain("interrupted: the report covers what was read until then");
        return Ok(code::INTERRUPTED);
    }
    Ok(exit_code(&facts, worst, args.fail_on))
}

/// What one reading of all inputs gave.
pub(super) struct Read<S = Collected> {
    pub(super) collected: S,
    pub(super) counters: Counters,
    pub(super) facts: Vec<InputFacts>,
    /// It came to the end.
    pub(super) whole: bool,
}

/// Reads the inputs, and once more where secrets of TLS stand behind connections that need them, unless an input can
/// be read only once.
pub(super) fn read(
    args: &Inputs,
    inputs: Merged,
    keys: &mut Keys,
    on_progress: &mut dyn FnMut(capture::Progress) -> bool,
) -> anyhow::Result<Read> {
    read_into(args, inputs, keys, false, &mut Collected::default, on_progress)
}

/// As [`read`], into what `sink` makes for each reading. `frames`: somebody is going to look at single ones.
pub(super) fn read_into<S: Sink>(
    args: &Inputs,
    inputs: Merged,
    keys: &mut Keys,
    frames: bool,
    sink: &mut dyn FnMut() -> S,
    on_progress: &mut dyn FnMut(capture::Progress) -> bool,
) -> anyhow::Result<Read<S>> {
    let mut inputs = inputs;
    let mut again = args.files.iter().all(|path| Source::check_twice(path).is_ok());
    loop {
        let mut engine = Engine::new(sink());
        if !frames {
            engine.show_no_frames();
        }
        engine.secrets(keys.secrets());
        let whole = engine::read(&mut inputs, &mut engine, on_progress)?;
        let (collected, counters) = engine.finish();
        let facts = inputs.into_facts();
        let grown = keys.add(&facts) && counters.flows_tls_unread() != 0;
        if !(grown && whole && std::mem::take(&mut again)) {
            return Ok(Read { collected, counters, facts, whole });
        }
        inputs = open(args)?;
    }
}

/// Opens what the user named.
pub(super) fn open(args: &Inputs) -> anyhow::Result<Merged> {
    let window =
        Window { since: moment("--since", args.since.as_deref())?, until: moment("--until", args.until.as_deref())? };
    Merged::open_by(&args.files, &window, &told::clocks(args)?).map_err(|err| mistyped(&args.files, err))
}

/// `hopscope reprot x.pcap`: what looks like a file that is not there may be a command.
fn mistyped(files: &[PathBuf], err: capture::Error) -> anyhow::Error {
    let word = files.first().and_then(|f| f.to_str()).unwrap_or_default();
    let plain = !word.contains(['.', '/']) && !PathBuf::from(word).exists();
    let near =
        Cli::command().get_subcommands().map(|c| c.get_name().to_owned()).find(|name| plain && is_near(word, name));
    match near {
        Some(name) => anyhow::anyhow!("{err}; did you mean the command {name}?"),
        None => err.into(),
    }
}

/// Same letters but for two at most.
fn is_near(a: &str, b: &str) -> bool {
    let common = |x: &str, y: &str| x.chars().filter(|c| y.contains(*c)).count();
    a.len().abs_diff(b.len()) <= 2 && common(a, b) + 2 >= a.len() && common(b, a) + 2 >= b.len() && a.len() > 2
}

/// The known wrong GUIDs, each with what is known of it.
pub(super) fn wrong_guids(products: &Products) -> Vec<(String, String)> {
    products.wrong_guids().iter().map(|w| (w.guid.clone(), w.note.clone())).collect()
}

fn write(format: &Format, a: &store::Analysis, options: &Options, out: &mut dyn Write) -> io::Result<()> {
    (format.write)(a, options, out)
}

/// Knowledge of products, which may still be loading.
pub(super) struct Known(Option<Products>);

impl Known {
    /// The user's own files are read at once, since they may be wrong.
    pub(super) fn own() -> anyhow::Result<Self> {
        Ok(Known(own_products().map(|dir| Products::with_user_dir(&dir)).transpose()?))
    }

    /// What comes with the program is loaded on a thread of its own: it is not needed before the capture was read.
    pub(super) fn load_ahead(&self) {
        if self.0.is_none() {
            // Where there is no such thread, whoever asks first loads it.
            let _ = std::thread::Builder::new().name("products".into()).spawn(Products::builtin);
        }
    }

    pub(super) fn products(&self) -> &Products {
        self.0.as_ref().unwrap_or_else(|| Products::builtin())
    }
}

/// Built-in knowledge, and the user's own files where there are some.
pub(super) fn products() -> anyhow::Result<Cow<'static, Products>> {
    match own_products() {
        Some(dir) => Ok(Cow::Owned(Products::with_user_dir(&dir)?)),
        None => Ok(Cow::Borrowed(Products::builtin())),
    }
}

/// Where the user keeps files of products. `None`: there is no such folder.
fn own_products() -> Option<PathBuf> {
    let base = std::env::var_os("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".config")));
    base.map(|b| b.join("hopscope").join("products")).filter(|dir| dir.is_dir())
}

pub(super) fn parse_filter(text: &str) -> anyhow::Result<Filter> {
    Filter::parse(text).map_err(|err| anyhow::anyhow!("--{err}"))
}

fn moment(option: &str, text: Option<&str>) -> anyhow::Result<Option<Moment>> {
    let zone = jiff::tz::TimeZone::system();
    text.map(|text| Moment::parse(text, &zone).with_context(|| option.to_owned())).transpose()
}

fn options(args: &Report) -> Options {
    Options {
        utc: args.utc,
        show_secrets: args.shown.show_secrets,
        color: args.output.is_none() && colours(args.color, stdout_is_terminal()),
        columns: args.output.is_none().then(columns).flatten(),
        quiet: args.quiet,
        ..Options::default()
    }
}

/// Standard output, or the file named by `-o`, which must be none of those that are read.
pub(super) fn output(path: Option<&Path>, inputs: &Inputs) -> anyhow::Result<Box<dyn Write>> {
    Ok(match path {
        Some(path) => {
            refuse_inputs(path, inputs.files.iter().chain(&inputs.keylogs))?;
            let file = File::create(path)
                .with_context(|| format!("{}: cannot be written{}", path.display(), super::why_refused()))?;
            Box::new(BufWriter::new(file))
        }
        None => Box::new(BufWriter::new(io::stdout().lock())),
    })
}

/// Where `what` could not be written.
pub(super) fn place(path: Option<&Path>, what: &str) -> String {
    match path {
        Some(path) => format!("{}: cannot write {what}", path.display()),
        None => format!("standard output: cannot write {what}"),
    }
}

fn where_to(args: &Report) -> String {
    place(args.output.as_deref(), "the report")
}

/// What is wrong with the inputs, beside the report. `quiet`: only what makes the run fail.
pub(super) fn warn(inputs: &[InputFacts], quiet: bool) {
    for input in inputs {
        let path = crate::base::escape::escape(input.path.as_bytes());
        if let Some(why) = input.broke_off() {
            complain(&format!("{path}: {why}; {} packets were captured before", input.packets));
            continue;
        }
        for damage in &input.damage {
            complain(&format!(
                "{path}: packet {} at byte {}{}: {}; {} B skipped",
                damage.packet,
                damage.byte,
                input.of_what(),
                damage.why,
                damage.lost_bytes
            ));
        }
        if input.more_damage != 0 {
            complain(&format!(
                "{path}: {} more places are damaged; {} B skipped there",
                input.more_damage, input.more_lost_bytes
            ));
        }
        if quiet {
            continue;
        }
        if input.packed_rest > 0 {
            complain(&format!(
                "{path}: {} bytes behind the {} data are none of it; they were passed over",
                input.packed_rest,
                input.compression.unwrap_or("compressed")
            ));
        }
        if input.packed_cut {
            complain(&format!(
                "{path}: the {} data is cut: it ends before its end; the {} packets before it were read",
                input.compression.unwrap_or("compressed"),
                input.packets
            ));
        } else if let Some(missing) = input.cut_short {
            let missing = if missing == 0 { String::new() } else { format!(" ({missing} B are missing)") };
            complain(&format!(
                "{path}: the file ends inside its last packet{missing}; the {} packets before it were read",
                input.packets
            ));
        }
    }
}

/// The first interrupt ends the reading; the second one ends the program.
pub(super) fn catch_interrupts() -> anyhow::Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register_conditional_shutdown(signal, i32::from(code::INTERRUPTED), Arc::clone(&flag))
            .context("cannot watch for interrupts")?;
        signal_hook::flag::register(signal, Arc::clone(&flag)).context("cannot watch for interrupts")?;
    }
    Ok(flag)
}

pub(super) fn exit_code(inputs: &[InputFacts], worst: Option<Severity>, fail_on: FailOn) -> u8 {
    if inputs.iter().any(|i| !i.damage.is_empty()) {
        return code::CANNOT;
    }
    let threshold = match fail_on {
        FailOn::Never => return code::DONE,
        FailOn::Info => Severity::Info,
        FailOn::Warning => Severity::Warning,
        FailOn::Error => Severity::Error,
    };
    if worst.is_some_and(|w| w >= threshold) { code::FINDINGS } else { code::DONE }
}
