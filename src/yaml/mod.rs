//! YAML 1.2 text to a tree in which every key and value knows where it stands.
//!
//! The tree keeps scalars as text: what a scalar means is decided by the option it is given to, so
//! that `port: 4317`, `port: "4317"` and `${env:PORT}` are one. `key:` with nothing after it, `~` and
//! `null` mean "not set". Limits: 1 MiB of text, 50,000 nodes after aliases, 64 levels.
//!
//! Source: YAML 1.2.2; the events come from `granit-parser`.

use std::collections::HashMap;

use granit_parser::{Event, Options, Parser, ScalarStyle};

mod finding;
mod place;

pub use finding::{
    Finding, Findings, REDACTED, Severity, Source, SourceId, SourceKind, Sources, Span, Style,
    nearest, render,
};
pub use place::place;

/// The largest file that is read.
pub const TEXT_BYTES_MAX: usize = 1 << 20;
const NODES_MAX: usize = 50_000;
const DEPTH_MAX: usize = 64;

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where it begins; of a single value how long it is, where it stands in one line.
    pub span: Span,
    /// What it is.
    pub value: Value,
}

/// A YAML value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing, `~` or `null`, unquoted.
    Null,
    /// Any other scalar, unescaped.
    Scalar(String),
    /// A list.
    Sequence(Vec<Node>),
    /// Keys and values, each key once.
    Mapping(Vec<Entry>),
}

/// A key and its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key stands.
    pub key_span: Span,
    /// The value.
    pub node: Node,
}

impl Value {
    /// What it is, in the words of the documentation.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Scalar(_) => "a single value",
            Self::Sequence(_) => "a list",
            Self::Mapping(_) => "a mapping",
        }
    }
}

/// Parses `text`, which is source `source`. What is wrong goes to `findings`; what stands before a
/// syntax error is not used.
pub fn parse(text: &str, source: SourceId, findings: &mut Vec<Finding>) -> Option<Node> {
    let Repeated { mut root, .. } = parse_repeated(text, source, findings)?;
    root.drop_repeated();
    Some(root)
}

/// A tree in which a key may be there more than once; each time but the first is among the findings.
#[derive(Debug)]
pub struct Repeated {
    /// The tree.
    pub root: Node,
    /// Whether it holds everything that was written; not where a key is a list or a mapping.
    pub whole: bool,
}

/// Like [`parse`], with what stands behind keys that are given again: for who looks at everything that was written.
pub fn parse_repeated(
    text: &str,
    source: SourceId,
    findings: &mut Vec<Finding>,
) -> Option<Repeated> {
    let start = Span { source, line: 1, column: 1, length: 0 };
    if text.len() > TEXT_BYTES_MAX {
        findings.push(Finding::error(start, "the file is larger than 1 MiB"));
        return None;
    }
    let options = granit_parser::options! {
        emit_comments: false,
        flow_nesting_limit: DEPTH_MAX,
        block_nesting_limit: DEPTH_MAX,
    };
    let mut tree = Tree {
        source,
        open: Vec::new(),
        anchors: HashMap::new(),
        nodes: 0,
        root: None,
        whole: true,
    };
    match tree.read(text, options, findings) {
        Ok(()) => {
            let root = tree.root.unwrap_or(Node { span: start, value: Value::Null });
            Some(Repeated { root, whole: tree.whole })
        }
        Err(finding) => {
            findings.push(finding);
            None
        }
    }
}

/// Builds the tree from events: a stack of what is open.
struct Tree {
    source: SourceId,
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    root: Option<Node>,
    whole: bool,
}

struct Open {
    span: Span,
    anchor: usize,
    content: Content,
}

enum Content {
    Sequence(Vec<Node>),
    /// The entries, and the key that waits for its value; `None` within for one that is refused.
    Mapping(Vec<Entry>, Option<(Option<String>, Span)>),
}

