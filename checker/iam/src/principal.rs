//! Who asks, and whom a resource policy names.
//!
//! In: the ARN, service or provider of a caller, and the `Principal` or `NotPrincipal` element of a statement.
//! Out: how the element reaches the caller ([`Reach`]), which decides what else has to allow the request.
//! Rules, from the IAM user guide ("Policy elements: Principal"): an account (number or `:root` ARN) means
//! everybody in it; a role's ARN means its sessions too; a wildcard inside an ARN is not expanded; `*` is everybody.
//! Does not know unique ids (`AROA..`): they name principals that were deleted, so they match nobody.

use thiserror::Error;

use crate::arn::is_account;

/// The caller of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    text: Box<str>,
    kind: Kind,
    account: Option<Box<str>>,
    derived: Vec<(&'static str, String)>,
}

/// What sort of caller it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// The root user of an account.
    Root,
    /// An IAM user.
    User,
    /// A role's ARN, standing for any session of it.
    Role,
    /// A session of the named role.
    Session {
        /// The role's name without its path, which a session's ARN doesn't have.
        role: Box<str>,
    },
    /// A federated user (`GetFederationToken`).
    FederatedUser,
    /// An AWS service.
    Service,
    /// A SAML or `OpenID` Connect provider, before a role is assumed.
    Provider,
    /// Nobody in particular.
    Anonymous,
}

/// A text that names no caller.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "`{text}` is not a principal: expected an ARN of a user, role, session or account, a service name, or `*`"
)]
pub struct PrincipalError {
    text: String,
}

impl Principal {
    /// Reads a caller: an ARN, a twelve-digit account (its root user), a service such as
    /// `lambda.amazonaws.com`, an identity provider's name, or `*` (anonymous).
    pub fn parse(text: &str) -> Result<Self, PrincipalError> {
        let error = || PrincipalError {
            text: text.to_owned(),
        };
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let (kind, account) = match parts.as_slice() {
            ["*" | "anonymous"] => (Kind::Anonymous, None),
            [account] if is_account(account) => (Kind::Root, Some(*account)),
            [name] if is_service(name) => (Kind::Service, None),
            [name] if is_provider(name) => (Kind::Provider, None),
            ["arn", _, "iam" | "sts", _, account, local] if is_account(account) => {
                (Kind::parse(local).ok_or_else(error)?, Some(*account))
            }
            _ => return Err(error()),
        };
        let mut principal = Self {
            text: text.into(),
            kind,
            account: account.map(Into::into),
            derived: Vec::new(),
        };
        principal.derived = principal.derive();
        Ok(principal)
    }

    /// The text as given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What sort of caller it is.
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// The account that the caller belongs to; services, providers and anonymous callers have none.
    pub fn account(&self) -> Option<&str> {
        self.account.as_deref()
    }

    /// A role that AWS services own; service control policies don't apply to it.
    pub fn is_service_linked_role(&self) -> bool {
        match &self.kind {
            Kind::Role => self
                .text
                .splitn(6, ':')
                .nth(5)
                .is_some_and(|local| local.starts_with("role/aws-service-role/")),
            Kind::Session { role } => role.starts_with("AWSServiceRoleFor"),
            Kind::Root
            | Kind::User
            | Kind::FederatedUser
            | Kind::Service
            | Kind::Provider
            | Kind::Anonymous => false,
        }
    }

    /// Whether the caller has identity policies at all (users, roles, sessions, the root user).
    pub(crate) fn has_identity(&self) -> bool {
        match self.kind {
            Kind::Root | Kind::User | Kind::Role | Kind::Session { .. } | Kind::FederatedUser => {
                true
            }
            Kind::Service | Kind::Provider | Kind::Anonymous => false,
        }
    }

    /// The value of a context key that follows from who asks; keys are lower-cased.
    pub(crate) fn derived(&self, key: &str) -> Option<&str> {
        self.derived
            .iter()
            .find(|(name, _)| *name == key)
            .map(|(_, value)| value.as_str())
    }

