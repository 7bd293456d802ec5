//! Bids and campaigns: the kind of work that [`a_tree`](crate::a_tree) is made for. Integers, strings out of a list, lists that
//! have one of some elements, `or` in `and`; each rule is an EventBridge pattern and an expression.
//!
//! The number of bids that each rule matches is counted with plain comparisons, so that no engine is checked against itself.

use a_tree::{AttributeDefinition, EventBuilder, EventError};
use benches::rng::Rng;
use serde::Deserialize;
use serde_json::json;

use crate::a_tree::{Expressions, NAMES};
use crate::args::Args;
use crate::engine::Engine;

const COUNTRIES: [&str; 30] = [
    "AR", "AT", "AU", "BE", "BR", "CA", "CH", "CL", "CN", "CZ", "DE", "DK", "ES", "FI", "FR", "GB", "GR",
    "IE", "IN", "IT", "JP", "KR", "MX", "NL", "NO", "NZ", "PL", "PT", "SE", "US",
];

/// The number of events.
const BIDS: usize = 1000;

/// The numbers of rules.
pub(crate) const RULES: [usize; 2] = [1_000, 10_000];

struct Bid {
    exchange: i64,
    country: &'static str,
    price: i64,
    private: bool,
    deals: Vec<String>,
    segments: Vec<i64>,
}

impl Bid {
    fn random(rng: &mut Rng) -> Self {
        Self {
            exchange: number(rng, 1, 50),
            country: rng.choice(&COUNTRIES),
            price: number(rng, 1, 10_000),
            private: rng.within(0, 1) == 1,
            deals: (0..rng.within(0, 4)).map(|_| deal(rng)).collect(),
            segments: (0..rng.within(0, 10)).map(|_| number(rng, 1, 2000)).collect(),
        }
    }

    fn json(&self) -> String {
        let Self { exchange, country, price, private, deals, segments } = self;
        json!({
            "exchange": exchange, "country": country, "price": price, "private": private,
            "imp": {"w": 300, "h": 250, "secure": 1}, "deals": deals, "segments": segments,
        })
        .to_string()
    }
}

/// A bid of this exchange and one of these countries, at this price or a higher one, with one of the deals or segments; if it says
/// so, not a private one.
struct Campaign {
    exchange: i64,
    countries: Vec<&'static str>,
    price: i64,
    public: bool,
    deals: Vec<String>,
    segments: Vec<i64>,
}

impl Campaign {
    fn random(rng: &mut Rng) -> Self {
        Self {
            exchange: number(rng, 1, 50),
            countries: (0..rng.within(1, 6)).map(|_| rng.choice(&COUNTRIES)).collect(),
            price: number(rng, 1, 10_000),
            public: rng.within(0, 3) == 0,
            deals: (0..rng.within(1, 5)).map(|_| deal(rng)).collect(),
            segments: (0..rng.within(1, 20)).map(|_| number(rng, 1, 2000)).collect(),
        }
    }

    fn matches(&self, bid: &Bid) -> bool {
        self.exchange == bid.exchange
            && self.countries.contains(&bid.country)
            && bid.price >= self.price
            && !(self.public && bid.private)
            && (bid.deals.iter().any(|deal| self.deals.contains(deal))
                || bid.segments.iter().any(|segment| self.segments.contains(segment)))
    }

    fn pattern(&self) -> String {
        let Self { exchange, countries, price, public, deals, segments } = self;
        let mut pattern = json!({
            "exchange": [exchange], "country": countries, "price": [{"numeric": [">=", price]}],
            "$or": [{"deals": deals}, {"segments": segments}],
        });
        if *public {
            pattern["private"] = json!([false]);
        }
        pattern.to_string()
    }

    fn expression(&self) -> String {
        let Self { exchange, countries, price, public, deals, segments } = self;
        let public = if *public { " and not private" } else { "" };
        // Debug of these lists is how the language writes them.
        format!(
            "exchange = {exchange} and country in {countries:?} and price >= {price}{public} \
             and (deals one of {deals:?} or segments one of {segments:?})"
        )
    }
}

fn number(rng: &mut Rng, low: usize, high: usize) -> i64 {
    rng.within(low, high) as i64
}

fn deal(rng: &mut Rng) -> String {
    format!("deal-{}", rng.within(1, 500))
}

