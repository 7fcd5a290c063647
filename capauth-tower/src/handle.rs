//! [`CapAuth`], the handle that an application holds.

use std::fmt;
use std::sync::Arc;

#[cfg(feature = "remote")]
use capauth_verifier::RemoteVerifier;
use capauth_verifier::{AuthError, LocalVerifier, Secret, Timestamp, Verifier};

#[cfg(feature = "remote")]
use crate::config::RemoteConfig;
use crate::config::{Front, LocalConfig};
use crate::counts;
use crate::endpoints::Endpoints;
use crate::group::Rule;
use crate::layer::{RequireLayer, RoutesLayer};
use crate::streams::Streams;

/// CapAuth in one application: cheap to clone, safe to share.
#[derive(Clone)]
pub struct CapAuth(Arc<Inner>);

pub(crate) struct Inner {
    deciding: Deciding,
    pub(crate) front: Front,
    pub(crate) admin_token: Option<Secret>,
    pub(crate) streams: Streams,
    #[cfg(feature = "openapi")]
    pub(crate) description: std::sync::OnceLock<Option<crate::openapi::Description>>,
}

/// Who decides.
pub(crate) enum Deciding {
    /// This application, with its own stores.
    Local(Box<LocalVerifier>),
    /// A central service.
    #[cfg(feature = "remote")]
    Remote(RemoteVerifier),
}

impl CapAuth {
    /// Begins a CapAuth whose keys are kept by this application itself. `service` is the name that people sign in
    /// to: the host name under which browsers know the application.
    ///
    /// ```
    /// # use capauth_tower::CapAuth;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = std::env::temp_dir().join(format!("capauth-doc-{}", std::process::id()));
    /// # std::fs::create_dir_all(&directory)?;
    /// # let url = format!("sqlite://{}", directory.join("capauth.db").display());
    /// let capauth = CapAuth::local("app.example.com").store(url).build().await?;
    /// # capauth.close().await?;
    /// # std::fs::remove_dir_all(&directory)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn local(service: impl Into<String>) -> LocalConfig {
        LocalConfig::new(service.into())
    }

    /// Begins a CapAuth that asks a central service, at the URL where it is reached. Nothing else changes for the
    /// application.
    ///
    /// ```no_run
    /// # use capauth_tower::CapAuth;
    /// # async fn example(credential: String) -> Result<(), Box<dyn std::error::Error>> {
    /// let capauth = CapAuth::remote("https://auth.example.com")
    ///     .service("app.example.com") // as the service lists it
    ///     .credential(credential)
    ///     .build()
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "remote")]
    pub fn remote(url: impl Into<String>) -> RemoteConfig {
        RemoteConfig::new(url.into())
    }

    pub(crate) fn new(deciding: Deciding, front: Front, admin_token: Option<Secret>) -> Self {
        counts::begin();
        Self(Arc::new(Inner {
            deciding,
            front,
            admin_token,
            streams: Streams::new(),
            #[cfg(feature = "openapi")]
            description: std::sync::OnceLock::new(),
        }))
    }

    /// The login endpoints of an application, under `/auth/capauth`.
    pub fn endpoints(&self) -> Endpoints {
        Endpoints::login(self.clone())
    }

    /// Every endpoint: the application's, the service's under `/capauth/v1`, and its documents at the root. Where keys
    /// are kept elsewhere ([`CapAuth::remote`]) there is no service to be: its endpoints answer 501.
    pub fn service_endpoints(&self) -> Endpoints {
        Endpoints::service(self.clone())
    }

    /// A layer that serves the login endpoints and passes everything else on. It belongs outside of whatever demands
    /// a login.
    pub fn routes_layer(&self) -> RoutesLayer {
        RoutesLayer::new(self.endpoints())
    }

    /// A layer that lets through whoever is signed in.
    pub fn require_login(&self) -> RequireLayer {
        RequireLayer::new(self.clone(), Rule::Login)
    }

    /// A layer that lets through whom an administrator put into this group.
    pub fn require_group(&self, group: impl Into<String>) -> RequireLayer {
        RequireLayer::new(self.clone(), Rule::Group(group.into().into()))
    }

    /// A layer that lets through who does not say of themselves that they are a program. A courtesy between honest
    /// parties: where it must hold, use a group.
    pub fn require_human(&self) -> RequireLayer {
        RequireLayer::new(self.clone(), Rule::Human)
    }

    /// The path below which the endpoints are mounted, as `mounted_at` said; empty for the root.
    pub fn mount(&self) -> &str {
        &self.0.front.mount
    }

    /// The verifier behind it.
    pub fn verifier(&self) -> &dyn Verifier {
        match &self.0.deciding {
            Deciding::Local(local) => local.as_ref(),
            #[cfg(feature = "remote")]
            Deciding::Remote(remote) => remote,
        }
    }

    /// The verifier behind it, if it decides here and asks no other server. Keys are administered through it.
    pub fn local_verifier(&self) -> Option<&LocalVerifier> {
        match &self.0.deciding {
            Deciding::Local(local) => Some(local),
            #[cfg(feature = "remote")]
            Deciding::Remote(_) => None,
        }
    }

    /// The verifier behind it, if it asks a central service.
    #[cfg(feature = "remote")]
    pub fn remote_verifier(&self) -> Option<&RemoteVerifier> {
        match &self.0.deciding {
            Deciding::Local(_) => None,
            Deciding::Remote(remote) => Some(remote),
        }
    }

    /// What is open or missing in the configuration, in words to be logged at start-up.
    pub fn notices(&self) -> Vec<String> {
        let mut notices = self.0.front.notices.clone();
        match &self.0.deciding {
            Deciding::Local(local) => notices.extend(local.notices().iter().cloned()),
            #[cfg(feature = "remote")]
            Deciding::Remote(remote) => notices.extend(remote.notices()),
        }
        notices
    }

    /// Ends every answer that is still being streamed, and lets no other begin: somebody who watches a login would keep a
    /// connection for two minutes. Call it when the server begins to stop.
    pub fn end_streams(&self) {
        self.0.streams.end();
    }

    /// Writes what waits to be written. Call it once the server has answered its last request.
    ///
    /// # Errors
    /// A store is gone.
    pub async fn close(&self) -> Result<(), AuthError> {
        self.end_streams();
        self.verifier().close().await
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.0
    }

    pub(crate) fn front(&self) -> &Front {
        &self.0.front
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.0.front.clock.timestamp()
    }

    /// Whether both are the same, not merely equal.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for CapAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CapAuth").field("service", &self.verifier().service()).finish_non_exhaustive()
    }
}
