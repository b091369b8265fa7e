//! Events over HTTP: `POST /api/v1/events`, one record per line (NDJSON, or any text), or JSON in
//! any other layout.
//!
//! The answer 200 means that the records are durable. A sender that gives an `Idempotency-Key` and
//! repeats a request with the same body has its records stored once, however often it repeats.
//! Without a key, a request that was answered with 503 may be stored in part: the answer says how
//! many records were.

use std::{
    collections::HashMap,
    io::{self, Read},
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    body::{Body, to_bytes},
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use bytes::Bytes;
use covigil_model::{Time, id::Id};
use covigil_store::wal::{Batch, BatchKey, NewRecord, WalError};
use serde::Serialize;
use tokio::sync::Semaphore;

use super::{BATCH_BYTES, BATCH_RECORDS, Delivery, MAX_RECORD};
use crate::files::{FileIssue, FileRecord, RecordSink, split};

/// A body may be this long, in bytes, as sent.
const MAX_BODY: usize = 16 << 20;
/// A body may be this long when inflated.
const MAX_INFLATED: usize = 32 << 20;
/// A sender has this long to send a body.
const BODY_TIME: Duration = Duration::from_secs(60);
/// Requests whose bodies are in memory at a time.
const AT_A_TIME: usize = 8;
/// Rejected lines that an answer names.
const MAX_NAMED: usize = 100;

/// Which sources a token may speak for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceScope {
    /// Its own name, and names under it: `X-Covigil-Source: web1` becomes `NAME/web1`.
    Own,
    /// Any, as given. For the machine's own tools.
    Any,
}

/// What a token allows.
#[derive(Debug, Clone)]
pub struct Grant {
    /// The token's name: letters, digits and `.-_`.
    pub name: Arc<str>,
    /// Which sources it may speak for.
    pub scope: SourceScope,
    /// Records per second that are taken from it on average.
    pub rate: u32,
}

/// A token that is not valid, or not any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Denied;

/// Knows the tokens. Compares in constant time.
pub trait IntakeAuth: Send + Sync {
    /// What a bearer token allows. Called before anything else of a request is looked at.
    fn authorise(&self, token: &str) -> Result<Grant, Denied>;
}

/// What the endpoint shares between requests.
pub struct EventsApi {
    delivery: Delivery,
    auth: Arc<dyn IntakeAuth>,
    /// Names of parsers that a request may ask for.
    parsers: Vec<&'static str>,
    places: Semaphore,
    budgets: Mutex<HashMap<Arc<str>, Budget>>,
}

impl EventsApi {
    /// The endpoint's state; `parsers` are the names that `X-Covigil-Parser` may give.
    pub fn new(delivery: Delivery, auth: Arc<dyn IntakeAuth>, parsers: Vec<&'static str>) -> Arc<Self> {
        Arc::new(Self {
            delivery,
            auth,
            parsers,
            places: Semaphore::new(AT_A_TIME),
            budgets: Mutex::default(),
        })
    }
}

/// The route, to be mounted by the program. Where the server gives [`ConnectInfo`], the sender's
/// address is kept with the records.
pub fn router(api: Arc<EventsApi>) -> Router {
    Router::new().route("/api/v1/events", post(receive)).with_state(api)
}

/// A line that was not stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rejected {
    /// The line in the body, from 1; 0 for the body as a whole.
    pub line: u64,
    /// Why.
    pub reason: String,
}

/// What became of a request's records.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// Records that are durable now.
    pub accepted: u64,
    /// Records that were stored before under the same key.
    pub duplicate: u64,
    /// Lines that were not stored, at most the first 100.
    pub rejected: Vec<Rejected>,
    /// Lines that were not stored, all of them.
    pub rejected_total: u64,
    /// Why the request as a whole was not stored, and the mend.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

struct Refusal {
    status: StatusCode,
    retry_after: Option<u64>,
    answer: Answer,
}

impl Refusal {
    fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Self { status, retry_after: None, answer: Answer { error: Some(error.into()), ..Answer::default() } }
    }

    const fn later(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.answer)).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let scheme = header::HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}

