//! TLS secrets: of `--keylog` and `SSLKEYLOGFILE`, and of the inputs themselves. They stay in memory; an
//! extract alone holds those that belong to its connections.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use zeroize::Zeroizing;

use crate::capture::KeyLogFile;
#[cfg(feature = "live")]
use crate::capture::News;
#[cfg(feature = "live")]
use crate::capture::live::FORMAT;
use crate::cli::Inputs;
#[cfg(feature = "live")]
use crate::engine::Engine;
use crate::model::{InputFacts, Wrapper};
#[cfg(feature = "live")]
use crate::proto::Sink;
use crate::proto::tls::{KeyLog, Secrets};

use super::complain;
use super::out_file::name;

/// What names a key log for browsers and libraries that write one.
pub(super) const VARIABLE: &str = "SSLKEYLOGFILE";

/// All secrets that are known.
#[derive(Default)]
pub(super) struct Keys {
    secrets: Secrets,
    /// By input, decryption secrets blocks that were read.
    read: Vec<usize>,
    /// The key logs, where more of them may come.
    #[cfg(feature = "live")]
    grow: Option<Grow>,
}

/// Key logs and inputs whose secrets come while a capture runs.
#[cfg(feature = "live")]
#[derive(Default)]
pub(super) struct Grow {
    logs: Vec<(PathBuf, KeyLogFile, KeyLog)>,
    /// By input, decryption secrets blocks that were read.
    read: Vec<usize>,
}

#[cfg(feature = "live")]
impl Grow {
    /// Whether any may come.
    pub(super) fn is_waited_for(&self, inputs: &[InputFacts]) -> bool {
        !self.logs.is_empty() || inputs.iter().any(|input| input.format != FORMAT)
    }

    /// Gives the engine what is new.
    pub(super) fn look<S: Sink>(&mut self, inputs: &[InputFacts], engine: &mut Engine<S>) {
        for (path, file, log) in &mut self.logs {
            // A pipe would be waited for. What is not there may come, or come back.
            if std::fs::metadata(path).is_ok_and(|about| about.is_file()) {
                let _ = file.news(&mut |news, bytes| {
                    if news == News::Anew {
                        *log = KeyLog::default();
                    }
                    engine.learn(log, bytes);
                });
            }
        }
        self.read.resize(inputs.len().max(self.read.len()), 0);
        for (input, read) in inputs.iter().zip(&mut self.read) {
            for block in input.secrets.iter().skip(*read) {
                let mut log = KeyLog::default();
                engine.learn(&mut log, block.bytes());
                engine.learn(&mut log, b"\n");
            }
            *read = input.secrets.len().max(*read);
        }
    }
}

/// Whether this key log has any by itself: they may be known from another one.
fn has_secrets(path: &Path) -> bool {
    let mut alone = Keys::default();
    alone.file(path).is_ok() && alone.secrets.counted.secrets != 0
}

impl Keys {
    /// Reads the key logs that the user names. One of the environment need not be there yet.
    pub(super) fn read(args: &Inputs) -> anyhow::Result<Keys> {
        Keys::default().begin(args)
    }

    /// As [`Keys::read`], of key logs that may come and grow while a capture runs.
    #[cfg(feature = "live")]
    pub(super) fn read_on(args: &Inputs) -> anyhow::Result<Keys> {
        Keys { grow: Some(Grow::default()), ..Keys::default() }.begin(args)
    }

    /// Whether no more of them may come.
    fn is_whole(&self) -> bool {
        #[cfg(feature = "live")]
        return self.grow.is_none();
        #[cfg(not(feature = "live"))]
        true
    }

    /// What looks for more of them.
    #[cfg(feature = "live")]
    pub(super) fn take_grow(&mut self) -> Option<Grow> {
        self.grow.take()
    }

    fn begin(mut self, args: &Inputs) -> anyhow::Result<Keys> {
        let keys = &mut self;
        for path in &args.keylogs {
            let before = keys.secrets.counted.secrets;
            keys.file(path).with_context(|| format!("--keylog {}", path.display()))?;
            if keys.is_whole() && keys.secrets.counted.secrets == before && !has_secrets(path) {
                complain(&format!(
                    "--keylog {}: no secret of TLS stands in it; its lines should begin like CLIENT_RANDOM or \
                     CLIENT_TRAFFIC_SECRET_0 (docs/keys.md)",
                    name(path)
                ));
            }
        }
        if args.keylogs.is_empty()
            && let Some(path) = std::env::var_os(VARIABLE).filter(|path| !path.is_empty())
        {
            match keys.file(&PathBuf::from(path)) {
                Err(err) if err.kind() != io::ErrorKind::NotFound => return Err(err).context(VARIABLE),
                _ => {}
            }
        }
        Ok(self)
    }

    /// Adds what stands in the inputs, as far as they were read. `true`: something was new.
    pub(super) fn add(&mut self, inputs: &[InputFacts]) -> bool {
        let before = self.secrets.counted.secrets;
        self.read.resize(inputs.len().max(self.read.len()), 0);
        for (input, read) in inputs.iter().zip(&mut self.read) {
            for log in input.secrets.iter().skip(*read) {
                self.secrets.read(log.bytes());
            }
            *read = input.secrets.len().max(*read);
        }
        self.secrets.counted.secrets != before
    }

    pub(super) fn secrets(&self) -> Secrets {
        self.secrets.clone()
    }

    /// A key log with what opens the connections of these wrappers.
    pub(super) fn of<'a>(&self, around: impl Iterator<Item = &'a Wrapper>) -> Zeroizing<Vec<u8>> {
        let mut log = Zeroizing::new(Vec::new());
        let mut written = HashSet::new();
        for wrapper in around {
            if let Wrapper::Tls(tls) = wrapper
                && let Some(random) = &tls.client_random
                && written.insert(**random)
            {
                self.secrets.write(random, &mut log);
            }
        }
        log
    }

    fn file(&mut self, path: &Path) -> io::Result<()> {
        let (mut file, mut log) = (KeyLogFile::new(path), KeyLog::default());
        let read = file.news(&mut |_, bytes| log.push(bytes, &mut self.secrets));
        #[cfg(feature = "live")]
        if let Some(grow) = &mut self.grow {
            // Its last line may be under way.
            grow.logs.push((path.to_owned(), file, log));
            return match read {
                Err(err) if err.kind() != io::ErrorKind::NotFound => Err(err),
                _ => Ok(()),
            };
        }
        read?;
        log.end(&mut self.secrets);
        Ok(())
    }
}
