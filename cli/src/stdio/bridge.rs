//! One host's conversation: its messages, the session they belong to, and what comes back.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use reqwest::{Client, Url};
use tokio::sync::{Mutex as Gate, mpsc};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use weft_wire::{
    code,
    envelope::{self, Body, Id, Limits, Message},
    headers,
    members::Members,
    version::{Era, Version},
};

use super::remote::{Posted, Remote, Said};

/// The session of the era that has them.
#[derive(Debug, Clone, Default)]
pub(super) struct Session {
    pub(super) token: Option<String>,
    pub(super) version: Option<String>,
}

/// A conversation.
pub(super) struct Bridge {
    remote: Remote,
    say: mpsc::Sender<Vec<u8>>,
    session: Mutex<Session>,
    /// The host's own `initialize`, to begin again with.
    opening: Mutex<Option<String>>,
    renewing: Gate<()>,
    over: CancellationToken,
}

/// A message of the host, as far as it matters here.
struct Line {
    text: String,
    id: Option<Id<'static>>,
    method: Option<String>,
    /// `Mcp-Method` and `Mcp-Name`, of the stateless era.
    mirrored: Option<(String, Option<String>)>,
}

/// How often a stream that broke off is taken up again.
const RESUMES: usize = 5;

impl Bridge {
    pub(super) fn new(client: Client, url: Url, patience: Duration, say: mpsc::Sender<Vec<u8>>) -> Self {
        Self {
            remote: Remote::new(client, url, patience),
            say,
            session: Mutex::default(),
            opening: Mutex::default(),
            renewing: Gate::default(),
            over: CancellationToken::new(),
        }
    }

    /// Nobody listens for what is said outside of calls any more.
    pub(super) fn hang_up(&self) {
        self.over.cancel();
    }

    fn session(&self) -> Session {
        lock(&self.session).clone()
    }

    /// Carries one message there, and all that comes of it back.
    pub(super) async fn take(self: &Arc<Self>, text: String, tasks: &TaskTracker) {
        let Some(line) = read(&text) else {
            let message = code::error_body(None, code::PARSE_ERROR, "this line is not one JSON-RPC message", None);
            return self.say(message).await;
        };
        let opens = line.method.as_deref() == Some("initialize");
        if opens {
            *lock(&self.session) = Session::default();
            *lock(&self.opening) = Some(line.text.clone());
        }
        match self.carry(&line).await {
            Ok(()) if opens && self.session().token.is_some() => {
                let (bridge, over) = (Arc::clone(self), self.over.clone());
                tasks.spawn(async move {
                    over.run_until_cancelled(bridge.listen()).await;
                });
            }
            Ok(()) => {}
            Err(why) => match &line.id {
                Some(id) => self.say(code::error_body(Some(id), code::INTERNAL_ERROR, &why, None)).await,
                None => eprintln!("warning: a message did not arrive: {why}"),
            },
        }
    }

    async fn carry(&self, line: &Line) -> Result<(), String> {
        let session = self.session();
        let mut posted = self.remote.post(&line.text, &session, line.mirrored.as_ref()).await?;
        let forgotten = posted.status == 404 && session.token.is_some() && line.mirrored.is_none();
        if forgotten {
            // It was not begun: nobody knew whose it was.
            self.renew(&session).await?;
            posted = self.remote.post(&line.text, &self.session(), line.mirrored.as_ref()).await?;
        }
        if line.method.as_deref() == Some("initialize") {
            lock(&self.session).token.clone_from(&posted.session);
        }
        self.relay(line, posted).await
    }

    /// Passes an answer on, to its last message.
    async fn relay(&self, line: &Line, mut posted: Posted) -> Result<(), String> {
        let (mut place, mut answered) = (None, false);
        let mut failed = None;
        for _ in 0..=RESUMES {
            while let Some(said) = posted.next().await {
                match said {
                    Said::Place(id) => place = Some(id),
                    Said::Message(message) => {
                        let verdict = weft_wire::reply::scan(&message);
                        answered |= verdict.is_response;
                        self.notice(line, &message);
                        self.say(message).await;
                    }
                    Said::Failed(why) => failed = Some(why),
                }
            }
            if answered || line.id.is_none() {
                return Ok(());
            }
            if let Some(why) = failed.take().filter(|_| place.is_none()) {
                return Err(why);
            }
            let Some(last) = &place else { break };
            tokio::time::sleep(Duration::from_millis(500)).await;
            posted = self.remote.get(&self.session(), Some(last)).await?;
        }
        Err("the connection broke off before the answer; it is not known how far the call came".to_owned())
    }

