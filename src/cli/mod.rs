//! The command line: docs of every option, and what the user asked for. Parses; does nothing.

#[cfg(feature = "live")]
mod live;
mod numbers;
mod version;

use std::path::PathBuf;

#[cfg(feature = "live")]
pub use live::{Live, Ring, TimeStamps};
pub use numbers::Numbers;

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

/// Shows where a WebSocket upgrade dies: reads packet captures, checks every HTTP upgrade in them,
/// and says which worked, which did not, why, and how to mend it.
#[derive(Debug, Parser)]
#[command(name = "hopscope", version, long_version = version::LONG, max_term_width = 100)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_help = "Examples:
  hopscope capture.pcapng                       browse every upgrade; without a terminal: the report
  hopscope report capture.pcapng                what became of every upgrade
  hopscope report leg1.pcap leg2.pcap --utc     several captures, one timeline
  ssh edge tcpdump -U -w - port 80 | hopscope report -
  hopscope report --format json capture.pcap | jq '.chains[].verdict'
  hopscope audit edge.pcap app.pcap             one score card for each proxy
  hopscope extract capture.pcap --exchange 3 -o one.pcapng
  hopscope accept dGhlIHNhbXBsZSBub25jZQ==      the right Sec-WebSocket-Accept for a key
  hopscope explain accept-mismatch              what a rule means, and what to do

Exit status: 0 done; 1 findings at or above --fail-on; 2 could not do it, or an input is damaged;
130 interrupted.")]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,

    #[command(flatten)]
    pub report: Report,

    #[command(flatten)]
    pub screen: Screen,
}

/// How the terminal UI looks.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Terminal UI")]
pub struct Screen {
    /// Colours: the terminal's own, or some for a dark or a light background that colour-blind people tell apart
    #[arg(long, value_name = "THEME", default_value = "terminal")]
    pub theme: ThemeName,

    /// Draw with ASCII characters alone
    #[arg(long)]
    pub ascii: bool,

    /// Leave the mouse to the terminal
    #[arg(long)]
    pub no_mouse: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ThemeName {
    Terminal,
    Dark,
    Light,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Analyse captures and write one report
    Report(Report),
    /// Judge each proxy that the captures show: one score card for each. Exit 1 when a card fails
    Audit(Audit),
    /// Write just the packets of some connections to a pcapng file, with comments naming the findings
    Extract(Extract),
    /// What a rule checks, why it breaks upgrades, causes and fixes
    Explain {
        /// A rule's slug, as reports name it: `accept-mismatch`
        rule: String,
    },
    /// List all rules
    Rules {
        /// How to write the list
        #[arg(long, value_name = "FORMAT", default_value = "text")]
        format: RulesFormat,
    },
    /// The Sec-WebSocket-Accept that belongs to a key; with ACCEPT, whether it is right and, if not,
    /// how it was probably computed (exit 1)
    #[command(allow_hyphen_values = true)]
    Accept {
        /// Value of Sec-WebSocket-Key
        key: String,
        /// Value of Sec-WebSocket-Accept to check
        accept: Option<String>,
    },
    /// List the network devices that can be captured
    #[cfg(feature = "live")]
    Interfaces,
    /// Print a completion script for a shell
    Completions { shell: Shell },
    /// Print the manual page, or that of a command
    Man {
        /// `report`, `audit`, …: the page hopscope-COMMAND(1)
        command: Option<String>,
    },
}

/// What is read: the same for every command that analyses.
#[derive(Args, Clone, Debug)]
pub struct Inputs {
    /// Captures: pcap or pcapng files, pipes, or `-` for standard input. Several are one timeline
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// Skip packets before this time: `2026-11-22T09:14:00Z`, a local time, or `-15m` from the end
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub since: Option<String>,

    /// Skip packets after this time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub until: Option<String>,

    /// Read the TLS connections whose secrets are in this key log, as browsers, curl and many servers write
    /// it; repeatable. Without it, what SSLKEYLOGFILE names. Secrets inside a pcapng are used without asking
    #[arg(long = "keylog", value_name = "FILE")]
    pub keylogs: Vec<PathBuf>,

    /// Name a host and say which addresses are its own, so that the two sides of a proxy are known to
    /// belong together; repeatable
    #[arg(long = "hop", value_name = "NAME=IP[,IP:PORT]…")]
    pub hops: Vec<String>,

    /// Add this to the times of an input whose clock is known to be wrong (`leg2.pcap=-137s`) instead of
    /// estimating it; repeatable
    #[arg(long = "clock-offset", value_name = "FILE=DURATION", allow_hyphen_values = true)]
    pub clock_offsets: Vec<String>,
}

/// What of an analysis is told, and what it may give away: the same for reports and audits.
#[derive(Args, Clone, Debug)]
pub struct Shown {
    /// Only chains that match: `status:101 host:chat.* rule:accept-* path~room -client:10.0.3.17 dur>1s`
    #[arg(short = 'Y', long, value_name = "EXPR", allow_hyphen_values = true)]
    pub filter: Option<String>,

