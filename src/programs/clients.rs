//! Clients of databases and queues, as far as health checks and waiting loops ask them: `pg_isready`, `redis-cli ping`,
//! `mysqladmin ping`, `mongosh --eval '... ping ...'`, MariaDB's `healthcheck.sh --connect`, `rabbitmq-diagnostics ping`.
//!
//! The servers here are programs that listen and speak none of these protocols, so what is asked is whether the server's
//! port takes a TCP connection: the part that a network decides. The words and exit codes are the real clients'. A client
//! that would use a Unix socket when no host is given asks 127.0.0.1. Any other question is refused, never answered.

use std::net::SocketAddr;
use std::time::Duration;

use super::arguments;
use super::options::{Mistake, Options, Syntax};
use super::resolver::{Want, resolve};
use crate::engine::sys::{Errno, ExitCode, Sys};

/// The clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Client {
    Postgres,
    Redis,
    Valkey,
    MySql,
    Mongo,
    MariaDbScript,
    RabbitMq,
}

impl Client {
    /// The client of a program's name.
    pub(super) fn of(program: &str) -> Option<Client> {
        Some(match program {
            "pg_isready" => Client::Postgres,
            "redis-cli" => Client::Redis,
            "valkey-cli" => Client::Valkey,
            "mysqladmin" | "mariadb-admin" => Client::MySql,
            "mongosh" | "mongo" => Client::Mongo,
            "healthcheck.sh" => Client::MariaDbScript,
            "rabbitmq-diagnostics" => Client::RabbitMq,
            _ => return None,
        })
    }

    fn syntax(self) -> &'static Syntax {
        match self {
            Client::Postgres => &POSTGRES,
            Client::Redis | Client::Valkey => &REDIS,
            Client::MySql => &MYSQL,
            Client::Mongo => &MONGO,
            Client::MariaDbScript => &MARIADB_SCRIPT,
            Client::RabbitMq => &RABBITMQ,
        }
    }
}

const POSTGRES: Syntax = Syntax {
    letters: "h:p:d:U:t:q",
    long: &[
        ("host", 'h'),
        ("port", 'p'),
        ("dbname", 'd'),
        ("username", 'U'),
        ("timeout", 't'),
        ("quiet", 'q'),
    ],
    stop_at_operand: false,
    usage: "",
};

const REDIS: Syntax = Syntax {
    letters: "h:p:a:n:t:\u{e000}\u{e001}\u{e002}:",
    long: &[
        ("raw", '\u{e000}'),
        ("no-raw", '\u{e000}'),
        ("no-auth-warning", NO_WARNING),
        ("pass", 'a'),
        ("user", '\u{e002}'),
    ],
    stop_at_operand: true,
    usage: "",
};
const NO_WARNING: char = '\u{e001}';

const MYSQL: Syntax = Syntax {
    letters: "h:P:u:sw:\u{e000}:\u{e001}:\u{e002}:",
    long: &[
        ("host", 'h'),
        ("port", 'P'),
        ("user", 'u'),
        ("silent", 's'),
        ("wait", 'w'),
        ("protocol", PROTOCOL),
        ("connect-timeout", LIMIT),
        ("connect_timeout", LIMIT),
        ("defaults-extra-file", '\u{e002}'),
    ],
    stop_at_operand: false,
    usage: "",
};
const PROTOCOL: char = '\u{e000}';
const LIMIT: char = '\u{e001}';

const MONGO: Syntax = Syntax {
    letters: "u:p:\u{e000}:\u{e001}:\u{e002}:\u{e003}\u{e004}:",
    long: &[
        ("eval", EVALUATE),
        ("host", MONGO_HOST),
        ("port", MONGO_PORT),
        ("quiet", '\u{e003}'),
        ("norc", '\u{e003}'),
        ("username", 'u'),
        ("password", 'p'),
        ("authenticationDatabase", '\u{e004}'),
    ],
    stop_at_operand: false,
    usage: "",
};
const EVALUATE: char = '\u{e000}';
const MONGO_HOST: char = '\u{e001}';
const MONGO_PORT: char = '\u{e002}';

const MARIADB_SCRIPT: Syntax = Syntax {
    letters: "\u{e000}\u{e001}\u{e002}:",
    long: &[
        ("connect", CONNECT),
        ("innodb_initialized", CONNECT),
        ("su-mysql", '\u{e001}'),
        ("no-connect", '\u{e001}'),
        ("su", '\u{e002}'),
    ],
    stop_at_operand: false,
    usage: "",
};
const CONNECT: char = '\u{e000}';

