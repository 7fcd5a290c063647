//! [`Body`]: whole answers, and streamed ones.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use http_body::{Frame, SizeHint};

/// The body of our answers: bytes that are all there, or, where an answer goes on while something happens, a stream.
///
/// Refusals are always whole.
#[derive(Clone)]
pub struct Body(Kind);

#[derive(Clone)]
enum Kind {
    Whole(Bytes),
    /// Shared by its clones: each piece goes to whichever asks first.
    Streamed(Arc<Mutex<Pieces>>),
}

type Pieces = Pin<Box<dyn Stream<Item = Bytes> + Send>>;

impl Body {
    /// A body that is sent piece by piece, as the stream yields them.
    pub fn streamed(pieces: impl Stream<Item = Bytes> + Send + 'static) -> Self {
        Self(Kind::Streamed(Arc::new(Mutex::new(Box::pin(pieces)))))
    }

    /// Whether it is a stream: then there are no bytes to be had at once, and no length to be told.
    pub fn is_streamed(&self) -> bool {
        matches!(self.0, Kind::Streamed(_))
    }

    /// What is left to send of a whole body; nothing for a stream.
    pub fn bytes(&self) -> &Bytes {
        static NONE: Bytes = Bytes::new();
        match &self.0 {
            Kind::Whole(bytes) => bytes,
            Kind::Streamed(_) => &NONE,
        }
    }

    /// The same, by value.
    pub fn into_bytes(self) -> Bytes {
        match self.0 {
            Kind::Whole(bytes) => bytes,
            Kind::Streamed(_) => Bytes::new(),
        }
    }
}

impl Default for Body {
    fn default() -> Self {
        Self(Kind::Whole(Bytes::new()))
    }
}

impl<T: Into<Bytes>> From<T> for Body {
    fn from(bytes: T) -> Self {
        Self(Kind::Whole(bytes.into()))
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Whole(bytes) => f.debug_tuple("Body").field(bytes).finish(),
            Kind::Streamed(_) => f.write_str("Body(…)"),
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut self.0 {
            Kind::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
            }
            Kind::Streamed(pieces) => {
                let mut pieces = pieces.lock().unwrap_or_else(PoisonError::into_inner);
                pieces.as_mut().poll_next(context).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.0, Kind::Whole(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Streamed(_) => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use http_body::Body as _;
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn a_stream_is_sent_piece_by_piece_and_a_whole_body_at_once() {
        let pieces = ["one ", "two"].map(|text| Bytes::from_static(text.as_bytes()));
        let streamed = Body::streamed(stream::iter(pieces));
        assert!(streamed.is_streamed() && streamed.bytes().is_empty() && !streamed.is_end_stream());
        assert_eq!(streamed.size_hint().exact(), None);
        assert_eq!(streamed.collect().await.unwrap().to_bytes(), "one two");
        let whole = Body::from("text");
        assert_eq!((whole.size_hint().exact(), whole.is_streamed()), (Some(4), false));
        assert_eq!(whole.collect().await.unwrap().to_bytes(), "text");
        assert!(Body::default().is_end_stream());
    }
}
