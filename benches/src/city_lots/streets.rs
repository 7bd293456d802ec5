//! The columns of an address: street, kind of street, house number, side of the street.
//!
//! Neighbours share a street, so streets come in runs. The streets that rules name occur a fixed number of times, and no other
//! street begins or ends like these.

use crate::rng::Rng;

/// The streets that rules name, and how often each occurs.
const COUNTED: [(&str, usize); 32] = [
    ("ACADIA", 14),
    ("ACCESS", 10),
    ("BLANKEN", 250),
    ("BLYTHDALE", 122),
    ("BLAKE", 70),
    ("DRUMM", 13),
    ("DRAPER", 25),
    ("FULTON", 1910),
    ("FUNSTON", 477),
    ("RHODE ISLAND", 320),
    ("RHINE", 8),
    ("JEFFERSON", 131),
    ("MASON", 2657),
    ("MASONIC", 293),
    ("MOULTON", 22),
    ("MISSION", 6000),
    ("WASHINGTON", 2100),
    ("HARRISON", 1500),
    ("JACKSON", 1700),
    ("CLAYTON", 900),
    ("EDISON", 24),
    ("LAKE", 700),
    ("CLARKE", 101),
    ("IRVING", 1400),
    ("LANSING", 563),
    ("SANTIAGO", 682),
    ("BEACH", 211),
    ("BIRCH", 9),
    ("HYDE", 1758),
    ("CHESTNUT", 825),
    ("CRANLEIGH", 7),
    ("STOCKTON", 500),
];

/// The number of events without a street.
const NO_STREET: usize = 600;

/// Other streets, separated by commas.
const OTHERS: &str = "\
    UNKNOWN, GREENWICH, CABRILLO, TURK, LARKIN, COLUMBUS, TAYLOR, LEAVENWORTH, BAY, NORTH POINT, VAN NESS, MARKET, \
    CALIFORNIA, GEARY, BALBOA, ANZA, LINCOLN, JUDAH, KIRKHAM, MORAGA, NORIEGA, ORTEGA, PACHECO, QUINTARA, RIVERA, \
    TARAVAL, ULLOA, VICENTE, WAWONA, YORBA, SLOAT, OCEAN, GENEVA, ALEMANY, SILVER, PERSIA, EXCELSIOR, BRAZIL, \
    NAPLES, VIENNA, PARIS, EDINBURGH, MADRID, ATHENS, MUNICH, PRAGUE, CORDOVA, GUERRERO, VALENCIA, DOLORES, \
    CHURCH, SANCHEZ, NOE, CASTRO, DIAMOND, DOUGLASS, EUREKA, COLLINGWOOD, HARTFORD, FOLSOM, BRYANT, BRANNAN, \
    TOWNSEND, BERRY, HOWARD, NATOMA, MINNA, JESSIE, POST, SUTTER, BUSH, PINE, SACRAMENTO, CLAY, PACIFIC, BROADWAY, \
    VALLEJO, GREEN, FILBERT, LOMBARD, FRANCISCO, POLK, OCTAVIA, LAGUNA, BUCHANAN, WEBSTER, FILLMORE, STEINER, \
    SCOTT, PIERCE, DIVISADERO, BRODERICK, BAKER, CENTRAL, ASHBURY, COLE, SHRADER, STANYAN, ARGUELLO, PALM, JORDAN, \
    COMMONWEALTH, PARKER, EUCLID, LAUREL, LOCUST, SPRUCE, MAPLE, CHERRY, OAK, FELL, HAYES, GROVE, GOLDEN GATE, \
    MCALLISTER, EDDY, ELLIS, OFARRELL, PAGE, HAIGHT, WALLER, FREDERICK, CARL, PARNASSUS, TEXAS, MISSOURI, \
    CONNECTICUT, ARKANSAS, WISCONSIN, CAROLINA, DE HARO, KANSAS, VERMONT, UTAH, POTRERO, HAMPSHIRE, YORK, ALABAMA, \
    TREAT, SHOTWELL, CAPP, BARTLETT, PRECITA, COSO, ELSIE, BOCANA, CORTLAND, EUGENIA, JARBOE, TOMPKINS, OGDEN, \
    CRESCENT, ANDOVER, MOULTRIE, GATES, ELLSWORTH, BANKS, PRENTISS, NEVADA, PERALTA, BRONTE, BAYSHORE, LELAND, \
    SUNNYDALE, ARLETA, TUNNEL, RAYMOND, QUESADA, PALOU, OAKDALE, NEWCOMB, LASALLE, KIRKWOOD, JERROLD, INNES, \
    GALVEZ, FITZGERALD, EGBERT, CARROLL, BANCROFT, ARMSTRONG, WALLACE, UNDERWOOD, THOMAS, SHAFTER, REVERE, PHELPS, \
    QUINT, MENDELL, LANE, KEITH, JENNINGS, INGALLS, HAWES, GRIFFITH, FITCH, SAN JOSE, SAN BRUNO, SANTA CLARA, \
    SANTA ANA, ST FRANCIS";

