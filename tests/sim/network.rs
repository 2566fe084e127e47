//! The way to one destination: connections in memory that a cable carries byte by byte, in whatever weather there is.

use std::io;
use std::time::Duration;

use sidelight_agent::export::endpoint::Dial;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, duplex, split};
use tokio::sync::watch;

use crate::destination::Destination;
use crate::happened::Happened;

/// How the network is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    Fine,
    /// Nobody accepts; what is connected is reset.
    Refused,
    /// Nothing arrives and nobody is told.
    Partitioned,
    /// Each piece takes this long.
    Slow(Duration),
    /// Each connection is reset after so many bytes in a direction.
    Reset(usize),
    /// The destination's half is closed after so many bytes: requests go on, answers do not.
    HalfClosed(usize),
    /// What is answered is noise.
    Garbage,
}

/// The way to one destination. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Network {
    weather: watch::Sender<Weather>,
    happened: Happened,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Requests,
    Answers,
}

impl Network {
    pub fn new(happened: Happened) -> Self {
        Self { weather: watch::Sender::new(Weather::Fine), happened }
    }

    pub fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }

    /// Connects to `destination`.
    pub fn dial(&self, destination: Destination) -> Dial {
        let (network, happened) = (self.weather.clone(), self.happened.clone());
        Dial::new(move || {
            let (mut weather, destination) = (network.subscribe(), destination.clone());
            let happened = happened.clone();
            async move {
                let met = *weather.borrow();
                if matches!(met, Weather::Partitioned | Weather::Refused) {
                    happened.note_variant("network", &met);
                }
                let reached = weather.wait_for(|w| *w != Weather::Partitioned).await.map(|w| *w);
                if matches!(reached, Err(_) | Ok(Weather::Refused)) {
                    return Err(io::ErrorKind::ConnectionRefused.into());
                }
                let (client, near) = duplex(64 << 10);
                let (far, server) = duplex(64 << 10);
                destination.accept(server);
                tokio::spawn(async move {
                    let ((near, answers), (far, requests)) = (split(near), split(far));
                    let told = happened.clone();
                    let up = carry(near, requests, weather.clone(), Direction::Requests, told);
                    let down = carry(far, answers, weather, Direction::Answers, happened);
                    // An error ends both, and with them the connection.
                    drop(tokio::try_join!(up, down));
                });
                Ok(client)
            }
        })
    }
}

async fn carry(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut weather: watch::Receiver<Weather>,
    direction: Direction,
    happened: Happened,
) -> io::Result<()> {
    let reset = || io::Error::from(io::ErrorKind::ConnectionReset);
    let (mut buffer, mut carried, mut closed) = (vec![0; 4096], 0, false);
    loop {
        let read = tokio::select! {
            biased;
            _ = weather.wait_for(|w| *w == Weather::Refused) => return Err(reset()),
            read = from.read(&mut buffer) => read?,
        };
        if read == 0 {
            return to.shutdown().await;
        }
        let now = *weather.wait_for(|w| *w != Weather::Partitioned).await.map_err(|_| reset())?;
        let mut bytes = &mut buffer[..read];
        match (now, direction) {
            (Weather::Refused, _) => return Err(reset()),
            (Weather::Slow(by), _) => {
                happened.note_variant("network", &now);
                tokio::time::sleep(by).await;
            }
            (Weather::Reset(after), _) if carried + read > after => {
                happened.note_variant("network", &now);
                let part = after.saturating_sub(carried);
                to.write_all(&bytes[..part]).await?;
                return Err(reset());
            }
            (Weather::HalfClosed(after), Direction::Answers) if carried + read > after => {
                bytes = &mut [];
                if !std::mem::replace(&mut closed, true) {
                    happened.note_variant("network", &now);
                    to.shutdown().await?;
                }
            }
            (Weather::Garbage, Direction::Answers) => {
                happened.note_variant("network", &now);
                fastrand::fill(bytes);
            }
            _ => {}
        }
        carried += read;
        if !closed {
            to.write_all(bytes).await?;
        }
    }
}
