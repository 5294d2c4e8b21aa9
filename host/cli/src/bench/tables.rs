//! A report in the terminal: a table for each question, then the targets.

use std::io::{self, IsTerminal as _, Write};

use comfy_table::LineStyle;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table};
use wasmpool_bench::{Question, Report, Row, Target, units};

pub(crate) fn print(stdout: &mut impl Write, report: &Report) -> io::Result<()> {
    let machine = &report.machine;
    writeln!(
        stdout,
        "{}, {} threads, {}; load {:.1} before and {:.1} after",
        machine.processor, machine.parallelism, machine.system, machine.load[0], machine.load[1]
    )?;
    for (name, value) in machine.versions.iter().chain(&machine.settings) {
        writeln!(stdout, "{name}: {value}")?;
    }
    writeln!(stdout, "\n{}", arms(report))?;
    for question in &report.questions {
        print_question(stdout, question)?;
    }
    if !report.targets.is_empty() {
        writeln!(stdout, "\nTargets\n{}", targets(&report.targets))?;
    }
    for caveat in &report.caveats {
        writeln!(stdout, "{}", wrapped(&format!("- {caveat}")))?;
    }
    writeln!(
        stdout,
        "\n{} rounds in {}",
        report.rounds,
        units::value(report.took, "s")
    )
}

fn print_question(stdout: &mut impl Write, question: &Question) -> io::Result<()> {
    writeln!(stdout, "\n{}", question.title)?;
    writeln!(stdout, "{}", wrapped(&question.method))?;
    writeln!(stdout, "{}", rows(question))?;
    for remark in &question.remarks {
        writeln!(stdout, "{}", wrapped(&format!("- {remark}")))?;
    }
    Ok(())
}

fn arms(report: &Report) -> Table {
    let mut table = table(&["arm", "what it is"]);
    for arm in &report.arms {
        let name = match &arm.skipped {
            Some(why) => format!("{}\nskipped: {why}", arm.name),
            None => arm.name.clone(),
        };
        table.add_row([arm.id.clone(), name]);
    }
    table
}

fn rows(question: &Question) -> Table {
    let of = question.rows.iter().find_map(|row| row.ratio.as_ref());
    let ratio = of.map_or(String::new(), |ratio| format!("times `{}`", ratio.to));
    let best = match question.more_is_better {
        true => "most",
        false => "least",
    };
    let header = [
        "",
        "arm",
        "median",
        "95 % interval",
        best,
        &ratio,
        "interval",
    ];
    let n_columns = if of.is_some() { 7 } else { 5 };
    let mut table = table(&header[..n_columns]);
    let mut subject = None;
    for row in &question.rows {
        let is_new = subject.replace(&row.subject) != Some(&row.subject);
        let cells = cells(row, &question.unit).into_iter();
        let name = if is_new { row.subject.as_str() } else { "" };
        let texts = [name.to_owned(), row.arm.clone()];
        let texts = texts.map(Cell::new).into_iter();
        let numbers = cells.map(|cell| Cell::new(cell).set_alignment(CellAlignment::Right));
        table.add_row(texts.chain(numbers).take(n_columns));
    }
    table
}

fn cells(row: &Row, unit: &str) -> [String; 5] {
    let ratio = row.ratio.as_ref();
    [
        units::value(row.median, unit),
        units::interval(row.interval, unit),
        units::value(row.best, unit),
        ratio.map_or(String::new(), |ratio| units::ratio(ratio.median)),
        ratio.map_or(String::new(), |ratio| {
            let [low, high] = ratio.interval.map(units::ratio);
            format!("{low}–{high}")
        }),
    ]
}

fn targets(targets: &[Target]) -> Table {
    let mut table = table(&["what", "wanted", "measured", "met"]);
    for target in targets {
        let measured = target.measured.map(|measured| format!("{measured:.2}"));
        let met = match target.met {
            Some(true) => "yes",
            Some(false) => "NO",
            None => "not measured",
        };
        let what = match target.remark.as_str() {
            remark if target.met.is_some() && !remark.is_empty() => {
                format!("{} ({remark})", target.what)
            }
            _ => target.what.clone(),
        };
        table.add_row([
            Cell::new(what),
            Cell::new(&target.wanted),
            Cell::new(measured.unwrap_or_default()).set_alignment(CellAlignment::Right),
            Cell::new(met),
        ]);
    }
    table
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(UTF8_HORIZONTAL_ONLY.row_separator(LineStyle::none()))
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(u16::try_from(width()).unwrap_or(u16::MAX))
        .set_header(header.iter().copied());
    table
}

/// Wraps text to the width of the terminal.
fn wrapped(text: &str) -> String {
    let options = textwrap::Options::new(width());
    let options = match text.starts_with("- ") {
        true => options.subsequent_indent("  "),
        false => options,
    };
    textwrap::fill(text, options)
}

/// The width of the terminal, bounded so that lines stay readable.
fn width() -> usize {
    const MOST: usize = 120;
    match io::stdout().is_terminal() {
        true => textwrap::termwidth().min(MOST),
        false => MOST,
    }
}