const RABBITMQ: Syntax = Syntax {
    letters: "qst:n:",
    long: &[("quiet", 'q'), ("silent", 's'), ("timeout", 't'), ("node", 'n')],
    stop_at_operand: false,
    usage: "",
};

/// Whether a client takes this command line as it would be taken in a real container.
pub(super) fn takes(client: Client, arguments: &[String]) -> bool {
    read(client, arguments).is_ok_and(|options| refusal(client, &options).is_none())
}

fn read(client: Client, arguments: &[String]) -> Result<Options, Mistake> {
    // The password's value is optional and attached, which getopt's letters cannot say.
    let password = |word: &&String| word.starts_with("-p") || word.split('=').next() == Some("--password");
    let words: Vec<String> = match client {
        Client::MySql => arguments.iter().filter(|word| !password(word)).cloned().collect(),
        _ => arguments.to_vec(),
    };
    Options::read(&words, client.syntax())
}

/// What a question is that cannot be answered here.
fn refusal(client: Client, options: &Options) -> Option<&'static str> {
    let operands: Vec<String> = options.operands.iter().map(|word| word.to_ascii_lowercase()).collect();
    let words: Vec<&str> = operands.iter().map(String::as_str).collect();
    let known = match client {
        Client::Postgres => words.is_empty(),
        Client::Redis | Client::Valkey => matches!(words[..], ["ping"] | ["ping", _]),
        Client::MySql => matches!(words[..], ["ping"]),
        Client::Mongo => words.len() <= 1 && options.value(EVALUATE).is_none_or(|text| text.contains("ping")),
        Client::MariaDbScript => words.is_empty() && options.has(CONNECT),
        Client::RabbitMq => matches!(words[..], ["ping" | "check_running" | "check_port_connectivity"]),
    };
    let only = match client {
        Client::Postgres => "it takes no arguments",
        Client::Redis | Client::Valkey | Client::MySql => "only `ping` can be asked here",
        Client::Mongo => "only a `ping` can be evaluated here",
        Client::MariaDbScript => "only --connect and --innodb_initialized can be asked here",
        Client::RabbitMq => "only `ping`, `check_running` and `check_port_connectivity` can be asked here",
    };
    if known { None } else { Some(only) }
}

/// Asks as the program's name says.
pub(crate) async fn main(sys: Sys) -> ExitCode {
    let (program, words) = arguments(&sys);
    let Some(client) = Client::of(program) else { return ExitCode::NOT_FOUND };
    let options = match read(client, words) {
        Ok(options) => options,
        Err(mistake) => return wrong(&sys, client, program, mistake).await,
    };
    if let Some(only) = refusal(client, &options) {
        sys.print_error(format!("{program}: {only}\n")).await;
        return ExitCode::FAILURE;
    }
    match client {
        Client::Postgres => postgres(&sys, &options).await,
        Client::Redis => redis(&sys, &options, "Redis").await,
        Client::Valkey => redis(&sys, &options, "Valkey").await,
        Client::MySql => mysql(&sys, program, &options).await,
        Client::Mongo => mongo(&sys, program, &options).await,
        Client::MariaDbScript => mariadb_script(&sys).await,
        Client::RabbitMq => rabbitmq(&sys, &options).await,
    }
}

async fn wrong(sys: &Sys, client: Client, program: &str, mistake: Mistake) -> ExitCode {
    let text = match mistake {
        Mistake::Unknown(option) if option.chars().count() > 1 => {
            format!("{program}: unrecognized option '--{option}'\n")
        }
        Mistake::Unknown(option) => format!("{program}: invalid option -- '{option}'\n"),
        Mistake::NoValue(option) => format!("{program}: option requires an argument -- '{option}'\n"),
    };
    if client == Client::Postgres {
        sys.print_error(format!("{text}pg_isready: hint: Try \"pg_isready --help\" for more information.\n"))
            .await;
        return ExitCode(3);
    }
    sys.print_error(text).await;
    ExitCode::FAILURE
}

/// Why nobody answers.
enum Silence {
    NoSuchName,
    Refused(Errno),
}

impl Silence {
    fn text(&self) -> String {
        match self {
            Silence::NoSuchName => "Name or service not known".to_owned(),
            Silence::Refused(errno) => errno.text().to_owned(),
        }
    }
}

