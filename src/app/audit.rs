//! `hopscope audit`: reads the inputs as `report` does, and writes one score card for each intermediary.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::atomic::Ordering;

use anyhow::{Context as _, bail};

use crate::audit::baseline::{self, Earlier};
use crate::audit::{self, document, write};
use crate::base::limits;
use crate::cli::Audit;
use crate::engine::{Judge, judge};
use crate::model::Finding;
use crate::report::mask::Masker;
use crate::report::redact;
use crate::store;

use super::allow::Allowed;
use super::keys::Keys;
use super::progress::Progress;
use super::{analyse, code, complain, print, told};

/// Runs the command; the exit code.
pub(super) fn audit(args: &Audit) -> anyhow::Result<u8> {
    if args.schema {
        print(&document::schema())?;
        return Ok(code::DONE);
    }
    if args.inputs.files.is_empty() {
        bail!("audit: no input; name capture files of both sides of a proxy, or - for standard input");
    }
    let Some(format) = write::find(&args.format) else {
        let names: Vec<_> = write::FORMATS.iter().map(|f| f.name).collect();
        bail!("--format {}: there is no such format of an audit; one of: {}", args.format, names.join(", "));
    };
    let earlier = args.baseline.as_deref().map(|path| Ok::<_, anyhow::Error>((path, read(path)?))).transpose()?;
    let filter = args.shown.filter.as_deref().map(analyse::parse_filter).transpose()?;
    let allowed = Allowed::read(&args.shown.allow)?;
    let products = analyse::products()?;
    let mut judge = Judge::new(&products);
    judge.told = told::told(&args.inputs)?;
    let mut keys = Keys::read(&args.inputs)?;
    let inputs = analyse::open(&args.inputs)?;
    keys.add(inputs.facts());
    let interrupted = analyse::catch_interrupts()?;
    let mut progress = Progress::new(!args.quiet);
    let mut on_progress = |at| {
        progress.tell(at);
        !interrupted.load(Ordering::Relaxed)
    };
    let mut out = analyse::output(args.output.as_deref(), &args.inputs)?;
    let read = analyse::read(&args.inputs, inputs, &mut keys, &mut on_progress)?;
    let allow = |f: &Finding, x: Option<&_>| allowed.allows(f, x);
    let mut a = judge::whole_by(&mut judge, read.collected, read.counters, read.facts, &allow);
    progress.clear();
    if let Some(filter) = filter {
        let filter = filter.with_inputs(&a.inputs);
        store::select::select(&mut a, &filter);
    }
    if args.shown.redact {
        redact::redact(&mut a);
    }
    let mut masker = Masker::new(args.shown.show_secrets).naming(&a.inputs);
    let mut audited = audit::audit(&a, &products, &mut masker);
    if let Some((path, earlier)) = &earlier {
        audited.baseline = Some(baseline::compare(earlier, &path.to_string_lossy(), &audited));
    }
    let place = || analyse::place(args.output.as_deref(), "the audit");
    (format.write)(&audited, &mut out).with_context(place)?;
    out.flush().with_context(place)?;
    analyse::warn(&a.inputs, args.quiet);
    if interrupted.load(Ordering::Relaxed) {
        complain("interrupted: the audit covers what was read until then");
        return Ok(code::INTERRUPTED);
    }
    Ok(analyse::exit_code(&a.inputs, audit::worst(&audited), args.fail_on))
}

fn read(path: &Path) -> anyhow::Result<Earlier> {
    let name = path.display();
    let file = File::open(path).with_context(|| format!("--baseline {name}: cannot read"))?;
    let mut json = Vec::new();
    file.take(limits::BASELINE_BYTES + 1)
        .read_to_end(&mut json)
        .with_context(|| format!("--baseline {name}: cannot read"))?;
    if json.len() as u64 > limits::BASELINE_BYTES {
        bail!("--baseline {name}: more than {} bytes are too many for an audit", limits::BASELINE_BYTES);
    }
    Earlier::read(&json).map_err(|why| anyhow::anyhow!("--baseline {name}: {why}; it is made by audit --format json"))
}
