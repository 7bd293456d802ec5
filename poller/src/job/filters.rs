//! `responseFilter` and `failureFilter`: the accepted responses, by status, headers, body, text. Each part that is given
//! must hold. Every EventFilter of a spec is read here.

use std::num::NonZeroU32;

use filter::decode::{Place, field, known_members};
use filter::json::{Kind, Member, Node};
use filter::{Dialect, Filter, FilterOptions};
use serde_json::{Value, json};

use super::read::Reader;
use super::schema::{given, object};
use super::statuses::{self, StatusFilter};

/// A `responseFilter` or `failureFilter`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ResponseFilter {
    /// The accepted statuses. A filter that names none has those of its member: [`StatusFilter::success`] in a
    /// `responseFilter`, [`StatusFilter::about_the_job`] in a `failureFilter`.
    pub status: StatusFilter,
    /// The filter of the headers, as an object of lower-cased names and strings.
    pub headers: Option<Filter>,
    /// The filter of the JSON body. A body that is not JSON is not accepted.
    pub body: Option<Filter>,
    /// The filter of the body as text, whatever its type, as an object with the member `text`.
    pub text: Option<Filter>,
    /// How many responses in a row it must accept.
    pub consecutive: NonZeroU32,
}

/// Which of the two members a filter is: the statuses of a filter that names none differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Response,
    Failure,
}

impl Role {
    fn statuses(self) -> StatusFilter {
        match self {
            Self::Response => StatusFilter::success(),
            Self::Failure => StatusFilter::about_the_job(),
        }
    }
}

impl ResponseFilter {
    /// Accepts any 2xx but 202: the meaning of a spec without a `responseFilter`.
    #[must_use]
    pub fn success() -> Self {
        Self::of(StatusFilter::done())
    }

    /// Whether it accepts what a spec without a `responseFilter` does.
    pub(crate) fn is_default(&self) -> bool {
        self.is_by_status() && self.status == StatusFilter::done()
    }

    fn of(status: StatusFilter) -> Self {
        Self { status, headers: None, body: None, text: None, consecutive: NonZeroU32::MIN }
    }

    /// Whether it looks at nothing but the status.
    fn is_by_status(&self) -> bool {
        self.headers.is_none() && self.body.is_none() && self.text.is_none()
    }

    pub(super) fn to_value(&self, role: Role) -> Value {
        let text = self.text.as_ref().map(|filter| filter.to_value()["text"].take());
        given([
            ("status", (self.status != role.statuses()).then(|| self.status.to_value())),
            ("headers", self.headers.as_ref().map(Filter::to_value)),
            ("body", self.body.as_ref().map(Filter::to_value)),
            ("text", text),
            ("consecutive", (self.consecutive > NonZeroU32::MIN).then(|| self.consecutive.get().into())),
        ])
    }
}

/// Reads a `failureFilter`.
pub(super) fn read_failure(reader: &mut Reader<'_>, place: Place<'_>) -> Option<Option<ResponseFilter>> {
    let filter = reader.response_filter(place, Role::Failure)?;
    if filter.is_by_status() && (filter.status == Role::Failure.statuses() || filter.status.is_all()) {
        reader.problems.warn(
            place,
            "this failure filter accepts every response of a healthy server",
            "the poll will fail at its first response; name a status, header or body that means failure",
        );
    }
    Some(Some(filter))
}

