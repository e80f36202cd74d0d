//! Who may read which secrets: `ALLOWED_ROLE_PATTERNS`, comma-separated exact role ARNs, each with an optional
//! `=prefix` of secret names it may read. A bare ARN may read any; an ARN may stand there several times.
//!
//! The setting keeps its historical name, but there are no patterns: an ARN is compared as a whole. A list
//! that is empty or has one entry that cannot be read is broken as a whole and allows nobody. Role names that
//! contain a comma or an equals sign cannot be listed.

use std::collections::BTreeMap;

/// The setting, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllowList {
    /// The list is usable.
    Listed(BTreeMap<String, Reach>),
    /// The list is empty or has an entry that is none; everything is alarming until it is mended.
    Broken,
}

/// The secrets that a role may read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// Every secret.
    Any,
    /// Secrets whose name begins with one of these.
    Prefixes(Vec<String>),
}

impl AllowList {
    /// Reads the setting; absent counts as empty.
    pub fn parse(setting: Option<&str>) -> Self {
        let mut listed = BTreeMap::new();
        for entry in setting.unwrap_or_default().split(',') {
            let (arn, prefix) = match entry.trim().split_once('=') {
                Some((arn, prefix)) => (arn.trim(), Some(prefix.trim())),
                None => (entry.trim(), None),
            };
            if role_account(arn).is_none() || prefix == Some("") {
                return Self::Broken;
            }
            let reach = listed
                .entry(arn.to_owned())
                .or_insert_with(|| Reach::Prefixes(Vec::new()));
            match (prefix, reach) {
                (None, reach) => *reach = Reach::Any,
                (Some(_), Reach::Any) => {}
                (Some(prefix), Reach::Prefixes(prefixes)) => prefixes.push(prefix.to_owned()),
            }
        }
        Self::Listed(listed)
    }

    /// The roles on the list.
    pub fn roles(&self) -> impl Iterator<Item = &str> {
        let listed = match self {
            Self::Listed(listed) => Some(listed),
            Self::Broken => None,
        };
        listed
            .into_iter()
            .flat_map(BTreeMap::keys)
            .map(String::as_str)
    }

    /// What `role` may read; `None` if it is not on the list.
    pub fn reach(&self, role: &str) -> Option<&Reach> {
        match self {
            Self::Listed(listed) => listed.get(role),
            Self::Broken => None,
        }
    }
}

impl Reach {
    /// Whether a secret of this name is within reach.
    pub fn covers(&self, secret_name: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Prefixes(prefixes) => prefixes
                .iter()
                .any(|prefix| secret_name.starts_with(prefix)),
        }
    }
}

/// The account of an exact role ARN; `None` for anything else, wildcards included.
pub fn role_account(arn: &str) -> Option<&str> {
    let mut parts = arn.splitn(6, ':');
    let (Some("arn"), Some(partition), Some("iam"), Some(""), Some(account), Some(resource)) = (
        parts.next(),
        parts.next(),
        parts.next(),
        parts.next(),
        parts.next(),
        parts.next(),
    ) else {
        return None;
    };
    let name = resource.strip_prefix("role/")?;
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-/".contains(&byte);
    let usable = partition.starts_with("aws")
        && account.len() == 12
        && account.bytes().all(|byte| byte.is_ascii_digit())
        && !name.is_empty()
        && !name.ends_with('/')
        && name.bytes().all(legal);
    usable.then_some(account)
}

#[cfg(test)]
mod tests {
    use super::{AllowList, Reach};

    const A: &str = "arn:aws:iam::111122223333:role/a";

    #[test]
    fn entries_are_exact_arns_with_optional_prefixes() {
        let list = AllowList::parse(Some(&format!(
            " {A}=bank/pay/ , {A}=bank/x,arn:aws:iam::111122223333:role/team/b"
        )));
        assert_eq!(
            list.reach(A),
            Some(&Reach::Prefixes(vec![
                "bank/pay/".to_owned(),
                "bank/x".to_owned()
            ]))
        );
        assert_eq!(
            list.reach("arn:aws:iam::111122223333:role/team/b"),
            Some(&Reach::Any)
        );
        assert_eq!(list.reach("arn:aws:iam::111122223333:role/b"), None);
        assert!(
            list.reach(A)
                .is_some_and(|reach| reach.covers("bank/pay/db") && !reach.covers("bank/paid"))
        );
    }

    #[test]
    fn a_bare_arn_widens_in_any_order() {
        for text in [format!("{A},{A}=x"), format!("{A}=x,{A}")] {
            assert_eq!(AllowList::parse(Some(&text)).reach(A), Some(&Reach::Any));
        }
    }

    #[test]
    fn an_empty_or_broken_list_allows_nobody() {
        for text in [
            "",
            " ",
            ",",
            "rotation",
            "arn:aws:iam::111122223333:role/*",
            "arn:aws:iam::*:role/a",
            "arn:aws:sts::111122223333:assumed-role/a/s",
            "arn:aws:iam::111122223333:user/a",
            "arn:aws:iam::111122223333:role/",
            &format!("{A},"),
            &format!("{A}="),
            &format!("{A};{A}"),
        ] {
            assert_eq!(AllowList::parse(Some(text)), AllowList::Broken, "{text}");
        }
        assert_eq!(AllowList::parse(None), AllowList::Broken);
    }
}
