//! Every fix that hopscope prints is one that its product accepts: the product's own check says so.
//! Ignored by default; `.ci/run` installs the products. `tests/fixes` holds what is known of each.

use std::collections::BTreeSet;

use hopscope::products::{FixEntry, Product, Products};

use crate::fixes_program::{self as program, Program, Run};
use crate::fixes_upgrade as upgrade;
use crate::fixes_versions as versions;
use crate::shared::Tally;

/// How many fixes must have been checked at least; raise it when more can be.
const CHECKED: usize = 85;
/// How many times an upgrade must have been asked for with a fix and without it.
const RUNS: usize = 42;

/// How many places must have been tried with nonsense.
const PLACES: usize = 20;

/// Why a product's fixes are not checked here.
const SERVICE: &str = "a service: there is nothing to install";
const KUBERNETES: &str = "objects of Kubernetes: only a cluster checks them";
const APPLIANCE: &str = "needs a licence or Windows";
const LIBRARY: &str = "a library: the text is code inside another program";
const NOT_IN_APT: &str = "Debian's apt has no package of it";
const UNCHECKED: [(&str, &str); 22] = [
    ("api-gateway", SERVICE),
    ("aws-alb", SERVICE),
    ("aws-clb", SERVICE),
    ("aws-nlb", SERVICE),
    ("azure-app-gateway", SERVICE),
    ("azure-app-service", SERVICE),
    ("azure-front-door", SERVICE),
    ("azure-lb", SERVICE),
    ("cloudflare", SERVICE),
    ("cloudfront", SERVICE),
    ("f5", APPLIANCE),
    ("fastly", SERVICE),
    ("go-reverseproxy", LIBRARY),
    ("google-lb", SERVICE),
    ("heroku", SERVICE),
    ("iis-arr", APPLIANCE),
    ("ingress-nginx", KUBERNETES),
    ("istio", KUBERNETES),
    ("kong", NOT_IN_APT),
    ("node-http-proxy", LIBRARY),
    ("openshift-router", KUBERNETES),
    ("traefik", NOT_IN_APT),
];

/// The parts of one change, as they are printed together.
struct Fix<'a> {
    product: &'a Product,
    entries: Vec<&'a FixEntry>,
}

impl Fix<'_> {
    fn name(&self) -> String {
        let versions = if self.versions().is_empty() { String::new() } else { format!(" ({})", self.versions()) };
        format!("{} {}{versions}", self.product.slug, self.class())
    }

    fn class(&self) -> &'static str {
        self.entries.first().map_or("", |entry| entry.class.word())
    }

    fn versions(&self) -> &str {
        self.entries.first().map_or("", |entry| entry.versions.as_str())
    }
}

#[test]
fn every_product_with_fixes_is_checked_or_says_why_not() {
    let programs = program::all();
    let checked: BTreeSet<&str> = programs.iter().map(|p| p.slug.as_str()).collect();
    let excused: BTreeSet<&str> = UNCHECKED.iter().map(|(slug, _)| *slug).collect();
    let of = |product: &Product| product.fixes_of.clone().unwrap_or_else(|| product.slug.clone());
    let with_fixes: BTreeSet<String> =
        Products::builtin().iter().filter(|p| !p.fix.is_empty() || p.fixes_of.is_some()).map(of).collect();
    let both: BTreeSet<&str> = checked.union(&excused).copied().collect();
    assert_eq!(both, with_fixes.iter().map(String::as_str).collect());
    assert!(checked.is_disjoint(&excused));
}

#[test]
fn every_fix_of_a_checked_product_has_its_place_and_a_range_of_numbers() {
    for program in program::all() {
        let contexts = program.contexts();
        for fix in fixes(&program) {
            for entry in &fix.entries {
                let context = entry.context.as_deref().unwrap_or("none");
                assert!(contexts.contains(context), "{}: tests/fixes has no place {context}", fix.name());
            }
            assert!(versions::covers(fix.versions(), "1").is_some(), "{}", fix.name());
        }
        for run in &program.run {
            assert!(fixes(&program).iter().any(|fix| fix.class() == run.class), "{} {}", program.slug, run.class);
            assert_ne!(run.with, run.without, "{} {}", program.slug, run.class);
            assert!(run.contexts().all(|context| contexts.contains(context)), "{} {}", program.slug, run.class);
        }
    }
}

#[test]
#[ignore = "needs the products: .ci/run installs them"]
fn every_fix_passes_its_products_own_check() {
    let mut tally = Tally::default();
    for (program, version) in installed(&mut tally) {
        println!("{} {version}", program.slug);
        for fix in fixes(&program) {
            if let Some(why) = not_for(&fix, &version) {
                tally.leave_out(fix.name(), why);
                continue;
            }
            let parts = program::parts(&fix.entries);
            let contexts: Vec<&str> = parts.iter().map(|(context, _)| *context).collect();
            match program.configure(&parts).and_then(|made| made.check(&contexts)) {
                Ok(()) => tally.score(&fix.name(), &["accepted".to_owned()], "accepted"),
                Err(why) => tally.fail(&fix.name(), &why),
            }
        }
    }
    for (slug, why) in UNCHECKED {
        tally.leave_out(slug, why);
    }
    tally.judge("fixes", CHECKED);
}

