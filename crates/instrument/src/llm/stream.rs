//! The usage within a stream of server-sent events, or of JSON objects, as lines or as the elements of an array.
//!
//! A later record replaces what it repeats of an earlier one, and adds what that did not have: Anthropic says the input first and
//! the output last, Gemini repeats sums with every event, OpenAI has one record in the last event. Nothing is ever added up.
//! Limits: a line or object of 1 MiB; a longer one is skipped. Cost: one without a usage record is searched, not parsed.

use serde_json::{Map, Value};

use super::usage::Answer;
use super::{Provider, Usage, UsageError};

const LINE_BYTES_MAX: usize = 1 << 20;

/// Collects the usage of one streamed answer.
///
/// # Example
/// ```
/// use sidelight::llm::{Provider, UsageStream};
///
/// let mut stream = UsageStream::new(Provider::OpenAi);
/// stream.received(b"data: {\"choices\":[{\"delta\":{\"content\":\"hi\"}}]}\n\n");
/// stream.received(b"data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":1}}\n\ndata: [DONE]\n\n");
/// assert_eq!(stream.usage().unwrap().input, 9);
/// ```
#[derive(Debug)]
pub struct UsageStream {
    provider: Provider,
    /// What divides the events; none before the first byte that is no space.
    divided: Option<Divided>,
    /// The line, or the object.
    line: Vec<u8>,
    /// It began more than [`LINE_BYTES_MAX`] ago.
    overlong: bool,
    record: Map<String, Value>,
    model: Option<String>,
    response_id: Option<String>,
}

/// What divides one event from the next.
#[derive(Clone, Copy, Debug)]
enum Divided {
    Lines,
    Objects(Nesting),
}

/// How deep in objects.
#[derive(Clone, Copy, Debug, Default)]
struct Nesting {
    depth: u32,
    text: bool,
    escaped: bool,
}

impl Nesting {
    fn pass(&mut self, byte: u8) {
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' if self.text => self.escaped = true,
            b'"' if self.depth > 0 => self.text = !self.text,
            b'{' if !self.text => self.depth = self.depth.saturating_add(1),
            b'}' if !self.text => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
    }
}

impl UsageStream {
    /// Begins a stream.
    #[must_use]
    pub fn new(provider: Provider) -> Self {
        Self {
            provider,
            divided: None,
            line: Vec::new(),
            overlong: false,
            record: Map::new(),
            model: None,
            response_id: None,
        }
    }

    /// Takes bytes as they arrive, cut anywhere: server-sent events, lines of JSON, or Gemini's array. Bedrock's stream is
    /// binary: decode it, and give the JSON of its `metadata` event to [`event`](Self::event).
    pub fn received(&mut self, bytes: &[u8]) {
        if self.divided.is_none() {
            let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
            self.divided = first.map(|first| match first {
                b'[' | b'{' => Divided::Objects(Nesting::default()),
                _ => Divided::Lines,
            });
        }
        match self.divided {
            Some(Divided::Objects(nesting)) => self.objects(nesting, bytes),
            Some(Divided::Lines) => self.lines(bytes),
            None => {}
        }
    }

    fn objects(&mut self, mut nesting: Nesting, bytes: &[u8]) {
        for byte in bytes {
            let within = nesting.depth > 0;
            nesting.pass(*byte);
            if !within && nesting.depth == 0 {
                continue;
            }
            self.overlong |= self.line.len() >= LINE_BYTES_MAX;
            if !self.overlong {
                self.line.push(*byte);
            }
            if nesting.depth == 0 {
                self.end_line();
            }
        }
        self.divided = Some(Divided::Objects(nesting));
    }

