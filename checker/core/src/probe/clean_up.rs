//! What the clean-up after probes did.

crate::facts! {
    /// The clean-up after the probes of a run.
    pub struct CleanUp {
        /// What was set right, in order.
        pub steps: Vec<Righted>,
    }

    /// One thing that was looked at and set right.
    pub struct Righted {
        /// How it is now.
        pub what: String,
        /// Whether something had to be changed.
        pub changed: bool,
        /// Why it could not be done.
        pub failed: Option<String>,
    }
}
