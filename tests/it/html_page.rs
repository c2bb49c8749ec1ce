//! The HTML report in a browser: it says nothing to the console, asks for nothing, sorts and filters, is used by
//! keyboard, fits narrow windows, and holds all of it without its script.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::formats::{hostile_in, written};
use crate::support::browser::Browser;

const MANY: &str = "samples/120-clients-three-locations.pcapng";
/// A journey that failed, which stands open, and one that worked, which is closed.
const FEW: &[&str] = &[
    "samples/nginx-forgets-upgrade-client-side.pcap",
    "samples/nginx-forgets-upgrade-server-side.pcap",
    "samples/nginx-right-client-side.pcap",
    "samples/nginx-right-server-side.pcap",
];

fn page(folder: &tempfile::TempDir, name: &str, html: &str) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, html).expect("room for a page");
    path
}

/// One test, so that the browser starts once.
#[test]
#[ignore = "needs chromium: .ci/run"]
fn the_page_works_in_a_browser() {
    let folder = tempfile::tempdir().expect("a folder");
    let many = page(&folder, "many.html", &written("html", &[MANY]));
    let few = page(&folder, "few.html", &written("html", FEW));
    let evil = page(&folder, "evil.html", &hostile_in("html"));
    let mut browser = Browser::start();

    browser.open(&many);
    assert_eq!(browser.value(&format!("{ROWS}.length")), 120);
    // Sorting: by answer, up and down, as numbers.
    let answers = format!("{ROWS}.map(r => r.cells[6].textContent)");
    browser.value("document.querySelectorAll('#list thead button')[6].click()");
    let up = browser.value(&answers);
    assert_eq!((&up[0], &up[71], &up[72], &up[119]), (&json!("101"), &json!("101"), &json!("426"), &json!("503")));
    assert_eq!(browser.value("document.querySelectorAll('#list th')[6].getAttribute('aria-sort')"), "ascending");
    browser.value("document.querySelectorAll('#list thead button')[6].click()");
    assert_eq!(browser.value(&answers)[0], "503");
    browser.value("document.querySelectorAll('#list thead button')[0].click()");
    let ids = browser.value(&format!("{ROWS}.map(r => Number(r.cells[0].dataset.value))"));
    let ids: Vec<i64> = serde_json::from_value(ids).expect("numbers");
    assert!(ids.is_sorted(), "ids are numbers, not words: {ids:?}");
    // Filtering: by words and by what became of it.
    let shown = format!("{ROWS}.filter(r => !r.hidden && r.offsetHeight > 0).length");
    let filter = |words: &str| {
        format!(
            "(() => {{ const i = document.getElementById('filter'); i.value = {}; i.dispatchEvent(new Event('input')); }})()",
            json!(words)
        )
    };
    for (words, left) in [("/old", 24), ("503 /none", 24), ("no such thing", 0), ("", 120)] {
        browser.value(&filter(words));
        assert_eq!(browser.value(&shown), left, "{words}");
    }
    browser.value("document.querySelector('.tools input[value=error]').click()");
    assert_eq!(browser.value(&shown), 72);
    assert_eq!(browser.value("document.querySelector('.tools output').textContent"), "72 of 120 shown");
    // A link opens what it leads to.
    browser.value("document.querySelector('tr.worked a').click()");
    browser.value("new Promise(done => setTimeout(done, 100))");
    assert_eq!(browser.value("document.querySelector(location.hash).open"), true);

    // Narrow and wide, light and dark: nothing sticks out, and text stands out from what is behind it.
    for width in [360, 1280] {
        for dark in [false, true] {
            browser.look(width, dark);
            let wide = browser.value("document.documentElement.scrollWidth");
            assert!(wide.as_u64().is_some_and(|w| w <= width), "{wide} in {width}");
            for of in ["body", "tr.error .badge", "tr.worked .badge", "dt", "a"] {
                let contrast = browser.value(&contrast(of)).as_f64().expect("a number");
                assert!(contrast >= 4.5, "{of}: {contrast} (dark: {dark})");
            }
        }
    }

    sorts_and_filters_by_keyboard(&mut browser, &many);
    is_walked_through_by_keyboard(&mut browser, &few);

    // What strangers wrote is text: no element and no script of theirs, and it can be read.
    browser.open(&evil);
    assert_eq!(browser.value("document.querySelectorAll('img, b, i, iframe, object').length"), 0);
    assert_eq!(browser.value("document.scripts.length"), 1);
    for n in [1, 2, 3, 5, 9, 12] {
        assert_eq!(browser.value(&format!("document.body.textContent.includes('evil{n}')")), true, "evil{n}");
    }
    assert_eq!(browser.value("document.body.textContent.includes(\"<script>alert('evil1')</script>\")"), true);
    assert_eq!(browser.said, Vec::<String>::new(), "the console is silent");
    let foreign: Vec<&String> = browser.requests.iter().filter(|url| !url.starts_with("file://")).collect();
    assert!(foreign.iter().all(|url| *url == "about:blank"), "{foreign:?}");

    // Without its script: faults stand open, and all rows are there.
    browser.scripts(false);
    browser.open(&many);
    assert_eq!(browser.value(&format!("{ROWS}.length")), 120);
    assert_eq!(browser.value("document.querySelectorAll('.tools, th button').length"), 0, "nothing dead is shown");
    let open = "[...document.querySelectorAll('details.error')].every(d => d.open && d.offsetHeight > 100)";
    assert_eq!(browser.value(open), true);
}

