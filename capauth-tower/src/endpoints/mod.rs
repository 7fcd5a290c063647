//! [`Endpoints`]: every HTTP endpoint, once.

pub(crate) mod admin;
pub(crate) mod answers;
#[cfg(feature = "openapi")]
mod description;
mod form;
mod keys;
mod life;
mod login;
mod logout;
mod pages;
mod protocol;
mod qr;
mod query;
mod read;
mod sessions;
mod table;
mod tokens;

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use capauth_protocol::{CLIENT_ADDRESS, CLIENT_DEVICE, ErrorCode, Refusal};
use capauth_verifier::{AuthErrorKind, Caller, DeviceId, LocalVerifier};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, header};
use http_body::Body as HttpBody;
use tower_service::Service;
use tracing::Instrument as _;

use crate::BoxError;
use crate::accept::wants_html;
use crate::body::Body;
use crate::context::AdmittedOrigin;
use crate::credentials;
use crate::handle::CapAuth;
use crate::layer::BoxFuture;
use crate::refuse::Failure;
use crate::trace;

#[cfg(feature = "openapi")]
pub(crate) use keys::MOST_KEYS;
#[cfg(feature = "fuzzing")]
pub(crate) use query::pairs as query_pairs;
use table::Call;
#[cfg(feature = "openapi")]
pub(crate) use table::{DESCRIPTION, EMAIL, GROUPS, ROTATION, SESSIONS_OF_KEY, USER_NAME};
pub(crate) use table::{LOGIN_PAGE, authenticates_itself, find};
pub use table::{Part, Route};

/// The endpoints as a service: an application's ([`CapAuth::endpoints`]) or all of them
/// ([`CapAuth::service_endpoints`]).
///
/// [`table`](Self::table) says which paths there are, so that a framework can be told each of them. Other paths are
/// answered 404, other methods 405.
#[derive(Debug, Clone)]
pub struct Endpoints {
    capauth: CapAuth,
    part: Part,
}

/// One request, as the endpoints see it.
struct Exchange<'a> {
    capauth: &'a CapAuth,
    parts: &'a Parts,
    /// The method to answer: GET for HEAD.
    method: &'a Method,
    body: &'a [u8],
}

impl Endpoints {
    pub(crate) fn login(capauth: CapAuth) -> Self {
        Self { capauth, part: Part::Login }
    }

    pub(crate) fn service(capauth: CapAuth) -> Self {
        Self { capauth, part: Part::Service }
    }

