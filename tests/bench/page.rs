//! The page as text: well-formed, complete, escaped, and content with what is in it.

use std::collections::HashSet;

use scraper::{ElementRef, Html, Selector};
use wasmpool_bench::{Report, html};

use crate::sample;

#[track_caller]
fn check(report: &Report) -> Html {
    let page = Html::parse_document(&html(report));
    assert_eq!(page.errors, Vec::<String>::new());
    page
}

fn all<'a>(page: &'a Html, selector: &str) -> Vec<ElementRef<'a>> {
    page.select(&Selector::parse(selector).unwrap()).collect()
}

fn text(element: ElementRef<'_>) -> String {
    element.text().collect::<Vec<_>>().concat()
}

fn texts(page: &Html, selector: &str) -> Vec<String> {
    all(page, selector).into_iter().map(text).collect()
}

#[test]
fn it_is_well_formed_whatever_it_is_about() {
    for report in [sample::report(), sample::hostile(), sample::empty()] {
        check(&report);
    }
}

#[test]
fn it_says_all_that_the_report_says() {
    let report = sample::report();
    let page = check(&report);
    let body = text(page.root_element());
    let machine = &report.machine;
    let mut wanted: Vec<&str> = vec!["2026-03-14 15:09 UTC", "12 rounds", "2 min 7 s", "7.75 GiB"];
    wanted.extend([machine.processor.as_str(), &machine.system]);
    for (name, value) in machine.versions.iter().chain(&machine.settings) {
        wanted.extend([name.as_str(), value]);
    }
    for arm in &report.arms {
        wanted.extend([arm.id.as_str(), &arm.name]);
        wanted.extend(arm.skipped.as_deref());
    }
    for question in &report.questions {
        wanted.extend([question.title.as_str(), &question.method]);
        wanted.extend(question.remarks.iter().map(String::as_str));
        wanted.extend(question.rows.iter().map(|row| row.subject.as_str()));
    }
    for target in &report.targets {
        wanted.extend([target.what.as_str(), &target.wanted, &target.remark]);
    }
    wanted.extend(report.caveats.iter().map(String::as_str));
    for wanted in wanted {
        // What stands in backticks is written as code.
        assert!(body.contains(&wanted.replace('`', "")), "{wanted}");
    }
}

#[test]
fn it_tells_in_words_how_the_targets_stand() {
    let page = check(&sample::report());
    assert_eq!(
        texts(&page, ".tally li"),
        ["6 met", "1 missed", "1 not measured"]
    );
    let badges = texts(&page, ".badge");
    assert_eq!(badges[0], "✓ met");
    assert_eq!(badges[4], "✗ missed");
    assert_eq!(badges[6], "– not measured");
}

