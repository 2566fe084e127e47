//! Expressions: evaluated at one time or over a range, laid out, and as a tree.

use sidelight_promql::Expr;
use sidelight_promql::engine::{Engine, Options};
use sidelight_promql::value::{Answer, Value};

use super::ast;
use super::encode;
use super::envelope::Success;
use crate::api::call::Call;
use crate::api::failure::Failure;
use crate::api::reply::Reply;

pub(super) fn instant(call: &Call<'_>) -> Result<Reply, Failure> {
    let time = call.params.time("time", call.now_ms())?;
    let limit = call.params.limit("limit")?;
    let expr = expression(call)?;
    let engine = engine(call)?;
    let stop = || (call.stop)().is_some();
    let answer = engine.instant(&expr, time, &call.store.reading(&stop));
    Ok(reply(answer.map_err(|error| call.failure(error))?, time, limit))
}

pub(super) fn range(call: &Call<'_>) -> Result<Reply, Failure> {
    let params = call.params;
    let (start, end) = (params.required_time("start")?, params.required_time("end")?);
    if end < start {
        return Err(Failure::parameter("end", "end timestamp must not be before start time"));
    }
    let absent = || Failure::parameter("step", "cannot parse \"\" to a valid duration");
    let step = params.duration("step")?.ok_or_else(absent)?;
    if step <= 0 {
        let why = "zero or negative query resolution step widths are not accepted. Try a positive \
                   integer";
        return Err(Failure::parameter("step", why));
    }
    let limit = params.limit("limit")?;
    let expr = expression(call)?;
    let engine = engine(call)?;
    // How many steps there may be is the engine's to say.
    let stop = || (call.stop)().is_some();
    let answer = engine.range(&expr, start, end, step, &call.store.reading(&stop));
    Ok(reply(answer.map_err(|error| call.failure(error))?, start, limit))
}

/// Of an expression that is laid out or shown as a tree, which takes a hundred times its length in memory.
const SHOWN_BYTES_MAX: usize = 32 << 10;

pub(super) fn format(call: &Call<'_>) -> Result<Reply, Failure> {
    Ok(Success::value(&shown(call)?.pretty().into()).into_reply())
}

pub(super) fn parse(call: &Call<'_>) -> Result<Reply, Failure> {
    Ok(Success::value(&ast::tree(&shown(call)?)).into_reply())
}

fn shown(call: &Call<'_>) -> Result<Expr, Failure> {
    if call.params.first("query").is_some_and(|text| text.len() > SHOWN_BYTES_MAX) {
        let why = format_args!("it has more than {SHOWN_BYTES_MAX} bytes");
        return Err(Failure::parameter("query", why));
    }
    expression(call)
}

pub(super) fn expression(call: &Call<'_>) -> Result<Expr, Failure> {
    let text = call.params.first("query").unwrap_or_default();
    sidelight_promql::parse(text).map_err(|error| Failure::parameter("query", error))
}

pub(super) fn engine<'a>(call: &'a Call<'_>) -> Result<Engine<'a>, Failure> {
    let text = call.params.first("query").unwrap_or_default();
    let mut options = Options { text, ..call.options() };
    if let Some(lookback) = call.params.duration("lookback_delta")?.filter(|ms| *ms > 0) {
        options.lookback = lookback;
    }
    Ok(Engine::new(options))
}

/// An answer whose text, if it is one, is given `time`.
fn reply(answer: Answer, time: i64, limit: usize) -> Reply {
    let Answer { mut value, annotations } = answer;
    let warnings = match &mut value {
        Value::Vector(samples) => Success::cut(samples, limit),
        Value::Matrix(series) => Success::cut(series, limit),
        Value::Scalar(_) | Value::String(_) => Vec::new(),
    };
    Success { data: encode::value(&value, time), annotations, warnings }.into_reply()
}
