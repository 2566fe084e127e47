//! A reply that is sent as it is written: of a page of any size a few pieces are in memory.
//!
//! A blocking thread writes, and waits while the client does not read; once that has gone, writing fails, and the one who
//! writes is told by its [`Patience`](super::patience::Patience). A page that was not written to its end is cut short on the
//! wire too, so that nobody takes it for a whole one.

use std::io;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::patience::Abandon;

/// Pieces that wait to be sent.
const WAITING_MAX: usize = 2;

/// Who wrote it ended before it was finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the reply was not written to its end")]
pub(super) struct CutShort;

#[derive(Debug)]
enum Piece {
    Text(Bytes),
    End,
}

/// Two ends; `abandon` is dropped with that which is read.
pub(super) fn pipe(abandon: Abandon) -> (Writer, Reader) {
    let (writer, pieces) = mpsc::channel(WAITING_MAX);
    (Writer(writer), Reader { pieces, is_over: false, _abandon: abandon })
}

/// The end that a blocking thread writes to. Cloning shares it.
#[derive(Clone, Debug)]
pub(super) struct Writer(mpsc::Sender<Piece>);

impl Writer {
    /// Says that what was written is all. Blocks.
    pub(super) fn finish(self) {
        // Without a reader nobody needs to know.
        let _ = self.0.blocking_send(Piece::End);
    }
}

impl io::Write for Writer {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        if !text.is_empty() {
            let piece = Piece::Text(Bytes::copy_from_slice(text));
            self.0.blocking_send(piece).map_err(|_| io::ErrorKind::BrokenPipe)?;
        }
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The end that is sent.
#[derive(Debug)]
pub(super) struct Reader {
    pieces: mpsc::Receiver<Piece>,
    is_over: bool,
    _abandon: Abandon,
}

impl Reader {
    /// The next piece, which is never empty; `None` after the last.
    pub(super) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, CutShort>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let piece = ready!(self.pieces.poll_recv(cx));
        self.is_over = !matches!(piece, Some(Piece::Text(_)));
        Poll::Ready(match piece {
            Some(Piece::Text(text)) => Some(Ok(text)),
            Some(Piece::End) => None,
            None => Some(Err(CutShort)),
        })
    }

    /// [`Self::poll_next`], to be awaited.
    pub(super) async fn next(&mut self) -> Option<Result<Bytes, CutShort>> {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::super::patience::Patience;
    use super::*;

    #[tokio::test]
    async fn a_page_arrives_in_its_pieces_and_is_over_only_when_it_was_finished() {
        for finished in [true, false] {
            let (mut writer, mut reader) = pipe(Patience::default().abandon_on_drop());
            let writing = tokio::task::spawn_blocking(move || {
                for nth in 0..100_u8 {
                    writer.write_all(&[nth; 7]).unwrap();
                }
                if finished {
                    writer.finish();
                }
            });
            for nth in 0..100 {
                assert_eq!(reader.next().await, Some(Ok(Bytes::from(vec![nth; 7]))));
            }
            assert_eq!(reader.next().await, (!finished).then_some(Err(CutShort)));
            assert_eq!(reader.next().await, None);
            writing.await.unwrap();
        }
    }

    #[tokio::test]
    async fn writing_waits_for_the_reader_and_fails_once_that_has_gone() {
        let patience = Patience::default();
        let (mut writer, reader) = pipe(patience.abandon_on_drop());
        let writing = tokio::task::spawn_blocking(move || {
            let written = (0..100).take_while(|_| writer.write_all(b"x").is_ok()).count();
            writer.finish();
            written
        });
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        assert!(!writing.is_finished() && patience.ended().is_none());
        drop(reader);
        assert_eq!(writing.await.unwrap(), WAITING_MAX);
        assert!(patience.ended().is_some());
    }
}
