//! One route of the admin endpoint: its path and methods, who may ask, and how its reply is made.

use http::{HeaderMap, Method};
use sidelight_promql::engine::Stop;

use super::guard::Access;
use super::reply::Reply;
use super::sources::Sources;
use super::{asked, call};

/// One path and what it answers.
#[derive(Debug)]
pub struct Route {
    /// The path; a segment `{name}` stands for any one.
    pub path: &'static str,
    /// Its methods.
    pub methods: Methods,
    /// Who may ask.
    pub access: Access,
    /// What it is for, as `GET /` shows it.
    pub purpose: &'static str,
    /// What its query string may have, and what each says; those of views and of the Prometheus API aside.
    pub parameters: &'static [(&'static str, &'static str)],
    pub(super) answer: Answer,
}

/// What may be asked of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Methods {
    /// GET and HEAD.
    Get,
    /// POST only: it changes something.
    Post,
    /// DELETE only: it takes something away.
    Delete,
    /// GET and HEAD, or POST with the parameters in a form.
    GetOrForm,
}

impl Methods {
    /// Whether a request of this method may be answered.
    pub(super) fn allow(self, method: &Method) -> bool {
        let get = *method == Method::GET || *method == Method::HEAD;
        match self {
            Self::Get => get,
            Self::Post => *method == Method::POST,
            Self::Delete => *method == Method::DELETE,
            Self::GetOrForm => get || *method == Method::POST,
        }
    }

    pub(super) const fn names(self) -> &'static str {
        match self {
            Self::Get => "GET, HEAD",
            Self::Post => "POST",
            Self::Delete => "DELETE",
            Self::GetOrForm => "GET, HEAD, POST",
        }
    }
}

/// How a route makes its reply.
#[derive(Clone, Copy, Debug)]
pub(super) enum Answer {
    /// From the sources, on a blocking thread, until nobody waits for it; may be large.
    Read(Read),
    /// From the path, the query string and the body, on a blocking thread.
    Ask(asked::Handler),
    /// The same of what reads the journal's files, one at once.
    Look(asked::Handler),
    /// The same of what reads the store's files, one at once.
    Scan(asked::Handler),
    /// From the store and parameters, on a blocking thread, until nobody waits for it; few at once.
    Query(call::Handler),
    /// The same of what needs no samples and no walk over series, so that it does not wait for queries.
    Tell(call::Handler),
    /// At once.
    Probe(fn(&Sources) -> Reply),
    Reload,
    Quit,
}

/// What answers from the sources and the request's head; asks the last whether somebody still waits.
pub(super) type Read = fn(&Sources, &HeaderMap, &dyn Fn() -> Option<Stop>) -> Reply;

pub(super) const fn get(
    path: &'static str,
    access: Access,
    purpose: &'static str,
    answer: Answer,
) -> Route {
    Route { path, methods: Methods::Get, access, purpose, parameters: &[], answer }
}

pub(super) const fn post(path: &'static str, purpose: &'static str, answer: Answer) -> Route {
    let (methods, access) = (Methods::Post, Access::Control);
    Route { path, methods, access, purpose, parameters: &[], answer }
}

/// A route to a document that someone else makes; one that changes something is for those who may steer.
pub(super) const fn ask(
    path: &'static str,
    methods: Methods,
    purpose: &'static str,
    handler: asked::Handler,
) -> Route {
    let access = match methods {
        Methods::Get => Access::Read,
        _ => Access::Control,
    };
    Route { path, methods, access, purpose, parameters: &[], answer: Answer::Ask(handler) }
}

/// A route to a document that is read of the journal's files.
pub(super) const fn look(
    path: &'static str,
    methods: Methods,
    purpose: &'static str,
    handler: asked::Handler,
) -> Route {
    let mut route = ask(path, methods, purpose, handler);
    route.answer = Answer::Look(handler);
    route
}

/// A route to a document that is read of the store's files.
pub(super) const fn scan(
    path: &'static str,
    methods: Methods,
    purpose: &'static str,
    handler: asked::Handler,
) -> Route {
    let mut route = ask(path, methods, purpose, handler);
    route.answer = Answer::Scan(handler);
    route
}

/// A route that reads the store, with its parameters in the query string or a form.
pub(super) const fn query(
    path: &'static str,
    purpose: &'static str,
    handler: call::Handler,
) -> Route {
    let answer = Answer::Query(handler);
    let (methods, access) = (Methods::GetOrForm, Access::Read);
    Route { path, methods, access, purpose, parameters: &[], answer }
}

/// A route with parameters in the query string or a form that reads no samples.
pub(super) const fn tell(
    path: &'static str,
    purpose: &'static str,
    handler: call::Handler,
) -> Route {
    let mut route = query(path, purpose, handler);
    route.answer = Answer::Tell(handler);
    route
}

/// A route with parameters.
pub(super) const fn taking(
    mut route: Route,
    parameters: &'static [(&'static str, &'static str)],
) -> Route {
    route.parameters = parameters;
    route
}

/// A route whose answers say most of users.
pub(super) const fn private(mut route: Route) -> Route {
    route.access = Access::Private;
    route
}
