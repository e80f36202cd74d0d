//! Environments of functions: which variables hold a secret that is written out. Values are not known here.

use super::{Item, mismatch};
use crate::observation::environment::Variable;
use crate::observation::{Answer, Facts, Observation, Unseen};

crate::facts! {
    /// The environment of a function.
    pub struct Environment {
        /// ARN of the function.
        pub arn: String,
        /// The function's name.
        pub name: String,
        /// Names of all variables.
        pub variables: Vec<String>,
        /// Names of variables that hold a secret as a literal: by their name, or by the form of the value.
        pub literals: Vec<String>,
    }
}

/// One item a function of the account in the region.
pub(super) fn items(facts: &Facts) -> Result<Vec<Item>, Unseen> {
    let Answer::FunctionEnvironments(listed) = facts.get(&Observation::FunctionEnvironments)?
    else {
        return Err(mismatch(&Observation::FunctionEnvironments));
    };
    let names = |variables: &mut dyn Iterator<Item = &Variable>| {
        variables.map(|variable| variable.name.clone()).collect()
    };
    Ok(listed
        .iter()
        .map(|function| {
            let environment = Environment {
                arn: function.arn.clone(),
                name: function.name.clone(),
                variables: names(&mut function.variables.iter()),
                literals: names(
                    &mut function
                        .variables
                        .iter()
                        .filter(|variable| variable.holds_secret()),
                ),
            };
            Item::of(function.arn.clone(), "environment", &environment)
        })
        .collect())
}
