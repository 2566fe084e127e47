//! `sidelight check`: configuration with every finding at once, expressions, and rules, without running
//! anything.

use std::path::PathBuf;

use serde_json::{Value, json};
use sidelight_promql::ParseError;

use super::check_rules;
use super::findings::{document, finding};
use crate::cli::configured::{Configured, rendered, unreadable};
use crate::cli::exit::{Exit, Failure};
use crate::cli::read::promql;
use crate::cli::terminal::Terminal;
use crate::cli::text::ReportFormat;
use crate::config::{Finding, LoadError, Loaded, Severity};

/// What is checked.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum What {
    /// Check configuration files, together and in order, as `run -c` takes them.
    Config(Args),
    /// Check PromQL expressions.
    Expr(ExprArgs),
    /// Check rule files; with `--url` also against the series of a running agent.
    Rules(check_rules::Args),
}

/// Which expressions.
#[derive(Debug, clap::Args)]
pub(crate) struct ExprArgs {
    /// PromQL expressions, each an argument of its own.
    #[arg(required = true, value_name = "EXPR")]
    exprs: Vec<String>,
    /// The format: for people on standard error, or JSON on standard output.
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: ReportFormat,
}

/// What is checked and how it is said.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Configuration files; `-` is standard input. Default: the one that `SIDELIGHT_CONFIG` names, if that is set.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// As `run -c` has it.
    #[arg(short, long, hide = true, value_name = "FILE")]
    config: Vec<PathBuf>,
    /// An option that wins over files, as `run` takes it.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Count warnings as errors.
    #[arg(long)]
    deny_warnings: bool,
    /// The format: for people on standard error, or JSON on standard output.
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: ReportFormat,
}

pub(crate) async fn execute(what: &What, terminal: &Terminal) -> Result<Exit, Failure> {
    match what {
        What::Config(args) => configuration(args, terminal),
        What::Expr(args) => expressions(args, terminal),
        What::Rules(args) => check_rules::execute(args, terminal).await,
    }
}

fn expressions(args: &ExprArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    let wrong = wrong(&args.exprs);
    match args.output {
        ReportFormat::Json => {
            let findings: Vec<_> = wrong.iter().map(|(_, expr, why)| found(expr, why)).collect();
            terminal.data(&document(wrong.is_empty(), &findings))?;
        }
        ReportFormat::Text if wrong.is_empty() => terminal.note("every expression is valid"),
        ReportFormat::Text => {
            let all = args.exprs.len();
            for (nth, expr, why) in &wrong {
                let which =
                    if all > 1 { format!("expression {nth} of {all}: ") } else { String::new() };
                terminal.say(&format!("{which}{}", promql::shown(why, expr)));
            }
        }
    }
    Ok(if wrong.is_empty() { Exit::Ok } else { Exit::Failed })
}

/// Expressions that are none: which of them, from 1, the text, and why.
fn wrong(exprs: &[String]) -> Vec<(usize, &str, ParseError)> {
    let parsed = (1..).zip(exprs).map(|(nth, expr)| (nth, expr, sidelight_promql::parse(expr)));
    parsed.filter_map(|(nth, expr, parsed)| Some((nth, expr.as_str(), parsed.err()?))).collect()
}

/// The same for programs, as a finding in the expression.
fn found(expr: &str, why: &ParseError) -> Value {
    let start = expr.floor_char_boundary(why.span.start as usize);
    let end = expr.floor_char_boundary(why.span.end as usize).max(start);
    let (before, marked) = (expr.get(..start), expr.get(start..end));
    let last_line = before.unwrap_or_default().rsplit('\n').next().unwrap_or_default();
    let marked = marked.unwrap_or_default().split('\n').next().unwrap_or_default();
    json!({
        "severity": "error",
        "source": expr,
        "line": why.line,
        "column": last_line.chars().count() + 1,
        "length": marked.chars().count(),
        "message": why.message,
        "help": why.suggestion.map(|meant| format!("did you mean `{meant}`?")),
    })
}

