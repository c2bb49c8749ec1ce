//! A key log on its way from a file, which may grow while it is read: each time, only what is new.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// Bytes that are read at once.
const PIECE: usize = 64 << 10;

/// A file that secrets are written to.
#[derive(Debug)]
pub struct KeyLogFile {
    path: PathBuf,
    /// Bytes of it that were read.
    read: u64,
}

/// What came since it was read last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    Nothing,
    More,
    /// It is shorter than it was, so it was begun anew, and was read from its first byte: a line that was under way
    /// is over.
    Anew,
}

impl KeyLogFile {
    /// Nothing is read yet; it need not be there yet.
    pub fn new(path: &Path) -> Self {
        KeyLogFile { path: path.to_owned(), read: 0 }
    }

    /// Gives what is new to `take`, in pieces, after saying whether it is the beginning of another file. Whoever writes
    /// the file may be in the middle of a line: the rest comes the next time.
    pub fn news(&mut self, take: &mut dyn FnMut(News, &[u8])) -> io::Result<News> {
        let mut file = File::open(&self.path)?;
        let mut news = News::Nothing;
        // A pipe has no length, and gives what is new anyway.
        let regular = file.metadata()?.is_file();
        if regular {
            if file.metadata()?.len() < self.read {
                (self.read, news) = (0, News::Anew);
            }
            file.seek(SeekFrom::Start(self.read))?;
        }
        let mut piece = Zeroizing::new(vec![0; PIECE]);
        loop {
            match file.read(&mut piece) {
                Ok(0) => return Ok(news),
                Ok(n) => {
                    self.read += n as u64;
                    news = if news == News::Nothing { News::More } else { news };
                    take(news, piece.get(..n).unwrap_or_default());
                    if news == News::Anew {
                        news = News::More;
                    }
                }
                Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
                Err(err) => return Err(err),
            }
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn news(log: &mut KeyLogFile) -> Vec<(News, String)> {
        let mut out = Vec::new();
        log.news(&mut |news, bytes| out.push((news, String::from_utf8(bytes.to_vec()).unwrap()))).unwrap();
        out
    }

    #[test]
    fn only_what_is_new_is_read_and_a_file_begun_anew_from_its_beginning() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.log");
        let mut log = KeyLogFile::new(&path);
        assert_eq!(log.news(&mut |_, _| {}).unwrap_err().kind(), io::ErrorKind::NotFound);
        let mut file = File::create(&path).unwrap();
        file.write_all(b"one").unwrap();
        assert_eq!(news(&mut log), [(News::More, "one".to_owned())]);
        assert_eq!(news(&mut log), []);
        file.write_all(b" two").unwrap();
        assert_eq!(news(&mut log), [(News::More, " two".to_owned())]);
        std::fs::write(&path, "new").unwrap();
        assert_eq!(news(&mut log), [(News::Anew, "new".to_owned())]);
        assert_eq!(news(&mut log), []);
    }
}
