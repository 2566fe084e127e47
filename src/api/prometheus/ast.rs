//! An expression as a tree of JSON objects, for editors that explain queries.

use serde_json::{Value, json};
use sidelight_promql::Expr;
use sidelight_promql::ast::{
    Aggregate, At, Binary, Call, Cardinality, Duration, DurationExpr, DurationKind, MatchOp,
    Matching, NumberLiteral, Subquery, Type, VectorSelector,
};

use super::encode;

/// The tree of `expr`, with the names that Prometheus gives its nodes. What it has behind feature flags is there as it is
/// without them.
pub(super) fn tree(expr: &Expr) -> Value {
    match expr {
        Expr::Number(number) => json!({ "type": "numberLiteral", "val": value(number) }),
        Expr::String(string) => json!({ "type": "stringLiteral", "val": string.value }),
        Expr::Vector(vector) => selector("vectorSelector", vector, None),
        Expr::Matrix(matrix) => selector("matrixSelector", &matrix.selector, Some(&matrix.range)),
        Expr::Subquery(subquery) => self::subquery(subquery),
        Expr::Call(call) => self::call(call),
        Expr::Aggregate(aggregate) => self::aggregate(aggregate),
        Expr::Binary(binary) => self::binary(binary),
        Expr::Unary(unary) => json!({
            "type": "unaryExpr",
            "op": if unary.negative { "-" } else { "+" },
            "expr": tree(&unary.expr),
        }),
        Expr::Paren(paren) => json!({ "type": "parenExpr", "expr": tree(&paren.expr) }),
    }
}

fn value(number: &NumberLiteral) -> String {
    let mut text = String::new();
    encode::number(&mut text, number.value);
    text
}

/// The milliseconds of a duration that is fixed, else 0, and what computes one that is not.
fn duration(duration: &Duration) -> (i64, Option<Value>) {
    match duration {
        Duration::Fixed(milliseconds) => (*milliseconds, None),
        Duration::Computed(expr) => (0, Some(duration_expr(expr))),
    }
}

fn duration_expr(expr: &DurationExpr) -> Value {
    let (op, lhs, rhs) = match &expr.kind {
        DurationKind::Number(number) => {
            let number = json!({
                "type": "numberLiteral",
                "val": value(number),
                "duration": number.duration,
            });
            if !expr.wrapped {
                return number;
            }
            // Prometheus keeps the parentheses of a number with a sign before it.
            ("+", None, Some(number))
        }
        DurationKind::Step => ("step", None, None),
        DurationKind::Range => ("range", None, None),
        DurationKind::MinOf(sides) => binary_duration("min_of", sides),
        DurationKind::MaxOf(sides) => binary_duration("max_of", sides),
        DurationKind::Signed { negative, of } => {
            (if *negative { "-" } else { "+" }, None, Some(duration_expr(of)))
        }
        DurationKind::Binary { op, sides } => binary_duration(op.name(), sides),
    };
    json!({ "type": "durationExpr", "op": op, "lhs": lhs, "rhs": rhs, "wrapped": expr.wrapped })
}

fn binary_duration<'a>(
    op: &'a str,
    sides: &[DurationExpr; 2],
) -> (&'a str, Option<Value>, Option<Value>) {
    let [lhs, rhs] = sides;
    (op, Some(duration_expr(lhs)), Some(duration_expr(rhs)))
}

fn selector(kind: &str, selector: &VectorSelector, range: Option<&Duration>) -> Value {
    let matchers = selector.matchers.iter().map(|matcher| {
        let op = match matcher.op {
            MatchOp::Equal => "=",
            MatchOp::NotEqual => "!=",
            MatchOp::Regex => "=~",
            MatchOp::NotRegex => "!~",
        };
        json!({ "name": matcher.name, "type": op, "value": matcher.value })
    });
    let (timestamp, end) = at(selector.at);
    let (offset, offset_expr) = duration(&selector.offset);
    let mut node = json!({
        "type": kind,
        "name": selector.name.as_deref().unwrap_or_default(),
        "offset": offset,
        "offsetExpr": offset_expr,
        "anchored": false,
        "smoothed": false,
        "matchers": matchers.collect::<Vec<_>>(),
        "timestamp": timestamp,
        "startOrEnd": end,
    });
    if let (Some(range), Some(node)) = (range, node.as_object_mut()) {
        let (range, range_expr) = duration(range);
        node.insert("range".to_owned(), range.into());
        node.insert("rangeExpr".to_owned(), range_expr.into());
    }
    node
}

fn at(at: Option<At>) -> (Option<i64>, Option<&'static str>) {
    match at {
        None => (None, None),
        Some(At::Time(time)) => (Some(time), None),
        Some(At::Start) => (None, Some("start")),
        Some(At::End) => (None, Some("end")),
    }
}

fn subquery(subquery: &Subquery) -> Value {
    let (timestamp, end) = at(subquery.at);
    let (range, range_expr) = duration(&subquery.range);
    let (offset, offset_expr) = duration(&subquery.offset);
    let (step, step_expr) = subquery.step.as_ref().map_or((0, None), duration);
    json!({
        "type": "subquery",
        "expr": tree(&subquery.expr),
        "range": range,
        "rangeExpr": range_expr,
        "offset": offset,
        "offsetExpr": offset_expr,
        "step": step,
        "stepExpr": step_expr,
        "timestamp": timestamp,
        "startOrEnd": end,
    })
}

fn call(Call { function, args, .. }: &Call) -> Value {
    json!({
        "type": "call",
        "func": {
            "name": function.name,
            "argTypes": function.args.iter().map(|kind| name(*kind)).collect::<Vec<_>>(),
            // As Prometheus counts: -1 is any number, else how many may be left out.
            "variadic": match function.args_max {
                usize::MAX => -1,
                _ => i64::try_from(function.optional).unwrap_or(0),
            },
            "returnType": name(function.returns),
        },
        "args": args.iter().map(tree).collect::<Vec<_>>(),
    })
}

const fn name(kind: Type) -> &'static str {
    match kind {
        Type::Scalar => "scalar",
        Type::String => "string",
        Type::Vector => "vector",
        Type::Matrix => "matrix",
    }
}

fn aggregate(aggregate: &Aggregate) -> Value {
    json!({
        "type": "aggregation",
        "op": aggregate.op.name(),
        "expr": tree(&aggregate.expr),
        "param": aggregate.param.as_ref().map(tree),
        "grouping": aggregate.grouping,
        "without": aggregate.without,
    })
}

fn binary(binary: &Binary) -> Value {
    let vectors = [&binary.lhs, &binary.rhs].iter().all(|side| side.value_type() == Type::Vector);
    json!({
        "type": "binaryExpr",
        "op": binary.op.name(),
        "lhs": tree(&binary.lhs),
        "rhs": tree(&binary.rhs),
        "matching": vectors.then(|| matching(&binary.matching)),
        "bool": binary.return_bool,
    })
}

fn matching(matching: &Matching) -> Value {
    let cardinality = match matching.cardinality {
        Cardinality::OneToOne => "one-to-one",
        Cardinality::ManyToOne => "many-to-one",
        Cardinality::OneToMany => "one-to-many",
        Cardinality::ManyToMany => "many-to-many",
    };
    json!({
        "card": cardinality,
        "labels": matching.labels,
        "on": matching.on,
        "include": matching.include,
        "fillValues": { "lhs": null, "rhs": null },
    })
}
