//! Functions that components export, on the command line.

use serde_json::{Value, json};

use super::run;

fn shapes() -> &'static str {
    wasmpool_guests::SHAPES.path().to_str().unwrap()
}

#[test]
fn arguments_are_json_and_are_checked_before_anything_runs() {
    let inputs = [
        r#"{"rect":[2,3]}"#,
        r#"{"polygon":[{"x":0,"y":0},{"x":4,"y":0},{"x":0,"y":3}]}"#,
        r#"{"polygon":[{"x":0,"y":"a"}]}"#,
        r#"{"polygon":[]}"#,
    ];
    let run = run(&[&["run", shapes(), "-t", "area"], &inputs[..]].concat());
    let lines = run.assert_code(1).lines();
    assert_eq!([&lines[0]["output"], &lines[1]["output"]], [6.0, 6.0]);
    let message = "argument 1.polygon[0].y: expected f64, got \"a\"";
    assert_eq!(
        lines[2]["error"],
        json!({"kind": "bad-input", "message": message})
    );
    assert_eq!(
        lines[3]["error"],
        json!({"kind": "failed", "message": "too-few-corners(0)", "code": "too-few-corners"})
    );
}

#[test]
fn options_at_the_end_may_be_left_out() {
    let scene = r#"{"shapes":[{"circle":0},{"rect":[4,2]}]}"#;
    let (alone, listed) = (scene.to_owned(), format!("[{scene}]"));
    let in_units = format!(r#"[{scene}, 2]"#);
    let inputs = [&alone[..], &listed, &in_units];
    let run = run(&[&["run", shapes(), "-t", "summarize"], &inputs[..]].concat());
    let totals = run.assert_code(0).lines();
    let totals = totals.iter().map(|line| &line["output"]["total"]);
    assert_eq!(totals.collect::<Vec<_>>(), [8.0, 8.0, 2.0]);
}

#[test]
fn a_call_is_written_as_wave_has_it() {
    let call = "summarize({name: some(\"a\"), shapes: [rect((1.5, 2)), circle(0)]}, some(0.5))";
    let run_it = |call: &str| run(&["run", shapes(), "--invoke", call]);
    let lines = run_it(call).assert_code(0).lines();
    assert_eq!(
        lines[0]["output"],
        json!({"title": "a", "total": 12.0, "largest": {"rect": [1.5, 2.0]}})
    );
    for (call, problem) in [
        ("area(circle(", "1:13: unexpected end of input"),
        (
            "nope(1)",
            "has no task `nope`; it has `acme:shapes/area@1.2.0#area`",
        ),
        ("area(1)", "argument 1: expected variant { circle(f64)"),
    ] {
        run_it(call).assert_code(2).assert_stderr(problem);
    }
}

#[test]
fn the_list_says_the_types_of_functions() {
    let list = run(&["list", shapes()]);
    let area = "acme:shapes/area@1.2.0#area: func(shape: variant { circle(f64), \
                rect(tuple<f64, f64>), polygon(list<record { x: f64, y: f64 }>) }) \
                -> result<f64, variant { negative(f64), too-few-corners(u32) }>\n";
    assert!(
        list.assert_code(0).stdout.starts_with(area),
        "{}",
        list.stdout
    );
    let json = run(&["list", shapes(), "--json"]);
    let json: Value = serde_json::from_str(&json.assert_code(0).stdout).unwrap();
    let schema = &json["tasks"][1]["arguments_schema"];
    assert_eq!(
        (&schema["minItems"], &schema["prefixItems"][1]["title"]),
        (&json!(1), &json!("unit"))
    );
}

#[test]
fn what_was_compiled_ahead_is_run_only_if_it_is_trusted_and_fits() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shapes.cwasm");
    let file = file.to_str().unwrap();
    run(&["compile", shapes(), "-o", file]).assert_code(0);
    let task = ["-t", "area", r#"{"rect":[2,3]}"#];
    let trusted = [&["run", "--trusted-cwasm", file], &task[..]].concat();
    assert_eq!(run(&trusted).assert_code(0).lines()[0]["output"], 6.0);
    run(&[&["run", file], &task[..]].concat())
        .assert_code(3)
        .assert_stderr("loaded only when it is named as trusted");
    run(&[&trusted[..], &["--fuel", "100000"]].concat())
        .assert_code(3)
        .assert_stderr("compiled without fuel support");
    run(&[&["run", "--trusted-cwasm", shapes()], &task[..]].concat())
        .assert_code(3)
        .assert_stderr("not compiled for this pool");
}
