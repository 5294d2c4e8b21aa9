//! `wasmpool cluster status`: the nodes of a cluster and its queues.

use std::io::{self, BufWriter, Write};

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{Cell, CellAlignment, LineStyle, Table};
use wasmpool_cluster::{Cluster, ClusterStatus};

use super::server;
use crate::args::StatusArgs;
use crate::ending::{self, Ending, Result};
use crate::visible::{VisibleJson, printable};

pub(super) fn status(args: &StatusArgs) -> Result<Ending> {
    let cluster = Cluster::connect(&server::server(&args.server)).map_err(server::problem)?;
    let status = cluster.status().map_err(server::problem)?;
    let mut stdout = BufWriter::new(io::stdout().lock());
    let written = match args.json {
        true => serde_json::to_writer_pretty(VisibleJson(&mut stdout), &status)
            .map_err(io::Error::from)
            .and_then(|()| writeln!(stdout)),
        false => print(&mut stdout, &status),
    };
    ending::of_writing(written.and_then(|()| stdout.flush()))
}

fn print(stdout: &mut impl Write, status: &ClusterStatus) -> io::Result<()> {
    let mut nodes = table([
        "node",
        "version",
        "workers",
        "running",
        "succeeded",
        "failed",
    ]);
    for node in &status.nodes {
        nodes.add_row([
            text(&node.name),
            text(&node.version),
            number(node.workers),
            number(node.running),
            number(node.succeeded),
            number(node.failed),
        ]);
    }
    let mut tenants = table(["tenant", "queued", "running"]);
    for tenant in &status.tenants {
        let name = tenant.tenant.as_deref().unwrap_or("(none)");
        tenants.add_row([text(name), number(tenant.queued), number(tenant.running)]);
    }
    writeln!(stdout, "{nodes}\n{tenants}")?;
    let capacity = match status.capacity {
        Some(capacity) => format!("of at most {capacity} "),
        None => String::new(),
    };
    writeln!(
        stdout,
        "{} tasks {capacity}in the queue, {} outcomes not fetched",
        status.tasks, status.outcomes
    )
}

fn table<const N: usize>(titles: [&str; N]) -> Table {
    let mut table = Table::new();
    table
        .load_style(UTF8_HORIZONTAL_ONLY.row_separator(LineStyle::none()))
        .set_header(titles);
    table
}

/// Names come from other machines.
fn text(text: &str) -> Cell {
    Cell::new(printable(text))
}

fn number(number: impl ToString) -> Cell {
    Cell::new(number.to_string()).set_alignment(CellAlignment::Right)
}