#[test]
#[ignore = "needs the products: .ci/run installs them"]
fn the_checks_refuse_nonsense_in_every_place() {
    let mut tally = Tally::default();
    for (program, version) in installed(&mut tally) {
        let bare = program.configure(&[]).and_then(|made| made.check(&["any"]));
        if let Err(why) = bare {
            tally.fail(&format!("{} without a fix", program.slug), &why);
            continue;
        }
        let fixes = fixes(&program);
        let used = fixes.iter().filter(|fix| not_for(fix, &version).is_none()).flat_map(|fix| &fix.entries);
        for context in used.filter_map(|entry| entry.context.as_deref()).collect::<BTreeSet<&str>>() {
            let parts = [(context, program.nonsense(context))];
            let said = program.configure(&parts).and_then(|made| made.check(&[context]));
            let found = if said.is_err() { "refused" } else { "accepted" };
            tally.score(&format!("{}: {}", program.slug, parts[0].1), &["refused".to_owned()], found);
        }
    }
    tally.judge("nonsense", PLACES);
}

#[test]
#[ignore = "needs the products: .ci/run installs them"]
fn an_upgrade_through_the_product_is_as_the_fix_promises() {
    let mut tally = Tally::default();
    let mut runs = 0;
    for (program, version) in installed(&mut tally) {
        for run in &program.run {
            let mut fixes = fixes(&program);
            fixes.retain(|fix| fix.class() == run.class && fix.product.slug == program.slug);
            let Some(fix) = fixes.iter().find(|fix| not_for(fix, &version).is_none()) else {
                tally.leave_out(format!("{} {}", program.slug, run.class), format!("no fix for {version}"));
                continue;
            };
            runs += 1;
            for (parts, expected, word) in [
                (run.with_fix(program::parts(&fix.entries)), &run.with, "with"),
                (run.without_fix(), &run.without, "without"),
            ] {
                let what = format!("{} {} {word} the fix: {}", program.slug, run.class, run.sees);
                match through(&program, &parts, run) {
                    Ok((found, fill)) => tally.score(&what, &[fill(expected)], &found),
                    Err(why) => tally.fail(&what, &why),
                }
            }
        }
    }
    tally.judge("upgrades", 2 * runs);
    assert!(runs >= RUNS, "{runs} of at least {RUNS} ran");
}

/// What one upgrade through the configured and started product shows, and what fills in its ports.
fn through(
    program: &Program,
    parts: &[(&str, &str)],
    run: &Run,
) -> Result<(String, impl Fn(&str) -> String + use<>), String> {
    let made = program.configure_to_run(parts)?;
    let seen = upgrade::backend(made.backend);
    let running = made.start()?;
    let outcome = upgrade::ask(made.port, &seen, run.cookie)?;
    drop(running);
    let backend = made.backend.to_string();
    Ok((outcome.sees(&run.sees), move |text: &str| text.replace("{backend}", &backend)))
}

/// The products that are there, with their versions. One that is missing fails, unless it may be.
fn installed(tally: &mut Tally) -> Vec<(Program, String)> {
    let mut found = Vec::new();
    for program in program::all() {
        match (program.version(), &program.elsewhere) {
            (Ok(version), _) => found.push((program, version)),
            (Err(_), Some(why)) => tally.leave_out(&program.slug, why),
            (Err(why), None) => tally.fail(&program.slug, &format!("cannot be checked: {why}")),
        }
    }
    found
}

/// All that is printed for a product that this program checks, or for one that shares its fixes.
fn fixes<'a>(program: &Program) -> Vec<Fix<'a>> {
    let known = Products::builtin();
    let base = known.get(&program.slug).unwrap_or_else(|| panic!("no product {}", program.slug));
    let mut found: Vec<Fix<'a>> = Vec::new();
    for product in known.iter().filter(|p| p.slug == base.slug || p.fixes_of.as_ref() == Some(&base.slug)) {
        let own = |entry: &&FixEntry| product.fix.iter().any(|own| own.class == entry.class);
        let borrowed = base.fix.iter().filter(|entry| product.slug != base.slug && !own(entry));
        for entry in product.fix.iter().chain(borrowed) {
            let same = |fix: &&mut Fix<'a>| {
                fix.product.slug == product.slug
                    && fix.class() == entry.class.word()
                    && fix.versions() == entry.versions
            };
            match found.iter_mut().find(same) {
                Some(fix) => fix.entries.push(entry),
                None => found.push(Fix { product, entries: vec![entry] }),
            }
        }
    }
    found
}

/// Why a fix does not concern this version.
fn not_for(fix: &Fix<'_>, version: &str) -> Option<String> {
    let covered = versions::covers(fix.versions(), version)?;
    (!covered).then(|| format!("installed is {version}"))
}
