//! MPLS without anything before it.

use crate::wire::Inside;

use super::Link;

pub(super) static MPLS: Link = Link { number: 219, name: "MPLS", strip: |frame| (Inside::EtherType(0x8847), frame) };
