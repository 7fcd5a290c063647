//! What kind of answer a client asks for: the one place where a browser is told from a program.

use http::{HeaderMap, header};

/// Whether the client follows what happens as it does: it names event streams, which nobody does by accident.
pub(crate) fn wants_events(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(header::ACCEPT).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("text/event-stream"));
        named && quality(parts) > 0.0
    })
}

/// Whether a person looks at the answer: `Accept` names HTML, and does not like JSON better. Programs ask for JSON, for
/// anything (`*/*`) or say nothing.
pub(crate) fn wants_html(headers: &HeaderMap) -> bool {
    let (mut html, mut json) = (0.0_f32, 0.0_f32);
    let lines = headers.get_all(header::ACCEPT).iter().filter_map(|line| line.to_str().ok());
    for range in lines.flat_map(|line| line.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let is = |types: &[&str]| types.iter().any(|known| name.eq_ignore_ascii_case(known));
        if is(&["text/html", "application/xhtml+xml"]) {
            html = html.max(quality(parts));
        } else if is(&["application/json", "application/*"]) {
            json = json.max(quality(parts));
        }
    }
    html > 0.0 && html >= json
}

/// How much a range is liked (RFC 9110, 12.4.2); what is no number from 0 to 1 counts as not at all.
fn quality<'a>(mut parameters: impl Iterator<Item = &'a str>) -> f32 {
    let weight = parameters.find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("q").then(|| value.trim().parse().unwrap_or(0.0))
    });
    weight.filter(|q| (0.0..=1.0).contains(q)).unwrap_or(if weight.is_none() { 1.0 } else { 0.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks(lines: &[&'static str]) -> bool {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::ACCEPT, line.parse().unwrap());
        }
        wants_html(&headers)
    }

    #[test]
    fn browsers_ask_for_html() {
        for browser in [
            &["text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"][..],
            &["text/html"],
            &["TEXT/HTML; charset=utf-8"],
            &["application/xhtml+xml"],
            &["application/json;q=0.5, text/html;q=0.5"],
            &["application/json;q=0.1", "text/html"],
        ] {
            assert!(asks(browser), "{browser:?}");
        }
    }

    #[test]
    fn streams_are_asked_for_by_name() {
        let asks = |line: &'static str| {
            let mut headers = HeaderMap::new();
            headers.append(header::ACCEPT, line.parse().unwrap());
            wants_events(&headers)
        };
        for events in ["text/event-stream", "application/json, TEXT/event-stream;q=0.5"] {
            assert!(asks(events), "{events}");
        }
        for other in ["*/*", "text/*", "application/json", "text/event-stream;q=0", "text/event-streams"] {
            assert!(!asks(other), "{other}");
        }
    }

    #[test]
    fn programs_do_not() {
        for program in [
            &[][..],
            &["*/*"],
            &["application/json"],
            &["application/json, text/html;q=0.9"],
            &["application/json, text/plain, */*"],
            &["text/html;q=0"],
            &["text/html;q=nan"],
            &["text/html;q=-1"],
            &["text/html;q=2"],
            &["text/htmlx"],
            &["text/*"],
            &["x;text/html"],
        ] {
            assert!(!asks(program), "{program:?}");
        }
    }
}
