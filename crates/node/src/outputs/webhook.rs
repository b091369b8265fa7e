//! JSON by HTTP POST.
//!
//! Redirects are not followed, and addresses that only cloud metadata services answer on are refused
//! after the name has been resolved, so that neither a redirect nor a name that changes its address
//! turns an output into a way to read them.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use super::{DeliveryError, Message};

pub async fn send(
    url: &str,
    authorization: Option<&SecretString>,
    message: Message<'_>,
) -> Result<(), DeliveryError> {
    let target =
        reqwest::Url::parse(url).map_err(|e| DeliveryError(format!("the webhook's address {url}: {e}")))?;
    if !matches!(target.scheme(), "http" | "https") {
        return Err(DeliveryError(format!(
            "a webhook's address begins with https:// or http://; this one is {url}"
        )));
    }
    if let Some(address) = target.host_str().and_then(|h| h.trim_matches(['[', ']']).parse().ok())
        && is_metadata(address)
    {
        return Err(refused(address));
    }
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .dns_resolver(Arc::new(GuardedResolver))
        .build()
        .map_err(|e| DeliveryError(format!("could not set up HTTP: {e}")))?;
    let mut request = client
        .post(target)
        .header("content-type", "application/json")
        .header("user-agent", concat!("covigil/", env!("CARGO_PKG_VERSION")))
        .body(body(message).to_string());
    if let Some(value) = authorization {
        request = request.header("authorization", value.expose_secret());
    }
    let answer = request.send().await.map_err(|e| DeliveryError(cause_of(&e)))?;
    if answer.status().is_success() {
        return Ok(());
    }
    Err(DeliveryError(format!("the webhook answered {}; it should answer 2xx", answer.status())))
}

/// The document that is posted: stable names, the alert as the API shows it.
fn body(message: Message<'_>) -> serde_json::Value {
    json!({
        "version": 1,
        "type": "alert",
        "tenant": message.tenant,
        "node": message.node,
        "link": message.link(),
        "alert": message.alert,
    })
}

fn cause_of(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text
}

fn refused(address: IpAddr) -> DeliveryError {
    DeliveryError(format!("{address} is an address of a cloud's metadata service; outputs do not go there"))
}

/// Link-local addresses, and the fixed addresses of metadata services outside that range.
fn is_metadata(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local() || v4.octets() == [100, 100, 100, 200],
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => is_metadata(IpAddr::V4(v4)),
            None => v6.is_unicast_link_local() || v6.segments() == [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254],
        },
    }
}

/// Resolves names by the system, and drops addresses of metadata services from the answer.
struct GuardedResolver;

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let kept: Vec<SocketAddr> = found.filter(|address| !is_metadata(address.ip())).collect();
            if kept.is_empty() {
                return Err(format!("{} has no address that outputs may go to", name.as_str()).into());
            }
            Ok(Box::new(kept.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_addresses_are_known_in_every_spelling() {
        for text in
            ["169.254.169.254", "::ffff:169.254.169.254", "fe80::1", "100.100.100.200", "fd00:ec2::254"]
        {
            assert!(is_metadata(text.parse().unwrap()), "{text}");
        }
        for text in ["10.0.0.1", "127.0.0.1", "::1", "93.184.216.34"] {
            assert!(!is_metadata(text.parse().unwrap()), "{text}");
        }
    }
}