    /// The paths that are served here, each with its methods. A path may hold parameters, written
    /// `{name}`.
    pub fn table(&self) -> impl Iterator<Item = &'static Route> + use<> {
        Route::of(self.part)
    }

    /// Whether there is an endpoint at this path, compared raw.
    pub fn serves(&self, path: &str) -> bool {
        table::find(self.part, path).is_some()
    }

    /// Answers a request: with what the endpoint at its path says, or with an error.
    ///
    /// A body is read up to [`MAX_BODY`](capauth_protocol::limits::MAX_BODY) bytes, for ten seconds. The future is
    /// `Send` if the body is.
    pub async fn handle<B>(&self, request: Request<B>) -> Response<Body>
    where
        B: HttpBody,
        B::Error: Into<BoxError>,
    {
        let (parts, body) = request.into_parts();
        let span = trace::span(self.part, &parts);
        let response = self.answer(parts, body).instrument(span.clone()).await;
        trace::end(&span, &response);
        response
    }

    async fn answer<B>(&self, parts: Parts, body: B) -> Response<Body>
    where
        B: HttpBody,
        B::Error: Into<BoxError>,
    {
        let call = match self.admit(&parts) {
            Ok(call) => call,
            Err(response) => return *response,
        };
        let body = match read::body(&parts, call, body).await {
            Ok(body) => body,
            Err(refusal) => return call.refuse(&parts, refusal.into()),
        };
        self.dispatch(call, &parts, &body).await
    }

    /// Everything that can be said before the body is read.
    fn admit(&self, parts: &Parts) -> Result<Call, Box<Response<Body>>> {
        let Some(route) = table::find(self.part, parts.uri.path()) else {
            let refusal = Refusal::new(ErrorCode::NotFound, "There is nothing at this path.");
            return Err(Box::new(Failure::Request(refusal).into_response()));
        };
        if !route.methods().contains(answered(&parts.method)) {
            return Err(Box::new(method_not_allowed(route)));
        }
        let refused = |failure: Failure| Box::new(route.call.refuse(parts, failure));
        self.capauth.check_origin(parts).map_err(|error| refused(error.into()))?;
        if route.call == Call::LoginPage {
            // The page's own form always says where it comes from: whoever fills it in has a cookie of ours.
            let origins = &self.capauth.front().origins;
            let checked = origins.check(&parts.method, LOGIN_PAGE, &parts.headers, || true);
            checked.map_err(|error| refused(error.into()))?;
        }
        read::check(parts, route.call).map_err(|refusal| refused(refusal.into()))?;
        let is_form = route.call == Call::Token && read::is_form(parts);
        if is_form && parts.extensions.get::<AdmittedOrigin>().is_none() {
            // The one kind of body that browsers send for any page without asking first.
            self.capauth.front().origins.check_form(&parts.headers).map_err(|error| refused(error.into()))?;
        }
        Ok(route.call)
    }

    async fn dispatch(&self, call: Call, parts: &Parts, body: &Bytes) -> Response<Body> {
        let exchange = Exchange { capauth: &self.capauth, parts, method: answered(&parts.method), body };
        // What no login asks for is in a box: the largest of all these would else be a part of every request's future, and
        // be moved wherever that is.
        let answer = match call {
            Call::LoginPage => Box::pin(form::page(&exchange)).await,
            Call::PhonePage => pages::phone(&exchange),
            Call::Asset => pages::asset(&exchange),
            Call::MePage => Box::pin(pages::me(&exchange)).await,
            Call::AdminPage => Box::pin(pages::administration(&exchange)).await,
            Call::LoginChallenge => login::challenge(&exchange).await,
            Call::LoginVerify => login::verify(&exchange).await,
            Call::LoginLogout => Box::pin(logout::by_page(&exchange)).await,
            Call::Me => login::me(&exchange).await,
            Call::LoginQrChallenge => Box::pin(qr::challenge(&exchange, qr::Side::Page)).await,
            Call::LoginQrVerify => Box::pin(qr::verify(&exchange, qr::Side::Page)).await,
            Call::LoginQrStatus => Box::pin(qr::status(&exchange, qr::Side::Page)).await,
            Call::QrChallenge => Box::pin(qr::challenge(&exchange, qr::Side::Service)).await,
            Call::QrVerify => Box::pin(qr::verify(&exchange, qr::Side::Service)).await,
            Call::QrStatus => Box::pin(qr::status(&exchange, qr::Side::Service)).await,
            Call::Challenge => protocol::challenge(&exchange).await,
            Call::Verify => protocol::verify(&exchange).await,
            Call::Status => Box::pin(protocol::status(&exchange)).await,
            Call::WellKnown => protocol::well_known(&exchange),
            Call::Jwks => Box::pin(protocol::jwks(&exchange)).await,
            Call::Health => Box::pin(protocol::health(&exchange)).await,
            Call::TokenInfo => Box::pin(tokens::token_info(&exchange)).await,
            Call::UserInfo => Box::pin(tokens::user_info(&exchange)).await,
            Call::Logout => Box::pin(logout::of_service(&exchange)).await,
            Call::Keys => Box::pin(keys::list(&exchange)).await,
            Call::Approve => Box::pin(keys::approve(&exchange)).await,
            Call::Revoke => Box::pin(keys::revoke(&exchange)).await,
            Call::Erase => Box::pin(keys::erase(&exchange)).await,
            Call::Groups => Box::pin(keys::groups(&exchange)).await,
            Call::Revocations => Box::pin(keys::revocations(&exchange)).await,
            Call::RevokeToken => Box::pin(tokens::revoke(&exchange)).await,
            Call::Token => Box::pin(tokens::renew(&exchange)).await,
            Call::Rotate => Box::pin(life::rotate(&exchange)).await,
            Call::CancelRotation => Box::pin(life::cancel_rotation(&exchange)).await,
            Call::Link => Box::pin(life::link(&exchange)).await,
            Call::Unlink => Box::pin(life::unlink(&exchange)).await,
            Call::Identity => Box::pin(sessions::identity(&exchange)).await,
            Call::Sessions => Box::pin(sessions::list_or_end_all(&exchange)).await,
            Call::Session => Box::pin(sessions::end_one(&exchange)).await,
            Call::Audit => Box::pin(keys::audit(&exchange)).await,
            Call::EnrollmentCodes => Box::pin(keys::make_code(&exchange)).await,
            Call::EnrollKey => Box::pin(keys::enroll(&exchange)).await,
            Call::UserName => Box::pin(keys::user_name(&exchange)).await,
            Call::EmailOfKey => Box::pin(keys::email(&exchange)).await,
            Call::RotationOfKey => Box::pin(keys::cancel_rotation(&exchange)).await,
            Call::SessionsOfKey => Box::pin(keys::end_sessions(&exchange)).await,
            #[cfg(feature = "openapi")]
            Call::Description => description::document(&exchange),
            #[cfg(feature = "openapi")]
            Call::DescriptionPage => description::page(&exchange),
        };
        let mut response = answer.unwrap_or_else(|failure| call.refuse(parts, failure));
        if parts.method == Method::HEAD {
            let length = HeaderValue::from(response.body().bytes().len());
            response.headers_mut().insert(header::CONTENT_LENGTH, length);
            *response.body_mut() = Body::default();
        }
        response
    }
}

