//! Ways in and out.

use std::time::Duration;

use axum::http::{StatusCode, header};
use covigil_console::{
    backend::{Identity as _, PasswordRecord, UserChange},
    issue_link,
};

use crate::{
    client::{Client, between},
    memory::Memory,
};

#[tokio::test]
async fn a_link_signs_in_once_and_looking_does_not_use_it() {
    let memory = Memory::empty();
    let client = Client::new(memory);
    let link = client.link("ana").await;
    for _ in 0..3 {
        let page = client.get(&link).await;
        assert_eq!(page.status, StatusCode::OK);
        assert!(page.text.contains("ana") && page.headers.get(header::SET_COOKIE).is_none());
    }
    let first = client.post(&format!("{link}/use"), "").await;
    assert_eq!((first.status, first.location()), (StatusCode::SEE_OTHER, "/enrol"));
    let set = first.headers[header::SET_COOKIE].to_str().unwrap();
    for part in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(set.contains(part), "{set}");
    }
    assert_eq!(client.post(&format!("{link}/use"), "").await.status, StatusCode::NOT_FOUND);
    assert_eq!(client.get(&link).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn of_many_who_use_a_link_at_once_one_gets_in() {
    let client = Client::new(Memory::empty());
    let link = format!("{}/use", client.link("ana").await);
    let tries = (0..20).map(|_| client.post(&link, ""));
    let answers = futures::future::join_all(tries).await;
    assert_eq!(answers.iter().filter(|a| a.status == StatusCode::SEE_OTHER).count(), 1);
}

#[tokio::test]
async fn an_expired_link_is_void() {
    let memory = Memory::empty();
    let client = Client::new(memory.clone());
    let ctx = memory.ctx();
    let user = memory.user_by_name(&ctx, "ana").await.unwrap().unwrap();
    let link = issue_link(memory.as_ref(), &ctx, user.id, Duration::ZERO).await.unwrap();
    assert_eq!(client.get(&link).await.status, StatusCode::NOT_FOUND);
    assert_eq!(client.post(&format!("{link}/use"), "").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn encrypted_consoles_have_host_cookies() {
    let client =
        Client::with(Memory::empty(), |config| config.origin = "https://siem.example.org".parse().unwrap());
    let link = client.link("ana").await;
    let request = client
        .request(axum::http::Method::POST, &format!("{link}/use"))
        .header(header::ORIGIN, "https://siem.example.org")
        .body(axum::body::Body::empty());
    let answer = client.send(request.unwrap()).await;
    let set = answer.headers[header::SET_COOKIE].to_str().unwrap();
    assert!(set.starts_with("__Host-covigil-443=") && set.contains("Secure"), "{set}");
}

#[tokio::test]
async fn signing_out_ends_the_session_at_the_server() {
    let memory = Memory::sampled();
    let mut ana = Client::new(memory.clone());
    ana.sign_in("ana").await;
    assert_eq!(ana.get("/queue").await.status, StatusCode::OK);
    let out = ana.post("/sign-out", "").await;
    assert_eq!(out.location(), "/sign-in");
    // The cookie is still sent, as by someone who stole it.
    assert_eq!(ana.get("/queue").await.status, StatusCode::SEE_OTHER);
    assert_eq!(ana.get("/api/v1/status").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(ana.post("/today/read", "").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_new_sign_in_replaces_the_session_of_the_browser() {
    let memory = Memory::sampled();
    let mut ana = Client::new(memory);
    ana.sign_in("ana").await;
    let old = ana.cookie.clone();
    ana.csrf.clear();
    ana.sign_in("ana").await;
    assert_ne!(ana.cookie, old);
    ana.cookie = old;
    assert_eq!(ana.get("/queue").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn sessions_end_by_age_and_by_idleness_and_with_the_user() {
    for (idle, longest) in
        [(Duration::from_millis(30), Duration::from_secs(60)), (Duration::from_secs(60), Duration::ZERO)]
    {
        let mut ana = Client::with(Memory::sampled(), |config| {
            (config.idle, config.longest) = (Duration::from_secs(60), longest)
        });
        let link = ana.link("ana").await;
        let answer = ana.post(&format!("{link}/use"), "").await;
        ana.take_cookie(&answer);
        if longest.is_zero() {
            assert_eq!(ana.get("/queue").await.status, StatusCode::SEE_OTHER);
            continue;
        }
        // The same session seen by a console that is stricter about idleness (configured in whole seconds).
        let strict = Client {
            cookie: ana.cookie.clone(),
            ..Client::with(ana.memory.clone(), |config| config.idle = Duration::ZERO)
        };
        tokio::time::sleep(idle).await;
        assert_eq!(strict.get("/queue").await.status, StatusCode::SEE_OTHER);
    }
    let memory = Memory::sampled();
    let mut ben = Client::new(memory.clone());
    ben.sign_in("ben").await;
    let ctx = memory.ctx();
    let user = memory.user_by_name(&ctx, "ben").await.unwrap().unwrap();
    let change = UserChange { disabled: Some(true), ..UserChange::default() };
    memory.change_user(&ctx, user.id, change).await.unwrap();
    assert_eq!(ben.get("/queue").await.status, StatusCode::SEE_OTHER, "a disabled user still works");
}

/// The code that an authenticator would show for a secret at a time.
fn code(secret: &str, at: u64) -> String {
    let bytes = totp_rs::Secret::Encoded(secret.to_owned()).to_bytes().unwrap();
    totp_rs::TOTP::new(totp_rs::Algorithm::SHA1, 6, 1, 30, bytes, None, String::new()).unwrap().generate(at)
}

fn now() -> u64 {
    covigil_model::Time::now().secs() as u64
}

async fn enrol_password(client: &Client) -> String {
    let page = client.get("/enrol").await.text;
    assert!(page.contains("<svg"), "the secret is shown as a picture");
    let secret = between(&page, "name=\"secret\" value=\"", "\"").to_owned();
    // The code of the step before leaves the current one for signing in.
    let form = format!("secret={secret}&password=correct+horse+battery&code={}", code(&secret, now() - 30));
    let answer = client.post("/enrol/password", &form).await;
    assert_eq!((answer.status, answer.location()), (StatusCode::SEE_OTHER, "/settings"), "{}", answer.text);
    secret
}

#[tokio::test]
async fn password_and_code_sign_in_and_a_code_is_good_once() {
    let memory = Memory::sampled();
    let mut ana = Client::new(memory.clone());
    ana.sign_in("ana").await;
    let secret = enrol_password(&ana).await;
    let nobody = Client { cookie: None, csrf: String::new(), ..ana.clone() };
    let code_now = code(&secret, now());
    let form = format!("name=Ana&password=correct+horse+battery&code={code_now}&next=%2Fqueue");
    for wrong in
        [form.replace("battery", "bakery"), form.replace(&code_now, "000000"), form.replace("Ana", "nobody")]
    {
        assert_eq!(
            nobody.post("/sign-in/password", &wrong).await.status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{wrong}"
        );
    }
    let right = nobody.post("/sign-in/password", &form).await;
    assert_eq!((right.status, right.location()), (StatusCode::SEE_OTHER, "/queue"), "{}", right.text);
    let again = nobody.post("/sign-in/password", &form).await;
    assert_eq!(again.status, StatusCode::UNPROCESSABLE_ENTITY, "a code was good twice");
    let stored: PasswordRecord = memory
        .password(&memory.ctx(), memory.users(&memory.ctx()).await.unwrap()[0].id)
        .await
        .unwrap()
        .unwrap();
    assert!(stored.hash.starts_with("$argon2id$"));
}

#[tokio::test]
async fn guessing_is_slowed_even_with_the_right_password() {
    let memory = Memory::sampled();
    let mut ana = Client::new(memory);
    ana.sign_in("ana").await;
    let secret = enrol_password(&ana).await;
    let nobody = Client { cookie: None, csrf: String::new(), ..ana };
    for _ in 0..5 {
        nobody.post("/sign-in/password", "name=ana&password=wrong&code=123456").await;
    }
    let form = format!("name=ana&password=correct+horse+battery&code={}", code(&secret, now()));
    let answer = nobody.post("/sign-in/password", &form).await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(answer.text.contains("Wait"), "the page says how long");
}

#[tokio::test]
async fn sign_in_leads_nowhere_outside() {
    let nobody = Client::new(Memory::empty());
    for next in
        ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "/%0d%0aX:y"]
    {
        let page = nobody.get(&format!("/sign-in?next={next}")).await.text;
        assert_eq!(between(&page, "data-next=\"", "\""), "/", "{next}");
    }
}

#[tokio::test]
async fn short_passwords_and_wrong_codes_are_not_enrolled() {
    let memory = Memory::sampled();
    let mut ana = Client::new(memory.clone());
    ana.sign_in("ana").await;
    let page = ana.get("/enrol").await.text;
    let secret = between(&page, "name=\"secret\" value=\"", "\"");
    for form in [
        format!("secret={secret}&password=short&code={}", code(secret, now())),
        format!("secret={secret}&password=correct+horse+battery&code=000001"),
    ] {
        assert_eq!(
            ana.post("/enrol/password", &form).await.status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{form}"
        );
    }
    let ctx = memory.ctx();
    let user = memory.user_by_name(&ctx, "ana").await.unwrap().unwrap();
    assert!(memory.password(&ctx, user.id).await.unwrap().is_none());
}
