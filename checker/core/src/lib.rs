//! Controls, facts and verdicts: pure, without AWS, clock or files.

pub mod diagnostic;
pub mod duration;
pub mod expression;
