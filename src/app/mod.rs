//! Joins all modules: does what the command line asks for, and turns the outcome into an exit code.
//! The only place that writes to standard output and standard error.

mod allow;
mod analyse;
mod audit;
mod chosen;
#[cfg(feature = "live")]
mod confine;
mod copies;
mod export;
mod extract;
mod feed;
#[cfg(feature = "live")]
mod keep;
mod keys;
mod out_file;
mod progress;
mod streaming;
mod told;
mod ui;
#[cfg(feature = "live")]
mod ui_live;

use std::io::{self, IsTerminal as _, Write};
use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _};

use crate::cli::{Cli, Command, RulesFormat, When};
use crate::products::Products;
use crate::rules;
use crate::rules::accept::command;

#[cfg(feature = "live")]
use confine::why_refused;

/// Exit codes; a promise to scripts.
mod code {
    pub(super) const DONE: u8 = 0;
    pub(super) const FINDINGS: u8 = 1;
    pub(super) const CANNOT: u8 = 2;
    pub(super) const INTERRUPTED: u8 = 130;
}

/// Runs the program.
pub fn main() -> ExitCode {
    let matches = match Cli::command().try_get_matches() {
        Ok(matches) => matches,
        Err(err) => {
            // Help and version are results, everything else is an error; clap knows which.
            let code = if err.use_stderr() { code::CANNOT } else { code::DONE };
            let _ = err.print();
            return ExitCode::from(code);
        }
    };
    let result = Cli::from_arg_matches(&matches).map_err(anyhow::Error::from).and_then(run);
    match result {
        Ok(code) => ExitCode::from(code),
        Err(err) if is_closed_pipe(&err) => ExitCode::from(code::DONE),
        Err(err) => {
            complain(&format!("{err:#}"));
            ExitCode::from(code::CANNOT)
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<u8> {
    match cli.command {
        None if cli.report.has_no_input() && !cli.report.schema => {
            Cli::command().print_help()?;
            Ok(code::CANNOT)
        }
        None if ui::is_wanted(&cli.report) => ui::run(&cli.report, cli.screen),
        None => analyse::report(&cli.report),
        Some(Command::Report(args)) => analyse::report(&args),
        Some(Command::Audit(args)) => audit::audit(&args),
        Some(Command::Extract(args)) => extract::extract(&args),
        Some(Command::Explain { rule }) => explain(&rule),
        Some(Command::Rules { format }) => {
            print(&match format {
                RulesFormat::Text => rules::docs::list(),
                RulesFormat::Markdown => rules::docs::markdown(),
            })?;
            Ok(code::DONE)
        }
        Some(Command::Accept { key, accept }) => accept_command(&key, accept.as_deref()),
        #[cfg(feature = "live")]
        Some(Command::Interfaces) => interfaces(),
        Some(Command::Completions { shell }) => {
            let mut out = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "hopscope", &mut out);
            print_bytes(&out)?;
            Ok(code::DONE)
        }
        Some(Command::Man { command }) => man(command.as_deref()),
    }
}

fn explain(slug: &str) -> anyhow::Result<u8> {
    let Some(rule) = rules::find(slug) else {
        let near = rules::docs::suggest(slug);
        let hint = if near.is_empty() {
            "see: hopscope rules".to_owned()
        } else {
            format!("did you mean {}?", near.join(", "))
        };
        complain(&format!("explain: there is no rule {slug:?}; {hint}"));
        return Ok(code::CANNOT);
    };
    let mut text = rules::docs::explain(rule);
    for class in rules::fix_classes(slug) {
        let fixes = Products::builtin().class_fixes(class);
        if !fixes.is_empty() {
            text.push_str("\nFixes\n");
        }
        for fix in fixes {
            let versions = if fix.versions.is_empty() { String::new() } else { format!(" ({})", fix.versions) };
            text.push_str(&format!("  {}{versions}\n", fix.product));
            for line in fix.text.lines() {
                text.push_str(&format!("      {line}\n"));
            }
        }
    }
    print(&text)?;
    Ok(code::DONE)
}

/// The manual page of the program, or of one of its commands.
fn man(command: Option<&str>) -> anyhow::Result<u8> {
    let mut of = Cli::command();
    of.build();
    // It has no page of its own.
    of = of.mut_subcommand("help", |help| help.hide(true));
    if let Some(name) = command {
        let Some(found) = of.find_subcommand(name).filter(|found| found.get_name() != "help") else {
            complain(&format!("man: there is no command {name:?}; see: hopscope help"));
            return Ok(code::CANNOT);
        };
        of = found.clone();
    }
    let mut out = Vec::new();
    clap_mangen::Man::new(of).render(&mut out)?;
    print_bytes(&out)?;
    Ok(code::DONE)
}

fn accept_command(key: &str, accept: Option<&str>) -> anyhow::Result<u8> {
    let guids = analyse::wrong_guids(Products::builtin());
    let guids: Vec<(&str, &str)> = guids.iter().map(|(g, n)| (g.as_str(), n.as_str())).collect();
    let answer = command::check(key.as_bytes(), accept.map(str::as_bytes), &guids);
    if let Some(warning) = &answer.warning {
        complain(warning);
    }
    print(&answer.text())?;
    Ok(if answer.ok { code::DONE } else { code::FINDINGS })
}

#[cfg(feature = "live")]
fn interfaces() -> anyhow::Result<u8> {
    use crate::capture::devices;

    let mut text = String::new();
    let devices = devices::tried()?;
    for device in &devices {
        text.push_str(&device.to_string());
        text.push('\n');
    }
    if devices.is_empty() {
        text.push_str("there are no devices\n");
    }
    if devices.iter().any(|device| device.access == devices::Access::Denied) {
        text.push_str(&format!("\nTo capture: {}\n", devices::permission_hint()));
    }
    print(&text)?;
    Ok(code::DONE)
}

/// As the one of live capture, without which nothing was given up.
#[cfg(not(feature = "live"))]
fn why_refused() -> String {
    String::new()
}

/// Whether colours suit this place: asked for, or a terminal that nobody told to go without.
fn colours(when: When, terminal: bool) -> bool {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty())
        || std::env::var_os("TERM").is_some_and(|t| t == "dumb");
    match when {
        When::Always => true,
        When::Never => false,
        When::Auto => terminal && !unwanted,
    }
}

fn stdout_is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Columns of the terminal that stdout is. `None`: it is none.
fn columns() -> Option<usize> {
    terminal_size::terminal_size_of(io::stdout()).map(|(columns, _)| usize::from(columns.0))
}

fn print(text: &str) -> io::Result<()> {
    let newline = if text.ends_with('\n') { "" } else { "\n" };
    print_bytes(format!("{text}{newline}").as_bytes())
}

fn print_bytes(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}

/// One line to the user, beside the results.
fn complain(line: &str) {
    // If standard error is closed there is nobody to tell.
    let _ = writeln!(io::stderr().lock(), "hopscope: {line}");
}

fn is_closed_pipe(err: &anyhow::Error) -> bool {
    err.chain().filter_map(|e| e.downcast_ref::<io::Error>()).any(|e| e.kind() == io::ErrorKind::BrokenPipe)
}
