//! `covigil sign-in`.

use std::process::ExitCode;

use anyhow::Result;
use covigil_node::sign_in_link;

use crate::{args::SignIn, client::Client};

/// Makes a one-time link for the first administrator; whoever can read the data folder may.
pub async fn run(args: &SignIn) -> Result<ExitCode> {
    let client = Client::of(&args.data)?;
    let path = sign_in_link(&args.data.path()).await?;
    println!("{}{path}", client.url());
    eprintln!("The link signs in once, within 15 minutes.");
    Ok(ExitCode::SUCCESS)
}
