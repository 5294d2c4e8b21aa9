//! The table of the targets.

use maud::{Markup, html as markup};

use super::text::prose;
use crate::report::Target;
use crate::units;

/// Whether a target is met.
#[derive(Clone, Copy, PartialEq)]
enum Standing {
    Met,
    Missed,
    NotMeasured,
}

impl Standing {
    const ALL: [Self; 3] = [Self::Met, Self::Missed, Self::NotMeasured];

    fn of(target: &Target) -> Self {
        match target.met {
            Some(true) => Self::Met,
            Some(false) => Self::Missed,
            None => Self::NotMeasured,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Missed => "missed",
            Self::NotMeasured => "not measured",
        }
    }

    fn sign(self) -> &'static str {
        match self {
            Self::Met => "✓",
            Self::Missed => "✗",
            Self::NotMeasured => "–",
        }
    }

    fn class(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Missed => "missed",
            Self::NotMeasured => "open",
        }
    }
}

pub(super) fn targets(targets: &[Target]) -> Markup {
    markup! {
        section #targets aria-labelledby="targets-title" {
            h2 #targets-title { "Targets" }
            @if targets.is_empty() {
                p.nothing { "This run has no targets." }
            } @else {
                ul.tally {
                    @for standing in Standing::ALL {
                        @let count = targets.iter().filter(|target| Standing::of(target) == standing).count();
                        li class=(standing.class()) { b { (count) } " " (standing.word()) }
                    }
                }
                ul.targets {
                    @for target in targets {
                        @let standing = Standing::of(target);
                        li {
                            p.badge.(standing.class()) {
                                span aria-hidden="true" { (standing.sign()) " " }
                                (standing.word())
                            }
                            div.what {
                                h3 { (prose(&target.what)) }
                                @if !target.remark.is_empty() {
                                    p { (prose(&target.remark)) }
                                }
                            }
                            dl {
                                div { dt { "wanted" } dd { (target.wanted) } }
                                div {
                                    dt { "measured" }
                                    dd { (measured(target)) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The measured value, formatted like the wanted one.
fn measured(target: &Target) -> String {
    match target.measured {
        None => "–".to_owned(),
        Some(value) if target.wanted.contains("1/") => {
            units::ratio(value).trim_end_matches('×').to_owned()
        }
        Some(value) => units::value(value, ""),
    }
}
