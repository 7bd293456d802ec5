//! The outlines of lots, with the special points that rules name.
//!
//! The x of an outline's first point divides the city into four bands. All points of an outline are in its band, except for one
//! extra point that some outlines have. Rules on any point match these outlines too; rules on the first point do not.

use std::fmt::Write as _;

use crate::rng::Rng;

/// The exact coordinates that rules name.
const X: f64 = -122.42916360922355;
const Y: f64 = 37.729900216217324;

/// A range of x, west to east, and the number of outlines that begin in it.
const BANDS: [(f64, f64, usize); 4] = [
    (-122.5140, -122.46480, 41_895),
    (-122.46460, -122.41610, 107_053),
    (-122.41592, -122.40640, 20_000),
    (-122.40622, -122.3600, 44_120),
];

/// The number of lots in several pieces.
const MULTI: usize = 120;

/// The fixed part of an outline; the rest is random and generated when it is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outline {
    band: u8,
    special: Special,
    multi: bool,
}

#[derive(Clone, Copy, Debug)]
enum Special {
    None,
    /// The first point has the x that rules name.
    First,
    /// A later point has this x, in any band.
    Extra(f64),
    /// A later point has the y that rules name.
    Latitude,
}

pub(super) fn column(rng: &mut Rng, count: usize) -> Vec<Outline> {
    let mut outlines = Vec::with_capacity(count);
    for (band, (.., count)) in (0..).zip(BANDS) {
        outlines.extend((0..count).map(|_| Outline { band, special: Special::None, multi: false }));
    }
    assert_eq!(outlines.len(), count, "the bands hold all outlines");
    rng.shuffle(&mut outlines);

    let all: Vec<_> = (0..count).collect();
    let mut multi = rng.sample(&all, MULTI);
    for at in &multi {
        outlines[*at].multi = true;
    }
    multi.sort_unstable();
    outlines[multi[MULTI / 2]].special = Special::Latitude;

    let single = |outlines: &[Outline], band| -> Vec<usize> {
        all.iter().copied().filter(|at| outlines[*at].band == band && !outlines[*at].multi).collect()
    };
    // Extra points in the neighbouring band, in both directions.
    for at in rng.sample(&single(&outlines, 2), 498) {
        outlines[at].special = Special::Extra(rng.uniform(-122.4190, -122.4170));
    }
    let middle = rng.sample(&single(&outlines, 1), 248 + 218);
    for (nth, at) in middle.into_iter().enumerate() {
        outlines[at].special = match nth {
            0..248 => Special::Extra(rng.uniform(-122.4150, -122.4130)),
            248..250 => Special::First,
            _ => Special::Extra(X),
        };
    }
    for at in rng.sample(&single(&outlines, 0), 232) {
        outlines[at].special = Special::Extra(rng.uniform(-122.4640, -122.4620));
    }
    for at in rng.sample(&single(&outlines, 3), 200) {
        outlines[at].special = Special::Extra(rng.uniform(-122.4090, -122.4070));
    }
    outlines
}

impl Outline {
    pub(super) fn is_multi(self) -> bool {
        self.multi
    }

    /// Appends the members of `geometry`.
    pub(super) fn write(self, rng: &mut Rng, text: &mut String) {
        let (low, high, _) = BANDS[usize::from(self.band)];
        let first = match self.special {
            Special::First => (X, rng.uniform(37.708, 37.811)),
            _ => (rng.uniform(low, high), rng.uniform(37.708, 37.811)),
        };
        let mut points = vec![first];
        for _ in 0..points_of_a_lot(rng) - 2 {
            let x = first.0 + rng.uniform(-3e-4, 3e-4);
            // A point that would leave the band moves half the way to its edge.
            let x = if x <= low {
                (low + first.0) / 2.0
            } else if x >= high {
                (high + first.0) / 2.0
            } else {
                x
            };
            points.push((x, first.1 + rng.uniform(-3e-4, 3e-4)));
        }
        match self.special {
            Special::Extra(x) => {
                let y = points[points.len() - 1].1;
                points.insert(rng.within(1, points.len()), (x, y));
            }
            Special::Latitude => points.insert(1, (first.0, Y)),
            Special::None | Special::First => {}
        }
        points.push(first);

        let (kind, open, close) =
            if self.multi { ("MultiPolygon", "[[[", "]]]") } else { ("Polygon", "[[", "]]") };
        text.push_str(r#"{"type":""#);
        text.push_str(kind);
        text.push_str(r#"","coordinates":"#);
        text.push_str(open);
        for (nth, at) in points.iter().enumerate() {
            if nth > 0 {
                text.push(',');
            }
            point(text, *at);
        }
        text.push_str(close);
        text.push_str(r#","firstCoordinates":"#);
        point(text, first);
        text.push('}');
    }
}

fn point(text: &mut String, (x, y): (f64, f64)) {
    // The shortest text that parses to the same number, with a decimal point even for integers.
    write!(text, r#"{{"x":{x:?},"y":{y:?},"z":0.0}}"#)
        .expect("invariant: a String takes all that is written");
}

/// Most lots are rectangles; a few follow a coast.
fn points_of_a_lot(rng: &mut Rng) -> usize {
    match rng.unit() {
        r if r < 0.42 => 5,
        r if r < 0.60 => rng.within(6, 7),
        r if r < 0.75 => rng.within(8, 10),
        r if r < 0.94 => rng.within(11, 24),
        r if r < 0.992 => rng.within(25, 60),
        _ => rng.within(60, 300),
    }
}
