//! Reading `responseFilter` and `failureFilter`, and every EventFilter inside a spec.

use filter::{Dialect, Filter, FilterOptions, json};
use retry::status::{StatusPattern, StatusSet};

use super::super::response_filter::{ResponseFilter, StatusFilter};
use super::Decoder;
use filter::decode::{Place, child, describe, field, known_members};

impl Decoder<'_> {
    pub(super) fn failure_filter(&mut self, place: Place<'_>) -> Option<ResponseFilter> {
        let filter = self.response_filter(place)?;
        if filter == ResponseFilter::default() {
            self.problems.warn(
                place,
                "this failure filter accepts every response",
                "the poll will fail at its first response; name a status, header or body that means failure",
            );
        }
        Some(filter)
    }

    pub(super) fn response_filter(&mut self, place: Place<'_>) -> Option<ResponseFilter> {
        let known = ["status", "headers", "header", "body"];
        let fields = known_members(place, "an object of status, headers, body", &known, &mut self.problems)?;
        let (plural, alias) = (field(&fields, "headers"), field(&fields, "header"));
        if let (Some(_), Some(alias)) = (plural, alias) {
            let help = "\"header\" is another name for \"headers\"; put all of it into \"headers\"";
            self.problems.error_with_help(alias.place(), "both \"headers\" and \"header\" are given", help);
            return None;
        }
        let status = field(&fields, "status").map(|given| self.status_filter(given.place()));
        let headers = plural.or(alias).map(|given| {
            let node = lower_case_names(given.node);
            self.filter(Place { node: &node, pointer: &given.pointer })
        });
        let body = field(&fields, "body").map(|given| self.filter(given.place()));
        Some(ResponseFilter {
            status: match status {
                Some(status) => status?,
                None => None,
            },
            headers: match headers {
                Some(headers) => Some(headers?),
                None => None,
            },
            body: match body {
                Some(body) => Some(body?),
                None => None,
            },
        })
    }

    /// `Some(None)` is "any status": the empty list of the trigger-dev dialect.
    fn status_filter(&mut self, place: Place<'_>) -> Option<Option<StatusFilter>> {
        let elements = match &place.node.kind {
            json::Kind::Array(elements) => elements.as_slice(),
            _ => std::slice::from_ref(place.node),
        };
        if elements.is_empty() {
            if self.dialect == Dialect::TriggerDev {
                return Some(None);
            }
            let help = "leave \"status\" out to accept any";
            self.problems.error_with_help(place, "found an empty array, expected at least one status", help);
            return None;
        }
        let mut patterns = Vec::with_capacity(elements.len());
        for (index, element) in elements.iter().enumerate() {
            let pointer = match &place.node.kind {
                json::Kind::Array(_) => child(place.pointer, &index.to_string()),
                _ => place.pointer.to_owned(),
            };
            let element = Place { node: element, pointer: &pointer };
            let status = match element.whole() {
                Some(number) => Some(number.to_string()),
                None => element.text().map(str::to_owned),
            };
            match status.map(|text| text.parse::<StatusPattern>()) {
                Some(Ok(pattern)) => patterns.push(pattern),
                _ => self.problems.error(
                    element,
                    format!(
                        "found {}, expected a status (200), a class (\"2xx\") or a range (\"500-599\")",
                        describe(element.node)
                    ),
                ),
            }
        }
        (patterns.len() == elements.len()).then(|| Some(StatusFilter::new(StatusSet::from_iter(patterns))))
    }

    pub(super) fn filter(&mut self, place: Place<'_>) -> Option<Filter> {
        let options = FilterOptions::new().dialect(self.dialect).limits(self.limits.filter.clone());
        match options.compile_at(place.node, place.pointer) {
            Ok(filter) => {
                self.problems.warnings.extend_from_slice(filter.warnings());
                Some(filter)
            }
            Err(error) => {
                self.problems.errors.extend_from_slice(error.diagnostics());
                None
            }
        }
    }
}

/// The same filter with the field names of its own level in lower case, as header names are compared.
fn lower_case_names(node: &json::Node) -> json::Node {
    let json::Kind::Object(members) = &node.kind else { return node.clone() };
    let members = members
        .iter()
        .map(|member| {
            let value = match &member.value.kind {
                json::Kind::Array(filters) if matches!(member.key.as_str(), "$or" | "$and" | "$nor") => {
                    json::Node {
                        span: member.value.span,
                        kind: json::Kind::Array(filters.iter().map(lower_case_names).collect()),
                    }
                }
                _ => member.value.clone(),
            };
            json::Member { key: member.key.to_ascii_lowercase(), key_span: member.key_span, value }
        })
        .collect();
    json::Node { span: node.span, kind: json::Kind::Object(members) }
}
