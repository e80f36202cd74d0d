//! Faults of the functions' code: a function that misbehaves in one way is run in the place of the program's own.
//!
//! In: the executable `faulty-function`, which is built beside this one and for tests only. Out: a fault for each way.
//! Where it isn't built they are faults all the same, and each is reported as not run.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::Fault;

/// What each behaviour is, for the function that it plays. `lambdas/faulty` has them.
const BEHAVIOURS: [(&str, &str, &str); 10] = [
    (ROTATION, "rotation-fails", "fails every `setSecret`"),
    (
        ROTATION,
        "rotation-no-promote",
        "reports success without moving `AWSCURRENT`",
    ),
    (
        ROTATION,
        "rotation-repeats-value",
        "stores the current value again",
    ),
    (
        ROTATION,
        "rotation-logs-value",
        "writes the new value to its log",
    ),
    (
        DETECTOR,
        "detector-substring",
        "allows whoever has an allowed name somewhere in the ARN",
    ),
    (
        DETECTOR,
        "detector-value-in-record",
        "writes values into access records",
    ),
    (DETECTOR, "detector-no-record", "writes no access record"),
    (DETECTOR, "detector-no-alert", "publishes no alert"),
    (
        DETECTOR,
        "detector-late-alert",
        "publishes alerts 400 seconds late",
    ),
    (
        DETECTOR,
        "detector-no-attributes",
        "publishes alerts without message attributes",
    ),
];

const ROTATION: &str = "bank-secrets-rotation";
const DETECTOR: &str = "bank-secrets-anomaly";

/// What is missing where the executable isn't there.
pub(crate) const NOT_BUILT: &str = "`faulty-function` is not built beside the checker: \
                                    `cargo build --release -p faulty-function` builds it";

/// The executable of functions that misbehave.
pub(crate) fn faulty_function() -> Result<PathBuf, &'static str> {
    let own = std::env::current_exe().map_err(|_| NOT_BUILT)?;
    let beside = own.parent().map(|folder| folder.join("faulty-function"));
    beside.filter(|path| path.is_file()).ok_or(NOT_BUILT)
}

/// A fault for each behaviour; `place` is the program that deploys the functions.
pub(crate) fn faulty_functions(place: &str, stage: &str) -> Vec<Fault> {
    BEHAVIOURS
        .into_iter()
        .map(|(function, behaviour, what)| Fault {
            id: format!("{function}~{behaviour}"),
            kind: "function".to_owned(),
            what: format!("`{function}` {what}"),
            place: place.to_owned(),
            program: usize::MAX,
            edits: Vec::new(),
            touches: BTreeSet::new(),
            rotates: true,
            behaviour: Some((format!("{function}-{stage}"), behaviour.to_owned())),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Each behaviour of the executable is a fault, but those that show that honest ones pass.
    #[test]
    fn every_behaviour_is_a_fault() {
        let file =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../lambdas/faulty/src/behaviour.rs");
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let written: BTreeSet<&str> = text
            .split('"')
            .filter(|part| part.starts_with("rotation-") || part.starts_with("detector-"))
            .filter(|name| !name.ends_with("-honest"))
            .collect();
        let planted: BTreeSet<&str> = BEHAVIOURS.iter().map(|(_, name, _)| *name).collect();
        assert_eq!(planted, written);
    }
}
