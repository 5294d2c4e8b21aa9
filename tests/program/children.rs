//! Tasks that start tasks, on the command line.

use super::run;

fn teamwork() -> &'static str {
    wasmpool_guests::TEAMWORK.path().to_str().unwrap()
}

#[test]
fn tasks_start_tasks_only_with_the_right_to_do_so() {
    let tree = ["run", teamwork(), "-t", "tree", "[2,3]", "--details"];
    let refused = run(&tree);
    refused.assert_code(1).assert_stdout("`--allow-tasks`");
    let allowed = run(&[&tree[..], &["--allow-tasks"]].concat());
    let line = &allowed.assert_code(0).lines()[0];
    assert_eq!(line["output"], 13);
    let children = &line["report"]["children"];
    assert_eq!(children["started"], 12);
    assert_eq!(children["failed"], 0);
}