/// Connects to a port and hangs up.
async fn reach(sys: &Sys, host: &str, port: u16, limit: Option<Duration>) -> Result<(), Silence> {
    let found = resolve(sys, host, Want::Any).await.map_err(|_| Silence::NoSuchName)?;
    let mut last = Silence::NoSuchName;
    for address in found {
        let connecting = sys.tcp_connect(SocketAddr::new(address, port));
        let connected = match limit {
            None => connecting.await,
            Some(limit) => sys.timeout(limit, connecting).await.unwrap_or(Err(Errno::TimedOut)),
        };
        match connected {
            Ok(_) => return Ok(()),
            Err(errno) => last = Silence::Refused(errno),
        }
    }
    Err(last)
}

/// A port as the clients read it.
fn port(text: Option<&str>, default: u16) -> Option<u16> {
    text.map_or(Some(default), |text| text.parse().ok())
}

fn seconds(text: Option<&str>, default: u64) -> Option<Duration> {
    let number = text.and_then(|text| text.parse().ok()).unwrap_or(default);
    Some(Duration::from_secs(number)).filter(|limit| !limit.is_zero())
}

async fn postgres(sys: &Sys, options: &Options) -> ExitCode {
    let host = options.value('h').or_else(|| sys.variable("PGHOST")).unwrap_or("/var/run/postgresql");
    let number = options.value('p').or_else(|| sys.variable("PGPORT"));
    let asked = if host.starts_with('/') { "127.0.0.1" } else { host };
    let answered = match port(number, 5432) {
        Some(port) => reach(sys, asked, port, seconds(options.value('t'), 3)).await.is_ok(),
        None => false,
    };
    if !options.has('q') {
        let answer = if answered { "accepting connections" } else { "no response" };
        sys.print(format!("{host}:{} - {answer}\n", number.unwrap_or("5432"))).await;
    }
    if answered { ExitCode::SUCCESS } else { ExitCode(2) }
}

async fn redis(sys: &Sys, options: &Options, server: &str) -> ExitCode {
    let host = options.value('h').unwrap_or("127.0.0.1");
    let Some(port) = port(options.value('p'), 6379) else {
        sys.print_error("Invalid server port.\n").await;
        return ExitCode::FAILURE;
    };
    if options.value('a').is_some() && !options.has(NO_WARNING) {
        sys.print_error(
            "Warning: Using a password with '-a' or '-u' option on the command line interface may not be safe.\n",
        )
        .await;
    }
    match reach(sys, host, port, None).await {
        Ok(()) => {
            sys.print(format!("{}\n", options.operands.get(1).map_or("PONG", String::as_str))).await;
            ExitCode::SUCCESS
        }
        Err(silence) => {
            let why = silence.text();
            sys.print_error(format!("Could not connect to {server} at {host}:{port}: {why}\n")).await;
            ExitCode::FAILURE
        }
    }
}

async fn mysql(sys: &Sys, program: &str, options: &Options) -> ExitCode {
    const SOCKET: &str = "/var/run/mysqld/mysqld.sock";
    let host = options.value('h').unwrap_or("localhost");
    let over_socket =
        host == "localhost" && !options.value(PROTOCOL).is_some_and(|name| name.eq_ignore_ascii_case("tcp"));
    let port = port(options.value('P'), 3306).unwrap_or(3306);
    let asked = if over_socket { "127.0.0.1" } else { host };
    let silence = match reach(sys, asked, port, seconds(options.value(LIMIT), 10)).await {
        Ok(()) => {
            sys.print("mysqld is alive\n").await;
            return ExitCode::SUCCESS;
        }
        Err(silence) => silence,
    };
    if options.has('s') {
        return ExitCode::FAILURE;
    }
    let (error, help) = match silence {
        _ if over_socket => (
            format!("Can't connect to local MySQL server through socket '{SOCKET}' (2)"),
            format!("Check that mysqld is running and that the socket: '{SOCKET}' exists!"),
        ),
        Silence::NoSuchName => (format!("Unknown MySQL server host '{host}' (-2)"), mysql_help(host, port)),
        Silence::Refused(errno) => {
            let number = match errno {
                Errno::ConnectionRefused => 111,
                Errno::TimedOut => 110,
                Errno::HostUnreachable => 113,
                Errno::NetworkUnreachable => 101,
                _ => 115,
            };
            (format!("Can't connect to MySQL server on '{host}:{port}' ({number})"), mysql_help(host, port))
        }
    };
    let text = format!("{program}: connect to server at '{host}' failed\nerror: '{error}'\n{help}\n");
    sys.print_error(text).await;
    ExitCode::FAILURE
}

