//! What the middleware promises.

use actix_web::middleware::DefaultHeaders;
use actix_web::{App, HttpResponse, web};
use capauth_actix::{
    Authenticated, CapAuth, Human, InGroup, auth, require, require_group, require_human, require_login,
    routes, service_routes,
};
use capauth_actix::{Rule, capauth_tower};
use capauth_verifier::memory;
use futures_util::stream;
use serde_json::json;

use crate::client::{Client, ORIGIN};
use crate::person::Person;
use crate::{Admins, capauth, maybe};

const BAD: (&str, &str) = ("authorization", "Bearer nonsense");

async fn inside() -> &'static str {
    "inside"
}

fn site(capauth: &CapAuth) -> Client {
    let capauth = capauth.clone();
    Client::of(move || {
        App::new()
            .configure(service_routes(capauth.clone()))
            .service(
                web::scope("/login")
                    .wrap(require_login())
                    .service(web::resource("/x").get(inside).post(inside)),
            )
            .service(web::scope("/admin").wrap(require_group("admins")).route("/x", web::get().to(inside)))
            .service(web::resource("/human/x").wrap(require_human()).get(inside))
            .service(web::resource("/rule/x").wrap(require(Rule::group::<Admins>())).get(inside))
    })
}

#[tokio::test]
async fn scopes_and_resources_are_guarded() {
    let capauth = capauth().await;
    let client = site(&capauth);
    let (alice, agent) = (Person::new("alice"), Person::new("agent"));
    let alices = client.cookie(&alice, &json!({})).await;
    let agents = client.cookie(&agent, &json!({"agent_type": "ai"})).await;
    for path in ["/login/x", "/admin/x", "/human/x", "/rule/x"] {
        assert_eq!(client.get(path, &[]).await.error(), (401, "invalid_token".to_owned()), "{path}");
        assert_eq!(client.get(path, &[BAD]).await.error(), (401, "invalid_token".to_owned()), "{path}");
        let stale = client.get(path, &[("cookie", "__Host-capauth=c3RhbGU")]).await;
        assert_eq!((stale.status, stale.cookie.as_str()), (401, "__Host-capauth="), "{path}");
    }
    for (path, of_alice, of_agent) in
        [("/login/x", 200, 200), ("/admin/x", 403, 403), ("/human/x", 200, 403), ("/rule/x", 403, 403)]
    {
        assert_eq!(client.get(path, &[("cookie", &alices)]).await.status, of_alice, "{path}");
        assert_eq!(client.get(path, &[("cookie", &agents)]).await.status, of_agent, "{path}");
    }
    let local = capauth.local_verifier().unwrap();
    local.set_groups(&alice.fingerprint().parse().unwrap(), &["admins".to_owned()]).await.unwrap();
    for path in ["/admin/x", "/rule/x"] {
        assert_eq!(client.get(path, &[("cookie", &alices)]).await.text, "inside", "{path}");
    }
}

#[tokio::test]
async fn attack_cross_site_post_into_a_guarded_scope() {
    let client = site(&capauth().await);
    let cookie = client.cookie(&Person::new("alice"), &json!({})).await;
    let session = ("cookie", &*cookie);
    for headers in [&[session][..], &[session, ("origin", "https://evil.example")]] {
        assert_eq!(client.send("POST", "/login/x", headers, String::new()).await.status, 403, "{headers:?}");
    }
    assert_eq!(
        client.send("POST", "/login/x", &[session, ("origin", ORIGIN)], String::new()).await.text,
        "inside"
    );
}

#[tokio::test]
async fn a_scope_is_guarded_whole() {
    let client = site(&capauth().await);
    let cookie = client.cookie(&Person::new("alice"), &json!({})).await;
    for (method, path) in
        [("GET", "/login/nowhere"), ("OPTIONS", "/login/x"), ("HEAD", "/login/x"), ("PUT", "/login/x")]
    {
        assert_eq!(client.send(method, path, &[], String::new()).await.status, 401, "{method} {path}");
    }
    assert_eq!(client.get("/login/nowhere", &[("cookie", &cookie)]).await.status, 404);
}

