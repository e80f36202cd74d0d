//! What a run leaves behind, so that somebody else can check it without us.
//!
//! In: a judged run, its facts and the texts of its controls. Out: a [`Bundle`] of files with a signed [`Manifest`],
//! and, from such a bundle alone, the same verdicts again ([`verify`](verify::verify)). Pure: reading and writing
//! files, and making keys, is up to the command line.

pub mod attestation;
pub mod bundle;
pub mod chain;
pub mod guide;
pub mod manifest;
pub mod merkle;
pub mod pack;
pub mod population;
pub mod proof;
pub mod signature;
pub mod signers;
pub mod verify;

pub use bundle::{Bundle, Contents, Position, Store, rendered};
pub use manifest::{Judged, Manifest};
pub use signature::{Key, NAMESPACE};
pub use signers::AllowedSigners;