impl Reader<'_> {
    pub(super) fn response_filter(&mut self, place: Place<'_>, role: Role) -> Option<ResponseFilter> {
        let known = ["status", "headers", "header", "body", "text", "consecutive"];
        let expected = "an object of status, headers, body, text, consecutive";
        let fields = known_members(place, expected, &known, &mut self.problems)?;
        let (plural, alias) = (field(&fields, "headers"), field(&fields, "header"));
        if let (Some(_), Some(alias)) = (plural, alias) {
            let help = "\"header\" is another name for \"headers\"; put all of it into \"headers\"";
            return self.refuse_with_help(alias.place(), "both \"headers\" and \"header\" are given", help);
        }
        let status = field(&fields, "status").and_then(|given| self.status_filter(given.place()));
        let headers = plural.or(alias).and_then(|given| {
            self.refuse_conditions_on_all_headers(given.place())?;
            let mut node = lower_case_names(given.node);
            if self.dialect == Dialect::Native {
                lower_case_references(&mut node);
            }
            self.filter(Place { node: &node, pointer: &given.pointer })
        });
        let body = field(&fields, "body").and_then(|given| {
            let filter = self.filter(given.place())?;
            self.warn_of_empty_answers(given.place(), &filter, role);
            Some(filter)
        });
        let text = field(&fields, "text").and_then(|given| {
            let member = Member { key: "text".to_owned(), key_span: None, value: given.node.clone() };
            let node = Node { span: given.node.span, kind: Kind::Object(vec![member]) };
            self.filter(Place { node: &node, pointer: place.pointer })
        });
        let consecutive = field(&fields, "consecutive").and_then(|given| self.consecutive(given.place()));
        Some(ResponseFilter {
            status: status.unwrap_or_else(|| role.statuses()),
            headers,
            body,
            text,
            consecutive: consecutive.unwrap_or(NonZeroU32::MIN),
        })
    }

    fn consecutive(&mut self, place: Place<'_>) -> Option<NonZeroU32> {
        self.count(place, "a whole number from 1: how many responses in a row must match")
    }

    /// A whole number from 1.
    pub(super) fn count(&mut self, place: Place<'_>, expected: &str) -> Option<NonZeroU32> {
        let number = place.whole().and_then(|number| u32::try_from(number).ok()).and_then(NonZeroU32::new);
        number.or_else(|| self.expected(place, expected))
    }

    /// Warns of a body filter that an answer without its fields would satisfy.
    fn warn_of_empty_answers(&mut self, place: Place<'_>, filter: &Filter, role: Role) {
        let has_conditions = match &place.node.kind {
            Kind::Object(members) => !members.is_empty(),
            Kind::Array(_) => true,
            _ => false,
        };
        let empty = [("{}", json!({})), ("[]", json!([]))].into_iter().find(|(_, body)| filter.matches(body));
        if let (true, Some((body, _))) = (has_conditions, empty) {
            let effect = match role {
                Role::Response => "end the poll as matched",
                Role::Failure => "fail the poll",
            };
            self.problems.warn(
                place,
                format!("the body {body} satisfies these conditions, so an empty answer would {effect}"),
                "name the value that is waited for, or add a field that each real answer has: \
                 \"id\": {\"$exists\": true}",
            );
        }
    }

    /// The native dialect also has conditions on an event itself, but nothing can be asked of all headers together.
    fn refuse_conditions_on_all_headers(&mut self, place: Place<'_>) -> Option<()> {
        let is_operator = |member: &Member| {
            let key = member.key.as_str();
            key.starts_with('$') && !key.starts_with("$$") && !matches!(key, "$or" | "$and" | "$nor")
        };
        let found = match &place.node.kind {
            Kind::Array(_) => "an array",
            Kind::Object(members) if members.iter().any(is_operator) => "an operator",
            _ => return Some(()),
        };
        if self.dialect != Dialect::Native {
            return Some(());
        }
        let message = format!("found {found}, expected names of headers");
        self.refuse_with_help(place, message, "write {\"name-of-a-header\": condition}")
    }

    /// Compiles a filter in the dialect of the spec.
    pub(super) fn filter(&mut self, place: Place<'_>) -> Option<Filter> {
        let options = FilterOptions::new().dialect(self.dialect).limits(self.limits().filter.clone());
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
fn lower_case_names(node: &Node) -> Node {
    let Kind::Object(members) = &node.kind else { return node.clone() };
    let members = members.iter().map(|member| {
        let value = match &member.value.kind {
            Kind::Array(filters) if matches!(member.key.as_str(), "$or" | "$and" | "$nor") => Node {
                span: member.value.span,
                kind: Kind::Array(filters.iter().map(lower_case_names).collect()),
            },
            _ => member.value.clone(),
        };
        Member { key: member.key.to_ascii_lowercase(), key_span: member.key_span, value }
    });
    Node { span: node.span, kind: Kind::Object(members.collect()) }
}

/// Lowers the header names that references name, at any depth. The depth of a document is limited.
fn lower_case_references(node: &mut Node) {
    match &mut node.kind {
        Kind::Object(members) => {
            for member in members {
                match (&*member.key, &mut member.value.kind) {
                    ("$ref", Kind::String(pointer)) => pointer.make_ascii_lowercase(),
                    _ => lower_case_references(&mut member.value),
                }
            }
        }
        Kind::Array(items) => items.iter_mut().for_each(lower_case_references),
        _ => {}
    }
}

pub(super) fn schema(dialect: Dialect) -> Value {
    let filter = json!({"$ref": format!("urn:filter:{dialect}")});
    // Not conditions on all headers together.
    let names = match dialect {
        Dialect::Native => json!({"$ref": "urn:filter:native#/$defs/filter"}),
        _ => filter.clone(),
    };
    let mut alias = names.clone();
    alias["description"] = "another name for headers".into();
    let mut text = json!({"$ref": format!("urn:filter:{dialect}#/$defs/node")});
    text["description"] = "conditions on the body as text, whatever its type".into();
    let consecutive = json!({
        "description": "how many responses in a row must match",
        "type": "integer", "minimum": 1, "maximum": u32::MAX, "default": 1,
    });
    let mut status = statuses::schema(dialect);
    status["description"] = "the accepted statuses; \"all\" for any".into();
    let mut schema = object(
        json!({
            "status": status, "headers": names, "header": alias, "body": filter, "text": text,
            "consecutive": consecutive,
        }),
        &[],
    );
    schema["not"] = json!({"required": ["headers", "header"]});
    schema
}