#[tokio::test]
async fn attack_guarded_path_spelt_differently() {
    let client = site(&capauth().await);
    let cookie = client.cookie(&Person::new("alice"), &json!({})).await;
    for path in ["/%6cogin/x", "/login/%78"] {
        assert_eq!(client.get(path, &[]).await.status, 401, "{path}");
        assert_eq!(client.get(path, &[("cookie", &cookie)]).await.text, "inside", "{path}");
    }
    for path in ["/login//x", "//login/x", "/login%2Fx", "/LOGIN/x"] {
        assert_ne!(client.get(path, &[]).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn what_stands_outside_sees_refusals_as_answers_and_what_is_inside_streams() {
    let capauth = capauth().await;
    let client = Client::of(move || {
        let streamed = async || {
            let pieces =
                ["all ", "of ", "it"].map(|piece| Ok::<_, actix_web::Error>(web::Bytes::from(piece)));
            HttpResponse::Ok().streaming(stream::iter(pieces))
        };
        App::new()
            .configure(service_routes(capauth.clone()))
            .service(web::resource("/x").wrap(require_login()).get(streamed))
            .wrap(auth(capauth.clone()))
            .wrap(DefaultHeaders::new().add(("x-outside", "seen")))
    });
    let bearer = client.bearer(&Person::new("alice")).await;
    for (headers, status) in [(&[][..], 401), (&[BAD], 401), (&[("authorization", &*bearer)], 200)] {
        let answer = client.get("/x", headers).await;
        assert_eq!((answer.status, answer.headers["x-outside"].to_str().unwrap()), (status, "seen"));
        assert!(status != 200 || answer.text == "all of it", "{}", answer.text);
    }
}

#[tokio::test]
async fn auth_refuses_bad_credentials_everywhere_but_where_one_signs_in() {
    let capauth = capauth().await;
    let client = Client::of(move || {
        App::new()
            .configure(routes(capauth.clone()))
            .service(web::resource("/public").route(web::route().to(async || "public")))
            .route("/maybe", web::get().to(maybe))
            .wrap(auth(capauth.clone()))
    });
    let alice = Person::new("alice");
    let cookie = client.cookie(&alice, &json!({})).await;
    let stale = ("cookie", "__Host-capauth=c3RhbGU");
    for path in ["/public", "/nowhere", "/maybe"] {
        assert_eq!(client.get(path, &[BAD]).await.error(), (401, "invalid_token".to_owned()), "{path}");
    }
    assert_eq!(client.get("/nowhere", &[]).await.status, 404);
    assert_eq!(client.get("/public", &[]).await.text, "public");
    assert_eq!(client.get("/public", &[stale]).await.text, "public");
    assert_eq!(client.get("/maybe", &[("cookie", &cookie)]).await.text, alice.fingerprint());

    let preflight = [BAD, ("origin", "https://elsewhere.example"), ("access-control-request-method", "POST")];
    assert_eq!(client.send("OPTIONS", "/public", &preflight, String::new()).await.text, "public");
    assert_eq!(client.send("OPTIONS", "/public", &preflight[..2], String::new()).await.status, 401);
    let body = json!({"fingerprint": alice.fingerprint()});
    for headers in [[BAD, ("origin", ORIGIN)], [stale, ("origin", ORIGIN)]] {
        let answer = client.post("/auth/capauth/challenge", &headers, &body).await;
        assert_eq!(answer.status, 200, "{headers:?}");
    }
}

#[tokio::test]
async fn without_a_handle_nobody_passes() {
    let capauth = capauth().await;
    let bearer = {
        let capauth = capauth.clone();
        let client = Client::of(move || App::new().configure(service_routes(capauth.clone())));
        client.bearer(&Person::new("alice")).await
    };
    let client = Client::of(move || {
        let elsewhere = web::scope("/elsewhere").configure(routes(capauth.clone()));
        let helped = web::scope("/helped").wrap(require_login()).wrap(auth(capauth.clone()));
        App::new()
            .service(elsewhere)
            .service(helped.route("/x", web::get().to(async |_: Authenticated| "inside")))
            .service(web::scope("/login").wrap(require_login()).route("/x", web::get().to(inside)))
            .service(web::scope("/group").wrap(require_group("admins")).route("/x", web::get().to(inside)))
            .service(web::scope("/human").wrap(require_human()).route("/x", web::get().to(inside)))
            .route("/me", web::get().to(async |_: Authenticated| "inside"))
            .route("/maybe", web::get().to(maybe))
            .route("/in", web::get().to(async |_: InGroup<Admins>| "inside"))
            .route("/program", web::get().to(async |_: Human| "inside"))
    });
    let good = [("authorization", &*bearer)];
    for path in ["/login/x", "/group/x", "/human/x", "/me", "/maybe", "/in", "/program"] {
        for headers in [&[][..], &good] {
            let answer = client.get(path, headers).await;
            assert_eq!(answer.error(), (500, "server_error".to_owned()), "{path}");
            assert!(
                !answer.text.contains("capauth_actix"),
                "how to mend it stands in the log: {}",
                answer.text
            );
        }
    }
    assert_eq!(client.get("/helped/x", &[]).await.status, 401);
    assert_eq!(client.get("/helped/x", &good).await.text, "inside", "the handle that `auth` left");
}

/// What a wrapped application may ask, of its own middleware as well.
#[tokio::test]
async fn middleware_of_the_application_takes_the_extractors() {
    let capauth = capauth().await;
    let client = Client::of(move || {
        let greeting = actix_web::middleware::from_fn(
            async |user: Authenticated,
                   request: actix_web::dev::ServiceRequest,
                   next: actix_web::middleware::Next<_>| {
                let who: &capauth_tower::Authenticated = &user;
                assert!(!who.display_name().is_empty());
                next.call(request).await
            },
        );
        App::new()
            .configure(service_routes(capauth.clone()))
            .service(web::resource("/x").wrap(greeting).get(inside))
    });
    let bearer = client.bearer(&Person::new("alice")).await;
    assert_eq!(client.get("/x", &[]).await.status, 401);
    assert_eq!(client.get("/x", &[("authorization", &bearer)]).await.text, "inside");
}

#[tokio::test]
async fn browsers_are_sent_to_the_login_page_and_back() {
    for mount in ["", "/app"] {
        let config = CapAuth::local("app.example.com").stores(memory::stores().unwrap());
        let capauth = config.mounted_at(mount).build().await.unwrap();
        let client = Client::of(move || {
            let admin = web::scope("/admin").wrap(require_group("admins")).route("/x", web::get().to(inside));
            let me = async |_: Authenticated| "inside";
            let scope = web::scope(mount).configure(routes(capauth.clone()));
            App::new().service(scope.route("/me", web::get().to(me)).service(admin))
        });
        for path in ["/me", "/admin/x"] {
            let path = format!("{mount}{path}?a=b&c=d");
            let page = client.get(&path, &[("accept", "text/html,*/*;q=0.8")]).await;
            let location = page.headers["location"].to_str().unwrap();
            let (login, redirect) = location.split_once("?redirect=").unwrap();
            assert_eq!((page.status, login), (303, &*format!("{mount}/auth/capauth/login")), "{path}");
            assert_eq!(
                redirect.replace("%2F", "/"),
                path.replace('?', "%3F").replace('=', "%3D").replace('&', "%26")
            );
            assert_eq!(client.get(&path, &[("accept", "application/json")]).await.status, 401, "{path}");
        }
    }
}
