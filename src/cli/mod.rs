//! What was typed, and the commands that are not the agent.

pub mod generate;
