//! `wasmpool completions`: scripts for shells, and the names of tasks, for which these ask the
//! program.
//!
//! The scripts come from the definition of the command line. What is added to them says nothing when
//! something is wrong: whoever types sees no message.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::CommandFactory as _;
use clap_complete::Shell;
use wasmpool::{Pool, TaskModule};

use crate::args::Args;
use crate::ending::{self, Ending, Result};
use crate::module;

/// The first argument of the program when a script asks for the names of tasks. The words that were
/// typed follow, without the program and without the one that is to be completed.
const NAMES: &str = "__task-names";

/// How long whoever types waits for a module that is not in the cache.
const PATIENCE: Duration = Duration::from_secs(1);

/// Prints the script for a shell.
pub(crate) fn completions(shell: Shell) -> Result<Ending> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "wasmpool", &mut script);
    let script = String::from_utf8(script).expect("a script is made of text");
    let script = match shell {
        Shell::Bash => bash(&script),
        Shell::Fish => fish(script),
        Shell::Zsh => zsh(&script),
        _ => script,
    };
    ending::of_writing(io::stdout().write_all(script.as_bytes()))
}

/// Prints the names of tasks, one a line, if that is what the program was started for.
pub(crate) fn as_completer(args: impl IntoIterator<Item = OsString>) -> Option<ExitCode> {
    let mut args = args.into_iter().skip(1);
    if args.next()? != NAMES {
        return None;
    }
    let names = task_names(args.collect()).unwrap_or_default();
    // Nobody may be there to read it.
    let _ = io::stdout().write_all(names.concat().as_bytes());
    Some(ExitCode::SUCCESS)
}

/// The names of the tasks of the module in a command line, each with a newline.
fn task_names(mut words: Vec<OsString>) -> Option<Vec<String>> {
    // The option whose value is completed.
    words.pop_if(|word| matches!(word.to_str(), Some("-t" | "--task")));
    // What follows is for a program in the sandbox.
    if words.iter().any(|word| word == "--") {
        return None;
    }
    let command = Args::command().no_binary_name(true).ignore_errors(true);
    let matches = command.try_get_matches_from(words).ok()?;
    let (_, matches) = matches.subcommand()?;
    let name = matches.try_get_one::<String>("module").ok()??;
    let name = without_tilde(name);
    // Native code is not run for a completion, and what is no file may not end.
    let is_set = |flag| matches!(matches.try_get_one(flag), Ok(Some(true)));
    if is_set("trusted_cwasm") || (Path::new(&*name).exists() && !Path::new(&*name).is_file()) {
        return None;
    }
    let timeout = matches.try_get_one::<Duration>("load_timeout");
    let timeout = timeout
        .ok()
        .flatten()
        .map_or(PATIENCE, |timeout| PATIENCE.min(*timeout));
    let mut builder = Pool::builder().workers(1).load_timeout(timeout);
    if is_set("no_cache") {
        builder = builder.no_cache();
    } else if let Ok(Some(folder)) = matches.try_get_one::<PathBuf>("cache_folder") {
        builder = builder.cache_folder(folder);
    }
    let pool = builder.build().ok()?;
    let module = pool.load_bytes(&module::read(&name).ok()?).ok()?;
    let names = module.tasks().iter().map(|task| short(&module, &task.name));
    let names = names.filter(|name| is_plain(name));
    Some(names.map(|name| format!("{name}\n")).collect())
}

/// The shell leaves a word as it is typed.
fn without_tilde(name: &str) -> String {
    let home = || std::env::home_dir()?.into_os_string().into_string().ok();
    match name.strip_prefix("~/").zip(home()) {
        Some((rest, home)) => format!("{home}/{rest}"),
        None => name.to_owned(),
    }
}

/// The name of a function without its interface, where no other has it.
fn short<'a>(module: &TaskModule, name: &'a str) -> &'a str {
    let short = name.rsplit('#').next().unwrap_or(name);
    match module.find(short) {
        Ok(task) if task.name == name => short,
        _ => name,
    }
}

/// Whether a shell takes the name as it is: it comes from a guest, and goes into the command line.
fn is_plain(name: &str) -> bool {
    let is_plain = |character: char| character.is_alphanumeric() || "-_.:/@#+".contains(character);
    name.starts_with(char::is_alphanumeric) && name.chars().all(is_plain)
}

fn bash(script: &str) -> String {
    let names = format!(
        r#"
_wasmpool_tasks() {{
    case "${{COMP_WORDS[COMP_CWORD-1]}}" in
        -t|--task)
            COMPREPLY=($(compgen -W "$("$1" {NAMES} "${{COMP_WORDS[@]:1:COMP_CWORD-1}}" 2>/dev/null)" -- "${{COMP_WORDS[COMP_CWORD]}}"))
            ;;
        *)
            _wasmpool "$@"
            ;;
    esac
}}
"#
    );
    let (functions, registration) = script.rsplit_once("\nif ").expect("it registers itself");
    let registration =
        registration.replace("complete -F _wasmpool ", "complete -F _wasmpool_tasks ");
    format!("{functions}{names}\nif {registration}")
}

fn zsh(script: &str) -> String {
    let names = format!(
        r#"
_wasmpool_tasks() {{
    local -a names
    names=(${{(f)"$($typed {NAMES} "${{(@)typed_before}}" 2>/dev/null)"}})
    compadd -a names
}}

_wasmpool() {{
    local typed=$words[1]
    local -a typed_before
    typed_before=("${{(@)words[2,CURRENT-1]}}")
"#
    );
    let script = script.replacen("\n_wasmpool() {\n", &names, 1);
    let lines = script.lines().map(|line| {
        if line.starts_with("'-t+[") || line.starts_with("'--task=[") {
            line.replace(":NAME:_default'", ":NAME:_wasmpool_tasks'")
        } else {
            line.to_owned()
        }
    });
    lines.map(|line| line + "\n").collect()
}

fn fish(mut script: String) -> String {
    let names =
        format!("(set -l typed (commandline -opc); $typed[1] {NAMES} $typed[2..-1] 2>/dev/null)");
    for command in ["run", "bench"] {
        script += &format!(
            "complete -c wasmpool -n \"__fish_wasmpool_using_subcommand {command}\" \
             -s t -l task -x -a '{names}'\n"
        );
    }
    script
}
