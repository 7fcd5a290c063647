//! CapAuth's layers where there is no framework: a bare hyper server, and a tonic one, each over a socket.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::{Buf, BufMut};
use capauth_protocol::request::{ChallengeRequest, VerifyRequest};
use capauth_tests::http::{Client, send};
use capauth_tests::login::payload;
use capauth_tests::sequoia::Key;
use capauth_tower::{AuthLayer, Authenticated, Body, BoxFuture, CapAuth, RequireLayer};
use capauth_verifier::{Caller, memory};
use http::uri::PathAndQuery;
use http::{Request, Response};
use hyper::body::{Body as HttpBody, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Code, Status};
use tower::{Layer, Service, ServiceBuilder, service_fn};

const NOBODY: &str = "nobody";
const BAD: &str = "eyJhbGciOiJFZERTQSJ9.e30.AAAA";

/// A CapAuth with somebody in it, who may be in a group.
struct Place {
    capauth: CapAuth,
    alice: Key,
    token: String,
}

impl Place {
    async fn open() -> Self {
        let stores = memory::stores().unwrap();
        let capauth = CapAuth::local("app.example.com").stores(stores).build().await.unwrap();
        let alice = Key::ed25519("Alice <alice@example.org>");
        let (verifier, fingerprint) = (capauth.verifier(), alice.fingerprint.parse().unwrap());
        let ask =
            ChallengeRequest { client_nonce: Some("AAECAw==".into()), ..ChallengeRequest::new(fingerprint) };
        let challenge = verifier.challenge(&ask, &Caller::default()).await.unwrap();
        let signature = alice.detach_sign(payload(&challenge).as_bytes());
        let answer = VerifyRequest::new(fingerprint, challenge.nonce.parse().unwrap(), signature);
        let answer = VerifyRequest { public_key: Some(alice.certificate.clone()), ..answer };
        let token = verifier.verify(&answer, &Caller::default()).await.unwrap().response.access_token;
        Self { capauth, alice, token }
    }

    async fn grant(&self) {
        let keys = self.capauth.local_verifier().unwrap();
        keys.set_groups(&self.alice.fingerprint.parse().unwrap(), &["admins".into()]).await.unwrap();
    }

    fn auth(&self) -> AuthLayer {
        AuthLayer::new(self.capauth.clone())
    }

    fn admins(&self) -> RequireLayer {
        self.capauth.require_group("admins")
    }
}

/// A server, and how often its handler was reached.
struct Running {
    reached: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Says who was let through, as the handler finds it in the extensions.
fn who(extensions: &http::Extensions, reached: &AtomicUsize) -> String {
    reached.fetch_add(1, Ordering::SeqCst);
    extensions.get::<Authenticated>().map_or(NOBODY.to_owned(), |who| who.sub().to_string())
}

/// A bare hyper server with these layers around one handler.
async fn hyper_server<L, S, B>(layers: L) -> (Running, Client)
where
    L: Layer<tower::util::BoxCloneService<Request<Incoming>, Response<Body>, Infallible>, Service = S>,
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: HttpBody + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let reached = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&reached);
    let handler = service_fn(move |request: Request<Incoming>| {
        ready(Ok(Response::new(Body::from(who(request.extensions(), &counter)))))
    });
    let app = layers.layer(tower::util::BoxCloneService::new(handler));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = TowerToHyperService::new(app.clone());
            tokio::spawn(async move {
                auto::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service)
                    .await
                    .unwrap();
            });
        }
    });
    (Running { reached, task }, Client::new(&format!("http://{address}")))
}

#[tokio::test]
async fn hyper_with_the_auth_layer_says_who_asks() {
    let place = Place::open().await;
    let (server, client) = hyper_server(ServiceBuilder::new().layer(place.auth())).await;

    assert_eq!(client.get("/").await.text(), NOBODY);
    let alice = client.get_as(&place.token, "/").await;
    assert_eq!((alice.status, alice.text()), (200, place.alice.fingerprint.clone()));
    assert_eq!(server.reached.load(Ordering::SeqCst), 2);

    let bad = client.get_as(BAD, "/").await;
    bad.refused("401 invalid_token");
    assert_eq!(bad.header("www-authenticate"), "Bearer");
    assert_eq!(server.reached.load(Ordering::SeqCst), 2, "nobody with a bad token reaches the handler");
}

