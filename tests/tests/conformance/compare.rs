//! Runs a case at every site, and compares what came back.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};

use capauth_tests::sites::raw::Answer;
use capauth_tests::sites::{Framework, Mode, Options, Site};
use futures_util::future::join_all;

use crate::differences::{self, Listed};
use crate::visit::{Cast, Step, Visit};

/// Runs a case at eight sites at once. Their answers must be those of the first, or as the table of differences says.
pub(crate) async fn for_every_site(case: &str, options: Options, run: impl AsyncFn(&Visit<'_>)) {
    let cast = Cast::new();
    let mut visits = Vec::new();
    for framework in Framework::ALL {
        for mode in Mode::ALL {
            let site = Site::start(framework, mode, options).await;
            visits.push(Visit { case, site, cast: &cast, steps: Vec::new().into() });
        }
    }
    join_all(visits.iter().map(|visit| run(visit))).await;
    let (first, others) = visits.split_first().expect("there are sites");
    let mut complaints = Complaints::default();
    visits.iter().for_each(|visit| Told::by(visit).judge(&mut complaints));
    for other in others {
        Told::by(other).compare(&first.steps.borrow(), &mut complaints);
    }
    assert!(complaints.0.is_empty(), "{case}:\n{complaints}");
}

/// What is wrong, and where.
#[derive(Default)]
struct Complaints(BTreeMap<String, Vec<String>>);

impl Complaints {
    fn add(&mut self, what: impl Into<String>, place: impl Into<String>) {
        self.0.entry(what.into()).or_default().push(place.into());
    }
}

impl fmt::Display for Complaints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(what, places)| writeln!(f, "== {}:\n{what}", places.join("\n== ")))
    }
}

/// What one site said in one case.
struct Told<'a> {
    site: String,
    case: &'a str,
    framework: Framework,
    steps: Vec<Step>,
}

impl<'a> Told<'a> {
    fn by(visit: &Visit<'a>) -> Self {
        let (site, framework) = (format!("{:?}", visit.site), visit.site.framework());
        Self { site, case: visit.case, framework, steps: visit.steps.borrow().clone() }
    }

    /// Complains of answers that are not what the case, or the table, says in brief.
    fn judge(&self, complaints: &mut Complaints) {
        for step in self.steps.iter().filter(|step| step.answer.brief() != step.expected) {
            complaints.add(format!("should be {}", step.expected), self.place(step));
        }
    }

    /// Complains of answers that are not what the first site said, and not listed as different; and of those that are
    /// listed, and do not differ.
    fn compare(&self, first: &[Step], complaints: &mut Complaints) {
        let names = |steps: &[Step]| steps.iter().map(|step| step.name.clone()).collect::<Vec<_>>();
        if names(first) != names(&self.steps) {
            complaints.add(format!("took other steps: {:?}", names(&self.steps)), &self.site);
            return;
        }
        let mut happened = BTreeSet::new();
        for (expected, found) in first.iter().zip(&self.steps) {
            let listed = differences::find(self.case, &found.name, self.framework);
            happened.extend(listed.map(|listed| listed.place));
            let problem = self.problem(&expected.answer, &found.answer, listed);
            if !problem.is_empty() {
                complaints.add(problem, self.place(found));
            }
        }
        let own = differences::of_case(self.case, self.framework);
        for listed in own.filter(|listed| !happened.contains(&listed.place)) {
            complaints.add(format!("no step is what a difference speaks of: {:?}", listed.at), &self.site);
        }
    }

    fn problem(&self, expected: &Answer, found: &Answer, listed: Option<Listed>) -> String {
        let added = differences::added(self.framework);
        let reference = written(expected, &headers(expected));
        let lines = headers(found);
        let text = written(found, &without(&added, lines.clone(), expected));
        let adds = listed.map_or(&[][..], |listed| listed.difference.adds);
        if let Some(missing) = adds.iter().find(|line| !lines.iter().any(|found| found == *line)) {
            return format!("is listed as adding, and does not add {missing}");
        }
        let problem = match listed.filter(|_| adds.is_empty()) {
            None if reference != text => "differs",
            Some(_) if reference == text => "is listed as different, and does not differ",
            _ => return String::new(),
        };
        format!("{problem}\n{}{}", other_lines('-', &reference, &text), other_lines('+', &text, &reference))
    }

    fn place(&self, step: &Step) -> String {
        format!("{}, {:?} ({})", self.site, step.name, step.answer.brief())
    }
}

/// Those lines of a text that another has not.
fn other_lines(sign: char, text: &str, other: &str) -> String {
    let own = text.lines().filter(|line| !other.lines().any(|other| other == *line));
    own.map(|line| format!("{sign} {line}\n")).collect()
}

/// All headers but the time of day, as lines in order; what is random is masked.
fn headers(answer: &Answer) -> Vec<String> {
    let is_page = answer.header("content-type").starts_with("text/html");
    let mut lines: Vec<String> = answer
        .headers
        .iter()
        .filter(|(name, _)| name != "date")
        .map(|(name, value)| match (name.as_str(), value.split_once([';']), value.split_once('=')) {
            ("set-cookie", Some((pair, attributes)), Some((cookie, _))) if !pair.ends_with('=') => {
                format!("{name}: {cookie}=*;{attributes}")
            }
            ("content-security-policy", ..) => format!("{name}: {}", masked(value, "'nonce-", '\'')),
            // What is masked on it is of any length.
            ("content-length", ..) if is_page => format!("{name}: *"),
            _ => format!("{name}: {value}"),
        })
        .collect();
    lines.sort();
    lines
}

