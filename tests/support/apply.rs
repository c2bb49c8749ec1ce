//! Applies a printed fix as its reader would: each part goes where its comments say, takes the place of lines there that
//! set the same thing, and what the comments tell to remove is removed. Knows no product: `# place: NAME` marks the
//! places of a configuration.

/// The configuration with the fix.
pub(crate) fn apply(config: &str, fix: &str) -> String {
    let mut config = config.to_owned();
    for part in fix.split("\n\n") {
        let (comments, lines): (Vec<&str>, Vec<&str>) = part.lines().partition(|line| line.starts_with('#'));
        let comments = comments.join("\n");
        if comments.to_lowercase().contains("remove") {
            for told in comments.lines().filter_map(|line| line.strip_prefix("#   ")) {
                let kept: Vec<&str> = config.lines().filter(|line| line.trim() != told.trim()).collect();
                config = kept.join("\n");
            }
        }
        let places: Vec<&str> = PLACES.iter().filter(|(words, _)| comments.contains(words)).map(|p| p.1).collect();
        assert!(!places.is_empty(), "the fix does not say where it goes:\n{part}");
        for place in places {
            config = put(&config, place, &lines);
        }
    }
    config
}

/// Words of the comments, and the place that they mean.
const PLACES: [(&str, &str); 5] = [
    ("in http {", "http"),
    ("in the location", "location"),
    ("in defaults", "defaults"),
    ("in the backend", "backend"),
    ("in frontend and backend", "backend"),
];

/// The configuration with these lines at a place, and without lines of its block that set the same.
fn put(config: &str, place: &str, lines: &[&str]) -> String {
    let marker = format!("# place: {place}");
    assert!(config.lines().any(|line| line.trim() == marker), "the configuration has no place {place}");
    let (mut text, mut inside) = (String::new(), false);
    for line in config.lines() {
        let here = line.trim();
        inside &= !here.is_empty() && here != "}";
        if inside && lines.iter().any(|new| setting(new) == setting(here)) {
            continue;
        }
        text.push_str(line);
        text.push('\n');
        if here == marker {
            inside = true;
            lines.iter().for_each(|new| text.extend([new, "\n"]));
        }
    }
    text
}

/// What a line sets: all but its last word.
fn setting(line: &str) -> Option<&str> {
    line.trim().rsplit_once(char::is_whitespace).map(|(setting, _)| setting.trim())
}

#[test]
fn a_fix_takes_the_place_of_what_sets_the_same_and_removes_what_it_names() {
    let config = "a {\n  # place: location\n  x_set One 1;\n  x_set Two 2;\n}\n# place: http\n\nx_set One 1;\nbad it\n";
    let fix = "# in http { }, once:\nmap {\n}\n\n# in the location; remove\n#   bad it\nx_set One 7;";
    let right = "a {\n  # place: location\nx_set One 7;\n  x_set Two 2;\n}\n# place: http\nmap {\n}\n\nx_set One 1;\n";
    assert_eq!(apply(config, fix), right);
}