async fn receive(State(api): State<Arc<EventsApi>>, request: Request) -> Result<Json<Answer>, Refusal> {
    let (parts, body) = request.into_parts();
    let grant = token(&parts.headers).and_then(|token| api.auth.authorise(token).ok()).ok_or_else(|| {
        Refusal::new(StatusCode::UNAUTHORIZED, "give a valid token as `Authorization: Bearer …`")
    })?;
    let wanted = Wanted::read(&parts.headers, &grant, &api.parsers)?;
    let _place = api.places.try_acquire().map_err(|_| {
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "too many requests at once; repeat it").later(1)
    })?;
    let body = read_body(body).await?;
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip().to_canonical());
    let lines = tokio::task::spawn_blocking(move || {
        let body = inflate(wanted.encoding, body)?;
        Ok((Lines::of(&body), wanted))
    });
    let (lines, wanted) =
        lines.await.map_err(|_| Refusal::new(StatusCode::BAD_REQUEST, "the body could not be read"))??;
    let budget = {
        let mut budgets = api.budgets.lock().unwrap_or_else(PoisonError::into_inner);
        let budget = budgets.entry(Arc::clone(&grant.name)).or_insert_with(|| Budget::new(grant.rate));
        budget.take(grant.rate, lines.records.len())
    };
    budget.map_err(|wait| {
        let error = format!("more than {} records per second from this token", grant.rate);
        Refusal::new(StatusCode::TOO_MANY_REQUESTS, error).later(wait)
    })?;
    let peer: Option<Arc<str>> = peer.map(|ip| ip.to_string().into());
    store(&api.delivery, lines, &wanted, peer).await
}

/// Stores the records, batch by batch.
async fn store(
    delivery: &Delivery,
    lines: Lines,
    wanted: &Wanted,
    peer: Option<Arc<str>>,
) -> Result<Json<Answer>, Refusal> {
    let mut answer =
        Answer { rejected: lines.rejected, rejected_total: lines.rejected_total, ..Answer::default() };
    if lines.records.is_empty() && answer.rejected_total > 0 {
        answer.error = Some("no line could be stored".into());
        return Err(Refusal { status: StatusCode::BAD_REQUEST, retry_after: None, answer });
    }
    delivery.sources().of(&wanted.source).describe(format!("http {}", wanted.source), true);
    let received = Time::now();
    let mut records = lines.records.into_iter().peekable();
    let mut part = 0u64;
    while records.peek().is_some() {
        let mut batch = Batch::default();
        let mut bytes = 0;
        while batch.records.len() < BATCH_RECORDS && bytes < BATCH_BYTES {
            let Some(data) = records.next() else { break };
            bytes += data.len();
            batch.records.push(NewRecord {
                source: Arc::clone(&wanted.source),
                parser: Arc::clone(&wanted.parser),
                peer: peer.clone(),
                received,
                data,
            });
        }
        batch.key = wanted.key.as_ref().and_then(|key| part_key(key, part));
        part += 1;
        let count = batch.records.len() as u64;
        match delivery.offer(batch).await {
            Ok(appended) if appended.duplicate => answer.duplicate += count,
            Ok(_) => answer.accepted += count,
            Err(error) => {
                let (status, retry_after) = match &error {
                    WalError::Closed => (StatusCode::SERVICE_UNAVAILABLE, Some(10)),
                    e if e.is_back_pressure() => (StatusCode::SERVICE_UNAVAILABLE, Some(5)),
                    _ => (StatusCode::BAD_REQUEST, None),
                };
                answer.error = Some(error.to_string());
                return Err(Refusal { status, retry_after, answer });
            }
        }
    }
    Ok(Json(answer))
}

/// Marks a part's key.
enum Part {}

/// The key of one batch of a request. Hashed, since a sender's key may be longer than the log's.
fn part_key(key: &str, part: u64) -> Option<BatchKey> {
    let id = Id::<Part>::derived(&[key.as_bytes(), &part.to_le_bytes()]);
    BatchKey::new(id.bits().to_le_bytes().to_vec()).ok()
}

/// How a body is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Plain,
    Gzip,
    Deflate,
    Zstd,
}

/// What a request asks for in its headers.
struct Wanted {
    source: Arc<str>,
    parser: Arc<str>,
    key: Option<String>,
    encoding: Encoding,
}

impl Wanted {
    fn read(headers: &HeaderMap, grant: &Grant, parsers: &[&'static str]) -> Result<Self, Refusal> {
        let bad = |error: String| Refusal::new(StatusCode::BAD_REQUEST, error);
        let text = |name: &str| {
            let value = headers.get(name).map(|v| v.to_str());
            value.transpose().map_err(|_| bad(format!("the header {name} has characters that are not text")))
        };
        let source = match (text("x-covigil-source")?, grant.scope) {
            (None, _) => Arc::clone(&grant.name),
            (Some(name), _) if !is_source_name(name) => {
                return Err(bad("X-Covigil-Source has 1 to 128 letters, digits and . _ - : / @".into()));
            }
            (Some(name), SourceScope::Own) => format!("{}/{name}", grant.name).into(),
            (Some(name), SourceScope::Any) => name.into(),
        };
        let parser = text("x-covigil-parser")?.unwrap_or("auto");
        if parser != "auto" && !parsers.contains(&parser) {
            return Err(bad(format!("X-Covigil-Parser is auto or one of: {}", parsers.join(", "))));
        }
        let key = text("idempotency-key")?;
        if key.is_some_and(|key| key.is_empty() || key.len() > 256) {
            return Err(bad("Idempotency-Key has 1 to 256 characters".into()));
        }
        let encoding = match text("content-encoding")?.map(str::trim) {
            None | Some("" | "identity") => Encoding::Plain,
            Some("gzip" | "x-gzip") => Encoding::Gzip,
            Some("deflate") => Encoding::Deflate,
            Some("zstd") => Encoding::Zstd,
            Some(_) => {
                let error = "Content-Encoding is gzip, deflate, zstd or identity";
                return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, error));
            }
        };
        Ok(Self { source, parser: parser.into(), key: key.map(str::to_owned), encoding })
    }
}

