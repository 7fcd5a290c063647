//! The description as a page: HTML and a style sheet, no script, nothing from elsewhere.

mod html;
mod schema;

use std::fmt::Write as _;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use self::html::{escape, inline, prose};
use crate::endpoints::DESCRIPTION;

const STYLE: &str = include_str!("page.css");

/// The page looks like this, and does nothing.
pub(super) fn policy() -> &'static str {
    static POLICY: LazyLock<String> = LazyLock::new(|| {
        let hash = STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
        format!(
            "default-src 'none'; style-src 'sha256-{hash}'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
        )
    });
    &POLICY
}

/// The page that shows this description.
pub(super) fn of(document: &Value) -> String {
    let areas = areas(document);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title} API</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<a class=\"skip\" href=\"#main\">To the content</a>\n",
        title = escape(text(document, "/info/title")),
    );
    page.push_str(&contents(&areas));
    page.push_str("<main id=\"main\" tabindex=\"-1\">\n");
    page.push_str(&introduction(document));
    for area in &areas {
        let _ = write!(page, "<section>\n<h2 id=\"{}\">{}</h2>\n", anchor(area.name), escape(area.name));
        page.push_str(&prose(area.words));
        for operation in &area.operations {
            page.push_str(&operation.show());
        }
        page.push_str("</section>\n");
    }
    page.push_str(&schemas(document));
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

/// Operations that belong together.
struct Area<'a> {
    name: &'a str,
    words: &'a str,
    operations: Vec<Shown<'a>>,
}

/// An operation, and where it is.
struct Shown<'a> {
    document: &'a Value,
    method: &'a str,
    path: &'a str,
    operation: &'a Value,
}

fn areas(document: &Value) -> Vec<Area<'_>> {
    let paths = document.get("paths").and_then(Value::as_object);
    let operations = || {
        paths.into_iter().flatten().flat_map(|(path, item)| {
            let methods = item.as_object().into_iter().flatten();
            methods.map(move |(method, operation)| Shown { document, method, path, operation })
        })
    };
    let tags = document.get("tags").and_then(Value::as_array).into_iter().flatten();
    tags.map(|tag| {
        let name = text(tag, "/name");
        let is_of_it = |shown: &Shown<'_>| text(shown.operation, "/tags/0") == name;
        Area { name, words: text(tag, "/description"), operations: operations().filter(is_of_it).collect() }
    })
    .collect()
}

/// A text that stands there; empty where there is none.
fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// A name as the target of a link.
fn anchor(name: &str) -> String {
    let plain = |symbol: char| if symbol.is_ascii_alphanumeric() { symbol.to_ascii_lowercase() } else { '-' };
    name.chars().map(plain).collect()
}

