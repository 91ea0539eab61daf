//! Where traces go: settings, the standard `OTEL_…` variables and flags → an exporter that the whole process shares.
//!
//! Off unless an endpoint is named. What the settings say wins over the variables; what they leave open the variables decide,
//! and behind them the defaults of OpenTelemetry.

use std::{collections::BTreeMap, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::{KeyValue, trace::TracerProvider as _};
use opentelemetry_otlp::{
    ExporterBuildError, Protocol as Spoken, SpanExporter, WithExportConfig as _, WithHttpConfig as _,
    WithTonicConfig as _,
    tonic_types::{metadata::MetadataMap, transport::ClientTlsConfig},
};
use opentelemetry_sdk::{
    Resource,
    trace::{Sampler, SdkTracerProvider},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weft_settings::{InvalidReference, Reference};

use crate::{
    queue::{Queue, Worker},
    span::TRACER,
};

/// What a process tells a collector.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TelemetrySettings {
    /// The collector that traces are sent to, e.g. `http://127.0.0.1:4317`. Without it `OTEL_EXPORTER_OTLP_ENDPOINT` decides, and
    /// without that nothing is sent.
    pub otlp: Option<String>,
    /// How the collector is spoken to; default: `OTEL_EXPORTER_OTLP_PROTOCOL`, else `http/protobuf` on port 4318 and `grpc` on others.
    pub protocol: Option<Protocol>,
    /// Headers for the collector, by reference: `{ authorization = "env:COLLECTOR_TOKEN" }`.
    pub headers: BTreeMap<String, Reference>,
    /// The share of new traces that is recorded, 0 to 1; default: `OTEL_TRACES_SAMPLER`, else all. A caller's own decision is kept.
    pub sample: Option<f64>,
}

/// How a collector is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Protocol {
    /// gRPC.
    #[serde(rename = "grpc")]
    Grpc,
    /// Protobuf over HTTP.
    #[serde(rename = "http/protobuf")]
    Http,
}

/// Why traces cannot be sent as it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum OtlpError {
    /// The share is none.
    #[error("telemetry.sample is {0}; give a share from 0 to 1")]
    Sample(f64),
    /// A header cannot be sent.
    #[error(
        "telemetry.headers: {0:?} cannot be a header; use letters, digits and dashes, and one line of text as the value"
    )]
    Header(String),
    /// A header's value cannot be had.
    #[error("telemetry.headers: {name}")]
    Value {
        /// The header.
        name: String,
        /// Why.
        source: InvalidReference,
    },
    /// The protocol of the environment is none that is spoken.
    #[error("OTEL_EXPORTER_OTLP_PROTOCOL is {0:?}; set it to grpc or http/protobuf")]
    Protocol(String),
    /// The exporter refuses.
    #[error("cannot send traces to {endpoint}; write the collector's address as http://HOST:PORT")]
    Exporter {
        /// Where to.
        endpoint: String,
        /// Why.
        source: ExporterBuildError,
    },
    /// Another part of the process was first.
    #[error("traces are already set up in this process")]
    Twice,
}

/// The sending of traces; finish it when the process ends.
#[derive(Debug, Default)]
pub struct Traces(Option<Worker>);

/// What the last spans may take.
const FAREWELL: Duration = Duration::from_secs(3);

impl Traces {
    /// Sends what is left.
    pub async fn finish(self) {
        if let Some(worker) = self.0 {
            worker.finish(FAREWELL).await;
        }
    }
}

