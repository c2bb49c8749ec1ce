//! The JSON audit as types; its schema is made from them. What is said of the JSON report's types holds here too:
//! readers accept words that they do not know, and what is added later is not required.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Serialize;

use crate::report::document::{Counters, Evidence, Fix, Input, Product, Tool, Word};

/// The name of this format and its version.
pub const SCHEMA: &str = "hopscope-audit/1";

/// One audit.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(title = "hopscope audit, version 1")]
pub struct Audit {
    /// `hopscope-audit/1`.
    pub schema: Word,
    pub tool: Tool,
    pub inputs: Vec<Input>,
    pub counters: Counters,
    /// Upgrades in the captures, those without an intermediary in view too.
    pub chains: u64,
    /// One for each intermediary of which both sides were seen, or that is to blame for a failure.
    pub cards: Vec<Card>,
    /// What changed since an earlier audit; null where none was given.
    pub baseline: Option<Baseline>,
}

/// What is known of one intermediary.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Card {
    pub addresses: Vec<String>,
    /// As the user named it.
    pub name: Option<String>,
    /// With the signs that tell; null where nothing does.
    pub product: Option<Product>,
    /// The worst of its lines.
    #[schemars(extend("examples" = ["pass", "warn", "fail"]))]
    pub status: Word,
    /// Upgrades that it was asked for, and those whose `Upgrade` it passed on; and those that came up.
    pub asked: u64,
    pub kept: u64,
    pub upgraded: u64,
    /// Of the chains through it, `ok` among them.
    pub verdicts: BTreeMap<String, u64>,
    pub lines: Vec<Line>,
}

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Line {
    /// Its identity in every audit.
    #[schemars(extend("examples" = ["upgrade-passed", "idle-limit", "audit-ws-plain"]))]
    pub id: Word,
    #[schemars(extend("examples" = ["upgrade", "fields", "tunnel", "limits", "security"]))]
    pub group: Word,
    pub title: Word,
    #[schemars(extend("examples" = ["pass", "warn", "fail", "not-observed"]))]
    pub status: Word,
    /// How bad it is where it is not passed: `info` for a note.
    #[schemars(extend("examples" = ["error", "warning", "info"]))]
    pub severity: Word,
    /// What was seen.
    pub text: String,
    /// Rules whose findings it rests on; `hopscope explain RULE`.
    pub rules: Vec<String>,
    /// The first chains that show it, by their ids in the report.
    pub chains: Vec<i64>,
    pub evidence: Vec<Evidence>,
    pub fixes: Vec<Fix>,
    pub references: Vec<String>,
}

/// What changed since an earlier audit.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Baseline {
    /// The earlier audit, as the user named it.
    pub path: String,
    pub better: u64,
    pub worse: u64,
    pub changes: Vec<Change>,
}

/// One line, or a whole card, that is not as it was.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Change {
    /// Addresses of the intermediary now, or earlier where it is gone.
    pub addresses: Vec<String>,
    /// Null where it is about the whole card.
    pub line: Option<String>,
    #[schemars(extend("examples" = ["better", "worse", "other", "appeared", "gone"]))]
    pub kind: Word,
    /// The status, or what was measured; null where there was none.
    pub before: Option<String>,
    pub now: Option<String>,
}

/// The schema, as pretty JSON with a line break at its end.
pub fn schema() -> String {
    let schema = SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<Audit>();
    format!("{:#}\n", schema.to_value())
}
