//! Users and their ways in.

use covigil_model::{Party, Role, SessionId};
use covigil_store::state::{
    NewApiToken, NewUser, Passkey, Password, Session, SignInLink, State, StateError, TokenHash, User,
    UserChange,
};

use super::{at, open, system};

async fn make(state: &State, name: &str, role: Role) -> User {
    state.create_user(&system(0), NewUser { name: name.into(), role, party: Party::Customer }).await.unwrap()
}

fn session(user: &User, n: u8) -> Session {
    Session {
        id: SessionId::derived(&[&[n]]),
        hash: TokenHash([n; 32]),
        user: user.id,
        method: "link".into(),
        created: at(i64::from(n)),
        last_seen: at(i64::from(n)),
        expires: at(1_000),
        peer: Some("192.0.2.1".into()),
    }
}

#[tokio::test]
async fn names_are_unique_without_regard_to_case_and_an_admin_always_remains() {
    let (_dir, state) = open().await;
    let ana = make(&state, "Ána", Role::Admin).await;
    let taken = NewUser { name: "áNA".into(), role: Role::Viewer, party: Party::Provider };
    assert!(matches!(state.create_user(&system(1), taken).await, Err(StateError::Conflict(_))));
    for bad in ["", " a", "a\n", &"x".repeat(65)] {
        let new = NewUser { name: bad.into(), role: Role::Viewer, party: Party::Customer };
        assert!(matches!(state.create_user(&system(1), new).await, Err(StateError::Invalid(_))), "{bad:?}");
    }
    assert_eq!(state.user_by_name(&system(1), "ÁNA").await.unwrap(), Some(ana.clone()));
    for change in [
        UserChange { disabled: Some(true), ..UserChange::default() },
        UserChange { role: Some(Role::Analyst), ..UserChange::default() },
    ] {
        assert!(matches!(state.change_user(&system(2), ana.id, change).await, Err(StateError::Conflict(_))));
    }
    let bo = make(&state, "bo", Role::Admin).await;
    let change = UserChange { role: Some(Role::Viewer), last_sign_in: Some(at(5)), ..UserChange::default() };
    state.change_user(&system(3), ana.id, change).await.unwrap();
    let users = state.users(&system(4)).await.unwrap();
    assert_eq!(
        users.iter().map(|u| (u.id, u.role)).collect::<Vec<_>>(),
        [(bo.id, Role::Admin), (ana.id, Role::Viewer)]
    );
    assert_eq!(users[1].last_sign_in, Some(at(5)));
}

#[tokio::test]
async fn a_link_signs_in_once_before_it_expires() {
    let (_dir, state) = open().await;
    let ana = make(&state, "ana", Role::Admin).await;
    let link = |n: u8| SignInLink { hash: TokenHash([n; 32]), user: ana.id, expires: at(100) };
    state.put_link(&system(0), link(1)).await.unwrap();
    state.put_link(&system(0), link(2)).await.unwrap();
    assert_eq!(state.link(&system(99), link(1).hash).await.unwrap(), Some(link(1)));
    assert_eq!(state.link(&system(100), link(1).hash).await.unwrap(), None);
    assert_eq!(state.take_link(&system(100), link(2).hash).await.unwrap(), None);
    let context = system(50);
    let takes = (0..10).map(|_| state.take_link(&context, link(1).hash));
    let got = futures::future::join_all(takes).await;
    assert_eq!(got.iter().filter(|taken| taken.as_ref().unwrap().is_some()).count(), 1);
    assert_eq!(state.take_link(&system(51), link(1).hash).await.unwrap(), None);
    // A link of nobody cannot be kept.
    let stranger = SignInLink { user: covigil_model::UserId::derived(&[b"?"]), ..link(3) };
    assert!(state.put_link(&system(0), stranger).await.is_err());
}

