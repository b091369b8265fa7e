//! Parameters of a request, from the query string and from a form. A name may occur many times.

use axum::{
    extract::FromRequestParts,
    http::{Uri, request::Parts},
};
use covigil_model::Time;
use url::form_urlencoded;

use crate::page::PageError;

/// Names and values, in the order of the request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Params(Vec<(String, String)>);

/// The values of a form, put into the request by the guard after it has read the body.
#[derive(Debug, Clone, Default)]
pub struct FormParams(pub Params);

impl Params {
    /// Reads `a=1&b=2`.
    pub fn parse(encoded: &[u8]) -> Self {
        Self(form_urlencoded::parse(encoded).into_owned().collect())
    }

    /// The parameters of an address.
    pub fn of_uri(uri: &Uri) -> Self {
        Self::parse(uri.query().unwrap_or("").as_bytes())
    }

    /// The first value of a name, trimmed; `None` where it is absent or empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, v)| v.trim()).filter(|v| !v.is_empty())
    }

    /// The first value of a name as it came; empty where it is absent.
    pub fn exact(&self, name: &str) -> &str {
        self.0.iter().find(|(n, _)| n == name).map_or("", |(_, v)| v)
    }

    /// All values of a name that are not empty.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> + 'a {
        self.0.iter().filter(move |(n, v)| n == name && !v.is_empty()).map(|(_, v)| v.as_str())
    }

    /// A value that must be there, or a message that names what is missing.
    pub fn need(&self, name: &str, label: &str) -> Result<&str, PageError> {
        self.get(name).ok_or_else(|| PageError::refused(format!("{label} is missing.")))
    }

    /// A time in RFC 3339; `None` where absent or unreadable.
    pub fn time(&self, name: &str) -> Option<Time> {
        self.get(name).and_then(Time::parse)
    }

    /// Whether the name occurs with the value.
    pub fn has(&self, name: &str, value: &str) -> bool {
        self.0.iter().any(|(n, v)| n == name && v == value)
    }

    /// The same parameters, with all values of `name` replaced by one.
    #[must_use]
    pub fn with(&self, name: &str, value: &str) -> Self {
        let mut out = self.without(name);
        out.0.push((name.to_owned(), value.to_owned()));
        out
    }

    /// The same parameters, with one more value.
    #[must_use]
    pub fn and(&self, name: &str, value: &str) -> Self {
        let mut out = self.clone();
        out.0.push((name.to_owned(), value.to_owned()));
        out
    }

    /// The same parameters without a name.
    #[must_use]
    pub fn without(&self, name: &str) -> Self {
        Self(self.0.iter().filter(|(n, _)| n != name).cloned().collect())
    }

    /// The same parameters without one value of a name.
    #[must_use]
    pub fn without_value(&self, name: &str, value: &str) -> Self {
        Self(self.0.iter().filter(|(n, v)| n != name || v != value).cloned().collect())
    }

    /// As a query string, without the question mark.
    pub fn encode(&self) -> String {
        form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.0).finish()
    }

    /// The pairs.
    pub fn pairs(&self) -> &[(String, String)] {
        &self.0
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self::of_uri(&parts.uri))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for FormParams {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_default())
    }
}
