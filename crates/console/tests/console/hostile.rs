//! Text that an attacker wrote, on every page where it can appear.

use axum::http::{Method, StatusCode};
use covigil_console::{
    Access,
    backend::{AlertFilter, AlertQuery, Alerts as _},
    routes,
};

use crate::{client::Client, memory::Memory};

/// What must not stand in a page, were the sample's hostile text let through.
const ACTS: [&str; 6] =
    ["<img src=x", "<b hx-get", "\x1b", "\u{202e}", "href=\"javascript:", "href=\"https://attack"];

fn check(page: &str, path: &str) {
    for act in ACTS {
        assert!(!page.contains(act), "{path} lets {act:?} through");
    }
    for handler in [" onclick=", " onload=", " onerror=\"", " style=\"", "<script>"] {
        assert!(!page.contains(handler), "{path} has {handler:?}");
    }
}

#[tokio::test]
async fn no_page_lets_it_act() {
    let memory = Memory::sampled();
    let mut ana = Client::new(memory.clone());
    ana.sign_in("ana").await;
    let hostile = memory
        .alerts(
            &memory.ctx(),
            &AlertQuery {
                filter: AlertFilter { text: Some("onerror".into()), ..AlertFilter::default() },
                limit: 1,
                ..AlertQuery::default()
            },
        )
        .await
        .unwrap()
        .alerts
        .remove(0);
    let name = covigil_console::html::url_encode(crate::memory::HOSTILE);
    let mut paths: Vec<String> = routes()
        .into_iter()
        .filter(|r| r.method == Method::GET && r.access != Access::Public && r.access != Access::Program)
        .filter(|r| {
            !r.path.contains('{')
                && !matches!(r.path, "/live" | "/search/tail" | "/search/export" | "/search/rows")
        })
        .map(|r| format!("{}?q={name}&id={}&do=benign&lane=all&entity=file:{name}", r.path, hostile.id))
        .collect();
    paths.extend([
        "/queue?lane=all".to_owned(),
        "/rules".to_owned(),
        format!("/alerts/{}?q={name}", hostile.id),
    ]);
    paths.extend([format!("/entities/file?name={name}"), "/events/journal/999999".to_owned()]);
    paths.extend([format!("/rules/one?id={}", hostile.rule.id), format!("/sign-in?next=/{name}")]);
    let mut shown = 0;
    for path in &paths {
        let answer = ana.get(path).await;
        assert!(answer.status.as_u16() < 500, "{path}: {}", answer.text);
        check(&answer.text, path);
        shown += usize::from(answer.text.contains("&lt;img src=x"));
    }
    assert!(shown >= 8, "the hostile text was shown, escaped, on {shown} pages only");
}

#[tokio::test]
async fn rows_of_search_are_escaped_in_their_stream() {
    let mut ana = Client::new(Memory::sampled());
    ana.sign_in("ana").await;
    let answer = ana.get("/search/rows?q=onerror&range=all").await;
    let mut rows = 0;
    for line in answer.text.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        if line["kind"] == "row" {
            check(line["value"].as_str().unwrap(), "/search/rows");
            rows += 1;
        }
    }
    assert!(rows > 0);
}

#[tokio::test]
async fn what_is_hidden_is_made_visible() {
    let mut ana = Client::new(Memory::sampled());
    ana.sign_in("ana").await;
    let page = ana.get("/events/journal/999999").await.text;
    for seen in ["⟨U+202E⟩gpj.exe", "⟨ESC⟩[31m", "⟨CR⟩"] {
        assert!(page.contains(seen), "{seen}");
    }
}

#[tokio::test]
async fn exports_are_safe_in_spreadsheets() {
    let mut ana = Client::new(Memory::sampled());
    ana.sign_in("ana").await;
    let answer = ana.get("/search/export?format=csv&range=all&q=Failed").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.text.lines().count() > 100);
    for cell in answer.text.lines().flat_map(|line| line.split(',')) {
        assert!(!cell.starts_with(['=', '@', '\t']), "{cell}");
    }
    let json = ana.get("/search/export?format=jsonl&range=all&q=Failed").await;
    assert!(json.text.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
}
