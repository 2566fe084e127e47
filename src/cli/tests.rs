//! The command line as typed.

mod help;

use std::ffi::OsString;

use clap::CommandFactory as _;

use super::{Command, Exit, Typed, parse};

fn typed(line: &str) -> Result<Command, Exit> {
    let args = line.split_whitespace().map(OsString::from);
    parse(args).map(|invocation| invocation.command)
}

#[test]
fn the_command_line_is_consistent() {
    Typed::command().debug_assert();
}

#[test]
fn without_a_command_it_runs() {
    assert!(matches!(typed("sidelight"), Ok(Command::Run(_))));
    let Ok(Command::Run(bare)) = typed("sidelight -c a.yaml --demo --set a.b=c") else { panic!() };
    let Ok(Command::Run(named)) = typed("sidelight run -c a.yaml --demo --set a.b=c") else {
        panic!()
    };
    assert_eq!(format!("{bare:?}"), format!("{named:?}"));
}

#[test]
fn global_flags_stand_before_or_after_the_command_but_those_of_run_do_not() {
    assert!(matches!(typed("sidelight -q health --ready"), Ok(Command::Health(_))));
    assert!(matches!(typed("sidelight health -q"), Ok(Command::Health(_))));
    assert!(matches!(typed("sidelight --color never gen traces -q"), Ok(Command::Gen(_))));
    assert_eq!(typed("sidelight -c a.yaml health").unwrap_err(), Exit::Usage);
    assert_eq!(typed("sidelight --demo run").unwrap_err(), Exit::Usage);
}

#[test]
fn what_is_typed_wrong_is_a_usage_error_and_help_is_not() {
    assert_eq!(typed("sidelight rnu").unwrap_err(), Exit::Usage);
    assert!(typed("sidelight check config -c a.yaml").is_ok(), "as `run -c` is typed");
    assert_eq!(typed("sidelight -q -v").unwrap_err(), Exit::Usage);
    assert_eq!(typed("sidelight run -q -v").unwrap_err(), Exit::Usage);
    assert_eq!(typed("sidelight run -v -q").unwrap_err(), Exit::Usage);
    assert_eq!(typed("sidelight --help").unwrap_err(), Exit::Ok);
    assert_eq!(typed("sidelight --version").unwrap_err(), Exit::Ok);
}
