//! Sign in with an OpenPGP key, in Rocket.
//!
//! ```
//! use capauth_rocket::{Authenticated, CapAuth, InGroup, group};
//! use rocket::{get, routes};
//!
//! group!(pub Admins = "admins");
//!
//! #[get("/me")]
//! fn me(user: Authenticated) -> String {
//!     format!("Hello, {}", user.display_name())
//! }
//!
//! #[get("/admin")]
//! fn admin(admin: InGroup<Admins>) -> String {
//!     format!("At your service, {}", admin.display_name())
//! }
//!
//! # #[rocket::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! # std::env::set_current_dir(&directory)?;
//! let capauth = CapAuth::local("app.example.com").store("sqlite://capauth.db").build().await?;
//! let app = rocket::build()
//!     .attach(capauth_rocket::fairing(capauth))
//!     .mount("/auth/capauth", capauth_rocket::routes()) // login page, challenge, verify, logout, me
//!     .mount("/", routes![me, admin]);
//!
//! # let launch = async |app: rocket::Rocket<rocket::Build>| app.ignite().await;
//! launch(app).await?; // app.launch()
//! # Ok(())
//! # }
//! ```
//!
//! # Rules
//!
//! 1. [`Authenticated`] as an argument demands a login and [`InGroup`] a group; [`MaybeAuthenticated`] demands
//!    nothing, and still refuses credentials that are bad.
//! 2. A bad `Bearer` token is always refused. A session cookie that counts no longer only means that nobody is signed
//!    in.
//! 3. The guards of a request are one decision, made once.
//! 4. A request that may change something and carries the session's cookie must come from a configured origin
//!    (`https://{service}`, and what [`LocalConfig::origin`](capauth_tower::LocalConfig::origin) adds). So a handler
//!    with a guard needs no further protection against cross-site requests; one without any is not protected.
//! 5. A guard that refuses ends the request, and never forwards it to another route. A catcher then answers: 401, 403
//!    or, for browsers, 303 to the login page.
//!
//! # Caveats
//!
//! - **The fairing.** Without it a launch with guards stops, and the log says why; [`routes`](routes()) alone answer
//!   500. Attach it once: of several the last one counts.
//! - **Optional logins.** Rocket turns what a guard refuses into `None` for `Option<Authenticated>`, so that somebody
//!   with a bad token passes for nobody in particular. Take [`MaybeAuthenticated`]. `Result<Authenticated, Rejection>`
//!   hands every refusal to the handler, a missing login included.
//! - **Catchers.** Ours stand at `/`, and Rocket prefers those of a longer base: an application's own at `/api` answers
//!   below it, as one for 401 at `/` does everywhere. [`Rejection::of`] tells it what was refused and is an answer
//!   itself. Rocket drops cookies that were set before a catcher is asked; the one that clears a stale session comes
//!   with that answer.
//! - **Rank.** Our routes have rank -20, before whatever Rocket ranks by itself. A `/<path..>` of the application
//!   neither collides nor hides them; one with an explicit rank below -20 hides them.
//! - **`_method`.** A form whose first field is `_method=PUT` is a PUT to Rocket, and so to us: rule 4 holds for it. One
//!   with `_method=GET` reaches GET handlers, which are to change nothing.
//! - **Addresses.** Limits count clients by the connection's address and never by `Request::client_ip`, which believes
//!   `X-Real-IP` from anybody. Proxies are named by
//!   [`LocalConfig::trusted_proxies`](capauth_tower::LocalConfig::trusted_proxies).
//! - **Mounted elsewhere.** At `/app/auth/capauth` say so by
//!   [`LocalConfig::mounted_at`](capauth_tower::LocalConfig::mounted_at), so that browsers are sent there to sign in.
//! - **Headers.** Rocket drops a header with bytes that are not UTF-8, before anybody sees it: a `Cookie` header with
//!   one holds no session, and an `Authorization` with one is not refused but missing.
//! - **Methods** that Rocket does not know get its own 400, in HTML, on every path.
//! - **Shield** adds `X-Frame-Options` and `Permissions-Policy` to our answers, and says in the log that it leaves the
//!   headers alone that they have already.
//! - **`Expect: 100-continue`.** Rocket begins to read every body, so a client that waits is told to go on before one
//!   too long is refused.
//! - **Paths** are compared raw below our base. A request fairing or a URI normalizer that rewrites the path rewrites
//!   it for us as well.
//! - **CORS.** A preflight carries no credentials: an OPTIONS route takes no guard of ours.
//! - **Shutdown.** The fairing calls [`CapAuth::close`] when the shutdown begins. Requests that are answered during
//!   Rocket's grace period may leave something unwritten, such as the time of a login; call it again after `launch`
//!   where that matters.
//! - **Queries in logs.** At its level `normal` Rocket writes every path with its query, `token-info?token=…` of
//!   [`service_routes`] among them: log at `critical` where those are mounted, or show tokens in the header alone.
//! - **Logs.** CapAuth writes them with `tracing`. Unless the application installs a subscriber of its own, they appear
//!   among Rocket's.
//!
//! # Features
//!
//! | name | what it does | default |
//! |---|---|---|
//! | `sqlite` | `LocalConfig::store`, keys in an SQLite file | yes |
//! | `remote` | `CapAuth::remote`, keys at a central service | yes |
//! | `crypto-rust` | OpenPGP in pure Rust | yes |
//! | `crypto-openssl` | OpenPGP on OpenSSL, instead | |
//! | `crypto-nettle` | OpenPGP on Nettle, instead | |

mod fairing;
mod guards;
mod routes;
mod translate;

pub use fairing::fairing;
pub use guards::{Authenticated, Human, InGroup, MaybeAuthenticated, Rejection};
pub use routes::{routes, service_routes};

pub use capauth_tower::{
    self, AuthError, AuthErrorKind, CapAuth, Clock, ConfigError, EnrollmentMode, Fingerprint, Group, IpRange,
    ManualClock, MasterKey, OidcClaims, RateLimits, Secret, ServiceEntry, Stores, SystemClock, group,
};
