//! Conditions of controls: CEL over typed facts, checked when they are loaded.

pub mod types;
