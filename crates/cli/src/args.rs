//! The command line's words, and the help that teaches them.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};

/// Co-managed security: this machine monitored, detected on, searchable and alerting.
#[derive(Debug, Parser)]
#[command(
    name = "covigil",
    version,
    propagate_version = true,
    disable_help_subcommand = true,
    after_help = "\
First steps:
  covigil up                                 watch this machine; prints the console's address and a sign-in link
  covigil search 'sshd failed' --from -1h    find events, newest first
  covigil alerts                             what asks for attention
  covigil detect --rules DIR LOGS…           run Sigma rules over files, without a node

Every command explains itself with --help."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,

    /// Say more about what happens, on standard error. Twice: everything.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start Covigil on this machine.
    Up(Up),
    /// Run Sigma rules over files, without a node.
    Detect(Detect),
    /// Check, add and list rules.
    #[command(subcommand)]
    Rules(Rules),
    /// Feed files into a running node as live input.
    Replay(Replay),
    /// Search stored events.
    Search(Search),
    /// List alerts.
    Alerts(Alerts),
    /// Say how the running node fares: sources, rules, storage.
    Status(Status),
    /// Make a new one-time sign-in link for the console.
    SignIn(SignIn),
    /// Print the completions of a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page (roff); `covigil man | man -l -` shows it.
    Man,
}

/// Where the node's data is.
#[derive(Debug, Args)]
pub struct DataDir {
    /// The node's data folder. Default: /var/lib/covigil as root, ~/.local/share/covigil otherwise.
    #[arg(long, env = "COVIGIL_DATA", value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub data: Option<PathBuf>,
}

/// `covigil up`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  covigil up
  covigil up --data ./trial --console 127.0.0.1:9000

Ctrl-C stops it. What was acknowledged is kept. `covigil sign-in` makes another sign-in link.
Settings are in DIR/config.toml; docs/configure.md lists them.")]
pub struct Up {
    /// Where the data is.
    #[command(flatten)]
    pub data: DataDir,
    /// Address of the console. Default: from config.toml, else 127.0.0.1:8447.
    #[arg(long, value_name = "ADDR")]
    pub console: Option<std::net::SocketAddr>,
}

/// `covigil detect`.
#[derive(Debug, Args)]
#[command(after_help = "\
Reads EVTX, JSON lines (one event per line, also flat with Sigma's field names and Channel/EventID),
other JSON, gzip and zip, and log text; the format is told from the content.

Each finding is one line of JSON on standard output:
  rule_id rule_title level time path record matched
`record` is the line (from 1), or the EVTX record id. A summary goes to standard error.

Exit status: 0, or 2 where something could not be used; the rest is processed all the same.

Examples:
  covigil detect --rules sigma/rules Security.evtx
  covigil detect --rules sigma/rules --rules our-rules --format table evidence/")]
pub struct Detect {
    /// A folder of Sigma rules, or one file. May be given more than once.
    #[arg(long, required = true, value_name = "DIR", value_hint = ValueHint::AnyPath)]
    pub rules: Vec<PathBuf>,
    /// How to print findings.
    #[arg(long, value_enum, default_value_t = DetectFormat::Jsonl)]
    pub format: DetectFormat,
    /// Values of a placeholder for rules that use `expand`, such as admins=alice,bob.
    #[arg(long, value_name = "NAME=A,B")]
    pub placeholder: Vec<String>,
    /// Threads that parse and match. Default: one per core.
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Files or folders of logs.
    #[arg(required = true, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub paths: Vec<PathBuf>,
}

/// How `detect` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DetectFormat {
    /// One JSON object a line.
    Jsonl,
    /// Columns for people.
    Table,
}

/// How lists are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Columns for people.
    Table,
    /// One JSON object a line.
    Jsonl,
    /// Comma-separated values, with a header.
    Csv,
}

