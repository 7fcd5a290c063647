//! [`Described`]: one operation, built up in words.

use std::collections::BTreeMap;

use capauth_protocol::openapi::{NonceText, body_of};
use capauth_protocol::{ErrorBody, ErrorCode};
use http::Method;
use serde_json::Value;
use utoipa::openapi::path::{Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{AllOfBuilder, AnyOfBuilder, ArrayBuilder, ObjectBuilder, Type};
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{
    Content, ContentBuilder, HeaderBuilder, HttpMethod, Ref, RefOr, Required, Response, ResponseBuilder,
    Schema,
};
use utoipa::{PartialSchema, ToSchema};

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

/// Whose credentials an operation takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// A person's access token.
    Person,
    /// A session's cookie.
    Session,
    /// The administrator's token.
    Administrator,
    /// An application's credential.
    Application,
    /// What the browser that began a login by QR code holds.
    PollToken,
}

impl Access {
    pub(super) const ALL: [Self; 5] =
        [Self::Person, Self::Session, Self::Administrator, Self::Application, Self::PollToken];

    /// Its name among the security schemes.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Session => "session",
            Self::Administrator => "administrator",
            Self::Application => "application",
            Self::PollToken => "poll_token",
        }
    }
}

/// Reasons for a refusal, by the words on the wire.
type Codes = BTreeMap<&'static str, ErrorCode>;

/// What is answered with one status.
#[derive(Default)]
struct Answer {
    words: Vec<&'static str>,
    schemas: Vec<RefOr<Schema>>,
    codes: Codes,
    is_page: bool,
    is_stream: bool,
    files: &'static [&'static str],
    example: Option<&'static str>,
    headers: BTreeMap<&'static str, &'static str>,
}

/// What a body is, and in which forms it may come.
struct Body {
    schema: RefOr<Schema>,
    name: String,
    forms: &'static [&'static str],
}

/// An operation, and the schemas that it speaks of.
pub(super) struct Described {
    method: Method,
    path: &'static str,
    id: &'static str,
    summary: &'static str,
    words: Option<&'static str>,
    body: Option<Body>,
    parameters: Vec<Parameter>,
    answers: BTreeMap<u16, Answer>,
    access: Vec<Access>,
    open_too: bool,
    of_a_login: bool,
    schemas: Vec<(String, RefOr<Schema>)>,
}

pub(super) fn get(path: &'static str, id: &'static str, summary: &'static str) -> Described {
    Described::new(Method::GET, path, id, summary)
}

/// What every operation may fail with that is sent something: a page of another site asks, or the body is not one.
const OF_ANY_BODY: [ErrorCode; 4] = [
    ErrorCode::InvalidRequest,
    ErrorCode::Forbidden,
    ErrorCode::PayloadTooLarge,
    ErrorCode::UnsupportedMediaType,
];

pub(super) fn post(path: &'static str, id: &'static str, summary: &'static str) -> Described {
    Described::new(Method::POST, path, id, summary).fails(&OF_ANY_BODY)
}

pub(super) fn put(path: &'static str, id: &'static str, summary: &'static str) -> Described {
    Described::new(Method::PUT, path, id, summary).fails(&OF_ANY_BODY)
}

pub(super) fn delete(path: &'static str, id: &'static str, summary: &'static str) -> Described {
    Described::new(Method::DELETE, path, id, summary).fails(&OF_ANY_BODY)
}

impl Described {
    fn new(method: Method, path: &'static str, id: &'static str, summary: &'static str) -> Self {
        Self {
            method,
            path,
            id,
            summary,
            words: None,
            body: None,
            parameters: Vec::new(),
            answers: BTreeMap::new(),
            access: Vec::new(),
            open_too: false,
            of_a_login: false,
            schemas: Vec::new(),
        }
        .fails(&[ErrorCode::ServerError, ErrorCode::Unavailable])
    }

    /// What there is to know beyond the summary.
    pub(super) fn words(mut self, words: &'static str) -> Self {
        self.words = Some(words);
        self
    }

    /// Takes a body in JSON.
    pub(super) fn body<T: ToSchema>(self) -> Self {
        self.body_in::<T>(&[JSON])
    }

    /// Takes a body in JSON, or the same members as a form.
    pub(super) fn body_or_form<T: ToSchema>(self) -> Self {
        self.body_in::<T>(&[JSON, FORM])
    }

