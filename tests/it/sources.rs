//! The source files of this repository, as text and as code without its comments and strings.

use std::fs;
use std::path::{Path, PathBuf};

/// The folder of Cargo.toml.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below `folder` (relative to the root) with one of these extensions, sorted; an empty
/// list of extensions means all. Paths are relative to the root.
pub(crate) fn files(folder: &str, extensions: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    collect(&root().join(folder), extensions, &mut found);
    found.sort();
    found.into_iter().map(|p| p.strip_prefix(root()).expect("below the root").to_owned()).collect()
}

pub(crate) fn read(relative: &Path) -> String {
    let path = root().join(relative);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn collect(folder: &Path, extensions: &[&str], found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.expect("a directory entry").path();
        if path.is_dir() {
            if path.file_name().is_none_or(|n| n != "target") {
                collect(&path, extensions, found);
            }
        } else if extensions.is_empty()
            || path.extension().is_some_and(|e| extensions.iter().any(|want| e.to_str() == Some(want)))
        {
            found.push(path);
        }
    }
}

/// `source` with every comment, string and character literal blanked out. Lines stay where they are.
pub(crate) fn code(source: &str) -> String {
    let chars: Vec<char> = source.chars().collect();
    let mut out = String::with_capacity(source.len());
    let mut i = 0;
    while i < chars.len() {
        let end = match chars[i] {
            '/' if chars.get(i + 1) == Some(&'/') => line_end(&chars, i),
            '/' if chars.get(i + 1) == Some(&'*') => block_comment_end(&chars, i),
            '"' => string_end(&chars, i + 1),
            'r' if !follows_word(&chars, i) => raw_string_end(&chars, i + 1).unwrap_or(i),
            'b' if !follows_word(&chars, i) && chars.get(i + 1) == Some(&'r') => {
                raw_string_end(&chars, i + 2).unwrap_or(i)
            }
            '\'' => char_end(&chars, i).unwrap_or(i),
            _ => i,
        };
        if end == i {
            out.push(chars[i]);
            i += 1;
        } else {
            out.extend(chars[i..end].iter().map(|&c| if c == '\n' { '\n' } else { ' ' }));
            i = end;
        }
    }
    out
}

fn follows_word(chars: &[char], i: usize) -> bool {
    i > 0 && (chars[i - 1].is_alphanumeric() || chars[i - 1] == '_')
}

fn line_end(chars: &[char], from: usize) -> usize {
    (from..chars.len()).find(|&i| chars[i] == '\n').unwrap_or(chars.len())
}

fn block_comment_end(chars: &[char], from: usize) -> usize {
    let mut depth = 0;
    let mut i = from;
    while i < chars.len() {
        match (chars[i], chars.get(i + 1)) {
            ('/', Some('*')) => (depth, i) = (depth + 1, i + 2),
            ('*', Some('/')) => {
                (depth, i) = (depth - 1, i + 2);
                if depth == 0 {
                    return i;
                }
            }
            _ => i += 1,
        }
    }
    chars.len()
}

fn string_end(chars: &[char], mut i: usize) -> usize {
    while i < chars.len() {
        match chars[i] {
            '\\' => i += 2,
            '"' => return i + 1,
            _ => i += 1,
        }
    }
    chars.len()
}

/// Where `#"…"#` at `from` ends, with any number of hashes; `None` where no raw string starts.
fn raw_string_end(chars: &[char], from: usize) -> Option<usize> {
    let hashes = chars[from..].iter().take_while(|&&c| c == '#').count();
    if chars.get(from + hashes) != Some(&'"') {
        return None;
    }
    let mut i = from + hashes + 1;
    while i < chars.len() {
        if chars[i] == '"' && chars[i + 1..].iter().take_while(|&&c| c == '#').count() >= hashes {
            return Some(i + 1 + hashes);
        }
        i += 1;
    }
    Some(chars.len())
}

/// Where the character literal at `from` ends; `None` where it is a lifetime.
fn char_end(chars: &[char], from: usize) -> Option<usize> {
    match (chars.get(from + 1)?, chars.get(from + 2)) {
        ('\\', _) => (from + 3..chars.len()).find(|&i| chars[i] == '\'').map(|i| i + 1),
        (_, Some('\'')) => Some(from + 3),
        _ => None,
    }
}

#[test]
fn comments_and_literals_are_blanked_and_code_stays() {
    let source =
        "let a = \"// no\"; // crate::x\nlet b = r#\"crate::y \"# ; /* /* */ crate::z */ 'c' '\\'' <'a> b\"q\"";
    let code = code(source);
    assert!(!code.contains("crate::"), "{code}");
    assert!(code.contains("let a = ") && code.contains("let b = ") && code.contains("<'a>"), "{code}");
    assert_eq!(code.lines().count(), 2);
}
