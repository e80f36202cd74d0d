//! A secret's value in this process: it can be compared and searched for, and nothing else. It has no `Debug`.

use checker_core::probe::needle::forms;

/// A value.
pub(super) struct Value(String);

impl Value {
    /// Holds a value.
    pub(super) fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// A new one that works as an API key: 43 letters and digits, more than 256 bits.
    pub(super) fn random() -> Option<Self> {
        random(43).map(Self)
    }

    /// Whether both are the same.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.0 == other.0
    }

    /// The forms in which it is searched for, by name.
    pub(super) fn forms(&self) -> Vec<&'static str> {
        let mut names: Vec<&'static str> =
            forms(&self.0).iter().map(|needle| needle.form).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The text, for a call that stores it and a search for it.
    pub(super) fn exposed(&self) -> &str {
        &self.0
    }
}

/// Random letters and digits; nothing when the system has no randomness.
pub(super) fn random(length: usize) -> Option<String> {
    const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut text = String::with_capacity(length);
    while text.len() < length {
        let mut bytes = [0_u8; 64];
        getrandom::fill(&mut bytes).ok()?;
        // Bytes beyond a multiple of 62 would favour the first letters.
        let fair = bytes.iter().filter(|byte| **byte < 248);
        let letters = fair.filter_map(|byte| LETTERS.get(usize::from(byte % 62)));
        text.extend(
            letters
                .map(|letter| char::from(*letter))
                .take(length - text.len()),
        );
    }
    Some(text)
}
