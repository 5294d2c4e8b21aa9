//! The arms by name, each with a colour and a marker of its own throughout the page.
//!
//! The eight colours are chosen for colour-blind readers, as far as possible; colour never carries
//! information alone.

use maud::{Markup, html};

use crate::Arm;

/// How many colours and markers there are.
const STYLES: usize = 8;

pub(super) struct Legend<'a>(&'a [Arm]);

impl<'a> Legend<'a> {
    pub(super) fn new(arms: &'a [Arm]) -> Self {
        Self(arms)
    }

    /// The name of the arm. An arm without a description has its id as its name.
    pub(super) fn name(&self, id: &'a str) -> &'a str {
        match self.0.iter().find(|arm| arm.id == id) {
            Some(arm) if !arm.name.is_empty() => &arm.name,
            _ => id,
        }
    }

    /// The CSS class of the arm's colour.
    pub(super) fn class(&self, id: &str) -> String {
        match self.index(id) {
            None => "arm".to_owned(),
            Some(index) if index < STYLES => format!("arm arm-{index}"),
            // The colours repeat, so the lines are dashed.
            Some(index) => format!("arm arm-{} again", index % STYLES),
        }
    }

    /// The arm's marker in a chart, where `x` may be a percentage.
    pub(super) fn marker(&self, id: &str, x: &str, y: f64) -> Markup {
        let marker = format!("#marker-{}", self.index(id).unwrap_or(0) % STYLES);
        html! { use href=(marker) x=(x) y=(y) {} }
    }

    /// The arm's marker in a line of text.
    pub(super) fn key(&self, id: &str) -> Markup {
        html! {
            svg.key.(self.class(id)) width="14" height="14" aria-hidden="true" {
                (self.marker(id, "7", 7.0))
            }
        }
    }

    fn index(&self, id: &str) -> Option<usize> {
        self.0.iter().position(|arm| arm.id == id)
    }
}

/// The shapes of the markers, included once in a page.
pub(super) fn shapes() -> Markup {
    html! {
        svg width="0" height="0" aria-hidden="true" style="position:absolute" {
            defs {
                circle id="marker-0" r="4.5" {}
                path id="marker-1" d="M-4-4H4V4H-4Z" {}
                path id="marker-2" d="M0-5.5L5 4H-5Z" {}
                path id="marker-3" d="M0-5.8L5.8 0L0 5.8L-5.8 0Z" {}
                path id="marker-4" d="M0 5.5L5-4H-5Z" {}
                path id="marker-5" d="M-1.8-5.4H1.8V-1.8H5.4V1.8H1.8V5.4H-1.8V1.8H-5.4V-1.8H-1.8Z" {}
                path id="marker-6" d="M-5.4 0L-2.7-4.7H2.7L5.4 0L2.7 4.7H-2.7Z" {}
                path id="marker-7" d="M-5-2.6L-2.6-5L0-2.4L2.6-5L5-2.6L2.4 0L5 2.6L2.6 5L0 2.4L-2.6 5L-5 2.6L-2.4 0Z" {}
            }
        }
    }
}
