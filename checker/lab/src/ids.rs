//! Identifiers that AWS would draw at random, drawn from a fixed sequence.
//!
//! Two labs that are asked the same things in the same order make the same
//! ARNs, so a recorded run can be compared with another. A function's process
//! asks in its own time: what is made while one runs may differ, but the ARNs of keys
//! and secrets, which have sequences of their own. Secret values never come from here:
//! `GetRandomPassword` uses the system's random source.

/// Deterministic sequences of identifiers.
pub(crate) struct Ids {
    all: Sequence,
    keys: Sequence,
    suffixes: Sequence,
    /// What the next key is called, where that was decided before.
    next_key: Option<String>,
    /// What the ARN of the next secret ends with, where that was decided before.
    next_suffix: Option<String>,
}

impl Default for Ids {
    fn default() -> Self {
        Self {
            all: Sequence(0x6b61_6d61_6b61_2d31),
            keys: Sequence(0x6b61_6d61_6b61_2d32),
            suffixes: Sequence(0x6b61_6d61_6b61_2d33),
            next_key: None,
            next_suffix: None,
        }
    }
}

const UPPER: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const ALPHANUMERIC: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const HEX: &[u8] = b"0123456789abcdef";

impl Ids {
    /// Decides what the next key is called and what the ARN of the next secret ends with.
    pub(crate) fn decide(&mut self, key: Option<String>, suffix: Option<String>) {
        self.next_key = key;
        self.next_suffix = suffix;
    }

    /// The id of a new key of one region.
    pub(crate) fn key(&mut self) -> String {
        match self.next_key.take() {
            Some(decided) => decided,
            None => self.keys.uuid(),
        }
    }

    /// The six characters at the end of a new secret's ARN.
    pub(crate) fn suffix(&mut self) -> String {
        match self.next_suffix.take() {
            Some(decided) => decided,
            None => self.suffixes.draw(6, ALPHANUMERIC),
        }
    }

    /// A version 4 UUID in form.
    pub(crate) fn uuid(&mut self) -> String {
        self.all.uuid()
    }

    /// `length` lower-case hexadecimal digits.
    pub(crate) fn hex(&mut self, length: usize) -> String {
        self.all.draw(length, HEX)
    }

    /// `length` letters and digits, as in the suffix of a secret's ARN.
    pub(crate) fn alphanumeric(&mut self, length: usize) -> String {
        self.all.draw(length, ALPHANUMERIC)
    }

    /// `length` upper-case letters and digits 2 to 7, as in `AROA...` ids.
    pub(crate) fn upper(&mut self, length: usize) -> String {
        self.all.draw(length, UPPER)
    }
}

/// One sequence.
struct Sequence(u64);

impl Sequence {
    fn uuid(&mut self) -> String {
        let variant = self.draw(1, b"89ab");
        let mut text = String::with_capacity(36);
        for (before, length) in [("", 8), ("-", 4), ("-4", 3)] {
            text.push_str(before);
            text.push_str(&self.draw(length, HEX));
        }
        text.push('-');
        text.push_str(&variant);
        for (before, length) in [("", 3), ("-", 12)] {
            text.push_str(before);
            text.push_str(&self.draw(length, HEX));
        }
        text
    }

    /// Without spare room: there may be very many.
    fn draw(&mut self, length: usize, alphabet: &[u8]) -> String {
        let mut drawn = String::with_capacity(length);
        drawn.extend((0..length).filter_map(|_| {
            let size = u64::try_from(alphabet.len()).ok()?;
            let at = usize::try_from(self.next() % size).ok()?;
            alphabet.get(at).copied().map(char::from)
        }));
        drawn
    }

    /// `SplitMix64`, by Sebastiano Vigna (public domain).
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
