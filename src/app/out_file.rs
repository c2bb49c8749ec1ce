//! A file that is whole or not there: written beside its place, and renamed when it is done.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use tempfile::NamedTempFile;

use crate::base::escape::escape;

use super::stdout_is_terminal;

/// Refuses a place where one of the `inputs` lies, also by another name.
pub(super) fn refuse_inputs<'p>(path: &Path, inputs: impl IntoIterator<Item = &'p PathBuf>) -> anyhow::Result<()> {
    let place = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    if inputs.into_iter().any(|input| input.canonicalize().is_ok_and(|input| input == place)) {
        bail!("-o {}: that is one of the inputs; name another file", name(path));
    }
    Ok(())
}

/// Where results go.
pub(super) enum OutFile {
    Stdout(BufWriter<io::StdoutLock<'static>>),
    /// Something that is no regular file: written in place.
    Device(BufWriter<File>),
    /// Dropped before its end, it leaves nothing.
    File {
        beside: BufWriter<NamedTempFile>,
        place: PathBuf,
    },
}

impl OutFile {
    /// `-` is standard output, but no terminal. Refuses a place where one of the `inputs` lies.
    pub(super) fn create(path: &Path, inputs: &[PathBuf]) -> anyhow::Result<Self> {
        let name = name(path);
        if path.as_os_str() == "-" {
            if stdout_is_terminal() {
                bail!("-o -: standard output is the terminal; name a file, or pipe it into a program");
            }
            return Ok(OutFile::Stdout(BufWriter::new(io::stdout().lock())));
        }
        // A link is followed: what it leads to is written, not the link.
        let place = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        refuse_inputs(path, inputs)?;
        let failed = || format!("{name}: cannot write there{}", super::why_refused());
        match place.metadata() {
            Ok(about) if about.is_dir() => bail!("-o {name}: that is a directory; name a file in it"),
            Ok(about) if !about.is_file() => {
                let device = File::options().write(true).open(&place).with_context(failed)?;
                Ok(OutFile::Device(BufWriter::new(device)))
            }
            _ => {
                let folder = place.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
                let beside = temporary(folder).with_context(failed)?;
                Ok(OutFile::File { beside: BufWriter::new(beside), place })
            }
        }
    }

    /// All was written: the file takes its place.
    pub(super) fn finish(self) -> io::Result<()> {
        match self {
            OutFile::Stdout(mut out) => out.flush(),
            OutFile::Device(mut out) => out.flush(),
            OutFile::File { beside, place } => {
                let whole = beside.into_inner().map_err(io::IntoInnerError::into_error)?;
                whole.persist(place).map_err(|e| e.error)?;
                Ok(())
            }
        }
    }
}

impl Write for OutFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            OutFile::Stdout(out) => out.write(bytes),
            OutFile::Device(out) => out.write(bytes),
            OutFile::File { beside, .. } => beside.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            OutFile::Stdout(out) => out.flush(),
            OutFile::Device(out) => out.flush(),
            OutFile::File { beside, .. } => beside.flush(),
        }
    }
}

/// The path, safe to print.
pub(super) fn name(path: &Path) -> String {
    escape(path.as_os_str().as_encoded_bytes())
}

fn temporary(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".hopscope-").suffix(".part");
    // As any new file of this user, not as a secret one.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}
