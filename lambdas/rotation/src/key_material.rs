//! New key material in the form of the old: hexadecimal stays hexadecimal, base64 stays base64 with or
//! without padding, anything else becomes letters and digits. Never less than 256 bits.
//!
//! The form matters to whoever decodes the key; the length only grows when the old key was too short.
//! It does not judge whether an old key was good.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use crate::error::RotationError;

/// The least strength of a key, in bytes: 256 bits.
const LEAST_BYTES: usize = 32;
/// Letters and digits that hold 256 bits: 62^43 > 2^256.
const LEAST_ALPHANUMERIC: usize = 43;

const ALPHANUMERIC: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// How a key is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Hexadecimal digits in one case.
    Hex {
        /// Key length in bytes.
        bytes: usize,
        /// Whether letters are capitals.
        upper: bool,
    },
    /// Base64 of RFC 4648 section 4, padded.
    Base64 {
        /// Key length in bytes.
        bytes: usize,
    },
    /// Base64 of RFC 4648 section 5 without padding, as in tokens.
    Base64Url {
        /// Key length in bytes.
        bytes: usize,
    },
    /// Letters and digits.
    Alphanumeric {
        /// Number of characters.
        characters: usize,
    },
}

impl Form {
    /// The form that `key` has.
    pub fn of(key: &str) -> Self {
        if let Some(upper) = hex_case(key) {
            return Self::Hex {
                bytes: key.len() / 2,
                upper,
            };
        }
        let looks_standard = key.contains(['+', '/']) || key.ends_with('=');
        if looks_standard && let Ok(bytes) = STANDARD.decode(key).map(Zeroizing::new) {
            return Self::Base64 { bytes: bytes.len() };
        }
        let looks_url_safe = key.contains(['-', '_']) || !key.len().is_multiple_of(4);
        if looks_url_safe
            && let Ok(bytes) = URL_SAFE_NO_PAD.decode(key).map(Zeroizing::new)
            && bytes.len() >= LEAST_BYTES / 2
        {
            return Self::Base64Url { bytes: bytes.len() };
        }
        Self::Alphanumeric {
            characters: key.chars().count(),
        }
    }

    /// The form of a key that has no predecessor.
    pub fn first() -> Self {
        Self::Alphanumeric {
            characters: LEAST_ALPHANUMERIC,
        }
    }

    /// Makes a key of this form and at least 256 bits.
    ///
    /// # Errors
    /// [`RotationError::NoRandomness`].
    pub fn generate(self) -> Result<Zeroizing<String>, RotationError> {
        match self {
            Self::Hex { bytes, upper } => Ok(hex(&random_bytes(bytes)?, upper)),
            Self::Base64 { bytes } => Ok(Zeroizing::new(STANDARD.encode(random_bytes(bytes)?))),
            Self::Base64Url { bytes } => {
                Ok(Zeroizing::new(URL_SAFE_NO_PAD.encode(random_bytes(bytes)?)))
            }
            Self::Alphanumeric { characters } => alphanumeric(characters.max(LEAST_ALPHANUMERIC)),
        }
    }

    /// Whether a key of this form can hold 256 bits.
    pub fn is_strong(self) -> bool {
        match self {
            Self::Hex { bytes, .. } | Self::Base64 { bytes } | Self::Base64Url { bytes } => {
                bytes >= LEAST_BYTES
            }
            Self::Alphanumeric { characters } => characters >= LEAST_ALPHANUMERIC,
        }
    }
}

/// A password: letters and digits, 256 bits, with at least one capital, one small letter and one digit, which
/// password policies ask for.
///
/// # Errors
/// [`RotationError::NoRandomness`].
pub fn password() -> Result<Zeroizing<String>, RotationError> {
    loop {
        let password = alphanumeric(LEAST_ALPHANUMERIC)?;
        let has = |class: fn(&u8) -> bool| password.bytes().any(|byte| class(&byte));
        if has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase) && has(u8::is_ascii_digit) {
            return Ok(password);
        }
    }
}

