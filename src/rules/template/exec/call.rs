//! Calls of functions: arguments, their kinds, and what comes back.

use sidelight_promql::quote::quote;

use super::super::OUTPUT_MAX;
use super::super::ast::{Command, Operand, Place, Term};
use super::super::functions::{self, Function, Kind};
use super::super::value::Value;
use super::{Executed, Execution};

impl Execution<'_> {
    pub(super) fn function(
        &mut self,
        dot: &Value,
        name: &str,
        command: &Command,
        piped: Option<Value>,
    ) -> Executed<Value> {
        let place = command.first.place;
        self.place = place;
        let Some(function) = functions::find(name) else {
            return self.fail(&format!("{} is not a defined function", quote(name)));
        };
        self.check_count(name, function, command.arguments.len(), usize::from(piped.is_some()))?;
        if matches!(name, "and" | "or") {
            let mut value = Value::Nil;
            for argument in &command.arguments {
                value = self.operand(dot, argument)?;
                if value.is_true() == (name == "or") {
                    return Ok(value);
                }
            }
            return Ok(piped.unwrap_or(value));
        }
        let mut values = Vec::new();
        for (argument, kind) in command.arguments.iter().zip(parameters(function)) {
            let value = self.operand(dot, argument)?;
            self.place = argument.place;
            let missing = matches!(value, Value::Nil) && kind != Kind::Text;
            if literal(argument) && !kind.takes(&value) && !missing {
                let shown = self.source.get(argument.place.from..argument.place.end);
                let shown = shown.unwrap_or_default();
                return match value {
                    Value::Nil => self.fail("cannot assign nil to string"),
                    _ if kind == Kind::Text => {
                        self.fail(&format!("expected string; found {shown}"))
                    }
                    _ => {
                        let kind = kind.name();
                        self.fail(&format!("can't handle {shown} for arg of type {kind}"))
                    }
                };
            }
            self.check_kind(kind, &value)?;
            values.push(value);
        }
        if let Some(value) = piped {
            let kind = parameters(function).nth(values.len()).unwrap_or(Kind::Any);
            self.check_kind(kind, &value)?;
            values.push(value);
        }
        self.call(name, function, &values, command.place)
    }

    fn check_count(
        &self,
        name: &str,
        function: &Function,
        arguments: usize,
        piped: usize,
    ) -> Executed<()> {
        let (given, most) = (arguments + piped, function.parameters.len());
        if function.variadic && given + 1 < most {
            let least = most - 1;
            return self.fail(&format!(
                "wrong number of args for {name}: want at least {least} got {arguments}"
            ));
        }
        if !function.variadic && given != most {
            return self.fail(&format!("wrong number of args for {name}: want {most} got {given}"));
        }
        Ok(())
    }

    fn check_kind(&self, kind: Kind, value: &Value) -> Executed<()> {
        match value {
            value if kind.takes(value) => Ok(()),
            Value::Nil if kind == Kind::Text => self.fail("invalid value; expected string"),
            // A missing sample or answer is the function's to complain of.
            Value::Nil => Ok(()),
            other => {
                let (kind, found) = (kind.name(), other.kind());
                self.fail(&format!("wrong type for value; expected {kind}; got {found}"))
            }
        }
    }

    pub(super) fn call(
        &mut self,
        name: &str,
        function: &Function,
        values: &[Value],
        place: Place,
    ) -> Executed<Value> {
        if values.is_empty() {
            self.check_count(name, function, 0, 0)?;
        }
        let called = (function.call)(self, values);
        self.place = place;
        let value = match called {
            Ok(value) => value,
            Err(message) => return self.fail(&format!("error calling {name}: {message}")),
        };
        let bytes = if let Value::Text(text) = &value { text.len() } else { 0 };
        self.charge(bytes)?;
        if bytes > OUTPUT_MAX {
            return self.fail(&format!("the text has more than {OUTPUT_MAX} bytes"));
        }
        Ok(value)
    }
}

/// The kinds of the parameters, the last of a variadic function without end.
fn parameters(function: &Function) -> impl Iterator<Item = Kind> {
    let last = function.parameters.last().copied().filter(|_| function.variadic);
    function.parameters.iter().copied().chain(last.into_iter().cycle())
}

/// Whether the argument says its type by itself.
fn literal(operand: &Operand) -> bool {
    matches!(
        operand.term,
        Term::Bool(_) | Term::Int(_) | Term::Float(_) | Term::Text(_) | Term::Nil
    )
}
