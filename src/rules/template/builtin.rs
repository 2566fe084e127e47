//! Comparisons, indexes and lengths of templates.

use super::value::Value;

/// What is compared with what.
enum Pair<'a> {
    Bools(bool, bool),
    Ints(i64, i64),
    Floats(f64, f64),
    Texts(&'a str, &'a str),
}

fn pair<'a>(one: &'a Value, other: &'a Value) -> Option<Pair<'a>> {
    Some(match (one, other) {
        (Value::Bool(one), Value::Bool(other)) => Pair::Bools(*one, *other),
        (Value::Int(one), Value::Int(other)) => Pair::Ints(*one, *other),
        (Value::Byte(one), Value::Int(other)) => Pair::Ints(i64::from(*one), *other),
        (Value::Int(one), Value::Byte(other)) => Pair::Ints(*one, i64::from(*other)),
        (Value::Byte(one), Value::Byte(other)) => Pair::Ints(i64::from(*one), i64::from(*other)),
        (Value::Float(one), Value::Float(other)) => Pair::Floats(*one, *other),
        (Value::Text(one), Value::Text(other)) => Pair::Texts(one, other),
        _ => return None,
    })
}

const fn is_basic(value: &Value) -> bool {
    matches!(
        value,
        Value::Bool(_) | Value::Int(_) | Value::Byte(_) | Value::Float(_) | Value::Text(_)
    )
}

fn incompatible(one: &Value, other: &Value) -> String {
    format!("incompatible types for comparison: {} and {}", one.kind(), other.kind())
}

fn equal(one: &Value, other: &Value) -> Result<bool, String> {
    match pair(one, other) {
        Some(Pair::Bools(one, other)) => Ok(one == other),
        Some(Pair::Ints(one, other)) => Ok(one == other),
        #[expect(clippy::float_cmp, reason = "the template asks whether they are equal")]
        Some(Pair::Floats(one, other)) => Ok(one == other),
        Some(Pair::Texts(one, other)) => Ok(one == other),
        None => match (one, other) {
            (Value::Nil, Value::Nil) => Ok(true),
            (Value::Nil, _) | (_, Value::Nil) => Ok(false),
            (Value::Time(one), Value::Time(other)) => Ok(one == other),
            (Value::Duration(one), Value::Duration(other)) => Ok(one == other),
            _ if is_basic(one) || is_basic(other) => Err(incompatible(one, other)),
            _ => Err(format!("non-comparable type {}: {}", other.plain(), other.kind())),
        },
    }
}

/// Whether the first is equal to any of the others.
pub(super) fn equal_to_any(values: &[Value]) -> Result<bool, String> {
    let Some((first, others)) = values.split_first().filter(|(_, others)| !others.is_empty())
    else {
        return Err("missing argument for comparison".to_owned());
    };
    for other in others {
        if equal(first, other)? {
            return Ok(true);
        }
    }
    Ok(false)
}

pub(super) fn less(values: &[Value]) -> Result<bool, String> {
    let [one, other] = values else { return Err("missing argument for comparison".to_owned()) };
    match pair(one, other) {
        Some(Pair::Ints(one, other)) => Ok(one < other),
        Some(Pair::Floats(one, other)) => Ok(one < other),
        Some(Pair::Texts(one, other)) => Ok(one < other),
        None if is_basic(one) && is_basic(other) => Err(incompatible(one, other)),
        Some(Pair::Bools(..)) | None => Err("invalid type for comparison".to_owned()),
    }
}

pub(super) fn less_or_equal(values: &[Value]) -> Result<bool, String> {
    Ok(less(values)? || equal_to_any(values)?)
}

/// The element of the first that the others name, one after the other.
pub(super) fn index(values: &[Value]) -> Result<Value, String> {
    let Some((first, indexes)) = values.split_first() else { return Ok(Value::Nil) };
    let mut value = first.clone();
    if matches!(value, Value::Nil) {
        return Err("index of untyped nil".to_owned());
    }
    for index in indexes {
        value = match (&value, index) {
            (Value::Text(text), index) => {
                let byte = text.as_bytes().get(place(index, text.len() + 1)?);
                Value::Byte(*byte.ok_or("reflect: string index out of range")?)
            }
            (Value::Samples(samples), index) => {
                let sample = samples.get(place(index, samples.len() + 1)?);
                Value::Sample(sample.cloned().ok_or("reflect: slice index out of range")?)
            }
            (Value::Labels(labels), Value::Text(name)) => {
                Value::text(labels.get(&**name).map_or("", String::as_str))
            }
            (Value::Named(named), Value::Text(name)) => {
                named.get(&**name).cloned().unwrap_or(Value::Nil)
            }
            (Value::Labels(_) | Value::Named(_), Value::Nil) => {
                return Err("value is nil; should be of type string".to_owned());
            }
            (Value::Labels(_) | Value::Named(_), other) => {
                return Err(format!("value has type {}; should be string", other.kind()));
            }
            (Value::Nil, _) => return Err("index of nil pointer".to_owned()),
            (other, _) => return Err(format!("can't index item of type {}", other.kind())),
        };
    }
    Ok(value)
}

/// From the first number to before the second.
pub(super) fn slice(values: &[Value]) -> Result<Value, String> {
    let Some((first, indexes)) = values.split_first() else { return Ok(Value::Nil) };
    let length = match first {
        Value::Text(text) => text.len(),
        Value::Samples(samples) => samples.len(),
        Value::Nil => return Err("slice of untyped nil".to_owned()),
        other => return Err(format!("can't slice item of type {}", other.kind())),
    };
    match (indexes.len(), first) {
        (0..=2, _) => {}
        (3, Value::Text(_)) => return Err("cannot 3-index slice a string".to_owned()),
        (3, _) => {}
        (count, _) => return Err(format!("too many slice indexes: {count}")),
    }
    let mut bounds = Vec::new();
    for index in indexes {
        bounds.push(place(index, length + 1)?);
    }
    let from = bounds.first().copied().unwrap_or(0);
    let to = bounds.get(1).copied().unwrap_or(length);
    if from > to {
        return Err(format!("invalid slice index: {from} > {to}"));
    }
    Ok(match first {
        Value::Text(text) => {
            let bytes = text.as_bytes().get(from..to).unwrap_or_default();
            Value::text(&String::from_utf8_lossy(bytes))
        }
        Value::Samples(samples) => Value::Samples(samples.get(from..to).unwrap_or_default().into()),
        _ => Value::Nil,
    })
}

pub(super) fn length(value: &Value) -> Result<Value, String> {
    let length = match value {
        Value::Text(text) => text.len(),
        Value::Labels(labels) => labels.len(),
        Value::Named(named) => named.len(),
        Value::Samples(samples) => samples.len(),
        Value::Nil => return Err("reflect: call of reflect.Value.Type on zero Value".to_owned()),
        other => return Err(format!("len of type {}", other.kind())),
    };
    Ok(Value::Int(i64::try_from(length).unwrap_or(i64::MAX)))
}

/// The number that `index` is, where it is below `end`.
fn place(index: &Value, end: usize) -> Result<usize, String> {
    let at = match index {
        Value::Int(at) => *at,
        Value::Byte(at) => i64::from(*at),
        Value::Nil => return Err("cannot index slice/array with nil".to_owned()),
        other => return Err(format!("cannot index slice/array with type {}", other.kind())),
    };
    let found = usize::try_from(at).ok().filter(|at| *at < end);
    found.ok_or_else(|| format!("index out of range: {at}"))
}
