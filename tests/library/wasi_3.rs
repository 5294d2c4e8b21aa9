//! What programs for WASI 0.3 have beside what `programs.rs` and `rights.rs` check for all versions.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::{Duration, SystemTime};

use wasmpool::{Access, Capabilities, Child, Output, Pool, TaskErrorKind as Kind, TaskModule};

use crate::support::LONG;

struct Program {
    pool: Pool,
    module: TaskModule,
    folder: tempfile::TempDir,
}

impl Program {
    fn new() -> Self {
        let pool = Pool::builder().workers(1).build().unwrap();
        let module = pool.load(wasmpool_guests::AWAITING.path()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "0123456789").unwrap();
        Self {
            pool,
            module,
            folder,
        }
    }

    fn start(&self, access: Access, arguments: &[&str]) -> Child {
        let rights = Capabilities::new().dir(self.folder.path(), "/data", access);
        let mut command = self.module.command().unwrap();
        command.args(arguments.iter().copied());
        command.capabilities(rights.unwrap());
        command.spawn(&self.pool).unwrap()
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.start(Access::ReadWrite, arguments).wait().unwrap()
    }

    /// What it prints.
    #[track_caller]
    fn prints(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {stderr}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// What it says when it fails.
    #[track_caller]
    fn fails(&self, access: Access, arguments: &[&str]) -> String {
        let output = self.start(access, arguments).wait().unwrap();
        assert_eq!(output.status.code(), 1, "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    }
}

#[test]
fn a_program_has_no_folder_and_no_terminal_to_begin_with() {
    let program = Program::new();
    assert_eq!(
        program.prints(&["surroundings"]),
        "None (false, false, false)\n"
    );
}

#[test]
fn input_can_be_written_to_the_output_as_a_stream() {
    let program = Program::new();
    let input = (0..3_000_000_u32).map(|n| n as u8).collect::<Vec<_>>();
    let mut command = program.module.command().unwrap();
    let output = command
        .arg("pipe")
        .stdin(input.clone())
        .spawn(&program.pool);
    let output = output.unwrap().wait().unwrap();
    assert!(output.status.success());
    assert!(output.stdout == input, "all bytes, in order");
}

#[test]
fn a_program_exits_with_a_code_or_a_failure() {
    let program = Program::new();
    assert_eq!(program.run(&["exit", "255"]).status.code(), 255);
    assert_eq!(program.run(&["exit", "0"]).status.code(), 0);
    assert_eq!(program.run(&["fail"]).status.code(), 1);
}

#[test]
fn output_over_its_limit_ends_the_program() {
    let limited = Pool::builder().workers(1).program_output_limit(100_000);
    let pool = limited.build().unwrap();
    let module = pool.load(wasmpool_guests::AWAITING.path()).unwrap();
    let mut command = module.command().unwrap();
    let child = command.args(["flood", "100000"]).spawn(&pool).unwrap();
    let error = child.wait().unwrap_err();
    assert_eq!(error.kind(), Kind::OutputLimit, "{error}");
}

#[test]
fn files_are_described_resized_and_touched() {
    let program = Program::new();
    let path = program.folder.path().join("file");
    let modified = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    assert_eq!(program.prints(&["touch", "/data/file", "1000"]), "");
    assert_eq!(
        fs::metadata(&path).unwrap().modified().unwrap(),
        modified(1000)
    );
    let described = program.prints(&["stat", "/data/file"]);
    assert_eq!(described, "10 Some(1000) DescriptorType::RegularFile\n");
    program.prints(&["resize", "/data/file", "3"]);
    assert_eq!(fs::read_to_string(&path).unwrap(), "012");
    // The times of a link, and of what it leads to.
    symlink("file", program.folder.path().join("link")).unwrap();
    assert_eq!(program.prints(&["readlink", "/data/link"]), "file");
    program.prints(&["touch", "/data/link", "2000"]);
    assert_eq!(
        fs::metadata(&path).unwrap().modified().unwrap(),
        modified(2000)
    );
    program.prints(&["touch", "/data/link", "3000", "itself"]);
    let link = fs::symlink_metadata(program.folder.path().join("link"));
    assert_eq!(link.unwrap().modified().unwrap(), modified(3000));
    assert_eq!(
        fs::metadata(&path).unwrap().modified().unwrap(),
        modified(2000)
    );
    program.prints(&["mkdir", "/data/folder"]);
    program.prints(&["rmdir", "/data/folder"]);
    assert!(!program.folder.path().join("folder").exists());
}

#[test]
fn nothing_of_a_folder_to_read_can_be_changed() {
    let program = Program::new();
    let before = fs::metadata(program.folder.path().join("file")).unwrap();
    symlink("file", program.folder.path().join("link")).unwrap();
    for arguments in [
        &["touch", "/data/file", "1000"][..],
        &["touch", "/data/link", "1000", "itself"],
        &["resize", "/data/file", "3"],
        &["append", "/data/file", "x"],
        &["write", "/data/new", "x"],
        &["mkdir", "/data/folder"],
        &["rmdir", "/data/folder"],
        &["remove", "/data/file"],
        &["rename", "/data/file", "/data/other"],
        &["link", "/data/file", "/data/other"],
        &["symlink", "file", "/data/other"],
    ] {
        let told = program.fails(Access::ReadOnly, arguments);
        assert!(told.contains("not permitted"), "{arguments:?}: {told}");
    }
    let after = fs::metadata(program.folder.path().join("file")).unwrap();
    assert_eq!(after.modified().unwrap(), before.modified().unwrap());
    assert_eq!(fs::read_dir(program.folder.path()).unwrap().count(), 2);
}

#[test]
fn open_files_are_bounded() {
    let program = Program::new();
    assert_eq!(program.prints(&["hoard", "/data/file", "500"]), "500\n");
    let child = program.start(Access::ReadOnly, &["hoard", "/data/file", "2000"]);
    let outcome = child.wait_timeout(LONG).expect("it ends");
    assert_eq!(outcome.unwrap_err().kind(), Kind::HandleLimit);
}
