//! A progress bar on standard error, for inputs that take longer than half a second.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::capture;

/// Nothing is drawn before this.
const QUIET: Duration = Duration::from_millis(500);

/// Draws how far reading is: bytes, rate and time left where the end is known.
pub(super) struct Progress {
    started: Instant,
    enabled: bool,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// `wanted`: the user did not ask for silence. Only a terminal gets a bar.
    pub(super) fn new(wanted: bool) -> Self {
        Progress { started: Instant::now(), enabled: wanted && std::io::stderr().is_terminal(), bar: None }
    }

    pub(super) fn tell(&mut self, at: capture::Progress) {
        if !self.enabled || self.started.elapsed() < QUIET {
            return;
        }
        let bar = self.bar.get_or_insert_with(|| bar(at.bytes_total));
        if let Some(total) = at.bytes_total {
            bar.set_length(total);
        }
        bar.set_position(at.bytes_read);
    }

    /// Takes the bar away.
    pub(super) fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

fn bar(total: Option<u64>) -> ProgressBar {
    let template = match total {
        Some(_) => "{bar:32} {percent:>3}%  {bytes} of {total_bytes}  {bytes_per_sec}  {eta} left",
        None => "{spinner} {bytes} read  {bytes_per_sec}  {elapsed}",
    };
    let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style.progress_chars("█▉▊▋▌▍▎▏ ")),
        Err(_) => bar,
    }
}
