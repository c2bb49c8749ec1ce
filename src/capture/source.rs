//! Something that captures are read from: a regular file, a pipe, standard input, bytes in memory.

use std::fs::File;
use std::io::{Cursor, IsTerminal as _, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::ahead;
use super::error::{self, Error};

/// An input that was opened, and of which nothing was read yet.
pub struct Source {
    /// As the user gave it, safe to print.
    pub(super) name: String,
    pub(super) from: Origin,
    /// Its length in bytes; `None` for what has no end yet (pipes).
    pub(super) size: Option<u64>,
    /// The file to open again, for what can be read twice.
    pub(super) again: Option<PathBuf>,
}

/// What gives the bytes of an input.
pub(super) enum Origin {
    Stream(Box<dyn Read + Send>),
    /// A regular file: any place of it can be read at any time.
    File(FileFrom),
}

/// A file from some place on.
pub(super) struct FileFrom {
    pub(super) file: Arc<File>,
    /// What is read next, in bytes from the start.
    pub(super) byte: u64,
}

impl Read for FileFrom {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let count = ahead::read_at(&self.file, self.byte, into)?;
        self.byte = self.byte.saturating_add(count as u64);
        Ok(count)
    }
}

impl Origin {
    pub(super) fn into_stream(self) -> Box<dyn Read + Send> {
        match self {
            Origin::Stream(from) => from,
            Origin::File(from) => Box::new(from),
        }
    }
}

impl Read for Origin {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Origin::Stream(from) => from.read(into),
            Origin::File(from) => from.read(into),
        }
    }
}

impl Source {
    /// Opens a regular file, a FIFO or a device; `-` is standard input. Opening a FIFO waits for its
    /// writer.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let name = error::name_of(path);
        if path.as_os_str() == "-" {
            return stdin(name);
        }
        let file = File::open(path).map_err(|e| Error::open(path, e))?;
        let about = file.metadata().map_err(|e| Error::open(path, e))?;
        if about.is_dir() {
            return Err(Error::refused(&name, "it is a directory", "name the capture files in it"));
        }
        let regular = about.is_file();
        let from = if regular {
            Origin::File(FileFrom { file: Arc::new(file), byte: 0 })
        } else {
            Origin::Stream(Box::new(file))
        };
        Ok(Source { name, from, size: regular.then_some(about.len()), again: regular.then(|| path.to_owned()) })
    }

    /// Refuses what can be read only once: pipes, devices, standard input. A path that leads nowhere is
    /// left for `open` to complain about.
    pub fn check_twice(path: &Path) -> Result<(), Error> {
        let once = |about: std::fs::Metadata| !about.is_file() && !about.is_dir();
        if path.as_os_str() == "-" || std::fs::metadata(path).is_ok_and(once) {
            return Err(Error::Once { name: error::name_of(path) });
        }
        Ok(())
    }

    /// A capture that is in memory already.
    pub fn from_bytes(name: impl Into<String>, bytes: Vec<u8>) -> Self {
        let size = Some(bytes.len() as u64);
        Source { name: name.into(), from: Origin::Stream(Box::new(Cursor::new(bytes))), size, again: None }
    }

    /// Anything that gives bytes, read like a pipe.
    pub fn from_reader(name: impl Into<String>, from: Box<dyn Read + Send>) -> Self {
        Source { name: name.into(), from: Origin::Stream(from), size: None, again: None }
    }
}

fn stdin(name: String) -> Result<Source, Error> {
    if std::io::stdin().is_terminal() {
        let to_do = "pipe a capture into it: tcpdump -U -w - | hopscope report -";
        return Err(Error::refused(&name, "standard input is the terminal", to_do));
    }
    let (from, size) = raw_stdin().map_err(|e| Error::open(Path::new("-"), e))?;
    Ok(Source { name, from: Origin::Stream(from), size, again: None })
}

type Raw = (Box<dyn Read + Send>, Option<u64>);

/// Standard input without the copy through the standard library's own buffer.
#[cfg(unix)]
fn raw_stdin() -> std::io::Result<Raw> {
    use std::os::fd::AsFd as _;
    let file = File::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    let about = file.metadata()?;
    if about.is_dir() {
        return Err(std::io::Error::from(std::io::ErrorKind::IsADirectory));
    }
    let size = about.is_file().then_some(about.len());
    Ok((Box::new(file), size))
}

#[cfg(not(unix))]
fn raw_stdin() -> std::io::Result<Raw> {
    Ok((Box::new(std::io::stdin()), None))
}
