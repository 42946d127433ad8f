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

/// How long an agent may be silent, besides the time that one command may take. An agent kills what is over its
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
    patience: Duration,
}

/// How long one command of a request may take.
fn longest(request: &Request) -> Duration {
    match request {
        Request::Run { timeout_ms, .. } | Request::Keep { timeout_ms, .. } => {
            Duration::from_millis(*timeout_ms)
        }
        Request::Burst { requests, .. } => requests.iter().map(longest).max().unwrap_or_default(),
        _ => Duration::ZERO,
    }
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
            patience: PATIENCE,
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
        let limit = self.patience.saturating_add(longest(request));
        self.answered(&form, limit).await
    }

    /// Sends what is no request, and waits for its reply.
    ///
    /// # Errors
    /// As [`AgentClient::ask`]'s.
    pub async fn tell(&mut self, form: impl Serialize) -> Result<Reply, EngineError> {
        self.answered(&form, self.patience).await
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
        let mut answer = tokio::time::timeout(limit, self.exchange(&line)).await;
        let (mut reply, line) = loop {
            let Ok(line) = answer else {
                return Err(self.lost(&format!("no answer for {} s", limit.as_secs())));
            };
            let line = line?;
            match serde_json::from_slice(&line) {
                // However many commands there are, each has its own time.
                Ok(Reply::Going { .. }) => {
                    answer = tokio::time::timeout(limit, self.line()).await;
                }
                Ok(reply) => break (reply, line),
                Err(error) => return Err(self.no_reply(&error.to_string(), &line)),
            }
        };
        fault::step();
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

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use rstest::rstest;
    use tokio::process::{Child, Command};

    use super::*;

    /// A shell in an agent's place, which is waited for three seconds.
    fn shell(script: &str) -> (AgentClient, Child) {
        let mut child = Command::new("sh")
            .args(["-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("there is a shell");
        let input = child.stdin.take().expect("it was asked for");
        let output = child.stdout.take().expect("it was asked for");
        let output = pieces(output).map(|piece| piece.map(Piece::Out)).boxed();
        let mut client = AgentClient::new("a shell".to_owned(), Box::pin(input), output);
        client.patience = Duration::from_secs(3);
        (client, child)
    }

    /// Five seconds are more than the three that are waited for, but it is never silent for as long.
    #[tokio::test]
    async fn who_says_that_it_goes_on_is_waited_for() {
        let (mut client, _child) = shell(
            "read request; for i in 1 2 3 4 5; do sleep 1; echo '{\"going\":{\"done\":1}}'; done; echo '\"done\"'",
        );
        assert_eq!(client.ask(&Request::Reset).await.ok(), Some(Reply::Done));
    }

    #[tokio::test]
    async fn who_says_it_once_and_then_nothing_is_not() {
        let (mut client, _child) =
            shell("read request; echo '{\"going\":{\"done\":1}}'; exec sleep 600");
        let lost = client.ask(&Request::Reset).await;
        let said = lost.expect_err("it never answers").to_string();
        assert!(said.contains("no answer for 3 s"), "{said}");
    }

    #[rstest]
    #[case(Request::Dump, 0)]
    #[case(run(10_000), 10)]
    #[case(Request::Burst { requests: vec![Request::Reset, run(7_000), run(10_000)], until_failure: true }, 10)]
    fn one_command_has_its_time_and_not_all_of_them(
        #[case] request: Request,
        #[case] seconds: u64,
    ) {
        assert_eq!(longest(&request), Duration::from_secs(seconds));
    }

    fn run(timeout_ms: u64) -> Request {
        Request::Run {
            argv: Vec::new(),
            stdin: None,
            handle_of: None,
            timeout_ms,
        }
    }
}