impl Call {
    /// A failed login says so in a member of its own; who looks at a page is told on one.
    fn refuse(self, parts: &Parts, failure: Failure) -> Response<Body> {
        match (self, self.page()) {
            (Self::LoginVerify | Self::LoginQrStatus, _) => failure.into_login_response(),
            (_, Some(way)) if wants_html(&parts.headers) => crate::pages::refused(way, failure),
            _ => failure.into_response(),
        }
    }

    /// Where the login page's folder is, seen from this page. `None` for what is no page.
    const fn page(self) -> Option<&'static str> {
        match self {
            Self::LoginPage | Self::PhonePage => Some(""),
            Self::MePage | Self::AdminPage => Some("../auth/capauth/"),
            _ => None,
        }
    }
}

impl<'a> Exchange<'a> {
    /// Who asks, for the limits and the audit log, and under which name they know this server.
    fn caller(&self) -> Caller {
        let host = self.parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let authority = self.parts.uri.authority().map(|authority| authority.as_str());
        // HTTP/2 has the host in the URI.
        let host = host.or(authority).map(str::to_owned);
        let front = self.capauth.front();
        let Some(application) = self.application() else {
            let device = front.devices.read(&self.parts.headers);
            return Caller { address: front.proxies.client(self.parts), device, host, application: None };
        };
        let application = Some(application);
        let address = match self.parts.headers.contains_key(CLIENT_ADDRESS) {
            true => self.alone(CLIENT_ADDRESS).and_then(|address| address.parse().ok()),
            // The application does not know it. Its own would be shared by all of its people.
            false => return Caller { host, application, ..Caller::default() },
        };
        let device = self.alone(CLIENT_DEVICE).and_then(DeviceId::from_hex);
        let address = address.or_else(|| front.proxies.client(self.parts));
        Caller { address, device, host, application }
    }

    /// Which application hands somebody's login on: it shows its credential.
    fn application(&self) -> Option<Arc<str>> {
        let token = credentials::bearer(&self.parts.headers).ok().flatten()?;
        self.capauth.local_verifier()?.service_of_credential(token).cloned()
    }

    /// The text of a header that is there once.
    fn alone(&self, name: &str) -> Option<&str> {
        let mut values = self.parts.headers.get_all(name).iter();
        let (Some(value), None) = (values.next(), values.next()) else { return None };
        value.to_str().ok()
    }

    /// Takes the session's cookie away, if it was sent: another site's form comes without it, and must not sign anybody
    /// out.
    fn take_cookie_away(&self, response: &mut Response<Body>) {
        let sessions = &self.capauth.front().sessions;
        if let Some(clear) = sessions.clear().filter(|_| sessions.has_cookie(&self.parts.headers)) {
            response.headers_mut().append(header::SET_COOKIE, clear);
        }
    }

    /// The verifier that decides here: the service's own endpoints need one.
    fn local(&self) -> Result<&'a LocalVerifier, Failure> {
        self.capauth.local_verifier().ok_or_else(|| AuthErrorKind::NotConfigured.into())
    }
}

/// HEAD is answered as GET is, without the body.
fn answered(method: &Method) -> &Method {
    if method == Method::HEAD { &Method::GET } else { method }
}

fn method_not_allowed(route: &Route) -> Response<Body> {
    let refusal = Refusal::new(ErrorCode::MethodNotAllowed, "This path does not have that method.");
    let mut response = Failure::Request(refusal).into_response();
    let mut methods: Vec<&str> = route.methods().iter().map(Method::as_str).collect();
    if route.methods().contains(&Method::GET) {
        methods.push("HEAD");
    }
    if let Ok(allow) = HeaderValue::try_from(methods.join(", ")) {
        response.headers_mut().insert(header::ALLOW, allow);
    }
    response
}

impl<B> Service<Request<B>> for Endpoints
where
    B: HttpBody + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let endpoints = self.clone();
        Box::pin(async move { Ok(endpoints.handle(request).await) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every request is answered by one future, which is moved as a whole: no endpoint that is rarely asked for makes it
    /// larger.
    #[tokio::test]
    async fn a_request_is_a_small_future() {
        let stores = capauth_verifier::memory::stores().unwrap();
        let capauth = CapAuth::local("a.example").stores(stores).build().await.unwrap();
        let request = Request::new(http_body_util::Empty::<Bytes>::new());
        let bytes = size_of_val(&capauth.service_endpoints().handle(request));
        assert!(bytes < 4096, "{bytes} bytes");
    }
}