/// The contrast of an element's text to the page (WCAG 2.1).
fn contrast(of: &str) -> String {
    format!(
        "(() => {{ const c = s => s.match(/[\\d.]+/g).slice(0, 3).map(v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
         const l = s => {{ const [r, g, b] = c(s); return 0.2126 * r + 0.7152 * g + 0.0722 * b; }};
         const a = l(getComputedStyle(document.querySelector({})).color), b = l(getComputedStyle(document.body).backgroundColor);
         return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05); }})()",
        json!(of)
    )
}

/// Rows of the list in their order.
const ROWS: &str = "[...document.querySelectorAll('#list tbody tr')]";
/// Where the keyboard is.
const HERE: &str = "document.activeElement";
/// What can be reached by keyboard, in the order of the page.
const STOPS: &str =
    "[...document.querySelectorAll('a[href], button, input, summary, [tabindex]')].filter(e => e.checkVisibility())";

fn presses(browser: &mut Browser, keys: &[&str]) {
    keys.iter().for_each(|key| browser.press(key, false));
}

fn sorts_and_filters_by_keyboard(browser: &mut Browser, page: &Path) {
    browser.open(page);
    // The first stop leads over what is above; it is out of sight until it is one.
    let seen = format!(
        "(() => {{ const r = {HERE}.getBoundingClientRect(); return r.left >= 0 && r.top >= 0 && r.width > 0; }})()"
    );
    assert_eq!(browser.value("document.querySelector('.skip').getBoundingClientRect().right < 0"), true);
    presses(browser, &["Tab"]);
    assert_eq!(browser.value(&format!("{HERE}.className")), "skip");
    assert_eq!(browser.value(&seen), true);
    presses(browser, &["Enter", "Tab"]);
    assert_eq!(browser.value(&format!("{HERE}.id")), "filter");

    // Headers: each way of pressing a button sorts, says so, and leaves the keyboard there.
    let header = |column: usize| format!("document.querySelectorAll('#list th')[{column}]");
    for _ in 0..40 {
        if browser.value(&format!("{HERE} === {}.firstChild", header(6))) == true {
            break;
        }
        presses(browser, &["Tab"]);
    }
    let answers = format!("{ROWS}.map(r => r.cells[6].textContent)");
    for (key, order, first, last) in [("Enter", "ascending", "101", "503"), (" ", "descending", "503", "101")] {
        presses(browser, &[key]);
        let sorted = browser.value(&answers);
        assert_eq!((&sorted[0], &sorted[119]), (&json!(first), &json!(last)), "{key:?}");
        assert_eq!(browser.value(&format!("{}.getAttribute('aria-sort')", header(6))), order);
        assert_eq!(browser.value(&format!("{HERE} === {}.firstChild", header(6))), true, "{key:?}");
    }

    // The slash leads to the filter from anywhere; in it, it is a character like others.
    let shown = format!("{ROWS}.filter(r => !r.hidden && r.offsetHeight > 0).length");
    presses(browser, &["/", "/", "o", "l", "d"]);
    assert_eq!(browser.value(&format!("{HERE}.id + ' ' + {HERE}.value")), "filter /old");
    assert_eq!(browser.value(&shown), 24);
    assert_eq!(browser.value("document.querySelector('.tools output').textContent"), "24 of 120 shown");
    presses(browser, &["Escape"]);
    assert_eq!(browser.value(&format!("{HERE}.value")), "", "Escape clears it");
    assert_eq!(browser.value(&shown), 120);
    // Behind it, what became of them.
    presses(browser, &["Tab", " "]);
    assert_eq!(browser.value(&format!("{HERE}.value + ' ' + {HERE}.checked")), "error false");
    assert_eq!(browser.value(&shown), 72);
    presses(browser, &[" "]);

    // A row's link opens what it leads to, and the keyboard goes on from there; Enter and Space close and open it.
    let link = "document.querySelector('tr.worked a')";
    browser.value(&format!("{link}.focus()"));
    let id = browser.value(&format!("{link}.getAttribute('href').slice(1)"));
    let details = format!("document.getElementById({id})");
    assert_eq!(browser.value(&format!("{details}.open")), false);
    presses(browser, &["Enter"]);
    browser.value("new Promise(done => setTimeout(done, 100))");
    assert_eq!(browser.value(&format!("{details}.open")), true);
    presses(browser, &["Tab"]);
    assert_eq!(browser.value(&format!("{HERE} === {details}.firstElementChild")), true, "its summary is next");
    for (key, open) in [("Enter", false), (" ", true)] {
        presses(browser, &[key]);
        assert_eq!(browser.value(&format!("{details}.open")), open, "{key:?}");
    }
}

