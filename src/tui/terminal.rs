//! The terminal: set up, given back whatever happens, and asked for keys.

use std::io::{self, BufWriter, Stdout, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crossterm::clipboard::CopyToClipboard;
use crossterm::event::{
    self, DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture, Event,
};
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use crossterm::{cursor, execute};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use signal_hook::consts::{SIGHUP, SIGTERM, SIGTSTP};

use crate::capture::Progress;
use crate::engine::stretch::{Ask, Stretch};
use crate::store::{Analysis, Columns};

use super::export::Request;
use super::frame::{Alive, Reading};
use super::ready::Ready;
use super::streams;
use super::ui::{Effect, Ui};

/// How long a key is waited for before signals and the reader are looked at.
const TICK: Duration = Duration::from_millis(50);
/// The same while progress is drawn: each drawing takes time from those who read.
const READING: Duration = Duration::from_millis(100);
/// What is told of a thread beside the screen that broke.
const FAULT: &str = "a fault of hopscope itself ended it; please report it";
/// Events taken before the next drawing.
const EVENTS: usize = 1_000;

/// How the session ended.
#[derive(Debug)]
pub struct Ended {
    /// `None`: it was left before all was read.
    pub analysis: Option<Arc<Analysis>>,
    /// A signal ended it.
    pub killed: bool,
}

/// What whoever reads tells the screen, from any thread.
#[derive(Clone)]
pub struct Tell {
    stop: Arc<AtomicBool>,
    bytes: Arc<AtomicU64>,
    /// `u64::MAX`: not known.
    total: Arc<AtomicU64>,
    live: Arc<Mutex<Option<Alive>>>,
    news: Sender<News>,
    wake: Sender<Typed>,
}

/// What was typed. `None`: nothing, but there are news.
type Typed = Option<io::Result<Event>>;

enum News {
    /// What is known so far.
    SoFar(Ready),
    All(Result<Ready, String>),
    /// What makes filters fast, of all.
    Columns(Columns),
    /// What was read again.
    Stretch(Ask, streams::Read),
    /// What was to be written: where it is, or why it is not there.
    Written(Result<String, String>),
}

impl Tell {
    /// How far reading is; whether it is to go on.
    pub fn progress(&self, at: Progress) -> bool {
        self.bytes.store(at.bytes_read, Ordering::Relaxed);
        self.total.store(at.bytes_total.unwrap_or(u64::MAX), Ordering::Relaxed);
        self.is_wanted()
    }

    /// How a capture that runs stands.
    pub fn live(&self, alive: Alive) {
        *self.live.lock().unwrap_or_else(PoisonError::into_inner) = Some(alive);
    }

    /// Whether anybody still wants to know.
    pub fn is_wanted(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }

    /// What is known so far.
    pub fn so_far(&self, a: Analysis) {
        // Whoever left does not want to know.
        let _ = self.tell(News::SoFar(Ready::new(a)));
    }

    /// `false`: nobody wants to know any more.
    fn tell(&self, news: News) -> bool {
        self.news.send(news).is_ok() && self.wake.send(None).is_ok()
    }
}

/// Reads, on a thread of its own.
pub type Read = Box<dyn FnOnce(&Tell) -> Result<Analysis, String> + Send>;

/// Writes a file, on a thread of its own; where it is, in words, or why it is not.
pub type Write = Arc<dyn Fn(&Request, &Analysis, &Tell) -> Result<String, String> + Send + Sync>;

/// Reads some of a stream again, on a thread of its own, while the last argument says that it is wanted; or why it cannot.
pub type Look = Arc<dyn Fn(&Ask, &Analysis, &dyn Fn() -> bool) -> Result<Stretch, String> + Send + Sync>;

/// What is done beside the screen when it is asked for.
pub struct Beside {
    pub write: Write,
    pub look: Look,
}

/// What is being read again, and whether it still is to be.
struct Looking(Ask, Arc<AtomicBool>);

/// Shows the screens until the user leaves them. `Err`: the terminal failed, or reading did.
pub fn run(mut ui: Ui, mouse: bool, read: Read, beside: &Beside) -> Result<Ended, String> {
    let (wake, typed) = channel();
    let reader = Reader::start(read, wake.clone());
    let signals = [SIGTERM, SIGHUP].map(|signal| {
        let flag = Arc::new(AtomicBool::new(false));
        // Without it the signal ends the program at once, and the terminal stays as it is: a loss, no reason to stop.
        let _ = signal_hook::flag::register(signal, Arc::clone(&flag));
        flag
    });
    let said = |err: io::Error| format!("the terminal: {err}");
    let mut screen = Held::take(mouse).map_err(said)?;
    keys(wake);
    let ended = turn(&mut ui, &mut screen, (&reader, &typed), beside, &signals);
    reader.tell.stop.store(true, Ordering::Relaxed);
    drop(screen);
    let killed = signals.iter().any(|flag| flag.load(Ordering::Relaxed));
    match ended {
        // Where the terminal is gone nobody can be told so.
        Err(_) if killed => {}
        Err(err) => return Err(said(err)),
        Ok(Some(failed)) => return Err(failed),
        Ok(None) => {}
    }
    let read = ui.reading.is_none();
    Ok(Ended { analysis: read.then(|| Arc::clone(&ui.s.a)), killed })
}

/// Draws, and waits for what happens. Ends with the reader's error, where there was one.
fn turn(
    ui: &mut Ui,
    screen: &mut Held,
    (reader, typed): (&Reader, &Receiver<Typed>),
    beside: &Beside,
    signals: &[Arc<AtomicBool>],
) -> io::Result<Option<String>> {
    let mut dirty = true;
    let mut looking: Option<Looking> = None;
    loop {
        if signals.iter().any(|flag| flag.load(Ordering::Relaxed)) {
            return Ok(None);
        }
        while let Ok(news) = reader.news.try_recv() {
            dirty = true;
            match news {
                News::SoFar(ready) => ui.take(ready),
                News::All(Ok(ready)) => {
                    ui.reading = None;
                    ui.take(ready);
                }
                News::All(Err(why)) if ui.s.a.chains.is_empty() => return Ok(Some(why)),
                News::Columns(columns) => ui.take_columns(columns),
                // What was found before it failed stays there to be looked at.
                News::All(Err(why)) => ui.fail(why),
                News::Stretch(ask, read) => {
                    looking = looking.filter(|looking| looking.0 != ask);
                    ui.take_stretch(ask, read);
                }
                News::Written(Ok(words)) => ui.say(words),
                News::Written(Err(why)) => ui.say(format!("not written: {why}")),
            }
        }
        if ui.reading.is_some() {
            let now = Some(reader.progress());
            // Where a link is silent nothing changes but the time.
            dirty |= now.as_ref().is_none_or(|now| now.live.is_none())
                || now.as_ref().map(|r| &r.live) != ui.reading.as_ref().map(|r| &r.live);
            ui.reading = now;
        }
        look(ui, &mut looking, &reader.tell, &beside.look);
        let more = ui.work();
        dirty |= more;
        if dirty {
            screen.draw(ui)?;
            dirty = false;
            if ui.reading.is_none() {
                break_on_purpose("drawing");
            }
        }
        // All that was typed meanwhile comes before the next drawing.
        for taken in 0..EVENTS {
            let tick = if ui.reading.is_some() { READING } else { TICK };
            let patience = if taken == 0 && !more { tick } else { Duration::ZERO };
            let event = match typed.recv_timeout(patience) {
                Ok(Some(event)) => event?,
                Ok(None) | Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
            };
            dirty = true;
            match ui.event(&event) {
                Effect::Nothing => {}
                Effect::Quit => return Ok(ui.failed.clone()),
                Effect::Redraw => screen.anew()?,
                Effect::Suspend => screen.suspend()?,
                Effect::Write(request) => {
                    let (write, tell, a) = (Arc::clone(&beside.write), reader.tell.clone(), Arc::clone(&ui.s.a));
                    thread::spawn(move || {
                        let mut broken = Broken(&tell, Some(|why| News::Written(Err(why))));
                        break_on_purpose("writing");
                        let written = write(&request, &a, &tell);
                        broken.1 = None;
                        let _ = tell.tell(News::Written(written));
                    });
                }
                Effect::Copy(text) => {
                    let out = screen.terminal.backend_mut();
                    execute!(out, CopyToClipboard::to_clipboard_from(text))?;
                }
            }
        }
    }
}

/// Has read again what the screen wants, and nothing that it wants no more.
fn look(ui: &Ui, looking: &mut Option<Looking>, tell: &Tell, with: &Look) {
    let wants = ui.wants();
    if looking.as_ref().map(|looking| looking.0) == wants {
        return;
    }
    if let Some(Looking(_, wanted)) = looking.take() {
        wanted.store(false, Ordering::Relaxed);
    }
    let Some(ask) = wants else { return };
    let wanted = Arc::new(AtomicBool::new(true));
    *looking = Some(Looking(ask, Arc::clone(&wanted)));
    let (with, tell, a) = (Arc::clone(with), tell.clone(), Arc::clone(&ui.s.a));
    thread::spawn(move || {
        let is_wanted = || wanted.load(Ordering::Relaxed) && tell.is_wanted();
        let read = catch_unwind(AssertUnwindSafe(|| {
            break_on_purpose("looking");
            with(&ask, &a, &is_wanted)
        }));
        let read = read.unwrap_or_else(|_| Err(FAULT.to_owned())).map(Arc::new);
        if is_wanted() {
            let _ = tell.tell(News::Stretch(ask, read));
        }
    });
}

/// What is typed, from a thread of its own: where the terminal is gone, waiting for a key may never come back, and
/// must not keep this program alive.
fn keys(tell: Sender<Typed>) {
    thread::spawn(move || {
        loop {
            let event = event::read();
            let failed = event.is_err();
            if tell.send(Some(event)).is_err() || failed {
                break;
            }
        }
    });
}

/// The thread that reads.
struct Reader {
    tell: Tell,
    news: Receiver<News>,
    started: Instant,
}

impl Reader {
    fn start(read: Read, wake: Sender<Typed>) -> Reader {
        let (send, news) = channel();
        let (stop, bytes, total) = (Arc::default(), Arc::default(), Arc::new(AtomicU64::new(u64::MAX)));
        let tell = Tell { stop, bytes, total, live: Arc::default(), news: send, wake };
        let told = tell.clone();
        // Nobody waits for it: a pipe may be silent for ever.
        thread::spawn(move || {
            let mut broken = Broken(&told, Some(|why| News::All(Err(why))));
            let all = read(&told).map(Ready::new);
            break_on_purpose("reading");
            broken.1 = None;
            let rest = all.as_ref().ok().map(Ready::rest);
            let rest = rest.filter(|_| told.tell(News::All(all)));
            if let Some(columns) = rest.and_then(|rest| rest.make(&|| told.is_wanted())) {
                let _ = told.tell(News::Columns(columns));
            }
        });
        Reader { tell, news, started: Instant::now() }
    }

    fn progress(&self) -> Reading {
        let bytes = self.tell.bytes.load(Ordering::Relaxed);
        let total = Some(self.tell.total.load(Ordering::Relaxed)).filter(|total| *total != u64::MAX);
        let seconds = self.started.elapsed().as_secs_f64();
        let live = self.tell.live.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Reading { bytes, total, seconds, judging: total.is_some_and(|total| bytes >= total), live }
    }
}

/// Dropped by a fault of a thread beside the screen: what is told then, unless the thread was done.
struct Broken<'a>(&'a Tell, Option<fn(String) -> News>);

