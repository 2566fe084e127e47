//! The nodes of the service graph by number, so that edges and waiting ends hold four bytes.
//!
//! Limits: as many nodes as given, of which so many virtual ones; names of [`NAME_BYTES_MAX`]. A number is given again after
//! [`Nodes::retain`] freed it. A known node is found without a copy of its name.

use std::collections::HashSet;
use std::hash::BuildHasher as _;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::super::clip::clip;

/// The longest name of a node.
const NAME_BYTES_MAX: usize = 256;

/// A node by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Node<Name> {
    /// Sends spans.
    Service(Name),
    /// Was named by those who call it.
    Virtual(Name),
    /// Whoever makes the first request.
    User,
}

/// A node with a name of its own.
pub(super) type Owned = Node<Box<[u8]>>;

impl Owned {
    fn name(&self) -> &[u8] {
        match self {
            Self::Service(name) | Self::Virtual(name) => name,
            Self::User => b"user",
        }
    }

    fn borrowed(&self) -> Node<&[u8]> {
        match self {
            Self::Service(name) => Node::Service(name),
            Self::Virtual(name) => Node::Virtual(name),
            Self::User => Node::User,
        }
    }
}

impl Node<&[u8]> {
    fn owned(self) -> Owned {
        match self {
            Self::Service(name) => Node::Service(name.into()),
            Self::Virtual(name) => Node::Virtual(name.into()),
            Self::User => Node::User,
        }
    }
}

/// At most [`NAME_BYTES_MAX`] of a name, cut between characters.
pub(super) fn clipped(name: &[u8]) -> &[u8] {
    clip(name, NAME_BYTES_MAX)
}

#[derive(Debug)]
pub(super) struct Nodes {
    max: usize,
    virtual_max: usize,
    hasher: DefaultHashBuilder,
    /// Numbers by the hash of their nodes.
    numbers: HashTable<u32>,
    nodes: Vec<Option<Owned>>,
    free: Vec<u32>,
    virtual_nodes: usize,
}

impl Nodes {
    pub(super) fn new(max: usize, virtual_max: usize) -> Self {
        let (numbers, nodes, free) = (HashTable::new(), Vec::new(), Vec::new());
        let (max, hasher) = (max.max(2), DefaultHashBuilder::default());
        Self { max, virtual_max, hasher, numbers, nodes, free, virtual_nodes: 0 }
    }

    fn get(&self, number: u32) -> Option<&Owned> {
        self.nodes.get(number as usize).and_then(Option::as_ref)
    }

    pub(super) fn find(&self, node: Node<&[u8]>) -> Option<u32> {
        let is = |&number: &u32| self.get(number).is_some_and(|of| of.borrowed() == node);
        self.numbers.find(self.hasher.hash_one(node), is).copied()
    }

    pub(super) fn is_full(&self) -> bool {
        self.numbers.len() >= self.max
    }

    /// The number of a new node; `None` past a limit.
    pub(super) fn add(&mut self, node: Node<&[u8]>) -> Option<u32> {
        let is_virtual = matches!(node, Node::Virtual(_));
        if self.is_full() || is_virtual && self.virtual_nodes >= self.virtual_max {
            return None;
        }
        self.virtual_nodes += usize::from(is_virtual);
        let number = match self.free.pop() {
            Some(number) => number,
            None => u32::try_from(self.nodes.len()).ok()?,
        };
        self.put(number, node.owned());
        Some(number)
    }

    fn put(&mut self, number: u32, node: Owned) {
        let at = number as usize;
        if self.nodes.len() <= at {
            self.nodes.resize(at + 1, None);
        }
        let hash = self.hasher.hash_one(node.borrowed());
        if let Some(slot) = self.nodes.get_mut(at) {
            *slot = Some(node);
        }
        let (nodes, hasher) = (&self.nodes, &self.hasher);
        let rehash = |&number: &u32| {
            let node = nodes.get(number as usize).and_then(Option::as_ref);
            node.map_or(0, |node| hasher.hash_one(node.borrowed()))
        };
        self.numbers.insert_unique(hash, number, rehash);
    }

    pub(super) fn name(&self, number: u32) -> String {
        String::from_utf8_lossy(self.get(number).map_or(b"", Node::name)).into_owned()
    }

    /// Forgets all but these.
    pub(super) fn retain(&mut self, used: impl Iterator<Item = u32>) {
        let used: HashSet<u32> = used.collect();
        self.numbers.retain(|number| used.contains(number));
        for (number, slot) in (0..).zip(&mut self.nodes) {
            if !used.contains(&number)
                && let Some(node) = slot.take()
            {
                self.virtual_nodes -= usize::from(matches!(node, Node::Virtual(_)));
                self.free.push(number);
            }
        }
    }

    /// All of them: a place that is free is `None`.
    pub(super) fn all(&self) -> &[Option<Owned>] {
        &self.nodes
    }

    /// Puts back what [`Nodes::all`] was.
    pub(super) fn restore(&mut self, all: Vec<Option<Owned>>) {
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
