//! What every page has: the frame around it, the visitor it is for, and the errors it ends in.

use std::sync::{Arc, Mutex};

use askama::Template;
use axum::{
    extract::FromRequestParts,
    http::{HeaderName, HeaderValue, StatusCode, header, request::Parts},
    response::{Html, IntoResponse, Response},
};
use covigil_model::{OpContext, Role, Time};

use crate::{
    app::Shared,
    assets,
    backend::{BackendError, Seat, Session, User},
};

/// What is known of every request before anyone has signed in.
#[derive(Debug, Clone)]
pub struct Request {
    /// Scripts and styles with this nonce may load.
    pub nonce: String,
    /// `light`, `dark` or `auto`.
    pub theme: &'static str,
    /// A fragment is wanted, not a page.
    pub fragment: bool,
    /// The browser's address, where known.
    pub peer: Option<String>,
    /// When the request came.
    pub at: Time,
}

/// A signed-in person's request.
#[derive(Debug, Clone)]
pub struct Visitor {
    /// Who, for which tenant.
    pub ctx: OpContext,
    /// The person.
    pub user: User,
    /// The session.
    pub session: Session,
    /// The token that forms send back.
    pub csrf: String,
    /// What is known of the request.
    pub request: Request,
    /// Whether the person has a way in besides links.
    pub enrolled: bool,
    pub(crate) audit: AuditNote,
}

/// What a handler adds to the audit entry that the guard writes.
#[derive(Debug, Clone, Default)]
pub(crate) struct AuditNote(Arc<Mutex<Option<(String, String)>>>);

impl AuditNote {
    pub(crate) fn set(&self, target: String, detail: String) {
        if let Ok(mut note) = self.0.lock() {
            *note = Some((target, detail));
        }
    }

    pub(crate) fn take(&self) -> Option<(String, String)> {
        self.0.lock().ok().and_then(|mut note| note.take())
    }
}

impl Visitor {
    /// Says what the audit entry of this request is about.
    pub fn note(&self, target: impl Into<String>, detail: impl Into<String>) {
        self.audit.set(target.into(), detail.into());
    }

    /// Whether the person has at least this role.
    pub fn may(&self, role: Role) -> bool {
        self.user.role >= role
    }

    /// The frame of a page.
    pub fn frame(&self, app: &Shared, title: &str, place: &'static str) -> Frame {
        Frame {
            person: Some(Person {
                name: self.user.name.clone(),
                role: self.user.role,
                enrolled: self.enrolled,
            }),
            csrf: self.csrf.clone(),
            ..Frame::bare(app, &self.request, title, place)
        }
    }
}

/// Who is signed in, as the frame shows it.
pub struct Person {
    /// The person's name.
    pub name: String,
    /// Its role.
    pub role: Role,
    /// Whether the person has a way in besides links.
    pub enrolled: bool,
}

/// The frame of a page: head, navigation, the seat.
pub struct Frame {
    /// Title of the page.
    pub title: String,
    /// The navigation entry that it belongs to.
    pub place: &'static str,
    /// Whose seat it is.
    pub seat: Seat,
    /// Who is signed in.
    pub person: Option<Person>,
    /// The token that forms send back; empty before sign-in.
    pub csrf: String,
    /// Scripts and styles with this nonce may load.
    pub nonce: String,
    /// `light`, `dark` or `auto`.
    pub theme: &'static str,
}

/// One entry of the navigation.
pub struct Place {
    /// Its word in [`Frame::place`].
    pub word: &'static str,
    /// Where it leads.
    pub address: &'static str,
    /// Its name.
    pub label: &'static str,
    /// Path data of its picture, on a grid of 20.
    pub picture: &'static str,
}

const PLACES: [Place; 6] = [
    Place { word: "today", address: "/", label: "Today", picture: "M4 5h12v11H4zM4 8.5h12M7.5 3v3M12.5 3v3" },
    Place { word: "queue", address: "/queue", label: "Queue", picture: "M3 5h14M3 10h14M3 15h9" },
    Place {
        word: "search",
        address: "/search",
        label: "Search",
        picture: "M8.5 3.5a5 5 0 1 0 0 10 5 5 0 0 0 0-10zM12.2 12.2 17 17",
    },
    Place {
        word: "rules",
        address: "/rules",
        label: "Rules",
        picture: "M5 3h10v14H5zM7.5 7h5M7.5 10h5M7.5 13h3",
    },
    Place { word: "health", address: "/health", label: "Health", picture: "M2.5 10h4l2-5 3 10 2-5h4" },
    Place {
        word: "settings",
        address: "/settings",
        label: "Settings",
        picture: "M3 6h8M15 6h2M3 14h2M9 14h8M11 6a2 2 0 1 0 4 0 2 2 0 0 0-4 0zM5 14a2 2 0 1 0 4 0 2 2 0 0 0-4 0z",
    },
];

