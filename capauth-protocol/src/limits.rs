//! How much of anything is accepted. Lengths of text are in bytes of UTF-8.

/// Bytes in the body of a request.
pub const MAX_BODY: usize = 256 * 1024;

/// Bytes of `client_nonce`, which is base64.
pub const MAX_CLIENT_NONCE: usize = 128;

/// Bytes of a service name: the longest host name there is.
pub const MAX_SERVICE: usize = 253;

/// Bytes of an origin, `scheme://host[:port]`.
pub const MAX_ORIGIN: usize = 300;

/// Bytes of an armored signature.
pub const MAX_SIGNATURE: usize = 64 * 1024;

/// Bytes of a certificate once its armor is taken off.
pub const MAX_PUBLIC_KEY: usize = 64 * 1024;

/// Bytes of an armored certificate: [`MAX_PUBLIC_KEY`] in base64, with line ends, headers and some room.
pub const MAX_PUBLIC_KEY_TEXT: usize = 96 * 1024;

/// Bytes of the claims object in its canonical form.
pub const MAX_CLAIMS_JSON: usize = 8 * 1024;

/// Bytes of an enrolment code.
pub const MAX_ENROLLMENT_CODE: usize = 128;

/// Bytes of a token's `jti`.
pub const MAX_JTI: usize = 128;

/// Bytes of a fingerprint as somebody typed it, spaces and `0x` included.
pub const MAX_FINGERPRINT_TEXT: usize = 128;

/// Bytes of a nonce as sent. A proper one has 36.
pub const MAX_NONCE_TEXT: usize = 64;

/// Bytes of `capauth_version`.
pub const MAX_VERSION: usize = 16;

/// Bytes of a time as text.
pub const MAX_TIME: usize = 40;

/// Bytes of an account name.
pub const MAX_USER_NAME: usize = 40;

/// Bytes of an e-mail address: the longest that fits into an envelope.
pub const MAX_EMAIL: usize = 254;

/// Bytes of a refresh token.
pub const MAX_REFRESH_TOKEN: usize = 8 * 1024;

/// Seconds for which an enrolment code can be used at most: ninety days.
pub const MAX_CODE_SECONDS: u64 = 90 * 24 * 3600;

/// Seconds by which the time in a rotation or link may differ from the server's.
pub const MAX_CLOCK_DIFFERENCE: u64 = 300;

/// Bytes of the path to return to after a login.
pub const MAX_REDIRECT: usize = 2048;

/// Bytes of a group's name.
pub const MAX_GROUP_NAME: usize = 64;

/// Groups in one request.
pub const MAX_GROUPS: usize = 64;

/// Containers inside one another in a JSON document.
pub const MAX_JSON_DEPTH: usize = 32;

/// Values in a JSON document, containers and scalars counted alike.
pub const MAX_JSON_VALUES: usize = 10_000;

/// Seconds that a session lasts at most: browsers forget cookies after 400 days, whatever they are told.
pub const MAX_SESSION_SECONDS: u64 = 400 * 24 * 3600;

/// Seconds for which a challenge may be answered.
pub const NONCE_TTL_SECONDS: u64 = 60;

/// Seconds for which a login from another device may be answered: time to find the phone, within the five minutes that a
/// signature is good for.
pub const QR_TTL_SECONDS: u64 = 120;

/// Digits of the code that is shown where somebody signs in and typed where they sign.
pub const QR_CODE_DIGITS: usize = 6;

/// Bytes of the token that fetches the result of a login from another device.
pub const MAX_POLL_TOKEN: usize = 128;
