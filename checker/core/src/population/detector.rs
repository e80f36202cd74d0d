//! The anomaly detector: the function that judges every access to a secret.

use super::known::{answered, existence, known, of, published};
use super::{Item, Reads, Setting};
use crate::expression::types::Known;
use crate::observation::{Answer, Facts, Observation, answer};

crate::facts! {
    /// The anomaly detector.
    pub struct Detector {
        /// Its ARN.
        pub arn: String,
        /// Its name.
        pub name: String,
        /// Whether it exists.
        pub exists: Known<bool>,
        /// `Active`, `Pending`, `Inactive` or `Failed`.
        pub state: Known<String>,
        /// Name of the parameter that publishes its ARN.
        pub published_as: String,
        /// The ARN in that parameter; `null` when there is none.
        pub published: Known<Option<String>>,
        /// ARN of what keeps events that it failed on; `null` when they are lost.
        pub failure_destination: Known<Option<String>>,
    }
}

const ABSENT: &str = "the function does not exist";

/// One item: the detector, whether it exists or not.
pub(super) fn items(facts: &Facts, setting: &Setting, reads: &Reads) -> Vec<Item> {
    let detector = view(facts, setting);
    let mut item = Item::of(detector.arn.clone(), "detector", &detector);
    let function = || Observation::Function(detector.arn.clone());
    item.details = vec![
        ("detector.exists", function()),
        ("detector.state", function()),
        (
            "detector.published",
            Observation::Parameter(detector.published_as.clone()),
        ),
        (
            "detector.failure_destination",
            Observation::FunctionFailureDestination(detector.arn.clone()),
        ),
    ];
    item.details.retain(|(path, _)| reads.touch(path));
    vec![item]
}

fn view(facts: &Facts, setting: &Setting) -> Detector {
    let arn = setting.detector_arn();
    let found = configuration(&arn, facts);
    let published_as = setting
        .organisation
        .published(&setting.stage, "anomaly/fn-arn");
    let destination = Observation::FunctionFailureDestination(arn.clone());
    Detector {
        name: setting.organisation.detector(&setting.stage),
        exists: existence(&found),
        state: of(&found, ABSENT, |function| function.state.clone()),
        published: published(facts, &published_as),
        published_as,
        failure_destination: known(answered(facts, &destination, |answer| {
            let Answer::FunctionFailureDestination(destination) = answer else {
                return None;
            };
            Some(destination.clone())
        })),
        arn,
    }
}

fn configuration<'a>(arn: &str, facts: &'a Facts) -> Result<Option<&'a answer::Function>, String> {
    let question = Observation::Function(arn.to_owned());
    answered(facts, &question, |answer| {
        let Answer::Function(function) = answer else {
            return None;
        };
        Some(function.as_ref())
    })
}