fn contents(areas: &[Area<'_>]) -> String {
    let mut out =
        "<nav aria-label=\"Contents\">\n<details open>\n<summary>Contents</summary>\n<ul>\n".to_owned();
    for area in areas {
        let _ = writeln!(out, "<li><a href=\"#{}\">{}</a>\n<ul>", anchor(area.name), escape(area.name));
        for Shown { method, path, operation, .. } in &area.operations {
            let _ = writeln!(
                out,
                "<li><a href=\"#{}\"><span class=\"m {method}\">{method}</span> <span class=\"p\">{}</span></a></li>",
                escape(text(operation, "/operationId")),
                broken(short(path)),
                method = escape(method),
            );
        }
        out.push_str("</ul></li>\n");
    }
    out.push_str("<li><a href=\"#schemas\">Schemas</a></li>\n</ul>\n</details>\n</nav>\n");
    out
}

/// A path without what most of them begin with.
fn short(path: &str) -> &str {
    path.strip_prefix("/capauth/v1").unwrap_or(path)
}

/// A path that may be broken into lines after each slash.
fn broken(path: &str) -> String {
    escape(path).replace('/', "/<wbr>")
}

fn introduction(document: &Value) -> String {
    let mut out = format!(
        "<header>\n<h1>{}</h1>\n<p class=\"about\">Version {} at <code>{}</code>. For programs: \
         <a href=\"{DESCRIPTION}\">the OpenAPI description</a>.</p>\n</header>\n{}",
        escape(text(document, "/info/title")),
        escape(text(document, "/info/version")),
        escape(text(document, "/servers/0/url")),
        prose(text(document, "/info/description")),
    );
    out.push_str("<section>\n<h2 id=\"credentials\">Credentials</h2>\n<dl>\n");
    let schemes = document.pointer("/components/securitySchemes").and_then(Value::as_object);
    for (name, scheme) in schemes.into_iter().flatten() {
        let how = match text(scheme, "/type") {
            "apiKey" => format!("the cookie <code>{}</code>", escape(text(scheme, "/name"))),
            _ => "<code>Authorization: Bearer</code>".to_owned(),
        };
        let _ = writeln!(
            out,
            "<dt id=\"credential-{0}\">{1}</dt><dd>{2} In {how}.</dd>",
            anchor(name),
            escape(&words_of(name)),
            inline(text(scheme, "/description")),
        );
    }
    out.push_str("</dl>\n</section>\n");
    out
}

/// The name of a credential as a person would write it.
fn words_of(name: &str) -> String {
    name.replace('_', " ")
}

impl Shown<'_> {
    fn show(&self) -> String {
        let Self { method, path, operation, .. } = self;
        let mut out = format!(
            "<details class=\"operation\">\n<summary><span class=\"m {method}\">{method}</span> \
             <span class=\"p\">{}</span> <span class=\"s\">{}</span></summary>\n<div class=\"inside\" id=\"{}\">\n",
            broken(path),
            inline(text(operation, "/summary")),
            // Inside, since a link to what is folded away unfolds it.
            escape(text(operation, "/operationId")),
            method = escape(method),
        );
        out.push_str(&prose(text(operation, "/description")));
        out.push_str(&self.credentials());
        out.push_str(&self.parameters());
        out.push_str(&self.body());
        out.push_str(&self.answers());
        out.push_str("</div>\n</details>\n");
        out
    }

    fn credentials(&self) -> String {
        let all = self.operation.get("security").and_then(Value::as_array).into_iter().flatten();
        let all: Vec<_> = all.filter_map(Value::as_object).collect();
        let open = all.iter().any(|one| one.is_empty());
        let link = |name: &String| {
            format!("<a href=\"#credential-{}\">{}</a>", anchor(name), escape(&words_of(name)))
        };
        let names: Vec<_> = all.iter().flat_map(|one| one.keys()).map(link).collect();
        match (names.is_empty(), open) {
            (true, _) => "<p class=\"who\">For everybody.</p>\n".to_owned(),
            (false, true) => format!("<p class=\"who\">For everybody; looks at: {}.</p>\n", names.join(", ")),
            (false, false) => format!("<p class=\"who\">For: {}.</p>\n", names.join(", ")),
        }
    }

    fn parameters(&self) -> String {
        let all = self.operation.get("parameters").and_then(Value::as_array);
        let mut rows = String::new();
        for parameter in all.into_iter().flatten() {
            let mut shown = parameter.get("schema").cloned().unwrap_or_default();
            let words = format!("{} ({})", text(parameter, "/description"), text(parameter, "/in"));
            if let Some(object) = shown.as_object_mut() {
                object.insert("description".to_owned(), words.into());
            }
            let is_required = parameter.get("required") == Some(&Value::Bool(true));
            rows.push_str(&schema::row(text(parameter, "/name"), is_required, &shown));
        }
        if rows.is_empty() {
            return rows;
        }
        format!(
            "<h3>Parameters</h3>\n<div class=\"wide\"><table><thead><tr><th scope=\"col\">Name</th>\
             <th scope=\"col\">Type</th><th scope=\"col\">Meaning</th></tr></thead><tbody>\n{rows}</tbody></table></div>\n"
        )
    }

    fn body(&self) -> String {
        let content = self.operation.pointer("/requestBody/content").and_then(Value::as_object);
        let mut out = String::new();
        let mut forms = content.into_iter().flatten().peekable();
        if forms.peek().is_some() {
            out.push_str("<h3>Body</h3>\n");
        }
        for (form, content) in forms {
            let _ = writeln!(out, "<p>{} as <code>{}</code></p>", kind_of(content), escape(form));
            if form == "application/json" {
                let members = content.get("schema").map(|schema| schema::table(self.document, schema));
                out.push_str(&members.unwrap_or_default());
                out.push_str(&example(content));
            }
        }
        out
    }

    fn answers(&self) -> String {
        let all = self.operation.get("responses").and_then(Value::as_object);
        let mut out = "<h3>Answers</h3>\n<dl class=\"answers\">\n".to_owned();
        for (status, answer) in all.into_iter().flatten() {
            let _ = writeln!(out, "<dt>{}</dt>\n<dd>", escape(status));
            out.push_str(&prose(text(answer, "/description")));
            let is_refusal = status.starts_with(['4', '5']);
            let content = answer.get("content").and_then(Value::as_object);
            for (form, content) in content.into_iter().flatten().filter(|_| !is_refusal) {
                let _ = writeln!(out, "<p>{} as <code>{}</code></p>", kind_of(content), escape(form));
                out.push_str(&example(content));
            }
            let headers = answer.get("headers").and_then(Value::as_object);
            for (name, header) in headers.into_iter().flatten().filter(|_| !is_refusal) {
                let _ = writeln!(
                    out,
                    "<p><code>{}</code>: {}</p>",
                    escape(name),
                    inline(text(header, "/description"))
                );
            }
            out.push_str("</dd>\n");
        }
        out.push_str("</dl>\n");
        out
    }
}

