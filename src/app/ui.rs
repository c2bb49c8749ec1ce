//! `hopscope INPUT` on a terminal: the UI, over the same analysis as the report's.

use anyhow::anyhow;

use crate::capture::Progress;
use crate::cli::{Report, Screen, ThemeName};
use crate::engine::{Judge, judge};
use crate::model::Finding;
use crate::store::Analysis;
use crate::tui::{self, Palette, Shared, Theme, Ui};

use super::allow::Allowed;
use super::keys::Keys;
use super::{analyse, code, colours, stdout_is_terminal, told};

/// Whether the UI is what the user wants: there is a terminal that can show it, and nothing else was asked for.
pub(super) fn is_wanted(args: &Report) -> bool {
    let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb" || term.is_empty());
    let plain = args.format == "text" && args.output.is_none() && !args.schema && !args.quiet;
    plain && stdout_is_terminal() && !dumb
}

/// Runs it; the exit code.
pub(super) fn run(args: &Report, screen: Screen) -> anyhow::Result<u8> {
    let filter = args.filter.clone().unwrap_or_default();
    analyse::parse_filter(&filter)?;
    let allowed = Allowed::read(&args.allow)?;
    let products = analyse::products()?;
    let told = told::told(&args.inputs)?;
    let mut keys = Keys::read(&args.inputs)?;
    let inputs = analyse::open(&args.inputs)?;
    keys.add(inputs.facts());
    let named = args.inputs.clone();
    let mut shared = Shared::new(theme(args, screen), args.show_secrets, args.utc);
    shared.filter(&filter);
    let read = move |on_progress: &mut dyn FnMut(Progress) -> bool| -> Result<Analysis, String> {
        let read = analyse::read(&named, inputs, &mut keys, on_progress).map_err(|err| format!("{err:#}"))?;
        let mut judge = Judge::new(&products);
        judge.told = told;
        let allow = |f: &Finding, x: Option<&_>| allowed.allows(f, x);
        Ok(judge::whole_by(&mut judge, read.collected, read.counters, read.facts, &allow))
    };
    let ended = tui::run(Ui::new(shared), !screen.no_mouse, Box::new(read)).map_err(|why| anyhow!(why))?;
    let Some(analysis) = ended.analysis.filter(|_| !ended.killed) else { return Ok(code::INTERRUPTED) };
    analyse::warn(&analysis.inputs, args.quiet);
    let worst = analysis.findings.iter().filter(|f| !f.allowed).map(|f| f.severity).max();
    let exit = analyse::exit_code(&analysis.inputs, worst, args.fail_on);
    // The program ends here: to give millions of small pieces back one by one would only cost time.
    std::mem::forget(analysis);
    Ok(exit)
}

fn theme(args: &Report, screen: Screen) -> Theme {
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