fn configuration(args: &Args, terminal: &Terminal) -> Result<Exit, Failure> {
    let files = [args.files.as_slice(), &args.config].concat();
    let configured = Configured::of(files, args.set.clone());
    if !configured.any() && !configured.names_a_file() {
        let what = "which configuration is to be checked?";
        return Err(
            Failure::new(Exit::Usage, what).help("name its files: `sidelight check config FILE`")
        );
    }
    let recipe = configured.recipe()?;
    let (sources, findings) = match recipe.load() {
        Ok(loaded) => {
            let loaded = with_rule_files(loaded);
            (loaded.sources, loaded.warnings)
        }
        Err(LoadError::Findings(findings)) => (findings.sources, findings.list),
        Err(LoadError::Read(error)) => return Err(unreadable(&error)),
    };
    let counts = |f: &&Finding| f.severity == Severity::Error || args.deny_warnings;
    let errors = findings.iter().filter(counts).count();
    let warnings = findings.len() - errors;
    match args.output {
        ReportFormat::Json => {
            let list: Vec<_> = findings.iter().map(|it| finding(&sources, it)).collect();
            terminal.data(&document(errors == 0, &list))?;
        }
        ReportFormat::Text => {
            if !findings.is_empty() {
                terminal.say(&rendered(&sources, &findings, &terminal.style()));
            }
            let verdict = if errors == 0 { "valid" } else { "not valid" };
            let mut summary = format!("the configuration is {verdict}");
            if !findings.is_empty() {
                summary += &format!(": {errors} to fix, {warnings} to look at");
            }
            terminal.note(&summary);
        }
    }
    Ok(if errors == 0 { Exit::Ok } else { Exit::InvalidConfiguration })
}

/// With what is wrong with the rule files that it names among its warnings: the agent runs without them, and without a store
/// it reads none.
pub(crate) fn with_rule_files(mut loaded: Loaded) -> Loaded {
    if let Some(span) = loaded.span("rules.files").filter(|_| loaded.config.store.is_some()) {
        let (_, wrong) = check_rules::configured(&loaded.config.rules.files);
        let help = "the agent leaves such a file out; `sidelight check rules FILE` shows more";
        let found = wrong.into_iter().map(|text| Finding::warning(span, text).help(help));
        loaded.warnings.extend(found);
        loaded.warnings.sort_by_key(|finding| finding.span);
    }
    loaded
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::config::{Inputs, load};

    #[derive(clap::Parser)]
    struct Typed {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn options_alone_are_checked_as_well() {
        let typed = |line: &[&str]| {
            Typed::try_parse_from([&["config"][..], line].concat()).map(|typed| typed.args)
        };
        for line in [&["a.yaml"][..], &["-c", "a.yaml"], &["--set", "journal.durability=os"]] {
            assert!(typed(line).is_ok(), "{line:?}");
        }
    }

    #[test]
    fn each_expression_that_is_wrong_is_named_and_an_empty_one_is_said_to_be_empty() {
        let exprs = ["up", "", "up +\n{a=\"é\"} + rat(x[5m])"].map(str::to_owned);
        let wrong = wrong(&exprs);
        assert_eq!(wrong.iter().map(|(nth, ..)| *nth).collect::<Vec<_>>(), [2, 3]);
        let [(_, empty, why), (_, expr, error)] = &wrong[..] else { panic!("{wrong:?}") };
        assert_eq!(promql::shown(why, empty), "the expression is empty");
        let found = found(expr, error);
        assert_eq!((found["source"].as_str(), found["line"].as_u64()), (Some(*expr), Some(2)));
        assert_eq!(found["column"], 11, "in characters: {found}");
        let json = ["check", "up", "-o", "json"];
        assert!(TypedExpr::try_parse_from(json).is_ok());
    }

    #[derive(clap::Parser)]
    struct TypedExpr {
        #[command(flatten)]
        _args: ExprArgs,
    }

    #[test]
    fn a_rule_file_that_is_missing_is_a_warning_where_it_is_named() {
        let text = "rules: {files: [/nowhere/a.yaml, '/nowhere/*.yaml']}".to_owned();
        let files = vec![("config.yaml".to_owned(), text)];
        let loaded = with_rule_files(load(&Inputs { files, ..Inputs::default() }).unwrap());
        assert_eq!(loaded.warnings.len(), 2, "{:?}", loaded.warnings);
        for finding in &loaded.warnings {
            assert_eq!(finding.severity, Severity::Warning);
            assert_eq!(loaded.sources.place(finding.span), "config.yaml:1:16");
            assert!(finding.message.contains("/nowhere/"), "{finding:?}");
        }
    }
}
