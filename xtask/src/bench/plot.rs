//! Plots with logarithmic axes, as SVG.

use std::fmt::Write as _;

/// A line of points.
pub(crate) struct Series {
    pub(crate) name: String,
    /// Both numbers above 0.
    pub(crate) points: Vec<(f64, f64)>,
}

/// Lines in a frame of two logarithmic axes.
pub(crate) struct Plot {
    pub(crate) title: String,
    /// What the horizontal axis counts.
    pub(crate) across: String,
    /// What the vertical axis counts.
    pub(crate) up: String,
    pub(crate) series: Vec<Series>,
}

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 60.0;
/// Room beside the frame for half of the last label.
const MARGIN: f64 = 30.0;

/// Told apart by people who see few colours too (Okabe and Ito).
const COLOURS: [&str; 6] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];

/// An axis from one power of ten to another.
struct Axis {
    first: i32,
    last: i32,
    from: f64,
    to: f64,
}

impl Axis {
    fn new(numbers: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
        let (low, high) =
            numbers.map(f64::log10).fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), number| {
                (low.min(number), high.max(number))
            });
        let first = low.floor() as i32;
        Self { first, last: (high.ceil() as i32).max(first + 1), from, to }
    }

    fn place(&self, number: f64) -> f64 {
        let part = (number.log10() - f64::from(self.first)) / f64::from(self.last - self.first);
        self.from + part * (self.to - self.from)
    }

    /// The powers of ten, each with its place.
    fn ticks(&self) -> impl Iterator<Item = (f64, f64)> {
        (self.first..=self.last).map(|power| 10_f64.powi(power)).map(|number| (number, self.place(number)))
    }
}

impl Plot {
    pub(crate) fn svg(&self) -> String {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let across = Axis::new(points().map(|point| point.0), LEFT, WIDTH - RIGHT);
        let up = Axis::new(points().map(|point| point.1), HEIGHT - BOTTOM, TOP);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {HEIGHT}\" font-family=\"sans-serif\" \
             font-size=\"13\">\n<rect width=\"100%\" height=\"{HEIGHT}\" fill=\"white\"/>\n\
             <text x=\"{LEFT}\" y=\"24\" font-size=\"16\">{}</text>\n",
            WIDTH + MARGIN,
            self.title
        );
        for (number, place) in across.ticks() {
            let _ = writeln!(
                svg,
                "<path d=\"M{place:.1} {TOP}V{:.1}\" stroke=\"#ddd\"/><text x=\"{place:.1}\" y=\"{:.1}\" \
                 text-anchor=\"middle\">{number}</text>",
                HEIGHT - BOTTOM,
                HEIGHT - BOTTOM + 20.0
            );
        }
        for (number, place) in up.ticks() {
            let _ = writeln!(
                svg,
                "<path d=\"M{LEFT} {place:.1}H{:.1}\" stroke=\"#ddd\"/><text x=\"{:.1}\" y=\"{:.1}\" \
                 text-anchor=\"end\">{number}</text>",
                WIDTH - RIGHT,
                LEFT - 8.0,
                place + 4.0
            );
        }
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\n<text transform=\"translate(18 {:.1}) rotate(-90)\" \
             text-anchor=\"middle\">{}</text>",
            LEFT.midpoint(WIDTH - RIGHT),
            HEIGHT - 14.0,
            self.across,
            TOP.midpoint(HEIGHT - BOTTOM),
            self.up
        );
        for (place, (series, colour)) in self.series.iter().zip(COLOURS.iter().cycle()).enumerate() {
            let line: Vec<String> = series
                .points
                .iter()
                .map(|&(x, y)| format!("{:.1},{:.1}", across.place(x), up.place(y)))
                .collect();
            let _ = writeln!(
                svg,
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
                line.join(" ")
            );
            for point in &line {
                let (x, y) = point.split_once(',').unwrap_or_default();
                let _ = writeln!(svg, "<circle cx=\"{x}\" cy=\"{y}\" r=\"3.5\" fill=\"{colour}\"/>");
            }
            let y = TOP + 20.0 + 20.0 * place as f64;
            let _ = writeln!(
                svg,
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"4\" fill=\"{colour}\"/><text x=\"{:.1}\" y=\"{y:.1}\">{}</text>",
                LEFT + 14.0,
                y - 4.0,
                LEFT + 24.0,
                series.name
            );
        }
        svg + "</svg>\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_stand_where_their_powers_of_ten_are() {
        let axis = Axis::new([20.0, 5_000.0].into_iter(), 0.0, 300.0);
        assert!((axis.place(10.0) - 0.0).abs() < 1e-9 && (axis.place(1000.0) - 200.0).abs() < 1e-9);
        assert_eq!(axis.ticks().count(), 4);
    }
}
