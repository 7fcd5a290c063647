//! Logins from another device, at the service and on its pages.

use capauth_tests::http::send;
use serde_json::json;

use crate::devices::{APP, Desktop, PAGE, Phone, V1};
use crate::people::Key;
use crate::servers::Framework;
use crate::told::Told;
use crate::world::World;

/// The operations on one side.
struct Side<'a> {
    world: &'a World,
    base: &'static str,
    begin: String,
    answer: String,
    look: String,
    decide: String,
}

impl<'a> Side<'a> {
    fn new(world: &'a World, base: &'static str) -> Self {
        let [begin, answer, look, decide] = [
            "POST {}/qr-challenge",
            "POST {}/qr-verify/{nonce}",
            "GET {}/qr-status/{nonce}",
            "POST {}/qr-status/{nonce}",
        ]
        .map(|operation| operation.replace("{}", base));
        Self { world, base, begin, answer, look, decide }
    }

    /// A QR code on a screen, and what scanned it.
    async fn devices(&self) -> (Desktop, Phone) {
        let desktop = Desktop::at(self.world.client.clone(), self.base, json!({})).await;
        let phone = Phone::scanning(self.world.client.clone(), &desktop);
        (desktop, phone)
    }
}

pub(crate) async fn logins(world: &World, told: &mut Told) {
    for base in [V1, PAGE] {
        let side = Side::new(world, base);
        begun(&side, told).await;
        with_the_code(&side, told).await;
        by_a_click(&side, told).await;
        declined(&side, told).await;
        in_vain(&side, told).await;
    }
    of_another_service(world, told).await;
}

async fn begun(side: &Side<'_>, told: &mut Told) {
    let path = format!("{}/qr-challenge", side.base);
    let ask = async |body| side.world.client.post(&path, &body).await;
    told.note(&side.begin, ask(json!({})).await).ok();
    for (body, refusal) in [
        (json!({"origin": "https://elsewhere.example.com"}), "400 invalid_origin"),
        (json!({"capauth_version": "2.0"}), "400 unsupported_version"),
        (json!([]), "400 invalid_request"),
    ] {
        told.note(&side.begin, ask(body).await).refused(refusal);
    }
}

async fn with_the_code(side: &Side<'_>, told: &mut Told) {
    let (key, now) = (Key::new(), side.world.now());
    let (desktop, phone) = side.devices().await;
    told.note(&side.look, desktop.status().await).ok();
    let stranger = side.world.client.get(&desktop.status_path()).await;
    told.note(&side.look, stranger).refused("400 invalid_nonce");
    let wrong = phone.answer_with(&key, now, desktop.wrong_code(0));
    told.note(&side.answer, phone.send(&wrong).await).refused("401 invalid_code");
    let right = phone.answer_with(&key, now, desktop.code());
    told.note(&side.answer, phone.send(&right).await).ok();
    told.note(&side.answer, phone.send(&right).await).refused("400 invalid_nonce");
    let stream = side.world.client.request("GET", &desktop.status_path());
    let stream = stream.bearer_auth(desktop.get("poll_token")).header("accept", "text/event-stream");
    let stream = told.note(&side.look, send(stream).await);
    assert_eq!((stream.status, stream.header("content-type")), (200, "text/event-stream"));
    // With the result, and without.
    let result = told.note(&side.look, desktop.status().await).ok();
    assert_eq!(result["fingerprint"], key.fingerprint);
    let again = told.note(&side.look, desktop.status().await).ok();
    assert_eq!(again["fingerprint"], json!(null));
}