#[test]
fn every_row_is_in_a_table_with_headers() {
    let report = sample::report();
    let page = check(&report);
    assert_eq!(
        all(&page, r#"tbody th[scope="row"]"#).len(),
        report
            .questions
            .iter()
            .map(|it| it.rows.len())
            .sum::<usize>()
    );
    assert_eq!(all(&page, "th:not([scope])").len(), 0);
    assert_eq!(all(&page, "table").len(), all(&page, "table caption").len());
    // The first row of numbers: dispatch, one in flight, native; the second has a ratio.
    let cells = texts(&page, "#question-dispatch td");
    assert_eq!(
        cells[..9],
        [
            "6.10 µs",
            "5.73 µs",
            "5.92–6.47 µs",
            "–",
            "–",
            "–",
            "9.80 µs",
            "9.21 µs",
            "9.51–10.4 µs"
        ]
    );
    assert_eq!(cells[9..12], ["1.61×", "1.54×", "1.57–1.65×"]);
}

#[test]
fn each_question_with_rows_has_charts_that_are_told_in_words() {
    let report = sample::report();
    let page = check(&report);
    for question in &report.questions {
        let id = format!("#question-{}", question.id);
        assert!(!all(&page, &format!("{id} svg.chart")).is_empty(), "{id}");
    }
    for chart in all(&page, "svg.chart") {
        assert_eq!(chart.attr("role"), Some("img"));
        for id in chart.attr("aria-labelledby").unwrap().split(' ') {
            let label = texts(&page, &format!("[id='{id}']"));
            assert!(label.len() == 1 && !label[0].is_empty(), "{id}: {label:?}");
        }
    }
    let spoken = texts(&page, "[id='question-dispatch-chart-0-desc']");
    assert!(spoken[0].contains("wasmpool, warm instances: 9.80 µs, 1.61× that of native;"));
}

#[test]
fn sizes_and_workers_have_lines_and_everything_else_bars() {
    let page = check(&sample::report());
    for (id, lines) in [
        ("payload", 1),
        ("scaling", 1),
        ("dispatch", 0),
        ("start", 0),
    ] {
        assert_eq!(
            all(&page, &format!("#question-{id} figure.lines")).len(),
            lines,
            "{id}"
        );
    }
}

#[test]
fn headings_are_in_order_and_landmarks_are_named() {
    for report in [sample::report(), sample::hostile(), sample::empty()] {
        let page = check(&report);
        let mut last = 0;
        for heading in all(&page, "h1, h2, h3, h4, h5, h6") {
            let level = heading.value().name()[1..].parse::<u32>().unwrap();
            assert!(level <= last + 1, "{}", heading.html());
            last = level;
        }
        assert_eq!(all(&page, "h1").len(), 1);
        for landmark in ["header", "nav[aria-label]", "main", "footer"] {
            assert_eq!(all(&page, landmark).len(), 1, "{landmark}");
        }
        assert_eq!(all(&page, "section:not([aria-labelledby])").len(), 0);
        assert_eq!(all(&page, r#"html[lang="en"]"#).len(), 1);
    }
}

#[test]
fn links_lead_to_ids_and_ids_are_unique() {
    for report in [sample::report(), sample::hostile(), sample::empty()] {
        let page = check(&report);
        let mut ids = HashSet::new();
        for element in all(&page, "[id]") {
            let id = element.attr("id").unwrap();
            assert!(ids.insert(id), "twice: {id}");
        }
        for link in all(&page, "a[href], use[href]") {
            let target = link.attr("href").unwrap();
            assert!(ids.contains(target.strip_prefix('#').unwrap()), "{target}");
        }
        for label in all(&page, "[aria-labelledby]") {
            for id in label.attr("aria-labelledby").unwrap().split(' ') {
                assert!(ids.contains(id), "{id}");
            }
        }
    }
}

#[test]
fn it_loads_nothing_and_runs_nothing() {
    let plain = html(&sample::report());
    assert!(!plain.contains("http://") && !plain.contains("https://"));
    let page = check(&sample::hostile());
    let loading = "script, img, iframe, object, embed, audio, video, base, form, [src], [srcset], \
                   [onload], [onerror], link:not([href='data:,'])";
    assert_eq!(all(&page, loading).len(), 0);
    let style = texts(&page, "style").concat();
    assert!(!style.contains("url(") && !style.contains("@import"));
    let policy = all(&page, r#"meta[http-equiv="Content-Security-Policy"]"#);
    assert!(
        policy[0]
            .attr("content")
            .unwrap()
            .starts_with("default-src 'none'")
    );
}

#[test]
fn what_comes_from_outside_is_text() {
    let evil = "<script>alert('&\"')</script>";
    assert!(!html(&sample::hostile()).contains("<script"));
    let page = check(&sample::hostile());
    // What is written is what was meant, wherever it is written.
    assert!(texts(&page, "title")[0].contains(evil));
    assert!(texts(&page, ".lead")[0].contains(evil));
    assert_eq!(
        texts(&page, "dd").iter().filter(|it| *it == evil).count(),
        3
    );
    assert!(texts(&page, ".why").iter().any(|it| it.contains(evil)));
    assert!(texts(&page, "h2").iter().any(|it| it == evil));
    assert!(texts(&page, "nav a").iter().any(|it| it == evil));
    assert!(texts(&page, "tr.subject").iter().any(|it| it == evil));
}

#[test]
fn empty_parts_say_that_they_are_empty() {
    let page = check(&sample::empty());
    assert_eq!(
        texts(&page, ".nothing"),
        [
            "This run has no targets.",
            "Nothing was compared.",
            "None were noted."
        ]
    );
    let page = check(&sample::hostile());
    assert!(texts(&page, ".nothing").contains(&"Nothing was measured.".to_owned()));
}