    fn lines(&mut self, bytes: &[u8]) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let whole = part.ends_with(b"\n");
            if self.line.len() + part.len() > LINE_BYTES_MAX {
                self.overlong = true;
            }
            if !self.overlong {
                self.line.extend_from_slice(part);
            }
            if whole {
                self.end_line();
            }
        }
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        if !std::mem::take(&mut self.overlong) {
            self.event(&line);
        }
        self.line = line;
        self.line.clear();
    }

    /// Takes one event: its JSON, or the line of `data:` that holds it.
    pub fn event(&mut self, event: &[u8]) {
        let event = event.trim_ascii();
        let event = event.strip_prefix(b"data:").unwrap_or(event).trim_ascii();
        if !event.windows(6).any(|word| word == b"\"usage") {
            return;
        }
        let Ok(answer) = Answer::parse(event) else { return };
        for (field, count) in answer.record(self.provider).into_iter().flatten() {
            if !count.is_null() {
                self.record.insert(field.clone(), count.clone());
            }
        }
        let (model, id) = answer.names();
        self.model = model.or(self.model.take());
        self.response_id = id.or(self.response_id.take());
    }

    /// What the answer used, once it has ended.
    ///
    /// # Errors
    /// [`UsageError::Missing`] if no event had a usage record, [`UsageError::Invalid`] if one was none.
    pub fn usage(&self) -> Result<Usage, UsageError> {
        let mut unfinished = Self::new(self.provider);
        // The last line needs no end.
        unfinished.event(if self.overlong { b"" } else { &self.line });
        let mut record = self.record.clone();
        record.extend(unfinished.record);
        if record.is_empty() {
            return Err(UsageError::Missing);
        }
        let mut usage = Usage::normalised(self.provider, &record)?;
        usage.model = unfinished.model.or_else(|| self.model.clone());
        usage.response_id = unfinished.response_id.or_else(|| self.response_id.clone());
        Ok(usage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same whether the bytes come at once, one by one, or in between.
    fn streamed(provider: Provider, text: &str) -> Result<Usage, UsageError> {
        let read = |size| {
            let mut stream = UsageStream::new(provider);
            text.as_bytes().chunks(size).for_each(|bytes| stream.received(bytes));
            stream.usage()
        };
        let (one, seven, all) = (read(1), read(7), read(text.len().max(1)));
        assert_eq!(one.as_ref().ok(), all.as_ref().ok());
        assert_eq!(seven.as_ref().ok(), all.as_ref().ok());
        all
    }

    #[test]
    fn openai_says_it_in_the_last_chunk_if_asked_to() {
        let text = concat!(
            r#"data: {"id":"c","model":"gpt-5-mini","choices":[{"delta":{"content":"\"usage"}}],"usage":null}"#,
            "\n\n",
            r#"data: {"id":"c","model":"gpt-5-mini","choices":[],"#,
            r#""usage":{"prompt_tokens":2006,"completion_tokens":300}}"#,
            "\n\ndata: [DONE]\n\n"
        );
        let usage = streamed(Provider::OpenAi, text).unwrap();
        let model = usage.model.as_deref();
        assert_eq!((usage.input, usage.output, model), (2006, 300, Some("gpt-5-mini")));
        let unasked = "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"}}]}\n\ndata: [DONE]\n\n";
        assert!(matches!(streamed(Provider::OpenAi, unasked), Err(UsageError::Missing)));
    }

    #[test]
    fn openai_responses_say_it_when_completed() {
        let text = concat!(
            "event: response.created\n",
            r#"data: {"type":"response.created","response":{"id":"r","usage":null}}"#,
            "\n\nevent: response.completed\n",
            r#"data: {"type":"response.completed","response":{"id":"resp_1","model":"gpt-5","metadata":{},"#,
            r#""usage":{"input_tokens":10,"output_tokens":4,"output_tokens_details":{"reasoning_tokens":3}}}}"#,
            "\n\n"
        );
        let usage = streamed(Provider::OpenAi, text).unwrap();
        assert_eq!((usage.input, usage.output, usage.reasoning), (10, 4, 3));
        assert_eq!(usage.response_id.as_deref(), Some("resp_1"));
    }

    #[test]
    fn anthropic_says_the_input_first_and_the_output_last_and_nothing_is_added() {
        let text = concat!(
            "event: message_start\r\n",
            r#"data: {"type":"message_start","message":{"id":"msg_1","model":"claude-sonnet-4-5","#,
            r#""usage":{"input_tokens":21,"cache_creation_input_tokens":1253,"#,
            r#""cache_read_input_tokens":128955,"output_tokens":1}}}"#,
            "\r\n\r\nevent: content_block_delta\r\n",
            r#"data: {"type":"content_block_delta","delta":{"text":"hi"}}"#,
            "\r\n\r\nevent: message_delta\r\n",
            r#"data: {"type":"message_delta","delta":{},"usage":{"output_tokens":503}}"#
        );
        let usage = streamed(Provider::Anthropic, text).unwrap();
        assert_eq!((usage.input, usage.cache_read, usage.output), (130_229, 128_955, 503));
        assert_eq!(usage.response_id.as_deref(), Some("msg_1"));
    }

    #[test]
    fn gemini_repeats_sums_with_every_event_with_and_without_sse() {
        let event = |output: u32| {
            let counts = format!(r#""promptTokenCount":1200,"candidatesTokenCount":{output}"#);
            format!(r#"{{"candidates":[],"usageMetadata":{{{counts},"thoughtsTokenCount":400}}}}"#)
        };
        let sse = format!("data: {}\n\ndata: {}\n\n", event(10), event(250));
        let array = format!("[{}\n,\n{}\n]", event(10), event(250));
        let pretty = array.replace(',', ",\r\n  ").replace('{', "{\r\n  ");
        let odd = format!(r#"[{{"text": "a }}\"{{ brace"}},{},{}]"#, event(10), event(250));
        for text in [sse, array, pretty, odd] {
            let usage = streamed(Provider::Gemini, &text).unwrap();
            assert_eq!((usage.input, usage.output, usage.reasoning), (1200, 650, 400));
        }
    }

    #[test]
    fn bedrock_says_it_in_its_metadata() {
        let mut stream = UsageStream::new(Provider::Bedrock);
        stream.event(br#"{"metadata":{"usage":{"inputTokens":30,"outputTokens":628},"metrics":{"latencyMs":1}}}"#);
        assert_eq!(stream.usage().unwrap().output, 628);
    }

    #[test]
    fn a_line_past_the_limit_is_skipped_and_the_next_one_is_read() {
        let mut stream = UsageStream::new(Provider::OpenAi);
        for _ in 0..40 {
            stream.received(&[b'x'; 65_536]);
        }
        assert!(stream.line.len() <= LINE_BYTES_MAX);
        stream.received(b"\ndata: {\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\n");
        assert_eq!(stream.usage().unwrap().output, 2);
    }

    #[test]
    fn an_object_past_the_limit_is_skipped_and_the_next_one_is_read() {
        let mut stream = UsageStream::new(Provider::Gemini);
        stream.received(b"[{\"text\": \"");
        for _ in 0..40 {
            stream.received(&[b'x'; 65_536]);
        }
        assert!(stream.line.len() <= LINE_BYTES_MAX);
        stream.received(
            b"\"},\n{\"usageMetadata\":{\"promptTokenCount\":1,\"candidatesTokenCount\":2}}]",
        );
        assert_eq!(stream.usage().unwrap().output, 2);
    }

    #[test]
    fn what_is_no_json_is_skipped() {
        let mut stream = UsageStream::new(Provider::OpenAi);
        stream.received(b"data: {\"usage\": {oops}}\n\xff\xfe\"usage\"\n: a comment\n\n");
        assert!(matches!(stream.usage(), Err(UsageError::Missing)));
    }
}