impl Frame {
    /// A frame for someone who has not signed in.
    pub fn bare(app: &Shared, request: &Request, title: &str, place: &'static str) -> Self {
        Self {
            title: title.to_owned(),
            place,
            seat: app.backend.seat(),
            person: None,
            csrf: String::new(),
            nonce: request.nonce.clone(),
            theme: request.theme,
        }
    }

    /// The whole page: the frame around a body, with the scripts that the body needs.
    pub fn around(self, body: &impl Template, scripts: &'static [&'static str]) -> PageResult {
        let shell = Shell { body: body.render()?, frame: self, scripts };
        Ok(Html(shell.render()?).into_response())
    }

    /// The navigation.
    pub fn places(&self) -> &'static [Place] {
        &PLACES
    }

    /// The address of an asset.
    pub fn asset(&self, stem: &str) -> String {
        assets::address(stem)
    }
}

/// Why a page was not shown. The guard turns it into an error page, or a bare message for a
/// fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageError {
    /// HTTP's answer.
    pub status: StatusCode,
    /// What happened and the mend, for the person.
    pub message: String,
}

impl PageError {
    /// The request makes no sense.
    pub fn refused(message: impl Into<String>) -> Self {
        Self { status: StatusCode::UNPROCESSABLE_ENTITY, message: message.into() }
    }

    /// There is no such thing.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self { status: StatusCode::NOT_FOUND, message: message.into() }
    }

    /// The person may not.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self { status: StatusCode::FORBIDDEN, message: message.into() }
    }

    /// A fault of the console itself.
    pub fn fault(cause: impl std::fmt::Display) -> Self {
        tracing::error!(%cause, "a page could not be made");
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            message: "The page could not be made. The node's log says why.".to_owned(),
        }
    }
}

impl From<BackendError> for PageError {
    fn from(error: BackendError) -> Self {
        let status = match &error {
            BackendError::NotFound(_) => StatusCode::NOT_FOUND,
            BackendError::Refused(_) | BackendError::Query { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            BackendError::CountChanged { .. } => StatusCode::CONFLICT,
            BackendError::Unavailable { message, cause } => {
                tracing::error!(%message, %cause, "the backend failed");
                StatusCode::SERVICE_UNAVAILABLE
            }
        };
        Self { status, message: error.to_string() }
    }
}

impl From<askama::Error> for PageError {
    fn from(error: askama::Error) -> Self {
        Self::fault(error)
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let mut response = (self.status, self.message.clone()).into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// What handlers return.
pub type PageResult = Result<Response, PageError>;

#[derive(Template)]
#[template(path = "frame.html")]
struct Shell {
    frame: Frame,
    /// Rendered, and so escaped.
    body: String,
    scripts: &'static [&'static str],
}

/// Renders a fragment.
pub fn render(template: &impl Template) -> PageResult {
    Ok(Html(template.render()?).into_response())
}

/// Sends the browser elsewhere by GET.
pub fn redirect(address: &str) -> Response {
    match HeaderValue::from_str(address) {
        Ok(value) => (StatusCode::SEE_OTHER, [(header::LOCATION, value)]).into_response(),
        Err(_) => {
            (StatusCode::SEE_OTHER, [(header::LOCATION, HeaderValue::from_static("/"))]).into_response()
        }
    }
}

/// A word for the person about what was just done, shown in passing by the script.
pub fn with_toast(mut response: Response, text: &str) -> Response {
    let encoded = crate::html::url_encode(text);
    if let Ok(value) = HeaderValue::from_str(&encoded) {
        response.headers_mut().insert(HeaderName::from_static("x-toast"), value);
    }
    response
}

impl<S: Send + Sync> FromRequestParts<S> for Request {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, PageError> {
        let found = parts.extensions.get::<Self>().cloned();
        found.ok_or_else(|| PageError::fault("the outermost layer did not describe the request"))
    }
}

/// There on every route whose access names a role; the guard puts it there.
impl<S: Send + Sync> FromRequestParts<S> for Visitor {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, PageError> {
        let found = parts.extensions.get::<Self>().cloned();
        found.ok_or_else(|| PageError::fault("a page for visitors stands on a public route"))
    }
}
