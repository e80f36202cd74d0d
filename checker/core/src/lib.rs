//! Controls, facts and verdicts: pure, without AWS, clock or files.

mod accept;
pub mod access;
pub mod control;
pub mod control_test;
pub mod diagnostic;
pub mod duration;
pub mod evidence;
pub mod expression;
pub mod fault;
mod json;
pub mod judge;
pub mod merge;
pub mod observation;
pub mod permission;
pub mod plan;
pub mod population;
pub mod probe;
pub mod recording;
pub mod report;
pub mod run;
pub mod schedule;
pub mod shard;
pub mod shared;
mod table;
pub mod verdict;
