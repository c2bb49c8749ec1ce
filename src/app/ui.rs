//! `hopscope INPUT` on a terminal: the UI, over the same analysis as the report's.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::anyhow;

use crate::base::Counters;
use crate::cli::{Report, Screen, ThemeName};
use crate::engine::{Collected, Judge, Preview, Previewed, judge};
use crate::model::Finding;
use crate::report;
use crate::store::Analysis;
use crate::tui::{self, Palette, Shared, Tell, Theme, Ui};

use super::allow::Allowed;
use super::copies::Copies;
use super::export::Exporter;
use super::extract::Known;
use super::keys::Keys;
use super::{analyse, code, colours, stdout_is_terminal, told};

/// When what is known is looked at for the first time, and how long after that at least for the next.
const FIRST_LOOK: Duration = Duration::from_millis(300);
const NEXT_LOOK: Duration = Duration::from_millis(500);

/// Whether the UI is what the user wants: there is a terminal that can show it, and nothing else was asked for.
pub(super) fn is_wanted(args: &Report) -> bool {
    let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb" || term.is_empty());
    let plain = args.format == "text" && args.output.is_none() && !args.schema && !args.quiet;
    plain && stdout_is_terminal() && !dumb
}

/// Runs it; the exit code.
pub(super) fn run(args: &Report, screen: Screen) -> anyhow::Result<u8> {
    #[cfg(feature = "live")]
    if !args.live.interfaces.is_empty() {
        return super::ui_live::run(args, screen);
    }
    let filter = args.shown.filter.clone().unwrap_or_default();
    analyse::parse_filter(&filter)?;
    let allowed = Allowed::read(&args.shown.allow)?;
    let products = analyse::products()?;
    let told = told::told(&args.inputs)?;
    let mut keys = Keys::read(&args.inputs)?;
    let inputs = analyse::open(&args.inputs)?;
    keys.add(inputs.facts());
    let exporter = Arc::new(Exporter {
        inputs: args.inputs.clone(),
        utc: args.utc,
        redact: args.shown.redact,
        live: false,
        known: Mutex::default(),
    });
    let (named, leave) = (args.inputs.clone(), Arc::clone(&exporter));
    let mut shared = Shared::new(theme(args, screen), args.shown.show_secrets, args.utc);
    shared.filter(&filter);
    let redact = args.shown.redact;
    let read = move |tell: &Tell| -> Result<Analysis, String> {
        let facts = inputs.facts().to_vec();
        let (window, clocks) = (inputs.window(), inputs.clocks().to_vec());
        let judged = |collected, counters, facts| {
            let mut judge = Judge::new(&products);
            judge.told.clone_from(&told);
            let allows = |f: &Finding, x: Option<&_>| allowed.allows(f, x);
            let mut a = judge::whole_by(&mut judge, collected, counters, facts, &allows);
            if redact {
                report::redact::redact(&mut a);
            }
            (a, judge.copied)
        };
        let seen = Preview::default();
        let over = Gate::default();
        let read = thread::scope(|scope| {
            scope.spawn(|| {
                show_meanwhile(&seen, tell, &over, &|some| judged(some, Counters::default(), facts.clone()).0)
            });
            let _over = over.at_last();
            let mut sink = || Previewed::new(seen.clone());
            analyse::read_into(&named, inputs, &mut keys, true, &mut sink, &mut |at| tell.progress(at))
        });
        let read = read.map_err(|err| format!("{err:#}"))?;
        let (a, copied) = judged(read.collected.collected, read.counters, read.facts);
        let copies = Copies::of(copied);
        *leave.known.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Arc::new(Known { keys, copies, window, clocks }));
        Ok(a)
    };
    let beside = exporter.beside();
    let ended = tui::run(Ui::new(shared), !screen.no_mouse, Box::new(read), &beside).map_err(|why| anyhow!(why))?;
    let Some(analysis) = ended.analysis.filter(|_| !ended.killed) else { return Ok(code::INTERRUPTED) };
    analyse::warn(&analysis.inputs, args.quiet);
    let worst = analysis.findings.iter().filter(|f| !f.allowed).map(|f| f.severity).max();
    let exit = analyse::exit_code(&analysis.inputs, worst, args.fail_on);
    // The program ends here: to give millions of small pieces back one by one would only cost time.
    std::mem::forget(analysis);
    Ok(exit)
}

/// Judges now and then what is known, so that there is something to look at; in a twentieth of the time at most.
pub(super) fn show_meanwhile(seen: &Preview, tell: &Tell, over: &Gate, judged: &dyn Fn(Collected) -> Analysis) {
    let (mut pause, mut known) = (FIRST_LOOK, 0);
    while !over.wait(pause) && tell.is_wanted() {
        let changes = seen.changes();
        if changes == std::mem::replace(&mut known, changes) {
            continue;
        }
        let began = Instant::now();
        tell.so_far(judged(seen.collected()));
        pause = (began.elapsed() * 20).max(NEXT_LOOK);
    }
}

/// Tells one thread that another is done.
#[derive(Default)]
pub(super) struct Gate(Mutex<bool>, Condvar);

impl Gate {
    /// Waits so long. `true`: it is over.
    fn wait(&self, most: Duration) -> bool {
        let is_over = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.1.wait_timeout_while(is_over, most, |over| !*over);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// It is over when this is dropped.
    pub(super) fn at_last(&self) -> impl Drop + '_ {
        struct Over<'a>(&'a Gate);
        impl Drop for Over<'_> {
            fn drop(&mut self) {
                *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
                self.0.1.notify_all();
            }
        }
        Over(self)
    }
}

pub(super) fn theme(args: &Report, screen: Screen) -> Theme {
    let palette = match screen.theme {
        _ if !colours(args.color, true) => Palette::None,
        ThemeName::Terminal => Palette::Terminal,
        ThemeName::Dark => Palette::Dark,
        ThemeName::Light => Palette::Light,
    };
    Theme { palette, ascii: screen.ascii || !is_utf8() }
}

/// Whether the locale's characters are UTF-8.
fn is_utf8() -> bool {
    let set = |name: &&str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(set).unwrap_or_default().to_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}
