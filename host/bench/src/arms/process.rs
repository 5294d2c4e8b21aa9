//! A native process for each task: this program again, with the task in its arguments and the
//! result on its standard output.

use std::process::{Child, Command, Stdio};
use std::str::FromStr;
use std::time::{Duration, Instant};

use super::arm::Site;
use super::native::{Pending, Threads};
use super::work::{Factorizes, How, digest};
use super::worker;
use crate::failure::Failure;

/// Starts processes, as many at a time as there are workers.
pub(crate) struct Spawner {
    site: Site,
    threads: Threads,
}

impl Spawner {
    pub(crate) fn new(site: &Site) -> Self {
        Self {
            threads: Threads::start(site.workers),
            site: site.clone(),
        }
    }
}

/// Starts a process with a task; its standard output is a pipe.
pub(crate) fn start(site: &Site, task: &[&str]) -> Result<Child, Failure> {
    let child = Command::new(&site.program)
        .arg(worker::SUBCOMMAND)
        .args(task)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    Ok(child)
}

/// Runs a process with a task and returns its output.
fn run(site: &Site, task: &[&str]) -> Result<String, Failure> {
    let output = start(site, task)?.wait_with_output()?;
    if !output.status.success() {
        return Err(Failure(format!("the process ended: {}", output.status)));
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Runs a process with a task and returns the numbers that it prints.
pub(crate) fn numbers<T: FromStr>(site: &Site, task: &[&str]) -> Result<Vec<T>, Failure>
where
    Failure: From<T::Err>,
{
    let printed = run(site, task)?;
    let numbers = printed.split_ascii_whitespace().map(str::parse);
    Ok(numbers.collect::<Result<_, _>>()?)
}

pub(crate) fn factorize(site: &Site, n: u64) -> Result<Vec<u64>, Failure> {
    numbers(site, &[worker::FACTORIZE, &n.to_string()])
}

impl Factorizes for Spawner {
    fn factorize(&self, numbers: &[u64], how: How) -> Result<(Duration, u64), Failure> {
        let started = Instant::now();
        let results = match how {
            How::OneByOne => {
                let results = numbers.iter().map(|&n| factorize(&self.site, n));
                results.collect::<Result<Vec<_>, _>>()?
            }
            // A process per task has no chunks.
            How::Together | How::Chunks => {
                let pending = numbers.iter().map(|&n| {
                    let site = self.site.clone();
                    self.threads.submit(move || factorize(&site, n))
                });
                let pending = pending.collect::<Vec<Pending<_>>>();
                let results = pending.into_iter().map(|pending| pending.wait()?);
                results.collect::<Result<Vec<_>, _>>()?
            }
        };
        Ok((started.elapsed(), digest(results)))
    }
}
