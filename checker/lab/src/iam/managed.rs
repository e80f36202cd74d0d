//! The policies of AWS that the lab knows; attaching any other is `NoSuchEntity`.
//!
//! Ids, versions and texts are AWS's. Only those stand here that programs of this kind attach.

/// When all of them were made, as far as the lab is concerned (2015-02-06T18:40:00Z).
pub(super) const CREATED: i64 = 1_423_248_000;

/// A policy that AWS manages.
#[derive(Debug)]
pub(super) struct ManagedPolicy {
    pub(super) arn: &'static str,
    pub(super) id: &'static str,
    pub(super) version: &'static str,
    pub(super) document: &'static str,
}

/// The policy with this ARN.
pub(super) fn find(arn: &str) -> Option<&'static ManagedPolicy> {
    ALL.iter().find(|policy| policy.arn == arn)
}

/// All of them, in order of ARN.
pub(super) static ALL: [ManagedPolicy; 3] = [
    ManagedPolicy {
        arn: "arn:aws:iam::aws:policy/AdministratorAccess",
        id: "ANPAIWMBCKSKIEE64ZLYK",
        version: "v1",
        document: r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#,
    },
    ManagedPolicy {
        arn: "arn:aws:iam::aws:policy/PowerUserAccess",
        id: "ANPAJYRXTHIB4FOVS3ZXS",
        version: "v5",
        document: r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","NotAction":["iam:*","organizations:*","account:*"],"Resource":"*"},{"Effect":"Allow","Action":["account:GetAccountInformation","account:GetPrimaryEmail","account:ListRegions","iam:CreateServiceLinkedRole","iam:DeleteServiceLinkedRole","iam:ListRoles","organizations:DescribeEffectivePolicy","organizations:DescribeOrganization"],"Resource":"*"}]}"#,
    },
    ManagedPolicy {
        arn: "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole",
        id: "ANPAJNCQGXC42545SKXIK",
        version: "v1",
        document: r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["logs:CreateLogGroup","logs:CreateLogStream","logs:PutLogEvents"],"Resource":"*"}]}"#,
    },
];