fn kind_of(content: &Value) -> String {
    content.get("schema").map_or_else(String::new, schema::kind)
}

/// An example, folded away: armour is long.
fn example(content: &Value) -> String {
    let Some(value) = content.get("example") else { return String::new() };
    let text = serde_json::to_string_pretty(value).unwrap_or_default();
    format!(
        "<details class=\"example\"><summary>Example</summary><pre tabindex=\"0\">{}</pre></details>\n",
        escape(&text)
    )
}

fn schemas(document: &Value) -> String {
    let mut out = "<section>\n<h2 id=\"schemas\">Schemas</h2>\n".to_owned();
    let all = document.pointer("/components/schemas").and_then(Value::as_object);
    for (name, shown) in all.into_iter().flatten() {
        let _ = write!(out, "<section class=\"schema\" id=\"schema-{0}\">\n<h3>{0}</h3>\n", escape(name));
        out.push_str(&prose(text(shown, "/description").trim()));
        let table = schema::table(document, shown);
        let limits = schema::limits(shown);
        if table.is_empty() || !limits.is_empty() {
            let limits = if limits.is_empty() { limits } else { format!(": {limits}") };
            let _ = writeln!(out, "<p class=\"form\">{}{limits}</p>", schema::kind(shown));
        }
        out.push_str(&table);
        out.push_str("</section>\n");
    }
    out.push_str("</section>\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openapi::Description;

    #[test]
    fn attack_page_that_loads_or_runs_something() {
        let page =
            String::from_utf8(Description::of("https://auth.example.com").unwrap().page.to_vec()).unwrap();
        assert!(page.contains(STYLE));
        for never in [
            "<script",
            "<img",
            "<link",
            "<iframe",
            "<form",
            " style=",
            " onclick=",
            " onload=",
            " onerror=",
            "src=",
            "@import",
            "url(",
        ] {
            assert!(!page.contains(never), "{never}");
        }
        assert!(!page.contains("href=\"http"), "nothing leads elsewhere");
        assert!(
            policy().starts_with("default-src 'none'; style-src 'sha256-") && !policy().contains("unsafe")
        );
    }

    #[test]
    fn every_link_leads_somewhere() {
        let page =
            String::from_utf8(Description::of("https://auth.example.com").unwrap().page.to_vec()).unwrap();
        let targets: Vec<_> =
            page.split("href=\"#").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert!(targets.len() > 100);
        for target in targets {
            assert_eq!(page.matches(&format!("id=\"{target}\"")).count(), 1, "{target}");
        }
    }

    #[test]
    fn attack_markup_in_the_base_url() {
        let page = of(&serde_json::json!({"servers": [{"url": "<script>"}], "info": {"title": "<script>"}}));
        assert!(!page.contains("<script"));
    }
}
