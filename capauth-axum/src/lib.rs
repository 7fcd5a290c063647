//! Sign in with an OpenPGP key, in axum.
//!
//! ```
//! use axum::{Router, extract::FromRef, routing::get};
//! use capauth_axum::{Authenticated, CapAuth, InGroup, group};
//!
//! group!(pub Admins = "admins");
//!
//! #[derive(Clone, FromRef)]
//! struct App {
//!     capauth: CapAuth,
//! }
//!
//! fn reports<S: Clone + Send + Sync + 'static>() -> Router<S> {
//!     Router::new().route("/", get(async || "All is well."))
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! # std::env::set_current_dir(&directory)?;
//! let capauth = CapAuth::local("app.example.com").store("sqlite://capauth.db").build().await?;
//! let app = Router::new()
//!     .route("/me", get(async |user: Authenticated| format!("Hello, {}", user.display_name())))
//!     .route("/admin", get(async |admin: InGroup<Admins>| format!("At your service, {}", admin.display_name())))
//!     .nest("/reports", reports().route_layer(capauth.require_group("admins"))) // the same, for a whole branch
//!     .merge(capauth_axum::routes()) // /auth/capauth/*: login page, challenge, verify, logout, me
//!     .with_state(App { capauth: capauth.clone() });
//!
//! # let serve = async |_app: Router| std::io::Result::Ok(());
//! serve(app).await?; // axum::serve, with the peer's address and a graceful shutdown
//! capauth.close().await?; // after the last answer: some writes are batched
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
//! 3. The extractors, the `require_…` layers and [`AuthLayer`] are one decision, made once a request.
//! 4. A request that may change something and carries the session's cookie must come from a configured origin
//!    (`https://{service}`, and what [`LocalConfig::origin`](capauth_tower::LocalConfig::origin) adds). So a handler
//!    with an extractor needs no further protection against cross-site requests; one without any is not protected.
//!
//! # Caveats
//!
//! - **State.** The handle is found by [`FromRef`], so `.with_state(capauth)` and `#[derive(FromRef)]` work. For
//!   `Arc<App>` nobody can implement `FromRef`: wrap it, `#[derive(Clone)] struct App(Arc<Inner>)` with
//!   `impl FromRef<App> for CapAuth`, or use [`routes_with`] and the layers, which carry the handle themselves.
//! - **Optional logins.** `Option<Authenticated>` and [`MaybeAuthenticated`] are the same here: bad credentials are
//!   refused. Other frameworks swallow errors in `Option`; the second name means the same in all.
//! - **Order.** A layer guards what was added before it. `route_layer` leaves unknown paths 404 and, on a
//!   `MethodRouter`, wrong methods 405.
//! - **Addresses.** Limits count clients by their address, which axum knows only behind
//!   `app.into_make_service_with_connect_info::<SocketAddr>()`. Without it nothing is limited. Proxies are
//!   named by [`LocalConfig::trusted_proxies`](capauth_tower::LocalConfig::trusted_proxies).
//! - **Mounted elsewhere.** In `.nest("/app", …)` the endpoints are under `/app/auth/capauth`: say so by
//!   [`LocalConfig::mounted_at`](capauth_tower::LocalConfig::mounted_at), so that browsers are sent there to sign in.
//! - **CORS** belongs outside: a preflight carries no credentials, and a guard would answer it 401.
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

mod extract;
mod routes;

pub use extract::{Authenticated, Human, InGroup, MaybeAuthenticated, Rejection};
pub use routes::{routes, routes_with, service_routes, service_routes_with};

#[doc(no_inline)]
pub use axum::extract::FromRef;
pub use capauth_tower::{
    self, AuthError, AuthErrorKind, AuthLayer, CapAuth, Clock, ConfigError, EnrollmentMode, Fingerprint,
    Group, IpRange, ManualClock, MasterKey, OidcClaims, RateLimits, RequireLayer, Secret, ServiceEntry,
    Stores, SystemClock, group,
};
