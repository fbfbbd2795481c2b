//! A plot of what was measured at several sizes.

use std::error::Error;
use std::path::Path;

use plotters::prelude::*;

use crate::fit::Fit;

/// What one chart shows: points, and the curve through them.
#[derive(Debug)]
pub struct Chart<'a> {
    /// What the vertical axis counts, with its unit.
    pub axis: &'a str,
    /// All that has this unit.
    pub series: Vec<Series<'a>>,
}

/// Points of one kind.
#[derive(Debug)]
pub struct Series<'a> {
    /// What it is.
    pub name: &'a str,
    /// Numbers of chassis, and what was measured.
    pub points: Vec<(f64, f64)>,
    /// What the points are thought to follow.
    pub fit: Option<Fit>,
}

/// Width, and height of each chart, in pixels.
const SIZE: (u32, u32) = (760, 420);
/// Distinguishable also with colour blindness (Okabe and Ito).
const COLORS: [RGBColor; 3] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
];
const FONT: &str = "sans-serif";

/// Writes charts, one below the other, to a file of SVG. They have the number of chassis, gateways among them, on
/// the horizontal axis.
///
/// # Errors
/// When the file cannot be written.
pub fn write(path: &Path, charts: &[Chart<'_>]) -> Result<(), Box<dyn Error>> {
    let size = (SIZE.0, SIZE.1 * charts.len() as u32);
    let root = SVGBackend::new(path, size).into_drawing_area();
    root.fill(&WHITE)?;
    for (area, chart) in root.split_evenly((charts.len(), 1)).iter().zip(charts) {
        draw(area, chart)?;
    }
    root.present()?;
    Ok(())
}

fn draw<DB: DrawingBackend>(
    area: &DrawingArea<DB, plotters::coord::Shift>,
    chart: &Chart<'_>,
) -> Result<(), Box<dyn Error>>
where
    DB::ErrorType: 'static,
{
    let points = || chart.series.iter().flat_map(|series| &series.points);
    let most = |of: fn(&(f64, f64)) -> f64| points().map(of).fold(1.0, f64::max);
    let (right, top) = (most(|point| point.0) * 1.05, most(|point| point.1) * 1.1);
    let mut context = ChartBuilder::on(area)
        .margin(16)
        .x_label_area_size(44)
        .y_label_area_size(64)
        .build_cartesian_2d(0.0..right, 0.0..top)?;
    context
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .x_desc("chassis and gateways")
        .y_desc(chart.axis)
        .axis_desc_style((FONT, 16))
        .label_style((FONT, 13))
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_label_formatter(&|y| format!("{y}"))
        .draw()?;
    for (series, color) in chart.series.iter().zip(COLORS) {
        let dots = series
            .points
            .iter()
            .map(|point| Circle::new(*point, 4, color.filled()));
        context
            .draw_series(dots)?
            .label(series.name)
            .legend(move |(x, y)| Circle::new((x + 10, y), 4, color.filled()));
        if let Some(fit) = series.fit {
            let steps = (0..=100).map(|step| right * f64::from(step) / 100.0);
            let curve = steps.map(|n| (n, fit.at(n).max(0.0)));
            context.draw_series(LineSeries::new(curve, color.stroke_width(2)))?;
        }
    }
    context
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE)
        .border_style(BLACK.mix(0.3))
        .label_font((FONT, 14))
        .draw()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plot_names_axes_and_series() {
        let points = vec![(10.0, 1.0), (50.0, 4.0), (100.0, 12.0)];
        let series = Series {
            name: "wall time",
            fit: Fit::of(&points),
            points,
        };
        let chart = Chart {
            axis: "seconds",
            series: vec![series],
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plot.svg");
        write(&path, &[chart]).unwrap();
        let svg = std::fs::read_to_string(path).unwrap();
        for text in ["chassis", "seconds", "wall time", "<polyline", "<circle"] {
            assert!(svg.contains(text), "{text} is not in it");
        }
    }
}
