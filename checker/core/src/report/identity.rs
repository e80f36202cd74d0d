//! Names that machines keep: UUIDs derived from what they name, so that the same run gives the same document.
//!
//! Version 5 of RFC 9562 (a name within a namespace): the OSCAL schema admits versions 4 and 5 only.

use std::fmt;
use std::io::Write as _;

use sha1::{Digest as _, Sha1};

/// The namespace of everything that this checker names, a UUID.
const NAMESPACE: u128 = 0x6f1d_1c9e_52b4_5d0a_9c3e_7a41_0b6d_8e25;

/// The UUID of what these parts name together. No two lists of parts run into each other.
pub(super) fn identity(parts: &[&str]) -> String {
    let mut hash = Sha1::new();
    hash.update(NAMESPACE.to_be_bytes());
    for part in parts {
        // Hashing cannot fail.
        write!(hash, "{}:{part}", part.len()).unwrap_or_default();
    }
    // The first 16 bytes, with the version and the variant written over six of their bits.
    let uuid: u128 = hash
        .finalize()
        .iter()
        .take(16)
        .fold(0, |uuid, byte| uuid << 8 | u128::from(*byte));
    let uuid = uuid & !(0xF << 76) | 5 << 76;
    let uuid = uuid & !(0b11 << 62) | 0b10 << 62;
    let mut text = String::with_capacity(36);
    // Writing to a string cannot fail.
    fmt::write(&mut text, format_args!("{uuid:032x}")).unwrap_or_default();
    for hyphen in [8, 13, 18, 23] {
        text.insert(hyphen, '-');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::identity;

    #[test]
    fn the_same_parts_give_the_same_name_and_no_others_do() {
        assert_eq!(identity(&["a", "b"]), identity(&["a", "b"]));
        assert_ne!(identity(&["a", "b"]), identity(&["ab"]));
        assert_ne!(identity(&["a", "b"]), identity(&["b", "a"]));
        assert_ne!(identity(&["1:a"]), identity(&["1", "a"]));
        let uuid = identity(&["a"]);
        assert_eq!(uuid.len(), 36);
        assert_eq!(uuid.chars().nth(14), Some('5'));
        assert!(matches!(uuid.chars().nth(19), Some('8' | '9' | 'a' | 'b')));
    }
}
