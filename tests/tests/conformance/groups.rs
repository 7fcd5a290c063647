//! Who is let through.

use serde_json::json;

use crate::visit::{Visit, get};

pub(crate) async fn a_group_opens_a_branch_and_its_loss_ends_the_session(visit: &Visit<'_>) {
    let (alice, bob) = (&visit.cast.alice, &visit.cast.bob);
    let guarded = ["/admin", "/area/inside", "/area/nothing"];
    let before = visit.cookie_of(alice).await;
    for path in guarded {
        visit.step(&format!("nobody at {path}"), get(path), "401 invalid_token").await;
        let other = get(path).header("cookie", &before);
        visit.step(&format!("somebody else at {path}"), other, "403 forbidden").await;
    }
    visit.grant(alice, &["staff", "admins"]).await;
    // A token of a central service carries the groups it was made with: a new one has the new group.
    let (member, bearer) = (visit.cookie_of(alice).await, visit.bearer_of(alice).await);
    for path in guarded {
        let found = if path.ends_with("nothing") { "404" } else { "200" };
        visit.step(&format!("a member at {path}"), get(path).header("cookie", &member), found).await;
        let program = get(path).header("authorization", &bearer);
        visit.step(&format!("a member's program at {path}"), program, found).await;
    }
    let me = visit.step("the member's claims", get("/me").header("cookie", &member), "200").await;
    assert_eq!(me.json()["groups"], json!(["admins", "staff"]));
    let other = visit.cookie_of(bob).await;
    visit.step("another person", get("/admin").header("cookie", &other), "403 forbidden").await;
    let narrow = visit.cookie_claiming(alice, &json!({"groups": ["staff"]})).await;
    visit
        .step("a member who does not share it", get("/admin").header("cookie", &narrow), "403 forbidden")
        .await;
    visit.grant(alice, &["staff"]).await;
    for path in ["/admin", "/me"] {
        let session = get(path).header("cookie", &member);
        visit.step(&format!("the old session at {path}"), session, "401 invalid_token").await;
        let token = get(path).header("authorization", &bearer);
        visit.step(&format!("the old token at {path}"), token, "401 invalid_token").await;
    }
    let after = visit.cookie_of(alice).await;
    visit.step("a new session", get("/admin").header("cookie", &after), "403 forbidden").await;
    visit.step("signed in all the same", get("/me").header("cookie", &after), "200").await;
    visit.step("and the other person", get("/me").header("cookie", &other), "200").await;
}

pub(crate) async fn humans_are_told_from_programs(visit: &Visit<'_>) {
    let cast = visit.cast;
    let program = visit.cookie_claiming(&cast.alice, &json!({"agent_type": "ai"})).await;
    let person = visit.cookie_claiming(&cast.bob, &json!({"agent_type": "human"})).await;
    let silent = visit.cookie_of(&cast.mallory).await;
    visit.step("nobody", get("/human"), "401 invalid_token").await;
    visit.step("a program", get("/human").header("cookie", &program), "403 forbidden").await;
    visit.step("a program elsewhere", get("/me").header("cookie", &program), "200").await;
    visit.step("a person", get("/human").header("cookie", &person), "200").await;
    visit.step("one who says nothing", get("/human").header("cookie", &silent), "200").await;
}

pub(crate) async fn a_login_may_be_optional(visit: &Visit<'_>) {
    let alice = &visit.cast.alice;
    let (cookie, bearer) = (visit.cookie_of(alice).await, visit.bearer_of(alice).await);
    let fingerprint = alice.fingerprint.to_string();
    let nobody = visit.step("nobody", get("/maybe"), "200").await;
    assert_eq!(nobody.text(), "nobody");
    for (name, header, value) in [("a session", "cookie", &cookie), ("a token", "authorization", &bearer)] {
        let known = visit.step(name, get("/maybe").header(header, value), "200").await;
        assert_eq!(known.text(), fingerprint);
    }
    let stale = get("/maybe").header("cookie", "__Host-capauth=AAAA");
    let stale = visit.step("a stale session", stale, "200").await;
    assert_eq!((stale.text().as_str(), stale.header("set-cookie")), ("nobody", ""));
    let bad = get("/maybe").header("authorization", "Bearer x");
    visit.step("a bad token", bad, "401 invalid_token").await;
    let both = get("/maybe").header("authorization", "Bearer x").header("cookie", &cookie);
    visit.step("a bad token and a session", both, "401 invalid_token").await;
    let other = get("/maybe").header("authorization", "Basic YTpi");
    visit.step("somebody else's scheme", other, "200").await;
}
