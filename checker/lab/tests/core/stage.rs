//! A lab with a role and a function, for the tests.

use std::io::{Cursor, Write as _};

use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{Environment, FunctionCode, Runtime};
use aws_sdk_secretsmanager::types::RotationRulesType;
use checker_lab::{Lab, LabOptions};
use zip::write::SimpleFileOptions;

pub(crate) struct Stage {
    pub(crate) lab: Lab,
    pub(crate) iam: aws_sdk_iam::Client,
    pub(crate) kms: aws_sdk_kms::Client,
    pub(crate) lambda: aws_sdk_lambda::Client,
    pub(crate) secrets: aws_sdk_secretsmanager::Client,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        Self::with(LabOptions::default()).await
    }

    pub(crate) async fn with(options: LabOptions) -> Self {
        let lab = Lab::start(options).await.unwrap();
        let config = lab.sdk_config();
        Self {
            iam: aws_sdk_iam::Client::new(&config),
            kms: aws_sdk_kms::Client::new(&config),
            lambda: aws_sdk_lambda::Client::new(&config),
            secrets: aws_sdk_secretsmanager::Client::new(&config),
            lab,
        }
    }

    /// A role with a trust in Lambda, and a function of that role that Secrets Manager may invoke.
    pub(crate) async fn function(&self, name: &str, mode: &str) -> String {
        let role = self
            .iam
            .create_role()
            .role_name(name)
            .assume_role_policy_document(r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#)
            .send()
            .await
            .unwrap();
        self.iam
            .put_role_policy()
            .role_name(name)
            .policy_name("rotate")
            .policy_document(r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["secretsmanager:*","kms:*"],"Resource":"*"}]}"#)
            .send()
            .await
            .unwrap();
        let function = self
            .lambda
            .create_function()
            .function_name(name)
            .role(role.role.unwrap().arn)
            .runtime(Runtime::Providedal2023)
            .handler("bootstrap")
            .timeout(2)
            .environment(Environment::builder().variables("MODE", mode).build())
            .code(FunctionCode::builder().zip_file(Blob::new(zip())).build())
            .send()
            .await
            .unwrap();
        self.lambda
            .add_permission()
            .function_name(name)
            .statement_id("rotation")
            .action("lambda:InvokeFunction")
            .principal("secretsmanager.amazonaws.com")
            .source_account(self.lab.account())
            .send()
            .await
            .unwrap();
        function.function_arn.unwrap()
    }

    pub(crate) async fn set_mode(&self, name: &str, mode: &str) {
        self.lambda
            .update_function_configuration()
            .function_name(name)
            .environment(Environment::builder().variables("MODE", mode).build())
            .send()
            .await
            .unwrap();
    }

    /// A secret without a value.
    pub(crate) async fn secret(&self, name: &str) -> String {
        let created = self.secrets.create_secret().name(name).send().await;
        created.unwrap().arn.unwrap()
    }

    /// The versions and stages of a secret.
    pub(crate) async fn stages(&self, id: &str) -> Vec<(String, Vec<String>)> {
        let described = self.secrets.describe_secret().secret_id(id).send().await;
        let mut stages: Vec<_> = described
            .unwrap()
            .version_ids_to_stages
            .unwrap_or_default()
            .into_iter()
            .collect();
        stages.sort();
        stages
    }

    /// The version that carries a label.
    pub(crate) async fn staged(&self, id: &str, stage: &str) -> Option<String> {
        let stages = self.stages(id).await;
        let held = stages
            .into_iter()
            .find(|(_, stages)| stages.iter().any(|each| each == stage));
        held.map(|(id, _)| id)
    }
}

pub(crate) fn every(days: i64) -> RotationRulesType {
    RotationRulesType::builder()
        .automatically_after_days(days)
        .build()
}

/// A zip whose `bootstrap` starts this test binary as the function's process.
pub(crate) fn zip() -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().unix_permissions(0o755);
    writer.start_file("bootstrap", options).unwrap();
    let path = std::env::current_exe().unwrap();
    let selected = "function::process --exact --nocapture --quiet";
    write!(writer, "#!/bin/sh\nexec '{}' {selected}\n", path.display()).unwrap();
    writer.finish().unwrap().into_inner()
}
