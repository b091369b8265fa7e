//! Documents, the audit record, kept values, deliveries, and the file itself.

use std::os::unix::fs::PermissionsExt as _;

use covigil_store::state::{AuditEntry, NewDelivery, State, StateError};

use super::{at, open, system};

#[tokio::test]
async fn documents_keep_all_versions_and_refuse_lost_updates() {
    let (_dir, state) = open().await;
    assert_eq!(state.document(&system(0), "outputs").await.unwrap(), None);
    assert_eq!(state.put_document(&system(1), "outputs", 0, "a = 1").await.unwrap(), 1);
    let context = system(2).because("more");
    assert_eq!(state.put_document(&context, "outputs", 1, "a = 2").await.unwrap(), 2);
    let late = state.put_document(&system(3), "outputs", 1, "a = 3").await;
    assert!(matches!(late, Err(StateError::Conflict(_))));
    let newest = state.document(&system(4), "outputs").await.unwrap().unwrap();
    assert_eq!((newest.version, newest.body.as_str(), newest.comment.as_str()), (2, "a = 2", "more"));
    assert_eq!(state.document_history(&system(4), "outputs", 10).await.unwrap().len(), 2);

    state.put_saved_search(&system(5), "failed", "status:failure").await.unwrap();
    state.put_saved_search(&system(6), "failed", "status:failure | top user").await.unwrap();
    assert_eq!(state.saved_searches(&system(7)).await.unwrap()[0].query, "status:failure | top user");
    state.remove_saved_search(&system(8), "failed").await.unwrap();
    assert_eq!(state.saved_searches(&system(9)).await.unwrap(), vec![]);
}

#[tokio::test]
async fn the_audit_record_only_grows() {
    let (dir, state) = open().await;
    for n in 0..5 {
        let entry = AuditEntry {
            action: "sign_in.password".into(),
            target: format!("user{n}"),
            done: n % 2 == 0,
            detail: "{}".into(),
        };
        state.audit(&system(n).because("asked"), &entry).await.unwrap();
    }
    let newest = state.audit_records(&system(9), None, 2).await.unwrap();
    assert_eq!(newest.iter().map(|r| r.entry.target.as_str()).collect::<Vec<_>>(), ["user4", "user3"]);
    assert_eq!((newest[0].time, newest[0].reason.as_deref()), (at(4), Some("asked")));
    let older = state.audit_records(&system(9), Some(newest[1].sequence), 10).await.unwrap();
    assert_eq!(older.len(), 3);
    // Not even by other means.
    state.close().await;
    let url = format!("sqlite://{}", dir.path().join("state%20%231.db").display());
    let pool = sqlx::AnyPool::connect(&url).await.unwrap();
    for attack in ["DELETE FROM audit", "UPDATE audit SET actor = 'me'"] {
        assert!(sqlx::query(attack).execute(&pool).await.is_err(), "{attack}");
    }
}

#[tokio::test]
async fn kept_values_survive_a_restart() {
    let (dir, state) = open().await;
    state.keep(&system(1), "correlation", Some(vec![1, 0, 255])).await.unwrap();
    state.keep(&system(2), "correlation", Some(vec![2])).await.unwrap();
    state.keep(&system(3), "gone", Some(vec![3])).await.unwrap();
    state.keep(&system(4), "gone", None).await.unwrap();
    state.close().await;
    let path = dir.path().join("state #1.db");
    let state = State::open(&path).await.unwrap();
    assert_eq!(state.kept(&system(5), "correlation").await.unwrap(), Some(vec![2]));
    assert_eq!(state.kept(&system(5), "gone").await.unwrap(), None);
    for file in std::fs::read_dir(dir.path()).unwrap() {
        let file = file.unwrap();
        let mode = file.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", file.path());
    }
}

#[tokio::test]
async fn deliveries_wait_until_they_are_taken_or_given_up() {
    let (_dir, state) = open().await;
    let delivery = |name: &str| NewDelivery {
        name: name.into(),
        output: "hook".into(),
        alert: None,
        payload: name.as_bytes().to_vec(),
    };
    let queued = state.enqueue_deliveries(&system(0), vec![delivery("a"), delivery("b")]).await.unwrap();
    assert_eq!(queued, 2);
    assert_eq!(state.enqueue_deliveries(&system(0), vec![delivery("a")]).await.unwrap(), 0);
    let context = system(1);
    let claims = (0..4).map(|_| state.claim_deliveries(&context, at(30), 1));
    let claimed: Vec<_> =
        futures::future::join_all(claims).await.into_iter().flat_map(Result::unwrap).collect();
    assert_eq!(claimed.len(), 2);
    state.delivered(&system(2), claimed[0].sequence).await.unwrap();
    state.delivery_failed(&system(2), claimed[1].sequence, "refused", Some(at(10))).await.unwrap();
    assert_eq!(state.claim_deliveries(&system(9), at(40), 5).await.unwrap(), vec![]);
    let again = state.claim_deliveries(&system(10), at(40), 5).await.unwrap();
    assert_eq!((again[0].attempts, again[0].last_error.as_deref()), (2, Some("refused")));
    // Its taker died: it is due again.
    assert_eq!(state.claim_deliveries(&system(40), at(70), 5).await.unwrap().len(), 1);
    state.delivery_failed(&system(41), again[0].sequence, "gone", None).await.unwrap();
    assert_eq!(state.claim_deliveries(&system(99), at(99), 5).await.unwrap(), vec![]);
    assert_eq!(state.delivery_counts(&system(99)).await.unwrap(), (0, 1));
}
