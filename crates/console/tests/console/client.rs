//! A browser without a screen: asks the router, keeps the session's cookie, sends forms as pages do.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    http::{Method, Request, StatusCode, header},
};
use covigil_console::{ConsoleConfig, backend::Identity as _, issue_link, router};
use futures::StreamExt as _;
use tower::ServiceExt as _;

use crate::memory::Memory;

/// The origin of the console under test.
pub const ORIGIN: &str = "http://localhost:8480";

/// What came back.
pub struct Answer {
    pub status: StatusCode,
    pub headers: axum::http::HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn location(&self) -> &str {
        self.headers.get(header::LOCATION).and_then(|v| v.to_str().ok()).unwrap_or("")
    }
}

/// One browser.
#[derive(Clone)]
pub struct Client {
    pub router: Router,
    pub memory: Arc<Memory>,
    pub cookie: Option<String>,
    pub csrf: String,
}

impl Client {
    /// A browser that has not signed in.
    pub fn new(memory: Arc<Memory>) -> Self {
        Self::with(memory, |_| {})
    }

    /// The same, with another configuration.
    pub fn with(memory: Arc<Memory>, change: impl FnOnce(&mut ConsoleConfig)) -> Self {
        let mut config = ConsoleConfig::at(ORIGIN.parse().unwrap());
        change(&mut config);
        let router = router(config, memory.clone()).unwrap();
        Self { router, memory, cookie: None, csrf: String::new() }
    }

    /// A one-time link for a user, as a path.
    pub async fn link(&self, name: &str) -> String {
        let ctx = self.memory.ctx();
        let user = self.memory.user_by_name(&ctx, name).await.unwrap().unwrap();
        issue_link(self.memory.as_ref(), &ctx, user.id, Duration::from_secs(600)).await.unwrap()
    }

    /// Signs in by a link.
    pub async fn sign_in(&mut self, name: &str) {
        let link = self.link(name).await;
        let answer = self.post(&format!("{link}/use"), "").await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
        self.take_cookie(&answer);
        self.read_csrf().await;
    }

    /// Keeps the session that an answer sets.
    pub fn take_cookie(&mut self, answer: &Answer) {
        let set = answer.headers.get(header::SET_COOKIE).unwrap().to_str().unwrap();
        self.cookie = set.split(';').next().map(str::to_owned);
    }

    /// Reads the form token from a page.
    pub async fn read_csrf(&mut self) {
        let page = self.get("/rules").await.text;
        self.csrf = between(&page, "name=\"csrf\" content=\"", "\"").to_owned();
        assert!(!self.csrf.is_empty());
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path).body(Body::empty()).unwrap()).await
    }

    /// Opens a stream.
    pub async fn open(&self, path: &str) -> Stream {
        let request = self.request(Method::GET, path).body(Body::empty()).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        Stream(response.into_body().into_data_stream())
    }

    /// Sends a form from a page of ours, with the form token.
    pub async fn post(&self, path: &str, form: &str) -> Answer {
        let token = if self.csrf.is_empty() { String::new() } else { format!("csrf={}&", self.csrf) };
        let request = self
            .request(Method::POST, path)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::ORIGIN, ORIGIN)
            .body(Body::from(format!("{token}{form}")));
        self.send(request.unwrap()).await
    }

    pub fn request(&self, method: Method, path: &str) -> axum::http::request::Builder {
        let request = Request::builder().method(method).uri(path);
        match &self.cookie {
            Some(cookie) => request.header(header::COOKIE, cookie),
            None => request,
        }
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let endless = headers.get(header::CONTENT_TYPE).is_some_and(|v| v == "text/event-stream");
        let text = if endless {
            String::new()
        } else {
            let bytes = axum::body::to_bytes(response.into_body(), 64 << 20).await.unwrap();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        Answer { status, headers, text }
    }
}

/// A stream that stays open.
pub struct Stream(axum::body::BodyDataStream);

impl Stream {
    /// The next piece; `None` at the end.
    pub async fn next_text(&mut self) -> Option<String> {
        self.0.next().await.map(|piece| String::from_utf8_lossy(&piece.unwrap()).into_owned())
    }
}

/// The text between two marks, or nothing.
pub fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    text.split_once(before).and_then(|(_, rest)| rest.split_once(after)).map_or("", |(found, _)| found)
}