    /// A known fault: shown as allowed, fails nothing. RULE, RULE@HOST, or a file of them; repeatable
    #[arg(long, value_name = "RULE[@HOST]")]
    pub allow: Vec<String>,

    /// Show cookies, tokens and passwords instead of masking them
    #[arg(long)]
    pub show_secrets: bool,

    /// Replace addresses and hosts by made-up ones, the same by the same, so that it can be handed on
    #[arg(long, conflicts_with = "show_secrets")]
    pub redact: bool,
}

#[derive(Args, Clone, Debug)]
pub struct Report {
    #[command(flatten)]
    pub inputs: Inputs,

    #[cfg(feature = "live")]
    #[command(flatten)]
    pub live: Live,

    /// How to write the report: text, json, ndjson, csv, markdown, html, mermaid, sarif, junit
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: String,

    /// Write the report to this file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Print the JSON Schema of `--format json` and end
    #[arg(long)]
    pub schema: bool,

    #[command(flatten)]
    pub shown: Shown,

    /// Exit with 1 when there is a finding at least this bad
    #[arg(long, value_name = "SEVERITY", default_value = "never")]
    pub fail_on: FailOn,

    /// Times in UTC instead of local time
    #[arg(long)]
    pub utc: bool,

    /// When to use colours
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub color: When,

    /// Only the summary and the faults; no progress, no warnings
    #[arg(short, long)]
    pub quiet: bool,
}

#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  hopscope audit edge.pcap app.pcap                     what each proxy does to upgrades
  hopscope audit edge.pcap app.pcap --format json -o before.json
  hopscope audit new-edge.pcap new-app.pcap --baseline before.json

A card needs both sides of its proxy: captures taken at the same time before and behind it.")]
pub struct Audit {
    #[command(flatten)]
    pub inputs: Inputs,

    /// How to write the audit: text, json, markdown, html
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: String,

    /// Write the audit to this file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// An earlier audit in JSON: tell what changed since
    #[arg(long, value_name = "FILE")]
    pub baseline: Option<PathBuf>,

    /// Print the JSON Schema of `--format json` and end
    #[arg(long)]
    pub schema: bool,

    #[command(flatten)]
    pub shown: Shown,

    /// Exit with 1 when a line is at least this bad; a failed one is an error, a note is info
    #[arg(long, value_name = "SEVERITY", default_value = "error")]
    pub fail_on: FailOn,

    /// No progress, no warnings
    #[arg(short, long)]
    pub quiet: bool,
}

#[derive(Args, Clone, Debug)]
#[command(group = ArgGroup::new("choice").required(true).multiple(false).args(["exchange", "chain", "filter"]))]
#[command(after_help = "Examples:
  hopscope extract a.pcap --exchange 3,7-9 -o some.pcapng
  hopscope extract edge.pcap app.pcap -Y 'status:502 host:chat.*' -o refused.pcapng

The packets are written as they were captured, with all the secrets in them, and with those that
open TLS connections which were read, unless --redact is given. The inputs are read twice, so they must be files.")]
pub struct Extract {
    #[command(flatten)]
    pub inputs: Inputs,

    /// The connections that carry these exchanges, by their ids in the report
    #[arg(long, value_name = "N,N-N")]
    pub exchange: Option<Numbers>,

    /// The connections of these chains; a connection without a request has a negative id
    #[arg(long, value_name = "N,N-N", allow_hyphen_values = true)]
    pub chain: Option<Numbers>,

    /// The connections of all chains that match: `status:101 host:chat.* rule:accept-*`
    #[arg(short = 'Y', long, value_name = "EXPR", allow_hyphen_values = true)]
    pub filter: Option<String>,

    /// The pcapng file to write; `-` for standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,

    /// Show cookies, tokens and passwords in the comments instead of masking them there
    #[arg(long)]
    pub show_secrets: bool,

    /// Replace addresses, hosts, cookies and tokens in packets by made-up ones of the same length, and cut off all
    /// payload but the heads of HTTP that were read; refused where that cannot be done
    #[arg(long, conflicts_with = "show_secrets")]
    pub redact: bool,

    /// No progress, no warnings, not a word about what was written
    #[arg(short, long)]
    pub quiet: bool,
}

impl Report {
    /// Nothing is named that could be read.
    pub fn has_no_input(&self) -> bool {
        #[cfg(feature = "live")]
        if !self.live.interfaces.is_empty() {
            return false;
        }
        self.inputs.files.is_empty()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    Never,
    Info,
    Warning,
    Error,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum When {
    Auto,
    Always,
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RulesFormat {
    Text,
    Markdown,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