/// Takes out the headers that a framework adds, where the expected answer has none of that name.
fn without(added: &[&str], mut lines: Vec<String>, expected: &Answer) -> Vec<String> {
    let name = |line: &str| line.split(':').next().unwrap_or_default().to_owned();
    lines.retain(|line| !(added.contains(&line.as_str()) && expected.header(&name(line)).is_empty()));
    lines
}

/// An answer as text, in which what is random is masked.
fn written(answer: &Answer, headers: &[String]) -> String {
    let interim = if answer.continued { "100\n" } else { "" };
    let body = mask(&mask(&answer.text(), "nonce"), "qr_payload");
    let body = RANDOM_ON_PAGES.iter().fold(body, |body, before| masked(&body, before, '"'));
    format!("{interim}{}\n{}\n\n{body}\n", answer.brief(), headers.join("\n"))
}

/// What is random on a page, by what stands before it; and what its script is told, which says who keeps the keys.
const RANDOM_ON_PAGES: [&str; 3] = [" nonce=\"", " name=\"token\" value=\"", " data-settings=\""];

/// Replaces what stands between this and an end.
fn masked(text: &str, before: &str, end: char) -> String {
    let mut pieces = text.split(before);
    let mut masked = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let _ = write!(masked, "{before}*{}", piece.find(end).map_or("", |end| &piece[end..]));
    }
    masked
}

/// Replaces the text of a JSON member, wherever it stands.
fn mask(text: &str, member: &str) -> String {
    let before = format!("\"{member}\":\"");
    let mut pieces = text.split(&before);
    let mut masked = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let mut escaped = false;
        let end = piece.find(|c| {
            let ends = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        });
        let _ = write!(masked, "{before}*{}", end.map_or("", |end| &piece[end..]));
    }
    masked
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Answer {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Answer { status, continued: false, left_open: false, headers, body: body.into() }
    }

    fn step(name: &str, expected: &str, answer: Answer) -> Step {
        Step { name: name.to_owned(), expected: expected.to_owned(), answer }
    }

    /// What is wrong with one answer, beside the first site's.
    fn complaints(framework: Framework, case: &str, name: &str, first: &Answer, other: &Answer) -> String {
        let expected = differences::find(case, name, framework).map_or("200", |listed| listed.at.brief);
        let steps = vec![step(name, expected, other.clone())];
        let told = Told { site: "there".to_owned(), case, framework, steps };
        let mut complaints = Complaints::default();
        told.judge(&mut complaints);
        told.compare(&[step(name, "200", first.clone())], &mut complaints);
        complaints.to_string()
    }

    #[test]
    fn answers_that_differ_are_complained_of_unless_they_are_listed() {
        let hello = answer(200, &[("content-type", "text/plain"), ("date", "now")], "hello");
        let same = |framework, other: &Answer| complaints(framework, "a_case", "a step", &hello, other);
        assert_eq!(same(Framework::Axum, &hello), "");
        let later = answer(200, &[("date", "later"), ("content-type", "text/plain")], "hello");
        assert_eq!(same(Framework::Axum, &later), "");
        let rockets = answer(200, &[("content-type", "text/plain"), ("server", "Rocket")], "hello");
        assert_eq!(same(Framework::Rocket, &rockets), "");
        for other in [
            answer(200, &[("content-type", "text/plain")], "hell"),
            answer(200, &[("content-type", "text/html")], "hello"),
            answer(200, &[], "hello"),
            answer(200, &[("content-type", "text/plain"), ("server", "Rocket")], "hello"),
        ] {
            assert!(same(Framework::Axum, &other).contains("differs\n"), "{other:?}");
        }
        let refused = answer(404, &[("content-type", "text/plain")], "hello");
        assert!(same(Framework::Axum, &refused).contains("should be 200"));
    }

    #[test]
    fn a_listed_difference_that_does_not_happen_is_complained_of() {
        let (case, name) = ("a_guard_stands_before_every_method", "HEAD / by nobody");
        let (found, missing) = (answer(200, &[], ""), answer(404, &[], ""));
        let listed = |other: &Answer| complaints(Framework::Actix, case, name, &found, other);
        assert!(listed(&found).contains("should be 404") && listed(&found).contains("does not differ"));
        // What is left are the other steps of this case, which are not taken here.
        assert!(!listed(&missing).contains("differ\n") && listed(&missing).contains("no step is what"));
        let (case, name) = ("unknown_paths_are_nobodys", "GET /");
        let bare = complaints(Framework::Rocket, case, name, &found, &found);
        assert!(bare.contains("does not add permissions-policy"), "{bare}");
    }

    #[test]
    fn masks_hide_what_is_random_and_nothing_else() {
        let text = r#"{"a":"b","nonce":"1\"2\\","c":{"nonce":"5"}}"#;
        assert_eq!(mask(text, "nonce"), r#"{"a":"b","nonce":"*","c":{"nonce":"*"}}"#);
        let cookies = [("set-cookie", "a=secret; Path=/"), ("set-cookie", "a=; Max-Age=0"), ("date", "now")];
        let lines = headers(&answer(200, &cookies, ""));
        assert_eq!(lines, ["set-cookie: a=*; Path=/", "set-cookie: a=; Max-Age=0"]);
    }
}
