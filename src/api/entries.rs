//! Routes of detailed entries: what happened last, one by one. Someone else makes the documents
//! ([`Entries`](super::Entries)).

use super::call::Call;
use super::failure::Failure;
use super::reply::Reply;
use super::route::{Methods, Route, ask, private, taking, tell};
use super::sheets;

const PARAMETERS: &[(&str, &str)] = &[
    ("family", "Only this family: `http`, `operation`, `llm`, `retry`, `cache`, `queue`, …"),
    ("service", "Only this service."),
    ("outcome", "Only what ended so."),
    ("name", "Only this name."),
    ("since", "Not before this time: RFC 3339, Unix seconds, or how long ago, such as 15m."),
    ("limit", "The most entries."),
];

fn sheet(call: &Call<'_>) -> Result<Reply, Failure> {
    Ok(match call.sources.entries.list(call.params.pairs()) {
        Ok(document) => sheets::reply(sheets::list(&document, "entries", sheets::ENTRIES)),
        Err(refused) => refused.into_reply(),
    })
}

pub(super) const ROUTES: &[Route] = &[
    private(taking(
        ask(
            "/api/sidelight/v1/entries",
            Methods::Get,
            "the last entries: `family`, `service`, `outcome`, `name`, `since` (a time, or 15m), `limit`",
            |from, asked| from.entries.list(&asked.parameters),
        ),
        PARAMETERS,
    )),
    private(taking(tell("/api/sidelight/v1/entries.csv", "the same as CSV", sheet), PARAMETERS)),
    ask(
        "/api/sidelight/v1/entries/stats",
        Methods::Get,
        "how full each family of entries is",
        |from, _| from.entries.stats(),
    ),
    ask(
        "/api/sidelight/v1/entries/cleanup",
        Methods::Post,
        "lets entries go that are past their time",
        |from, _| from.entries.cleanup(),
    ),
];
