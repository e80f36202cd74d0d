//! Another executable in place of a function's own code, so that a test can see what a function that misbehaves
//! leads to. The function's role, settings, timeout and Runtime API stay what they are.

use std::path::PathBuf;
use std::str::FromStr;

/// `NAME=COMMAND [ARGUMENT ..]`: run this command as the process of that function.
///
/// For example `bank-secrets-rotation-dev=/bin/faulty-function rotation-no-promote`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replacement {
    /// The function's name.
    pub function: String,
    /// The executable, as an absolute path.
    pub executable: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
}

/// A text that is no replacement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplacementError {
    /// It has another form.
    #[error(
        "read `{0}`: write NAME=COMMAND, for example `my-function=target/release/faulty-function rotation-fails`"
    )]
    Form(String),
    /// There is no such file.
    #[error("replace the function `{function}`: there is no file `{}`", executable.display())]
    NoFile {
        /// The function.
        function: String,
        /// The file.
        executable: PathBuf,
    },
}

impl FromStr for Replacement {
    type Err = ReplacementError;

    fn from_str(text: &str) -> Result<Self, ReplacementError> {
        let form = || ReplacementError::Form(text.to_owned());
        let (function, command) = text.split_once('=').ok_or_else(form)?;
        let mut words = command.split_whitespace();
        let executable = words.next().ok_or_else(form)?;
        if function.is_empty() {
            return Err(form());
        }
        // The process starts in the folder of the function's code.
        let executable = std::path::absolute(executable).map_err(|_| form())?;
        if !executable.is_file() {
            return Err(ReplacementError::NoFile {
                function: function.to_owned(),
                executable,
            });
        }
        Ok(Self {
            function: function.to_owned(),
            executable,
            arguments: words.map(str::to_owned).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Replacement;

    #[test]
    fn a_text_that_is_no_replacement_is_refused() {
        for (text, says) in [
            ("", "write NAME=COMMAND"),
            ("f", "write NAME=COMMAND"),
            ("=/bin/sh", "write NAME=COMMAND"),
            ("f= ", "write NAME=COMMAND"),
            ("f=/no/such/file x", "there is no file `/no/such/file`"),
        ] {
            let said = text
                .parse::<Replacement>()
                .err()
                .map(|error| error.to_string());
            assert!(
                said.as_ref().is_some_and(|it| it.contains(says)),
                "{text}: {said:?}"
            );
        }
        let read = "f=/bin/sh -c x".parse::<Replacement>();
        assert!(read.is_ok_and(|it| it.arguments == ["-c", "x"]));
    }
}