    /// The version that an `initialize` was answered with goes with all that follows.
    fn notice(&self, line: &Line, message: &[u8]) {
        if line.method.as_deref() != Some("initialize") {
            return;
        }
        let text = std::str::from_utf8(message).unwrap_or_default();
        let result = Members::parse(text).and_then(|message| message.get("result").map(str::to_owned));
        let result = result.as_deref().and_then(Members::parse).unwrap_or_default();
        if let Some(version) = result.text("protocolVersion") {
            lock(&self.session).version = Some(version.into_owned());
        }
    }

    /// Begins another session in the place of `before`, unless somebody has.
    async fn renew(&self, before: &Session) -> Result<(), String> {
        let _alone = self.renewing.lock().await;
        if self.session().token != before.token {
            return Ok(());
        }
        let opening = lock(&self.opening).clone();
        let Some(opening) = opening else { return Err("the session is gone, and none was begun here".into()) };
        let mut posted = self.remote.post(&opening, &Session::default(), None).await?;
        let token = posted.session.clone();
        while posted.next().await.is_some() {}
        lock(&self.session).token = token;
        let ready = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
        self.remote.post(ready, &self.session(), None).await?;
        eprintln!("note: the gateway had forgotten the session; another one was begun");
        Ok(())
    }

    /// Passes on what is said outside of calls, for as long as there is a session.
    async fn listen(&self) {
        let mut last: Option<String> = None;
        loop {
            let session = self.session();
            if session.token.is_none() {
                return;
            }
            match self.remote.get(&session, last.as_deref()).await {
                Ok(posted) if posted.status == 200 => last = self.hear(posted).await.or(last),
                // It has no such stream.
                Ok(posted) if posted.status == 405 => return,
                _ => last = None,
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    /// Passes a stream on to its end; gives where it ended.
    async fn hear(&self, mut posted: Posted) -> Option<String> {
        let mut last = None;
        while let Some(said) = posted.next().await {
            match said {
                Said::Place(id) => last = Some(id),
                Said::Message(message) => self.say(message).await,
                Said::Failed(_) => {}
            }
        }
        last
    }

    async fn say(&self, message: Vec<u8>) {
        // A host that does not read any more needs nothing.
        let _ = self.say.send(message).await;
    }

    /// Ends the session.
    pub(super) async fn end(&self) {
        let session = self.session();
        if session.token.is_some() {
            self.remote.delete(&session).await;
        }
    }
}

/// True for the message that begins a session.
pub(super) fn opens(line: &str) -> bool {
    read(line).is_some_and(|line| line.method.as_deref() == Some("initialize"))
}

fn read(text: &str) -> Option<Line> {
    let limits = Limits { bytes: text.len(), ..Limits::default() };
    let Ok(Body::One(message)) = envelope::read(text.as_bytes(), &limits) else { return None };
    let (id, method, mirrored) = match message {
        Message::Request(request) => {
            let params = &request.params;
            let stated = params.meta.as_ref().and_then(|meta| meta.protocol_version.as_deref());
            let stateless = stated.is_some_and(|it| Version::parse(it).is_none_or(|it| it.era() == Era::Stateless));
            let name = match &*request.method {
                "tools/call" | "prompts/get" => params.name.as_ref(),
                "resources/read" => params.uri.as_ref(),
                "tasks/get" | "tasks/update" | "tasks/cancel" => params.task_id.as_ref(),
                _ => None,
            };
            let name = name.map(|name| headers::encode(&name.value).into_owned());
            let mirrored = stateless.then(|| (request.method.to_string(), name));
            (Some(request.id.into_owned()), Some(request.method.into_owned()), mirrored)
        }
        Message::Notification(notification) => (None, Some(notification.method.into_owned()), None),
        Message::Response(_) => (None, None, None),
    };
    Some(Line { text: text.to_owned(), id, method, mirrored })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
