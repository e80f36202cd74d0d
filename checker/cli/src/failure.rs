//! Why the checker could not do its work, and the exit code that says so.

use checker_core::diagnostic::Diagnostic;

/// Not a verdict: something is wrong with the input, or with us.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The command line, a control file, a waiver or the program is wrong: exit code 2.
    #[error("{0}")]
    Usage(String),
    /// Files are wrong, each at its place: exit code 2.
    #[error("{}", lines(.0))]
    Files(Vec<Diagnostic>),
    /// What was asked about could not be seen: exit code 3.
    #[error("{0}")]
    Unseen(String),
    /// The checker itself could not do its work: exit code 4.
    #[error("{0}")]
    Broken(String),
}

impl Failure {
    /// The process exit code.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::Files(_) => 2,
            Self::Unseen(_) => 3,
            Self::Broken(_) => 4,
        }
    }
}

fn lines(diagnostics: &[Diagnostic]) -> String {
    diagnostics
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}
