//! Executes a [`Tree`].
//!
//! Limits: [`OUTPUT_MAX`] bytes written, [`DEPTH_MAX`] templates and blocks within each other,
//! [`STEPS_MAX`] steps, of which a long text costs more than one. What exceeds one is an error.

mod call;

use std::collections::BTreeMap;
use std::rc::Rc;

use sidelight_promql::quote::quote;

use super::ast::{Command, Operand, Pipe, Place, Step, Term, Tree};
use super::functions::{self, Caller};
use super::value::{Root, Sample, Value};
use super::{Context, OUTPUT_MAX, calendar};

/// Templates, blocks and parentheses within each other.
const DEPTH_MAX: usize = 250;
/// What an expansion may cost: a step, a function or 64 bytes of text is one.
const STEPS_MAX: usize = 100_000;

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    Next,
    Break,
    Continue,
}

/// The whole message of an error.
type Executed<T> = Result<T, String>;

/// Expands `tree`, whose text is `source`.
pub(super) fn execute(
    name: &str,
    source: &str,
    tree: &Tree,
    context: &Context<'_>,
) -> Executed<String> {
    let labels = |labels: &[(String, String)]| -> Rc<BTreeMap<String, String>> {
        Rc::new(labels.iter().cloned().collect())
    };
    let root = Root {
        labels: labels(context.labels),
        external_labels: labels(context.external_labels),
        external_url: context.external_url.into(),
        value: context.value.into(),
    };
    let dot = Value::Root(Rc::new(root));
    let mut execution = Execution {
        source,
        tree,
        context,
        name,
        template: name.to_owned(),
        variables: Vec::new(),
        out: String::new(),
        place: Place { at: 0, from: 0, end: 0 },
        depth: 0,
        steps: 0,
    };
    execution.variables.push(("$".to_owned(), dot.clone()));
    for (variable, field) in [
        ("$labels", "Labels"),
        ("$externalLabels", "ExternalLabels"),
        ("$externalURL", "ExternalURL"),
        ("$value", "Value"),
    ] {
        let value = execution.field(&dot, field)?;
        execution.variables.push((variable.to_owned(), value));
    }
    execution.walk(&dot, &tree.main)?;
    Ok(execution.out)
}

/// A template under way.
pub(super) struct Execution<'a> {
    source: &'a str,
    tree: &'a Tree,
    context: &'a Context<'a>,
    /// Of the outermost template, which places are named by.
    name: &'a str,
    /// Of the one under way.
    template: String,
    /// The last of a name is the one in sight.
    variables: Vec<(String, Value)>,
    out: String,
    /// What is being evaluated.
    place: Place,
    depth: usize,
    steps: usize,
}

impl Caller for Execution<'_> {
    fn external_url(&self) -> &str {
        self.context.external_url
    }

    #[expect(clippy::cast_precision_loss, reason = "as Go converts it")]
    fn now(&self) -> f64 {
        self.context.now.as_ms() as f64 / 1e3
    }

    fn query(&self, expr: &str) -> Result<Value, String> {
        let samples = (self.context.query)(expr)?;
        Ok(Value::Samples(samples.iter().map(|sample| Rc::new(Sample::new(sample))).collect()))
    }

    fn render(&mut self, name: &str, dot: &Value) -> Result<String, String> {
        let out = std::mem::take(&mut self.out);
        let ended = self.call_template(name, dot);
        let rendered = std::mem::replace(&mut self.out, out);
        ended.map(|()| rendered)
    }
}