/// Begins to send traces if that is asked for, as the service `name`; once per process, inside of a runtime.
pub fn start(settings: &TelemetrySettings, name: &'static str, version: &'static str) -> Result<Traces, OtlpError> {
    let Some(endpoint) = endpoint(settings, variable) else { return Ok(Traces::default()) };
    if let Some(share) = settings.sample.filter(|share| !(0.0..=1.0).contains(share)) {
        return Err(OtlpError::Sample(share));
    }
    let exporter = match protocol(settings, &endpoint, variable)? {
        Protocol::Grpc => grpc(settings, &endpoint),
        Protocol::Http => http(settings, &endpoint),
    }?;
    let resource = resource(name, version);
    let (queue, worker) = Queue::start(exporter, &resource);
    let mut provider = SdkTracerProvider::builder().with_span_processor(queue).with_resource(resource);
    if let Some(share) = settings.sample {
        provider = provider.with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(share))));
    }
    TRACER.set(provider.build().tracer("weft")).map_err(|_| OtlpError::Twice)?;
    tracing::info!(endpoint, "traces are sent");
    Ok(Traces(Some(worker)))
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
}

/// The collector's address, where there is to be one.
fn endpoint(settings: &TelemetrySettings, variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    let own = settings.otlp.clone().filter(|own| !own.is_empty());
    let is = |name: &str, value: &str| variable(name).is_some_and(|set| set.eq_ignore_ascii_case(value));
    if own.is_none() && (is("OTEL_SDK_DISABLED", "true") || is("OTEL_TRACES_EXPORTER", "none")) {
        return None;
    }
    let named = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
    own.or_else(|| named.into_iter().find_map(variable))
}

fn protocol(
    settings: &TelemetrySettings,
    endpoint: &str,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Protocol, OtlpError> {
    let named = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
    match (settings.protocol, named.into_iter().find_map(variable).as_deref()) {
        (Some(protocol), _) => Ok(protocol),
        (None, Some("grpc")) => Ok(Protocol::Grpc),
        (None, Some("http/protobuf")) => Ok(Protocol::Http),
        (None, Some(other)) => Err(OtlpError::Protocol(other.to_owned())),
        (None, None) if authority(endpoint).ends_with(":4318") => Ok(Protocol::Http),
        (None, None) => Ok(Protocol::Grpc),
    }
}

/// `HOST:PORT` of an address.
fn authority(endpoint: &str) -> &str {
    let rest = endpoint.split_once("://").map_or(endpoint, |(_, rest)| rest);
    rest.split('/').next().unwrap_or_default()
}

fn grpc(settings: &TelemetrySettings, endpoint: &str) -> Result<SpanExporter, OtlpError> {
    let metadata = MetadataMap::from_headers(headers(settings)?);
    let mut builder = SpanExporter::builder().with_tonic().with_endpoint(endpoint).with_metadata(metadata);
    if endpoint.starts_with("https:") {
        builder = builder.with_tls_config(ClientTlsConfig::new().with_native_roots());
    }
    builder.build().map_err(|source| OtlpError::Exporter { endpoint: endpoint.to_owned(), source })
}

fn http(settings: &TelemetrySettings, endpoint: &str) -> Result<SpanExporter, OtlpError> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = headers(settings)?.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    let mut builder = SpanExporter::builder().with_http().with_protocol(Spoken::HttpBinary).with_headers(headers);
    // Addresses from the variables are read by the exporter itself, because one of them is a base and the other is not.
    if settings.otlp.as_ref().is_some_and(|own| !own.is_empty()) {
        builder = builder.with_endpoint(traces_path(endpoint));
    }
    builder.build().map_err(|source| OtlpError::Exporter { endpoint: endpoint.to_owned(), source })
}

/// An address without a path gets the one that OTLP has for traces.
fn traces_path(endpoint: &str) -> String {
    let bare = endpoint.trim_end_matches('/');
    if bare.len() == bare.find(authority(endpoint)).unwrap_or_default() + authority(endpoint).len() {
        return format!("{bare}/v1/traces");
    }
    endpoint.to_owned()
}

fn headers(settings: &TelemetrySettings) -> Result<HeaderMap, OtlpError> {
    let read = |(name, reference): (&String, &Reference)| {
        let value = reference.value().map_err(|source| OtlpError::Value { name: name.clone(), source })?;
        match (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            (Ok(name), Ok(value)) => Ok((name, value)),
            _ => Err(OtlpError::Header(name.clone())),
        }
    };
    settings.headers.iter().map(read).collect()
}

