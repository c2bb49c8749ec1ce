//! Ranges of versions as product files write them: `1.2 and later`, `before 1.2`, `1.2 to 1.3`, or
//! nothing for all.

/// Whether `version` lies in `range`; `None` where the range speaks of no numbers.
pub(crate) fn covers(range: &str, version: &str) -> Option<bool> {
    let version = number(version)?;
    if range.is_empty() {
        return Some(true);
    }
    if let Some(first) = range.strip_suffix(" and later") {
        return Some(version >= number(first)?);
    }
    if let Some(end) = range.strip_prefix("before ") {
        return Some(version < number(end)?);
    }
    let (first, last) = range.split_once(" to ")?;
    Some((number(first)?..=number(last)?).contains(&version))
}

/// The parts of a version without zeros at its end, so that 1.2 is 1.2.0.
fn number(version: &str) -> Option<Vec<u32>> {
    let mut parts = version.split('.').map(|part| part.parse().ok()).collect::<Option<Vec<u32>>>()?;
    while parts.last() == Some(&0) {
        parts.pop();
    }
    Some(parts)
}

#[test]
fn a_range_is_compared_by_numbers_not_by_letters() {
    assert_eq!(covers("", "7"), Some(true));
    assert_eq!(covers("1.25.1 and later", "1.25.1"), Some(true));
    assert_eq!(covers("1.25.1 and later", "1.9.9"), Some(false));
    assert_eq!(covers("5.0 and later", "5"), Some(true));
    assert_eq!(covers("before 10", "9.2.9"), Some(true));
    assert_eq!(covers("before 1.25.1", "1.25.1"), Some(false));
    assert_eq!(covers("2.7.2 to 2.8.0", "2.8"), Some(true));
    assert_eq!(covers("2.7.2 to 2.8.0", "2.8.0.1"), Some(false));
    assert_eq!(covers("made by a cloud", "1"), None);
}
