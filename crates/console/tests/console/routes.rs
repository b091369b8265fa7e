//! Every route of the table, for nobody and for every role.

use axum::http::{Method, StatusCode, header};
use covigil_console::{Access, backend::Identity as _, routes};
use covigil_model::Role;

use crate::{client::Client, memory::Memory};

fn filled(path: &str) -> String {
    path.replace("{name}", "style.css")
        .replace("{token}", "0123456789012345678901234567890123456789012")
        .replace("{id}", "00000000000000000000000000000001")
        .replace("{kind}", "host")
        .replace("{source}", "journal")
        .replace("{sequence}", "1")
}

#[tokio::test]
async fn every_route_asks_who_and_whether() {
    let memory = Memory::sampled();
    let nobody = Client::new(memory.clone());
    let mut clients = Vec::new();
    for (name, role) in [("vera", Role::Viewer), ("ben", Role::Analyst), ("ana", Role::Admin)] {
        let mut client = nobody.clone();
        client.sign_in(name).await;
        clients.push((role, client));
    }
    let mut seen = 0;
    for route in routes() {
        let path = filled(route.path);
        let public = route.access == Access::Public;
        if !public {
            let answer = if route.method == Method::GET {
                nobody.get(&path).await
            } else {
                nobody.post(&path, "").await
            };
            let turned_away = answer.status == StatusCode::UNAUTHORIZED
                || (answer.status == StatusCode::SEE_OTHER && answer.location().starts_with("/sign-in"));
            assert!(turned_away, "{} {path} let nobody in: {}", route.method, answer.status);
        }
        // Signing out would end what the other routes need.
        if route.path == "/sign-out" {
            continue;
        }
        for (role, client) in &clients {
            let answer = if route.method == Method::GET {
                client.get(&path).await
            } else {
                client.post(&path, "").await
            };
            let may = match route.access {
                Access::Public | Access::Program => true,
                Access::Role(least) => *role >= least,
            };
            let refused = answer.status == StatusCode::FORBIDDEN || answer.status == StatusCode::UNAUTHORIZED;
            assert_eq!(!may, refused, "{} {path} for {}: {}", route.method, role.as_str(), answer.status);
            assert_ne!(
                answer.status,
                StatusCode::INTERNAL_SERVER_ERROR,
                "{} {path}: {}",
                route.method,
                answer.text
            );
            assert_ne!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
            seen += 1;
        }
    }
    assert!(seen > 120, "only {seen} combinations were tried");
}

#[tokio::test]
async fn each_change_is_recorded_and_each_refusal_too() {
    let memory = Memory::sampled();
    let mut ben = Client::new(memory.clone());
    ben.sign_in("ben").await;
    for route in
        routes().into_iter().filter(|route| route.method == Method::POST && route.path != "/sign-out")
    {
        let Access::Role(_) = route.access else { continue };
        let before = memory.audited().len();
        ben.post(&filled(route.path), "").await;
        let after = memory.audited();
        let action = route.action.expect("a route that changes something names its action");
        let written = &after[before..];
        assert_eq!(written.len(), 1, "{} left {} entries", route.path, written.len());
        assert_eq!(
            (written[0].entry.action.as_str(), written[0].actor.as_str()),
            (action, "ben"),
            "{}",
            route.path
        );
    }
    let done = memory.raise();
    ben.post("/queue/act", &format!("do=benign&id={done}")).await;
    let last = memory.audited().pop().unwrap();
    assert!(last.entry.done && last.entry.target.contains(&done.to_string()), "{last:?}");
}