/// `covigil rules`.
#[derive(Debug, Subcommand)]
pub enum Rules {
    /// Load all rules of a folder and report each that cannot run, with file, line and reason.
    #[command(after_help = "Exit status: 0, or 2 where a rule failed to load.")]
    Check {
        /// Print one JSON object: total, loaded, failed, failures.
        #[arg(long)]
        json: bool,
        /// Values of a placeholder for rules that use `expand`, such as admins=alice,bob.
        #[arg(long, value_name = "NAME=A,B")]
        placeholder: Vec<String>,
        /// The folder, or one file.
        #[arg(value_hint = ValueHint::AnyPath)]
        dir: PathBuf,
    },
    /// Bring a rule set into the node, and keep it updatable: run it again to update.
    #[command(after_help = "\
Examples:
  covigil rules add ./our-rules
  covigil rules add https://example.org/sigma.git
A running node takes the rules over at once, without losing an event.")]
    Add {
        /// A folder, or the URL of a git repository.
        source: String,
        /// The set's name. Default: the last part of the source.
        #[arg(long)]
        name: Option<String>,
        /// The folder within the source that holds the rules. Default: `rules` where there is one.
        #[arg(long, value_name = "DIR")]
        within: Option<PathBuf>,
        /// Where the data is.
        #[command(flatten)]
        data: DataDir,
    },
    /// List the rules that the node has.
    List {
        /// How to print.
        #[arg(long, value_enum, default_value_t = Format::Table)]
        format: Format,
        /// Where the data is.
        #[command(flatten)]
        data: DataDir,
    },
}

/// `covigil replay`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  covigil replay evidence/Security.evtx
  covigil replay --rate 500 samples/*.jsonl
  covigil replay --original-timing incident.jsonl --to http://127.0.0.1:8447")]
pub struct Replay {
    /// At most this many events a second.
    #[arg(long, value_name = "N", conflicts_with = "original_timing")]
    pub rate: Option<f64>,
    /// Keep the gaps between the events' own times.
    #[arg(long)]
    pub original_timing: bool,
    /// The node's address. Default: the node of the data folder.
    #[arg(long, value_name = "URL")]
    pub to: Option<String>,
    /// An API token, where --to names another machine's node.
    #[arg(long, env = "COVIGIL_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub token: Option<String>,
    /// Where the data is.
    #[command(flatten)]
    pub data: DataDir,
    /// Files or folders.
    #[arg(required = true, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub paths: Vec<PathBuf>,
}

/// `covigil search`.
#[derive(Debug, Args)]
#[command(after_help = "\
The language: words and \"phrases\" found anywhere; field:value; * and ? as wildcards; ranges
[a TO b]; CIDR; AND OR NOT ( ); then | stats, top, timechart, sort, fields, dedup. docs/search.md has it all.

Times: 2026-11-24T08:00:00Z, or back from now: -15m, -24h, -7d.

Examples:
  covigil search 'sshd \"Failed password\"' --from -1h
  covigil search 'src:10.0.0.0/8 AND NOT user:backup | top 10 user'
  covigil search --sql 'SELECT \"device.hostname\", count(*) FROM events GROUP BY 1' --format csv")]
pub struct Search {
    /// What to find. Empty: everything.
    #[arg(default_value = "")]
    pub query: String,
    /// The query is SQL over the table `events`.
    #[arg(long)]
    pub sql: bool,
    /// Begin of the time range.
    #[arg(long, value_name = "T", default_value = "-24h", allow_hyphen_values = true)]
    pub from: String,
    /// End of the time range.
    #[arg(long, value_name = "T", default_value = "now", allow_hyphen_values = true)]
    pub to: String,
    /// At most this many rows.
    #[arg(long, default_value_t = 100)]
    pub limit: usize,
    /// How to print.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
    /// Where the data is.
    #[command(flatten)]
    pub data: DataDir,
}

/// `covigil alerts`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  covigil alerts
  covigil alerts --state all --format jsonl | jq .rule.title")]
pub struct Alerts {
    /// Which: open, new, in_progress, closed, all.
    #[arg(long, default_value = "open")]
    pub state: String,
    /// At most this many.
    #[arg(long, default_value_t = 100)]
    pub limit: usize,
    /// How to print.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
    /// Where the data is.
    #[command(flatten)]
    pub data: DataDir,
}

/// `covigil status`.
#[derive(Debug, Args)]
pub struct Status {
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
    /// Where the data is.
    #[command(flatten)]
    pub data: DataDir,
}

/// `covigil sign-in`.
#[derive(Debug, Args)]
pub struct SignIn {
    /// Where the data is.
    #[command(flatten)]
    pub data: DataDir,
}
