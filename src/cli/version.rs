//! What `--version` prints: the version, the commit, what was compiled in, and for which kind of machine.

/// In four lines, without the program's name. The commit's first digits have a `+` behind them where the sources
/// differed from it; it is `unknown` where nothing tells it, and in development builds, which do not ask (`src/build.rs`).
pub(super) const LONG: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    "\ncommit ",
    env!("HOPSCOPE_COMMIT"),
    "\nfeatures ",
    env!("HOPSCOPE_FEATURES"),
    "\ntarget ",
    env!("HOPSCOPE_TARGET"),
);
