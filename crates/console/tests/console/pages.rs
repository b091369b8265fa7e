//! What pages say and do.

use axum::http::StatusCode;
use covigil_console::{
    assets,
    backend::{AlertFilter, Alerts as _},
};
use covigil_model::AlertState;

use crate::{
    client::{Client, between},
    memory::Memory,
};

#[tokio::test]
async fn an_empty_console_says_what_would_fill_it() {
    let mut ana = Client::new(Memory::empty());
    ana.sign_in("ana").await;
    for (path, says) in [
        ("/", "No source is connected yet"),
        ("/queue", "When a rule matches, its alert appears here within a second"),
        ("/queue?lane=mine", "Alerts that you take"),
        ("/queue?q=nothing", "Remove a condition"),
        ("/rules", "covigil rules add"),
        ("/health", "No source sends"),
        ("/settings", "None yet besides links"),
        ("/settings/tokens", "None yet"),
        ("/settings/outputs", "Nowhere yet"),
    ] {
        let page = ana.get(path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        assert!(page.text.contains(says), "{path} does not say “{says}”");
    }
}

#[tokio::test]
async fn a_bulk_action_touches_exactly_what_was_agreed_to() {
    let memory = Memory::sampled();
    let mut ben = Client::new(memory.clone());
    ben.sign_in("ben").await;
    let filter = "lane=open%26severity=high";
    let question = ben.get(&format!("/queue/confirm?do=benign&filter={filter}")).await.text;
    let expected: u64 = between(&question, "name=\"expected\" value=\"", "\"").parse().unwrap();
    let bounded = between(&question, "name=\"filter\" value=\"", "\"").replace("&amp;", "&");
    let form =
        format!("do=benign&expected={expected}&filter={}", covigil_console::html::url_encode(&bounded));
    // An alert that comes meanwhile is not among those that the person agreed to.
    let late = memory.raise();
    assert!(question.contains(&format!("{expected} alerts")), "{question}");
    let wrong = form.replace(&format!("expected={expected}"), &format!("expected={}", expected + 1));
    assert_eq!(ben.post("/queue/act", &wrong).await.status, StatusCode::CONFLICT);
    let answer = ben.post("/queue/act", &form).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
    let toast = answer.headers["x-toast"].to_str().unwrap();
    assert_eq!(toast, format!("{expected}%20of%20{expected}%20alerts%20closed%20as%20benign."));
    let detail = memory.alert(&memory.ctx(), late).await.unwrap().unwrap();
    assert_eq!(detail.alert.state, AlertState::New);
}

#[tokio::test]
async fn pages_of_the_queue_meet_without_gap_or_repeat() {
    let memory = Memory::sampled();
    let mut vera = Client::new(memory.clone());
    vera.sign_in("vera").await;
    let mut path = "/queue?lane=all".to_owned();
    let mut ids = Vec::new();
    while !path.is_empty() {
        let page = vera.get(&path).await.text;
        ids.extend(page.split("<tr data-id=\"").skip(1).map(|row| row[..32].to_owned()));
        let more =
            page.split_once("Next page").map_or("", |(before, _)| before.rsplit("href=\"").next().unwrap());
        path = more.split('"').next().unwrap_or("").replace("&amp;", "&");
    }
    let total = memory.count_alerts(&memory.ctx(), &AlertFilter::default()).await.unwrap();
    assert_eq!(ids.len() as u64, total);
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len() as u64, total);
}

#[tokio::test]
async fn a_viewer_sees_no_control_that_would_be_refused() {
    let memory = Memory::sampled();
    let mut vera = Client::new(memory.clone());
    vera.sign_in("vera").await;
    let id = memory.raise();
    for path in
        ["/queue?lane=all".to_owned(), format!("/alerts/{id}"), "/entities/host?name=dc-01".to_owned()]
    {
        let page = vera.get(&path).await.text;
        for control in ["action=\"/queue/act\"", "data-bulk", "/notes\"", "action=\"/entities"] {
            assert!(!page.contains(control), "{path} shows {control}");
        }
    }
    assert!(!vera.get("/settings").await.text.contains("/settings/people"));
}

