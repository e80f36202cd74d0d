//! SNS and SQS through the real SDK clients.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use aws_sdk_sns::error::ProvideErrorMetadata;
use aws_sdk_sns::types::MessageAttributeValue;
use aws_sdk_sqs::types::{Message, MessageSystemAttributeName, QueueAttributeName};
use checker_lab::{Lab, LabOptions};

struct Both {
    lab: Lab,
    sns: aws_sdk_sns::Client,
    sqs: aws_sdk_sqs::Client,
}

async fn start() -> Both {
    let lab = Lab::start(LabOptions::default()).await.unwrap();
    let (sns, sqs) = (
        aws_sdk_sns::Client::new(&lab.sdk_config()),
        aws_sdk_sqs::Client::new(&lab.sdk_config()),
    );
    Both { lab, sns, sqs }
}

fn code<T, E: ProvideErrorMetadata>(answer: Result<T, E>) -> String {
    match answer {
        Ok(_) => "accepted".to_owned(),
        Err(error) => error.code().unwrap_or("none").to_owned(),
    }
}

impl Both {
    fn arn(&self, service: &str, name: &str) -> String {
        format!(
            "arn:aws:{service}:{}:{}:{name}",
            self.lab.region(),
            self.lab.account()
        )
    }

    /// A queue that a topic may send to, or nobody.
    async fn queue(&self, name: &str, topic: Option<&str>) -> String {
        let mut create = self.sqs.create_queue().queue_name(name);
        if let Some(topic) = topic {
            let policy = format!(
                r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{{"Service":"sns.amazonaws.com"}},"Action":"sqs:SendMessage","Resource":"{}","Condition":{{"ArnEquals":{{"aws:SourceArn":"{topic}"}}}}}}]}}"#,
                self.arn("sqs", name)
            );
            create = create.attributes(QueueAttributeName::Policy, policy);
        }
        create.send().await.unwrap().queue_url().unwrap().to_owned()
    }

    async fn topic(&self, name: &str) -> String {
        self.sns
            .create_topic()
            .name(name)
            .send()
            .await
            .unwrap()
            .topic_arn()
            .unwrap()
            .to_owned()
    }

    async fn receive(&self, url: &str) -> Vec<Message> {
        let receive = self
            .sqs
            .receive_message()
            .queue_url(url)
            .max_number_of_messages(10);
        let receive = receive
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .message_attribute_names("All");
        receive.send().await.unwrap().messages.unwrap_or_default()
    }
}

