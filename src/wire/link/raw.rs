//! Raw IP: no link header at all.

use super::{Link, Stripped, ether_type::by_version};

pub(super) static RAW: Link = Link { number: 101, name: "RAW", strip: by_version };
/// DLT_RAW of BSD, found in files of some writers.
pub(super) static RAW_BSD: Link = Link { number: 12, name: "RAW", strip: by_version };
/// DLT_RAW of OpenBSD.
pub(super) static RAW_OPENBSD: Link = Link { number: 14, name: "RAW", strip: by_version };
pub(super) static IPV4: Link = Link { number: 228, name: "IPV4", strip: |p| Stripped::Ipv4(p) };
pub(super) static IPV6: Link = Link { number: 229, name: "IPV6", strip: |p| Stripped::Ipv6(p) };
