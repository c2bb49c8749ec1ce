//! Which settings a fix in prose names: it is right when the same settings are named by the program.

/// The alternatives of a fix, each with the settings that it names. Empty: it names none.
pub(crate) fn settings(fix: &str) -> Vec<Vec<String>> {
    let alternatives = fix.replace("before: ", " or ").replace(" or ", "\0").replace(" before Pro", "\0Pro");
    let each = alternatives.split('\0').map(of_one);
    each.filter(|settings| !settings.is_empty()).collect()
}

/// Whether a text names a setting. Of a setting with a value, name and value stand behind one another.
pub(crate) fn names_setting(written: &str, setting: &str) -> bool {
    let written = written.to_lowercase();
    let words: Vec<&str> = words(&written).collect();
    let own: Vec<String> = setting.to_lowercase().split(' ').map(str::to_owned).collect();
    words.windows(own.len()).any(|window| window == own.as_slice())
}

fn of_one(fix: &str) -> Vec<String> {
    let words: Vec<&str> = words(fix).collect();
    let mut settings: Vec<String> = Vec::new();
    for (n, word) in words.iter().enumerate() {
        if !is_setting(word) {
            continue;
        }
        // What is set or deleted belongs to it.
        let object = words.get(n + 1).filter(|_| word.ends_with("header"));
        let setting = object.map_or_else(|| (*word).to_owned(), |object| format!("{word} {object}"));
        if !settings.contains(&setting) {
            settings.push(setting);
        }
    }
    settings
}

/// The words of a configuration or of prose about it, without values' quotes.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c.is_whitespace() || "\"'(){}[],;:!".contains(c))
        .map(|word| word.trim_end_matches('.'))
        .filter(|word| !word.is_empty())
}

/// Whether a word is written as settings are: with `_`, as `name=value`, with capitals inside, or in small
/// letters with hyphens. Names of fields are not, nor are variables and addresses.
fn is_setting(word: &str) -> bool {
    const PROSE: [&str; 4] = ["time-out", "http-request", "hop-by-hop", "base64"];
    let letters = word.starts_with(|c: char| c.is_ascii_alphabetic()) && !word.contains("://");
    if !letters || PROSE.contains(&word) || word.contains('$') || word.contains('@') {
        return false;
    }
    let head = word.split(['=', '.']).next().unwrap_or_default();
    let capitals = word.chars().skip(1).any(|c| c.is_ascii_uppercase()) && word.chars().any(|c| c.is_ascii_lowercase());
    let field = word.contains('-') && word.starts_with(|c: char| c.is_ascii_uppercase());
    let hyphens = word.contains('-') && word.chars().all(|c| !c.is_ascii_uppercase());
    let assigned = word.contains('=') && word.starts_with(|c: char| c.is_ascii_lowercase());
    let called =
        word.contains('.') && head.len() >= 2 && word.chars().all(|c| c.is_ascii_alphanumeric() || "._".contains(c));
    !field && !is_prose_in_capitals(word) && (word.contains('_') || capitals || hyphens || assigned || called)
}

/// Names that are written with capitals inside and are no settings.
fn is_prose_in_capitals(word: &str) -> bool {
    ["WebSocket", "WebSockets", "HTTP", "TLS", "ALPN", "HttpConnectionManager", "ServerName"].contains(&word)
}

#[test]
fn settings_are_known_by_how_they_are_written() {
    let one = |fix| settings(fix);
    assert_eq!(
        one("place { x_http_version 1.1; x_set_header Upgrade $http_upgrade; x_set_header Connection \"upgrade\"; }"),
        [["x_http_version", "x_set_header Upgrade", "x_set_header Connection"]]
    );
    assert_eq!(
        one("ProxyX \"/\" \"http://b/\" upgrade=websocket   (2.4+; before: ProxyX \"ws://b\" with mod_x)"),
        [vec!["ProxyX", "upgrade=websocket"], vec!["ProxyX", "mod_x"]]
    );
    assert_eq!(one("remove: http-request del-header Upgrade"), [["del-header Upgrade"]]);
    assert_eq!(one("remove send-x-v2 from the server line or enable it at the backend"), [["send-x-v2"]]);
    assert!(one("use wss:// in the client: WebSocket clients don't follow redirects").is_empty());
    assert!(one("pass Sec-WebSocket-Accept on; or close it").is_empty());
    assert!(one("").is_empty());
}

#[test]
fn a_setting_with_another_object_is_another_setting() {
    let written = "x_http_version 1.1;\nx_set_header Host $host;";
    assert!(names_setting(written, "x_set_header Host") && names_setting(written, "x_http_version"));
    assert!(!names_setting(written, "x_set_header Origin") && !names_setting(written, "x_http"));
    assert!(names_setting("a => ProxyX /ws http://b upgrade=websocket", "upgrade=websocket"));
}
