//! The way to one destination: connections in memory that a cable carries byte by byte, in whatever weather there is.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sidelight_agent::net::endpoint::Dial;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, duplex, split};
use tokio::sync::Notify;

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
    sky: Arc<Sky>,
    happened: Happened,
}

/// What all connections look at. `tokio::sync::watch` wakes who waits in an order that no seed decides.
#[derive(Debug)]
struct Sky {
    weather: Mutex<Weather>,
    changed: Notify,
}

impl Sky {
    /// The weather, once `fits` is so.
    async fn wait_for(&self, fits: impl Fn(Weather) -> bool) -> Weather {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            let weather = *self.weather.lock().unwrap();
            if fits(weather) {
                return weather;
            }
            changed.await;
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Requests,
    Answers,
}

impl Network {
    pub fn new(happened: Happened) -> Self {
        let sky = Sky { weather: Mutex::new(Weather::Fine), changed: Notify::new() };
        Self { sky: Arc::new(sky), happened }
    }

    pub fn set(&self, weather: Weather) {
        *self.sky.weather.lock().unwrap() = weather;
        self.sky.changed.notify_waiters();
    }

    /// Connects to `destination`.
    pub fn dial(&self, destination: Destination) -> Dial {
        let (sky, happened) = (Arc::clone(&self.sky), self.happened.clone());
        Dial::new(move || {
            let (sky, destination) = (Arc::clone(&sky), destination.clone());
            let happened = happened.clone();
            async move {
                let met = *sky.weather.lock().unwrap();
                if matches!(met, Weather::Partitioned | Weather::Refused) {
                    happened.note_variant("network", &met);
                }
                if sky.wait_for(|w| w != Weather::Partitioned).await == Weather::Refused {
                    return Err(io::ErrorKind::ConnectionRefused.into());
                }
                let (client, near) = duplex(64 << 10);
                let (far, server) = duplex(64 << 10);
                destination.accept(server);
                tokio::spawn(async move {
                    let ((near, answers), (far, requests)) = (split(near), split(far));
                    let told = happened.clone();
                    let up = carry(near, requests, Arc::clone(&sky), Direction::Requests, told);
                    let down = carry(far, answers, sky, Direction::Answers, happened);
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
    sky: Arc<Sky>,
    direction: Direction,
    happened: Happened,
) -> io::Result<()> {
    let reset = || io::Error::from(io::ErrorKind::ConnectionReset);
    let (mut buffer, mut carried, mut closed) = (vec![0; 4096], 0, false);
    loop {
        let read = tokio::select! {
            biased;
            _ = sky.wait_for(|w| w == Weather::Refused) => return Err(reset()),
            read = from.read(&mut buffer) => read?,
        };
        if read == 0 {
            return to.shutdown().await;
        }
        let now = sky.wait_for(|w| w != Weather::Partitioned).await;
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
