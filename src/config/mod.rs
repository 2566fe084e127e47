//! YAML to typed to resolved configuration, with every finding at once.
