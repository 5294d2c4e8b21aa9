//! The arms: the ways to run a task that are compared, and what they have in common.

mod arm;
pub(crate) mod native;
pub(crate) mod process;
pub(crate) mod processes;
pub(crate) mod python;
pub(crate) mod sandbox;
pub(crate) mod wire;
mod work;
pub(crate) mod worker;

pub(crate) use arm::{Arm, Site};
pub(crate) use work::{CHUNK, Factorizes, How, TINY, Work, digest};

use crate::failure::Failure;

/// Sets up an arm that factorizes.
pub(crate) fn factorizer(arm: Arm, site: &Site) -> Result<Box<dyn Factorizes>, Failure> {
    Ok(match arm {
        Arm::Native => Box::new(native::Threads::start(site.workers)),
        Arm::Warm | Arm::Fresh | Arm::PageWise | Arm::Unchecked => {
            Box::new(sandbox::Factorizer::new(arm, site)?)
        }
        Arm::Processes => Box::new(processes::Workers::start(site)),
        Arm::Process => Box::new(process::Spawner::new(site)),
        Arm::Python | Arm::PythonPool => Box::new(python::Python::start(arm, site)?),
        Arm::Function | Arm::True | Arm::Copies | Arm::Command => {
            return Err(Failure::new("it does not factorize"));
        }
    })
}
