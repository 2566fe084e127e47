//! What a request asks whose reply is a document that someone else makes, or is read of files. A body has at most 64 KiB.

use http::{Method, StatusCode};

use super::patience::Patience;
use super::reply::Reply;
use super::sources::{Refused, Sources};

/// A request, read.
#[derive(Debug)]
pub(super) struct Asked {
    /// The part of the path that a route leaves open.
    pub(super) open: String,
    /// Of the query string.
    pub(super) parameters: Vec<(String, String)>,
    pub(super) body: bytes::Bytes,
    /// Whether somebody still waits.
    pub(super) patience: Patience,
}

/// Makes the document of an answer.
pub(super) type Handler = fn(&Sources, &Asked) -> Result<String, Refused>;

/// Answers a request. Blocks.
pub(super) fn answer(handler: Handler, from: &Sources, method: &Method, asked: &Asked) -> Reply {
    // What is posted is made; an empty body asks for something to be done.
    let made = if *method == Method::POST && !asked.body.is_empty() {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    handler(from, asked).map_or_else(Refused::into_reply, |document| Reply::json(made, document))
}