/// Random bytes: as many as the old key had, at least 256 bits.
///
/// # Errors
/// [`RotationError::NoRandomness`].
pub fn random_bytes(length: usize) -> Result<Zeroizing<Vec<u8>>, RotationError> {
    let mut bytes = Zeroizing::new(vec![0; length.max(LEAST_BYTES)]);
    getrandom::fill(&mut bytes).map_err(|_| RotationError::NoRandomness)?;
    Ok(bytes)
}

/// `Some(upper)` if `key` is an even number of hexadecimal digits, at least 16 bytes, in one case.
fn hex_case(key: &str) -> Option<bool> {
    if key.len() < LEAST_BYTES
        || !key.len().is_multiple_of(2)
        || !key.bytes().all(|byte| byte.is_ascii_hexdigit())
    {
        return None;
    }
    let upper = key.bytes().any(|byte| byte.is_ascii_uppercase());
    let lower = key.bytes().any(|byte| byte.is_ascii_lowercase());
    (!(upper && lower)).then_some(upper)
}

fn hex(bytes: &[u8], upper: bool) -> Zeroizing<String> {
    let base = if upper { 'A' } else { 'a' };
    let digit = |nibble: u8| match nibble {
        0..=9 => char::from(b'0' + nibble),
        letter => char::from_u32(u32::from(base) + u32::from(letter) - 10).unwrap_or('0'),
    };
    let mut text = Zeroizing::new(String::with_capacity(bytes.len() * 2));
    for byte in bytes {
        text.push(digit(byte >> 4));
        text.push(digit(byte & 0xf));
    }
    text
}

fn alphanumeric(characters: usize) -> Result<Zeroizing<String>, RotationError> {
    let mut text = Zeroizing::new(String::with_capacity(characters));
    while text.len() < characters {
        // Six bits of a byte choose one of 64; the two that name no character are thrown away, so that
        // every character is equally likely.
        for byte in random_bytes(characters)?.iter() {
            if text.len() < characters
                && let Some(character) = ALPHANUMERIC.get(usize::from(byte & 0x3f))
            {
                text.push(char::from(*character));
            }
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::Form;

    #[test]
    fn the_form_of_a_key_is_kept_and_weak_keys_grow() {
        let hex64 = "ab".repeat(32);
        for (key, form, characters) in [
            (
                hex64.as_str(),
                Form::Hex {
                    bytes: 32,
                    upper: false,
                },
                64,
            ),
            (
                &"AB".repeat(24),
                Form::Hex {
                    bytes: 24,
                    upper: true,
                },
                64,
            ),
            ("/////////////////////w==", Form::Base64 { bytes: 16 }, 44),
            (
                "-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_8",
                Form::Base64Url { bytes: 32 },
                43,
            ),
            ("short", Form::Alphanumeric { characters: 5 }, 43),
            (&"Zx".repeat(40), Form::Alphanumeric { characters: 80 }, 80),
            ("p@ss word!", Form::Alphanumeric { characters: 10 }, 43),
        ] {
            assert_eq!(Form::of(key), form, "{key}");
            let new = form.generate().unwrap();
            assert_eq!(new.len(), characters, "{key}");
            assert!(Form::of(&new).is_strong(), "{key}");
            assert_ne!(
                *new,
                *form.generate().unwrap(),
                "two keys are never the same"
            );
        }
    }

    #[test]
    fn a_renewed_key_keeps_its_form_over_many_rotations() {
        for seed in [
            "ab".repeat(32),
            "/////////////////////w==".to_owned(),
            "-_".repeat(20) + "-_8",
        ] {
            let mut form = Form::of(&seed);
            for _ in 0..200 {
                let next = Form::of(&form.generate().unwrap());
                let same = matches!(
                    (form, next),
                    (Form::Hex { .. }, Form::Hex { .. })
                        | (Form::Base64 { .. }, Form::Base64 { .. })
                        | (Form::Base64Url { .. }, Form::Base64Url { .. })
                );
                assert!(same, "{form:?} became {next:?}");
                form = next;
            }
        }
    }

    #[test]
    fn every_character_is_used() {
        let text = Form::Alphanumeric { characters: 20_000 }
            .generate()
            .unwrap();
        for character in super::ALPHANUMERIC {
            let count = text.bytes().filter(|byte| byte == character).count();
            assert!(
                (200..450).contains(&count),
                "{} appears {count} times",
                char::from(*character)
            );
        }
    }
}
