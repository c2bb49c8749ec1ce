//! Files on two threads: one reads and takes packets apart, this one follows their flows. Measured:
//! reading is half of the work, and the kernel does most of it.
//!
//! What goes between them is a page of the read buffer, never a copy of it, and the segments found in
//! it. At most `limits::PIECES` are under way, each of `limits::PIECE_PAGES` pages.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use crate::base::limits;
use crate::capture::{Error, Merged, Page, Progress};
use crate::proto::Sink;
use crate::stream::Segments;

use super::Engine;
use super::front::Front;

/// Segments that follow each other on the timeline.
struct Piece {
    segments: Segments,
    /// The pages that they stand in.
    pages: Vec<Page>,
    runs: Vec<Run>,
    progress: Progress,
}

/// Segments of one page.
struct Run {
    /// Place among the piece's pages.
    page: usize,
    /// Where they end among the piece's segments.
    end: usize,
}

/// As [`super::read`], on two threads.
pub(super) fn read<S: Sink>(
    inputs: &mut Merged,
    engine: &mut Engine<S>,
    progress: &mut dyn FnMut(Progress) -> bool,
) -> Result<bool, Error> {
    let (full, pieces) = sync_channel(limits::PIECES);
    let (back, empty) = sync_channel(limits::PIECES + 2);
    let Engine { front, back: analysis, segments } = engine;
    let segments = segments.another();
    thread::scope(|scope| {
        let reader = scope.spawn(move || produce(inputs, front, segments, &full, &empty));
        let mut on = true;
        for mut piece in &pieces {
            let mut from = 0;
            for run in &piece.runs {
                if let Some(page) = piece.pages.get(run.page) {
                    analysis.segments(page, &piece.segments, from..run.end);
                }
                from = run.end;
            }
            on = progress(piece.progress);
            piece.clear();
            // Where the reader is done nobody wants it any more.
            let _ = back.try_send(piece);
            if !on {
                break;
            }
        }
        // Without a receiver the reader stops.
        drop(pieces);
        match reader.join() {
            Ok(result) => result.map(|()| on),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// Reads all inputs and sends on what is in them, until nobody listens any more.
fn produce(
    inputs: &mut Merged,
    front: &mut Front,
    segments: Segments,
    full: &SyncSender<Piece>,
    empty: &Receiver<Piece>,
) -> Result<(), Error> {
    let mut piece = Piece::new(segments);
    let mut batches = 0;
    while let Some(batch) = inputs.next_batch()? {
        front.batch(&batch, &mut piece.segments);
        piece.stands_in(batch.page);
        batches += 1;
        // A capture without TCP gives no segments, and still wants to be told how far it is.
        let full_enough = piece.segments.len() >= limits::PIECE_SEGMENTS || piece.pages.len() >= limits::PIECE_PAGES;
        if full_enough || batches >= limits::PIECE_BATCHES {
            batches = 0;
            piece.progress = inputs.progress();
            let next = empty.try_recv().unwrap_or_else(|_| Piece::new(piece.segments.another()));
            if full.send(std::mem::replace(&mut piece, next)).is_err() {
                return Ok(());
            }
        }
    }
    piece.progress = inputs.progress();
    let _ = full.send(piece);
    Ok(())
}

impl Piece {
    fn new(mut segments: Segments) -> Piece {
        segments.reserve(limits::PIECE_SEGMENTS + limits::BATCH_PACKETS);
        Piece { segments, pages: Vec::new(), runs: Vec::new(), progress: Progress::default() }
    }

    /// The segments that were added last stand in this page. One that holds none is not kept.
    fn stands_in(&mut self, page: &Page) {
        let end = self.segments.len();
        match self.runs.last_mut() {
            Some(run) if run.end == end => return,
            None if end == 0 => return,
            Some(run) if self.pages.get(run.page).is_some_and(|known| Page::ptr_eq(known, page)) => {
                run.end = end;
                return;
            }
            _ => {}
        }
        let known = self.pages.iter().position(|known| Page::ptr_eq(known, page));
        let page = known.unwrap_or_else(|| {
            self.pages.push(Page::clone(page));
            self.pages.len() - 1
        });
        self.runs.push(Run { page, end });
    }

    /// Gives the pages back.
    fn clear(&mut self) {
        self.segments.clear();
        self.pages.clear();
        self.runs.clear();
    }
}
