//! What is measured of each start, and how it is shown.

use ofm_benches::table::{Markdown, known, median};

use crate::contestant::Contestant;

/// What one start and stop took, in seconds; `None` for what cannot be known.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Figures {
    /// Until the cluster was ready.
    pub(crate) wall: Option<f64>,
    /// Processor time of the daemons until then.
    pub(crate) daemons: Option<f64>,
    /// Processor time of the program or script itself.
    pub(crate) own: Option<f64>,
    /// Processor time of its children: other programs that it runs, and what daemons do before they detach.
    pub(crate) children: Option<f64>,
    /// Until one chassis more was ready.
    pub(crate) add: Option<f64>,
    /// Until all had ended.
    pub(crate) stop: Option<f64>,
}

impl Figures {
    const COLUMNS: [&'static str; 7] = [
        "wall",
        "CPU of daemons",
        "own CPU",
        "CPU of children",
        "wall ÷ (CPU of daemons ÷ processors)",
        "add a chassis",
        "stop",
    ];

    /// The median of each figure. One that is missing in a round is missing in all.
    pub(crate) fn median(rounds: &[Self]) -> Self {
        let median = |of: fn(&Self) -> Option<f64>| median(rounds.iter().filter_map(of));
        Self {
            wall: median(|figures| figures.wall),
            daemons: median(|figures| figures.daemons),
            own: median(|figures| figures.own),
            children: median(|figures| figures.children),
            add: median(|figures| figures.add),
            stop: median(|figures| figures.stop),
        }
    }

    /// How many times longer it took than the daemons alone would take if they kept all processors busy.
    fn above_floor(&self) -> Option<f64> {
        Some(self.wall? * processors() / self.daemons?)
    }

    /// In the order of the columns.
    fn all(&self) -> [Option<f64>; Self::COLUMNS.len()] {
        [
            self.wall,
            self.daemons,
            self.own,
            self.children,
            self.above_floor(),
            self.add,
            self.stop,
        ]
    }
}

/// How many processors there are.
pub(crate) fn processors() -> f64 {
    std::thread::available_parallelism().map_or(1.0, |count| count.get() as f64)
}

/// A table of seconds, and the others' figures as multiples of ofm's.
pub(crate) fn report(
    contestants: &[Contestant],
    figures: impl Iterator<Item = Figures>,
) -> Markdown {
    let columns: Vec<_> = std::iter::once("seconds").chain(Figures::COLUMNS).collect();
    let mut table = Markdown::new(&columns);
    let all: Vec<_> = contestants.iter().zip(figures).collect();
    for (contestant, figures) in &all {
        table.row(contestant, figures.all().map(known));
    }
    let (ofm, others): (Vec<_>, Vec<_>) = all
        .into_iter()
        .partition(|(contestant, _)| contestant.is_ofm());
    for (other, theirs) in &others {
        for (ofm, ours) in &ofm {
            table.row(format!("{other} ÷ {ofm}"), ratios(theirs, ours).map(known));
        }
    }
    table
}

/// How many times as much, where that can be said.
fn ratios(of: &Figures, to: &Figures) -> [Option<f64>; Figures::COLUMNS.len()] {
    let (of, to) = (of.all(), to.all());
    std::array::from_fn(|column| {
        let ratio = of[column].zip(to[column]).map(|(of, to)| of / to);
        // What took no measurable time has no ratio.
        ratio.filter(|ratio| ratio.is_finite())
    })
}
