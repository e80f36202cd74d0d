//! Settings: the process's environment as an ordered map, so that tests can hand in their own.
//!
//! It reads the environment once and never writes it. A variable that is set but blank counts as absent.

use std::collections::BTreeMap;
use std::fmt;

/// The environment of a function. Its `Debug` prints names only: credentials are among the values.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

/// A setting that is missing or cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvironmentError {
    /// A variable the function cannot work without.
    #[error("read the setting `{name}`: it is not set")]
    Missing {
        /// Name of the variable.
        name: &'static str,
    },
    /// A variable whose text does not fit. The text itself is not repeated.
    #[error("read the setting `{name}`: {expected}")]
    Unusable {
        /// Name of the variable.
        name: &'static str,
        /// What it must look like.
        expected: &'static str,
    },
}

impl Environment {
    /// The environment of this process; entries that are not Unicode are left out.
    pub fn of_process() -> Self {
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect()
    }

    /// The value of `name`, unless it is absent or blank.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(|value| value.trim())
            .filter(|value| !value.is_empty())
    }

    /// The value of `name`.
    ///
    /// # Errors
    /// [`EnvironmentError::Missing`] if it is absent or blank.
    pub fn required(&self, name: &'static str) -> Result<&str, EnvironmentError> {
        self.get(name).ok_or(EnvironmentError::Missing { name })
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        Self(
            pairs
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        )
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::{Environment, EnvironmentError};

    #[test]
    fn a_blank_setting_is_absent_and_values_are_not_printed() {
        let environment: Environment = [("A", " "), ("AWS_SECRET_ACCESS_KEY", "CANARY")]
            .into_iter()
            .collect();
        assert_eq!(
            environment.required("A"),
            Err(EnvironmentError::Missing { name: "A" })
        );
        assert_eq!(environment.get("AWS_SECRET_ACCESS_KEY"), Some("CANARY"));
        let printed = format!("{environment:?}");
        assert!(
            printed.contains("AWS_SECRET_ACCESS_KEY") && !printed.contains("CANARY"),
            "{printed}"
        );
    }
}
