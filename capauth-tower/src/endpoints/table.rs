//! Which paths there are.

use http::Method;

/// Which endpoints are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// An application's login endpoints.
    Login,
    /// Those, and the service's own.
    Service,
}

/// A path, and the methods it has.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    path: &'static str,
    methods: &'static [Method],
    part: Part,
    pub(super) call: Call,
}

impl Route {
    /// All routes of a part.
    pub fn of(part: Part) -> impl Iterator<Item = &'static Self> {
        TABLE.iter().filter(move |route| part == Part::Service || route.part == Part::Login)
    }

    /// The path, compared raw. Parameters may stand in it, written `{name}`: each is one whole step of the path.
    pub fn path(&self) -> &'static str {
        self.path
    }

    /// The methods. Where there is GET, HEAD is answered too.
    pub fn methods(&self) -> &'static [Method] {
        self.methods
    }

    fn matches(&self, path: &str) -> bool {
        parameter(self.path, path).is_some()
    }
}

/// Which endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    LoginPage,
    PhonePage,
    Asset,
    MePage,
    AdminPage,
    LoginChallenge,
    LoginVerify,
    LoginLogout,
    Me,
    LoginQrChallenge,
    LoginQrVerify,
    LoginQrStatus,
    QrChallenge,
    QrVerify,
    QrStatus,
    Challenge,
    Verify,
    Status,
    WellKnown,
    Jwks,
    Health,
    TokenInfo,
    UserInfo,
    Logout,
    Keys,
    Approve,
    Revoke,
    Erase,
    Groups,
    Revocations,
    RevokeToken,
    Token,
    Rotate,
    CancelRotation,
    Link,
    Unlink,
    Identity,
    Sessions,
    Session,
    Audit,
    EnrollmentCodes,
    EnrollKey,
    UserName,
    EmailOfKey,
    RotationOfKey,
    SessionsOfKey,
    #[cfg(feature = "openapi")]
    Description,
    #[cfg(feature = "openapi")]
    DescriptionPage,
}

const GET: &[Method] = &[Method::GET];
const POST: &[Method] = &[Method::POST];
const PUT: &[Method] = &[Method::PUT];
const DELETE: &[Method] = &[Method::DELETE];
const GET_POST: &[Method] = &[Method::GET, Method::POST];
const GET_DELETE: &[Method] = &[Method::GET, Method::DELETE];
const PUT_DELETE: &[Method] = &[Method::PUT, Method::DELETE];

pub(crate) const GROUPS: &str = "/capauth/v1/keys/{fingerprint}/groups";
pub(crate) const USER_NAME: &str = "/capauth/v1/keys/{fingerprint}/name";
pub(crate) const EMAIL: &str = "/capauth/v1/keys/{fingerprint}/email";
pub(crate) const ROTATION: &str = "/capauth/v1/keys/{fingerprint}/rotation";
pub(crate) const SESSIONS_OF_KEY: &str = "/capauth/v1/keys/{fingerprint}/sessions";
pub(super) const SESSION: &str = "/capauth/v1/sessions/{id}";
pub(super) const QR_VERIFY: &str = "/capauth/v1/qr-verify/{nonce}";
pub(super) const QR_STATUS: &str = "/capauth/v1/qr-status/{nonce}";
pub(super) const LOGIN_QR_VERIFY: &str = "/auth/capauth/qr-verify/{nonce}";
pub(super) const ASSET: &str = "/auth/capauth/assets/{version}/{name}";
pub(super) const LOGIN_QR_STATUS: &str = "/auth/capauth/qr-status/{nonce}";

const fn login(path: &'static str, methods: &'static [Method], call: Call) -> Route {
    Route { path, methods, part: Part::Login, call }
}

const fn service(path: &'static str, methods: &'static [Method], call: Call) -> Route {
    Route { path, methods, part: Part::Service, call }
}

