//! Control files: from YAML to controls that were proven to make sense.
//!
//! In: the text of the files and the [`Vocabulary`] of what they may speak of. Out: a [`Catalog`], or every error of
//! every file with its line, its column and what to write instead. What people wrote and what was proven are two
//! sets of types; only the second leaves this module. Deliberately without reading files and without judging.

mod baseline;
mod catalog;
mod parameter;
mod prove;
mod read;
mod schema;
mod sources;
#[cfg(test)]
mod tests;
mod vocabulary;
mod waiver;
mod written;
mod yaml;

pub use baseline::{Baseline, Difference};
pub use catalog::{
    Access, AccessRule, Catalog, Check, Choices, Circumstance, Claim, Companion, Control, Filter,
    Iam, Inspect, Override, Population, Probe, Remediation, Rule, Script, Source, SourceFile, Test,
};
pub use parameter::{Parameter, ParameterValue};
pub use schema::{catalog_page, control_schema, waiver_schema};
pub use sources::Sources;
pub use vocabulary::{NameDecl, PopulationDecl, ProbeDecl, Vocabulary};
pub use waiver::{MAX_WAIVER_DAYS, Waiver, Waivers};
pub use written::{Expected, Mode, ParameterType, Severity};
pub use yaml::MAX_FILE_BYTES;
