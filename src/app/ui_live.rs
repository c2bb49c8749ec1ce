//! `hopscope -i NAME` on a terminal: the UI over a capture that runs. The latest exchanges are shown and kept; leaving it
//! is the normal end of the capture.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::anyhow;

use crate::base::escape::escape;
use crate::base::{Counters, limits};
use crate::cli::{Report, Screen};
use crate::engine::{Collected, Engine, Judge, Preview, Previewed, judge};
use crate::model::{Finding, InputFacts, Severity};
use crate::report;
use crate::store::Analysis;
use crate::tui::{self, Alive, Shared, Tell, Ui};

use super::allow::Allowed;
use super::export::Exporter;
use super::feed::Feed;
use super::keep::{Kept, Noted};
use super::ui::{Gate, show_meanwhile, theme};
use super::{analyse, code, complain, feed, told};

/// How the capture ended.
struct End {
    facts: Vec<InputFacts>,
    worst: Option<Severity>,
    kept: Option<(Kept, Option<String>)>,
}

/// How long the end is waited for once the user has left, beside the disk.
const PATIENCE: Duration = Duration::from_secs(limits::KEEP_END_S + 5);

/// Runs it; the exit code.
pub(super) fn run(args: &Report, screen: Screen) -> anyhow::Result<u8> {
    let filter = args.shown.filter.clone().unwrap_or_default();
    analyse::parse_filter(&filter)?;
    let allowed = Allowed::read(&args.shown.allow)?;
    let told = told::told(&args.inputs)?;
    let mut keys = feed::keys(args)?;
    let mut feed = Feed::open(args, &mut || Ok(()))?;
    feed.learn(keys.take_grow());
    let products = analyse::products()?;
    let exporter = Arc::new(Exporter {
        inputs: args.inputs.clone(),
        utc: args.utc,
        redact: args.shown.redact,
        live: true,
        known: Mutex::default(),
    });
    let mut shared = Shared::new(theme(args, screen), args.shown.show_secrets, args.utc);
    shared.filter(&filter);
    let (show_secrets, redact) = (args.shown.show_secrets, args.shown.redact);
    let (ended, end): (Sender<End>, Receiver<End>) = channel();
    let read = move |tell: &Tell| -> Result<Analysis, String> {
        let judged = |collected: Collected, counters: Counters, facts: Vec<InputFacts>| {
            let mut judge = Judge::new(&products);
            judge.told.clone_from(&told);
            let allows = |f: &Finding, x: Option<&_>| allowed.allows(f, x);
            let mut a = judge::whole_by(&mut judge, collected, counters, facts, &allows);
            if redact {
                report::redact::redact(&mut a);
            }
            a
        };
        let known = Arc::new(Mutex::new(feed.facts().to_vec()));
        let (seen, over) = (Preview::default(), Gate::default());
        let (shown, now) = (Arc::clone(&known), tell.clone());
        let show = move |facts: &[InputFacts], kept: Option<Kept>| {
            now.live(alive(facts, kept));
            facts.clone_into(&mut shown.lock().unwrap_or_else(PoisonError::into_inner));
        };
        show(feed.facts(), None);
        feed.show(Box::new(show));
        let noted =
            Noted::new(Previewed::of_latest(seen.clone(), limits::LIVE_EXCHANGES), &products, feed.notes(show_secrets));
        let mut engine = Engine::new(noted);
        engine.secrets(keys.secrets());
        let facts = || known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let read = thread::scope(|scope| {
            scope.spawn(|| show_meanwhile(&seen, tell, &over, &|some| judged(some, counted(&facts()), facts())));
            let _over = over.at_last();
            feed.read(&mut engine, &mut |at| tell.progress(at), &mut |_, _| {})
        });
        read.map_err(|err| format!("{err:#}"))?;
        let (noted, counters) = engine.finish();
        let (previewed, mut notes) = noted.into_parts();
        let keeper = feed.keeper();
        let facts = feed.into_facts();
        let analysis = judged(previewed.collected, counters, facts.clone());
        if let Some(notes) = &mut notes {
            notes.take(&analysis.findings);
        }
        let kept = keeper.map(|keeper| keeper.finish(&facts));
        if let Some((kept, _)) = &kept {
            tell.live(alive(&facts, Some(kept.clone())));
        }
        let worst = analysis.findings.iter().filter(|f| !f.allowed).map(|f| f.severity).max();
        let _ = ended.send(End { facts, worst, kept });
        Ok(analysis)
    };
    let beside = exporter.beside();
    let mut ui = Ui::new(shared);
    ui.follow();
    let left = tui::run(ui, !screen.no_mouse, Box::new(read), &beside).map_err(|why| anyhow!(why))?;
    std::mem::forget(left);
    let Ok(End { facts, worst, kept }) = end.recv_timeout(PATIENCE) else {
        complain("the capture did not come to its end in time");
        return Ok(code::CANNOT);
    };
    analyse::warn(&facts, args.quiet);
    if !args.quiet {
        feed::tell_drops(&facts);
    }
    let mut whole = true;
    if let Some((kept, problem)) = kept {
        whole = feed::tell_kept(&kept, problem.as_deref(), args.quiet);
    }
    Ok(if whole { analyse::exit_code(&facts, worst, args.fail_on) } else { code::CANNOT })
}

/// What the status line tells.
fn alive(facts: &[InputFacts], kept: Option<Kept>) -> Alive {
    let names: Vec<String> = facts.iter().map(|input| escape(input.path.as_bytes())).collect();
    let kept = kept.map(|kept| (kept.file, kept.packets, kept.lost));
    let (file, packets, lost) = kept.map_or((None, 0, 0), |(file, packets, lost)| (Some(file), packets, lost));
    Alive {
        names: names.join(", "),
        packets: facts.iter().map(|input| input.packets).sum(),
        dropped: facts.iter().map(|input| input.dropped_kernel + input.dropped_interface).sum(),
        file,
        kept: packets,
        not_kept: lost,
    }
}

/// What is counted while it runs: packets alone.
fn counted(facts: &[InputFacts]) -> Counters {
    Counters { packets: facts.iter().map(|input| input.packets).sum(), ..Counters::default() }
}