static TABLE: &[Route] = &[
    login(LOGIN_PAGE, GET_POST, Call::LoginPage),
    login("/auth/capauth/challenge", POST, Call::LoginChallenge),
    login("/auth/capauth/verify", POST, Call::LoginVerify),
    login("/auth/capauth/logout", POST, Call::LoginLogout),
    login("/auth/capauth/me", GET, Call::Me),
    login("/auth/capauth/qr-challenge", POST, Call::LoginQrChallenge),
    login(LOGIN_QR_VERIFY, POST, Call::LoginQrVerify),
    login(LOGIN_QR_STATUS, GET_POST, Call::LoginQrStatus),
    login("/auth/capauth/qr", GET, Call::PhonePage),
    login(ASSET, GET, Call::Asset),
    service(ME_PAGE, GET, Call::MePage),
    service("/capauth/admin", GET, Call::AdminPage),
    service("/capauth/v1/challenge", POST, Call::Challenge),
    service("/capauth/v1/verify", POST, Call::Verify),
    service("/capauth/v1/qr-challenge", POST, Call::QrChallenge),
    service(QR_VERIFY, POST, Call::QrVerify),
    service(QR_STATUS, GET_POST, Call::QrStatus),
    service("/capauth/v1/status", GET, Call::Status),
    service("/capauth/v1/well-known", GET, Call::WellKnown),
    service("/capauth/v1/token-info", GET, Call::TokenInfo),
    service("/capauth/v1/userinfo", GET_POST, Call::UserInfo),
    service("/capauth/v1/logout", GET_POST, Call::Logout),
    service("/capauth/v1/keys", GET, Call::Keys),
    service("/capauth/v1/keys/approve", POST, Call::Approve),
    service("/capauth/v1/keys/revoke", POST, Call::Revoke),
    service("/capauth/v1/keys/erase", POST, Call::Erase),
    service(GROUPS, PUT, Call::Groups),
    service("/capauth/v1/revocations", GET, Call::Revocations),
    service("/capauth/v1/revoke", POST, Call::RevokeToken),
    service("/capauth/v1/token", POST, Call::Token),
    service("/capauth/v1/rotate", POST, Call::Rotate),
    service("/capauth/v1/rotate/cancel", POST, Call::CancelRotation),
    service("/capauth/v1/link", POST, Call::Link),
    service("/capauth/v1/unlink", POST, Call::Unlink),
    service("/capauth/v1/identity", GET, Call::Identity),
    service("/capauth/v1/sessions", GET_DELETE, Call::Sessions),
    service(SESSION, DELETE, Call::Session),
    service("/capauth/v1/audit", GET, Call::Audit),
    service("/capauth/v1/enrollment-codes", POST, Call::EnrollmentCodes),
    service("/capauth/v1/keys/enroll", POST, Call::EnrollKey),
    service(USER_NAME, PUT, Call::UserName),
    service(EMAIL, PUT_DELETE, Call::EmailOfKey),
    service(ROTATION, DELETE, Call::RotationOfKey),
    service(SESSIONS_OF_KEY, DELETE, Call::SessionsOfKey),
    #[cfg(feature = "openapi")]
    service(DESCRIPTION, GET, Call::Description),
    #[cfg(feature = "openapi")]
    service("/capauth/v1/docs", GET, Call::DescriptionPage),
    service("/.well-known/jwks.json", GET, Call::Jwks),
    service("/health", GET, Call::Health),
];

/// Where the endpoints are described.
#[cfg(feature = "openapi")]
pub(crate) const DESCRIPTION: &str = "/capauth/v1/openapi.json";

/// Where browsers are sent to sign in.
pub(crate) const LOGIN_PAGE: &str = "/auth/capauth/login";
pub(crate) const ME_PAGE: &str = "/capauth/me";

pub(crate) fn find(part: Part, path: &str) -> Option<&'static Route> {
    Route::of(part).find(|route| route.matches(path))
}

/// Whether a layer leaves it to the endpoint at this path to say who asks. `/health` and the documents at the root may
/// as well be an application's own.
pub(crate) fn authenticates_itself(path: &str) -> bool {
    (path.starts_with("/auth/capauth/") || path.starts_with("/capauth/"))
        && find(Part::Service, path).is_some()
}

/// What stands in a path where the template has its (last) parameter; empty when it has none. `None`: another path.
pub(super) fn parameter<'a>(template: &str, path: &'a str) -> Option<&'a str> {
    let (mut known, mut given) = (template.split('/'), path.split('/'));
    let mut found = "";
    loop {
        match (known.next(), given.next()) {
            (None, None) => return Some(found),
            (Some(step), Some(value)) if step.starts_with('{') => {
                found = Some(value).filter(|value| !value.is_empty())?;
            }
            (Some(step), Some(value)) if step == value => {}
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attack_path_that_means_the_same_to_somebody_else() {
        for bad in [
            "/auth/capauth/me/",
            "/auth/capauth//me",
            "//auth/capauth/me",
            "/auth/capauth/%6de",
            "/auth/c%61pauth/me",
            "/auth/capauth/./me",
            "/auth/capauth/x/../me",
            "/auth/capauth/me;x=1",
            "/auth/capauth/ME",
            "/auth/capauth/me%00",
            "/auth/capauth",
            "/auth/capauth/assets/a",
            "/auth/capauth/assets/a/",
            "/auth/capauth/assets//a",
            "/auth/capauth/assets/a/b/c",
            "/capauth/me/",
            "/capauth/admin/x",
            "/capauth/v1/keys//groups",
            "/capauth/v1/keys/a/b/groups",
            "/capauth/v1/keys/{fingerprint}/groups/",
            "/capauth/v1/keys/groups",
            "/capauth/v1/sessions/",
            "/capauth/v1/sessions/a/b",
            "/capauth/v1/rotate/",
            "",
            "*",
        ] {
            assert!(find(Part::Service, bad).is_none(), "{bad}");
            assert!(!authenticates_itself(bad), "{bad}");
        }
        assert!(find(Part::Login, "/auth/capauth/me").is_some());
        assert!(find(Part::Service, "/capauth/v1/keys/ABC/groups").is_some());
        assert!(authenticates_itself("/auth/capauth/me") && authenticates_itself("/auth/capauth/login"));
        assert!(!authenticates_itself("/health"));
    }

    #[test]
    fn an_application_serves_nothing_of_the_services() {
        assert!(Route::of(Part::Login).all(|route| route.path().starts_with("/auth/capauth/")));
        assert!(find(Part::Login, "/capauth/v1/keys").is_none());
        assert_eq!(Route::of(Part::Service).count(), TABLE.len());
    }
}
