//! Raw IP: no link header at all.

use crate::wire::Inside;

use super::Link;

pub(super) static RAW: Link = Link { number: 101, name: "RAW", strip: |p| (Inside::Ip, p) };
/// DLT_RAW of BSD, found in files of some writers.
pub(super) static RAW_BSD: Link = Link { number: 12, name: "RAW", strip: |p| (Inside::Ip, p) };
/// DLT_RAW of OpenBSD.
pub(super) static RAW_OPENBSD: Link = Link { number: 14, name: "RAW", strip: |p| (Inside::Ip, p) };
pub(super) static IPV4: Link = Link { number: 228, name: "IPV4", strip: |p| (Inside::Ipv4, p) };
pub(super) static IPV6: Link = Link { number: 229, name: "IPV6", strip: |p| (Inside::Ipv6, p) };