async fn by_a_click(side: &Side<'_>, told: &mut Told) {
    let (key, now) = (Key::new(), side.world.now());
    let (desktop, phone) = side.devices().await;
    let waits = told.note(&side.answer, phone.send(&phone.answer(&key, now)).await);
    assert_eq!(waits.status, 202);
    let waiting = told.note(&side.look, desktop.status().await).ok();
    assert_eq!(waiting["fingerprint"], key.fingerprint);
    let other = phone.send(&phone.answer(&Key::new(), now)).await;
    told.note(&side.answer, other).refused("409 conflict");
    told.note(&side.decide, desktop.confirm(&Key::new()).await).refused("409 conflict");
    let neither = desktop.decide(&json!({"confirm": null})).await;
    told.note(&side.decide, neither).refused("400 invalid_request");
    told.note(&side.decide, desktop.confirm(&key).await).ok();
    told.note(&side.decide, desktop.confirm(&key).await).refused("400 invalid_nonce");
}

async fn declined(side: &Side<'_>, told: &mut Told) {
    let (key, now) = (Key::new(), side.world.now());
    // On the screen.
    let (desktop, phone) = side.devices().await;
    assert_eq!(phone.send(&phone.answer(&key, now)).await.status, 202);
    told.note(&side.decide, desktop.decide(&json!({"confirm": false})).await).ok();
    // On the phone.
    let mut no = phone.answer_with(&key, now, desktop.code());
    no["decline"] = true.into();
    let no = told.note(&side.answer, phone.send(&no).await).ok();
    assert_eq!(no["authenticated"], false);
    let ended = told.note(&side.look, desktop.status().await).ok();
    assert_eq!(ended["reason"], "declined");
}

async fn in_vain(side: &Side<'_>, told: &mut Told) {
    let (key, now) = (Key::new(), side.world.now());
    // A key that is revoked while its answer waits.
    side.world.enrol(&key).await;
    let (desktop, phone) = side.devices().await;
    assert_eq!(phone.send(&phone.answer(&key, now)).await.status, 202);
    side.world.admin("POST", "/keys/revoke", json!({"fingerprint": key.fingerprint})).await.ok();
    told.note(&side.decide, desktop.confirm(&key).await).refused("401 key_revoked");
    told.note(&side.answer, phone.send(&phone.answer(&key, now)).await).refused("400 invalid_nonce");
    // One that comes too late.
    let (desktop, phone) = side.devices().await;
    let answer = phone.answer_with(&Key::new(), now, desktop.code());
    side.world.advance(120);
    told.note(&side.answer, phone.send(&answer).await).refused("400 expired_nonce");
    told.note(&side.decide, desktop.confirm(&key).await).refused("400 expired_nonce");
    let ended = told.note(&side.look, desktop.status().await).ok();
    assert_eq!(ended["reason"], "time");
}

/// A login to another service, fetched on a page of this one.
async fn of_another_service(world: &World, told: &mut Told) {
    let theirs = Desktop::at(world.client.clone(), V1, json!({"requested_service": APP})).await;
    let phone = Phone::scanning(world.client.clone(), &theirs);
    let answer = phone.answer_with(&Key::new(), world.now(), theirs.code());
    world.post(&format!("/qr-verify/{}", phone.get("nonce")), &answer).await.ok();
    let path = format!("{PAGE}/qr-status/{}", phone.get("nonce"));
    let fetched = world.client.get_as(theirs.get("poll_token"), &path).await;
    told.note(&Side::new(world, PAGE).look, fetched).refused("400 service_mismatch");
}

/// Where an operator wants none of it.
pub(crate) async fn switched_off(told: &mut Told) {
    let world = World::with(Framework::Axum, |config| config.qr(false)).await;
    let nonce = "0c1f6f98-4f0e-4ef4-9d96-fdd6ded9cb76";
    for side in [Side::new(&world, V1), Side::new(&world, PAGE)] {
        for operation in [&side.begin, &side.answer, &side.look, &side.decide] {
            let (method, path) = operation.split_once(' ').unwrap();
            let mut request = world.client.request(method, &path.replace("{nonce}", nonce));
            if method == "POST" {
                request = request.json(&json!({}));
            }
            told.note(operation, send(request).await).refused("404 not_found");
        }
    }
}
