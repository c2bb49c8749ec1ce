//! The clocks of two captures differ.

use crate::base::Nanos;
use crate::model::{InputFacts, Severity, Text};
use crate::rules::{Check, Findings, Rule};

pub(super) static RULE: Rule = Rule {
    id: "cap-clock-skew",
    severity: Severity::Info,
    title: "the clock of this capture differs from the first one's",
    about: "Legs that were captured in both files show that their clocks are apart. The times of this input are \
        compared with the other's after adding the difference; times across the two are right to within the error \
        that is given, and finer latencies are not claimed.\n\nA difference within the error is not told. A file may also be merged from captures of two clocks: then two \
        legs with one key lie beside each other instead of one inside the other.",
    refs: &[],
    causes: &["a host without time synchronisation", "a time zone or daylight saving written into the times"],
    fix: None,
    explains: &[],
    symptom_of: &[],
    check: Check::Input(check),
};

fn check(input: &InputFacts, out: &mut Findings<'_>) {
    if let Some((server, offset)) = input.clock_within {
        let (way, by) = if offset.0 > 0 { ("behind", offset.0) } else { ("ahead of", offset.0.saturating_neg()) };
        let by = length(Nanos(by));
        out.add(Text::own(format!(
            "This capture was merged from several: the clock of its connections to {server} is {by} {way} the others', as legs \
             with one key show; it was put right."
        )))
        .found(Text::own(by));
    }
    let Some(estimate) = input.clock_estimated else { return };
    let offset = input.clock_offset;
    if offset.0.saturating_abs() <= estimate.error.0.saturating_abs() {
        return;
    }
    // What is added to a clock that is behind is positive.
    let (way, by) = if offset.0 > 0 { ("behind", offset.0) } else { ("ahead of", offset.0.saturating_neg()) };
    let pairs = match estimate.pairs {
        1 => "1 pair of legs".to_owned(),
        many => format!("{many} pairs of legs"),
    };
    let (by, error) = (length(Nanos(by)), length(estimate.error));
    out.add(Text::own(format!(
        "The clock of this capture is {by} {way} the first one's, as {pairs} show to within {error}; it was put right."
    )))
    .found(Text::own(by));
}

/// `1.5 ms`, `3.200 s`.
fn length(time: Nanos) -> String {
    let seconds = time.as_secs_f64();
    if seconds.abs() < 1.0 { format!("{:.3} ms", seconds * 1e3) } else { format!("{seconds:.3} s") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ClockEstimate;
    use crate::rules::testing::{run_input, words};

    fn told(offset_ms: i64, estimate: Option<i64>) -> Option<String> {
        let clock_estimated = estimate.map(|error| ClockEstimate { pairs: 3, error: Nanos::from_millis(error) });
        let clock_offset = Nanos::from_millis(offset_ms);
        let facts = InputFacts { clock_offset, clock_estimated, ..InputFacts::default() };
        run_input(&RULE, &facts).first().map(|f| words(&f.message))
    }

    #[test]
    fn a_clock_that_is_off_is_told_with_its_error() {
        assert_eq!(
            told(2_500, Some(1)).as_deref(),
            Some(
                "The clock of this capture is 2.500 s behind the first one's, as 3 pairs of legs show to within \
                 1.000 ms; it was put right."
            )
        );
        assert!(told(-40, Some(1)).is_some_and(|text| text.contains("40.000 ms ahead of")));
    }

    #[test]
    fn a_difference_within_the_error_and_an_offset_that_was_given_are_not() {
        assert_eq!(told(1, Some(2)), None);
        assert_eq!(told(2_500, None), None);
    }
}
