//! Checks the generated data on a small sample; `compare` checks all of it.

use filter::{Dialect, FilterOptions};

use crate::city_lots::{COUNT, CityLots};
use crate::groups;
use crate::rules::{RuleSet, Rules};

#[test]
fn samples_contain_smaller_samples() {
    let few = CityLots::sample(100);
    let more = CityLots::sample(400);
    assert_eq!((few.len(), more.len(), CityLots::sample(COUNT + 1).len()), (100, 400, COUNT));
    let more = more.events();
    let common = few.events().iter().filter(|event| more.iter().any(|other| other == *event)).count();
    assert_eq!(common, 100, "the events of the smaller sample are in the larger one");
}

#[test]
fn events_have_the_average_length_of_the_published_data() {
    let events = CityLots::sample(20_000).events();
    let average = events.text().len() / events.len();
    assert!((930..=990).contains(&average), "960 bytes on average, here {average}");
}

#[test]
fn rules_match_the_expected_numbers_of_events() {
    let lots = CityLots::sample(2_000);
    let rules = Rules::new(&lots);
    for (name, set) in [("exact2", rules.exact2(200)), ("mixed", rules.mixed(200)), ("wild", rules.wild(50))]
    {
        assert_eq!(set.expected, count(&lots, &set.rules), "{name}");
        assert!(set.expected.iter().filter(|count| **count > 0).count() >= set.rules.len() / 2, "{name}");
    }
}

#[test]
fn half_of_many_exact_rules_match_an_event() {
    let lots = CityLots::sample(2_000);
    let RuleSet { rules, expected } = Rules::new(&lots).exact2(1_000);
    assert_eq!(rules.len(), 1_000);
    assert_eq!(expected.iter().filter(|count| **count > 0).count(), 500);
}

#[test]
fn groups_have_a_count_for_each_rule() {
    let groups = groups::all();
    for group in &groups {
        assert_eq!(group.rules.len(), group.expected.len(), "{}", group.name);
    }
    let sizes = ["SINGLE", "LATE", "EXACT", "MIX30", "MIX35"]
        .map(|name| groups.iter().find(|group| group.name == name).map_or(0, |group| group.rules.len()));
    assert_eq!(sizes, [1, 1, 5, 30, 35]);
}

/// The number of events that each pattern matches by itself, on parsed events.
fn count(lots: &CityLots, rules: &[String]) -> Vec<u64> {
    let options = FilterOptions::new().dialect(Dialect::EventBridge);
    let filters: Vec<_> = rules.iter().map(|rule| options.parse(rule).unwrap()).collect();
    let mut counts = vec![0; rules.len()];
    for event in lots.events().iter() {
        let event = serde_json::from_slice(event).unwrap();
        for (count, filter) in counts.iter_mut().zip(&filters) {
            *count += u64::from(filter.matches(&event));
        }
    }
    counts
}