#[tokio::test]
async fn changes_come_from_our_own_pages_alone() {
    let memory = Memory::sampled();
    let mut ben = Client::new(memory.clone());
    ben.sign_in("ben").await;
    let id = memory.raise();
    let form = format!("do=benign&id={id}");
    let with = |origin: Option<&'static str>, site: Option<&'static str>, body: String| {
        let mut request = ben
            .request(Method::POST, "/queue/act")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let Some(origin) = origin {
            request = request.header(header::ORIGIN, origin);
        }
        if let Some(site) = site {
            request = request.header("sec-fetch-site", site);
        }
        request.body(axum::body::Body::from(body)).unwrap()
    };
    let good = format!("csrf={}&{form}", ben.csrf);
    let mut other = Client::new(memory.clone());
    other.router = ben.router.clone();
    other.sign_in("ana").await;
    let foreign = format!("csrf={}&{form}", other.csrf);
    for (what, request) in [
        ("no origin", with(None, None, good.clone())),
        ("another origin", with(Some("http://evil.example"), None, good.clone())),
        ("another port", with(Some("http://localhost:9999"), None, good.clone())),
        ("a sandboxed page", with(Some("null"), Some("cross-site"), good.clone())),
        (
            "our origin, said to be cross-site",
            with(Some(crate::client::ORIGIN), Some("cross-site"), good.clone()),
        ),
        ("no token", with(Some(crate::client::ORIGIN), None, form.clone())),
        ("another session's token", with(Some(crate::client::ORIGIN), None, foreign)),
    ] {
        let answer = ben.send(request).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{what}");
    }
    let answer = ben.send(with(Some("null"), Some("same-origin"), good.clone())).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
    let answer = ben.send(with(Some(crate::client::ORIGIN), Some("same-origin"), good)).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
}

#[tokio::test]
async fn tokens_of_programs_read_and_nothing_else() {
    let memory = Memory::sampled();
    let mut ana = Client::new(memory.clone());
    ana.sign_in("ana").await;
    let token = |scope: &'static str| {
        let ana = ana.clone();
        async move {
            let page = ana.post("/settings/tokens/add", &format!("name={scope}&scope={scope}")).await.text;
            format!("cvg_{}", crate::client::between(&page, "cvg_", "<"))
        }
    };
    let (read, intake) = (token("read").await, token("intake").await);
    let nobody = Client::new(memory.clone());
    let ask = |path: &'static str, token: String| {
        let nobody = nobody.clone();
        async move {
            let request =
                nobody.request(Method::GET, path).header(header::AUTHORIZATION, format!("Bearer {token}"));
            nobody.send(request.body(axum::body::Body::empty()).unwrap()).await
        }
    };
    for path in ["/api/v1/status", "/api/v1/alerts?severity=critical&limit=3"] {
        let answer = ask(path, read.clone()).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text);
        assert!(serde_json::from_str::<serde_json::Value>(&answer.text).is_ok(), "{path}");
        assert_eq!(ask(path, intake.clone()).await.status, StatusCode::FORBIDDEN, "{path}");
        assert_eq!(ask(path, "cvg_wrong".to_owned()).await.status, StatusCode::UNAUTHORIZED, "{path}");
    }
    assert_ne!(ask("/queue", read.clone()).await.status, StatusCode::OK, "a token opened a page");
    let request = nobody
        .request(Method::POST, "/api/v1/search")
        .header(header::AUTHORIZATION, format!("Bearer {read}"))
        .body(axum::body::Body::from(r#"{"query":"Failed","limit":5}"#))
        .unwrap();
    let answer = nobody.send(request).await;
    let lines: Vec<serde_json::Value> =
        answer.text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(lines.iter().filter(|l| l["kind"] == "event").count(), 5);
    assert_eq!(lines.last().unwrap()["kind"], "done");
    let id =
        memory.api_tokens(&memory.ctx()).await.unwrap().into_iter().find(|t| t.name == "read").unwrap().id;
    ana.post("/settings/tokens/revoke", &format!("id={id}")).await;
    assert_eq!(
        ask("/api/v1/status", read).await.status,
        StatusCode::UNAUTHORIZED,
        "a revoked token still reads"
    );
}

#[tokio::test]
async fn every_answer_carries_the_security_headers() {
    let memory = Memory::sampled();
    let mut vera = Client::new(memory);
    vera.sign_in("vera").await;
    let mut nonces = Vec::new();
    for path in ["/", "/queue", "/sign-in", "/no-such-page", "/assets/none.js", "/api/v1/status"] {
        let answer = vera.get(path).await;
        let policy = answer.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
        for part in ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"]
        {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(answer.headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
        assert_eq!(answer.headers[header::REFERRER_POLICY], "no-referrer");
        assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store", "{path}");
        let nonce = crate::client::between(&policy, "script-src 'nonce-", "'").to_owned();
        assert!(nonce.len() == 43 && !nonces.contains(&nonce));
        nonces.push(nonce);
    }
}
