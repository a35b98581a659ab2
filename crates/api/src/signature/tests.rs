//! Shows that requests are signed as RFC 9421 says, and that nothing else passes.

use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;

use super::*;

const NOW: u64 = 1_700_000_000;
const ADDRESS: &str = "https://b.example";
const PATH: &str = "/log/a/follow?from=7";

struct Fixed(u8);

impl Fresh for Fixed {
    fn now_s(&self) -> u64 {
        NOW
    }
    fn nonce(&self) -> [u8; 16] {
        [self.0; 16]
    }
}

fn identity(chance: u8) -> Identity {
    let key = Arc::new(OwnKey::from_seed(&[1; 32]));
    Identity { member: "tiktok".parse().unwrap(), key, fresh: Arc::new(Fixed(chance)) }
}

fn key_of(member: &MemberName) -> Option<PeerKey> {
    (member.as_str() == "tiktok").then(|| OwnKey::from_seed(&[1; 32]).public())
}

fn headers(signed: &SignedHeaders) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let digest = signed.content_digest.clone();
    let all = [
        ("signature-input", Some(signed.signature_input.clone())),
        ("signature", Some(signed.signature.clone())),
        ("content-digest", digest),
    ];
    for (name, value) in all {
        if let Some(value) = value {
            headers.insert(HeaderName::from_static(name), value.parse().unwrap());
        }
    }
    headers
}

fn signed(chance: u8, body: Option<&[u8]>) -> HeaderMap {
    let target_uri = &format!("{ADDRESS}{PATH}");
    headers(&sign(&Outgoing { method: "POST", target_uri, body }, &identity(chance)))
}

fn check(headers: &HeaderMap, path: &str, now: u64) -> Result<Verified, SignatureError> {
    check_with(headers, path, now, &NonceMemory::new(0))
}

fn check_with(
    headers: &HeaderMap,
    path: &str,
    now: u64,
    nonces: &NonceMemory,
) -> Result<Verified, SignatureError> {
    let addresses = &["https://other.example".to_owned(), ADDRESS.to_owned()];
    let request = Incoming { method: "POST", addresses, path_and_query: path, headers };
    verify(&request, key_of, now, nonces)
}

