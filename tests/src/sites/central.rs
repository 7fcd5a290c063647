//! Where keys are kept: in the application, or at a central service of its own.

use std::net::SocketAddr;
use std::sync::Arc;

use capauth_tower::{CapAuth, ManualClock, Secret, ServiceEntry};
use capauth_verifier::memory;
use tokio::net::TcpListener;

use super::{ORIGIN, OTHER_SERVICE, Options, SERVICE, Server};

const CREDENTIAL: &str = "the-credential-of-the-application-0123456789";
/// As long as the application's own name, so that answers which hold the one or the other are of one length.
const CENTRAL_SERVICE: &str = "key.example.com";

/// A CapAuth that keeps its keys itself, in memory.
pub(super) async fn local(service: &str, clock: &Arc<ManualClock>, options: Options) -> CapAuth {
    let mut config = CapAuth::local(service)
        .stores(memory::stores().expect("the system has randomness"))
        .clock(clock.clone())
        .enrollment(options.enrollment())
        .rate_limits(options.rate_limits())
        .service(ServiceEntry::new(OTHER_SERVICE));
    if service != SERVICE {
        let application = ServiceEntry::new(SERVICE).origin(ORIGIN);
        config = config.service(application.credential(Secret::from(CREDENTIAL)));
    }
    config.build().await.expect("the configuration fits together")
}

/// A central service, and where it listens.
pub(super) struct Central {
    capauth: CapAuth,
    server: Server,
}

impl Central {
    pub(super) async fn start(clock: &Arc<ManualClock>, options: Options) -> Self {
        let capauth = local(CENTRAL_SERVICE, clock, options).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("a listener has an address");
        let app = capauth_axum::service_routes_with::<()>(&capauth);
        let app = app.into_make_service_with_connect_info::<SocketAddr>();
        let task = tokio::spawn(async move { axum::serve(listener, app).await });
        Self { capauth, server: Server::new(address, move || task.abort()) }
    }

    pub(super) fn capauth(&self) -> &CapAuth {
        &self.capauth
    }

    /// The CapAuth of an application that asks this service.
    pub(super) async fn application(&self, clock: &Arc<ManualClock>) -> CapAuth {
        CapAuth::remote(format!("http://{}", self.server.address))
            .service(SERVICE)
            .credential(CREDENTIAL)
            .clock(clock.clone())
            .build()
            .await
            .expect("the configuration fits together")
    }
}