impl Tree {
    fn read(
        &mut self,
        text: &str,
        options: Options,
        findings: &mut Vec<Finding>,
    ) -> Result<(), Finding> {
        let mut documents = 0;
        for event in Parser::new_from_str_with_options(text, options) {
            let (event, span) = event.map_err(|error| {
                let at = self.span(error.marker(), 1);
                Finding::error(at, format!("this is not YAML: {}", error.info()))
            })?;
            let length = span.end.index().saturating_sub(span.start.index());
            let one_line = span.end.line() == span.start.line();
            let at = self.span(&span.start, if one_line { length } else { 1 });
            match event {
                Event::DocumentStart(..) => {
                    documents += 1;
                    if documents > 1 {
                        return Err(Finding::error(at, "a second YAML document begins here")
                            .help("give each document a file of its own"));
                    }
                }
                Event::Scalar(text, style, anchor, _) => {
                    let value = match &*text {
                        "" | "~" | "null" | "Null" | "NULL" if style == ScalarStyle::Plain => {
                            Value::Null
                        }
                        _ => Value::Scalar(text.into_owned()),
                    };
                    self.add(Node { span: at, value }, anchor, findings)?;
                }
                Event::SequenceStart(_, anchor, _) => {
                    self.open(at, anchor, Content::Sequence(Vec::new()))?;
                }
                Event::MappingStart(_, anchor, _) => {
                    self.open(at, anchor, Content::Mapping(Vec::new(), None))?;
                }
                Event::SequenceEnd | Event::MappingEnd => self.close(findings)?,
                Event::Alias(id) => {
                    let target = self.anchors.get(&id).cloned().ok_or_else(|| {
                        Finding::error(at, "this alias stands within what it refers to")
                    })?;
                    self.nodes += count(&target);
                    self.add(target, 0, findings)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn span(&self, at: &granit_parser::Marker, length: usize) -> Span {
        Span { source: self.source, line: at.line().max(1), column: at.col() + 1, length }
    }

    fn open(&mut self, span: Span, anchor: usize, content: Content) -> Result<(), Finding> {
        if self.open.len() >= DEPTH_MAX {
            return Err(Finding::error(span, "more than 64 levels deep"));
        }
        self.open.push(Open { span: Span { length: 1, ..span }, anchor, content });
        Ok(())
    }

    fn close(&mut self, findings: &mut Vec<Finding>) -> Result<(), Finding> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let value = match open.content {
            Content::Sequence(nodes) => Value::Sequence(nodes),
            Content::Mapping(entries, _) => Value::Mapping(entries),
        };
        self.add(Node { span: open.span, value }, open.anchor, findings)
    }

    fn add(
        &mut self,
        node: Node,
        anchor: usize,
        findings: &mut Vec<Finding>,
    ) -> Result<(), Finding> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return Err(Finding::error(node.span, "more than 50,000 values"));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut().map(|open| &mut open.content) {
            None => self.root = Some(node),
            Some(Content::Sequence(nodes)) => nodes.push(node),
            Some(Content::Mapping(_, key @ None)) => *key = Some(key_of(node, findings)),
            Some(Content::Mapping(entries, key)) => {
                let Some((Some(key), key_span)) = key.take() else {
                    self.whole = false;
                    return Ok(());
                };
                if let Some(first) = entries.iter().find(|entry| entry.key == key) {
                    let line = first.key_span.line;
                    findings.push(
                        Finding::error(key_span, format!("`{key}` is given twice"))
                            .help(format!("the first one is in line {line}")),
                    );
                }
                entries.push(Entry { key, key_span, node });
            }
        }
        Ok(())
    }
}

impl Node {
    /// Leaves each key where it is first.
    pub fn drop_repeated(&mut self) {
        match &mut self.value {
            Value::Null | Value::Scalar(_) => {}
            Value::Sequence(nodes) => nodes.iter_mut().for_each(Self::drop_repeated),
            Value::Mapping(entries) => {
                let mut seen = std::collections::HashSet::new();
                entries.retain(|entry| seen.insert(entry.key.clone()));
                entries.iter_mut().for_each(|entry| entry.node.drop_repeated());
            }
        }
    }
}

fn key_of(node: Node, findings: &mut Vec<Finding>) -> (Option<String>, Span) {
    match node.value {
        Value::Scalar(text) => (Some(text), node.span),
        other => {
            let what = other.kind();
            findings
                .push(Finding::error(node.span, format!("a key is a single value, not {what}")));
            (None, node.span)
        }
    }
}

fn count(node: &Node) -> usize {
    1 + match &node.value {
        Value::Null | Value::Scalar(_) => 0,
        Value::Sequence(nodes) => nodes.iter().map(count).sum(),
        Value::Mapping(entries) => entries.iter().map(|entry| count(&entry.node)).sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (Option<Node>, Vec<String>) {
        let mut findings = Vec::new();
        let node = parse(text, SourceId::FIRST, &mut findings);
        let shown = findings
            .iter()
            .map(|f| format!("{}:{}: {}", f.span.line, f.span.column, f.message))
            .collect();
        (node, shown)
    }

    fn entries(node: &Node) -> &[Entry] {
        match &node.value {
            Value::Mapping(entries) => entries,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn keys_and_values_know_their_place() {
        let (node, findings) = parsed("a:\n  b: [1, \"two\"]\n");
        assert!(findings.is_empty());
        let node = node.unwrap();
        let b = &entries(&entries(&node)[0].node)[0];
        assert_eq!((b.key_span.line, b.key_span.column, b.key_span.length), (2, 3, 1));
        let Value::Sequence(nodes) = &b.node.value else { panic!() };
        assert_eq!((nodes[1].span.column, nodes[1].span.length), (10, 5));
        assert_eq!(nodes[1].value, Value::Scalar("two".to_owned()));
    }

    #[test]
    fn nothing_tilde_and_null_mean_not_set_but_quoted_text_does_not() {
        let (node, _) = parsed("a:\nb: ~\nc: null\nd: \"null\"\ne: \"\"\n");
        let node = node.unwrap();
        let null: Vec<bool> = entries(&node).iter().map(|e| e.node.value == Value::Null).collect();
        assert_eq!(null, [true, true, true, false, false]);
    }

    #[test]
    fn an_empty_file_is_a_tree_without_values() {
        assert_eq!(parsed("").0.unwrap().value, Value::Null);
        assert_eq!(parsed("# nothing\n").0.unwrap().value, Value::Null);
    }

    #[test]
    fn a_key_given_twice_a_second_document_and_bad_syntax_are_found() {
        let (node, findings) = parsed("a: 1\na: 2\n");
        assert_eq!(findings, ["2:1: `a` is given twice"]);
        assert_eq!(entries(&node.unwrap()).len(), 1);
        assert_eq!(parsed("a: 1\n---\nb: 2\n").1, ["2:1: a second YAML document begins here"]);
        let (node, findings) = parsed("a: [1, 2\nb: 3\n");
        assert!(node.is_none());
        assert!(findings[0].contains("this is not YAML"), "{findings:?}");
    }

    #[test]
    fn aliases_are_copies_and_cannot_multiply_without_end() {
        let (node, _) = parsed("a: &x {k: 1}\nb: *x\n");
        let node = node.unwrap();
        assert_eq!(entries(&node)[0].node, entries(&node)[1].node);
        let mut bomb = "a0: &a0 [1,1,1,1,1,1,1,1,1,1]\n".to_owned();
        for i in 1..9 {
            let alias = format!("*a{}", i - 1);
            bomb += &format!("a{i}: &a{i} [{}]\n", vec![alias; 10].join(", "));
        }
        assert!(parsed(&bomb).1[0].contains("more than 50,000 values"));
    }

    #[test]
    fn deep_nesting_is_refused() {
        let (node, findings) = parsed(&"[".repeat(1000));
        assert!(node.is_none() && findings.len() == 1);
    }
}
