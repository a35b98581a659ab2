//! People: invited, logged in, logged out, shut out; and what nobody learns about them.

use std::io::Write;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use watchfire_node::access::Scope;
use watchfire_node::desk::DeskKind;

use crate::access::{answer, http};
use crate::house::{House, alone};

const PASSPHRASE: &str = "four words are enough here";

async fn post(house: &House, path: &str, key: Option<&str>, body: Value) -> (u16, Value) {
    let mut request = http().post(house.url(path)).json(&body);
    if let Some(key) = key {
        request = request.bearer_auth(key);
    }
    answer(request).await
}

/// Invites a person and lets them set a passphrase; answers the session's token.
async fn person(house: &House, admin: &str, name: &str, role: &str) -> String {
    let body = json!({"name": name, "role": role});
    let (status, invited) = post(house, "/v1/accounts", Some(admin), body).await;
    assert_eq!(status, 201, "{invited}");
    let body = json!({
        "invitation": invited["invitation"], "passphrase": PASSPHRASE, "bearer": true,
    });
    let (status, session) = post(house, "/v1/session/invitation", None, body).await;
    assert_eq!(status, 201, "{session}");
    session["token"].as_str().unwrap().to_owned()
}

async fn log_in(house: &House, name: &str, passphrase: &str) -> (u16, Value) {
    let body = json!({"name": name, "passphrase": passphrase, "bearer": true});
    post(house, "/v1/session", None, body).await
}

