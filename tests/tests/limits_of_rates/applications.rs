//! Applications in every framework, with keys of their own and with those of a central service: the login page counts, and
//! says for how long to wait.

use capauth_tests::http::Challenge;
use capauth_tests::sites::person::Person;
use capauth_tests::sites::raw::{Answer, Request};
use capauth_tests::sites::{Framework, Mode, ORIGIN, Options, Site};
use capauth_tower::Clock as _;
use serde_json::{Value, json};

const LIMITED: Options = Options { approval: false, bare: false, limits: true };

async fn post(site: &Site, path: &str, cookie: &str, body: &Value) -> Answer {
    let request = Request::new(format!("POST /auth/capauth/{path}")).header("origin", ORIGIN);
    let request = if cookie.is_empty() { request } else { request.header("cookie", cookie) };
    request.json(body).send(site.address()).await
}

async fn sign_in(site: &Site, cookie: &str, person: &Person) -> Answer {
    let asked = post(site, "challenge", cookie, &person.ask(Some(ORIGIN))).await;
    assert_eq!(asked.status, 200, "{site:?}: {}", asked.text());
    let body = person.enrolling(&Challenge(asked.json()), site.clock().now());
    post(site, "verify", cookie, &body).await
}

fn cookies(answer: &Answer) -> Vec<&str> {
    let lines = answer.headers.iter().filter(|(name, _)| name == "set-cookie");
    lines.map(|(_, value)| value.split(';').next().unwrap()).collect()
}

async fn everywhere(case: impl AsyncFn(Site)) {
    for framework in Framework::ALL {
        for mode in Mode::ALL {
            case(Site::start(framework, mode, LIMITED).await).await;
        }
    }
}

#[track_caller]
fn wait(site: &Site, answer: &Answer, seconds: &str) {
    assert_eq!(answer.brief(), "429 too_many_requests", "{site:?}");
    assert_eq!(answer.header("retry-after"), seconds, "{site:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn challenges_and_failures_are_counted_by_the_persons_address() {
    everywhere(async |site| {
        let person = Person::new();
        sign_in(&site, "", &person).await;
        let ask = person.ask(Some(ORIGIN));
        for _ in 0..9 {
            assert_eq!(post(&site, "challenge", "", &ask).await.status, 200, "{site:?}");
        }
        wait(&site, &post(&site, "challenge", "", &ask).await, "6");
        let mut body = json!({"fingerprint": person.fingerprint.to_string(), "nonce_signature": "none"});
        body["nonce"] = "11111111-1111-4111-8111-111111111111".into();
        for _ in 0..5 {
            assert_eq!(post(&site, "verify", "", &body).await.brief(), "400 invalid_nonce", "{site:?}");
        }
        let refused = post(&site, "verify", "", &body).await;
        wait(&site, &refused, "12");
        assert_eq!(refused.json()["ok"], false);
        site.advance(12).await;
        let answer = sign_in(&site, "", &person).await;
        assert_eq!(answer.status, 200, "{site:?}: {}", answer.text());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attack_flood_from_the_same_network_and_a_known_browser_of_an_application() {
    everywhere(async |site| {
        let person = Person::new();
        let answer = sign_in(&site, "", &person).await;
        let [session, device] = cookies(&answer)[..] else { panic!("{site:?}: {:?}", answer.headers) };
        assert!(session.starts_with("__Host-capauth=") && device.starts_with("__Host-capauth-device="));
        let ask = person.ask(Some(ORIGIN));
        while post(&site, "challenge", "", &ask).await.status == 200 {}
        let again = sign_in(&site, device, &person).await;
        assert_eq!(again.status, 200, "{site:?}: {}", again.text());
        let forged = device.replace("device=", "device=A");
        wait(&site, &post(&site, "challenge", &forged, &ask).await, "6");
        let me = Request::new("GET /auth/capauth/me").header("cookie", device).send(site.address()).await;
        assert_eq!((me.brief().as_str(), me.header("set-cookie")), ("401 invalid_token", ""), "{site:?}");
    })
    .await;
}