fn text(value: &str) -> MessageAttributeValue {
    MessageAttributeValue::builder()
        .data_type("String")
        .string_value(value)
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_topic_reaches_the_queues_that_let_it_in() {
    let both = start().await;
    let topic = both.topic("alerts").await;
    let open = both.queue("open", Some(&topic)).await;
    let closed = both.queue("closed", None).await;
    for name in ["open", "closed"] {
        let answer = both
            .sns
            .subscribe()
            .topic_arn(&topic)
            .protocol("sqs")
            .endpoint(both.arn("sqs", name))
            .send()
            .await;
        assert!(
            answer
                .unwrap()
                .subscription_arn()
                .unwrap()
                .starts_with(&topic)
        );
    }
    both.sns
        .publish()
        .topic_arn(&topic)
        .subject("[SYNTHETIC] x")
        .message("hello")
        .message_attributes("severity", text("high"))
        .send()
        .await
        .unwrap();
    let messages = both.receive(&open).await;
    let body: serde_json::Value =
        serde_json::from_str(messages.first().unwrap().body().unwrap()).unwrap();
    assert_eq!(body.get("Message").unwrap(), "hello");
    assert_eq!(body.get("TopicArn").unwrap(), topic.as_str());
    assert_eq!(
        body.pointer("/MessageAttributes/severity/Value").unwrap(),
        "high"
    );
    let sent = messages
        .first()
        .unwrap()
        .attributes()
        .unwrap()
        .get(&MessageSystemAttributeName::SentTimestamp)
        .unwrap();
    assert!(sent.parse::<i64>().unwrap() > 0);
    assert!(both.receive(&closed).await.is_empty());

    let listed = both
        .sns
        .list_subscriptions_by_topic()
        .topic_arn(&topic)
        .send()
        .await
        .unwrap();
    assert_eq!(listed.subscriptions().len(), 2);
    let mail = both
        .sns
        .subscribe()
        .topic_arn(&topic)
        .protocol("email")
        .endpoint("a@bank.example")
        .send()
        .await
        .unwrap();
    assert_eq!(mail.subscription_arn(), Some("pending confirmation"));
    let attributes = both
        .sns
        .get_topic_attributes()
        .topic_arn(&topic)
        .send()
        .await
        .unwrap();
    let count = |name: &str| attributes.attributes().unwrap().get(name).cloned().unwrap();
    assert_eq!(
        (
            count("SubscriptionsConfirmed"),
            count("SubscriptionsPending")
        ),
        ("2".to_owned(), "1".to_owned())
    );
}

#[tokio::test]
async fn filters_and_raw_delivery() {
    let both = start().await;
    let topic = both.topic("alerts").await;
    let url = both.queue("oncall", Some(&topic)).await;
    let subscribe = |policy: &str| {
        let subscribe = both
            .sns
            .subscribe()
            .topic_arn(&topic)
            .protocol("sqs")
            .endpoint(both.arn("sqs", "oncall"));
        subscribe
            .attributes("FilterPolicy", policy)
            .attributes("RawMessageDelivery", "true")
    };
    assert_eq!(
        code(subscribe(r#"{"synthetic":"true"}"#).send().await),
        "InvalidParameter"
    );
    subscribe(r#"{"synthetic":[{"exists":false},{"anything-but":["true"]}]}"#)
        .send()
        .await
        .unwrap();
    for synthetic in [None, Some("true"), Some("false")] {
        let mut publish = both
            .sns
            .publish()
            .topic_arn(&topic)
            .message(format!("{synthetic:?}"));
        if let Some(value) = synthetic {
            publish = publish.message_attributes("synthetic", text(value));
        }
        publish.send().await.unwrap();
    }
    let messages = both.receive(&url).await;
    let bodies: Vec<_> = messages.iter().filter_map(Message::body).collect();
    assert_eq!(bodies, ["None", "Some(\"false\")"]);
    let attribute = messages
        .last()
        .unwrap()
        .message_attributes()
        .unwrap()
        .get("synthetic")
        .unwrap();
    assert_eq!(attribute.string_value(), Some("false"));
    assert_eq!(
        code(
            both.sns
                .publish()
                .topic_arn(both.arn("sns", "none"))
                .message("x")
                .send()
                .await
        ),
        "NotFound"
    );
}

#[tokio::test]
async fn messages_hide_come_back_and_die() {
    let both = start().await;
    let dead = both.queue("dead", None).await;
    let redrive = format!(
        r#"{{"deadLetterTargetArn":"{}","maxReceiveCount":2}}"#,
        both.arn("sqs", "dead")
    );
    let url = both
        .sqs
        .create_queue()
        .queue_name("work")
        .attributes(QueueAttributeName::VisibilityTimeout, "30")
        .attributes(QueueAttributeName::RedrivePolicy, redrive)
        .send()
        .await
        .unwrap();
    let url = url.queue_url().unwrap().to_owned();
    both.sqs
        .send_message()
        .queue_url(&url)
        .message_body("job")
        .send()
        .await
        .unwrap();
    assert_eq!(both.receive(&url).await.len(), 1);
    assert!(both.receive(&url).await.is_empty());
    let counts = both
        .sqs
        .get_queue_attributes()
        .queue_url(&url)
        .attribute_names(QueueAttributeName::All)
        .send()
        .await
        .unwrap();
    let hidden = counts
        .attributes()
        .unwrap()
        .get(&QueueAttributeName::ApproximateNumberOfMessagesNotVisible)
        .cloned();
    assert_eq!(hidden.as_deref(), Some("1"));
    both.lab.clock().advance(Duration::from_secs(31)).await;
    let again = both.receive(&url).await;
    let count = again
        .first()
        .unwrap()
        .attributes()
        .unwrap()
        .get(&MessageSystemAttributeName::ApproximateReceiveCount);
    assert_eq!(count.map(String::as_str), Some("2"));
    both.lab.clock().advance(Duration::from_secs(31)).await;
    assert!(both.receive(&url).await.is_empty());
    let buried = both.receive(&dead).await;
    let handle = buried.first().unwrap().receipt_handle().unwrap();
    both.sqs
        .delete_message()
        .queue_url(&dead)
        .receipt_handle(handle)
        .send()
        .await
        .unwrap();
    both.lab.clock().advance(Duration::from_secs(31)).await;
    assert!(both.receive(&dead).await.is_empty());
}

#[tokio::test]
async fn queues_are_refused_like_on_aws() {
    let both = start().await;
    let fifo = both.sqs.create_queue().queue_name("a.fifo").send().await;
    assert_eq!(code(fifo), "InvalidParameterValue");
    let range = both
        .sqs
        .create_queue()
        .queue_name("a")
        .attributes(QueueAttributeName::VisibilityTimeout, "50000");
    assert_eq!(code(range.send().await), "InvalidAttributeValue");
    both.queue("a", None).await;
    let other = both
        .sqs
        .create_queue()
        .queue_name("a")
        .attributes(QueueAttributeName::DelaySeconds, "5")
        .send()
        .await;
    assert_eq!(code(other), "QueueAlreadyExists");
    let missing = both
        .sqs
        .get_queue_url()
        .queue_name("none")
        .send()
        .await
        .unwrap_err();
    assert!(
        missing
            .as_service_error()
            .unwrap()
            .is_queue_does_not_exist()
    );
}

#[tokio::test]
async fn a_key_that_does_not_let_the_service_in_stops_the_message() {
    let both = start().await;
    let topic = both.topic("alerts").await;
    let kms = aws_sdk_kms::Client::new(&both.lab.sdk_config());
    let policy = |service: &str| {
        format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{{"AWS":"arn:aws:iam::{}:root"}},"Action":"kms:*","Resource":"*"}},{{"Effect":"Allow","Principal":{{"Service":"{service}"}},"Action":["kms:GenerateDataKey*","kms:Decrypt"],"Resource":"*"}}]}}"#,
            both.lab.account()
        )
    };
    for (name, service, expected) in [
        ("right", "sns.amazonaws.com", 1),
        ("wrong", "events.amazonaws.com", 0),
    ] {
        let key = kms
            .create_key()
            .policy(policy(service))
            .send()
            .await
            .unwrap();
        let url = both.queue(name, Some(&topic)).await;
        let set = both.sqs.set_queue_attributes().queue_url(&url);
        let key = key.key_metadata().unwrap().arn().unwrap();
        set.attributes(QueueAttributeName::KmsMasterKeyId, key)
            .send()
            .await
            .unwrap();
        let subscribe = both.sns.subscribe().topic_arn(&topic).protocol("sqs");
        subscribe
            .endpoint(both.arn("sqs", name))
            .send()
            .await
            .unwrap();
        both.sns
            .publish()
            .topic_arn(&topic)
            .message("x")
            .send()
            .await
            .unwrap();
        assert_eq!(both.receive(&url).await.len(), expected, "{name}");
    }
}
