//! What the terminal UI is asked to write: a report or the packets of some chains, into a file of its own.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, bail};

use crate::capture::{Progress, Source};
use crate::cli::{Extract, Inputs, Numbers};
use crate::engine::stretch::{self, Ask, Stretch};
use crate::report::{self, Options, build};
use crate::store::{Analysis, select};
use crate::tui::{Beside, Form, Request, Scope};

use super::analyse;
use super::extract::{self, Known};
use super::out_file::{self, OutFile};

/// Names that are tried before it gives up.
const NAMES: usize = 1_000;

/// What exports need beside the analysis.
pub(super) struct Exporter {
    pub(super) inputs: Inputs,
    pub(super) utc: bool,
    /// In the analysis addresses and hosts are replaced: what would show the captured ones is not to be had.
    pub(super) redact: bool,
    /// The inputs were a capture that ran.
    pub(super) live: bool,
    /// Set when all is read.
    pub(super) known: Mutex<Option<Arc<Known>>>,
}

impl Exporter {
    /// What is done beside the screen.
    pub(super) fn beside(self: Arc<Self>) -> Beside {
        let again = Arc::clone(&self);
        let words = |err: anyhow::Error| format!("{err:#}");
        Beside {
            write: Arc::new(move |request, a, tell| self.write(request, a, &mut |_| tell.is_wanted()).map_err(words)),
            look: Arc::new(move |ask, a, is_wanted| again.look(ask, a, is_wanted).map_err(words)),
        }
    }

    /// Writes it; where, in words.
    pub(super) fn write(
        &self,
        request: &Request,
        a: &Analysis,
        on_progress: &mut dyn FnMut(Progress) -> bool,
    ) -> anyhow::Result<String> {
        let path = free(request)?;
        let mut out = OutFile::create(&path, &self.inputs.files)?;
        let words = match request.form {
            Form::Report(name) => self.report(name, request, a, &path, &mut out)?,
            Form::Packets => self.packets(request, a, &path, &mut out, on_progress)?,
        };
        out.finish().with_context(|| format!("{}: cannot write", out_file::name(&path)))?;
        let folder = std::env::current_dir().map(|folder| out_file::name(&folder)).unwrap_or_default();
        Ok(format!("{words} in {folder}"))
    }

    fn report(
        &self,
        name: &str,
        request: &Request,
        a: &Analysis,
        path: &Path,
        out: &mut OutFile,
    ) -> anyhow::Result<String> {
        let Some(format) = report::find(name) else { bail!("there is no format {name}") };
        let options = Options { utc: self.utc, show_secrets: request.secrets, ..Options::default() };
        let keep = match &request.scope {
            Scope::Chains(ids) => a.chains.iter().map(|chain| ids.contains(&chain.id)).collect(),
            Scope::Filter(text) => select::chains(a, &analyse::parse_filter(text)?.with_inputs(&a.inputs)),
        };
        let all = keep.iter().all(|keep| *keep);
        if all {
            (format.write)(a, &options, out)?;
        } else {
            (format.write)(&select::part(a, &keep), &options, out)?;
        }
        out.flush()?;
        let chains = keep.iter().filter(|keep| **keep).count();
        let s = if chains == 1 { "" } else { "s" };
        Ok(format!("{chains} chain{s} written as {name} to {}", out_file::name(path)))
    }

    fn packets(
        &self,
        request: &Request,
        a: &Analysis,
        path: &Path,
        out: &mut OutFile,
        on_progress: &mut dyn FnMut(Progress) -> bool,
    ) -> anyhow::Result<String> {
        if self.redact {
            bail!("with --redact only reports are written here; packets: hopscope extract --redact");
        }
        let known = self.again()?;
        let (chain, filter) = match &request.scope {
            Scope::Chains(ids) => (Some(Numbers(ids.iter().map(|id| *id..=*id).collect())), None),
            Scope::Filter(text) => (None, Some(text.clone())),
        };
        let args = Extract {
            inputs: self.inputs.clone(),
            exchange: None,
            chain,
            filter,
            output: path.to_owned(),
            show_secrets: request.secrets,
            redact: false,
            quiet: true,
        };
        let Some(written) = extract::write(&args, &known, a, out, on_progress)? else { bail!("nothing was written") };
        Ok(written.words(path).join("; "))
    }
}

impl Exporter {
    /// Reads some of an exchange's stream again, while it is wanted.
    pub(super) fn look(&self, ask: &Ask, a: &Analysis, is_wanted: &dyn Fn() -> bool) -> anyhow::Result<Stretch> {
        if self.redact {
            bail!("with --redact nothing is read again");
        }
        let known = self.again()?;
        let Some(row) = build::row(a, ask.exchange) else { bail!("it is not in the analysis any more") };
        let mut inputs = known.open(&self.inputs)?;
        let secrets = known.keys.secrets();
        let read = stretch::stretch(&mut inputs, secrets, &row.exchange, (ask.way, ask.from), &mut |_| is_wanted());
        read?.context("nobody wants it any more")
    }

    /// What is needed to read the inputs again.
    fn again(&self) -> anyhow::Result<Arc<Known>> {
        if self.live {
            bail!("a capture that ran cannot be read again; keep it with -w, and open that file");
        }
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(known) = known else { bail!("the inputs can be read again when all is read") };
        self.inputs.files.iter().try_for_each(|path| Source::check_twice(path))?;
        Ok(known)
    }
}

/// A name in this folder that nothing has.
fn free(request: &Request) -> anyhow::Result<PathBuf> {
    let (stem, extension) = (request.stem(), request.extension());
    let names = (1..=NAMES).map(|n| match n {
        1 => PathBuf::from(format!("{stem}.{extension}")),
        n => PathBuf::from(format!("{stem}-{n}.{extension}")),
    });
    let mut names = names.filter(|path| !path.exists());
    names.next().with_context(|| format!("{stem}.{extension} and {NAMES} others are there already"))
}
