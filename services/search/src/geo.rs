//! Points on the earth: how they are written, kept and compared, for every store alike.
//!
//! A point is kept as Lucene keeps it, in 32 bits a coordinate (a centimetre or so), and distances are those of a sphere of the same
//! radius. That is what makes the embedded indexes agree with a cluster about who lies just inside of a circle.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The radius of the earth as Lucene has it, in metres.
const RADIUS: f64 = 6_371_008.771_4;
/// Degrees of one step, of latitude and longitude.
const STEPS: (f64, f64) = (180.0 / 4_294_967_296.0, 360.0 / 4_294_967_296.0);
/// The farthest that two points can be apart, in metres.
const FARTHEST: f64 = 20_037_600.0;

/// A point.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Point {
    /// Degrees north, -90 to 90.
    pub(crate) lat: f64,
    /// Degrees east, -180 to 180.
    pub(crate) lon: f64,
}

/// What lies between two latitudes and two longitudes, borders included; from west to east, also across the 180th meridian.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Area {
    pub(crate) north: f64,
    pub(crate) west: f64,
    pub(crate) south: f64,
    pub(crate) east: f64,
}

/// What lies around a point.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Circle {
    pub(crate) lat: f64,
    pub(crate) lon: f64,
    pub(crate) metres: f64,
}

/// A value that is written by names: in a list, nobody could say which number is north.
fn object<T: serde::de::DeserializeOwned>(value: &Value) -> Option<T> {
    value.is_object().then(|| serde_json::from_value(value.clone()).ok()).flatten()
}

impl Point {
    /// A point that is one.
    pub(crate) fn check(self) -> Result<Self, String> {
        let fits = (-90.0..=90.0).contains(&self.lat) && (-180.0..=180.0).contains(&self.lon);
        fits.then_some(self).ok_or_else(|| "lat is -90 to 90 and lon -180 to 180".to_owned())
    }

    /// A point as it is written in a document.
    pub(crate) fn read(value: &Value) -> Result<Self, String> {
        let point: Self =
            object(value).ok_or_else(|| "a point is written {\"lat\": 52.5, \"lon\": 13.4}".to_owned())?;
        point.check()
    }

    /// Its steps north and east.
    pub(crate) fn steps(self) -> (i64, i64) {
        // The borders themselves belong to the last step.
        let step = |degrees: f64, most: f64, size: f64| {
            let degrees = if degrees >= most { most.next_down() } else { degrees };
            #[expect(clippy::cast_possible_truncation, reason = "at most 2^31")]
            let step = (degrees / size).floor() as i64;
            step
        };
        (step(self.lat, 90.0, STEPS.0), step(self.lon, 180.0, STEPS.1))
    }

    /// The point that is kept.
    pub(crate) fn of((lat, lon): (i64, i64)) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "at most 2^31")]
        let (lat, lon) = (lat as f64 * STEPS.0, lon as f64 * STEPS.1);
        Self { lat, lon }
    }

    /// Metres between two points, by the haversine.
    pub(crate) fn metres(self, other: Self) -> f64 {
        let (one, two) = (self.lat.to_radians(), other.lat.to_radians());
        let half = |degrees: f64| (degrees.to_radians() / 2.0).sin().powi(2);
        let chord = half(self.lat - other.lat) + one.cos() * two.cos() * half(self.lon - other.lon);
        2.0 * RADIUS * chord.sqrt().min(1.0).asin()
    }
}

impl Area {
    /// An area as it is written in a filter.
    pub(crate) fn read(value: &Value) -> Result<Self, String> {
        let area: Self = object(value)
            .ok_or_else(|| "box takes {\"north\": 53, \"west\": 13, \"south\": 52, \"east\": 14}".to_owned())?;
        let corner = |lat, lon| Point { lat, lon }.check();
        corner(area.north, area.west).and(corner(area.south, area.east))?;
        if area.south > area.north {
            return Err("south is at most north".to_owned());
        }
        Ok(area)
    }

