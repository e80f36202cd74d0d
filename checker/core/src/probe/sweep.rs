//! What a search for planted values leaves behind: places, never values.

use super::trace::Mark;
use crate::expression::types::Known;

crate::facts! {
    /// What a search for planted values left behind.
    pub struct Sweep {
        /// ARN of the secret that held the values.
        pub secret: String,
        /// How many values were searched for.
        pub values: i64,
        /// The ways that the values were sent, failures included.
        pub ways: Vec<Way>,
        /// What was searched.
        pub places: Vec<Searched>,
        /// Encodings in which the decoy was planted.
        pub decoys: Vec<String>,
        /// Places in which a value was found, each with the encoding; known only when every decoy was found and every
        /// place was searched.
        pub findings: Known<Vec<String>>,
        /// What happened when.
        pub timeline: Vec<Mark>,
    }

    /// A way that a value was sent.
    pub struct Way {
        /// What was done.
        pub what: String,
        /// Whether it ended as it should: the failures too must fail.
        pub taken: bool,
        /// How it ended.
        pub end: String,
    }

    /// A place that was searched.
    pub struct Searched {
        /// Its name.
        pub name: String,
        /// How many entries it had.
        pub entries: i64,
    }
}