    fn derive(&self) -> Vec<(&'static str, String)> {
        let mut keys = Vec::new();
        let kind = match self.kind {
            Kind::Root => "Account",
            Kind::User => "User",
            Kind::Role | Kind::Session { .. } => "AssumedRole",
            Kind::FederatedUser => "FederatedUser",
            Kind::Service => "Service",
            Kind::Provider | Kind::Anonymous => "Anonymous",
        };
        if self.kind != Kind::Service && self.kind != Kind::Provider {
            keys.push(("aws:principaltype", kind.to_owned()));
        }
        keys.push((
            "aws:principalisawsservice",
            (self.kind == Kind::Service).to_string(),
        ));
        if let Some(account) = &self.account {
            keys.push(("aws:principalaccount", account.to_string()));
        }
        if let Some(arn) = self.principal_arn() {
            keys.push(("aws:principalarn", arn));
        }
        if self.kind == Kind::User
            && let Some((_, name)) = self.text.rsplit_once('/')
        {
            keys.push(("aws:username", name.to_owned()));
        }
        if self.kind == Kind::Service {
            keys.push(("aws:principalservicename", self.text.to_string()));
        }
        keys
    }

    /// The value of `aws:PrincipalArn`: for a session the role's ARN. A session doesn't show its role's path;
    /// for roles that are known to have one the key stays missing.
    fn principal_arn(&self) -> Option<String> {
        match &self.kind {
            Kind::User | Kind::Role | Kind::FederatedUser => Some(self.text.to_string()),
            Kind::Root => {
                let account = self.account.as_deref()?;
                Some(if self.text.starts_with("arn:") {
                    self.text.to_string()
                } else {
                    format!("arn:aws:iam::{account}:root")
                })
            }
            Kind::Session { role } => {
                if role.starts_with("AWSReservedSSO_") || role.starts_with("AWSServiceRoleFor") {
                    return None;
                }
                let partition = self.text.split(':').nth(1)?;
                Some(format!(
                    "arn:{partition}:iam::{}:role/{role}",
                    self.account.as_deref()?
                ))
            }
            Kind::Service | Kind::Provider | Kind::Anonymous => None,
        }
    }
}

impl Kind {
    fn parse(local: &str) -> Option<Self> {
        if local == "root" {
            return Some(Self::Root);
        }
        let (kind, name) = local.split_once('/')?;
        if name.is_empty() || name.contains('*') {
            return None;
        }
        match kind {
            "user" => Some(Self::User),
            "role" => Some(Self::Role),
            "assumed-role" => name
                .split_once('/')
                .map(|(role, _)| Self::Session { role: role.into() }),
            "federated-user" => Some(Self::FederatedUser),
            "saml-provider" | "oidc-provider" => Some(Self::Provider),
            _ => None,
        }
    }
}

fn is_service(name: &str) -> bool {
    [
        ".amazonaws.com",
        ".amazonaws.com.cn",
        ".amazon.com",
        ".aws.internal",
        ".aws.com",
    ]
    .iter()
    .any(|end| name.ends_with(end))
        && !matches!(name, "www.amazon.com" | "cognito-identity.amazonaws.com")
}

fn is_provider(name: &str) -> bool {
    name.contains('.')
        && name.chars().all(|character| {
            character.is_ascii_alphanumeric() || matches!(character, '.' | '-' | '_' | '/')
        })
}

/// How an element reaches a caller, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reach {
    /// Not at all.
    No,
    /// Through the account: in an Allow that is delegation to the account's identity policies.
    Account,
    /// Through the role's ARN: boundaries and session policies still have to allow.
    Role,
    /// By the caller's own name, or `*`.
    Direct,
}

/// The `Principal` or `NotPrincipal` element of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Principals {
    pub(crate) negated: bool,
    pub(crate) named: Vec<Named>,
}

/// One entry of the element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Named {
    Everyone,
    /// An account's number.
    Account(Box<str>),
    /// The ARN of a user, role, session or federated user.
    Arn(Box<str>),
    Service(Box<str>),
    Provider(Box<str>),
    /// A canonical user, a unique id, or an ARN with a wildcard: reaches nobody.
    Nobody(Box<str>),
}

