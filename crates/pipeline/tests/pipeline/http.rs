//! Events over HTTP.

use std::{io::Write, sync::Arc};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Request, StatusCode},
};
use covigil_pipeline::intake::{Denied, EventsApi, Grant, IntakeAuth, SourceScope, router};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::support::Bench;

struct Tokens;

impl IntakeAuth for Tokens {
    fn authorise(&self, token: &str) -> Result<Grant, Denied> {
        let (scope, rate) = match token {
            "web" => (SourceScope::Own, 1_000_000),
            "tools" => (SourceScope::Any, 1_000_000),
            "slow" => (SourceScope::Own, 1),
            _ => return Err(Denied),
        };
        Ok(Grant { name: token.into(), scope, rate })
    }
}

fn api(bench: &Bench) -> Router {
    router(EventsApi::new(bench.delivery.clone(), Arc::new(Tokens), vec!["json", "syslog"]))
}

async fn post(router: &Router, headers: &[(&str, &str)], body: impl Into<Body>) -> (StatusCode, Value, bool) {
    let mut request = Request::post("/api/v1/events");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = router.clone().oneshot(request.body(body.into()).unwrap()).await.unwrap();
    let (status, later) = (response.status(), response.headers().contains_key("retry-after"));
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null), later)
}

const WEB: (&str, &str) = ("authorization", "Bearer web");

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(content).unwrap();
    out.finish().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_decide_who_may_send_and_as_what() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::open(dir.path());
    let api = api(&bench);
    for headers in [&[][..], &[("authorization", "Bearer nope")], &[("authorization", "Basic web")]] {
        assert_eq!(post(&api, headers, "x").await.0, StatusCode::UNAUTHORIZED);
    }
    let sent = post(&api, &[WEB], "{\"a\":1}\n\nplain\n").await;
    assert_eq!((sent.0, &sent.1["accepted"]), (StatusCode::OK, &json!(2)));
    post(&api, &[WEB, ("x-covigil-source", "tools"), ("x-covigil-parser", "json")], "{}").await;
    post(&api, &[("authorization", "bearer tools"), ("x-covigil-source", "web")], "{}").await;
    let ids: Vec<_> = bench.records().iter().map(|r| (r.id.to_string(), r.parser.to_string())).collect();
    let expected = [("web#1", "auto"), ("web#2", "auto"), ("web/tools#1", "json"), ("web#3", "auto")];
    assert_eq!(ids, expected.map(|(id, parser)| (id.to_owned(), parser.to_owned())));
    for (name, value) in
        [("x-covigil-source", "a b#c"), ("x-covigil-parser", "nosuch"), ("idempotency-key", "")]
    {
        assert_eq!(post(&api, &[WEB, (name, value)], "x").await.0, StatusCode::BAD_REQUEST, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_request_is_stored_once() {
    let dir = tempfile::tempdir().unwrap();
    let body: String = (0..10_000).map(|n| format!("{{\"n\":{n}}}\n")).collect();
    for round in 0..2 {
        // Also over a restart.
        let bench = Bench::open(dir.path());
        let api = api(&bench);
        let key = ("idempotency-key", "batch-7");
        let (status, answer, _) = post(&api, &[WEB, key], body.clone()).await;
        let new = if round == 0 { 10_000 } else { 0 };
        let expected =
            json!({"accepted": new, "duplicate": 10_000 - new, "rejected": [], "rejected_total": 0});
        assert_eq!((status, answer), (StatusCode::OK, expected));
        let again = post(&api, &[WEB, key, ("content-encoding", "gzip")], gzip(body.as_bytes())).await;
        assert_eq!(again.1["duplicate"], json!(10_000));
        assert_eq!(bench.records().len(), 10_000);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn packed_bodies_are_read_and_bombs_refused() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::open(dir.path());
    let api = api(&bench);
    let text = b"[{\"a\":1},\n{\"a\":2}]";
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    zlib.write_all(text).unwrap();
    let packed = [
        ("gzip", gzip(text)),
        ("deflate", zlib.finish().unwrap()),
        ("zstd", zstd::encode_all(&text[..], 3).unwrap()),
        ("identity", text.to_vec()),
    ];
    for (encoding, body) in packed {
        let (status, answer, _) = post(&api, &[WEB, ("content-encoding", encoding)], body).await;
        assert_eq!((status, &answer["accepted"]), (StatusCode::OK, &json!(2)), "{encoding}");
    }
    let zeros = vec![b'0'; 64 << 20];
    let bombs = [("gzip", gzip(&zeros)), ("zstd", zstd::encode_all(&*zeros, 1).unwrap())];
    for (encoding, body) in bombs {
        let (status, ..) = post(&api, &[WEB, ("content-encoding", encoding)], body).await;
        assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE, "{encoding}");
    }
    assert_eq!(post(&api, &[WEB], vec![b'x'; 17 << 20]).await.0, StatusCode::PAYLOAD_TOO_LARGE);
    for encoding in ["gzip", "deflate", "zstd"] {
        let (status, ..) = post(&api, &[WEB, ("content-encoding", encoding)], "not packed").await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{encoding}");
    }
    let (status, ..) = post(&api, &[WEB, ("content-encoding", "br")], "x").await;
    assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(bench.records().len(), 8);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_that_cannot_be_stored_are_named_and_the_rest_is() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::open(dir.path());
    let api = api(&bench);
    let long = "x".repeat((1 << 20) + 1);
    let mut body = format!("first\n{long}\n").into_bytes();
    body.extend_from_slice(b"bad \xff utf-8\n");
    let (status, answer, _) = post(&api, &[WEB], body).await;
    assert_eq!((status, &answer["accepted"]), (StatusCode::OK, &json!(2)));
    assert_eq!(answer["rejected"][0]["line"], json!(2));
    assert_eq!(bench.records()[1].data.as_slice(), b"bad \xff utf-8");
    assert_eq!(post(&api, &[WEB], long).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn senders_are_told_when_to_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::open(dir.path());
    let api = api(&bench);
    let slow = ("authorization", "Bearer slow");
    assert_eq!(post(&api, &[slow], "x\n".repeat(100)).await.0, StatusCode::OK);
    let refused = post(&api, &[slow], "x").await;
    assert_eq!((refused.0, refused.2), (StatusCode::TOO_MANY_REQUESTS, true));
    assert_eq!(post(&api, &[WEB], "others are not affected").await.0, StatusCode::OK);
    bench.disk.fill(true);
    let full = post(&api, &[WEB, ("idempotency-key", "k")], "x").await;
    assert_eq!((full.0, full.2), (StatusCode::SERVICE_UNAVAILABLE, true), "{}", full.1);
    bench.disk.fill(false);
    let again = post(&api, &[WEB, ("idempotency-key", "k")], "x").await;
    assert_eq!((again.0, &again.1["accepted"]), (StatusCode::OK, &json!(1)));
    assert_eq!(bench.records().len(), 102);
}
