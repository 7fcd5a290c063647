//! Who asks: put to the handle, with what is known of the request already.

use std::rc::Rc;

use actix_web::{HttpMessage as _, HttpRequest};
use capauth_tower::{Authenticated, CapAuth, Refused, Rule};
use futures_util::lock::Mutex;
use http::request::Parts;

use crate::translate;

const FIX: &str = "this guard finds no CapAuth in the application: add \
    App::configure(capauth_actix::routes(capauth.clone())), at the App and not in another scope";

/// The neutral side of a request, kept in it: what was decided is among its extensions, for whoever asks next.
///
/// The extractors of one handler run at the same time. So that the first decides and the others wait, there is a lock.
#[derive(Clone)]
pub(crate) struct Known(Rc<Mutex<Parts>>);

impl Known {
    /// What is kept in this request; from now on something is.
    fn of(request: &HttpRequest) -> Result<Self, Refused> {
        if let Some(known) = request.extensions().get::<Self>() {
            return Ok(known.clone());
        }
        let known = Self(Rc::new(Mutex::new(translate::deciding(request)?)));
        request.extensions_mut().insert(known.clone());
        Ok(known)
    }

    /// Whether somebody is signed in, as far as was decided, of whom this holds.
    pub(crate) fn has(&self, holds: impl FnOnce(&Authenticated) -> bool) -> bool {
        self.0.try_lock().is_some_and(|parts| parts.extensions.get().is_some_and(holds))
    }
}

/// A question, of the 'static life that actix demands of extractors.
pub(crate) struct Asking {
    capauth: CapAuth,
    known: Known,
}

impl Asking {
    /// Asks the handle of the application, or the one that [`auth`](crate::auth) left in the request. Without either
    /// the answer is 500, whoever sends the request.
    pub(crate) fn about(request: &HttpRequest) -> Result<Self, Refused> {
        let left = || request.extensions().get::<CapAuth>().cloned();
        let capauth = request.app_data::<CapAuth>().cloned().or_else(left);
        Self::by(capauth.ok_or_else(|| Refused::not_mounted(FIX))?, request)
    }

    /// Asks this handle.
    pub(crate) fn by(capauth: CapAuth, request: &HttpRequest) -> Result<Self, Refused> {
        Ok(Self { capauth, known: Known::of(request)? })
    }

    pub(crate) async fn admit(&self) -> Result<(), Refused> {
        self.capauth.admit(&mut *self.known.0.lock().await).await
    }

    pub(crate) async fn identify(&self) -> Result<Option<Authenticated>, Refused> {
        self.capauth.identify(&mut *self.known.0.lock().await).await
    }

    pub(crate) async fn require(&self, rule: &Rule) -> Result<Authenticated, Refused> {
        self.capauth.require(&mut *self.known.0.lock().await, rule).await
    }
}