/// Events and rules.
pub(crate) struct Bids {
    pub(crate) events: Vec<String>,
    /// EventBridge patterns.
    pub(crate) rules: Vec<String>,
    pub(crate) expected: Vec<u64>,
    expressions: Vec<String>,
}

impl Bids {
    pub(crate) fn new(rules: usize) -> Self {
        let mut rng = Rng::new(17);
        let bids: Vec<Bid> = (0..BIDS).map(|_| Bid::random(&mut rng)).collect();
        let campaigns: Vec<Campaign> = (0..rules).map(|_| Campaign::random(&mut rng)).collect();
        let count = |campaign: &Campaign| bids.iter().filter(|bid| campaign.matches(bid)).count() as u64;
        Self {
            events: bids.iter().map(Bid::json).collect(),
            rules: campaigns.iter().map(Campaign::pattern).collect(),
            expected: campaigns.iter().map(count).collect(),
            expressions: campaigns.iter().map(Campaign::expression).collect(),
        }
    }

    /// The engines of expressions.
    pub(crate) fn engines(&self, args: &Args) -> Vec<Box<dyn Engine>> {
        let attributes = [
            AttributeDefinition::integer("exchange"),
            AttributeDefinition::string("country"),
            AttributeDefinition::integer("price"),
            AttributeDefinition::boolean("private"),
            AttributeDefinition::string_list("deals"),
            AttributeDefinition::integer_list("segments"),
        ];
        expressions(args, &attributes, &self.expressions, read)
    }
}

/// Both engines of expressions.
pub(crate) fn expressions(
    args: &Args,
    attributes: &[AttributeDefinition],
    texts: &[String],
    read: crate::a_tree::Read,
) -> Vec<Box<dyn Engine>> {
    let mut engines: Vec<Box<dyn Engine>> = Vec::new();
    for (name, once) in NAMES.into_iter().zip([false, true]) {
        if args.wants_engine(name) {
            match Expressions::build(attributes, texts.iter().map(String::as_str), read, once) {
                Ok(engine) => engines.push(Box::new(engine)),
                Err(error) => eprintln!("{name} does not support these rules: {error}"),
            }
        }
    }
    engines
}

fn read(bytes: &[u8], event: &mut EventBuilder<'_>) -> Result<(), EventError> {
    #[derive(Deserialize)]
    struct Fields<'a> {
        exchange: i64,
        country: &'a str,
        price: i64,
        private: bool,
        #[serde(borrow)]
        deals: Vec<&'a str>,
        segments: Vec<i64>,
    }
    let fields: Fields<'_> = serde_json::from_slice(bytes).expect("the events are bids");
    event.with_integer("exchange", fields.exchange)?;
    event.with_string("country", fields.country)?;
    event.with_integer("price", fields.price)?;
    event.with_boolean("private", fields.private)?;
    event.with_string_list("deals", &fields.deals)?;
    event.with_integer_list("segments", &fields.segments)
}

/// Two exact fields of city lots, as expressions.
pub(crate) fn lots(args: &Args, rules: &[String]) -> Vec<Box<dyn Engine>> {
    let attributes = [AttributeDefinition::string("lot"), AttributeDefinition::string("street")];
    let expression = |rule: &String| {
        let rule: serde_json::Value = serde_json::from_str(rule).expect("the rules are JSON");
        let properties = &rule["properties"];
        format!("lot = {} and street = {}", properties["BLKLOT"][0], properties["STREET"][0])
    };
    let texts: Vec<String> = rules.iter().map(expression).collect();
    expressions(args, &attributes, &texts, read_lot)
}

fn read_lot(bytes: &[u8], event: &mut EventBuilder<'_>) -> Result<(), EventError> {
    #[derive(Deserialize)]
    struct Lot<'a> {
        #[serde(borrow)]
        properties: Properties<'a>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "UPPERCASE")]
    struct Properties<'a> {
        blklot: Option<&'a str>,
        street: Option<&'a str>,
    }
    let Lot { properties } = serde_json::from_slice(bytes).expect("the events are lots");
    if let Some(lot) = properties.blklot {
        event.with_string("lot", lot)?;
    }
    properties.street.map_or(Ok(()), |street| event.with_string("street", street))
}
