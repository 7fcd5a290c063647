//! What the endpoints ask and answer, as an OpenAPI description, and a page that shows it.
//!
//! Each operation is one entry in one of the lists of this folder, made with the builder of [`operation`]; its schemas
//! come from the types. A route without an entry, or an entry without a route, fails a test that says so.

mod administration;
mod another_device;
mod application;
mod identity;
mod operation;
mod page;
mod server;
mod sign_in;
mod tokens;

use bytes::Bytes;
use capauth_protocol::ErrorBody;
use http::HeaderValue;
use sha2::{Digest as _, Sha256};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    Components, ComponentsBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, PathItem, Paths,
    PathsBuilder, Server,
};
use utoipa::{PartialSchema, ToSchema};

use crate::session::SECURE_NAME;
use operation::{Access, Described, Examples};

/// A description that is ready to be sent.
#[derive(Debug)]
pub(crate) struct Description {
    /// The document.
    pub(crate) json: Bytes,
    /// The page.
    pub(crate) page: Bytes,
    /// What the page may do.
    pub(crate) policy: HeaderValue,
    /// Changes with either of them.
    pub(crate) tag: HeaderValue,
}

/// Operations that belong together.
struct Area {
    tag: &'static str,
    words: &'static str,
    operations: fn() -> Vec<Described>,
}

const AREAS: [Area; 7] = [
    Area {
        tag: "Signing in",
        words: "A program asks for a challenge, signs it with an OpenPGP key, and gets an access token.",
        operations: sign_in::operations,
    },
    Area {
        tag: "In an application",
        words: "The same for browsers: the login ends with a session's cookie. Requests that may change something come \
                from a page of the site, by `Origin` or `Sec-Fetch-Site`, or from something that is no browser.",
        operations: application::operations,
    },
    Area {
        tag: "Signing in from another device",
        words: "A QR code on one device, the key on another. The code beside it is typed there; it is in no picture.",
        operations: another_device::operations,
    },
    Area {
        tag: "Tokens and sessions",
        words: "What was given out: read, renewed, listed, ended.",
        operations: tokens::operations,
    },
    Area {
        tag: "Keys of an identity",
        words: "A new key for an old one, and several keys for one identity. Whoever holds the keys signs each change.",
        operations: identity::operations,
    },
    Area {
        tag: "Administration",
        words: "For the administrator's token, and for a fresh session of a listed key on a page of the base URL.",
        operations: administration::operations,
    },
    Area { tag: "The server", words: "What the server says of itself.", operations: server::operations },
];

const ABOUT: &str = "\
Sign in with an OpenPGP key. The server asks a question, the key's holder signs it, and nothing secret ever leaves \
their machine.

A refusal has the form of `Error`: a code for programs, and words for a person that never repeat what was sent. Beyond \
what each operation lists, a path that there is not is answered 404 with `not_found`, and a method that a path does not \
have 405 with `method_not_allowed` and `Allow`. `HEAD` is `GET` without the body.

Members that the server does not know are ignored, and `null` means absent. The limits of texts are in bytes of UTF-8.";

impl Description {
    /// Describes the server at this URL. `None` where something does not serialise, which no type of ours does.
    pub(crate) fn of(base_url: &str) -> Option<Self> {
        let document = document(base_url);
        let json = serde_json::to_vec(&document).ok()?;
        let page = page::of(&serde_json::to_value(&document).ok()?);
        let mut hash = Sha256::new();
        hash.update(&json);
        hash.update(&page);
        let tag = hex::encode(hash.finalize().get(..16)?);
        Some(Self {
            json: json.into(),
            page: page.into(),
            policy: HeaderValue::try_from(page::policy()).ok()?,
            tag: HeaderValue::try_from(format!("\"{tag}\"")).ok()?,
        })
    }
}

fn document(base_url: &str) -> OpenApi {
    let examples = Examples(serde_json::from_str(include_str!("examples.json")).unwrap_or_default());
    let mut components = ComponentsBuilder::new().schema(ErrorBody::name(), ErrorBody::schema());
    let mut collected = Vec::new();
    ErrorBody::schemas(&mut collected);
    let mut paths = PathsBuilder::new();
    let mut tags = Vec::new();
    for area in &AREAS {
        tags.push(TagBuilder::new().name(area.tag).description(Some(area.words)).build());
        for mut described in (area.operations)() {
            collected.extend(described.take_schemas());
            let (path, method) = (described.path(), described.method());
            paths = paths.path(path, PathItem::new(method, described.build(area.tag, &examples)));
        }
    }
    // A body that says its version stands under the name of its type alone, so what is collected first stays.
    let mut known = std::collections::BTreeSet::from([ErrorBody::name().into_owned()]);
    for (name, schema) in collected {
        if known.insert(name.clone()) {
            components = components.schema(name, schema);
        }
    }
    for access in Access::ALL {
        components = components.security_scheme(access.name(), scheme(access));
    }
    assemble(base_url, paths.build(), components.build(), tags)
}

fn assemble(
    base_url: &str,
    paths: Paths,
    components: Components,
    tags: Vec<utoipa::openapi::Tag>,
) -> OpenApi {
    let license = LicenseBuilder::new().name("MIT OR Apache-2.0").identifier(Some("MIT OR Apache-2.0"));
    let info = InfoBuilder::new()
        .title("CapAuth")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(ABOUT))
        .license(Some(license.build()));
    OpenApiBuilder::new()
        .info(info)
        .servers(Some([Server::new(base_url)]))
        .paths(paths)
        .components(Some(components))
        .tags(Some(tags))
        .build()
}

fn scheme(access: Access) -> SecurityScheme {
    let bearer = |words: &str| HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(words));
    match access {
        Access::Person => SecurityScheme::Http(
            bearer("The access token of whoever is signed in.").bearer_format("JWT").build(),
        ),
        Access::Session => SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::with_description(
            SECURE_NAME,
            "The cookie of a login on a page of the site.",
        ))),
        Access::Administrator => SecurityScheme::Http(bearer("The administrator's token.").build()),
        Access::Application => {
            SecurityScheme::Http(bearer("The credential that a listed service has.").build())
        }
        Access::PollToken => {
            SecurityScheme::Http(bearer("What a login by QR code gave the browser that began it.").build())
        }
    }
}
