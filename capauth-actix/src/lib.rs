//! Sign in with an OpenPGP key, in actix-web.
//!
//! ```
//! use actix_web::{App, web};
//! use capauth_actix::{Authenticated, CapAuth, InGroup, auth, group, require_group};
//!
//! group!(pub Admins = "admins");
//!
//! async fn me(user: Authenticated) -> String {
//!     format!("Hello, {}", user.display_name())
//! }
//!
//! async fn settings(admin: InGroup<Admins>) -> String {
//!     format!("At your service, {}", admin.display_name())
//! }
//!
//! # async fn serve<A>(_app: impl Fn() -> A + Send + Clone + 'static) -> std::io::Result<()> { Ok(()) }
//! # #[actix_web::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! # std::env::set_current_dir(&directory)?;
//! // Before the server, and not in its closure: that runs in every worker, and the workers share one handle.
//! let capauth = CapAuth::local("app.example.com").store("sqlite://capauth.db").build().await?;
//! let handle = capauth.clone();
//! let app = move || {
//!     App::new()
//!         .configure(capauth_actix::routes(handle.clone())) // /auth/capauth/*: login page, verify, me, …
//!         .route("/me", web::get().to(me))
//!         .route("/settings", web::get().to(settings))
//!         .service(
//!             web::scope("/admin") // a whole branch
//!                 .wrap(require_group("admins"))
//!                 .route("/reports", web::get().to(async || "All is well.")),
//!         )
//!         // What is wrapped last sees a request first: `auth` is the last, and only CORS would come after it.
//!         .wrap(auth(handle.clone()))
//! };
//!
//! serve(app).await?; // HttpServer::new(app).bind(("127.0.0.1", 8080))?.run()
//! capauth.close().await?; // after the last answer: some writes are batched
//! # Ok(())
//! # }
//! ```
//!
//! Extractors and `require_…` work without [`auth`] as well. With it, bad credentials are refused everywhere, and the
//! guards of [`guard`] know who asks.
//!
//! # Rules
//!
//! 1. [`Authenticated`] as an argument demands a login and [`InGroup`] a group; [`MaybeAuthenticated`] demands
//!    nothing, and still refuses credentials that are bad.
//! 2. A bad `Bearer` token is always refused. A session cookie that counts no longer only means that nobody is signed
//!    in.
//! 3. The extractors, the `require_…` middleware and [`auth`] are one decision, made once a request.
//! 4. A request that may change something and carries the session's cookie must come from a configured origin
//!    (`https://{service}`, and what [`LocalConfig::origin`](capauth_tower::LocalConfig::origin) adds). So a handler
//!    with an extractor needs no further protection against cross-site requests; one without any is not protected.
//! 5. Extractors and middleware answer whoever may not pass: 401 or 403, and a browser without a login is sent to the
//!    login page. A [`guard`] only chooses among routes: the next one or 404.
//!
//! # Caveats
//!
//! - **The handle** is found where [`routes`] put it by `app_data`, or where [`auth`] left it. What was configured in
//!   one scope is not seen in another: configure [`routes`] at the `App`. An extractor or `require_…` that finds no
//!   handle answers 500 and lets nobody through; the log says what to add.
//! - **Optional logins.** `Option<Authenticated>` compiles and means something else than [`MaybeAuthenticated`]:
//!   actix-web implements it for every extractor, as `None` whatever the error, so a bad token counts as nobody.
//!   `Either<Authenticated, _>` goes on to its right side likewise. `Result<Authenticated, Rejection>` keeps the error.
//! - **Order.** What is wrapped last runs first, wherever `configure` and `service` stand. `wrap` on a scope guards
//!   every method and every path under it: an OPTIONS and an unknown path are answered 401 too.
//! - **Methods.** `App::route` answers 404 for methods that it has no route for, HEAD included; `web::resource` 405.
//!   The endpoints of CapAuth answer HEAD, and say 405 themselves.
//! - **Paths.** actix-web decodes a path before it compares, so `/%61dmin` is `/admin`, and guarded like it. The
//!   endpoints of CapAuth compare raw paths: `/auth/c%61pauth/me` is 404.
//! - **Workers** are runtimes of one thread each. What [`CapAuth`] does in the background belongs to the runtime that
//!   built it, so it is built before `HttpServer::new` and cloned in.
//! - **Bodies.** Whoever is refused need not send the body first. What actix-web does with one that nobody reads is its
//!   own affair: it closes the connection, or reads a chunked body to its end and throws it away. The endpoints read
//!   up to 256 KiB, for ten seconds, whatever `web::PayloadConfig` says.
//! - **Addresses.** Limits count clients by their address: `peer_addr`, and never `realip_remote_addr`, which any
//!   client can make up. Proxies are named by
//!   [`LocalConfig::trusted_proxies`](capauth_tower::LocalConfig::trusted_proxies). Behind a Unix socket all clients
//!   share one limit.
//! - **Mounted elsewhere.** In `web::scope("/app")` the endpoints are under `/app/auth/capauth`: say so by
//!   [`LocalConfig::mounted_at`](capauth_tower::LocalConfig::mounted_at), so that browsers are sent there to sign in.
//! - **CORS** belongs outside: a preflight carries no credentials, and `require_…` would answer it 401.
//! - **Shutdown.** Call [`CapAuth::close`] when the server has answered its last request.
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

mod asking;
mod extract;
pub mod guard;
mod middleware;
mod routes;
mod translate;

pub use extract::{Authenticated, Human, InGroup, MaybeAuthenticated, Rejection};
pub use middleware::{Gate, Gated, auth, require, require_group, require_human, require_login};
pub use routes::{routes, service_routes};

pub use capauth_tower::{
    self, AuthError, AuthErrorKind, CapAuth, Clock, ConfigError, EnrollmentMode, Fingerprint, Group, IpRange,
    ManualClock, MasterKey, OidcClaims, RateLimits, Rule, Secret, ServiceEntry, Stores, SystemClock, group,
};
