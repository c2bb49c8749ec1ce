//! The search for what was hashed: key forms, GUID forms, orders and hashes, the likely first.

use std::borrow::Cow;
use std::ops::ControlFlow;

use super::guid_way::GuidWay;
use super::hash::Hash;
use super::key_way::KeyWay;
use super::reading::Reading;
use super::recipe::{Input, Recipe, Way, sum};

/// Text between key and GUID.
const BETWEEN: [Input; 7] = [
    Input::Between(" "),
    Input::Between(":"),
    Input::Between("-"),
    Input::Between(","),
    Input::Between("+"),
    Input::Between("_"),
    Input::Between("."),
];

const PLAIN: [Input; 2] = [Input::KeyGuid, Input::GuidKey];

const UTF16: [Input; 4] = [
    Input::Utf16 { little: true, guid_first: false },
    Input::Utf16 { little: false, guid_first: false },
    Input::Utf16 { little: true, guid_first: true },
    Input::Utf16 { little: false, guid_first: true },
];

/// `Break(Some)`: found. `Break(None)`: no tries left.
type Step = ControlFlow<Option<Recipe>>;

/// A key form and the bytes it makes of the key at hand.
type KeyBytes<'a> = (KeyWay, Cow<'a, [u8]>);

/// Looks for a way of computing one of the readings from the key, with at most `tries` hashes; takes
/// those it computed off.
pub(super) fn search(key: &[u8], readings: &[Reading], wrong: &[(&str, &str)], tries: &mut usize) -> Option<Recipe> {
    let least = readings.iter().map(|r| r.digest.len()).min()?;
    match (Search { readings, least, tries }).run(key, wrong) {
        ControlFlow::Break(recipe) => recipe,
        ControlFlow::Continue(()) => None,
    }
}

struct Search<'a> {
    readings: &'a [Reading],
    /// Length of the shortest reading, in bytes: no shorter digest can match.
    least: usize,
    tries: &'a mut usize,
}

impl Search<'_> {
    fn run(&mut self, key: &[u8], wrong: &[(&str, &str)]) -> Step {
        let as_sent = [(KeyWay::AsSent, Cow::Borrowed(key))];
        let few = forms(&KeyWay::MAIN, key);
        let all = forms(&KeyWay::all(key.len()), key);
        let guids = GuidWay::main();
        let right = [GuidWay::right()];

        if self.fits(Hash::Sha1) {
            self.cross(Hash::Sha1, &PLAIN, &as_sent, guids.iter().cloned())?;
            self.cross(Hash::Sha1, &[Input::KeyGuid], &all, right.iter().cloned())?;
            self.cross(Hash::Sha1, &[Input::KeyGuid], &few, GuidWay::known(wrong))?;
            self.cross(Hash::Sha1, &[Input::KeyGuid], &as_sent, GuidWay::edits())?;
            self.cross(Hash::Sha1, &BETWEEN, &few, right.iter().cloned())?;
            self.cross(Hash::Sha1, &UTF16, &few, guids.iter().cloned())?;
            self.cross(Hash::Sha1, &[Input::HmacKeyedByGuid, Input::HmacKeyedByKey], &few, guids.iter().cloned())?;
        }
        for hash in Hash::WRONG {
            let exact = self.readings.iter().any(|r| r.digest.len() == hash.len());
            let keys: &[KeyBytes<'_>] = if exact { &all } else { &few };
            self.cross(hash, &PLAIN, keys, [GuidWay::right(), GuidWay::absent()].into_iter())?;
            if exact {
                self.cross(hash, &PLAIN, &as_sent, guids.iter().cloned())?;
                self.cross(hash, &[Input::KeyGuid], &as_sent, GuidWay::known(wrong))?;
            }
        }
        self.cross(Hash::Sha256, &[Input::HmacKeyedByGuid, Input::HmacKeyedByKey], &few, right.iter().cloned())?;
        if self.fits(Hash::Sha1) {
            self.cross(Hash::Sha1, &PLAIN, &all, guids.iter().cloned())?;
            self.cross(Hash::Sha1, &PLAIN, &all, GuidWay::known(wrong))?;
            self.cross(Hash::Sha1, &[Input::KeyGuid], &few, GuidWay::edits())?;
            self.cross(Hash::Sha1, &[Input::GuidKey], &as_sent, GuidWay::edits())?;
        }
        ControlFlow::Continue(())
    }

    /// Whether a reading can be (the beginning of) this hash.
    fn fits(&self, hash: Hash) -> bool {
        hash.len() >= self.least
    }

    /// Every combination of the given ones.
    fn cross(
        &mut self,
        hash: Hash,
        inputs: &[Input],
        keys: &[KeyBytes<'_>],
        guids: impl Iterator<Item = GuidWay>,
    ) -> Step {
        if !self.fits(hash) {
            return ControlFlow::Continue(());
        }
        for guid in guids {
            for &input in inputs {
                // Without a GUID there is no order.
                if guid.is_absent() && input != Input::KeyGuid {
                    continue;
                }
                for (way, bytes) in keys {
                    if *self.tries == 0 {
                        return ControlFlow::Break(None);
                    }
                    *self.tries -= 1;
                    let Some(digest) = sum(hash, input, bytes, &guid.bytes) else { continue };
                    if self.readings.iter().any(|r| r.is(digest.as_slice())) {
                        let way = Way { hash, input, key: *way, guid };
                        return ControlFlow::Break(way.matches(bytes, self.readings));
                    }
                }
            }
        }
        ControlFlow::Continue(())
    }
}

fn forms<'a>(ways: &[KeyWay], key: &'a [u8]) -> Vec<KeyBytes<'a>> {
    ways.iter().filter_map(|way| Some((*way, way.apply(key)?))).collect()
}
