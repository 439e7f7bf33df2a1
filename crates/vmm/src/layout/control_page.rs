//! Our own pages beside KVM's: `control.rs` has their types and says what the fields mean.

use std::mem::{offset_of, size_of};

use super::Node::{self, Group, Offset};
use crate::control::{
    CLOSED_OFFSET, Control, Counters, EXCHANGE_OFFSET, EXCHANGE_SIZE, POSTED_ENTRIES, PostedWrite, REASONS,
    Status, flag,
};

macro_rules! control {
    ($name:literal, $field:ident) => {
        Offset($name, offset_of!(Control, $field))
    };
}

macro_rules! counter {
    ($name:literal, $field:ident) => {
        Offset($name, offset_of!(Control, counters) + offset_of!(Counters, $field))
    };
}

/// Offsets in the control page.
pub const CONTROL_PAGE: &[Node] = &[
    control!("route", route),
    control!("size", size),
    control!("count", count),
    control!("dataOffset", data_offset),
    control!("offset", offset),
    control!("postedCount", posted_count),
    control!("openAccess", open_access),
    control!("stopCode", stop_code),
    control!("stopDevice", stop_device),
    Offset("closed", CLOSED_OFFSET),
    Group("exchange", &[Offset("offset", EXCHANGE_OFFSET), Offset("size", EXCHANGE_SIZE)]),
    Group(
        "counters",
        &[
            counter!("byReason", by_reason),
            Offset("reasons", REASONS),
            counter!("rust", rust),
            counter!("posted", posted),
            counter!("javascript", javascript),
            counter!("slices", slices),
            counter!("guestCycles", guest_cycles),
        ],
    ),
];

/// Offsets in one entry of the posted page; `stride` is from one entry to the next, `entries` how many fit.
pub const POSTED_PAGE: &[Node] = &[
    Offset("offset", offset_of!(PostedWrite, offset)),
    Offset("data", offset_of!(PostedWrite, data)),
    Offset("route", offset_of!(PostedWrite, route)),
    Offset("size", offset_of!(PostedWrite, size)),
    Offset("stride", size_of::<PostedWrite>()),
    Offset("entries", POSTED_ENTRIES),
];

/// Lists the variants of `Status`. The match does not compile when one is missing.
macro_rules! statuses {
    ($($variant:ident)*) => {
        const _: fn(Status) = |status| match status {
            $(Status::$variant => {})*
        };

        /// Every status: its name in Rust and its number.
        pub const STATUSES: &[(&str, u32)] = &[$((stringify!($variant), Status::$variant as u32)),*];
    };
}

statuses! {
    Exit IoIn IoOut MmioRead MmioWrite DeviceRead DeviceWrite Slice Kicked Attention DeviceStop Completed Failed Closed
    Busy Pending
}

/// The bits that a status can carry.
pub const STATUS_FLAGS: &[(&str, u32)] = &[("POSTED", flag::POSTED), ("LOOK", flag::LOOK)];
