//! AWS's service models, trimmed to what is served, parsed on first use.
//!
//! The types mirror botocore's `service-2.json`; members that the lab does not act
//! on are ignored here, because the models are AWS's text and not ours.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use regex_lite::Regex;
use serde::Deserialize;

/// One service's model.
#[derive(Debug, Deserialize)]
pub(crate) struct Model {
    pub(crate) metadata: Metadata,
    pub(crate) operations: BTreeMap<String, Operation>,
    pub(crate) shapes: BTreeMap<String, Shape>,
    #[serde(skip)]
    errors: OnceLock<BTreeMap<String, String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Metadata {
    #[serde(default)]
    pub(crate) target_prefix: String,
    pub(crate) json_version: Option<String>,
    pub(crate) xml_namespace: Option<String>,
    pub(crate) aws_query_compatible: Option<serde_json::Value>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Operation {
    pub(crate) name: String,
    pub(crate) http: HttpBinding,
    pub(crate) input: Option<Reference>,
    pub(crate) output: Option<Reference>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HttpBinding {
    pub(crate) method: String,
    pub(crate) request_uri: String,
    pub(crate) response_code: Option<u16>,
}

/// A reference to a shape, with what the place adds to it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Reference {
    pub(crate) shape: String,
    pub(crate) location: Option<Location>,
    pub(crate) location_name: Option<String>,
    pub(crate) result_wrapper: Option<String>,
    #[serde(default)]
    pub(crate) flattened: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Location {
    Uri,
    #[serde(rename = "querystring")]
    QueryString,
    Header,
    Headers,
    StatusCode,
}

#[derive(Debug, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a trait of AWS's model, and they are independent"
)]
pub(crate) struct Shape {
    #[serde(rename = "type")]
    pub(crate) kind: Kind,
    #[serde(default)]
    pub(crate) required: Vec<String>,
    #[serde(default)]
    pub(crate) members: BTreeMap<String, Reference>,
    pub(crate) member: Option<Reference>,
    pub(crate) key: Option<Reference>,
    pub(crate) value: Option<Reference>,
    #[serde(default)]
    pub(crate) flattened: bool,
    #[serde(default)]
    pub(crate) union: bool,
    pub(crate) min: Option<f64>,
    pub(crate) max: Option<f64>,
    pub(crate) pattern: Option<String>,
    #[serde(default, rename = "enum")]
    pub(crate) values: Vec<String>,
    pub(crate) payload: Option<String>,
    #[serde(default)]
    pub(crate) exception: bool,
    /// A value that no log may show.
    #[serde(default)]
    pub(crate) sensitive: bool,
    error: Option<ErrorTrait>,
    #[serde(skip)]
    compiled: OnceLock<Option<Regex>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Structure,
    List,
    Map,
    String,
    Integer,
    Long,
    Float,
    Double,
    Boolean,
    Blob,
    Timestamp,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ErrorTrait {
    code: Option<String>,
    http_status_code: Option<u16>,
}

/// An error that the model knows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KnownError<'a> {
    /// The shape's name, what the JSON protocols send.
    pub(crate) shape: &'a str,
    /// The code, what Query sends.
    pub(crate) code: &'a str,
    /// The HTTP status, when the model says one.
    pub(crate) status: Option<u16>,
}

impl Model {
    /// A shape by name.
    pub(crate) fn shape(&self, name: &str) -> Option<&Shape> {
        self.shapes.get(name)
    }

    /// An error by its shape's name or by its code.
    pub(crate) fn error(&self, name: &str) -> Option<KnownError<'_>> {
        let index = self.errors.get_or_init(|| {
            let exceptions = self.shapes.iter().filter(|(_, shape)| shape.exception);
            exceptions
                .flat_map(|(name, shape)| {
                    let code = shape.error.as_ref().and_then(|error| error.code.clone());
                    [Some(name.clone()), code]
                        .into_iter()
                        .flatten()
                        .map(|key| (key, name.clone()))
                })
                .collect()
        });
        let (shape_name, shape) = self.shapes.get_key_value(index.get(name)?)?;
        let given = shape.error.as_ref();
        Some(KnownError {
            shape: shape_name,
            code: given
                .and_then(|error| error.code.as_deref())
                .unwrap_or(shape_name),
            status: given.and_then(|error| error.http_status_code),
        })
    }
}

impl Shape {
    /// The pattern, where it is simple enough for the small regular-expression
    /// engine; AWS matches the whole text.
    pub(crate) fn regex(&self) -> Option<&Regex> {
        self.compiled
            .get_or_init(|| {
                let pattern = self.pattern.as_deref()?;
                Regex::new(&format!("^(?:{pattern})$")).ok()
            })
            .as_ref()
    }
}