/// Numbered streets.
const NUMBERED: [&str; 41] = [
    "4TH", "5TH", "6TH", "7TH", "8TH", "9TH", "10TH", "11TH", "12TH", "13TH", "14TH", "15TH", "16TH", "17TH",
    "18TH", "19TH", "20TH", "24TH", "25TH", "26TH", "27TH", "28TH", "29TH", "30TH", "34TH", "35TH", "36TH",
    "37TH", "38TH", "39TH", "40TH", "44TH", "45TH", "46TH", "47TH", "48TH", "21ST", "22ND", "23RD", "31ST",
    "41ST",
];

/// Kinds of street, and how often each occurs; all other events have none.
const KINDS: [(&str, usize); 11] = [
    ("ST", 116_386),
    ("SQ", 15),
    ("CT", 1774),
    ("AVE", 70000),
    ("BLVD", 5200),
    ("DR", 5000),
    ("WAY", 4200),
    ("PL", 1500),
    ("TER", 1800),
    ("LN", 600),
    ("RD", 500),
];

/// The street of each event, if it has one.
pub(super) fn streets(rng: &mut Rng, count: usize) -> Vec<Option<&'static str>> {
    let others: Vec<_> = OTHERS.split(',').map(str::trim).chain(NUMBERED).collect();
    // Most streets are short, a few are long.
    let weights: Vec<_> = others.iter().map(|_| rng.unit().powi(2) + 0.05).collect();
    let total: f64 = weights.iter().sum();
    let mut counts: Vec<_> = COUNTED.into_iter().map(|(name, count)| (Some(name), count)).collect();
    counts.push((None, NO_STREET));
    let rest = count - sum(&counts);
    for (name, weight) in others.into_iter().zip(weights) {
        counts.push((Some(name), (rest as f64 * weight / total) as usize));
    }
    let rounded = count - sum(&counts);
    counts.push((Some("UNKNOWN"), rounded));
    runs(rng, &counts, 40)
}

/// The kind of street of each event, if it has one.
pub(super) fn kinds(rng: &mut Rng, count: usize) -> Vec<Option<&'static str>> {
    let mut counts: Vec<_> = KINDS.into_iter().map(|(kind, count)| (Some(kind), count)).collect();
    let rest = count - sum(&counts);
    counts.push((None, rest));
    runs(rng, &counts, 25)
}

/// House numbers: 2453 are 441, 1524 others begin with 44, and 1560 others end with 41; none of these does both.
pub(super) fn numbers(rng: &mut Rng, count: usize) -> Vec<u32> {
    let mut numbers = vec![441; 2453];
    for _ in 0..1524 {
        numbers.push(rng.choice(&[44, 440, 442, 443, 445, 446, 447, 448, 449, 4410, 4455, 4482]));
    }
    for _ in 0..1560 {
        numbers.push(100 * rng.choice(&[0, 1, 2, 3, 5, 6, 7, 10, 11, 12, 15, 20, 25, 30]) + 41);
    }
    numbers.extend((numbers.len()..count).map(|_| plain_number(rng)));
    rng.shuffle(&mut numbers);
    numbers
}

fn plain_number(rng: &mut Rng) -> u32 {
    loop {
        let (low, high) = rng.choice(&[(1, 99), (100, 999), (100, 999), (1000, 4500)]);
        let number = if rng.chance(0.05) { 0 } else { rng.within(low, high) as u32 };
        if !number.to_string().starts_with("44") && number % 100 != 41 {
            return number;
        }
    }
}

/// The side of the street of each event: `O`, `E` or unknown. In kinds of street other than `ST`, 52,527 are odd or unknown.
pub(super) fn sides(rng: &mut Rng, kinds: &[Option<&str>]) -> Vec<Option<&'static str>> {
    let others: Vec<_> = (0..kinds.len()).filter(|at| kinds[*at] != Some("ST")).collect();
    let mut sides: Vec<_> = kinds
        .iter()
        .map(|kind| Some(if *kind == Some("ST") { rng.choice(&["E", "O"]) } else { "E" }))
        .collect();
    for at in rng.sample(&others, 52_527) {
        sides[at] = rng.chance(0.98).then_some("O");
    }
    sides
}

fn sum<T>(counts: &[(T, usize)]) -> usize {
    counts.iter().map(|(_, count)| count).sum()
}

/// Each value repeated by its count, in runs of at most `longest`, with the runs in random order.
fn runs<T: Copy>(rng: &mut Rng, counts: &[(T, usize)], longest: usize) -> Vec<T> {
    let mut runs = Vec::new();
    for &(value, count) in counts {
        let mut left = count;
        while left > 0 {
            let length = left.min(rng.within(1, longest));
            runs.push((value, length));
            left -= length;
        }
    }
    rng.shuffle(&mut runs);
    runs.into_iter().flat_map(|(value, length)| std::iter::repeat_n(value, length)).collect()
}
