//! Following a login.

use serde_json::json;

use crate::people::Key;
use crate::servers::Framework;
use crate::world::World;

pub(crate) async fn a_stream_tells_of_each_step(framework: Framework) {
    let world = World::new(framework).await;
    let (page, alice) = (world.page().await, Key::new());
    let mut events = page.follow().await;
    let open = json!({"status": "pending", "completed": false});
    assert_eq!(events.hear().await, open);
    let phone = world.phone(&page);
    assert_eq!(phone.send(&phone.answer(&alice, world.now())).await.status, 202);
    let waiting = json!({"status": "pending", "completed": false, "fingerprint": alice.fingerprint});
    assert_eq!(events.hear().await, waiting);
    page.decide(&json!({"confirm": false})).await.ok();
    assert_eq!(events.hear().await, open);
    phone.send(&phone.answer_with(&alice, world.now(), page.code())).await.ok();
    // Who is told so fetches it: a cookie stands in the head of an answer.
    assert_eq!(events.hear().await, json!({"status": "authenticated", "completed": true}));
    assert_eq!(events.next().await, None);
    let fetched = page.status().await;
    assert_eq!(fetched.ok()["ok"], true);
    assert!(fetched.header("set-cookie").starts_with("__Host-capauth="));
    // Whoever comes when all is over hears so, and no more.
    let mut late = page.follow().await;
    assert_eq!(late.hear().await["status"], "authenticated");
    assert_eq!(late.next().await, None);
}

pub(crate) async fn a_stream_ends_when_the_time_is_over(framework: Framework) {
    let world = World::new(framework).await;
    let desktop = world.desktop().await;
    let mut events = desktop.follow().await;
    assert_eq!(events.hear().await["status"], "pending");
    world.advance(119);
    assert_eq!(desktop.status().await.ok()["status"], "pending");
    world.advance(1);
    let ended = json!({"status": "expired", "completed": false, "reason": "time"});
    assert_eq!(events.hear().await, ended);
    assert_eq!(events.next().await, None);
}

pub(crate) async fn a_stream_needs_the_poll_token(framework: Framework) {
    let world = World::new(framework).await;
    let desktop = world.desktop().await;
    let path = format!("{}?poll_token={}", desktop.status_path(), desktop.get("poll_token"));
    for request in [
        world.client.request("GET", &path),
        world.client.request("GET", &path).bearer_auth("another"),
        world.client.request("GET", &path).bearer_auth(world.desktop().await.get("poll_token")),
    ] {
        let answer = capauth_tests::http::send(request.header("accept", "text/event-stream")).await;
        answer.refused("400 invalid_nonce");
        assert_eq!(answer.header("content-type"), "application/json");
    }
    assert_eq!(desktop.follow().await.hear().await["status"], "pending");
}

pub(crate) async fn a_login_has_two_streams_at_most(framework: Framework) {
    let world = World::new(framework).await;
    let (desktop, other) = (world.desktop().await, world.desktop().await);
    let (mut first, mut second) = (desktop.follow().await, desktop.follow().await);
    for events in [&mut first, &mut second] {
        assert_eq!(events.hear().await["status"], "pending");
    }
    assert_eq!(desktop.try_follow().await.status().as_u16(), 429);
    assert_eq!(other.follow().await.hear().await["status"], "pending", "others are not held up");
    // Polling goes on.
    assert_eq!(desktop.status().await.ok()["status"], "pending");
    // What has ended makes room.
    let phone = world.phone(&desktop);
    phone.send(&phone.answer_with(&Key::new(), world.now(), desktop.code())).await.ok();
    for events in [&mut first, &mut second] {
        assert_eq!(events.hear().await["status"], "authenticated");
        assert_eq!(events.next().await, None);
    }
    assert_eq!(desktop.follow().await.hear().await["status"], "authenticated");
}

pub(crate) async fn a_server_that_stops_ends_its_streams(framework: Framework) {
    let world = World::new(framework).await;
    let desktop = world.desktop().await;
    let mut events = desktop.follow().await;
    assert_eq!(events.hear().await["status"], "pending");
    world.capauth.end_streams();
    assert_eq!(events.next().await, None, "it ends well, and in the middle of nothing");
    // Who comes now is told where things stand, and is not held.
    let mut late = desktop.follow().await;
    assert_eq!(late.hear().await["status"], "pending");
    assert_eq!(late.next().await, None);
}