    /// The steps north, and one or two ranges of steps east, that lie in it; both ends included.
    pub(crate) fn steps(self) -> ((i64, i64), Vec<(i64, i64)>) {
        let least = |lat, lon| {
            let (point, steps) = (Point { lat, lon }, Point { lat, lon }.steps());
            let kept = Point::of(steps);
            // What is kept lies on a step or above it: a border between two steps begins with the upper one.
            (steps.0 + i64::from(kept.lat < point.lat), steps.1 + i64::from(kept.lon < point.lon))
        };
        let ((south, west), (north, east)) =
            (least(self.south, self.west), Point { lat: self.north, lon: self.east }.steps());
        let (first, last) = (-(1_i64 << 31), (1_i64 << 31) - 1);
        let ranges = if self.west > self.east { vec![(west, last), (first, east)] } else { vec![(west, east)] };
        ((south, north), ranges)
    }
}

impl Circle {
    /// A circle as it is written in a filter.
    pub(crate) fn read(value: &Value) -> Result<Self, String> {
        let circle: Self =
            object(value).ok_or_else(|| "within takes {\"lat\": 52.5, \"lon\": 13.4, \"metres\": 1000}".to_owned())?;
        circle.centre().check()?;
        let fits = circle.metres > 0.0 && circle.metres <= FARTHEST;
        fits.then_some(circle).ok_or_else(|| format!("metres is above 0 and at most {FARTHEST}"))
    }

    pub(crate) fn centre(self) -> Point {
        Point { lat: self.lat, lon: self.lon }
    }

    /// An area that holds all of it, and a little more: what is left is measured.
    pub(crate) fn around(self) -> Area {
        let angle = self.metres / RADIUS;
        let reach = angle.to_degrees() + 1e-6;
        let (north, south) = ((self.lat + reach).min(90.0), (self.lat - reach).max(-90.0));
        let all = Area { north, west: -180.0, south, east: 180.0 };
        let wide = angle.sin() / self.lat.to_radians().cos();
        // A circle around a pole, or a quarter of the earth wide, has all longitudes.
        if north >= 90.0 || south <= -90.0 || angle >= std::f64::consts::FRAC_PI_2 || wide >= 1.0 {
            return all;
        }
        let reach = wide.asin().to_degrees() + 1e-6;
        if reach >= 180.0 {
            return all;
        }
        let turn = |lon: f64| (lon + 540.0).rem_euclid(360.0) - 180.0;
        Area { west: turn(self.lon - reach), east: turn(self.lon + reach), ..all }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn point() -> impl Strategy<Value = Point> {
        (-90.0..=90.0, -180.0..=180.0).prop_map(|(lat, lon)| Point { lat, lon })
    }

    #[test]
    fn distances_are_those_of_the_earth() {
        let (berlin, paris) = (Point { lat: 52.52, lon: 13.405 }, Point { lat: 48.8566, lon: 2.3522 });
        assert!((berlin.metres(paris) - 877_463.0).abs() < 1_000.0, "{}", berlin.metres(paris));
        let quarter = Point { lat: 0.0, lon: 0.0 }.metres(Point { lat: 90.0, lon: 0.0 });
        assert!((quarter - RADIUS * std::f64::consts::FRAC_PI_2).abs() < 1e-3);
    }

    #[test]
    fn what_is_no_point_is_refused() {
        for bad in [
            serde_json::json!({"lat": 91, "lon": 0}),
            serde_json::json!({"lat": 0, "lon": -181}),
            serde_json::json!({"lat": 0}),
            serde_json::json!([13.4, 52.5]),
            serde_json::json!("52.5,13.4"),
        ] {
            assert!(Point::read(&bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_kept_is_near_and_stays(point in point()) {
            let kept = Point::of(point.steps());
            prop_assert!(point.metres(kept) < 0.02);
            prop_assert_eq!(kept.steps(), point.steps());
        }

        #[test]
        fn a_circle_lies_in_the_area_around_it(centre in point(), other in point(), metres in 1.0..20_000_000.0_f64) {
            let circle = Circle { lat: centre.lat, lon: centre.lon, metres };
            let kept = Point::of(other.steps());
            if centre.metres(kept) <= metres {
                let ((south, north), east) = circle.around().steps();
                let (lat, lon) = other.steps();
                prop_assert!((south..=north).contains(&lat));
                prop_assert!(east.iter().any(|(from, to)| (*from..=*to).contains(&lon)));
            }
        }
    }
}
