//! The file that is written, or the ring of files: blocks of bytes in, whole files out. A block that does not fit on
//! the disk is taken back, so that the file ends behind the last whole one.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use crate::cli::Ring;

pub(super) struct Files {
    named: PathBuf,
    ring: Option<Ring>,
    /// The present one. `None`: it could not be opened.
    file: Option<File>,
    /// Those of the ring that are there, the oldest first; the present one is the last.
    there: VecDeque<PathBuf>,
    /// Files of the ring so far.
    count: u64,
    /// Bytes of the present one that are whole blocks.
    good: u64,
}

impl Files {
    pub(super) fn open(named: &Path, ring: Option<Ring>) -> io::Result<Self> {
        let mut files = Files { named: named.to_owned(), ring, file: None, there: VecDeque::new(), count: 0, good: 0 };
        files.next()?;
        Ok(files)
    }

    /// Begins the next file of the ring. The oldest goes before, so that there is never more than the user allows.
    pub(super) fn next(&mut self) -> io::Result<()> {
        self.file = None;
        self.good = 0;
        if let Some(ring) = self.ring {
            while self.there.len() >= ring.files
                && let Some(oldest) = self.there.pop_front()
            {
                // Somebody else may have taken it away.
                let _ = std::fs::remove_file(oldest);
            }
        }
        let path = self.path(self.count + 1);
        self.file = Some(File::create(&path)?);
        self.count += 1;
        self.there.push_back(path);
        Ok(())
    }

    /// The present one.
    pub(super) fn name(&self) -> &Path {
        self.there.back().unwrap_or(&self.named)
    }

    /// Whether the next file of the ring is due before so many more bytes.
    pub(super) fn is_full(&self, more: u64) -> bool {
        self.file.is_none() || self.ring.is_some_and(|ring| self.good.saturating_add(more) > ring.bytes)
    }

    /// Whether there is a file that can be written to.
    pub(super) fn is_open(&self) -> bool {
        self.file.is_some()
    }

    /// Writes whole blocks, or nothing of them.
    pub(super) fn write(&mut self, blocks: &[u8]) -> io::Result<()> {
        let Some(file) = &mut self.file else { return Err(io::ErrorKind::NotFound.into()) };
        let written = file.write_all(blocks);
        match written {
            Ok(()) => self.good += blocks.len() as u64,
            Err(_) => {
                // Something that is no regular file cannot take anything back.
                let _ = file.set_len(self.good).and_then(|()| file.seek(SeekFrom::Start(self.good)));
            }
        }
        written
    }

    /// `a/b.pcapng` becomes `a/b_00001_20260131120000.pcapng`: by name they stand in the order of time.
    fn path(&self, number: u64) -> PathBuf {
        if self.ring.is_none() {
            return self.named.clone();
        }
        let mut name = self.named.file_stem().unwrap_or_default().to_owned();
        name.push(format!("_{number:05}_{}", jiff::Zoned::now().strftime("%Y%m%d%H%M%S")));
        if let Some(extension) = self.named.extension() {
            name.push(".");
            name.push(extension);
        }
        self.named.with_file_name(name)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn of_a_ring_the_oldest_go_and_names_are_in_the_order_of_time() {
        let folder = tempfile::tempdir().unwrap();
        let ring = Some(Ring { bytes: 10, files: 2 });
        let mut files = Files::open(&folder.path().join("a.b.pcapng"), ring).unwrap();
        for n in 1..=12_u8 {
            assert!(!files.is_full(10) && files.is_full(11));
            files.write(&[n; 3]).unwrap();
            assert!(!files.is_full(7) && files.is_full(8));
            if n < 12 {
                files.next().unwrap();
            }
        }
        let names = names(folder.path());
        assert_eq!(names.len(), 2);
        assert!(names[0].starts_with("a.b_00011_2") && names[1].starts_with("a.b_00012_2"), "{names:?}");
        assert!(
            names.iter().all(|name| name.ends_with(".pcapng") && name.len() == "a.b_00011_20260131120000.pcapng".len())
        );
        assert_eq!(std::fs::read(files.name()).unwrap(), [12; 3]);
    }

    #[test]
    fn a_full_device_takes_nothing_and_says_so() {
        let mut files = Files::open(Path::new("/dev/full"), None).unwrap();
        assert_eq!(files.write(b"block").unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert!(files.is_open() && !files.is_full(u64::MAX));
    }
}
