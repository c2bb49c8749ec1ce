//! The JSON Schema of the JSON report, made from its types.

use schemars::generate::SchemaSettings;

use crate::report::document::Report;

/// The schema, as pretty JSON with a line break at its end.
pub fn schema() -> String {
    // What is written, not what is read: a field that may be null is still always there.
    let schema = SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<Report>();
    format!("{:#}\n", schema.to_value())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use super::*;
    use crate::report::build;
    use crate::report::mask::Masker;
    use crate::store::testing;

    #[test]
    fn a_report_validates_and_so_does_one_of_the_future() {
        let schema: serde_json::Value = serde_json::from_str(&schema()).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        for analysis in [testing::sample(), testing::journeys(), Default::default()] {
            let report = build::build(&analysis, &mut Masker::new(false));
            let mut report = serde_json::to_value(report).unwrap();
            let errors: Vec<String> =
                validator.iter_errors(&report).map(|e| format!("{}: {e}", e.instance_path)).collect();
            assert_eq!(errors, Vec::<String>::new());
            report["later"] = true.into();
            if let Some(x) = report["exchanges"].get_mut(0) {
                x["outcome"] = "a-word-of-the-future".into();
                x["later"] = 1.into();
            }
            assert!(validator.is_valid(&report));
        }
    }

    #[test]
    fn what_lacks_a_field_does_not_validate() {
        let schema: serde_json::Value = serde_json::from_str(&schema()).unwrap();
        let mut report = serde_json::to_value(build::build(&testing::sample(), &mut Masker::new(false))).unwrap();
        report["exchanges"][0].as_object_mut().unwrap().remove("latency_ns");
        assert!(!jsonschema::is_valid(&schema, &report));
    }
}
