//! The console over sample data in memory, for work on pages and for browser tests:
//! `cargo run -p covigil-console --example demo`. Prints the address with a one-time link.
//! `POST /demo/raise` raises an alert, `POST /demo/hear` stores an event; `COVIGIL_DEMO_LISTEN` and `COVIGIL_DEMO_QUIET=1` (nothing
//! happens by itself) change what it does.

#[expect(dead_code, unused_imports, reason = "the tests use the rest")]
#[path = "../tests/console/memory/mod.rs"]
mod memory;

use std::{net::SocketAddr, time::Duration};

use axum::routing::post;
use covigil_console::{ConsoleConfig, backend::Identity as _, issue_link, router};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listen = std::env::var("COVIGIL_DEMO_LISTEN").unwrap_or_else(|_| "127.0.0.1:8480".to_owned());
    let socket = tokio::net::TcpListener::bind(&listen).await?;
    let origin = format!("http://localhost:{}", socket.local_addr()?.port());
    let memory = memory::Memory::sampled();
    let (raising, hearing) = (memory.clone(), memory.clone());
    let app = router(ConsoleConfig::at(origin.parse()?), memory.clone())?
        .route("/demo/raise", post(move || async move { raising.raise().to_string() }))
        .route("/demo/hear", post(move || async move { hearing.hear() }));
    for name in ["ana", "ben", "vera"] {
        let ctx = memory.ctx();
        if let Some(user) = memory.user_by_name(&ctx, name).await? {
            let link = issue_link(memory.as_ref(), &ctx, user.id, Duration::from_secs(86_400)).await?;
            println!("{name}: {origin}{link}");
        }
    }
    if std::env::var_os("COVIGIL_DEMO_QUIET").is_none() {
        tokio::spawn(async move {
            for beat in 1u64.. {
                tokio::time::sleep(Duration::from_millis(700)).await;
                memory.hear();
                if beat.is_multiple_of(40) {
                    memory.raise();
                }
            }
        });
    }
    axum::serve(socket, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
    Ok(())
}
