//! An application that collects metrics and spans has ours among them, whatever carries it.

use std::io::Write;
use std::sync::{Arc, Mutex};

use capauth_tests::http::Challenge;
use capauth_tests::scrape::Scrape;
use capauth_tests::sites::person::Person;
use capauth_tests::sites::raw::Request;
use capauth_tests::sites::{Framework, Mode, Options, Site};
use capauth_tower::Clock as _;
use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::Value;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

/// What the application logs.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap()
    }
}

/// The spans that ended: route, status and kind of refusal.
fn spans(log: &str) -> Vec<(String, u64, String)> {
    let ended = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let ended = ended.filter(|line| line["fields"]["message"] == "close");
    ended
        .map(|line| {
            let word = |name: &str| line["span"][name].as_str().unwrap_or_default().to_owned();
            (word("route"), line["span"]["status"].as_u64().unwrap_or_default(), word("kind"))
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_counts_and_traces_in_every_framework() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let shown = recorder.handle();
    metrics::set_global_recorder(recorder).unwrap();
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt()
        .json()
        .with_env_filter(EnvFilter::new("capauth=trace"))
        .with_span_events(FmtSpan::CLOSE)
        .with_writer(move || writer.clone())
        .init();
    for (framework, mode) in Framework::ALL.into_iter().flat_map(|f| Mode::ALL.map(|mode| (f, mode))) {
        let site = Site::start(framework, mode, Options::default()).await;
        let scrape = || Scrape::read(shown.render());
        let (before, alice, now) = (scrape(), Person::new(), site.clock().now());
        log.take();

        let ask = Request::new("POST /auth/capauth/challenge").json(&alice.ask(None));
        let challenge = Challenge(ask.send(site.address()).await.json());
        let login = Request::new("POST /auth/capauth/verify").json(&alice.enrolling(&challenge, now));
        assert_eq!(login.clone().send(site.address()).await.status, 200, "{site:?}");
        assert_eq!(login.send(site.address()).await.status, 400, "{site:?}");
        let me = Request::new("GET /auth/capauth/me?MARKER=MARKER").header("x-secret", "MARKER");
        assert_eq!(me.send(site.address()).await.status, 401, "{site:?}");
        let unasked = scrape();
        assert_eq!(Request::new("GET /me").send(site.address()).await.status, 401, "{site:?}");

        let after = scrape();
        // A central service in this process counts, too.
        let each = if mode == Mode::Local { 1.0 } else { 2.0 };
        let more = |name: &str, labels: &[(&str, &str)]| after.since(&before, name, labels);
        assert_eq!(more("capauth_logins_total", &[("how", "enrolment")]), each, "{site:?}");
        assert_eq!(more("capauth_challenges_total", &[]), each, "{site:?}");
        let refusals = "capauth_refusals_total";
        assert_eq!(more(refusals, &[("kind", "InvalidNonce")]), each, "{site:?}");
        let nobody = [("kind", "Unauthenticated")];
        assert_eq!(unasked.since(&before, refusals, &nobody), 1.0, "{site:?}: the endpoint");
        assert_eq!(after.since(&unasked, refusals, &nobody), 1.0, "{site:?}: the guard");
        assert!(!after.text.contains(&alice.fingerprint.to_string()), "{site:?}");

        let log = log.take();
        assert!(!log.contains("MARKER") && !log.contains(&alice.fingerprint.to_string()), "{site:?}: {log}");
        let spans = spans(&log);
        for wanted in [
            ("/auth/capauth/challenge", 200, ""),
            ("/auth/capauth/verify", 200, ""),
            ("/auth/capauth/verify", 400, "InvalidNonce"),
            ("/auth/capauth/me", 401, "Unauthenticated"),
        ] {
            let found = spans.iter().filter(|(route, status, kind)| (&**route, *status, &**kind) == wanted);
            assert_eq!(found.count(), 1, "{site:?}: {wanted:?} in {spans:?}");
        }
    }
}
