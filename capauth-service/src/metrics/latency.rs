//! How long requests take, by route, method and class of status.

use std::collections::HashMap;
use std::sync::OnceLock;
use std::time::Duration;

use capauth_tower::{Part, Route};
use http::{Method, StatusCode};
use metrics::{Histogram, Unit, describe_histogram, histogram};

pub(super) const NAME: &str = "capauth_request_duration_seconds";

/// Upper bounds, in seconds: a login takes a fraction of a millisecond, a database that is busy some seconds.
pub(super) const BUCKETS: [f64; 16] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// The classes of status there are.
const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];
/// What stands for every route, or method of a route, that there is not.
const OTHER: &str = "other";

/// The handles of all histograms, found without looking anything up by its labels. Each is made when it is first needed:
/// most combinations never are.
pub(crate) struct Latency {
    routes: HashMap<&'static str, Row>,
    elsewhere: Row,
}

/// One route: for each of its methods, and for all others together, a histogram a class.
struct Row {
    route: &'static str,
    methods: Vec<&'static str>,
    histograms: Vec<OnceLock<Histogram>>,
}

impl Latency {
    /// Of every route that the service has.
    pub(crate) fn new() -> Self {
        describe_histogram!(NAME, Unit::Seconds, "How long requests took, until their answer was made");
        let row = |route: &'static Route| (route.path(), Row::new(route.path(), methods(route)));
        Self { routes: Route::of(Part::Service).map(row).collect(), elsewhere: Row::new(OTHER, Vec::new()) }
    }

    /// Notes a request. `route` is the template that was matched, `method` a name that is not the client's.
    pub(crate) fn note(&self, route: Option<&str>, method: &str, status: StatusCode, took: Duration) {
        let row = route.and_then(|route| self.routes.get(route)).unwrap_or(&self.elsewhere);
        row.note(method, status, took);
    }
}

fn methods(route: &Route) -> Vec<&'static str> {
    let mut methods: Vec<_> = route.methods().iter().map(Method::as_str).collect();
    if route.methods().contains(&Method::GET) {
        methods.push("HEAD");
    }
    methods
}

impl Row {
    fn new(route: &'static str, mut methods: Vec<&'static str>) -> Self {
        methods.push(OTHER);
        let histograms = methods.iter().flat_map(|_| CLASSES).map(|_| OnceLock::new()).collect();
        Self { route, methods, histograms }
    }

    fn note(&self, method: &str, status: StatusCode, took: Duration) {
        let last = self.methods.len().saturating_sub(1);
        let method = self.methods.iter().position(|known| *known == method).unwrap_or(last);
        // What only goes on (1xx) never arrives here.
        let class = usize::from(status.as_u16() / 100).clamp(2, 5) - 2;
        let Some(cell) = self.histograms.get(method * CLASSES.len() + class) else { return };
        cell.get_or_init(|| self.make(method, class)).record(took);
    }

    fn make(&self, method: usize, class: usize) -> Histogram {
        let method = self.methods.get(method).copied().unwrap_or(OTHER);
        let class = CLASSES.get(class).copied().unwrap_or(OTHER);
        histogram!(NAME, "route" => self.route, "method" => method, "status" => class)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_asked_has_one_of_a_fixed_set_of_labels() {
        let recorder = super::super::recorder::build().unwrap();
        let shown = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            let latency = Latency::new();
            let note = |route, method, status: u16| {
                latency.note(
                    route,
                    method,
                    StatusCode::from_u16(status).unwrap(),
                    Duration::from_micros(300),
                );
            };
            note(Some("/capauth/v1/verify"), "POST", 200);
            note(Some("/capauth/v1/verify"), "GET", 405);
            note(Some("/health"), "HEAD", 204);
            note(Some("/MARKER"), "MARKER", 999);
            note(None, "GET", 100);
        });
        let text = shown.render();
        assert!(!text.contains("MARKER"), "{text}");
        for wanted in [
            "_count{route=\"/capauth/v1/verify\",method=\"POST\",status=\"2xx\"} 1",
            "_count{route=\"/capauth/v1/verify\",method=\"other\",status=\"4xx\"} 1",
            "_count{route=\"/health\",method=\"HEAD\",status=\"2xx\"} 1",
            "_count{route=\"other\",method=\"other\",status=\"5xx\"} 1",
            "_count{route=\"other\",method=\"other\",status=\"2xx\"} 1",
            "_bucket{route=\"/capauth/v1/verify\",method=\"POST\",status=\"2xx\",le=\"0.00025\"} 0",
            "_bucket{route=\"/capauth/v1/verify\",method=\"POST\",status=\"2xx\",le=\"0.0005\"} 1",
            "_bucket{route=\"/capauth/v1/verify\",method=\"POST\",status=\"2xx\",le=\"10\"} 1",
        ] {
            assert!(text.contains(wanted), "{wanted}\n{text}");
        }
    }
}
