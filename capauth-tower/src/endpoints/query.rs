//! What stands behind the `?`.

use capauth_protocol::limits::MAX_BODY;
use http::request::Parts;

use crate::redirect::percent_decode;
use crate::refuse::Failure;

/// The longest query that is read; a token fits.
const MAX_QUERY: usize = 16 * 1024;

/// The most parameters that are read: no call knows as many.
const MAX_PAIRS: usize = 64;

/// The parameters of a query, each at most once where it is asked for.
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn of(parts: &Parts) -> Result<Self, Failure> {
        Self::parse(parts.uri.query().unwrap_or_default(), MAX_QUERY)
    }

    /// The same of a form's body, which is written alike.
    pub(super) fn of_form(body: &[u8]) -> Result<Self, Failure> {
        Self::parse(form_text(body)?, MAX_QUERY)
    }

    /// The same of a page's form, which holds certificates and signatures.
    pub(super) fn of_page_form(body: &[u8]) -> Result<Self, Failure> {
        Self::parse(form_text(body)?, MAX_BODY)
    }

    fn parse(query: &str, most: usize) -> Result<Self, Failure> {
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        if query.len() > most || pairs.clone().nth(MAX_PAIRS).is_some() {
            return Err(Failure::invalid("The query is too long."));
        }
        let decode = |text: &str| {
            let text = text.replace('+', " ");
            String::from_utf8(percent_decode(text.as_bytes()))
                .map_err(|_| Failure::invalid("The query is not UTF-8."))
        };
        pairs
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                Ok((decode(name)?, decode(value)?))
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The value of a parameter, `None` if it is absent or empty.
    pub(super) fn get(&self, name: &str) -> Result<Option<&str>, Failure> {
        let mut values = self.0.iter().filter(|(own, _)| own == name).map(|(_, value)| value.as_str());
        match (values.next(), values.next()) {
            (value, None) => Ok(value.filter(|value| !value.is_empty())),
            (_, Some(_)) => Err(Failure::invalid("A parameter of the query stands there twice.")),
        }
    }

    /// A parameter that is a whole number.
    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, Failure> {
        let number = |value: &str| match value.parse() {
            Ok(number) if value.bytes().all(|byte| byte.is_ascii_digit()) => Ok(number),
            _ => Err(Failure::invalid("A parameter of the query should be a whole number, and is none.")),
        };
        self.get(name)?.map(number).transpose()
    }

    /// A parameter that is true or false, and false when absent.
    pub(super) fn flag(&self, name: &str) -> Result<bool, Failure> {
        match self.get(name)? {
            None | Some("false" | "0") => Ok(false),
            Some("true" | "1") => Ok(true),
            Some(_) => {
                Err(Failure::invalid("A parameter of the query should be `true` or `false`, and is neither."))
            }
        }
    }
}

fn form_text(body: &[u8]) -> Result<&str, Failure> {
    str::from_utf8(body).map_err(|_| Failure::invalid("The form is not UTF-8."))
}

/// Every parameter, for the fuzz targets.
#[cfg(feature = "fuzzing")]
pub(crate) fn pairs(query: &[u8]) -> Option<Vec<(String, String)>> {
    Query::of_form(query).ok().map(|query| query.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Query {
        let (parts, ()) = http::Request::get(format!("/?{text}")).body(()).unwrap().into_parts();
        Query::of(&parts).unwrap_or_else(|_| panic!("{text}"))
    }

    #[test]
    fn parameters_are_read_strictly() {
        let good = query("a=1&b=%41+b&c=&d=true&&e");
        assert_eq!(good.number("a").unwrap(), Some(1));
        assert_eq!(good.get("b").unwrap(), Some("A b"));
        assert_eq!(good.get("c").unwrap(), None);
        assert_eq!(good.get("e").unwrap(), None);
        assert!(good.flag("d").unwrap() && !good.flag("x").unwrap());
        let bad = query("a=1&a=1&b=-1&c=+1&d=yes&f=99999999999999999999999");
        assert!(bad.get("a").is_err() && bad.number("b").is_err() && bad.number("c").is_err());
        assert!(bad.flag("d").is_err() && bad.number("f").is_err());
    }
}
