//! `GetRandomPassword`, from the system's random source.

use serde_json::json;

use crate::service::{Answer, ApiError, Call};

const PUNCTUATION: &str = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";

pub(super) fn get(call: &Call<'_>) -> Answer {
    let length = call
        .number("PasswordLength")
        .and_then(|length| usize::try_from(length).ok())
        .unwrap_or(32);
    let excluded = call.text("ExcludeCharacters").unwrap_or_default();
    let kinds = [
        ("ExcludeLowercase", "abcdefghijklmnopqrstuvwxyz"),
        ("ExcludeUppercase", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
        ("ExcludeNumbers", "0123456789"),
        ("ExcludePunctuation", PUNCTUATION),
    ];
    let mut groups: Vec<Vec<char>> = kinds
        .into_iter()
        .filter(|(flag, _)| call.flag(flag) != Some(true))
        .map(|(_, characters)| {
            let kept = characters.chars();
            kept.filter(|character| !excluded.contains(*character))
                .collect()
        })
        .collect();
    if call.flag("IncludeSpace") == Some(true) && !excluded.contains(' ') {
        groups.push(vec![' ']);
    }
    groups.retain(|group| !group.is_empty());
    let all: Vec<char> = groups.iter().flatten().copied().collect();
    if all.is_empty() {
        return Err(super::invalid_parameter(
            "The password requirements exclude every character.",
        ));
    }
    let each = call.flag("RequireEachIncludedType") != Some(false);
    if each && groups.len() > length {
        return Err(super::invalid_parameter(
            "The password length is too short to include one of each required type.",
        ));
    }
    let mut password: Vec<char> = Vec::with_capacity(length);
    if each {
        for group in &groups {
            password.extend(pick(group)?);
        }
    }
    while password.len() < length {
        password.extend(pick(&all)?);
    }
    // Fisher-Yates, so that the required characters stand anywhere.
    for at in (1..password.len()).rev() {
        password.swap(at, below(at + 1)?);
    }
    Ok(json!({"RandomPassword": password.into_iter().collect::<String>()}))
}

fn pick(characters: &[char]) -> Result<Option<char>, ApiError> {
    Ok(characters.get(below(characters.len())?).copied())
}

/// A number below `bound` without bias.
fn below(bound: usize) -> Result<usize, ApiError> {
    let bound = u64::try_from(bound).unwrap_or(u64::MAX).max(1);
    let limit = u64::MAX - u64::MAX % bound;
    loop {
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes)
            .map_err(|_| ApiError::internal("the system has no random source"))?;
        let drawn = u64::from_le_bytes(bytes);
        if drawn < limit {
            return Ok(usize::try_from(drawn % bound).unwrap_or_default());
        }
    }
}
