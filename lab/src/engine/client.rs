//! The lab's end of the agent protocol, over any pair of byte streams.

use std::io;
use std::pin::Pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, BoxStream, Stream};
use futures_util::{StreamExt, future};
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UnixStream;

use super::EngineError;
use crate::agent::protocol::{Reply, Request};
use crate::agent::recent::Recent;
use crate::fault;

/// How long an agent may take to answer, besides the time that a command may take. An agent kills what is over its
/// time: one that is silent for longer is stopped, or waits for a command that not even SIGKILL ends.
const PATIENCE: Duration = Duration::from_secs(120);

/// A piece of what an agent sent.
#[derive(Debug)]
pub enum Piece {
    /// Of its standard output: replies.
    Out(Bytes),
    /// Of its standard error: why it died, if it did.
    Err(Bytes),
}

/// What a read can bring.
const PIPE: usize = 64 << 10;

/// What a stream brings, as it comes.
pub fn pieces(
    from: impl AsyncRead + Unpin + Send + 'static,
) -> impl Stream<Item = io::Result<Bytes>> + Send {
    stream::try_unfold((from, BytesMut::new()), |(mut from, mut buffer)| async {
        // The same memory again, once nobody has what was read into it.
        buffer.reserve(PIPE);
        let read = from.read_buf(&mut buffer).await?;
        Ok((read > 0).then(|| (buffer.split().freeze(), (from, buffer))))
    })
}

/// An agent that is asked one request at a time.
pub struct AgentClient {
    name: String,
    input: Pin<Box<dyn AsyncWrite + Send>>,
    output: BoxStream<'static, io::Result<Piece>>,
    received: BytesMut,
    complaints: Vec<u8>,
    recent: Recent,
}

impl AgentClient {
    /// An agent at the other end of these streams; `name` is what messages call it.
    pub fn new(
        name: String,
        input: Pin<Box<dyn AsyncWrite + Send>>,
        output: BoxStream<'static, io::Result<Piece>>,
    ) -> Self {
        AgentClient {
            name,
            input,
            output,
            received: BytesMut::new(),
            complaints: Vec::new(),
            recent: Recent::default(),
        }
    }

    /// Has `stream` carry requests and replies from now on. The former streams are still listened to: they say why the agent
    /// died, if it does, and that they end says that nobody can remove it any more.
    pub fn carry_by(&mut self, stream: UnixStream) {
        let (output, input) = tokio::io::split(stream);
        let former = std::mem::replace(&mut self.output, stream::empty().boxed());
        let ended = future::ready(Err(io::Error::other("its stream ended")));
        let former = former.chain(stream::once(ended));
        let output = pieces(output).map(|piece| piece.map(Piece::Out));
        self.input = Box::pin(input);
        self.recent = Recent::default();
        self.output = stream::select(output, former).boxed();
    }

    /// Sends `request` and waits for its reply.
    ///
    /// # Errors
    /// [`EngineError::Lost`] where the stream ends; [`EngineError::Fault`] where what comes is no reply.
    pub async fn ask(&mut self, request: &Request) -> Result<Reply, EngineError> {
        self.ask_as(request, request).await
    }

    /// Sends `request` in the form that its agent takes it in, and waits for its reply.
    ///
    /// # Errors
    /// As [`AgentClient::ask`]'s.
    pub async fn ask_as(
        &mut self,
        request: &Request,
        form: impl Serialize,
    ) -> Result<Reply, EngineError> {
        let limit = match request {
            Request::Run { timeout_ms, .. } => {
                PATIENCE.saturating_add(Duration::from_millis(*timeout_ms))
            }
            _ => PATIENCE,
        };
        self.answered(&form, limit).await
    }

    /// Sends what is no request, and waits for its reply.
    ///
    /// # Errors
    /// As [`AgentClient::ask`]'s.
    pub async fn tell(&mut self, form: impl Serialize) -> Result<Reply, EngineError> {
        self.answered(&form, PATIENCE).await
    }

    async fn answered(
        &mut self,
        form: &impl Serialize,
        limit: Duration,
    ) -> Result<Reply, EngineError> {
        fault::step();
        let mut line =
            serde_json::to_vec(form).map_err(|error| EngineError::Fault(error.to_string()))?;
        line.push(b'\n');
        let Ok(line) = tokio::time::timeout(limit, self.exchange(&line)).await else {
            return Err(self.lost(&format!("no answer for {} s", limit.as_secs())));
        };
        let line = line?;
        fault::step();
        let mut reply = serde_json::from_slice(&line)
            .map_err(|error| self.no_reply(&error.to_string(), &line))?;
        match self.recent.restore(&mut reply) {
            true => Ok(reply),
            false => Err(self.no_reply("it names a dump that never came", &line)),
        }
    }

    fn no_reply(&self, why: &str, line: &[u8]) -> EngineError {
        let line = String::from_utf8_lossy(line);
        EngineError::Fault(format!(
            "the agent of {} sent what is no reply ({why}): {line}",
            self.name
        ))
    }

    async fn exchange(&mut self, line: &[u8]) -> Result<BytesMut, EngineError> {
        let sent = async {
            self.input.write_all(line).await?;
            self.input.flush().await
        };
        match sent.await {
            Ok(()) => self.line().await,
            // It may have said why before it went.
            Err(error) => match self.line().await {
                Ok(line) => Ok(line),
                Err(_) => Err(self.lost(&error.to_string())),
            },
        }
    }

    async fn line(&mut self) -> Result<BytesMut, EngineError> {
        let mut searched = 0;
        loop {
            if let Some(end) = self.received[searched..]
                .iter()
                .position(|&byte| byte == b'\n')
            {
                let line = self.received.split_to(searched + end + 1);
                // A long line's memory goes with it, and does not wait for the next one as long.
                if self.received.is_empty() {
                    self.received = BytesMut::new();
                }
                return Ok(line);
            }
            searched = self.received.len();
            match self.output.next().await {
                Some(Ok(Piece::Out(bytes))) => self.received.extend_from_slice(&bytes),
                Some(Ok(Piece::Err(bytes))) => self.complaints.extend_from_slice(&bytes),
                Some(Err(error)) => return Err(self.lost(&error.to_string())),
                None => return Err(self.lost("its stream ended")),
            }
        }
    }

    fn lost(&self, why: &str) -> EngineError {
        let complaints = String::from_utf8_lossy(&self.complaints);
        let complaints = complaints.trim();
        let separator = if complaints.is_empty() {
            ""
        } else {
            "; it said: "
        };
        EngineError::Lost(format!(
            "the agent of {} is gone: {why}{separator}{complaints}",
            self.name
        ))
    }
}
