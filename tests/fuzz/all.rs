//! Every fuzz target in one binary. The first byte of an input picks the target, by its letter where
//! it has one, so that seeds can be written by hand. A target fails by panicking, by taking too long
//! or too much memory (`tests/run` sets both bounds).
//!
//! A new parser or machine gets a function here and a line in [`TARGETS`].
#![no_main]

use libfuzzer_sys::fuzz_target;

const TARGETS: &[(u8, fn(&[u8]))] = &[(b'a', accept)];

fuzz_target!(|input: &[u8]| {
    let Some((&pick, rest)) = input.split_first() else { return };
    let target =
        TARGETS.iter().find(|(letter, _)| *letter == pick).unwrap_or(&TARGETS[usize::from(pick) % TARGETS.len()]);
    (target.1)(rest);
});

/// The accept of any key is 28 characters.
fn accept(input: &[u8]) {
    assert_eq!(hopscope::wire::accept::expected(input).len(), 28);
}
