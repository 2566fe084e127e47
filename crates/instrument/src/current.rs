//! The request that the present task serves: its id and route.