#[tokio::test]
async fn an_alert_marks_what_matched_in_the_original() {
    let memory = Memory::sampled();
    let mut vera = Client::new(memory.clone());
    vera.sign_in("vera").await;
    let id = memory.raise();
    let page = vera.get(&format!("/alerts/{id}")).await.text;
    let original = between(&page, "<pre class=\"original\"", "</pre>");
    assert!(original.contains("<mark>Accepted</mark>"), "{original}");
    assert!(
        page.contains("T1110.001") && page.contains("Next steps") && page.contains("javascript:alert(3)")
    );
}

#[tokio::test]
async fn pivots_extend_the_query() {
    let mut vera = Client::new(Memory::sampled());
    vera.sign_in("vera").await;
    for (mode, query, expected) in [
        ("only", "x", r#"user.name:"root""#),
        ("include", "x", r#"x user.name:"root""#),
        ("exclude", "x | top user.name", r#"x NOT user.name:"root" | top user.name"#),
        ("include", "a OR b", r#"(a OR b) user.name:"root""#),
        ("exclude", "", r#"NOT user.name:"root""#),
    ] {
        let asked = format!(
            "/search/pivot?mode={mode}&field=user.name&value=root&range=7d&q={}",
            covigil_console::html::url_encode(query)
        );
        let answer = vera.get(&asked).await;
        let want = format!(
            "/search?{}",
            url::form_urlencoded::Serializer::new(String::new())
                .append_pair("q", expected)
                .append_pair("range", "7d")
                .finish()
        );
        assert_eq!(answer.location(), want);
    }
}

#[tokio::test]
async fn a_person_keeps_a_way_in() {
    let memory = Memory::sampled();
    let mut ana = Client::new(memory);
    ana.sign_in("ana").await;
    let answer = ana.post("/enrol/password/remove", "").await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    let me = between(&ana.get("/settings/people").await.text, "name=\"id\" value=\"", "\"").to_owned();
    let answer = ana.post("/settings/people/change", &format!("id={me}&role=viewer")).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "the last admin gave the role away");
}

#[test]
fn the_queue_page_is_light() {
    let size = assets::gzipped_size(&["app", "style"]);
    assert!(size > 5_000 && size <= 60_000, "{size} bytes of script and style, gzipped");
}

#[tokio::test]
async fn assets_are_kept_for_good_and_compressed() {
    let client = Client::new(Memory::empty());
    let request = client
        .request(axum::http::Method::GET, &assets::address("app"))
        .header("accept-encoding", "br, gzip")
        .body(axum::body::Body::empty());
    let answer = client.send(request.unwrap()).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.headers["content-encoding"], "gzip");
    assert!(answer.headers["cache-control"].to_str().unwrap().contains("immutable"));
}

#[tokio::test]
async fn live_streams_tell_of_alerts_and_events_and_end_with_the_session() {
    let memory = Memory::sampled();
    let mut ben = Client::new(memory.clone());
    ben.sign_in("ben").await;
    let mut live = ben.open("/live").await;
    let mut tail = ben.open("/search/tail").await;
    assert!(live.next_text().await.unwrap().contains("event: begin"));
    let id = memory.raise();
    let told = live.next_text().await.unwrap();
    assert!(told.contains("event: raised") && told.contains(&id.to_string()), "{told}");
    memory.hear();
    let row = tail.next_text().await.unwrap();
    assert!(row.contains("event: row") && row.contains("<tr"), "{row}");
    ben.post("/sign-out", "").await;
    // The streams notice within seconds, without anything happening.
    while live.next_text().await.is_some() {}
    while tail.next_text().await.is_some() {}
}
