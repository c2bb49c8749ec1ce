//! TLS secrets: of `--keylog` and `SSLKEYLOGFILE`, and of the inputs themselves. They stay in memory; an
//! extract alone holds those that belong to its connections.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use zeroize::Zeroizing;

use crate::capture::KeyLogFile;
use crate::cli::Inputs;
use crate::model::{InputFacts, Wrapper};
use crate::proto::tls::{KeyLog, Secrets};

/// What names a key log for browsers and libraries that write one.
pub(super) const VARIABLE: &str = "SSLKEYLOGFILE";

/// All secrets that are known.
#[derive(Default)]
pub(super) struct Keys {
    secrets: Secrets,
    /// By input, decryption secrets blocks that were read.
    read: Vec<usize>,
}

impl Keys {
    /// Reads the key logs that the user names. One of the environment need not be there yet.
    pub(super) fn read(args: &Inputs) -> anyhow::Result<Keys> {
        let mut keys = Keys::default();
        for path in &args.keylogs {
            keys.file(path).with_context(|| format!("--keylog {}", path.display()))?;
        }
        if args.keylogs.is_empty()
            && let Some(path) = std::env::var_os(VARIABLE).filter(|path| !path.is_empty())
        {
            match keys.file(&PathBuf::from(path)) {
                Err(err) if err.kind() != io::ErrorKind::NotFound => return Err(err).context(VARIABLE),
                _ => {}
            }
        }
        Ok(keys)
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
        let mut log = KeyLog::default();
        KeyLogFile::new(path).news(&mut |_, bytes| log.push(bytes, &mut self.secrets))?;
        log.end(&mut self.secrets);
        Ok(())
    }
}
