//! How far a start is: a bar on a terminal, a line for each phase elsewhere. All of it goes to standard error.

use std::io::IsTerminal;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use ofm::Event;

use crate::output::table;

/// Shows the events of a start.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    /// How many things the phase that goes on has.
    total: Mutex<usize>,
    /// The image of which was last said that it is being pulled.
    pulled: Mutex<Arc<str>>,
}

impl Progress {
    pub(crate) fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("{spinner} {msg:8} {bar:30} {pos}/{len}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        Self {
            bar,
            total: Mutex::new(0),
            pulled: Mutex::new("".into()),
        }
    }

    /// Shows an event.
    pub(crate) fn show(&self, event: Event) {
        match event {
            Event::Pulling { .. } => self.pulling(event),
            // Only builds have it.
            Event::Output(_) => {}
            Event::Started { phase, total } => {
                self.set_total(total);
                if let Some(bar) = &self.bar {
                    bar.set_message(phase.as_str());
                    bar.set_length(total as u64);
                    bar.set_position(0);
                }
            }
            Event::Progress { done, total, .. } => {
                self.set_total(total);
                if let Some(bar) = &self.bar {
                    bar.set_length(total as u64);
                    bar.set_position(done as u64);
                }
            }
            Event::Finished { phase, elapsed } => {
                let total = *self.total.lock().unwrap_or_else(PoisonError::into_inner);
                let line = format!("{} {total} in {}", phase.as_str(), table::duration(elapsed));
                match &self.bar {
                    Some(bar) => bar.println(line),
                    None => eprintln!("{line}"),
                }
            }
        }
    }

    /// On a terminal, what an engine does with each layer; elsewhere, a line for each image.
    fn pulling(&self, event: Event) {
        let Event::Pulling {
            image,
            layer,
            status,
            done,
            total,
        } = event
        else {
            return;
        };
        match &self.bar {
            Some(bar) => {
                bar.set_message(format!("pull {image} {layer} {status}"));
                bar.set_length(total.unwrap_or(0));
                bar.set_position(done.unwrap_or(0));
            }
            None => {
                let mut pulled = self.pulled.lock().unwrap_or_else(PoisonError::into_inner);
                if *pulled != image {
                    eprintln!("pulling image {image}");
                    *pulled = image;
                }
            }
        }
    }

    /// Takes the bar off the terminal.
    pub(crate) fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn set_total(&self, total: usize) {
        *self.total.lock().unwrap_or_else(PoisonError::into_inner) = total;
    }
}
