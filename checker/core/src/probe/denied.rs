//! What refused calls leave behind.

use super::trace::Mark;
use crate::expression::types::Known;

crate::facts! {
    /// What calls that must be refused left behind.
    pub struct Denied {
        /// ARN of what they were tried on.
        pub resource: String,
        /// Name of the role that tried.
        pub principal: String,
        /// Each call.
        pub attempts: Vec<Attempt>,
        /// Actions that were allowed.
        pub allowed: Known<Vec<String>>,
        /// Actions that were allowed and could not be undone.
        pub not_undone: Vec<String>,
        /// Refused actions of which `CloudTrail` has no record.
        pub unrecorded: Known<Vec<String>>,
        /// What happened when.
        pub timeline: Vec<Mark>,
    }

    /// One call.
    pub struct Attempt {
        /// The action.
        pub action: String,
        /// AWS's error code; null where the call was allowed.
        pub code: Option<String>,
        /// The id of its `CloudTrail` record.
        pub record: Option<String>,
    }
}