/// Every stop is come to once, in the order of the page, is seen where it is, and is left again.
fn is_walked_through_by_keyboard(browser: &mut Browser, page: &Path) {
    browser.open(page);
    browser.value("document.querySelectorAll('details').forEach(d => { d.open = true; })");
    let stops = browser.value(&format!("{STOPS}.length")).as_u64().expect("a number");
    // The skip link, the filter, two boxes, the headers, the rows, and for each chain its summary, journey, heads.
    assert!(stops > 25, "{stops}");
    let acts = "[...document.querySelectorAll('button, summary, a[href], input')].filter(e => e.tabIndex < 0).length";
    assert_eq!(browser.value(acts), 0, "what acts can be reached");
    let place = format!("{STOPS}.indexOf({HERE})");
    let told = format!("{HERE}.outerHTML.slice(0, 80)");
    let marked = format!(
        "(() => {{ const s = getComputedStyle({HERE}), r = {HERE}.getBoundingClientRect();
         return s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2 && r.bottom > 0 && r.top < innerHeight; }})()"
    );
    for stop in 0..stops {
        presses(browser, &["Tab"]);
        assert_eq!(browser.value(&place), stop, "{}", browser.value(&told));
        assert_eq!(browser.value(&marked), true, "{} shows that it is in focus", browser.value(&told));
    }
    // And back.
    for stop in (0..stops - 1).rev().take(5) {
        browser.press("Tab", true);
        assert_eq!(browser.value(&place), stop);
    }
    browser.value(&format!("{STOPS}.at(-1).focus()"));
    presses(browser, &["Tab"]);
    assert_ne!(browser.value(&place), stops - 1, "the last one lets go");
}
