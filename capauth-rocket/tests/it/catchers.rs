//! Who answers for a guard that refuses, and for everybody else.

use std::sync::atomic::Ordering;

use capauth_rocket::{Authenticated, CapAuth, InGroup, Rejection};
use rocket::http::Status;
use rocket::{Build, Request, Rocket, catch, catchers, get, post, routes};
use serde_json::json;

use crate::client::{Answer, Client, ORIGIN, error, rocket};
use crate::example::Admins;
use crate::person::Person;
use crate::stores::{capauth, watched};

#[get("/me")]
fn me(user: Authenticated) -> String {
    user.sub().to_string()
}

#[post("/change")]
fn change(user: Authenticated) -> String {
    user.sub().to_string()
}

#[get("/in")]
fn inside(_user: InGroup<Admins>) -> &'static str {
    "inside"
}

#[get("/own/<status>")]
fn own(status: u16) -> Status {
    Status::new(status)
}

#[get("/swallowed/<status>")]
fn swallowed(user: Option<Authenticated>, status: u16) -> Result<&'static str, Status> {
    user.map(|_| "signed in").ok_or(Status::new(status))
}

#[get("/panics")]
fn panics() -> &'static str {
    panic!("an application's mistake")
}

fn app(capauth: &CapAuth) -> Rocket<Build> {
    rocket()
        .attach(capauth_rocket::fairing(capauth.clone()))
        .mount("/auth/capauth", capauth_rocket::routes())
        .mount("/", routes![me, change, inside, own, swallowed, panics])
        .mount("/api", routes![me])
}

const BROWSER: (&str, &str) = ("accept", "text/html,application/xhtml+xml,*/*;q=0.8");
const STALE: (&str, &str) = ("cookie", "__Host-capauth=c3RhbGU");

fn is_rockets_own(answer: &Answer) -> bool {
    answer.text.contains("<small>Rocket</small>")
}

#[tokio::test]
async fn a_program_hears_json_and_a_browser_is_sent_to_the_login_page() {
    let client = Client::of(app(&capauth().await)).await;
    let program = client.get("/me", &[]).await;
    assert_eq!(program.error(), error(401, "invalid_token"));
    assert_eq!(
        (program.all("www-authenticate"), program.all("cache-control")),
        (vec!["Bearer".to_owned()], vec!["no-store".to_owned()])
    );
    let browser = client.get("/me?a=b&c=d", &[BROWSER, STALE]).await;
    assert_eq!((browser.status, browser.cookie.as_str()), (303, "__Host-capauth="));
    assert_eq!(browser.all("location"), ["/auth/capauth/login?redirect=/me%3Fa%3Db%26c%3Dd"]);
    assert_eq!(client.get(&browser.all("location")[0], &[BROWSER]).await.status, 200, "there is a page");
    let posted = client.send("POST", "/change", &[BROWSER, ("origin", ORIGIN)], "").await;
    assert_eq!(
        (posted.status, posted.all("location")),
        (303, vec!["/auth/capauth/login?redirect=/".to_owned()])
    );
    let bad = client.get("/me", &[BROWSER, ("authorization", "Bearer nonsense")]).await;
    assert_eq!(bad.error(), error(401, "invalid_token"), "whoever sends a token is no browser");
}

#[tokio::test]
async fn an_applications_own_refusals_are_told_in_the_same_form() {
    let client = Client::of(app(&capauth().await)).await;
    assert_eq!(client.get("/own/401", &[]).await.error(), error(401, "invalid_token"));
    assert_eq!(client.get("/own/403", &[]).await.error(), error(403, "forbidden"));
    assert_eq!(client.get("/own/401", &[BROWSER]).await.status, 401, "only guards know where to log in");
    for path in ["/own/500", "/own/503", "/panics", "/own/404", "/own/418"] {
        assert!(is_rockets_own(&client.get(path, &[]).await), "{path} is none of ours");
    }
    // What a guard refused, and the application took for nobody, is answered if the application refuses as well.
    let refused = client.get("/swallowed/401", &[BROWSER, STALE]).await;
    assert_eq!((refused.status, refused.cookie.as_str()), (303, "__Host-capauth="));
    let otherwise = client.get("/swallowed/403", &[BROWSER, STALE]).await;
    assert_eq!((otherwise.error(), otherwise.cookie.as_str()), (error(403, "forbidden"), ""));
    assert!(is_rockets_own(&client.get("/swallowed/500", &[]).await));
}

#[catch(401)]
fn own_401(request: &Request<'_>) -> (Status, String) {
    let kind = Rejection::of(request).map(|rejection| rejection.kind().as_str());
    (Status::Unauthorized, format!("own 401: {kind:?}"))
}

#[catch(403)]
fn passes_on(request: &Request<'_>) -> Result<Rejection, &'static str> {
    Rejection::of(request).ok_or("own 403")
}

#[catch(default)]
fn own_default(status: Status, _: &Request<'_>) -> String {
    format!("own default: {}", status.code)
}

#[tokio::test]
async fn an_applications_catchers_stay_and_are_told_why() {
    for order in [false, true] {
        let own = catchers![own_401, passes_on];
        let (before, after) = if order { (own, vec![]) } else { (vec![], own) };
        let app = rocket().register("/", before);
        let app = app.attach(capauth_rocket::fairing(capauth().await)).register("/", after);
        let app = app.mount("/auth/capauth", capauth_rocket::routes()).mount("/", routes![me, inside, own]);
        let client = Client::of(app).await;
        assert_eq!(client.get("/me", &[]).await.text, r#"own 401: Some("Unauthenticated")"#);
        assert_eq!(client.get("/own/401", &[]).await.text, "own 401: None");
        let alices = client.cookie(&Person::new("alice"), &json!({})).await;
        assert_eq!(client.get("/in", &[("cookie", &alices)]).await.error(), error(403, "forbidden"));
        assert_eq!(client.get("/own/403", &[]).await.text, "own 403");
    }
}

#[tokio::test]
async fn a_default_catcher_answers_for_all_but_our_guards() {
    let (stores, seen) = watched();
    let capauth = CapAuth::local("app.example.com").stores(stores).build().await.unwrap();
    let client = Client::of(app(&capauth).register("/", catchers![own_default])).await;
    assert_eq!(client.get("/me", &[]).await.error(), error(401, "invalid_token"));
    let alices = client.cookie(&Person::new("alice"), &json!({})).await;
    assert_eq!(client.get("/in", &[("cookie", &alices)]).await.error(), error(403, "forbidden"));
    seen.broken.store(true, Ordering::SeqCst);
    assert_eq!(client.get("/in", &[("cookie", &alices)]).await.error(), error(503, "server_error"));
    for status in [401, 403, 404, 500, 503] {
        let answer = client.get(&format!("/own/{status}"), &[]).await;
        assert_eq!(answer.text, format!("own default: {status}"));
    }
}

#[tokio::test]
async fn catchers_of_a_longer_base_answer_below_it_as_rocket_has_it() {
    let client = Client::of(app(&capauth().await).register("/api", catchers![own_default])).await;
    assert_eq!(client.get("/api/me", &[]).await.text, "own default: 401");
    assert_eq!(client.get("/me", &[]).await.error(), error(401, "invalid_token"));
}
