//! What the user says of hosts and clocks: `--hop`, `--clock-offset`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use anyhow::{Context as _, bail};

use crate::base::Nanos;
use crate::cli::Inputs;
use crate::hops::{Pin, Told};
use crate::store::Analysis;

use super::complain;

/// What joining is told. Fails where an option cannot be read.
pub(super) fn told(args: &Inputs) -> anyhow::Result<Told> {
    let pins = args.hops.iter().map(|text| pin(text).with_context(|| format!("--hop {text}")));
    let pins = pins.collect::<anyhow::Result<Vec<Pin>>>()?;
    let clocks = clocks(args)?.into_iter().map(|(input, _)| u16::try_from(input).unwrap_or(u16::MAX)).collect();
    Ok(Told { pins, clocks, ..Told::default() })
}

/// Tells which addresses of `--hop` are on no connection that there is anything to tell of: slips of the pen, mostly.
pub(super) fn complain_of_strangers(pins: &[Pin], a: &Analysis) {
    let strangers: Vec<String> = strangers(pins, a).map(|ip| ip.to_string()).collect();
    if !strangers.is_empty() {
        complain(&format!("--hop: no upgrade came from or went to {}", strangers.join(", ")));
    }
}

fn strangers<'p>(pins: &'p [Pin], a: &'p Analysis) -> impl Iterator<Item = IpAddr> + 'p {
    let ends = |ip: IpAddr| {
        a.rows.iter().any(|row| row.exchange.client.ip == ip || row.exchange.server.ip == ip)
            || a.flows.iter().any(|flow| flow.client.ip == ip || flow.server.ip == ip)
            || a.rows
                .iter()
                .filter_map(|row| row.exchange.twice.as_ref())
                .flat_map(|twice| &twice.names)
                .any(|(client, server)| client.ip == ip || server.ip == ip)
            || a.chains.iter().flat_map(|chain| &chain.sealed).any(|b| b.flow.client.ip == ip || b.flow.server.ip == ip)
            || a.intermediaries.iter().any(|proxy| proxy.addresses.contains(&ip))
    };
    pins.iter().flat_map(|pin| &pin.addresses).map(|(ip, _)| *ip).filter(move |ip| !ends(*ip))
}

/// What is added to the times of inputs, by their places.
pub(super) fn clocks(args: &Inputs) -> anyhow::Result<Vec<(usize, Nanos)>> {
    let one = |text: &String| clock(text, &args.files).with_context(|| format!("--clock-offset {text}"));
    args.clock_offsets.iter().map(one).collect()
}

/// `edge=192.0.2.1,192.0.2.2:80,[2001:db8::1]:80`.
fn pin(text: &str) -> anyhow::Result<Pin> {
    let Some((name, list)) = text.split_once('=') else { bail!("it has no =; write NAME=IP[,IP:PORT]") };
    if name.trim().is_empty() {
        bail!("the name is empty; write NAME=IP[,IP:PORT]");
    }
    let addresses = list.split(',').map(|part| address(part.trim())).collect::<anyhow::Result<Vec<_>>>()?;
    Ok(Pin { name: name.trim().to_owned(), addresses })
}

fn address(text: &str) -> anyhow::Result<(IpAddr, Option<u16>)> {
    if let Ok(ip) = text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        return Ok((ip, None));
    }
    match text.parse::<SocketAddr>() {
        Ok(both) => Ok((both.ip(), Some(both.port()))),
        Err(_) => bail!("{text:?} is neither an IP address nor one with a port"),
    }
}

/// The input is named as it was given, or by its file name where that is one input's only.
fn clock(text: &str, files: &[PathBuf]) -> anyhow::Result<(usize, Nanos)> {
    let Some((name, duration)) = text.rsplit_once('=') else { bail!("it has no =; write FILE=DURATION") };
    let named = |path: &PathBuf| path.file_name().is_some_and(|file| file == name);
    let exact = files.iter().position(|path| path.as_os_str() == name);
    let place =
        exact.or_else(|| files.iter().position(named).filter(|_| files.iter().filter(|p| named(p)).count() == 1));
    let Some(place) = place else { bail!("{name:?} is none of the inputs, or several of them") };
    let Ok(length) = duration.parse::<jiff::SignedDuration>() else {
        bail!("{duration:?} is no length of time; write for example -137s, 350ms or 1m30s");
    };
    let Ok(nanos) = i64::try_from(length.as_nanos()) else { bail!("{duration:?} is longer than packet times go") };
    Ok((place, Nanos(nanos)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use super::*;

    #[test]
    fn a_host_has_addresses_of_both_families_with_and_without_ports() {
        let pin = pin("edge=192.0.2.1, 192.0.2.2:80,2001:db8::1,[2001:db8::2]:81").unwrap();
        let ports: Vec<_> = pin.addresses.iter().map(|(_, port)| *port).collect();
        assert_eq!((pin.name.as_str(), ports), ("edge", vec![None, Some(80), None, Some(81)]));
        assert!(super::pin("edge").is_err() && super::pin("=192.0.2.1").is_err() && super::pin("a=b").is_err());
    }

    #[test]
    fn an_input_is_named_by_its_path_or_its_file_name() {
        let files = ["a/leg1.pcap", "b/leg1.pcap", "b/leg2.pcap"].map(PathBuf::from);
        let ms = |text: &str| clock(text, &files).map(|(at, by)| (at, by.0 / 1_000_000)).ok();
        assert_eq!(ms("leg2.pcap=-137s"), Some((2, -137_000)));
        assert_eq!(ms("b/leg1.pcap=350ms"), Some((1, 350)));
        assert_eq!(ms("leg1.pcap=1s"), None);
        assert_eq!(ms("leg3.pcap=1s"), None);
        assert_eq!(ms("leg2.pcap=soon"), None);
    }
}
