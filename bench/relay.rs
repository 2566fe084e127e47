//! Copies bytes between two sockets and reads nothing of them: the floor that no agent can be below.
//!
//! `relay LISTEN=TO...`, each an address and a port. A thread for each direction of a connection, one read and one write
//! for up to 64 KiB. The standard library alone, so that `rustc -O` builds it; `run.py` does.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

const BUFFER_BYTES: usize = 64 * 1024;
const STACK_BYTES: usize = 64 * 1024;

fn main() -> ExitCode {
    let mut listening = Vec::new();
    for pair in std::env::args().skip(1) {
        let Some((listen, to)) = pair.split_once('=') else {
            return failed(&format!("not LISTEN=TO: {pair}"));
        };
        let to = to.to_owned();
        match TcpListener::bind(listen) {
            Ok(listener) => listening.push(thread::spawn(move || accept(&listener, &to))),
            Err(error) => return failed(&format!("cannot listen on {listen}: {error}")),
        }
    }
    if listening.is_empty() {
        return failed("usage: relay LISTEN=TO...");
    }
    for thread in listening {
        if thread.join().is_err() {
            return failed("a listener ended");
        }
    }
    ExitCode::SUCCESS
}

fn failed(why: &str) -> ExitCode {
    eprintln!("relay: {why}");
    ExitCode::FAILURE
}

fn accept(listener: &TcpListener, to: &str) {
    for incoming in listener.incoming() {
        if let Err(error) = incoming.and_then(|client| join(client, to)) {
            eprintln!("relay: {error}");
        }
    }
}

fn join(client: TcpStream, to: &str) -> io::Result<()> {
    let server = TcpStream::connect(to)?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (client, server) = (Arc::new(client), Arc::new(server));
    spawn(Arc::clone(&client), Arc::clone(&server))?;
    spawn(server, client)
}

fn spawn(from: Arc<TcpStream>, to: Arc<TcpStream>) -> io::Result<()> {
    let copy = move || {
        // A connection that breaks is its two ends' business; the other direction ends with it.
        if copy(&from, &to).is_err() {
            let _ = from.shutdown(Shutdown::Both);
        }
        let _ = to.shutdown(Shutdown::Write);
    };
    thread::Builder::new().stack_size(STACK_BYTES).spawn(copy).map(drop)
}

fn copy(mut from: &TcpStream, mut to: &TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(()),
            read => to.write_all(buffer.get(..read).unwrap_or_default())?,
        }
    }
}