impl Drop for Broken<'_> {
    fn drop(&mut self) {
        if let Some(news) = self.1 {
            let _ = self.0.tell(news(FAULT.to_owned()));
        }
    }
}

/// Breaks the thread that is named so, where tests of what happens then ask for it. Nothing in a release.
fn break_on_purpose(thread: &str) {
    #[cfg(debug_assertions)]
    assert_ne!(std::env::var("HOPSCOPE_BREAK").as_deref(), Ok(thread), "broken on purpose");
    #[cfg(not(debug_assertions))]
    let _ = thread;
}

/// The terminal while it is ours; dropped, it is as before.
struct Held {
    terminal: Terminal<CrosstermBackend<BufWriter<Stdout>>>,
    mouse: bool,
}

impl Held {
    fn take(mouse: bool) -> io::Result<Held> {
        restore_on_panic();
        set_up(mouse)?;
        let held = Terminal::new(CrosstermBackend::new(BufWriter::new(io::stdout())));
        if held.is_err() {
            restore();
        }
        Ok(Held { terminal: held?, mouse })
    }

    fn draw(&mut self, ui: &mut Ui) -> io::Result<()> {
        self.terminal.draw(|frame| {
            let area = frame.area();
            if let Some(at) = ui.draw(area, frame.buffer_mut()) {
                frame.set_cursor_position(at);
            }
        })?;
        Ok(())
    }

