//! Ways back that would lead elsewhere.

use crate::visit::{BROWSER, VERIFY, Visit, get, post};

pub(crate) async fn attack_open_redirect_after_login(visit: &Visit<'_>) {
    for (wanted, followed) in [
        ("/reports?year=2026&x=%2F%2f#top", "/reports?year=2026&x=%2F%2f#top"),
        ("https://evil.example", "/"),
        ("//evil.example", "/"),
        ("///evil.example", "/"),
        ("/\\evil.example", "/"),
        ("\\\\evil.example", "/"),
        ("/%2fevil.example", "/"),
        ("/%2F%2Fevil.example", "/"),
        ("/%5cevil.example", "/"),
        ("/%252fevil.example", "/"),
        ("/x/..//evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("evil.example", "/"),
        ("", "/"),
    ] {
        let mut login = visit.login_of(&visit.cast.alice).await;
        login["redirect"] = wanted.into();
        let answer = visit.step(wanted, post(VERIFY).json(&login), "200").await;
        assert_eq!(answer.json()["redirect"], followed, "{wanted}");
    }
}

/// A link to a guarded path of this very site, which comes out as another site's address after the login.
pub(crate) async fn attack_open_redirect_before_login(visit: &Visit<'_>) {
    for target in [
        "/area/%2f%2fevil.example",
        "/area/..%2f%2fevil.example",
        "/area/%5cevil.example",
        "/area/x%0d%0alocation:x",
        "/area/%2e%2e//evil.example",
        "/area//evil.example",
    ] {
        let answer = visit.step(target, get(target).header("accept", BROWSER), "303").await;
        if answer.status == 303 {
            assert_eq!(
                answer.header("location"),
                "/auth/capauth/login?redirect=/",
                "{:?}: {target}",
                visit.site
            );
        }
    }
    let host = get("/me").header("accept", BROWSER).header("host", "evil.example");
    let host = host.header("x-forwarded-host", "evil.example").header("forwarded", "host=evil.example");
    let answer = visit.step("another host", host, "303").await;
    assert_eq!(answer.header("location"), "/auth/capauth/login?redirect=/me");
}
