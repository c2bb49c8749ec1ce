//! Several inputs as one timeline.
//!
//! Each input has its own reader; the one whose next packet is earliest hands out a run: its packets
//! up to the next packet of any other. Inputs of equal time come in the order given, those that have begun
//! first. An input whose own times go backwards by more than `limits::DISORDER_MS` keeps its order. With one
//! input a run is a whole batch, and merging costs nothing.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::PathBuf;
use std::sync::Arc;

use super::ahead::Ahead;
use super::error::Error;
use super::file::Reader;
use super::points::Points;
use super::record::Batch;
use super::source::Source;
use super::window::{Bounds, Window};
use crate::base::{Nanos, Timestamp, limits};
use crate::model::{Damage, InputFacts};

/// All inputs, being read.
pub struct Merged {
    inputs: Vec<Input>,
    facts: Vec<InputFacts>,
    /// The next packet of each input that has one, earliest first.
    heads: BinaryHeap<Reverse<Head>>,
    /// The input whose records were handed out last.
    current: Option<u16>,
    points: Points,
    bounds: Bounds,
    total: Option<u64>,
    /// What is added to the times of these inputs.
    clocks: Vec<(usize, Nanos)>,
    ahead: Arc<Ahead>,
}

/// Where an input stands on the timeline: the time of its next packet, whether nothing of it was handed
/// out yet, its number. Of inputs of one time, one that is being read comes before one that would begin:
/// the last packet of a rotated file may have the time of the first of the next.
type Head = (Timestamp, bool, u16);

/// How far reading has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    pub bytes_read: u64,
    /// `None` where an input has no known end (pipes).
    pub bytes_total: Option<u64>,
}

struct Input {
    state: State,
    /// Set when its first packet came up.
    point: Option<u16>,
    /// Records of the present batch handed out.
    taken: usize,
    /// Bytes read of it, once it is done.
    bytes_read: u64,
}

enum State {
    /// Closed until its first packet is due.
    Waiting(PathBuf),
    Open(Box<Reader>),
    Done,
}

impl Merged {
    /// Opens the inputs (`-` is standard input) and reads each up to its first packet. Times of
    /// `window` that count from the end make it read regular files twice.
    pub fn open(paths: &[PathBuf], window: &Window) -> Result<Self, Error> {
        Merged::open_by(paths, window, &[])
    }

    /// As [`Merged::open`]; `clocks`: what is added to the times of inputs, by their places.
    pub fn open_by(paths: &[PathBuf], window: &Window, clocks: &[(usize, Nanos)]) -> Result<Self, Error> {
        if paths.iter().filter(|path| path.as_os_str() == "-").count() > 1 {
            return Err(Error::StdinTwice);
        }
        if paths.len() > limits::INPUTS {
            return Err(Error::TooManyInputs(paths.len()));
        }
        let bounds = window.resolve(paths)?;
        Merged::start(paths.iter().map(|path| Source::open(path)), paths.len(), bounds, clocks)
    }

    /// Reads from sources that are open already. Times of `window` must not count from the end.
    pub fn from_sources(sources: Vec<Source>, window: &Window) -> Result<Self, Error> {
        if sources.len() > limits::INPUTS {
            return Err(Error::TooManyInputs(sources.len()));
        }
        let bounds = match sources.first() {
            Some(source) => window.absolute(&source.name)?,
            None => Bounds::default(),
        };
        let count = sources.len();
        Merged::start(sources.into_iter().map(Ok), count, bounds, &[])
    }

