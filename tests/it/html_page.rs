//! The HTML report in a browser: it says nothing to the console, asks for nothing, sorts and filters, is used by
//! keyboard, fits narrow windows, and holds all of it without its script.

use std::path::PathBuf;

use serde_json::json;

use crate::formats::{hostile_in, written};
use crate::support::browser::Browser;

const MANY: &str = "samples/120-clients-three-locations.pcapng";

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
    let evil = page(&folder, "evil.html", &hostile_in("html"));
    let mut browser = Browser::start();

    browser.open(&many);
    let rows = "[...document.querySelectorAll('#list tbody tr')]";
    assert_eq!(browser.value(&format!("{rows}.length")), 120);
    // Sorting: by answer, up and down, as numbers; by keyboard as by mouse.
    let answers = format!("{rows}.map(r => r.cells[6].textContent)");
    browser.value("document.querySelectorAll('#list thead button')[6].click()");
    let up = browser.value(&answers);
    assert_eq!((&up[0], &up[71], &up[72], &up[119]), (&json!("101"), &json!("101"), &json!("426"), &json!("503")));
    assert_eq!(browser.value("document.querySelectorAll('#list th')[6].getAttribute('aria-sort')"), "ascending");
    browser.value("document.querySelectorAll('#list thead button')[6].click()");
    assert_eq!(browser.value(&answers)[0], "503");
    browser.value("document.querySelectorAll('#list thead button')[0].click()");
    let ids = browser.value(&format!("{rows}.map(r => Number(r.cells[0].dataset.value))"));
    let ids: Vec<i64> = serde_json::from_value(ids).expect("numbers");
    assert!(ids.is_sorted(), "ids are numbers, not words: {ids:?}");
    // Filtering: by words and by what became of it.
    let shown = format!("{rows}.filter(r => !r.hidden && r.offsetHeight > 0).length");
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
    // By keyboard: the slash leads to the filter, and everything that acts can be reached.
    browser.value("document.dispatchEvent(new KeyboardEvent('keydown', {key: '/'}))");
    assert_eq!(browser.value("document.activeElement.id"), "filter");
    let dead = "[...document.querySelectorAll('button, summary, a[href], input')].filter(e => e.tabIndex < 0).length";
    assert_eq!(browser.value(dead), 0);
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
    assert_eq!(browser.value(&format!("{rows}.length")), 120);
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