    fn body_in<T: ToSchema>(mut self, forms: &'static [&'static str]) -> Self {
        let (name, schema) = body_of::<T>();
        self.schemas.push((name.clone(), schema));
        T::schemas(&mut self.schemas);
        self.body = Some(Body { schema: Ref::from_schema_name(&name).into(), name, forms });
        self.fails(&[ErrorCode::UnsupportedVersion])
    }

    /// Takes a page's form.
    pub(super) fn form<T: ToSchema>(mut self) -> Self {
        self.collect::<T>();
        let (name, forms) = (T::name().into_owned(), &[FORM][..]);
        self.body = Some(Body { schema: Ref::from_schema_name(&name).into(), name, forms });
        self
    }

    /// Demands a member of the body that is optional elsewhere.
    pub(super) fn demanding<T: ToSchema>(mut self, member: &'static str) -> Self {
        if let Some(body) = &mut self.body {
            let demand = ObjectBuilder::new()
                .schema_type(Type::Object)
                .property(member, Ref::from_schema_name(T::name()))
                .required(member);
            let both = AllOfBuilder::new().item(body.schema.clone()).item(demand);
            body.schema = Schema::AllOf(both.build()).into();
        }
        self
    }

    /// A parameter of the query, which may be absent.
    pub(super) fn query(self, name: &str, schema: impl Into<RefOr<Schema>>, words: &str) -> Self {
        self.parameter(name, ParameterIn::Query, schema, words).fails(&[ErrorCode::InvalidRequest])
    }

    /// A parameter that the server does not look at: a script does.
    pub(super) fn query_of_a_page(self, name: &str, schema: impl Into<RefOr<Schema>>, words: &str) -> Self {
        self.parameter(name, ParameterIn::Query, schema, words)
    }

    /// A header of the request, which may be absent.
    pub(super) fn header(self, name: &str, schema: impl Into<RefOr<Schema>>, words: &str) -> Self {
        self.parameter(name, ParameterIn::Header, schema, words)
    }

    /// The parameter of the path.
    pub(super) fn in_path(self, name: &str, schema: impl Into<RefOr<Schema>>, words: &str) -> Self {
        self.parameter(name, ParameterIn::Path, schema, words)
    }

    /// The key that stands in the path.
    pub(super) fn key_in_path(self) -> Self {
        let digits = ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some("^(0[xX])?([0-9A-Fa-f]{40}|[0-9A-Fa-f]{64})$"));
        self.in_path("fingerprint", digits, "The key's fingerprint, in either case.")
            .fails(&[ErrorCode::InvalidFingerprint, ErrorCode::NotFound])
    }

    fn parameter(
        mut self,
        name: &str,
        place: ParameterIn,
        schema: impl Into<RefOr<Schema>>,
        words: &str,
    ) -> Self {
        let required = if place == ParameterIn::Path { Required::True } else { Required::False };
        let parameter = ParameterBuilder::new()
            .name(name)
            .parameter_in(place)
            .required(required)
            .description(Some(words))
            .schema(Some(schema));
        self.parameters.push(parameter.build());
        self
    }

    fn answer_of(&mut self, status: u16, words: &'static str) -> &mut Answer {
        let answer = self.answers.entry(status).or_default();
        if !words.is_empty() {
            answer.words.push(words);
        }
        answer
    }

    /// Answers this in JSON.
    pub(super) fn answers<T: ToSchema>(mut self, status: u16, words: &'static str) -> Self {
        self.collect::<T>();
        self.answer_of(status, words).schemas.push(Ref::from_schema_name(T::name()).into());
        self
    }

    /// Answers a list of these.
    pub(super) fn answers_list<T: ToSchema>(mut self, status: u16, words: &'static str) -> Self {
        self.collect::<T>();
        let list = ArrayBuilder::new().items(Ref::from_schema_name(T::name()));
        self.answer_of(status, words).schemas.push(list.into());
        self
    }

    /// Answers a document whose form others define.
    pub(super) fn answers_object(mut self, status: u16, words: &'static str) -> Self {
        let object = ObjectBuilder::new().schema_type(Type::Object);
        self.answer_of(status, words).schemas.push(object.into());
        self
    }

    /// Answers a page.
    pub(super) fn answers_page(mut self, status: u16, words: &'static str) -> Self {
        self.answer_of(status, words).is_page = true;
        self
    }

    /// Answers a file of one of these types.
    pub(super) fn answers_file(
        mut self,
        status: u16,
        words: &'static str,
        types: &'static [&'static str],
    ) -> Self {
        self.answer_of(status, words).files = types;
        self
    }

    /// Answers a stream of events, to whoever accepts `text/event-stream`.
    pub(super) fn answers_stream(mut self, status: u16, words: &'static str) -> Self {
        self.answer_of(status, words).is_stream = true;
        self
    }

    /// The login from another device that stands in the path.
    pub(super) fn qr_nonce_in_path(self) -> Self {
        self.in_path("nonce", NonceText::schema(), "The nonce of the QR code.")
            .fails(&[ErrorCode::InvalidNonce, ErrorCode::NotFound])
    }

    /// Refuses for these reasons on a page.
    pub(super) fn fails_on_a_page(self, codes: &[ErrorCode]) -> Self {
        let statuses = codes.iter().map(|code| code.status());
        statuses.fold(self.fails(codes), |described, status| described.answers_page(status, ""))
    }

    /// Answers without a body.
    pub(super) fn answers_nothing(mut self, status: u16, words: &'static str) -> Self {
        self.answer_of(status, words);
        self
    }

    /// Shows this example, where the one of the answer's type says something else.
    pub(super) fn example(mut self, status: u16, name: &'static str) -> Self {
        self.answer_of(status, "").example = Some(name);
        self
    }

    /// An answer has this header.
    pub(super) fn with_header(mut self, status: u16, name: &'static str, words: &'static str) -> Self {
        self.answer_of(status, "").headers.insert(name, words);
        self
    }

    fn collect<T: ToSchema>(&mut self) {
        self.schemas.push((T::name().into_owned(), T::schema()));
        T::schemas(&mut self.schemas);
    }

    /// Refuses for these reasons.
    pub(super) fn fails(mut self, codes: &[ErrorCode]) -> Self {
        for code in codes {
            let answer = self.answer_of(code.status(), "");
            answer.codes.insert(code.as_str(), *code);
            match code.status() {
                401 => answer.headers.insert("WWW-Authenticate", "`Bearer`."),
                429 => answer.headers.insert("Retry-After", "In how many seconds to come back."),
                _ => None,
            };
        }
        self
    }

    /// Refusals say `ok: false` too.
    pub(super) fn of_a_login(mut self) -> Self {
        self.of_a_login = true;
        self
    }

    /// Is for whoever shows one of these credentials.
    pub(super) fn only(mut self, access: &[Access]) -> Self {
        self.access.extend(access);
        self.fails(&[ErrorCode::InvalidToken])
    }

    /// Is for whoever holds this, and says no more to who holds none than to who holds a wrong one.
    pub(super) fn holders_of(mut self, access: Access) -> Self {
        self.access.push(access);
        self
    }

    /// Is for everybody, and takes these credentials into account.
    pub(super) fn anybody_or(mut self, access: &[Access]) -> Self {
        self.open_too = true;
        self.only(access)
    }

    /// Is for whoever is signed in to the service itself.
    pub(super) fn people(self) -> Self {
        self.only(&[Access::Person, Access::Session]).fails(&[ErrorCode::Forbidden])
    }

    /// Is for administrators.
    pub(super) fn administrators(self) -> Self {
        self.only(&[Access::Administrator, Access::Session]).fails(&[
            ErrorCode::Forbidden,
            ErrorCode::NotConfigured,
            ErrorCode::TooManyRequests,
        ])
    }

    pub(super) fn path(&self) -> &'static str {
        self.path
    }

    pub(super) fn method(&self) -> HttpMethod {
        match self.method {
            Method::POST => HttpMethod::Post,
            Method::PUT => HttpMethod::Put,
            Method::DELETE => HttpMethod::Delete,
            _ => HttpMethod::Get,
        }
    }

    /// Every schema that is spoken of.
    pub(super) fn take_schemas(&mut self) -> Vec<(String, RefOr<Schema>)> {
        std::mem::take(&mut self.schemas)
    }

    pub(super) fn build(self, tag: &str, examples: &Examples) -> Operation {
        let mut operation = OperationBuilder::new()
            .tag(tag)
            .operation_id(Some(self.id))
            .summary(Some(self.summary))
            .description(self.words)
            .securities(Some(requirements(&self.access, self.open_too)));
        for parameter in self.parameters {
            operation = operation.parameter(parameter);
        }
        if let Some(body) = self.body {
            let mut request = RequestBodyBuilder::new().required(Some(Required::True));
            for form in body.forms {
                let content = ContentBuilder::new().schema(Some(body.schema.clone()));
                request = request.content(*form, content.example(examples.of(&body.name)).build());
            }
            operation = operation.request_body(Some(request.build()));
        }
        for (status, answer) in self.answers {
            operation = operation.response(status.to_string(), answer.build(self.of_a_login, examples));
        }
        operation.build()
    }
}

