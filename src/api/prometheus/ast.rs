//! An expression as a tree of JSON objects, for editors that explain queries.

use serde_json::{Value, json};
use sidelight_promql::Expr;
use sidelight_promql::ast::{
    Aggregate, At, Binary, Call, Cardinality, MatchOp, Matching, Subquery, Type, VectorSelector,
};

use super::encode;

/// The tree of `expr`, with the names that Prometheus gives its nodes. What it has behind feature flags is there as it is
/// without them.
pub(super) fn tree(expr: &Expr) -> Value {
    match expr {
        Expr::Number(number) => {
            let mut text = String::new();
            encode::number(&mut text, number.value);
            json!({ "type": "numberLiteral", "val": text })
        }
        Expr::String(string) => json!({ "type": "stringLiteral", "val": string.value }),
        Expr::Vector(vector) => selector("vectorSelector", vector, None),
        Expr::Matrix(matrix) => selector("matrixSelector", &matrix.selector, Some(matrix.range)),
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

fn selector(kind: &str, selector: &VectorSelector, range: Option<i64>) -> Value {
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
    let mut node = json!({
        "type": kind,
        "name": selector.name.as_deref().unwrap_or_default(),
        "offset": selector.offset,
        "offsetExpr": null,
        "anchored": false,
        "smoothed": false,
        "matchers": matchers.collect::<Vec<_>>(),
        "timestamp": timestamp,
        "startOrEnd": end,
    });
    if let (Some(range), Some(node)) = (range, node.as_object_mut()) {
        node.insert("range".to_owned(), range.into());
        node.insert("rangeExpr".to_owned(), Value::Null);
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
    json!({
        "type": "subquery",
        "expr": tree(&subquery.expr),
        "range": subquery.range,
        "rangeExpr": null,
        "offset": subquery.offset,
        "offsetExpr": null,
        "step": subquery.step.unwrap_or(0),
        "stepExpr": null,
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