async fn status(house: &House, path: &str, token: &str) -> u16 {
    http().get(house.url(path)).bearer_auth(token).send().await.unwrap().status().as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_is_used_once_and_in_time_and_then_the_passphrase_counts() {
    let house = alone().await;
    let admin = house.key(&[Scope::Admin]).await;
    let body = json!({"name": "kim", "role": "moderator"});
    let (_, invited) = post(&house, "/v1/accounts", Some(&admin), body.clone()).await;
    let again = post(&house, "/v1/accounts", Some(&admin), body).await;
    assert_eq!(again.0, 409);
    assert_eq!(log_in(&house, "kim", PASSPHRASE).await.0, 401, "there is no default passphrase");
    let set = |invitation: &Value, passphrase: &str| json!({"invitation": invitation, "passphrase": passphrase});
    let path = "/v1/session/invitation";
    let short = post(&house, path, None, set(&invited["invitation"], "short")).await;
    assert_eq!(short.0, 422);
    let wrong = post(&house, path, None, set(&json!("wfi_wrong"), PASSPHRASE)).await;
    assert_eq!(wrong.0, 401);
    assert_eq!(post(&house, path, None, set(&invited["invitation"], PASSPHRASE)).await.0, 201);
    let twice = post(&house, path, None, set(&invited["invitation"], PASSPHRASE)).await;
    assert_eq!(twice.0, 401);
    let (status, session) = log_in(&house, "kim", PASSPHRASE).await;
    assert_eq!((status, &session["scopes"]), (201, &json!(["scan", "curate", "review"])));
    assert_eq!(log_in(&house, "kim", "another passphrase").await.0, 401);

    let (_, late) = post(&house, "/v1/accounts/kim/invite", Some(&admin), json!({})).await;
    house.clock.forward(8 * 24 * 3_600_000);
    assert_eq!(post(&house, path, None, set(&late["invitation"], PASSPHRASE)).await.0, 401);
    assert_eq!(
        log_in(&house, "kim", PASSPHRASE).await.0,
        201,
        "an unused invitation changes nothing"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_opens_what_it_stands_for_and_changes_at_once() {
    let house = alone().await;
    let admin = house.key(&[Scope::Admin]).await;
    let token = person(&house, &admin, "kim", "auditor").await;
    assert_eq!(status(&house, "/v1/audit", &token).await, 200);
    assert_eq!(status(&house, "/v1/keys", &token).await, 403);
    let body = json!({"role": "moderator"});
    assert_eq!(post(&house, "/v1/accounts/kim/role", Some(&admin), body).await.0, 200);
    assert_eq!(status(&house, "/v1/audit", &token).await, 403);
    assert_eq!(status(&house, "/v1/alerts", &token).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_when_it_is_left_idle_old_or_its_account_is_closed() {
    let house = alone().await;
    let admin = house.key(&[Scope::Admin]).await;
    let first = person(&house, &admin, "kim", "moderator").await;
    let left = http().delete(house.url("/v1/session")).bearer_auth(&first).send().await.unwrap();
    assert_eq!(left.status(), 204);
    assert_eq!(status(&house, "/v1/session", &first).await, 401);

    let token = |session: &(u16, Value)| session.1["token"].as_str().unwrap().to_owned();
    let idle = token(&log_in(&house, "kim", PASSPHRASE).await);
    house.clock.forward(29 * 60_000);
    assert_eq!(status(&house, "/v1/session", &idle).await, 200);
    house.clock.forward(29 * 60_000);
    assert_eq!(status(&house, "/v1/session", &idle).await, 200, "a request keeps it alive");
    house.clock.forward(31 * 60_000);
    assert_eq!(status(&house, "/v1/session", &idle).await, 401);

    let old = token(&log_in(&house, "kim", PASSPHRASE).await);
    for _ in 0..(12 * 60 / 20) - 1 {
        house.clock.forward(20 * 60_000);
        assert_eq!(status(&house, "/v1/session", &old).await, 200);
    }
    house.clock.forward(20 * 60_000);
    assert_eq!(status(&house, "/v1/session", &old).await, 401, "twelve hours are the most");

    let closed = token(&log_in(&house, "kim", PASSPHRASE).await);
    assert_eq!(post(&house, "/v1/accounts/kim/close", Some(&admin), json!({})).await.0, 204);
    assert_eq!(status(&house, "/v1/session", &closed).await, 401);
    assert_eq!(log_in(&house, "kim", PASSPHRASE).await.0, 401);
    house.node.access().flush().await.unwrap();
    let rows = house.store.rows(watchfire_store::Table::Ledger("sessions"), &[], 10).await.unwrap();
    assert_eq!(rows, [], "what has ended is cleared away");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_is_for_its_own_pages_only() {
    let house = alone().await;
    let admin = house.key(&[Scope::Admin]).await;
    person(&house, &admin, "kim", "admin").await;
    let body = json!({"name": "kim", "passphrase": PASSPHRASE});
    let response = http().post(house.url("/v1/session")).json(&body).send().await.unwrap();
    let cookie = response.headers()["set-cookie"].to_str().unwrap().to_owned();
    for part in ["__Host-watchfire=wfs_", "Secure", "HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(response.json::<Value>().await.unwrap().get("token").is_none());
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let get = http().get(house.url("/v1/keys")).header("cookie", &cookie);
    assert_eq!(get.send().await.unwrap().status(), 200);
    let new = |name: &str| {
        let body = json!({"name": name, "scopes": ["scan"]});
        http().post(house.url("/v1/keys")).header("cookie", &cookie).json(&body)
    };
    let here = format!("http://{}", house.address);
    assert_eq!(answer(new("a")).await.0, 403, "who says nothing is not believed");
    assert_eq!(answer(new("b").header("origin", "https://evil.example")).await.0, 403);
    assert_eq!(answer(new("c").header("origin", "null")).await.0, 403);
    let lying = new("d").header("origin", &here).header("sec-fetch-site", "cross-site");
    assert_eq!(answer(lying).await.0, 403);
    assert_eq!(answer(new("e").header("origin", &here)).await.0, 201);
    assert_eq!(answer(new("f").header("sec-fetch-site", "same-origin")).await.0, 201);
    let key_as_cookie =
        http().get(house.url("/v1/keys")).header("cookie", format!("__Host-watchfire={admin}"));
    assert_eq!(answer(key_as_cookie).await.0, 401);
    let elsewhere =
        http().post(house.url("/v1/session")).json(&body).header("origin", "https://evil.example");
    assert_eq!(answer(elsewhere).await.0, 403, "nobody is logged in by another site");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_guesses_passphrases_is_slowed_down_and_learns_no_names() {
    let house = alone().await;
    let admin = house.key(&[Scope::Admin]).await;
    person(&house, &admin, "kim", "moderator").await;
    house.clock.forward(3_600_000);
    let mut answers = Vec::new();
    for name in ["kim", "nobody"] {
        for _ in 0..10 {
            answers.push(log_in(&house, name, "a wrong passphrase").await);
        }
        let (status, problem) = log_in(&house, name, PASSPHRASE).await;
        assert_eq!((status, &problem["limit"]), (429, &json!("login_attempts_at_a_name")));
        assert_eq!(problem["retry_after_s"], 60);
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!(answers[0].0, 401);
    // Whom they guess at is not kept out where they are not.
    let kim = async |from: [u8; 4], words: &str| {
        house.node.access().enter("kim", words.to_owned(), from.into()).await
    };
    assert!(kim([10, 0, 0, 1], PASSPHRASE).await.is_ok());
    // But from everywhere together a name is guessed at so often at most.
    for guess in 0..100_u8 {
        assert!(kim([10, 0, 1, guess], "a wrong passphrase").await.is_err());
    }
    let refused = kim([10, 0, 2, 1], PASSPHRASE).await.err().unwrap().to_string();
    assert!(refused.contains("too many attempts"), "{refused}");
    house.clock.forward(6_000);
    assert!(kim([10, 0, 2, 1], PASSPHRASE).await.is_ok());
    // 22 attempts came from this address; 30 may come at once.
    for _ in 0..8 {
        log_in(&house, "somebody else", "a wrong passphrase").await;
    }
    let (status, problem) = log_in(&house, "yet another", "a wrong passphrase").await;
    assert_eq!((status, &problem["limit"]), (429, &json!("login_attempts_of_an_address")));
    house.clock.forward(60_000);
    assert_eq!(log_in(&house, "kim", PASSPHRASE).await.0, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_desk_log_knows_no_names_and_an_erased_one_is_gone_from_the_store() {
    let house = alone().await;
    let admin = house.key(&[Scope::Admin]).await;
    person(&house, &admin, "kim.surname", "lead").await;
    let erase = || http().delete(house.url("/v1/accounts/kim.surname")).bearer_auth(&admin);
    assert_eq!(answer(erase()).await.0, 409);
    post(&house, "/v1/accounts/kim.surname/close", Some(&admin), json!({})).await;
    assert_eq!(erase().send().await.unwrap().status(), 204);
    let lines = house.node.desk().newest(Some(DeskKind::Account), u64::MAX, 10).await.unwrap();
    let did: Vec<Value> = lines
        .iter()
        .map(|line| {
            let record = line.record.as_ref().unwrap();
            assert!(!record.actor.contains("surname"));
            serde_json::from_slice(&record.body).unwrap()
        })
        .collect();
    let words: Vec<_> = did.iter().map(|body| body["did"].as_str().unwrap()).collect();
    assert_eq!(words, ["erased", "closed", "passphrase_set", "opened"]);
    assert!(!format!("{did:?}").contains("surname"));
    for table in ["accounts", "sessions"] {
        let table = watchfire_store::Table::Ledger(table);
        assert_eq!(house.store.rows(table, &[], 10).await.unwrap(), []);
    }
}

/// What the process logs, all of it.
#[derive(Clone, Default)]
struct Logs(Arc<Mutex<Vec<u8>>>);

impl Write for Logs {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_and_no_name_of_a_person_is_ever_logged() {
    let logs = Logs::default();
    let writer = logs.clone();
    tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_writer(move || writer.clone())
        .init();
    let house = alone().await;
    let admin = house.key(&[Scope::Admin]).await;
    let token = person(&house, &admin, "kim.surname", "admin").await;
    log_in(&house, "kim.surname", "wrong but secret passphrase").await;
    let body = json!({"name": "uploads", "scopes": ["scan"]});
    let (_, made) = post(&house, "/v1/keys", Some(&token), body).await;
    status(&house, "/v1/members", made["api_key"].as_str().unwrap()).await;
    let broken = http().post(house.url("/v1/session")).header("content-type", "application/json");
    answer(broken.body(format!("{{\"name\":\"kim.surname\",\"passphrase\":\"{PASSPHRASE}\",")))
        .await;
    let logs = String::from_utf8_lossy(&logs.0.lock().unwrap()).into_owned();
    assert!(logs.lines().count() > 10, "the logs are not captured");
    let secrets = [
        &admin,
        &token,
        made["api_key"].as_str().unwrap(),
        PASSPHRASE,
        "wrong but secret",
        "surname",
    ];
    for secret in secrets {
        let at = logs.lines().find(|line| line.contains(secret));
        assert_eq!(at, None);
    }
}