async fn only_admins_pass(place: &Place, server: &Running, client: &Client) {
    for method in ["GET", "POST", "OPTIONS"] {
        send(client.request(method, "/")).await.refused("401 invalid_token");
        send(client.request(method, "/").bearer_auth(BAD)).await.refused("401 invalid_token");
        send(client.request(method, "/").bearer_auth(&place.token)).await.refused("403 forbidden");
    }
    assert_eq!(server.reached.load(Ordering::SeqCst), 0, "nobody who is refused reaches the handler");

    place.grant().await;
    let admin = client.get_as(&place.token, "/").await;
    assert_eq!((admin.status, admin.text()), (200, place.alice.fingerprint.clone()));
    client.get("/").await.refused("401 invalid_token");
    assert_eq!(server.reached.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn hyper_with_a_group_lets_only_its_members_through() {
    let place = Place::open().await;
    let (server, client) = hyper_server(ServiceBuilder::new().layer(place.admins())).await;
    only_admins_pass(&place, &server, &client).await;
}

#[tokio::test]
async fn hyper_with_both_layers_is_as_strict() {
    let place = Place::open().await;
    let (server, client) =
        hyper_server(ServiceBuilder::new().layer(place.auth()).layer(place.admins())).await;
    only_admins_pass(&place, &server, &client).await;
}

/// Messages of text, which is all that these calls say.
#[derive(Default)]
struct Text;

impl Codec for Text {
    type Encode = String;
    type Decode = String;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Text {
    type Item = String;
    type Error = Status;

    fn encode(&mut self, text: String, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(text.as_bytes());
        Ok(())
    }
}

impl Decoder for Text {
    type Item = String;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<String>, Status> {
        let bytes = buffer.copy_to_bytes(buffer.remaining());
        String::from_utf8(bytes.into()).map(Some).map_err(|_| Status::internal("no text"))
    }
}

/// The service that a build script would have made: one call, which says who is let in.
#[derive(Clone)]
struct WhoAmI {
    reached: Arc<AtomicUsize>,
}

impl Service<Request<tonic::body::Body>> for WhoAmI {
    type Response = Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = BoxFuture<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<tonic::body::Body>) -> Self::Future {
        let call = Call(Arc::clone(&self.reached));
        Box::pin(async move { Ok(tonic::server::Grpc::new(Text).unary(call, request).await) })
    }
}

struct Call(Arc<AtomicUsize>);

impl tonic::server::UnaryService<String> for Call {
    type Response = String;
    type Future = Ready<Result<tonic::Response<String>, Status>>;

    fn call(&mut self, request: tonic::Request<String>) -> Self::Future {
        let asked = request.get_ref() == "Who am I?";
        let answer = who(request.extensions(), &self.0);
        ready(if asked { Ok(tonic::Response::new(answer)) } else { Err(Status::invalid_argument("")) })
    }
}

macro_rules! tonic_server {
    ($layer:expr) => {{
        let reached = Arc::new(AtomicUsize::new(0));
        let service = WhoAmI { reached: Arc::clone(&reached) };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = Server::builder().layer($layer);
        let serving = server.serve_with_incoming(service, TcpIncoming::from(listener));
        let task = tokio::spawn(async move { serving.await.unwrap() });
        (Running { reached, task }, connect(address).await)
    }};
}

async fn connect(address: SocketAddr) -> Channel {
    Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap()
}

async fn ask(channel: &Channel, token: Option<&str>) -> Result<String, Status> {
    let mut client = tonic::client::Grpc::new(channel.clone());
    client.ready().await.unwrap();
    let mut request = tonic::Request::new("Who am I?".to_owned());
    if let Some(token) = token {
        request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    }
    let path = PathAndQuery::from_static("/test.Who/AmI");
    client.unary(request, path, Text).await.map(tonic::Response::into_inner)
}

#[tokio::test]
async fn tonic_with_the_auth_layer_says_who_asks() {
    let place = Place::open().await;
    let (server, channel) = tonic_server!(place.auth());

    assert_eq!(ask(&channel, None).await.unwrap(), NOBODY);
    assert_eq!(ask(&channel, Some(&place.token)).await.unwrap(), place.alice.fingerprint);
    assert_eq!(server.reached.load(Ordering::SeqCst), 2);
    assert_eq!(ask(&channel, Some(BAD)).await.unwrap_err().code(), Code::Unauthenticated);
    assert_eq!(server.reached.load(Ordering::SeqCst), 2, "nobody with a bad token reaches the handler");
}

#[tokio::test]
async fn tonic_with_a_group_lets_only_its_members_through() {
    let place = Place::open().await;
    let (server, channel) = tonic_server!(ServiceBuilder::new().layer(place.auth()).layer(place.admins()));

    assert_eq!(ask(&channel, None).await.unwrap_err().code(), Code::Unauthenticated);
    assert_eq!(ask(&channel, Some(BAD)).await.unwrap_err().code(), Code::Unauthenticated);
    assert_eq!(ask(&channel, Some(&place.token)).await.unwrap_err().code(), Code::PermissionDenied);
    assert_eq!(server.reached.load(Ordering::SeqCst), 0, "nobody who is refused reaches the handler");

    place.grant().await;
    assert_eq!(ask(&channel, Some(&place.token)).await.unwrap(), place.alice.fingerprint);
    assert_eq!(ask(&channel, None).await.unwrap_err().code(), Code::Unauthenticated);
    assert_eq!(server.reached.load(Ordering::SeqCst), 1);
}
