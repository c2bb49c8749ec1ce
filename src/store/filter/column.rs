//! What all parts of an analysis answer to one key, made ready to be asked at once: every answer stands there once, however
//! many parts give it.

use std::ops::Range;

use hashbrown::HashMap;
use memchr::memmem;

use crate::base::limits;
use crate::store::filter::bits::Bits;
use crate::store::filter::keys::{Key, Subject};
use crate::store::filter::pattern::Pattern;
use crate::store::filter::{Compare, Test};

/// Lists from which on it is looked at whether nearly every part has one of its own.
const MANY: usize = 4_096;

/// An answer is a list of values, of which any may pass.
#[derive(Debug)]
pub(super) struct Column {
    of: Of,
    /// For each list, the value behind its last one.
    ends: Vec<u32>,
    values: Values,
}

/// For each part, its list.
#[derive(Debug)]
enum Of {
    /// The one with its own number.
    Own(usize),
    Small(Vec<u8>),
    Medium(Vec<u16>),
    Large(Vec<u32>),
}

#[derive(Debug)]
enum Values {
    Numbers(Vec<f64>),
    /// One behind the other, in small letters unless their case counts; for each, where it ends.
    Texts {
        all: Vec<u8>,
        ends: Vec<u32>,
    },
}

/// A column that parts are added to.
pub(super) struct Building {
    key: Key,
    column: Column,
    /// Lists by what they say. `None`: each part has its own.
    known: Option<HashMap<Box<[u8]>, u32, foldhash::fast::RandomState>>,
    /// The answer of the part that is being added: each value with its length before it.
    answer: Vec<u8>,
    /// It would take too much memory.
    full: bool,
}

impl Building {
    pub(super) fn new(key: Key) -> Building {
        let values = match key.unit() {
            Some(_) => Values::Numbers(Vec::new()),
            None => Values::Texts { all: Vec::new(), ends: Vec::new() },
        };
        let column = Column { of: Of::Small(Vec::new()), ends: Vec::new(), values };
        Building { key, column, known: Some(HashMap::default()), answer: Vec::new(), full: false }
    }

    /// The next part.
    pub(super) fn add(&mut self, subject: &Subject<'_>) {
        if self.full {
            return;
        }
        let mut answer = std::mem::take(&mut self.answer);
        answer.clear();
        if self.key.unit().is_some() {
            subject.any_number(self.key, &mut |value| {
                push(&mut answer, &value.to_bits().to_le_bytes());
                false
            });
        } else {
            let exact = self.key.is_exact();
            subject.any_text(self.key, &mut |value| {
                let at = answer.len();
                push(&mut answer, value);
                if !exact {
                    answer
                        .get_mut(at..)
                        .unwrap_or_default()
                        .iter_mut()
                        .skip(LENGTH)
                        .for_each(|b| b.make_ascii_lowercase());
                }
                false
            });
        }
        match &mut self.known {
            None => {
                self.column.push(&answer);
                self.column.of = Of::Own(self.column.ends.len());
            }
            Some(known) => {
                let list = match known.get(answer.as_slice()) {
                    Some(list) => *list,
                    None => {
                        let list = u32::try_from(known.len()).unwrap_or(u32::MAX);
                        known.insert(answer.as_slice().into(), list);
                        self.column.push(&answer);
                        list
                    }
                };
                self.column.of.push(list);
                if known.len() >= MANY && known.len() * 2 > self.column.of.len() {
                    self.part();
                }
            }
        }
        self.answer = answer;
        self.full |= self.column.size() > limits::FILTER_COLUMN_BYTES;
    }

    /// From here on each part has a list of its own, and so have those that are there.
    fn part(&mut self) {
        let Some(known) = self.known.take() else { return };
        let mut lists: Vec<(u32, Box<[u8]>)> = known.into_iter().map(|(answer, list)| (list, answer)).collect();
        lists.sort_unstable_by_key(|(list, _)| *list);
        let mut own = Building::new(self.key).column;
        for part in 0..self.column.of.len() {
            if let Some((_, answer)) = lists.get(self.column.of.list(part)) {
                own.push(answer);
            }
        }
        own.of = Of::Own(own.ends.len());
        self.column = own;
    }

