//! The programs of the matrix: each records 100 spans, a counter and a log line, and ends in its own way.

use std::future::Future;
use std::process::Command;
use std::time::Duration;

use fork::Fork;
use sidelight::Telemetry;
use sidelight::init::{FlushError, Init};
use sidelight::logs::LogFormat;

/// The row that is the first process of a namespace, as in a container.
pub(crate) const FIRST_PROCESS: &str = "killed_as_the_first_process";

/// How many spans each records.
pub(crate) const SPANS: usize = 100;

/// How a program ends; by name, what it does, and the exit code or signal that the parent sees.
pub(crate) struct Ending {
    pub(crate) name: &'static str,
    pub(crate) run: fn(),
    pub(crate) ends: Ends,
}

/// What the parent sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    Code(i32),
    /// The parent sends SIGTERM once the child said that it is ready, and sees it die of that.
    Terminated,
}

/// The matrix.
pub(crate) const ENDINGS: &[Ending] = &[
    Ending {
        name: "current_thread_drop_in_main",
        run: || {
            current_thread(async {
                let telemetry = start();
                record();
                drop(telemetry);
            })
        },
        ends: Ends::Code(0),
    },
    Ending {
        name: "current_thread_shutdown_in_main",
        run: || {
            current_thread(async {
                let telemetry = start();
                record();
                telemetry.shutdown().unwrap();
            })
        },
        ends: Ends::Code(0),
    },
    Ending {
        name: "current_thread_flush_then_exit",
        run: || {
            current_thread(async {
                let telemetry = start();
                record();
                telemetry.flush().await.unwrap();
                exit(0);
            })
        },
        ends: Ends::Code(0),
    },
    Ending {
        name: "current_thread_guard_outside_of_the_runtime",
        run: || {
            let _telemetry = start();
            current_thread(async { record() });
        },
        ends: Ends::Code(0),
    },
    Ending {
        name: "one_worker_shutdown_in_a_task",
        run: || {
            one_worker(async {
                let telemetry = start();
                let ended = tokio::spawn(async move {
                    record();
                    telemetry.shutdown()
                });
                ended.await.unwrap().unwrap();
            })
        },
        ends: Ends::Code(0),
    },
    Ending {
        name: "one_worker_drop_in_main",
        run: || {
            one_worker(async {
                let _telemetry = start();
                tokio::spawn(async { record() }).await.unwrap();
            })
        },
        ends: Ends::Code(0),
    },
    Ending {
        name: "no_runtime",
        run: || {
            let _telemetry = start();
            record();
        },
        ends: Ends::Code(0),
    },
    Ending {
        name: "guard_dropped_in_a_thread",
        run: || {
            let telemetry = start();
            record();
            std::thread::spawn(move || drop(telemetry)).join().unwrap();
        },
        ends: Ends::Code(0),
    },
    Ending {
        name: "forked_with_a_copy_of_the_guard_in_the_child",
        run: || {
            let telemetry = start();
            record();
            match fork::fork().unwrap() {
                Fork::Child => {
                    let forked = matches!(telemetry.shutdown(), Err(FlushError::Forked));
                    exit(i32::from(!forked));
                }
                Fork::Parent(child) => assert_eq!(fork::waitpid(child).unwrap(), 0),
            }
            telemetry.shutdown().unwrap();
        },
        ends: Ends::Code(0),
    },
    Ending {
        name: "forked_and_started_anew_in_the_child",
        run: || {
            let telemetry = start();
            record();
            match fork::fork().unwrap() {
                Fork::Child => {
                    drop(telemetry);
                    let anew = described().without_subscriber().start().unwrap();
                    // A thread names itself once it runs.
                    let observed = (0..500).any(|_| {
                        std::thread::park_timeout(Duration::from_millis(10));
                        threads().iter().any(|name| name == "sidelight-obser")
                    });
                    assert!(observed, "nothing is looked at in the child");
                    anew.shutdown().unwrap();
                    exit(0);
                }
                Fork::Parent(child) => assert_eq!(fork::waitpid(child).unwrap(), 0),
            }
            telemetry.shutdown().unwrap();
        },
        ends: Ends::Code(0),
    },
    Ending {
        name: "panic_on_main",
        run: || {
            let _telemetry = start();
            record();
            panic!("meant");
        },
        ends: Ends::Code(101),
    },
    Ending {
        name: "panic_on_main_with_the_guard_leaked",
        run: || {
            std::mem::forget(start());
            record();
            panic!("meant");
        },
        ends: Ends::Code(101),
    },
    Ending {
        name: "panic_on_main_in_a_runtime",
        run: || {
            current_thread(async {
                let _telemetry = start();
                record();
                panic!("meant");
            })
        },
        ends: Ends::Code(101),
    },
    Ending {
        name: "panic_in_a_task",
        run: || {
            one_worker(async {
                let _telemetry = start();
                record();
                assert!(tokio::spawn(async { panic!("meant") }).await.unwrap_err().is_panic());
            })
        },
        ends: Ends::Code(0),
    },
    Ending {
        name: "sigterm_without_a_runtime",
        run: || {
            let telemetry = start();
            telemetry.install_signal_flush().unwrap();
            record();
            ready();
            std::thread::park();
        },
        ends: Ends::Terminated,
    },
    Ending {
        name: FIRST_PROCESS,
        run: || {
            let telemetry = start();
            telemetry.install_signal_flush().unwrap();
            record();
            let own = std::process::id().to_string();
            assert_eq!(own, "1");
            assert!(Command::new("kill").args(["-TERM", &own]).status().unwrap().success());
            std::thread::park();
        },
        ends: Ends::Code(128 + 15),
    },
    Ending {
        name: "sigterm_in_a_runtime",
        run: || {
            current_thread(async {
                let telemetry = start();
                telemetry.install_signal_flush().unwrap();
                record();
                ready();
                std::future::pending::<()>().await;
            })
        },
        ends: Ends::Terminated,
    },
    Ending {
        name: "sigterm_handled_by_the_application",
        run: || {
            current_thread(async {
                let _telemetry = start();
                record();
                let mut terminate =
                    tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
                        .unwrap();
                ready();
                terminate.recv().await;
            })
        },
        ends: Ends::Code(0),
    },
];

/// The names of the process's threads, of which 15 characters are kept.
fn threads() -> Vec<String> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")));
    names.map(|name| name.unwrap_or_default().trim().to_owned()).collect()
}

/// The endpoint and all else comes from the environment, as in production.
fn start() -> Telemetry {
    described().start().unwrap()
}

fn described() -> Init {
    sidelight::init("ending")
        .version("1.0")
        .logs(LogFormat::Off)
        .shutdown_timeout(Duration::from_secs(20))
}

fn record() {
    for order in 0..SPANS {
        let span = tracing::info_span!("order.place", order);
        let _entered = span.enter();
        if order == 7 {
            tracing::info!(order, "placed");
        }
    }
    opentelemetry::global::meter("ending").u64_counter("orders").build().add(SPANS as u64, &[]);
}

#[expect(clippy::print_stdout, reason = "tells the parent")]
fn ready() {
    println!("ready");
}

#[expect(clippy::exit, reason = "one of the ways to end")]
fn exit(code: i32) -> ! {
    std::process::exit(code)
}

fn current_thread(future: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future);
}

fn one_worker(future: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
        .block_on(future);
}