/// Any of these, or none where everybody may.
fn requirements(access: &[Access], open_too: bool) -> Vec<SecurityRequirement> {
    let open = open_too.then(SecurityRequirement::default);
    let named = access.iter().map(|access| SecurityRequirement::new(access.name(), Vec::<String>::new()));
    open.into_iter().chain(named).collect()
}

impl Answer {
    fn build(mut self, of_a_login: bool, examples: &Examples) -> Response {
        let mut words = self.words.join("\n\n");
        if !self.codes.is_empty() {
            if !words.is_empty() {
                words.push_str("\n\n");
            }
            words.push_str(&self.codes.values().map(|code| line(*code)).collect::<Vec<_>>().join("\n"));
            self.schemas.push(refusal(&self.codes, of_a_login));
        }
        let mut response = ResponseBuilder::new().description(words);
        if let Some(schema) = one_of(&self.schemas) {
            let example = match self.example {
                Some(name) => examples.of(name),
                None => self.schemas.first().and_then(|schema| examples.of_answer(schema)),
            };
            response =
                response.content(JSON, ContentBuilder::new().schema(Some(schema)).example(example).build());
        }
        if self.is_page {
            let text = ObjectBuilder::new().schema_type(Type::String);
            response = response.content("text/html", Content::new(Some(RefOr::from(text))));
        }
        if self.is_stream {
            let text = ObjectBuilder::new().schema_type(Type::String);
            response = response.content("text/event-stream", Content::new(Some(RefOr::from(text))));
        }
        for kind in self.files {
            let text = ObjectBuilder::new().schema_type(Type::String);
            response = response.content(*kind, Content::new(Some(RefOr::from(text))));
        }
        for (name, words) in self.headers {
            let header = HeaderBuilder::new().schema(Some(String::schema())).description(Some(words));
            response = response.header(name, header.build());
        }
        response.build()
    }
}