    /// `None`: it would take too much memory.
    pub(super) fn finish(self) -> Option<Column> {
        let mut column = self.column;
        column.ends.shrink_to_fit();
        match &mut column.values {
            Values::Numbers(all) => all.shrink_to_fit(),
            Values::Texts { all, ends } => {
                all.shrink_to_fit();
                ends.shrink_to_fit();
            }
        }
        (!self.full).then_some(column)
    }
}

/// Bytes of a length.
const LENGTH: usize = 4;

/// Adds a value with its length.
fn push(answer: &mut Vec<u8>, value: &[u8]) {
    answer.extend(u32::try_from(value.len()).unwrap_or(u32::MAX).to_le_bytes());
    answer.extend(value);
}

impl Of {
    fn len(&self) -> usize {
        match self {
            Of::Own(len) => *len,
            Of::Small(all) => all.len(),
            Of::Medium(all) => all.len(),
            Of::Large(all) => all.len(),
        }
    }

    fn list(&self, part: usize) -> usize {
        match self {
            Of::Own(_) => part,
            Of::Small(all) => all.get(part).copied().map_or(0, usize::from),
            Of::Medium(all) => all.get(part).copied().map_or(0, usize::from),
            Of::Large(all) => all.get(part).copied().unwrap_or(0) as usize,
        }
    }

    /// Grows where the number has no room.
    fn push(&mut self, list: u32) {
        match (&mut *self, u8::try_from(list), u16::try_from(list)) {
            (Of::Small(all), Ok(list), _) => all.push(list),
            (Of::Medium(all), _, Ok(list)) => all.push(list),
            (Of::Large(all), ..) => all.push(list),
            (Of::Small(all), Err(_), Ok(list)) => {
                *self = Of::Medium(all.iter().copied().map(u16::from).chain([list]).collect());
            }
            (Of::Small(all), ..) => *self = Of::Large(all.iter().copied().map(u32::from).chain([list]).collect()),
            (Of::Medium(all), ..) => *self = Of::Large(all.iter().copied().map(u32::from).chain([list]).collect()),
            (Of::Own(len), ..) => *len += 1,
        }
    }
}

impl Column {
    /// Adds a list.
    fn push(&mut self, mut answer: &[u8]) {
        while let Some((length, rest)) = answer.split_first_chunk::<LENGTH>() {
            let (value, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize).unwrap_or_default();
            answer = rest;
            match &mut self.values {
                Values::Numbers(all) => {
                    all.extend(value.first_chunk().map(|bits| f64::from_bits(u64::from_le_bytes(*bits))))
                }
                Values::Texts { all, ends } => {
                    all.extend(value);
                    ends.push(u32::try_from(all.len()).unwrap_or(u32::MAX));
                }
            }
        }
        let values = match &self.values {
            Values::Numbers(all) => all.len(),
            Values::Texts { ends, .. } => ends.len(),
        };
        self.ends.push(u32::try_from(values).unwrap_or(u32::MAX));
    }

    /// Its memory, in bytes.
    pub(super) fn size(&self) -> usize {
        let of = match &self.of {
            Of::Own(_) => 0,
            Of::Small(all) => all.len(),
            Of::Medium(all) => all.len() * 2,
            Of::Large(all) => all.len() * 4,
        };
        let values = match &self.values {
            Values::Numbers(all) => all.len() * 8,
            Values::Texts { all, ends } => all.len() + ends.len() * 4,
        };
        of + self.ends.len() * 4 + values
    }

    pub(super) fn lists(&self) -> usize {
        self.ends.len()
    }

    /// The values of these lists.
    fn values(&self, lists: Range<usize>) -> Range<usize> {
        let end = |lists: usize| lists.checked_sub(1).and_then(|at| self.ends.get(at)).map_or(0, |end| *end as usize);
        end(lists.start)..end(lists.end)
    }