    /// To the shell and back.
    fn suspend(&mut self) -> io::Result<()> {
        restore();
        signal_hook::low_level::raise(SIGTSTP)?;
        set_up(self.mouse)?;
        self.anew()
    }

    /// Draws every cell anew next time. What is meant for that asks the terminal where its cursor is, and the answer
    /// would go to the thread that waits for keys.
    fn anew(&mut self) -> io::Result<()> {
        let size = self.terminal.size()?;
        self.terminal.resize(size.into())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // What it has buffered would come after the screen is given back.
        let _ = self.terminal.backend_mut().flush();
        restore();
    }
}

fn set_up(mouse: bool) -> io::Result<()> {
    enable_raw_mode()?;
    let mut out = io::stdout();
    let all = execute!(out, EnterAlternateScreen, EnableBracketedPaste, cursor::Hide)
        .and_then(|()| if mouse { execute!(out, EnableMouseCapture) } else { Ok(()) });
    if all.is_err() {
        restore();
    }
    all
}

/// Gives the terminal back, as far as it is still there.
fn restore() {
    let mut out = io::stdout();
    let _ = execute!(out, DisableMouseCapture, DisableBracketedPaste, LeaveAlternateScreen, cursor::Show);
    let _ = disable_raw_mode();
}

/// A fault of this program on this thread gives the terminal back before it is told. On another thread it ends that
/// thread's work alone, and must not write into the screen.
fn restore_on_panic() {
    let own = thread::current().id();
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if thread::current().id() == own {
            restore();
            before(info);
        }
    }));
}