impl Execution<'_> {
    fn fail<T>(&self, message: &str) -> Executed<T> {
        let before = self.source.get(..self.place.at).unwrap_or(self.source);
        let line = 1 + before.matches('\n').count();
        let column = before.rfind('\n').map_or(self.place.at, |at| self.place.at - at - 1);
        let shown = self.source.get(self.place.from..self.place.end).unwrap_or_default().trim();
        let (name, template) = (self.name, quote(&self.template));
        Err(format!(
            "template: {name}:{line}:{column}: executing {template} at <{shown}>: {message}"
        ))
    }

    fn charge(&mut self, bytes: usize) -> Executed<()> {
        self.steps += 1 + bytes / 64;
        if self.steps > STEPS_MAX {
            return self.fail(&format!("more than {STEPS_MAX} steps"));
        }
        Ok(())
    }

    fn deeper<T>(&mut self, run: impl FnOnce(&mut Self) -> Executed<T>) -> Executed<T> {
        if self.depth >= DEPTH_MAX {
            return self.fail(&format!("exceeded maximum template depth ({DEPTH_MAX})"));
        }
        self.depth += 1;
        let ended = run(self);
        self.depth -= 1;
        ended
    }

    fn write(&mut self, text: &str) -> Executed<()> {
        self.charge(text.len())?;
        if self.out.len() + text.len() > OUTPUT_MAX {
            return self.fail(&format!("the text has more than {OUTPUT_MAX} bytes"));
        }
        self.out.push_str(text);
        Ok(())
    }

    fn walk(&mut self, dot: &Value, steps: &[Step]) -> Executed<Flow> {
        self.deeper(|execution| {
            for step in steps {
                let flow = execution.step(dot, step)?;
                if flow != Flow::Next {
                    return Ok(flow);
                }
            }
            Ok(Flow::Next)
        })
    }

    fn step(&mut self, dot: &Value, step: &Step) -> Executed<Flow> {
        match step {
            Step::Text { at, end } => {
                let text = self.source.get(*at..*end).unwrap_or_default();
                self.write(text)?;
            }
            Step::Action(pipe) => {
                let value = self.pipe(dot, pipe)?;
                if pipe.variables.is_empty() {
                    self.place = pipe.place;
                    self.write(&value.printed())?;
                }
            }
            Step::If { pipe, then, otherwise } => {
                return self.scoped(|execution| {
                    let branch =
                        if execution.pipe(dot, pipe)?.is_true() { then } else { otherwise };
                    execution.walk(dot, branch)
                });
            }
            Step::With { pipe, then, otherwise } => {
                return self.scoped(|execution| {
                    let value = execution.pipe(dot, pipe)?;
                    if value.is_true() {
                        execution.walk(&value, then)
                    } else {
                        execution.walk(dot, otherwise)
                    }
                });
            }
            Step::Range { pipe, body, otherwise } => {
                return self.scoped(|execution| execution.range(dot, pipe, body, otherwise));
            }
            Step::Template { place, name, pipe } => {
                self.place = *place;
                if !self.tree.defined.contains_key(name) {
                    return self.fail(&format!("template {} not defined", quote(name)));
                }
                let dot = match pipe {
                    Some(pipe) => self.pipe(dot, pipe)?,
                    None => Value::Nil,
                };
                self.call_template(name, &dot)?;
            }
            Step::Break => return Ok(Flow::Break),
            Step::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::Next)
    }

    fn call_template(&mut self, name: &str, dot: &Value) -> Executed<()> {
        let Some(steps) = self.tree.defined.get(name) else {
            return self.fail(&format!("template {} not defined", quote(name)));
        };
        let variables = std::mem::replace(&mut self.variables, vec![("$".to_owned(), dot.clone())]);
        let template = std::mem::replace(&mut self.template, name.to_owned());
        self.walk(dot, steps)?;
        self.variables = variables;
        self.template = template;
        Ok(())
    }

    /// Forgets the variables that `run` declares.
    fn scoped<T>(&mut self, run: impl FnOnce(&mut Self) -> Executed<T>) -> Executed<T> {
        let known = self.variables.len();
        let ended = run(self);
        self.variables.truncate(known);
        ended
    }

    fn range(
        &mut self,
        dot: &Value,
        pipe: &Pipe,
        body: &[Step],
        otherwise: &[Step],
    ) -> Executed<Flow> {
        let over = self.pipe(dot, pipe)?;
        let numbered = |(at, value)| (Value::Int(i64::try_from(at).unwrap_or(i64::MAX)), value);
        let pairs: Box<dyn Iterator<Item = (Value, Value)>> = match over {
            Value::Nil => Box::new(std::iter::empty()),
            Value::Int(_) | Value::Byte(_) if pipe.variables.len() > 1 => {
                let shown = over.plain();
                return self
                    .fail(&format!("can't use {shown} to iterate over more than one variable"));
            }
            Value::Int(count) => Box::new((0..count).map(|at| (Value::Nil, Value::Int(at)))),
            Value::Byte(count) => Box::new((0..count).map(|at| (Value::Nil, Value::Byte(at)))),
            Value::Samples(samples) => {
                let samples: Vec<Value> = samples.iter().cloned().map(Value::Sample).collect();
                Box::new(samples.into_iter().enumerate().map(numbered))
            }
            Value::Labels(labels) => {
                let pair =
                    |(name, value): (&String, &String)| (Value::text(name), Value::text(value));
                Box::new(labels.iter().map(pair).collect::<Vec<_>>().into_iter())
            }
            Value::Named(named) => {
                let pair = |(name, value): (&String, &Value)| (Value::text(name), value.clone());
                Box::new(named.iter().map(pair).collect::<Vec<_>>().into_iter())
            }
            other => {
                let shown = other.plain();
                return self.fail(&format!("range can't iterate over {shown}"));
            }
        };
        let known = self.variables.len();
        let mut any = false;
        for (index, element) in pairs {
            any = true;
            self.place = pipe.place;
            self.charge(0)?;
            match pipe.variables.as_slice() {
                [] => {}
                [one] => self.set(one, element.clone(), pipe.assigns),
                [one, other, ..] => {
                    self.set(one, index, pipe.assigns);
                    self.set(other, element.clone(), pipe.assigns);
                }
            }
            let flow = self.walk(&element, body)?;
            self.variables.truncate(known);
            if flow == Flow::Break {
                break;
            }
        }
        if any { Ok(Flow::Next) } else { self.walk(dot, otherwise) }
    }

    fn set(&mut self, name: &str, value: Value, assigns: bool) {
        let known = self.variables.iter_mut().rev().find(|(known, _)| known == name);
        match known.filter(|_| assigns) {
            Some((_, known)) => *known = value,
            None => self.variables.push((name.to_owned(), value)),
        }
    }

    fn pipe(&mut self, dot: &Value, pipe: &Pipe) -> Executed<Value> {
        self.place = pipe.place;
        self.deeper(|execution| {
            let mut value = None;
            for command in &pipe.commands {
                value = Some(execution.command(dot, command, value)?);
            }
            let value = value.unwrap_or(Value::Nil);
            // A range declares them once for each element.
            for variable in &pipe.variables {
                execution.set(variable, value.clone(), pipe.assigns);
            }
            Ok(value)
        })
    }

    /// `piped` is the value of the command before.
    fn command(&mut self, dot: &Value, command: &Command, piped: Option<Value>) -> Executed<Value> {
        self.charge(0)?;
        let first = &command.first;
        match &first.term {
            Term::Function(name) if first.fields.is_empty() => {
                self.function(dot, name, command, piped)
            }
            Term::Nil => {
                self.place = first.place;
                self.fail("nil is not a command")
            }
            _ => {
                let given = !command.arguments.is_empty() || piped.is_some();
                if given && !self.is_method(dot, first)? {
                    self.place = first.place;
                    let shown = self.source.get(first.place.from..first.place.end);
                    let shown = shown.unwrap_or_default();
                    return self.fail(&match first.fields.last() {
                        Some(field) => format!("{field} is not a method but has arguments"),
                        None => format!("can't give argument to non-function {shown}"),
                    });
                }
                let mut values = Vec::new();
                for argument in &command.arguments {
                    values.push(self.operand(dot, argument)?);
                }
                values.extend(piped);
                self.chain(dot, first, &values)
            }
        }
    }

    /// Whether `operand` ends with a method that takes arguments: the layout of a time.
    fn is_method(&mut self, dot: &Value, operand: &Operand) -> Executed<bool> {
        let Some((last, fields)) = operand.fields.split_last() else { return Ok(false) };
        if last != "Format" {
            return Ok(false);
        }
        let mut value = self.term(dot, operand)?;
        for field in fields {
            value = self.field(&value, field)?;
        }
        Ok(matches!(value, Value::Time(_)))
    }

    fn operand(&mut self, dot: &Value, operand: &Operand) -> Executed<Value> {
        self.chain(dot, operand, &[])
    }

    /// A term and its fields, the last of which is given `arguments`.
    fn chain(&mut self, dot: &Value, operand: &Operand, arguments: &[Value]) -> Executed<Value> {
        self.place = operand.place;
        let mut value = self.term(dot, operand)?;
        self.place = operand.place;
        for field in &operand.fields {
            value = match (&value, field.as_str(), arguments) {
                (Value::Time(at), "Format", [Value::Text(layout)]) => {
                    let text = Value::text(&calendar::layout(*at, layout));
                    self.charge(layout.len())?;
                    text
                }
                _ => self.field(&value, field)?,
            };
        }
        Ok(value)
    }

    fn term(&mut self, dot: &Value, operand: &Operand) -> Executed<Value> {
        Ok(match &operand.term {
            Term::Function(name) => {
                let Some(function) = functions::find(name) else {
                    return self.fail(&format!("{} is not a defined function", quote(name)));
                };
                let place = operand.place;
                self.call(name, function, &[], place)?
            }
            Term::Dot => dot.clone(),
            Term::Nil => Value::Nil,
            Term::Variable(name) => {
                let known = self.variables.iter().rev().find(|(known, _)| known == name);
                match known.map(|(_, value)| value.clone()) {
                    Some(value) => value,
                    None => return self.fail(&format!("undefined variable: {name}")),
                }
            }
            Term::Bool(value) => Value::Bool(*value),
            Term::Int(value) => Value::Int(*value),
            Term::Float(value) => Value::Float(*value),
            Term::Text(text) => Value::text(text),
            Term::Pipe(pipe) => self.pipe(dot, pipe)?,
        })
    }

    /// A field of a map or of `.`, or what a method of a time gives.
    fn field(&self, of: &Value, name: &str) -> Executed<Value> {
        Ok(match of {
            Value::Nil => Value::Nil,
            Value::Labels(labels) => Value::text(labels.get(name).map_or("", String::as_str)),
            Value::Named(named) => named.get(name).cloned().unwrap_or(Value::Nil),
            Value::Sample(sample) if name == "Labels" => Value::Labels(sample.labels.clone()),
            Value::Sample(sample) if name == "Value" => sample.value.clone(),
            Value::Root(root) if name == "Labels" => Value::Labels(root.labels.clone()),
            Value::Root(root) if name == "ExternalLabels" => {
                Value::Labels(root.external_labels.clone())
            }
            Value::Root(root) if name == "ExternalURL" => Value::Text(root.external_url.clone()),
            Value::Root(root) if name == "Value" => root.value.clone(),
            Value::Time(at) => match (calendar::part(*at, name), calendar::name(*at, name)) {
                (Some(part), _) => Value::Int(part),
                (_, Some(name)) => Value::text(name),
                _ if name == "UTC" || name == "Local" => of.clone(),
                _ if name == "String" => Value::text(&calendar::time(*at)),
                _ => return self.no_field(of, name),
            },
            Value::Duration(nanoseconds) => match calendar::measure(*nanoseconds, name) {
                Some(text) => Value::text(&text),
                None => return self.no_field(of, name),
            },
            _ => return self.no_field(of, name),
        })
    }

    fn no_field<T>(&self, of: &Value, name: &str) -> Executed<T> {
        self.fail(&format!("can't evaluate field {name} in type {}", of.kind()))
    }
}
