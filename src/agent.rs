//! The wiring: every queue with its capacity, every task, start and shutdown order.
