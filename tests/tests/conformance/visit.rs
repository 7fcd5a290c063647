//! One visit to one site: what is sent there, and a record of what came back.

use std::cell::RefCell;
use std::time::Duration;

use capauth_tests::http::Challenge;
use capauth_tests::sites::person::Person;
use capauth_tests::sites::raw::{Answer, Request};
use capauth_tests::sites::{ORIGIN, SERVICE, Site};
use capauth_tower::{Clock as _, Verifier as _};
use capauth_verifier::Caller;
use serde_json::Value;

use crate::differences;

pub(crate) const CHALLENGE: &str = "/auth/capauth/challenge";
pub(crate) const VERIFY: &str = "/auth/capauth/verify";
pub(crate) const LOGOUT: &str = "/auth/capauth/logout";

/// What a browser says it takes.
pub(crate) const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

/// The people of one case, the same at every site.
pub(crate) struct Cast {
    pub(crate) alice: Person,
    pub(crate) bob: Person,
    pub(crate) mallory: Person,
}

impl Cast {
    pub(crate) fn new() -> Self {
        Self { alice: Person::new(), bob: Person::new(), mallory: Person::new() }
    }
}

/// One answer, as it is compared.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) name: String,
    /// In brief.
    pub(crate) expected: String,
    pub(crate) answer: Answer,
}

/// A case at one site.
pub(crate) struct Visit<'a> {
    pub(crate) case: &'a str,
    pub(crate) site: Site,
    pub(crate) cast: &'a Cast,
    pub(crate) steps: RefCell<Vec<Step>>,
}

pub(crate) fn get(target: &str) -> Request {
    Request::new(format!("GET {target}"))
}

pub(crate) fn head(target: &str) -> Request {
    Request::new(format!("HEAD {target}"))
}

pub(crate) fn post(target: &str) -> Request {
    Request::new(format!("POST {target}"))
}

impl Visit<'_> {
    /// Sends a request whose answer must be this one (see [`Answer::brief`]), unless a difference is listed, and the
    /// same as at every other site.
    pub(crate) async fn step(&self, name: &str, request: Request, expected: &str) -> Answer {
        let listed = differences::find(self.case, name, self.site.framework());
        let expected = listed.map_or(expected, |listed| listed.at.brief);
        let answer = if expected == "no answer" || expected.ends_with(", left open") {
            request.send_in_vain(self.site.address(), Duration::from_secs(2)).await
        } else {
            request.send(self.site.address()).await
        };
        let mut steps = self.steps.borrow_mut();
        assert!(steps.iter().all(|step| step.name != name), "two steps are called {name:?}");
        steps.push(Step { name: name.to_owned(), expected: expected.to_owned(), answer: answer.clone() });
        answer
    }

    /// Sends a request whose answer another case looks at.
    async fn quietly(&self, request: Request) -> Answer {
        let answer = request.send(self.site.address()).await;
        assert_eq!(answer.status, 200, "{:?}: {}", self.site, answer.text());
        answer
    }

    pub(crate) async fn challenge(&self, person: &Person, origin: Option<&str>) -> Challenge {
        let answer = self.quietly(post(CHALLENGE).json(&person.ask(origin))).await;
        Challenge(answer.json())
    }

    /// What somebody on the site's page sends to sign in, certificate included.
    pub(crate) async fn login_of(&self, person: &Person) -> Value {
        let challenge = self.challenge(person, Some(ORIGIN)).await;
        person.enrolling(&challenge, self.site.clock().now())
    }

    /// Signs somebody in: their session's cookie.
    pub(crate) async fn cookie_of(&self, person: &Person) -> String {
        self.quietly(post(VERIFY).json(&self.login_of(person).await)).await.cookie()
    }

    /// Signs somebody in who says this of themselves.
    pub(crate) async fn cookie_claiming(&self, person: &Person, claims: &Value) -> String {
        let mut login = self.login_of(person).await;
        person.claim(&mut login, claims, self.site.clock().now());
        self.quietly(post(VERIFY).json(&login)).await.cookie()
    }

    /// Signs a program in: the whole `Authorization` it shows from now on.
    pub(crate) async fn bearer_of(&self, person: &Person) -> String {
        format!("Bearer {}", self.token_for(person, SERVICE).await)
    }

    /// A token for some service, from whoever keeps the keys.
    pub(crate) async fn token_for(&self, person: &Person, service: &str) -> String {
        let mut ask = person.ask(None);
        ask["requested_service"] = service.into();
        let ask = capauth_protocol::request::ChallengeRequest::parse(ask.to_string().as_bytes()).unwrap();
        let caller = Caller::default();
        let challenge = self.site.admin().challenge(&ask, &caller).await.expect("a challenge");
        let challenge = Challenge(serde_json::to_value(challenge).unwrap());
        let answer = person.enrolling(&challenge, self.site.clock().now()).to_string();
        let answer = capauth_protocol::request::VerifyRequest::parse(answer.as_bytes()).unwrap();
        let login = self.site.admin().verify(&answer, &caller).await.expect("an honest key is let in");
        login.response.access_token
    }

    /// Replaces the groups of somebody who has enrolled, and waits until the site knows.
    pub(crate) async fn grant(&self, person: &Person, groups: &[&str]) {
        let groups: Vec<String> = groups.iter().map(|group| (*group).to_owned()).collect();
        self.site.admin().set_groups(&person.fingerprint, &groups).await.expect("a key that enrolled");
        self.site.settle().await;
    }
}