/// Who sends: the variables `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` win over what we know.
fn resource(name: &'static str, version: &'static str) -> Resource {
    let ours = Resource::builder_empty()
        .with_attributes([KeyValue::new("service.name", name), KeyValue::new("service.version", version)])
        .build();
    let theirs = Resource::builder().build();
    let said = |attribute: &str| {
        variable("OTEL_RESOURCE_ATTRIBUTES").is_some_and(|text| text.contains(&format!("{attribute}=")))
            || (attribute == "service.name" && variable("OTEL_SERVICE_NAME").is_some())
    };
    let all = theirs.iter().chain(ours.iter().filter(|(key, _)| !said(key.as_str())));
    Resource::builder_empty().with_attributes(all.map(|(key, value)| KeyValue::new(key.clone(), value.clone()))).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(otlp: &str) -> TelemetrySettings {
        TelemetrySettings { otlp: Some(otlp.to_owned()), ..TelemetrySettings::default() }
    }

    #[test]
    fn settings_win_over_variables_and_nothing_is_sent_without_either() {
        let set = |name: &str| (name == "OTEL_EXPORTER_OTLP_ENDPOINT").then(|| "http://c:4317".to_owned());
        let off = |name: &str| if name == "OTEL_SDK_DISABLED" { Some("true".to_owned()) } else { set(name) };
        let none = TelemetrySettings::default();
        assert_eq!(endpoint(&none, |_| None), None);
        assert_eq!(endpoint(&none, set).as_deref(), Some("http://c:4317"));
        assert_eq!(endpoint(&none, off), None);
        assert_eq!(endpoint(&of(""), |_| None), None);
        assert_eq!(endpoint(&of("http://d"), off).as_deref(), Some("http://d"));
    }

    #[test]
    fn the_port_says_the_protocol_where_nothing_else_does() {
        let http = |name: &str| (name == "OTEL_EXPORTER_OTLP_PROTOCOL").then(|| "http/protobuf".to_owned());
        let odd = |name: &str| (name == "OTEL_EXPORTER_OTLP_PROTOCOL").then(|| "http/json".to_owned());
        let told = |endpoint: &str| protocol(&of(endpoint), endpoint, |_| None).unwrap();
        assert_eq!(told("http://127.0.0.1:4317"), Protocol::Grpc);
        assert_eq!(told("http://127.0.0.1:4318/x"), Protocol::Http);
        assert_eq!(protocol(&of("http://c:1"), "http://c:1", http).unwrap(), Protocol::Http);
        assert!(matches!(protocol(&of("http://c:1"), "http://c:1", odd), Err(OtlpError::Protocol(_))));
    }

    #[test]
    fn an_address_without_a_path_gets_that_of_traces() {
        assert_eq!(traces_path("http://c:4318"), "http://c:4318/v1/traces");
        assert_eq!(traces_path("http://c:4318/"), "http://c:4318/v1/traces");
        assert_eq!(traces_path("http://c:4318/own/path"), "http://c:4318/own/path");
    }

    #[test]
    fn a_share_beyond_all_is_refused_and_a_missing_secret_is_named() {
        let wrong = TelemetrySettings { sample: Some(1.5), ..of("http://127.0.0.1:1") };
        assert!(matches!(start(&wrong, "x", "1"), Err(OtlpError::Sample(_))));
        let secret = Reference::Env("WEFT_NOT_SET_ANYWHERE".to_owned());
        let headers = BTreeMap::from([("authorization".to_owned(), secret)]);
        let wrong = TelemetrySettings { headers, ..of("http://127.0.0.1:4318") };
        assert!(matches!(start(&wrong, "x", "1"), Err(OtlpError::Value { .. })));
    }
}
