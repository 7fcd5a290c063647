use capauth_verifier::{Advance, NewFamily, REFRESH_GRACE, SessionEntry, Stores};
use tokio::task::JoinSet;

use super::helpers::{NOW, fingerprint, new_key, note};

async fn member(stores: &Stores) {
    stores.keys.enroll(&new_key(stores, fingerprint(1)), &note()).await.unwrap();
    stores.keys.enroll(&new_key(stores, fingerprint(2)), &note()).await.unwrap();
}

fn session(n: u8) -> SessionEntry {
    SessionEntry {
        jti_hash: [n; 32],
        sub: fingerprint(1),
        generation: 0,
        service: format!("\"app\\{n}.example.com"),
        created_at: NOW.plus(u64::from(n)),
        last_seen: NOW.plus(u64::from(n)),
        expires: NOW.plus(1000),
    }
}

pub async fn sessions_are_listed_the_newest_first_until_they_end(stores: Stores) {
    member(&stores).await;
    let list = async |of: u8, generation, at| {
        stores.sessions.sessions(&fingerprint(of), generation, at, 2).await.unwrap()
    };
    for n in [3, 1, 2] {
        stores.sessions.note_session(&session(n));
    }
    assert_eq!(list(1, 0, NOW).await, [session(3), session(2)]);
    assert!(list(2, 0, NOW).await.is_empty(), "another's");
    assert!(list(1, 1, NOW).await.is_empty(), "another generation's");
    assert!(list(1, 0, NOW.plus(1000)).await.is_empty(), "past their time");

    stores.sessions.note_seen(&[3; 32], NOW.plus(70));
    stores.sessions.note_seen(&[3; 32], NOW.plus(60));
    stores.sessions.note_seen(&[99; 32], NOW.plus(60));
    assert_eq!(stores.sessions.last_seen(&[3; 32]).await.unwrap(), Some(NOW.plus(70)));
    stores.keys.flush().await.unwrap();
    assert_eq!(stores.sessions.last_seen(&[3; 32]).await.unwrap(), Some(NOW.plus(70)));
    assert_eq!(stores.sessions.last_seen(&[99; 32]).await.unwrap(), None);
    assert_eq!(list(1, 0, NOW).await[0].last_seen, NOW.plus(70));

    stores.sessions.forget_session(&[3; 32]).await.unwrap();
    assert_eq!(list(1, 0, NOW).await, [session(2), session(1)]);
    stores.sessions.forget_old_sessions(NOW.plus(2000)).await.unwrap();
    assert_eq!(stores.sessions.last_seen(&[2; 32]).await.unwrap(), None);
}

fn family() -> NewFamily {
    NewFamily { jti_hash: [7; 32], sub: fingerprint(1), expires: NOW.plus(10_000) }
}

pub async fn a_refresh_family_advances_and_ends_when_an_old_token_is_shown(stores: Stores) {
    member(&stores).await;
    let advance = async |generation, seconds| {
        stores.sessions.advance_family(&[7; 32], generation, NOW.plus(seconds)).await.unwrap()
    };
    assert_eq!(advance(0, 0).await, Advance::Gone);
    stores.sessions.add_family(&family()).await.unwrap();
    assert_eq!(advance(0, 0).await, Advance::Current(1));
    // The answer was lost: the same token once more, within the grace, and no longer.
    assert_eq!(advance(0, REFRESH_GRACE).await, Advance::Current(1));
    assert_eq!(advance(1, 100).await, Advance::Current(2));
    assert_eq!(advance(1, 100 + REFRESH_GRACE + 1).await, Advance::Reused);
    assert_eq!(advance(2, 130).await, Advance::Gone, "it has ended for everybody");
}

pub async fn attack_refresh_token_of_long_ago_or_of_the_future(stores: Stores) {
    member(&stores).await;
    for (n, shown) in [(7u8, 0u64), (8, 9), (9, u64::MAX)] {
        let family = NewFamily { jti_hash: [n; 32], ..family() };
        stores.sessions.add_family(&family).await.unwrap();
        for generation in 0..3 {
            let answer = stores.sessions.advance_family(&[n; 32], generation, NOW).await.unwrap();
            assert_eq!(answer, Advance::Current(generation + 1));
        }
        assert_eq!(stores.sessions.advance_family(&[n; 32], shown, NOW).await.unwrap(), Advance::Reused);
        assert_eq!(stores.sessions.advance_family(&[n; 32], 3, NOW).await.unwrap(), Advance::Gone);
    }
}

pub async fn of_64_simultaneous_refreshes_one_advances(stores: Stores) {
    member(&stores).await;
    stores.sessions.add_family(&family()).await.unwrap();
    let mut tasks = JoinSet::new();
    for _ in 0..64 {
        let stores = stores.clone();
        tasks.spawn(async move { stores.sessions.advance_family(&[7; 32], 0, NOW).await.unwrap() });
    }
    assert!(tasks.join_all().await.iter().all(|answer| *answer == Advance::Current(1)));
    assert_eq!(stores.sessions.advance_family(&[7; 32], 1, NOW).await.unwrap(), Advance::Current(2));
}

pub async fn a_family_ends_with_its_session_and_at_its_time(stores: Stores) {
    member(&stores).await;
    stores.sessions.add_family(&family()).await.unwrap();
    assert_eq!(stores.sessions.advance_family(&[7; 32], 0, NOW.plus(10_000)).await.unwrap(), Advance::Gone);
    assert_eq!(stores.sessions.advance_family(&[7; 32], 0, NOW).await.unwrap(), Advance::Current(1));
    stores.sessions.forget_session(&[7; 32]).await.unwrap();
    assert_eq!(stores.sessions.advance_family(&[7; 32], 1, NOW).await.unwrap(), Advance::Gone);
}