fn mysql_help(host: &str, port: u16) -> String {
    format!(
        "Check that mysqld is running on {host} and that the port is {port}.\n\
         You can check this by doing 'telnet {host} {port}'"
    )
}

async fn mongo(sys: &Sys, program: &str, options: &Options) -> ExitCode {
    let given = options.operands.first().map(String::as_str).unwrap_or_default();
    let given = given.strip_prefix("mongodb://").unwrap_or(given);
    let server = given.split('/').next().unwrap_or_default();
    let server = server.rsplit('@').next().unwrap_or(server);
    // A bare word is a database.
    let server = if server.contains([':', '.']) || given.contains('/') { server } else { "" };
    let (host, number) = match server.split_once(':') {
        Some((host, number)) => (host, Some(number)),
        None => (server, None),
    };
    let host = options.value(MONGO_HOST).unwrap_or(if host.is_empty() { "127.0.0.1" } else { host });
    let port = port(options.value(MONGO_PORT).or(number), 27017).unwrap_or(27017);
    let question = match options.value(EVALUATE) {
        Some(text) => text.to_owned(),
        None => {
            let input = match super::text::read_file(sys, program, "-").await {
                Ok(input) => input,
                Err(failure) => return super::options::finish(sys, Err(failure)).await,
            };
            String::from_utf8_lossy(&input).into_owned()
        }
    };
    if !question.contains("ping") {
        sys.print_error(format!("{program}: only a `ping` can be evaluated here\n")).await;
        return ExitCode::FAILURE;
    }
    match reach(sys, host, port, Some(Duration::from_secs(30))).await {
        Ok(()) => {
            let asks_ok = question.trim_end().trim_end_matches([';', ')', '\'', '"']).ends_with(".ok");
            let answer = match (asks_ok, program) {
                (true, _) => "1",
                (false, "mongo") => "{ \"ok\" : 1 }",
                (false, _) => "{ ok: 1 }",
            };
            sys.print(format!("{answer}\n")).await;
            ExitCode::SUCCESS
        }
        Err(silence) => {
            let why = match silence {
                Silence::NoSuchName => format!("getaddrinfo ENOTFOUND {host}"),
                Silence::Refused(Errno::ConnectionRefused) => format!("connect ECONNREFUSED {host}:{port}"),
                Silence::Refused(errno) => format!("connect {host}:{port}: {errno}"),
            };
            sys.print_error(format!("MongoNetworkError: {why}\n")).await;
            ExitCode::FAILURE
        }
    }
}

async fn mariadb_script(sys: &Sys) -> ExitCode {
    match reach(sys, "127.0.0.1", 3306, Some(Duration::from_secs(10))).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => {
            sys.print_error(
                "ERROR 2002 (HY000): Can't connect to local server through socket '/run/mysqld/mysqld.sock' (2)\n\
                 healthcheck connect failed\n",
            )
            .await;
            ExitCode::FAILURE
        }
    }
}

async fn rabbitmq(sys: &Sys, options: &Options) -> ExitCode {
    let node = format!("rabbit@{}", sys.hostname());
    // The distribution port of the node, or that of its AMQP listener.
    let (question, port) = match options.operands.first().map(String::as_str) {
        Some("check_port_connectivity") => ("check_port_connectivity", 5672),
        Some("check_running") => ("check_running", 25672),
        _ => ("ping", 25672),
    };
    if reach(sys, "127.0.0.1", port, seconds(options.value('t'), 60)).await.is_err() {
        let text = format!(
            "Error: unable to perform an operation on node '{node}'. \
             Please see diagnostics information and suggestions below.\n"
        );
        sys.print_error(text).await;
        return ExitCode(69);
    }
    let (before, answer) = match question {
        "check_port_connectivity" => (
            format!("Testing TCP connections to all active listeners on node {node} ..."),
            format!("Successfully connected to ports 5672 on node {node}."),
        ),
        "check_running" => (
            format!("Checking if RabbitMQ is running on node {node} ..."),
            format!("RabbitMQ on node {node} is fully booted and running"),
        ),
        _ => (
            format!(
                "Will ping {node}. This only checks if the OS process is running and registered with epmd. Timeout: 60000 ms."
            ),
            "Ping succeeded".to_owned(),
        ),
    };
    if !options.has('q') && !options.has('s') {
        sys.print(format!("{before}\n{answer}\n")).await;
    }
    ExitCode::SUCCESS
}
