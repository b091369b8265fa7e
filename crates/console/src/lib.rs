//! The console: server-rendered pages and the JSON interface beside them, over a [`Backend`].
//!
//! A page asks the backend and never knows which program it runs in. What belongs here: pages,
//! sign-in, sessions, authorisation of requests, and the browser's assets. What does not: how
//! alerts, events, users or rules are kept, which is the backend's.

mod api;
mod app;
pub mod assets;
mod auth;
pub mod backend;
mod guard;
pub mod html;
mod live;
mod page;
mod pages;
mod params;
mod routes;

pub use app::{ConsoleConfig, ConsoleError, issue_link, router};
pub use backend::{Backend, BackendError};
pub use routes::{Access, RouteInfo, routes};