impl Named {
    /// Reads one entry under the given member (`AWS`, `Service`, `Federated`, `CanonicalUser`).
    pub(crate) fn parse(member: &str, text: &str) -> Option<Self> {
        Some(match member {
            "AWS" if text == "*" => Self::Everyone,
            "AWS" if is_account(text) => Self::Account(text.into()),
            "AWS" if text.contains('*') => Self::Nobody(text.into()),
            "AWS" => match text.splitn(6, ':').collect::<Vec<_>>().as_slice() {
                ["arn", _, "iam", _, account, "root"] => Self::Account((*account).into()),
                ["arn", _, "iam" | "sts", ..] => Self::Arn(text.into()),
                _ => Self::Nobody(text.into()),
            },
            "Service" if text == "*" => Self::Nobody(text.into()),
            "Service" => Self::Service(text.into()),
            "Federated" => Self::Provider(text.into()),
            "CanonicalUser" => Self::Nobody(text.into()),
            _ => return None,
        })
    }

    /// How this entry reaches the caller.
    pub(crate) fn reach(&self, caller: &Principal) -> Reach {
        let exact = |name: &str| {
            if name == caller.as_str() {
                Reach::Direct
            } else {
                Reach::No
            }
        };
        match self {
            Self::Everyone => Reach::Direct,
            Self::Account(account) if caller.account() == Some(account) => match caller.kind() {
                Kind::Root => Reach::Direct,
                Kind::User | Kind::Role | Kind::Session { .. } | Kind::FederatedUser => {
                    Reach::Account
                }
                Kind::Service | Kind::Provider | Kind::Anonymous => Reach::No,
            },
            Self::Arn(arn) => match caller.kind() {
                Kind::Role if &**arn == caller.as_str() => Reach::Role,
                Kind::Session { role } if is_role(arn, caller, role) => Reach::Role,
                Kind::Root
                | Kind::User
                | Kind::Role
                | Kind::Session { .. }
                | Kind::FederatedUser
                | Kind::Service
                | Kind::Provider
                | Kind::Anonymous => exact(arn),
            },
            Self::Service(name) if *caller.kind() == Kind::Service => exact(name),
            Self::Provider(name) if *caller.kind() == Kind::Provider => {
                if &**name == "*" {
                    Reach::Direct
                } else {
                    exact(name)
                }
            }
            Self::Account(_) | Self::Service(_) | Self::Provider(_) | Self::Nobody(_) => Reach::No,
        }
    }
}

/// Whether the ARN is that of the role behind a session; the role's path is not part of a session's ARN.
fn is_role(arn: &str, session: &Principal, role: &str) -> bool {
    let account = session.account().unwrap_or_default();
    matches!(arn.splitn(6, ':').collect::<Vec<_>>().as_slice(), ["arn", _, "iam", _, owner, local]
        if *owner == account && local.starts_with("role/") && local.rsplit_once('/').is_some_and(|(_, name)| name == role))
}

impl Principals {
    /// The sessions of a role that the element names one by one.
    pub(crate) fn sessions_of(&self, role: &Principal) -> impl Iterator<Item = Principal> {
        self.named.iter().filter_map(|named| {
            let Named::Arn(arn) = named else { return None };
            let session = Principal::parse(arn).ok()?;
            let Kind::Session { role: name } = session.kind() else {
                return None;
            };
            is_role(role.as_str(), &session, name).then_some(session)
        })
    }

    /// How the element reaches the caller. `bounded`: the caller has a permission boundary, for which AWS
    /// documents that a Deny with `NotPrincipal` always applies.
    pub(crate) fn reach(&self, caller: &Principal, deny: bool, bounded: bool) -> Reach {
        let best = self
            .named
            .iter()
            .map(|named| named.reach(caller))
            .max()
            .unwrap_or(Reach::No);
        if !self.negated {
            return best;
        }
        let everyone = self.named.contains(&Named::Everyone);
        let exempt = if deny {
            match caller.kind() {
                // A session is exempt only when both its own ARN and its role's are listed.
                Kind::Session { .. } if !everyone => {
                    best == Reach::Direct
                        && self
                            .named
                            .iter()
                            .any(|named| named.reach(caller) == Reach::Role)
                }
                Kind::Role => best >= Reach::Role,
                Kind::Root
                | Kind::User
                | Kind::Session { .. }
                | Kind::FederatedUser
                | Kind::Service
                | Kind::Provider
                | Kind::Anonymous => best == Reach::Direct,
            }
        } else {
            best > Reach::No
        };
        if exempt && !(deny && bounded && !everyone) {
            Reach::No
        } else {
            Reach::Direct
        }
    }
}