    /// The next packets of the timeline; `None` after the last. What is wrong with a file stands in
    /// its facts and is no error here: the rest is still worth a report.
    pub fn next_batch(&mut self) -> Result<Option<Batch<'_>>, Error> {
        if let Some(current) = self.current.take() {
            self.line_up(current);
        }
        let Some(Reverse((_, _, mut chosen))) = self.heads.pop() else { return Ok(None) };
        while !self.wake(chosen) {
            match self.heads.pop() {
                Some(Reverse((_, _, next))) => chosen = next,
                None => return Ok(None),
            }
        }
        let rival = self.heads.peek().map(|Reverse(head)| *head);
        let Some(input) = self.inputs.get_mut(usize::from(chosen)) else { return Ok(None) };
        let State::Open(reader) = &input.state else { return Ok(None) };
        let point = *input.point.get_or_insert_with(|| self.points.begin(reader.links()));
        let rest = reader.records().get(input.taken..).unwrap_or_default();
        let run = match rival {
            None => rest.len(),
            // The first was the earliest of all when it was lined up: a run is never empty.
            Some(rival) => rest.iter().skip(1).take_while(|r| (r.ts, false, chosen) < rival).count() + 1,
        };
        input.taken += run;
        self.current = Some(chosen);
        let records = rest.get(..run).unwrap_or(rest);
        let (section, interfaces) = reader.section();
        Ok(Some(Batch {
            bytes: reader.window(),
            page: reader.page(),
            records,
            last_of_page: reader.last_of_page() && input.taken >= reader.records().len(),
            input: chosen,
            point,
            section,
            interfaces,
        }))
    }

    /// What others may read while this thread is at other work.
    pub fn ahead(&self) -> Arc<Ahead> {
        Arc::clone(&self.ahead)
    }

    /// The window in packet time, as it was found when the inputs were opened: for opening them again.
    pub fn window(&self) -> Window {
        self.bounds.window()
    }

    /// What is known of the inputs so far, in the order given. Whole after the last batch; until then
    /// packets not yet handed out may be counted.
    pub fn facts(&self) -> &[InputFacts] {
        &self.facts
    }

    /// The facts, when reading is over.
    pub fn into_facts(self) -> Vec<InputFacts> {
        self.facts
    }

    pub fn progress(&self) -> Progress {
        let bytes_read = self.inputs.iter().map(Input::bytes_read).fold(0, u64::saturating_add);
        Progress { bytes_read, bytes_total: self.total }
    }

    fn start(
        sources: impl Iterator<Item = Result<Source, Error>>,
        count: usize,
        bounds: Bounds,
        clocks: &[(usize, Nanos)],
    ) -> Result<Self, Error> {
        let mut merged = Merged {
            inputs: Vec::with_capacity(count),
            facts: Vec::with_capacity(count),
            heads: BinaryHeap::with_capacity(count),
            current: None,
            points: Points::default(),
            bounds,
            total: Some(0),
            clocks: clocks.to_vec(),
            ahead: Arc::default(),
        };
        for source in sources {
            merged.add(source?, count > limits::OPEN_INPUTS)?;
        }
        Ok(merged)
    }

    /// What is added to the times of an input.
    fn clock(&self, at: usize) -> Nanos {
        self.clocks.iter().find(|(input, _)| *input == at).map_or(Nanos::ZERO, |clock| clock.1)
    }

    /// The clocks that were given, for opening the inputs again.
    pub fn clocks(&self) -> &[(usize, Nanos)] {
        &self.clocks
    }

    /// Opens one more input and lines up its first packet. `many`: it may have to wait closed.
    fn add(&mut self, source: Source, many: bool) -> Result<(), Error> {
        let number = u16::try_from(self.inputs.len()).unwrap_or(u16::MAX);
        self.total = self.total.zip(source.size).map(|(total, size)| total.saturating_add(size));
        let again = source.again.clone().filter(|_| many);
        let size = if again.is_some() { limits::PROBE_BYTES } else { limits::READ_BUFFER_BYTES };
        let mut facts = InputFacts::default();
        let mut reader = Reader::open(source, size, &self.ahead, &mut facts)?;
        reader.set_clock(self.clock(self.inputs.len()), &mut facts);
        self.facts.push(facts);
        self.inputs.push(Input { state: State::Open(Box::new(reader)), point: None, taken: 0, bytes_read: 0 });
        self.line_up(number);
        if let (Some(path), Some(input)) = (again, self.inputs.last_mut())
            && matches!(input.state, State::Open(_))
        {
            input.state = State::Waiting(path);
        }
        Ok(())
    }

    /// Puts the next packet of an input on the timeline, reading on where its batch is used up.
    fn line_up(&mut self, number: u16) {
        let at = usize::from(number);
        let (Some(input), Some(facts)) = (self.inputs.get_mut(at), self.facts.get_mut(at)) else { return };
        let State::Open(reader) = &mut input.state else { return };
        if input.taken >= reader.records().len() {
            input.taken = 0;
            if !self.bounds.advance(reader, facts) {
                if let Some(point) = input.point {
                    self.points.end(point, reader.links());
                }
                input.bytes_read = reader.bytes_read();
                input.state = State::Done;
                return;
            }
        }
        if let Some(next) = reader.records().get(input.taken) {
            self.heads.push(Reverse((next.ts, input.point.is_none(), number)));
        }
    }

    /// Opens an input that waited. False: it cannot be read any more, which stands in its facts.
    fn wake(&mut self, number: u16) -> bool {
        let at = usize::from(number);
        let clock = self.clock(at);
        let (Some(input), Some(facts)) = (self.inputs.get_mut(at), self.facts.get_mut(at)) else { return false };
        let State::Waiting(path) = &input.state else { return true };
        let opened =
            Source::open(path).and_then(|source| Reader::open(source, limits::READ_BUFFER_BYTES, &self.ahead, facts));
        match opened {
            Ok(mut reader) => {
                reader.set_clock(clock, facts);
                let some = self.bounds.advance(&mut reader, facts);
                input.state = if some { State::Open(Box::new(reader)) } else { State::Done };
                some
            }
            Err(error) => {
                *facts = InputFacts { path: std::mem::take(&mut facts.path), ..InputFacts::default() };
                let why = format!("it could be opened before, and now: {error}");
                facts.damage.push(Damage { packet: 1, byte: 0, why, lost_bytes: 0 });
                input.state = State::Done;
                false
            }
        }
    }
}

