//! Names that this module publishes for other stacks, each a parameter that holds an ARN.

use super::{Item, Reads, Setting, mismatch};
use crate::expression::types::Known;
use crate::observation::answer::Parameter;
use crate::observation::{Answer, Facts, Observation, Unseen};

crate::facts! {
    /// A published name.
    pub struct Output {
        /// The parameter's full name.
        pub name: String,
        /// Whether the parameter exists.
        pub exists: Known<bool>,
        /// The ARN that it holds in plain text; none when it holds anything else.
        pub value: Known<Option<String>>,
        /// The ARN that it must hold.
        pub expected: String,
    }
}

/// The named filters.
pub const FILTERS: &[(&str, &str)] = &[
    ("namespace-policy", "the ARN of the namespace policy"),
    ("rotation-function", "the ARN of the rotation function"),
];

/// One item a published name, whether it exists or not.
pub(super) fn items(facts: &Facts, setting: &Setting, reads: &Reads) -> Vec<Item> {
    let Setting {
        stage,
        account,
        region,
        organisation,
        ..
    } = setting;
    let published = [
        (
            "namespace-policy",
            organisation.published(stage, "namespace-policy/arn"),
            format!(
                "arn:aws:iam::{account}:policy/{}",
                organisation.namespace_policy(stage)
            ),
        ),
        (
            "rotation-function",
            organisation.published(stage, "rotation/fn-arn"),
            format!(
                "arn:aws:lambda:{region}:{account}:function:{}",
                organisation.rotation_function(stage)
            ),
        ),
    ];
    published
        .into_iter()
        .map(|(filter, name, expected)| {
            let question = Observation::Parameter(name.clone());
            let found = found(facts, &question).map_err(|unseen| unseen.to_string());
            let output = Output {
                exists: match &found {
                    Ok(parameter) => Known::Known(parameter.is_some()),
                    Err(reason) => Known::Unknown(reason.clone()),
                },
                value: match found {
                    Ok(parameter) => {
                        Known::Known(parameter.and_then(|parameter| parameter.arn.clone()))
                    }
                    Err(reason) => Known::Unknown(reason),
                },
                expected,
                name,
            };
            let arn = format!("arn:aws:ssm:{region}:{account}:parameter{}", output.name);
            let mut item = Item::of(arn, "output", &output);
            item.passes.insert(filter);
            for path in ["output.exists", "output.value"] {
                if reads.touch(path) {
                    item.details.push((path, question.clone()));
                }
            }
            item
        })
        .collect()
}

fn found<'a>(facts: &'a Facts, question: &Observation) -> Result<Option<&'a Parameter>, Unseen> {
    let Answer::Parameter(parameter) = facts.get(question)? else {
        return Err(mismatch(question));
    };
    Ok(parameter.as_ref())
}
