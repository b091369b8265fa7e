//! `covigil up`.

use std::process::ExitCode;

use anyhow::Result;
use covigil_node::{Node, config::NodeConfig};

use crate::args::Up;

/// Starts the node, says where it is, and runs it until Ctrl-C or a termination signal.
pub async fn run(args: Up) -> Result<ExitCode> {
    let data = args.data.path();
    let mut config = NodeConfig::load(&data)?;
    if let Some(listen) = args.console {
        config.console.listen = listen;
    }
    eprintln!("Starting Covigil on {}", data.display());
    let node = Node::start(data, config).await?;
    for line in node.greeting().await? {
        println!("{line}");
    }
    node.run_until_stopped(stop_signal()).await?;
    eprintln!("Stopped. What was acknowledged is kept.");
    Ok(ExitCode::SUCCESS)
}

/// Resolves at Ctrl-C or SIGTERM.
async fn stop_signal() {
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminate => {}
    }
}