/// A code of refusal and when it is said, as an item of a list.
fn line(code: ErrorCode) -> String {
    format!("- `{code}`: {}", code.meaning())
}

/// A refusal for one of these reasons.
fn refusal(codes: &Codes, of_a_login: bool) -> RefOr<Schema> {
    let words = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(codes.keys().copied()));
    let mut object = ObjectBuilder::new().schema_type(Type::Object).property("error", words);
    if of_a_login {
        let no = ObjectBuilder::new().schema_type(Type::Boolean).enum_values(Some([false]));
        object = object.property("ok", no.description(Some("False: the login failed.")));
    }
    let both = AllOfBuilder::new().item(Ref::from_schema_name(ErrorBody::name())).item(object);
    Schema::AllOf(both.build()).into()
}

fn one_of(schemas: &[RefOr<Schema>]) -> Option<RefOr<Schema>> {
    match schemas {
        [] => None,
        [one] => Some(one.clone()),
        many => {
            let any = many.iter().cloned().fold(AnyOfBuilder::new(), AnyOfBuilder::item);
            Some(Schema::AnyOf(any.build()).into())
        }
    }
}

/// What requests and answers look like, by the names of their schemas: one login, and what was said after it.
#[derive(Debug)]
pub(super) struct Examples(pub(super) serde_json::Map<String, Value>);

impl Examples {
    fn of(&self, schema: &str) -> Option<Value> {
        self.0.get(schema).cloned()
    }

    fn of_answer(&self, schema: &RefOr<Schema>) -> Option<Value> {
        match schema {
            RefOr::Ref(one) => self.of(one.ref_location.rsplit('/').next()?),
            RefOr::T(Schema::Array(list)) => match &list.items {
                utoipa::openapi::schema::ArrayItems::RefOrSchema(item) => {
                    Some(Value::Array(vec![self.of_answer(item)?]))
                }
                utoipa::openapi::schema::ArrayItems::False => None,
            },
            RefOr::T(_) => None,
        }
    }
}
