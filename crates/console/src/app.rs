//! The console's own state, and the router built from the route table.

use std::{sync::Arc, time::Duration};

use axum::Router;
use covigil_model::{OpContext, Time, UserId};
use tokio::sync::Semaphore;
use url::Url;
use webauthn_rs::{Webauthn, WebauthnBuilder};

use crate::{
    auth::{Ceremonies, Throttle, random_token},
    backend::{Backend, BackendError, SignInLink, TokenHash},
    guard, routes,
};

/// How the console is reached, and how long sessions last.
#[derive(Debug, Clone)]
pub struct ConsoleConfig {
    /// The address in the browser, such as `http://localhost:8080`. Passkeys are bound to its host.
    pub origin: Url,
    /// A session ends after that long without a request by its person.
    pub idle: Duration,
    /// A session ends after that long, whatever happens.
    pub longest: Duration,
}

impl ConsoleConfig {
    /// The configuration for an origin with the usual times: an hour idle, twelve at most.
    pub const fn at(origin: Url) -> Self {
        Self { origin, idle: Duration::from_secs(3_600), longest: Duration::from_secs(12 * 3_600) }
    }
}

/// Why the console cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum ConsoleError {
    /// The origin is not an address that browsers can open.
    #[error(
        "the console's origin {0} is not usable: write it like http://localhost:8080 or https://siem.example.org"
    )]
    Origin(String),
}

/// The console's state.
pub(crate) struct App {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) config: ConsoleConfig,
    /// `None` where the origin's host is an address: passkeys need a name.
    pub(crate) webauthn: Option<Webauthn>,
    pub(crate) throttle: Throttle,
    pub(crate) ceremonies: Ceremonies,
    /// Bounds the memory and time that password hashing can take.
    pub(crate) hashing: Semaphore,
}

pub(crate) type Shared = Arc<App>;

impl App {
    /// The origin as browsers send it.
    pub(crate) fn origin_text(&self) -> String {
        self.config.origin.origin().ascii_serialization()
    }

    /// Whether cookies are for encrypted connections only.
    pub(crate) fn encrypted(&self) -> bool {
        self.config.origin.scheme() == "https"
    }

    /// The context in which the console itself looks things up before anyone has signed in.
    pub(crate) fn system(&self, at: Time) -> OpContext {
        OpContext::system(self.backend.seat().tenant, "console", at)
    }
}

/// The console over a backend. Serve it with connect info
/// (`into_make_service_with_connect_info::<SocketAddr>`), so that the throttle knows who asks.
pub fn router(config: ConsoleConfig, backend: Arc<dyn Backend>) -> Result<Router, ConsoleError> {
    let origin = &config.origin;
    if !matches!(origin.scheme(), "http" | "https") || origin.host_str().is_none() {
        return Err(ConsoleError::Origin(origin.to_string()));
    }
    let webauthn = origin.domain().and_then(|domain| {
        WebauthnBuilder::new(domain, origin).and_then(|builder| builder.rp_name("Covigil").build()).ok()
    });
    let app = Arc::new(App {
        backend,
        config,
        webauthn,
        throttle: Throttle::default(),
        ceremonies: Ceremonies::default(),
        hashing: Semaphore::new(2),
    });
    let mut router = Router::new();
    for route in routes::table() {
        let guarded = route.handler.layer(axum::middleware::from_fn_with_state(
            guard::Guarded {
                app: app.clone(),
                access: route.access,
                action: route.action,
                background: route.background,
            },
            guard::guard,
        ));
        router = router.route(route.path, guarded);
    }
    Ok(router
        .fallback(guard::no_such_page)
        .layer(guard::compression())
        .layer(axum::middleware::from_fn_with_state(app.clone(), guard::headers))
        .with_state(app))
}

/// Makes a link that signs `user` in once, and returns its path, to be appended to the origin. The
/// token in it is shown nowhere else.
pub async fn issue_link(
    backend: &dyn Backend,
    ctx: &OpContext,
    user: UserId,
    lasts: Duration,
) -> Result<String, BackendError> {
    let token = random_token()?;
    let secs = i64::try_from(lasts.as_secs()).unwrap_or(i64::MAX);
    let link = SignInLink { hash: TokenHash::of(&token), user, expires: ctx.at().plus_secs(secs) };
    backend.put_link(ctx, link).await?;
    Ok(format!("/sign-in/link/{token}"))
}
