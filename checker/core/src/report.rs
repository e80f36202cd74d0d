//! Formats of a run, one file each. A report is a pure function of the run.

pub mod junit;