/// Key of appendix B.1.4; the seed and the public key of its JSON form.
fn key_b14() -> OwnKey {
    let read = |text| <[u8; 32]>::try_from(URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap();
    let key = OwnKey::from_seed(&read("n4Ni-HpISpVObnQMW0wOhCKROaIKqKtW_2ZYb2p9KcU"));
    assert_eq!(key.public().to_bytes(), read("JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs"));
    key
}

#[test]
fn the_ed25519_example_of_the_rfc_signs_and_verifies() {
    let field = "sig-b26=(\"date\" \"@method\" \"@path\" \"@authority\" \"content-type\" \
                 \"content-length\");created=1618884473;keyid=\"test-key-ed25519\"";
    let text = input::member(field, "sig-b26").unwrap().unwrap();
    let input = Input::parse(text).unwrap();
    assert_eq!(input.to_string(), text);
    assert_eq!(input.created, Some(1_618_884_473));
    let base = input.base(text, |component| {
        Some(
            match component {
                "date" => "Tue, 20 Apr 2021 02:07:55 GMT",
                "@method" => "POST",
                "@path" => "/foo",
                "@authority" => "example.com",
                "content-type" => "application/json",
                "content-length" => "18",
                _ => return None,
            }
            .to_owned(),
        )
    });
    let base = base.unwrap();
    let expected = byte_sequence(
        ":wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==:",
    );
    let expected = Signature(expected.unwrap());
    assert_eq!(key_b14().sign(base.as_bytes()), expected);
    assert!(key_b14().public().verify(base.as_bytes(), &expected));
}

/// RFC 9530 appendix D; the body of the examples of RFC 9421 is `{"hello": "world"}` without a line's end.
#[test]
fn the_digest_is_that_of_the_rfc() {
    let body = b"{\"hello\": \"world\"}";
    assert_eq!(content_digest(body), "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:");
}

#[test]
fn what_is_signed_is_written_as_documented() {
    let target_uri = "https://b.example/log/a/frames";
    let signed = sign(&Outgoing { method: "POST", target_uri, body: Some(b"x") }, &identity(9));
    assert_eq!(
        signed.signature_input,
        "watchfire=(\"@method\" \"@target-uri\" \"content-digest\");created=1700000000;\
         expires=1700000060;nonce=\"CQkJCQkJCQkJCQkJCQkJCQ\";keyid=\"tiktok\";alg=\"ed25519\""
    );
}

#[test]
fn a_signed_request_passes_and_names_its_member() {
    let verified = check(&signed(1, Some(b"body")), PATH, NOW).unwrap();
    assert_eq!(verified.member.as_str(), "tiktok");
    assert_eq!(verified.check_body(b"body"), Ok(()));
    assert_eq!(verified.check_body(b"another"), Err(SignatureError::Body));
}

#[test]
fn a_body_that_no_digest_covers_is_refused() {
    let verified = check(&signed(1, None), PATH, NOW).unwrap();
    assert_eq!(verified.check_body(b""), Ok(()));
    assert_eq!(verified.check_body(b"smuggled"), Err(SignatureError::Body));
}

#[test]
fn a_digest_added_on_the_way_is_not_covered() {
    let mut headers = signed(1, None);
    headers.insert("content-digest", content_digest(b"smuggled").parse().unwrap());
    assert_eq!(check(&headers, PATH, NOW), Err(SignatureError::NotCovered("content-digest")));
}

#[test]
fn another_path_method_or_address_is_refused() {
    let headers = signed(1, None);
    assert_eq!(check(&headers, "/log/a/follow?from=8", NOW), Err(SignatureError::Wrong));
    let nonces = NonceMemory::new(0);
    for (method, address) in [("GET", ADDRESS), ("POST", "http://b.example")] {
        let addresses = &[address.to_owned()];
        let request = Incoming { method, addresses, path_and_query: PATH, headers: &headers };
        assert_eq!(verify(&request, key_of, NOW, &nonces), Err(SignatureError::Wrong));
    }
}

#[test]
fn the_host_header_of_a_request_does_not_matter() {
    let mut headers = signed(1, None);
    headers.insert("host", HeaderValue::from_static("evil.example"));
    assert!(check(&headers, PATH, NOW).is_ok());
    let addresses = &["https://evil.example".to_owned()];
    let request = Incoming { method: "POST", addresses, path_and_query: PATH, headers: &headers };
    let found = verify(&request, key_of, NOW, &NonceMemory::new(0));
    assert_eq!(found, Err(SignatureError::Wrong));
}

#[test]
fn a_request_passes_once() {
    let nonces = NonceMemory::new(0);
    assert!(check_with(&signed(1, None), PATH, NOW, &nonces).is_ok());
    assert_eq!(check_with(&signed(1, None), PATH, NOW, &nonces), Err(SignatureError::Replayed));
    assert!(check_with(&signed(2, None), PATH, NOW, &nonces).is_ok());
}

#[test]
fn a_refused_request_is_not_remembered() {
    let nonces = NonceMemory::new(0);
    assert!(check_with(&signed(1, None), "/other", NOW, &nonces).is_err());
    assert!(check_with(&signed(1, None), PATH, NOW, &nonces).is_ok());
}

#[test]
fn a_restart_does_not_open_the_door_to_replays() {
    let headers = signed(1, None);
    let restarted = NonceMemory::new(NOW + 1);
    assert_eq!(check_with(&headers, PATH, NOW + 1, &restarted), Err(SignatureError::Time));
}

#[test]
fn a_request_from_another_time_is_refused() {
    let headers = signed(1, None);
    assert!(check(&headers, PATH, NOW + MAX_WINDOW_S).is_ok());
    assert_eq!(check(&headers, PATH, NOW + MAX_WINDOW_S + 1), Err(SignatureError::Time));
    assert!(check(&headers, PATH, NOW - MAX_AHEAD_S).is_ok());
    assert_eq!(check(&headers, PATH, NOW - MAX_AHEAD_S - 1), Err(SignatureError::Time));
}

#[test]
fn a_flood_of_one_member_forgets_nothing_and_ends_with_the_minute() {
    let nonces = NonceMemory::new(0);
    let times = (NOW + 60, NOW);
    for n in 0..MAX_NONCES_A_MEMBER {
        nonces.remember("flood", &n.to_string(), NOW, times).unwrap();
    }
    assert_eq!(nonces.remember("flood", "more", NOW, times), Err(SignatureError::TooMany));
    assert_eq!(nonces.remember("flood", "0", NOW, times), Err(SignatureError::Replayed));
    assert_eq!(nonces.remember("calm", "0", NOW, times), Ok(()));
    assert_eq!(nonces.remember("flood", "more", NOW + 61, (NOW + 121, NOW + 61)), Ok(()));
}

#[test]
fn a_name_that_the_charter_lacks_is_refused() {
    let mut other = identity(1);
    other.member = "stranger".parse().unwrap();
    let target_uri = &format!("{ADDRESS}{PATH}");
    let signed = sign(&Outgoing { method: "POST", target_uri, body: None }, &other);
    let found = check(&headers(&signed), PATH, NOW);
    assert_eq!(found, Err(SignatureError::UnknownKey("stranger".into())));
}

#[test]
fn signatures_of_proxies_beside_ours_do_no_harm() {
    let mut headers = signed(1, None);
    for (name, more) in
        [("signature-input", "proxy=(\"@path\");keyid=\"a,b;c\""), ("signature", "proxy=:AAAA:")]
    {
        let ours = headers[name].to_str().unwrap().to_owned();
        headers.insert(name, format!("{more}, {ours}").parse().unwrap());
    }
    assert!(check(&headers, PATH, NOW).is_ok());
}

#[test]
fn headers_that_two_readers_could_read_differently_are_refused() {
    let good = signed(1, None);
    let ours = good["signature-input"].to_str().unwrap().to_owned();
    let mut twice = good.clone();
    twice.append("signature-input", ours.parse().unwrap());
    assert_eq!(check(&twice, PATH, NOW), Err(SignatureError::Malformed));
    for bad in [
        format!("{ours}, {ours}"),
        format!("{ours};created=1700000000"),
        ours.replace("\"@method\"", "\"@method\";req"),
        ours.replace("(\"@method\"", "(\"@method\" \"@method\""),
        ours.replace("\"@target-uri\"", "\"@target-uri\" \"@path\""),
        ours.replace("\"ed25519\"", "\"ed25519"),
        ours.replace("created=", "created=-"),
    ] {
        let mut headers = good.clone();
        headers.insert("signature-input", bad.parse().unwrap());
        assert_eq!(check(&headers, PATH, NOW), Err(SignatureError::Malformed), "{bad}");
    }
}

#[test]
fn every_parameter_is_required() {
    let good = signed(1, None);
    let ours = good["signature-input"].to_str().unwrap().to_owned();
    for (part, name) in [
        (";created=1700000000", "created"),
        (";expires=1700000060", "expires"),
        (";nonce=\"AQEBAQEBAQEBAQEBAQEBAQ\"", "nonce"),
        (";keyid=\"tiktok\"", "keyid"),
        (";alg=\"ed25519\"", "alg"),
    ] {
        assert!(ours.contains(part));
        let mut headers = good.clone();
        headers.insert("signature-input", ours.replace(part, "").parse().unwrap());
        assert_eq!(check(&headers, PATH, NOW), Err(SignatureError::Parameter(name)));
    }
    for (part, error) in [
        ("\"@method\" ", SignatureError::NotCovered("@method")),
        (" \"@target-uri\"", SignatureError::NotCovered("@target-uri")),
    ] {
        let mut headers = good.clone();
        headers.insert("signature-input", ours.replace(part, "").parse().unwrap());
        assert_eq!(check(&headers, PATH, NOW), Err(error));
    }
}

#[test]
fn a_longer_window_than_a_minute_is_refused() {
    let good = signed(1, None);
    let ours = good["signature-input"].to_str().unwrap().replace("1700000060", "1700000061");
    let mut headers = good.clone();
    headers.insert("signature-input", ours.parse().unwrap());
    assert_eq!(check(&headers, PATH, NOW), Err(SignatureError::Parameter("expires")));
}

#[test]
fn an_unsigned_request_is_told_so() {
    assert_eq!(check(&HeaderMap::new(), PATH, NOW), Err(SignatureError::Missing));
}

proptest! {
    #[test]
    fn any_header_is_read_or_refused(text in "[ -~]{0,120}") {
        if let Ok(input) = Input::parse(&text) {
            prop_assert_eq!(Input::parse(&input.to_string()).unwrap(), input);
        }
        let _ = input::member(&text, LABEL);
    }

    #[test]
    fn a_changed_character_never_passes(at in any::<prop::sample::Index>(), new in "[!-~]") {
        let mut headers = signed(1, Some(b"body"));
        for name in ["signature-input", "signature", "content-digest"] {
            let old = headers[name].to_str().unwrap().to_owned();
            let at = at.index(old.len());
            let bad = format!("{}{new}{}", &old[..at], &old[at + 1..]);
            prop_assume!(bad != old);
            headers.insert(name, bad.parse().unwrap());
            prop_assert!(check(&headers, PATH, NOW).is_err(), "{}", bad);
            headers.insert(name, old.parse().unwrap());
        }
    }
}