impl Input {
    fn bytes_read(&self) -> u64 {
        match &self.state {
            State::Waiting(_) => 0,
            State::Open(reader) => reader.bytes_read(),
            State::Done => self.bytes_read,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]
mod tests {
    use jiff::tz::TimeZone;

    use super::super::made::{Pcap, Pcapng, T0, US, us};
    use super::super::window::Moment;
    use super::*;

    /// Input, point, number and second after `T0` of each packet, in the order handed out.
    type Line = Vec<(u16, u16, u64, i64)>;

    fn line(mut merged: Merged) -> (Line, Vec<InputFacts>) {
        let mut out = Vec::new();
        while let Some(batch) = merged.next_batch().unwrap() {
            assert!(!batch.records.is_empty());
            for r in batch.records {
                assert_eq!(r.data(batch.bytes), [9; 30]);
                out.push((batch.input, batch.point, r.no, r.ts.0 / 1_000_000_000 - i64::from(T0)));
            }
        }
        (out, merged.into_facts())
    }

    fn pcap(link: u32, seconds: impl IntoIterator<Item = u32>) -> Vec<u8> {
        let empty = Pcap::new(false, US, 0, link);
        seconds.into_iter().fold(empty, |file, s| file.packet(T0 + s, 0, &[9; 30])).bytes
    }

    fn merged(files: &[Vec<u8>]) -> (Line, Vec<InputFacts>) {
        let sources = files.iter().map(|bytes| Source::from_bytes("made", bytes.clone())).collect();
        line(Merged::from_sources(sources, &Window::default()).unwrap())
    }

    fn inputs(line: &Line) -> Vec<u16> {
        line.iter().map(|(input, ..)| *input).collect()
    }

    fn points(line: &Line) -> Vec<u16> {
        line.iter().map(|(_, point, ..)| *point).collect()
    }

    #[test]
    fn packets_of_all_inputs_come_in_the_order_of_time_and_keep_their_numbers() {
        let (seen, _) = merged(&[pcap(1, [1, 4, 5, 8]), pcap(1, [2, 3, 6]), pcap(1, [0, 7])]);
        assert_eq!(seen.iter().map(|p| p.3).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(seen[8], (0, 1, 4, 8));
        assert_eq!(inputs(&seen), [2, 0, 1, 1, 0, 0, 1, 2, 0]);
    }

    #[test]
    fn equal_times_come_in_the_order_of_the_inputs() {
        let (seen, _) = merged(&[pcap(1, [5, 5, 6]), pcap(1, [5, 6, 6])]);
        assert_eq!(inputs(&seen), [0, 0, 1, 0, 1, 1]);
    }

    #[test]
    fn an_input_whose_times_go_backwards_keeps_its_order() {
        let (seen, facts) = merged(&[pcap(1, [1, 9, 2, 3]), pcap(1, [4, 10])]);
        assert_eq!(
            seen.iter().map(|p| (p.0, p.2)).collect::<Vec<_>>(),
            [(0, 1), (1, 1), (0, 2), (0, 3), (0, 4), (1, 2)]
        );
        assert_eq!(facts[0].time_backwards, 1);
    }

    #[test]
    fn long_inputs_are_merged_across_their_batches() {
        let (seen, facts) = merged(&[pcap(1, (0..3_000).step_by(2)), pcap(1, (1..3_000).step_by(2))]);
        assert!(seen.iter().zip(0..).all(|(packet, second)| packet.3 == second));
        assert_eq!((seen.len(), facts[0].packets, facts[1].packets), (3_000, 1_500, 1_500));
    }

    #[test]
    fn rotated_files_are_one_point_in_any_order_given() {
        let (seen, _) = merged(&[pcap(1, 20..30), pcap(1, 0..10), pcap(1, 10..20)]);
        assert!(points(&seen).iter().all(|p| *p == 0));
        assert_eq!((seen[0].0, seen[10].0, seen[20].0), (1, 2, 0));
    }

    #[test]
    fn rotated_files_that_share_a_time_are_one_point_in_any_order_given() {
        for files in [[pcap(1, [10, 11, 20]), pcap(1, [1, 10])], [pcap(1, [1, 10]), pcap(1, [10, 11, 20])]] {
            let (seen, _) = merged(&files);
            assert!(points(&seen).iter().all(|p| *p == 0), "{seen:?}");
            assert_eq!(seen.iter().map(|p| p.3).collect::<Vec<_>>(), [1, 10, 10, 11, 20]);
        }
    }

    #[test]
    fn files_of_one_time_or_of_other_link_types_are_points_of_their_own() {
        let (seen, _) = merged(&[pcap(1, 0..10), pcap(1, 5..15)]);
        assert_eq!(seen.iter().map(|p| (p.0, p.1)).max(), Some((1, 1)));
        let (seen, _) = merged(&[pcap(1, 0..10), pcap(113, 20..30)]);
        assert_eq!((seen[0].1, seen[10].1), (0, 1));
    }

    #[test]
    fn two_files_of_one_time_do_not_both_continue_the_file_before_them() {
        let (seen, _) = merged(&[pcap(1, 0..5), pcap(1, [10, 12, 14]), pcap(1, [11, 13, 15])]);
        assert_eq!(points(&seen), [0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 1]);
    }

    #[test]
    fn rotated_pcapng_files_with_the_same_interfaces_are_one_point() {
        let file = |interfaces: &[u16], iface, second: u64| {
            let mut file = Pcapng::new(false);
            interfaces.iter().for_each(|link| file.interface(*link, 0, &[]));
            file.packet(iface, us(second * 1_000_000), &[9; 30]);
            file.bytes
        };
        let (seen, _) = merged(&[file(&[1, 0], 0, 1), file(&[0, 1], 0, 2), file(&[1], 0, 3)]);
        assert_eq!(points(&seen), [0, 0, 1]);
    }

    #[test]
    fn inputs_without_packets_and_no_inputs_at_all_are_fine() {
        let (seen, facts) = merged(&[pcap(1, []), pcap(1, [1])]);
        assert_eq!((seen.len(), facts[0].packets, facts[1].packets), (1, 0, 1));
        assert!(merged(&[]).0.is_empty());
    }

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn new() -> Self {
            Folder(tempfile::tempdir().unwrap())
        }

        fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
            let path = self.0.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            path
        }
    }

    #[test]
    fn many_files_wait_closed_and_still_make_one_line() {
        let folder = Folder::new();
        let count = u32::try_from(limits::OPEN_INPUTS).unwrap() + 20;
        let paths: Vec<PathBuf> =
            (0..count).map(|n| folder.file(&format!("{n}.pcap"), &pcap(1, n * 100..n * 100 + 70))).collect();
        let merged = Merged::open(&paths, &Window::default()).unwrap();
        assert!(merged.inputs.iter().all(|input| matches!(input.state, State::Waiting(_))));
        let total = merged.progress().bytes_total;
        assert_eq!(total, Some(u64::from(count) * (24 + 70 * 46)));
        let (seen, facts) = line(merged);
        assert_eq!(seen.len(), count as usize * 70);
        assert!(seen.windows(2).all(|pair| pair[0].3 <= pair[1].3));
        assert!(points(&seen).iter().all(|p| *p == 0));
        assert!(facts.iter().all(|f| f.packets == 70 && f.damage.is_empty()));
    }

    #[test]
    fn a_waiting_file_that_vanished_is_damage_and_the_rest_is_read() {
        let folder = Folder::new();
        let count = u32::try_from(limits::OPEN_INPUTS).unwrap() + 1;
        let paths: Vec<PathBuf> = (0..count).map(|n| folder.file(&format!("{n}.pcap"), &pcap(1, [n]))).collect();
        let merged = Merged::open(&paths, &Window::default()).unwrap();
        std::fs::remove_file(&paths[3]).unwrap();
        std::fs::remove_file(&paths[16]).unwrap();
        let (seen, facts) = line(merged);
        assert_eq!((seen.len(), facts[3].packets), (15, 0));
        assert!(facts[3].damage[0].why.contains("no such file"), "{}", facts[3].damage[0].why);
        assert_eq!(facts[16].damage.len(), 1);
    }

    #[test]
    fn packets_outside_the_window_are_numbered_and_counted_but_not_handed_out() {
        let folder = Folder::new();
        let paths = [folder.file("a.pcap", &pcap(1, 0..200)), folder.file("b.pcap", &pcap(1, 300..310))];
        let zone = TimeZone::UTC;
        let moment = |text: &str| Some(Moment::parse(text, &zone).unwrap());
        let at = |s: i64| Some(Moment::At(Timestamp((i64::from(T0) + s) * 1_000_000_000)));
        for (since, until, first, last) in [
            (at(150), at(160), 150, 160),
            (moment("-2m30s"), None, 159, 309),
            (at(100), moment("-4m"), 100, 69),
            // T0 is 22:13:20.
            (moment("22:14:20"), moment("22:15:00"), 60, 100),
            (moment("22:00"), moment("23:00"), 0, 309),
        ] {
            let (seen, facts) = line(Merged::open(&paths, &Window { since, until }).unwrap());
            let inside = |s: i64| (first..=last).contains(&s);
            let want: Vec<i64> = (0..200).chain(300..310).filter(|s| inside(*s)).collect();
            assert_eq!(seen.iter().map(|p| p.3).collect::<Vec<_>>(), want);
            assert!(seen.iter().all(|p| p.0 == 1 || p.2 == u64::try_from(p.3).unwrap() + 1));
            assert_eq!(facts.iter().map(|f| f.packets).sum::<u64>(), 210);
            assert_eq!(facts.iter().map(|f| f.outside).sum::<u64>(), 210 - want.len() as u64);
        }
    }

    #[test]
    fn what_cannot_be_opened_is_said_in_one_sentence() {
        let folder = Folder::new();
        let open = |paths: &[PathBuf]| match Merged::open(paths, &Window::default()) {
            Ok(_) => panic!("opened"),
            Err(error) => error.to_string(),
        };
        let missing = folder.0.path().join("gone.pcap");
        let name = missing.display().to_string();
        assert_eq!(open(&[missing]), format!("{name}: cannot open: no such file (check the name)"));
        let directory = folder.0.path().to_owned();
        let name = directory.display().to_string();
        assert_eq!(
            open(&[directory]),
            format!("{name}: cannot read: it is a directory (name the capture files in it)")
        );
        assert_eq!(open(&["-".into(), "-".into()]), "-: standard input can be read only once (name it once)");
        assert!(
            open(&[folder.file("notes.txt", b"notes\n")])
                .ends_with("notes.txt: cannot read: it is text (give a capture made by tcpdump, dumpcap or Wireshark)")
        );
    }

    #[test]
    fn a_time_that_counts_from_the_end_needs_a_file() {
        let source = Source::from_bytes("pipe", pcap(1, [1]));
        let window = Window { since: None, until: Some(Moment::BeforeEnd(Nanos(5))) };
        let error = match Merged::from_sources(vec![source], &window) {
            Ok(_) => panic!("opened"),
            Err(error) => error.to_string(),
        };
        assert!(error.starts_with("pipe: cannot find its last packet before reading it, and --until"), "{error}");
    }

    #[test]
    fn progress_of_compressed_inputs_counts_the_bytes_of_the_files() {
        let file = pcap(1, 0..5_000);
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        std::io::Write::write_all(&mut encoder, &file).unwrap();
        let packed = encoder.finish().unwrap();
        assert!(packed.len() < file.len() / 2);
        let source = Source::from_bytes("made", packed.clone());
        let mut merged = Merged::from_sources(vec![source], &Window::default()).unwrap();
        let total = Some(packed.len() as u64);
        assert_eq!(merged.progress().bytes_total, total);
        while merged.next_batch().unwrap().is_some() {}
        assert_eq!(Some(merged.progress().bytes_read), total);
    }

    #[test]
    fn progress_ends_at_the_length_of_the_inputs() {
        let file = pcap(1, 0..500);
        let sources = (0..2).map(|_| Source::from_bytes("made", file.clone())).collect();
        let mut merged = Merged::from_sources(sources, &Window::default()).unwrap();
        let total = Some(2 * file.len() as u64);
        assert_eq!(merged.progress().bytes_total, total);
        while merged.next_batch().unwrap().is_some() {}
        assert_eq!(Some(merged.progress().bytes_read), total);
    }
}
