//! The typed values that condition operators compare: numbers, instants, networks.
//!
//! In: text of a policy or of a request. Out: comparable values, or `None` where the text is not of the type.

use std::cmp::Ordering;
use std::net::IpAddr;

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};

/// The character for comparisons that ignore case: upper and lower case fall together where each is the other's only
/// counterpart, so that the proof knows every character that is equal to another.
pub(crate) fn fold(character: char) -> char {
    let lower = single_of(character.to_lowercase());
    let back = lower.and_then(|lower| single_of(lower.to_uppercase()));
    match (lower, back) {
        (Some(lower), Some(back)) if back == character => lower,
        _ => character,
    }
}

fn single_of(mut mapped: impl Iterator<Item = char>) -> Option<char> {
    let first = mapped.next()?;
    mapped.next().is_none().then_some(first)
}

/// A number: exact where both sides are whole, otherwise a double.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Number {
    Whole(i128),
    Real(f64),
}

impl Number {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Ok(whole) = text.parse() {
            return Some(Self::Whole(whole));
        }
        let looks_numeric = text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+' | b'e' | b'E'));
        if !looks_numeric {
            return None;
        }
        text.parse()
            .ok()
            .filter(|real: &f64| real.is_finite())
            .map(Self::Real)
    }

    pub(crate) fn compare(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Whole(own), Self::Whole(others)) => Some(own.cmp(&others)),
            _ => self.real().partial_cmp(&other.real()),
        }
    }

    /// The value as a double.
    pub(crate) fn real(self) -> f64 {
        match self {
            // Through text, because the lints forbid a lossy cast and doubles have no `From<i128>`.
            Self::Whole(whole) => whole.to_string().parse().unwrap_or(f64::NAN),
            Self::Real(real) => real,
        }
    }
}

/// An instant as nanoseconds since 1970: ISO 8601 in the W3C forms, or seconds of the epoch.
/// `2026` is a year, any other whole number an epoch.
pub(crate) fn instant(text: &str) -> Option<i128> {
    let text = text.trim();
    if text.len() != 4
        && let Some(Number::Whole(seconds)) = Number::parse(text)
    {
        return seconds.checked_mul(1_000_000_000);
    }
    if let Ok(exact) = DateTime::parse_from_rfc3339(text) {
        return nanoseconds(exact.to_utc());
    }
    for form in [
        "%Y-%m-%dT%H:%M%:z",
        "%Y-%m-%dT%H:%M:%S%.f%z",
        "%Y-%m-%dT%H:%M%z",
        "%Y%m%dT%H%M%S%.f%z",
    ] {
        if let Ok(exact) = DateTime::parse_from_str(text, form) {
            return nanoseconds(exact.to_utc());
        }
    }
    let local = text.strip_suffix('Z').unwrap_or(text);
    for form in ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y%m%dT%H%M%S%.f"] {
        if let Ok(exact) = NaiveDateTime::parse_from_str(local, form) {
            return nanoseconds(exact.and_utc());
        }
    }
    let day = match local.len() {
        4 => format!("{local}-01-01"),
        7 => format!("{local}-01"),
        _ => local.to_owned(),
    };
    let day = NaiveDate::parse_from_str(&day, "%Y-%m-%d").ok()?;
    nanoseconds(day.and_hms_opt(0, 0, 0)?.and_utc())
}

fn nanoseconds(exact: DateTime<Utc>) -> Option<i128> {
    i128::from(exact.timestamp())
        .checked_mul(1_000_000_000)?
        .checked_add(i128::from(exact.timestamp_subsec_nanos()))
}

/// An IPv4 or IPv6 network in CIDR form; an address alone is a network of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Network {
    /// The address, with the host's bits cleared.
    base: u128,
    mask: u128,
    width: u32,
}

impl Network {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (address, length) = match text.trim().split_once('/') {
            Some((address, length)) => (address, Some(length.parse::<u32>().ok()?)),
            None => (text.trim(), None),
        };
        let (bits, width) = bits(address.parse().ok()?);
        let length = length.unwrap_or(width);
        let host = width.checked_sub(length)?;
        let all = u128::MAX.checked_shr(128 - width).unwrap_or(0);
        let mask = u128::MAX.checked_shl(host).unwrap_or(0) & all;
        Some(Self {
            base: bits & mask,
            mask,
            width,
        })
    }

    pub(crate) fn contains(self, address: IpAddr) -> bool {
        let (bits, width) = bits(address);
        width == self.width && bits & self.mask == self.base
    }

    /// Addresses at and just beyond the borders, for the proof's choice of representatives.
    pub(crate) fn borders(self) -> Vec<IpAddr> {
        let all = u128::MAX.checked_shr(128 - self.width).unwrap_or(0);
        let last = self.base | (all & !self.mask);
        [
            self.base.checked_sub(1),
            Some(self.base),
            Some(last),
            last.checked_add(1).filter(|next| *next <= all),
        ]
        .into_iter()
        .flatten()
        .filter_map(|bits| address(bits, self.width))
        .collect()
    }
}

fn bits(address: IpAddr) -> (u128, u32) {
    match address {
        IpAddr::V4(four) => (u128::from(u32::from(four)), 32),
        IpAddr::V6(six) => (u128::from(six), 128),
    }
}

fn address(bits: u128, width: u32) -> Option<IpAddr> {
    if width == 32 {
        u32::try_from(bits).ok().map(|four| IpAddr::V4(four.into()))
    } else {
        Some(IpAddr::V6(bits.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_in_every_w3c_form_agree() {
        let expected = instant("2026-01-01T00:00:00Z");
        assert!(expected.is_some());
        for text in [
            "2026",
            "2026-01",
            "2026-01-01",
            "2026-01-01T00:00Z",
            "2026-01-01T00:00:00.0Z",
            "2026-01-01T02:00:00+02:00",
            "1767225600",
            "2026-01-01T00:00:00+0000",
        ] {
            assert_eq!(instant(text), expected, "{text}");
        }
        assert_eq!(instant("yesterday"), None);
    }

    #[test]
    fn networks_ignore_host_bits_and_never_cross_families() {
        let network = Network::parse("203.0.113.77/24");
        assert_eq!(network, Network::parse("203.0.113.0/24"));
        assert!(
            network.is_some_and(|network| "203.0.113.255"
                .parse()
                .is_ok_and(|ip| network.contains(ip)))
        );
        assert!(network.is_some_and(|network| "::1".parse().is_ok_and(|ip| !network.contains(ip))));
        assert!(Network::parse("0.0.0.0/0").is_some_and(|network| {
            "255.255.255.255"
                .parse()
                .is_ok_and(|ip| network.contains(ip))
        }));
        assert_eq!(Network::parse("10.0.0.0/33"), None);
    }
}
