//! The nodes of the service graph by number, so that edges and waiting ends hold four bytes.
//!
//! Limits: as many nodes as given, of which so many virtual ones; names of [`NAME_BYTES_MAX`]. A number is given again after
//! [`Nodes::retain`] freed it.

use std::collections::{HashMap, HashSet};

/// The longest name of a node.
const NAME_BYTES_MAX: usize = 256;

/// A node by its name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Node {
    /// Sends spans.
    Service(Box<[u8]>),
    /// Was named by those who call it.
    Virtual(Box<[u8]>),
    /// Whoever makes the first request.
    User,
}

impl Node {
    fn name(&self) -> &[u8] {
        match self {
            Self::Service(name) | Self::Virtual(name) => name,
            Self::User => b"user",
        }
    }
}

/// At most [`NAME_BYTES_MAX`] of a name, cut between characters.
pub(super) fn clipped(name: &[u8]) -> Box<[u8]> {
    super::super::key::clip(name, NAME_BYTES_MAX).into()
}

#[derive(Debug)]
pub(super) struct Nodes {
    max: usize,
    virtual_max: usize,
    numbers: HashMap<Node, u32>,
    nodes: Vec<Option<Node>>,
    free: Vec<u32>,
    virtual_nodes: usize,
}

impl Nodes {
    pub(super) fn new(max: usize, virtual_max: usize) -> Self {
        let (numbers, nodes, free) = (HashMap::new(), Vec::new(), Vec::new());
        Self { max: max.max(2), virtual_max, numbers, nodes, free, virtual_nodes: 0 }
    }

    pub(super) fn find(&self, node: &Node) -> Option<u32> {
        self.numbers.get(node).copied()
    }

    pub(super) fn is_full(&self) -> bool {
        self.numbers.len() >= self.max
    }

    /// The number of a new node; `None` past a limit.
    pub(super) fn add(&mut self, node: Node) -> Option<u32> {
        let is_virtual = matches!(node, Node::Virtual(_));
        if self.is_full() || is_virtual && self.virtual_nodes >= self.virtual_max {
            return None;
        }
        self.virtual_nodes += usize::from(is_virtual);
        let number = match self.free.pop() {
            Some(number) => number,
            None => u32::try_from(self.nodes.len()).ok()?,
        };
        self.put(number, node);
        Some(number)
    }

    fn put(&mut self, number: u32, node: Node) {
        let at = number as usize;
        if self.nodes.len() <= at {
            self.nodes.resize(at + 1, None);
        }
        if let Some(slot) = self.nodes.get_mut(at) {
            *slot = Some(node.clone());
        }
        self.numbers.insert(node, number);
    }

    pub(super) fn name(&self, number: u32) -> String {
        let node = self.nodes.get(number as usize).and_then(Option::as_ref);
        String::from_utf8_lossy(node.map_or(b"", Node::name)).into_owned()
    }

    /// Forgets all but these.
    pub(super) fn retain(&mut self, used: impl Iterator<Item = u32>) {
        let used: HashSet<u32> = used.collect();
        for (number, slot) in (0..).zip(&mut self.nodes) {
            if !used.contains(&number)
                && let Some(node) = slot.take()
            {
                self.numbers.remove(&node);
                self.virtual_nodes -= usize::from(matches!(node, Node::Virtual(_)));
                self.free.push(number);
            }
        }
    }

    /// All of them: a place that is free is `None`.
    pub(super) fn all(&self) -> &[Option<Node>] {
        &self.nodes
    }

    /// Puts back what [`Nodes::all`] was.
    pub(super) fn restore(&mut self, all: Vec<Option<Node>>) {
        for (number, node) in (0..).zip(all) {
            match node {
                Some(node) => {
                    self.virtual_nodes += usize::from(matches!(node, Node::Virtual(_)));
                    self.put(number, node);
                }
                None => {
                    self.nodes.push(None);
                    self.free.push(number);
                }
            }
        }
    }
}
