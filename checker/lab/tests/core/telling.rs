//! What Secrets Manager tells by itself: labels that moved, rotations that were abandoned.

use aws_sdk_eventbridge::types::Target;
use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::Value;

use crate::stage::{Stage, every};

/// A queue that gets every event of Secrets Manager that a rule in plain `ENABLED` sees.
async fn queue(stage: &Stage) -> aws_sdk_sqs::Client {
    let config = stage.lab.sdk_config();
    let sqs = aws_sdk_sqs::Client::new(&config);
    let arn = format!(
        "arn:aws:sqs:{}:{}:told",
        stage.lab.region(),
        stage.lab.account()
    );
    let policy = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{{"Service":"events.amazonaws.com"}},"Action":"sqs:SendMessage","Resource":"{arn}"}}]}}"#
    );
    let create = sqs.create_queue().queue_name("told");
    create
        .attributes(QueueAttributeName::Policy, policy)
        .send()
        .await
        .unwrap();
    let events = aws_sdk_eventbridge::Client::new(&config);
    let rule = events.put_rule().name("told");
    rule.event_pattern(r#"{"source":["aws.secretsmanager"]}"#)
        .send()
        .await
        .unwrap();
    let target = Target::builder().id("queue").arn(arn).build().unwrap();
    events
        .put_targets()
        .rule("told")
        .targets(target)
        .send()
        .await
        .unwrap();
    sqs
}

async fn told(sqs: &aws_sdk_sqs::Client) -> Vec<(String, String)> {
    let url = sqs
        .get_queue_url()
        .queue_name("told")
        .send()
        .await
        .unwrap()
        .queue_url;
    let mut all = Vec::new();
    loop {
        let received = sqs
            .receive_message()
            .set_queue_url(url.clone())
            .max_number_of_messages(10);
        let received = received.send().await.unwrap();
        if received.messages().is_empty() {
            all.sort();
            return all;
        }
        for message in received.messages() {
            let event: Value = serde_json::from_str(message.body().unwrap()).unwrap();
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let label = text(&event["detail"]["labelUpdated"]);
            let name = text(&event["detail"]["eventName"]);
            all.push((
                text(&event["detail-type"]),
                if name.is_empty() { label } else { name },
            ));
        }
    }
}

#[tokio::test]
async fn a_label_that_moves_is_told_without_a_trail() {
    let stage = Stage::new().await;
    let sqs = queue(&stage).await;
    let function = stage.function("rotation", "").await;
    let secret = stage.secret("bank/one").await;
    assert_eq!(told(&sqs).await, []);
    let rotate = stage.secrets.rotate_secret().secret_id(&secret);
    rotate
        .rotation_lambda_arn(function)
        .rotation_rules(every(90))
        .send()
        .await
        .unwrap();
    stage.lab.settle().await;
    let label = "Secret Label Updated".to_owned();
    assert_eq!(told(&sqs).await, [(label, "AWSCURRENT".to_owned())]);
}

#[tokio::test]
async fn a_value_written_by_hand_abandons_a_rotation_that_hangs() {
    let stage = Stage::new().await;
    let trails = aws_sdk_cloudtrail::Client::new(&stage.lab.sdk_config());
    trails
        .create_trail()
        .name("trail")
        .s3_bucket_name("bucket")
        .send()
        .await
        .unwrap();
    trails.start_logging().name("trail").send().await.unwrap();
    let sqs = queue(&stage).await;
    let function = stage.function("rotation", "hang").await;
    let secret = stage.secret("bank/one").await;
    let rotate = stage.secrets.rotate_secret().secret_id(&secret);
    rotate
        .rotation_lambda_arn(function)
        .rotation_rules(every(90))
        .send()
        .await
        .unwrap();
    stage
        .secrets
        .put_secret_value()
        .secret_id(&secret)
        .secret_string("x")
        .send()
        .await
        .unwrap();
    stage
        .secrets
        .get_secret_value()
        .secret_id(&secret)
        .send()
        .await
        .unwrap();
    stage.lab.settle().await;
    assert_eq!(stage.staged(&secret, "AWSPENDING").await, None);
    let told = told(&sqs).await;
    let count = |name: &str| told.iter().filter(|(_, each)| each == name).count();
    assert_eq!(count("RotationStarted"), 1);
    assert_eq!(count("RotationAbandoned"), 1);
    assert_eq!(count("RotationFailed"), 0);
    assert_eq!(count("PutSecretValue"), 1);
    assert_eq!(
        count("GetSecretValue"),
        0,
        "a plain rule does not see what only reads"
    );
    assert_eq!(count("AWSCURRENT"), 1);
}
