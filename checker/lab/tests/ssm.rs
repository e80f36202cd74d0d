//! Parameter Store and the tagging API through the real SDK clients.
#![expect(clippy::unwrap_used, reason = "tests")]

use aws_sdk_ssm::Client;
use aws_sdk_ssm::error::ProvideErrorMetadata;
use aws_sdk_ssm::types::{ParameterType, ResourceTypeForTagging, Tag};
use checker_lab::{Lab, LabOptions};

async fn start() -> (Lab, Client) {
    let lab = Lab::start(LabOptions::default()).await.unwrap();
    let client = Client::new(&lab.sdk_config());
    (lab, client)
}

fn code<T, E: ProvideErrorMetadata>(answer: Result<T, E>) -> String {
    match answer {
        Ok(_) => "accepted".to_owned(),
        Err(error) => error.code().unwrap_or("none").to_owned(),
    }
}

fn tag(key: &str, value: &str) -> Tag {
    Tag::builder().key(key).value(value).build().unwrap()
}

#[tokio::test]
async fn parameters() {
    let (_lab, client) = start().await;
    let put = |name: &str, value: &str| {
        client
            .put_parameter()
            .name(name)
            .value(value)
            .r#type(ParameterType::String)
    };
    put("/bank/dev/a", "1").send().await.unwrap();
    assert_eq!(
        code(put("/bank/dev/a", "2").send().await),
        "ParameterAlreadyExists"
    );
    let second = put("/bank/dev/a", "2")
        .overwrite(true)
        .send()
        .await
        .unwrap();
    assert_eq!(second.version(), 2);
    let tagged = put("/bank/dev/a", "3")
        .overwrite(true)
        .tags(tag("a", "b"))
        .send()
        .await;
    assert_eq!(code(tagged), "ValidationException");
    let other = client
        .put_parameter()
        .name("/bank/dev/a")
        .value("x")
        .r#type(ParameterType::SecureString)
        .overwrite(true);
    assert_eq!(code(other.send().await), "HierarchyTypeMismatch");
    assert_eq!(
        code(put("/aws/x", "1").send().await),
        "AccessDeniedException"
    );
    assert_eq!(code(put("bank/x", "1").send().await), "ValidationException");
    assert_eq!(
        code(put("/bank/x", &"v".repeat(4097)).send().await),
        "ValidationException"
    );

    let old = client
        .get_parameter()
        .name("/bank/dev/a:1")
        .send()
        .await
        .unwrap();
    assert_eq!(old.parameter().unwrap().value(), Some("1"));
    assert_eq!(
        code(client.get_parameter().name("/bank/dev/b").send().await),
        "ParameterNotFound"
    );
    let many = client
        .get_parameters()
        .names("/bank/dev/a")
        .names("/bank/dev/b")
        .send()
        .await
        .unwrap();
    assert_eq!(
        (many.parameters().len(), many.invalid_parameters()),
        (1, &["/bank/dev/b".to_owned()][..])
    );
}

#[tokio::test]
async fn a_secure_string_is_sealed_without_decryption() {
    let (_lab, client) = start().await;
    client
        .put_parameter()
        .name("/s")
        .value("plain")
        .r#type(ParameterType::SecureString)
        .send()
        .await
        .unwrap();
    let sealed = client.get_parameter().name("/s").send().await.unwrap();
    assert!(
        sealed
            .parameter()
            .unwrap()
            .value()
            .unwrap()
            .starts_with("AQICAH")
    );
    let open = client
        .get_parameter()
        .name("/s")
        .with_decryption(true)
        .send()
        .await
        .unwrap();
    assert_eq!(open.parameter().unwrap().value(), Some("plain"));
    let listed = client.describe_parameters().send().await.unwrap();
    assert_eq!(
        listed.parameters().first().unwrap().key_id(),
        Some("alias/aws/ssm")
    );
}

#[tokio::test]
async fn paths_come_in_pages() {
    let (_lab, client) = start().await;
    for number in 0..12 {
        let name = format!("/bank/dev/secrets/{number:02}");
        client
            .put_parameter()
            .name(name)
            .value("v")
            .r#type(ParameterType::String)
            .send()
            .await
            .unwrap();
    }
    let first = client
        .get_parameters_by_path()
        .path("/bank/dev/secrets")
        .send()
        .await
        .unwrap();
    assert_eq!(first.parameters().len(), 10);
    let second = client
        .get_parameters_by_path()
        .path("/bank/dev/secrets")
        .next_token(first.next_token().unwrap())
        .send()
        .await
        .unwrap();
    assert_eq!((second.parameters().len(), second.next_token()), (2, None));
    let shallow = client
        .get_parameters_by_path()
        .path("/bank/")
        .send()
        .await
        .unwrap();
    assert!(shallow.parameters().is_empty());
}

#[tokio::test]
async fn resources_are_found_by_tags_once_they_had_one() {
    let (lab, client) = start().await;
    for name in ["/tagged", "/bare", "/later"] {
        client
            .put_parameter()
            .name(name)
            .value("v")
            .r#type(ParameterType::String)
            .send()
            .await
            .unwrap();
    }
    for name in ["/tagged", "/later"] {
        let add = client
            .add_tags_to_resource()
            .resource_type(ResourceTypeForTagging::Parameter)
            .resource_id(name);
        add.tags(tag("module_id", "MOD-045"))
            .tags(tag("name", name))
            .send()
            .await
            .unwrap();
    }
    let tags = client
        .list_tags_for_resource()
        .resource_type(ResourceTypeForTagging::Parameter)
        .resource_id("/tagged")
        .send()
        .await
        .unwrap();
    assert_eq!(tags.tag_list().len(), 2);

    let tagging = aws_sdk_resourcegroupstagging::Client::new(&lab.sdk_config());
    let all = tagging.get_resources().send().await.unwrap();
    assert_eq!(all.resource_tag_mapping_list().len(), 2);
    let filter = |key: &str, value: Option<&str>| {
        let filter = aws_sdk_resourcegroupstagging::types::TagFilter::builder().key(key);
        filter
            .set_values(value.map(|value| vec![value.to_owned()]))
            .build()
    };
    for (kind, key, value, expected) in [
        ("ssm", "module_id", None, 2),
        ("ssm:parameter", "name", Some("/later"), 1),
        ("ssm:parameter", "name", Some("/bare"), 0),
        ("secretsmanager", "module_id", None, 0),
        ("ssm:document", "module_id", None, 0),
    ] {
        let found = tagging
            .get_resources()
            .resource_type_filters(kind)
            .tag_filters(filter(key, value))
            .send()
            .await
            .unwrap();
        assert_eq!(
            found.resource_tag_mapping_list().len(),
            expected,
            "{kind} {key} {value:?}"
        );
    }
    let one = tagging
        .get_resources()
        .resources_per_page(1)
        .send()
        .await
        .unwrap();
    assert_eq!(one.resource_tag_mapping_list().len(), 1);
    let rest = tagging
        .get_resources()
        .resources_per_page(1)
        .pagination_token(one.pagination_token().unwrap());
    let rest = rest.send().await.unwrap();
    assert_eq!(
        (
            rest.resource_tag_mapping_list().len(),
            rest.pagination_token()
        ),
        (1, Some(""))
    );
}