#[tokio::test]
async fn passkeys_and_passwords_are_their_owners() {
    let (_dir, state) = open().await;
    let (ana, bo) = (make(&state, "ana", Role::Admin).await, make(&state, "bo", Role::Viewer).await);
    let mut key = Passkey {
        id: "cred".into(),
        user: ana.id,
        label: "laptop".into(),
        data: "{}".into(),
        created: at(1),
        last_used: None,
    };
    state.put_passkey(&system(1), key.clone()).await.unwrap();
    key.last_used = Some(at(2));
    state.put_passkey(&system(2), key.clone()).await.unwrap();
    assert_eq!(state.passkeys(&system(3), ana.id).await.unwrap(), vec![key.clone()]);
    let stolen = Passkey { user: bo.id, ..key.clone() };
    assert!(matches!(state.put_passkey(&system(3), stolen).await, Err(StateError::Conflict(_))));
    assert!(matches!(state.remove_passkey(&system(3), bo.id, "cred").await, Err(StateError::NotFound(_))));
    state.remove_passkey(&system(3), ana.id, "cred").await.unwrap();
    assert_eq!(state.passkeys(&system(3), ana.id).await.unwrap(), vec![]);

    let password =
        Password { hash: "$argon2id$".into(), totp_sealed: vec![0, 255, 7], last_step: 0, created: at(1) };
    state.put_password(&system(1), ana.id, password.clone()).await.unwrap();
    assert_eq!(state.password(&system(2), ana.id).await.unwrap(), Some(password));
    let context = system(3);
    let uses = futures::future::join_all((0..8).map(|_| state.use_totp_step(&context, ana.id, 7))).await;
    assert_eq!(uses.iter().filter(|used| *used.as_ref().unwrap()).count(), 1);
    assert!(!state.use_totp_step(&system(3), ana.id, 6).await.unwrap());
    assert!(state.use_totp_step(&system(3), ana.id, 8).await.unwrap());
    assert!(!state.use_totp_step(&system(3), bo.id, 9).await.unwrap());
    state.remove_password(&system(4), ana.id).await.unwrap();
    assert_eq!(state.password(&system(4), ana.id).await.unwrap(), None);
}

#[tokio::test]
async fn sessions_end_when_told_when_expired_and_when_the_user_is_disabled() {
    let (_dir, state) = open().await;
    let (_admin, ana) = (make(&state, "admin", Role::Admin).await, make(&state, "ana", Role::Viewer).await);
    for n in 1..=4 {
        state.put_session(&system(5), session(&ana, n)).await.unwrap();
    }
    assert_eq!(state.session(&system(6), TokenHash([1; 32])).await.unwrap(), Some(session(&ana, 1)));
    assert_eq!(state.session(&system(1_000), TokenHash([1; 32])).await.unwrap(), None);
    state.end_session(&system(7), session(&ana, 1).id).await.unwrap();
    assert_eq!(state.session(&system(8), TokenHash([1; 32])).await.unwrap(), None);
    state.touch_session(&system(200), session(&ana, 2).id).await.unwrap();
    let listed = state.sessions(&system(201), ana.id).await.unwrap();
    assert_eq!(listed.iter().map(|s| s.last_seen).collect::<Vec<_>>(), [at(4), at(3), at(200)]);
    assert_eq!(state.end_sessions(&system(9), ana.id, Some(session(&ana, 2).id)).await.unwrap(), 2);
    let link = SignInLink { hash: TokenHash([9; 32]), user: ana.id, expires: at(900) };
    state.put_link(&system(9), link.clone()).await.unwrap();
    let disable = UserChange { disabled: Some(true), ..UserChange::default() };
    state.change_user(&system(10), ana.id, disable).await.unwrap();
    assert_eq!(state.session(&system(11), TokenHash([2; 32])).await.unwrap(), None);
    assert_eq!(state.take_link(&system(11), link.hash).await.unwrap(), None);
    assert!(matches!(state.put_session(&system(11), session(&ana, 5)).await, Err(StateError::Conflict(_))));
}

#[tokio::test]
async fn api_tokens_are_known_by_hash_until_revoked_or_expired() {
    let (_dir, state) = open().await;
    let new = NewApiToken {
        name: "shipper".into(),
        scope: "intake".into(),
        hash: TokenHash([0xab; 32]),
        expires: Some(at(500)),
    };
    let made = state.create_api_token(&system(1), new.clone()).await.unwrap();
    assert_eq!((made.id.as_str(), made.last_used), ("abababababababab", None));
    assert!(state.create_api_token(&system(1), new).await.is_err());
    assert_eq!(state.api_token(&system(2), TokenHash([1; 32])).await.unwrap(), None);
    assert_eq!(state.api_token(&system(2), TokenHash([0xab; 32])).await.unwrap(), Some(made.clone()));
    assert_eq!(state.api_tokens(&system(3)).await.unwrap()[0].last_used, Some(at(2)));
    assert_eq!(state.api_token(&system(500), TokenHash([0xab; 32])).await.unwrap(), None);
    state.revoke_api_token(&system(4), &made.id).await.unwrap();
    assert_eq!(state.api_token(&system(5), TokenHash([0xab; 32])).await.unwrap(), None);
    assert!(matches!(state.revoke_api_token(&system(5), &made.id).await, Err(StateError::NotFound(_))));
}