    /// Asks these lists; notes those of which a value passes.
    pub(super) fn ask(&self, test: &Test, lists: Range<usize>, passed: &mut Bits) {
        match (test, &self.values) {
            (Test::Number(_, compare, than), Values::Numbers(all)) => {
                self.each(lists, passed, |at| all.get(at).is_some_and(|value| compares(*compare, *value, *than)));
            }
            (Test::Text(_, pattern) | Test::Anywhere(pattern), Values::Numbers(all)) => {
                self.each(lists, passed, |at| {
                    all.get(at).is_some_and(|value| pattern.matches(value.to_string().as_bytes()))
                });
            }
            (Test::Text(_, pattern) | Test::Anywhere(pattern), Values::Texts { all, ends }) => {
                let needle = pattern.needle();
                if needle.is_empty() {
                    self.each(lists, passed, |at| text(all, ends, at).is_some_and(|value| pattern.matches(value)));
                } else {
                    self.search(pattern, &needle, lists, passed);
                }
            }
            // Texts have no order.
            (Test::Number(..), Values::Texts { .. }) => {}
        }
    }

    fn each(&self, lists: Range<usize>, passed: &mut Bits, test: impl Fn(usize) -> bool) {
        let mut first = self.values(lists.start..lists.start).start;
        for (at, end) in self.ends.iter().enumerate().take(lists.end).skip(lists.start) {
            if (first..*end as usize).any(&test) {
                passed.set(at);
            }
            first = *end as usize;
        }
    }

    /// Looks for what every value that passes must hold, and asks the pattern only there.
    fn search(&self, pattern: &Pattern, needle: &[u8], lists: Range<usize>, passed: &mut Bits) {
        let Values::Texts { all, ends } = &self.values else { return };
        let finder = memmem::Finder::new(needle);
        let begin = |value: usize| value.checked_sub(1).and_then(|at| ends.get(at)).map_or(0, |end| *end as usize);
        let values = self.values(lists.clone());
        let (mut list, mut value) = (lists.start, values.start);
        let (mut at, end) = (begin(values.start), begin(values.end));
        while let Some(hit) = all.get(at..end).and_then(|text| finder.find(text)) {
            let hit = at + hit;
            while ends.get(value).is_some_and(|end| *end as usize <= hit) {
                value += 1;
            }
            while self.ends.get(list).is_some_and(|end| *end as usize <= value) {
                list += 1;
            }
            // A hit may reach into the next value: the pattern decides.
            value = if text(all, ends, value).is_some_and(|value| pattern.matches(value)) {
                passed.set(list);
                self.values(list..list + 1).end
            } else {
                value + 1
            };
            at = begin(value);
        }
    }

    /// Adds the parts of these words whose list passed.
    pub(super) fn mark(&self, passed: &Bits, words: Range<usize>, any: &mut Bits) {
        let some = any.words.get_mut(words.clone()).unwrap_or_default();
        match &self.of {
            Of::Own(_) => {
                for (word, own) in some.iter_mut().zip(passed.words.get(words).unwrap_or_default()) {
                    *word |= own;
                }
            }
            Of::Small(all) => mark(all, passed, words, some),
            Of::Medium(all) => mark(all, passed, words, some),
            Of::Large(all) => mark(all, passed, words, some),
        }
    }
}

fn mark<T: Copy + Into<u32>>(of: &[T], passed: &Bits, words: Range<usize>, any: &mut [u64]) {
    let parts = of.get(words.start * 64..).unwrap_or_default().chunks(64);
    for (word, lists) in any.iter_mut().zip(parts) {
        let bits = lists.iter().rev().fold(0, |bits, list| bits << 1 | u64::from(passed.get((*list).into() as usize)));
        *word |= bits;
    }
}

fn text<'a>(all: &'a [u8], ends: &[u32], at: usize) -> Option<&'a [u8]> {
    let end = *ends.get(at)? as usize;
    let begin = at.checked_sub(1).and_then(|at| ends.get(at)).map_or(0, |end| *end as usize);
    all.get(begin..end)
}

/// Whether a number stands so to the one that is asked for.
pub(super) fn compares(compare: Compare, value: f64, than: f64) -> bool {
    match compare {
        Compare::AtLeast => value >= than,
        Compare::AtMost => value <= than,
        Compare::Equal => value.total_cmp(&than).is_eq(),
        Compare::Less => value < than,
        Compare::More => value > than,
    }
}
