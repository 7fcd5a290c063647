//! CapAuth's endpoints, sessions and guards for anything that speaks [`tower_service::Service`].
//!
//! An application holds one [`CapAuth`], made by [`CapAuth::local`]. From it come the login endpoints
//! ([`CapAuth::routes_layer`], [`CapAuth::endpoints`]), the layer that says who asks ([`AuthLayer`]) and the layers
//! that let only some people through ([`CapAuth::require_login`], [`CapAuth::require_group`],
//! [`CapAuth::require_human`]).
//!
//! # Rules
//!
//! 1. A bad `Authorization: Bearer` is refused, wherever a layer or an extractor of ours looks; an unknown or expired
//!    session cookie only means that nobody is signed in, and is cleared when that leads to a refusal.
//! 2. `Bearer` decides when a request carries both. Other `Authorization` schemes belong to the application. More
//!    than one `Authorization` header is refused.
//! 3. A request that may change something (anything but GET, HEAD and OPTIONS) and carries a session cookie must
//!    come from a configured origin, by `Origin` or, without one, by `Sec-Fetch-Site: same-origin`.
//! 4. Origins, scheme, issuer and cookie flags come from configuration, never from `Host` or `X-Forwarded-*`.
//! 5. Paths are compared raw: nothing is decoded, no trailing slash is forgiven.
//!
//! # Caveats
//!
//! - Order matters in [`tower`'s `ServiceBuilder`][builder]: the login endpoints stand outside of whatever demands a
//!   login, and CORS outside of both, since a preflight carries no credentials.
//! - The adapter puts the peer's address into the request's extensions as [`Peer`]; without it nothing is limited.
//! - Call [`CapAuth::end_streams`] when the server begins to stop: whoever follows a login from another device would hold
//!   a connection for up to two minutes.
//! - Call [`CapAuth::close`] at shutdown, after the last request: some writes are batched.
//!
//! [builder]: https://docs.rs/tower/latest/tower/builder/struct.ServiceBuilder.html
//!
//! # Example
//!
//! ```
//! use capauth_tower::{AuthLayer, Authenticated, Body, CapAuth};
//! use http::{Request, Response};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let stores = capauth_verifier::memory::stores()?;
//! let capauth = CapAuth::local("app.example.com").stores(stores).build().await?;
//!
//! let app = service_fn(async |request: Request<Body>| {
//!     let who = request.extensions().get::<Authenticated>();
//!     let greeting = who.map_or("Hello, stranger".to_owned(), |who| format!("Hello, {}", who.display_name()));
//!     Ok::<_, std::convert::Infallible>(Response::new(Body::from(greeting)))
//! });
//! let app = ServiceBuilder::new()
//!     .layer(capauth.routes_layer()) // outside: the login page needs no login
//!     .layer(AuthLayer::new(capauth.clone()))
//!     .service(app);
//!
//! let response = app.oneshot(Request::new(Body::default())).await?;
//! assert_eq!(response.status(), 200);
//! capauth.close().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Metrics and spans
//!
//! Logins, challenges, refusals and caches are counted through the [`metrics`] facade: install a recorder before
//! [`CapAuth`] is built. Each request to an endpoint runs in a span of the target `capauth::request`, with method, route,
//! and at its end status and kind of refusal; whoever has a span of their own puts [`Traced`] into the request's
//! extensions. Neither holds anything of a person.
//!
//! # Features
//!
//! | name | what it does | default |
//! |---|---|---|
//! | `sqlite` | `LocalConfig::store`, keys in an SQLite file | yes |
//! | `remote` | [`CapAuth::remote`], keys at a central service | yes |
//! | `openapi` | an OpenAPI description of the service's endpoints, and a page that shows it | |
//! | `crypto-rust` | OpenPGP in pure Rust | yes |
//! | `crypto-openssl` | OpenPGP on OpenSSL, instead | |
//! | `crypto-nettle` | OpenPGP on Nettle, instead | |

mod accept;
mod answer;
mod body;
mod config;
mod context;
mod cookie;
mod counts;
mod credentials;
mod decide;
mod device;
mod endpoints;
mod form;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod group;
mod handle;
mod layer;
#[cfg(feature = "openapi")]
mod openapi;
mod origin;
mod pages;
mod proxies;
mod qr_image;
mod redirect;
mod refuse;
mod session;
mod streams;
mod trace;

pub use body::Body;
pub use config::LocalConfig;
#[cfg(feature = "remote")]
pub use config::RemoteConfig;
pub use context::{AdmittedOrigin, Mount, OriginalUri, Peer, Traced, UnixPeer};
pub use counts::count_refusal;
pub use decide::DECIDING_HEADERS;
pub use endpoints::{Endpoints, Part, Route};
pub use group::{Group, Rule, is_group_name};
pub use handle::CapAuth;
pub use layer::{Auth, AuthLayer, BoxFuture, Require, RequireLayer, Routes, RoutesLayer};
pub use proxies::{IpRange, IpRangeError};
pub use redirect::safe_redirect;
pub use refuse::{Refused, refuse};
pub use trace::method_name;

pub use capauth_protocol::{Fingerprint, OidcClaims};
#[cfg(feature = "remote")]
pub use capauth_verifier::RemoteVerifier;
pub use capauth_verifier::{
    AuthError, AuthErrorKind, Authenticated, Clock, ConfigError, EnrollmentMode, LocalVerifier, ManualClock,
    MasterKey, RateLimits, Secret, ServiceEntry, Session, Stores, SystemClock, Timestamp, Verifier,
};

/// What errors of a foreign body or service are turned into.
pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;