fn is_source_name(name: &str) -> bool {
    (1..=128).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b':' | b'/' | b'@'))
}

fn token(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

async fn read_body(body: Body) -> Result<Bytes, Refusal> {
    let too_large = || {
        let error = format!("the body is over {} MiB; send smaller batches", MAX_BODY >> 20);
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, error)
    };
    match tokio::time::timeout(BODY_TIME, to_bytes(body, MAX_BODY)).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(error)) => {
            // The limit is the one failure that is not the connection's.
            let limit = std::error::Error::source(&error).is_some_and(|e| e.to_string().contains("limit"));
            if limit {
                Err(too_large())
            } else {
                Err(Refusal::new(StatusCode::BAD_REQUEST, error.to_string()))
            }
        }
        Err(_) => Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, "the body took too long to arrive")),
    }
}

fn inflate(encoding: Encoding, body: Bytes) -> Result<Bytes, Refusal> {
    let limited = |from: &mut dyn Read| -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        from.take(MAX_INFLATED as u64 + 1).read_to_end(&mut out)?;
        Ok(out)
    };
    let inflated = match encoding {
        Encoding::Plain => return Ok(body),
        Encoding::Gzip => limited(&mut flate2::read::MultiGzDecoder::new(&*body)),
        // What HTTP calls deflate is zlib's format; some send the bare stream.
        Encoding::Deflate => limited(&mut flate2::read::ZlibDecoder::new(&*body))
            .or_else(|_| limited(&mut flate2::read::DeflateDecoder::new(&*body))),
        Encoding::Zstd => zstd::stream::read::Decoder::with_buffer(&*body).and_then(|mut decoder| {
            // The window, which a sender chooses, is memory: 8 MiB at most.
            decoder.window_log_max(23)?;
            limited(&mut decoder)
        }),
    };
    let inflated = inflated
        .map_err(|e| Refusal::new(StatusCode::BAD_REQUEST, format!("the body does not inflate: {e}")))?;
    if inflated.len() > MAX_INFLATED {
        let error = format!("the body inflates to over {} MiB; send smaller batches", MAX_INFLATED >> 20);
        return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, error));
    }
    Ok(inflated.into())
}

/// A body cut into records.
#[derive(Default)]
struct Lines {
    records: Vec<Bytes>,
    rejected: Vec<Rejected>,
    rejected_total: u64,
}

impl Lines {
    fn of(body: &[u8]) -> Self {
        let mut lines = Self::default();
        let _ = split(body, &mut lines);
        lines
    }

    fn reject(&mut self, line: u64, reason: String) {
        self.rejected_total += 1;
        if self.rejected.len() < MAX_NAMED {
            self.rejected.push(Rejected { line, reason });
        }
    }
}

impl RecordSink for Lines {
    fn record(&mut self, record: FileRecord<'_>) -> std::ops::ControlFlow<()> {
        if record.data.len() > MAX_RECORD {
            self.reject(record.number, format!("a record is over {} KiB", MAX_RECORD >> 10));
        } else {
            self.records.push(Bytes::copy_from_slice(record.data));
        }
        std::ops::ControlFlow::Continue(())
    }

    fn issue(&mut self, issue: FileIssue) {
        self.reject(issue.number.unwrap_or(0), issue.message);
    }
}

/// How many records a token may still send: filled at its rate, up to ten seconds' worth. A request
/// is taken while there is anything left, so that a large one is not refused for ever.
struct Budget {
    left: f64,
    at: Instant,
}

impl Budget {
    fn new(rate: u32) -> Self {
        Self { left: f64::from(rate) * 10.0, at: Instant::now() }
    }

    /// Takes records from the budget, or says in how many seconds to come back.
    fn take(&mut self, rate: u32, records: usize) -> Result<(), u64> {
        let rate = f64::from(rate.max(1));
        let now = Instant::now();
        self.left = rate.mul_add(now.duration_since(self.at).as_secs_f64(), self.left).min(rate * 10.0);
        self.at = now;
        if self.left <= 0.0 {
            return Err((-self.left / rate).ceil().clamp(1.0, 3_600.0) as u64);
        }
        self.left -= records as f64;
        Ok(())
    }
}
