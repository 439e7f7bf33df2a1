//! Where the fields of `struct kvm_run` lie: the page that a vCPU shares with the kernel.

use std::mem::{offset_of, size_of};

use kvm_bindings::{kvm_run, kvm_sync_regs};

use super::ArmDebugExit;
use super::Node::{self, Group, Offset};

/// A field of `struct kvm_run` itself.
macro_rules! head {
    ($name:literal, $($field:tt)+) => {
        Offset($name, offset_of!(kvm_run, $($field)+))
    };
}

/// A field of the union that says more about the exit.
macro_rules! exit {
    ($name:literal, $($field:tt)+) => {
        Offset($name, offset_of!(kvm_run, __bindgen_anon_1.$($field)+))
    };
}

/// What `debug.arch` is on aarch64.
macro_rules! arm_debug {
    ($name:literal, $field:ident) => {
        Offset($name, offset_of!(kvm_run, __bindgen_anon_1.debug.arch) + offset_of!(ArmDebugExit, $field))
    };
}

/// A register set of `kvm_run.s.regs`.
macro_rules! sync {
    ($name:literal, $field:ident) => {
        Offset($name, offset_of!(kvm_run, s) + offset_of!(kvm_sync_regs, $field))
    };
}

/// The offsets that the exit reader needs.
pub const RUN_PAGE: &[Node] = &[
    Offset("size", size_of::<kvm_run>()),
    head!("requestInterruptWindow", request_interrupt_window),
    head!("immediateExit", immediate_exit),
    head!("exitReason", exit_reason),
    head!("readyForInterruptInjection", ready_for_interrupt_injection),
    head!("ifFlag", if_flag),
    head!("flags", flags),
    head!("cr8", cr8),
    head!("apicBase", apic_base),
    Group("hw", &[exit!("hardwareExitReason", hw.hardware_exit_reason)]),
    Group(
        "failEntry",
        &[exit!("reason", fail_entry.hardware_entry_failure_reason), exit!("cpu", fail_entry.cpu)],
    ),
    Group("ex", &[exit!("exception", ex.exception), exit!("errorCode", ex.error_code)]),
    Group(
        "io",
        &[
            exit!("direction", io.direction),
            exit!("size", io.size),
            exit!("port", io.port),
            exit!("count", io.count),
            exit!("dataOffset", io.data_offset),
        ],
    ),
    Group(
        "debug",
        &[
            Group(
                "arch",
                &[
                    exit!("exception", debug.arch.exception),
                    exit!("pc", debug.arch.pc),
                    exit!("dr6", debug.arch.dr6),
                    exit!("dr7", debug.arch.dr7),
                ],
            ),
            Group("arm", &[arm_debug!("hsr", hsr), arm_debug!("far", far)]),
        ],
    ),
    Group("armNisv", &[exit!("esrIss", arm_nisv.esr_iss), exit!("faultIpa", arm_nisv.fault_ipa)]),
    Group(
        "mmio",
        &[
            exit!("physAddr", mmio.phys_addr),
            exit!("data", mmio.data),
            exit!("len", mmio.len),
            exit!("isWrite", mmio.is_write),
        ],
    ),
    Group(
        "hypercall",
        &[
            exit!("nr", hypercall.nr),
            exit!("args", hypercall.args),
            exit!("ret", hypercall.ret),
            exit!("longmode", hypercall.__bindgen_anon_1.longmode),
            exit!("flags", hypercall.__bindgen_anon_1.flags),
        ],
    ),
    Group("tprAccess", &[exit!("rip", tpr_access.rip), exit!("isWrite", tpr_access.is_write)]),
    Group(
        "internal",
        &[exit!("suberror", internal.suberror), exit!("ndata", internal.ndata), exit!("data", internal.data)],
    ),
    Group(
        "emulationFailure",
        &[
            exit!("flags", emulation_failure.flags),
            exit!("insnSize", emulation_failure.__bindgen_anon_1.__bindgen_anon_1.insn_size),
            exit!("insnBytes", emulation_failure.__bindgen_anon_1.__bindgen_anon_1.insn_bytes),
        ],
    ),
    Group(
        "systemEvent",
        &[
            exit!("type", system_event.type_),
            exit!("ndata", system_event.ndata),
            exit!("data", system_event.__bindgen_anon_1.data),
        ],
    ),
    Group("eoi", &[exit!("vector", eoi.vector)]),
    Group(
        "hyperv",
        &[
            exit!("type", hyperv.type_),
            Group(
                "synic",
                &[
                    exit!("msr", hyperv.u.synic.msr),
                    exit!("control", hyperv.u.synic.control),
                    exit!("evtPage", hyperv.u.synic.evt_page),
                    exit!("msgPage", hyperv.u.synic.msg_page),
                ],
            ),
            Group(
                "hcall",
                &[
                    exit!("input", hyperv.u.hcall.input),
                    exit!("result", hyperv.u.hcall.result),
                    exit!("params", hyperv.u.hcall.params),
                ],
            ),
            Group(
                "syndbg",
                &[
                    exit!("msr", hyperv.u.syndbg.msr),
                    exit!("control", hyperv.u.syndbg.control),
                    exit!("status", hyperv.u.syndbg.status),
                    exit!("sendPage", hyperv.u.syndbg.send_page),
                    exit!("recvPage", hyperv.u.syndbg.recv_page),
                    exit!("pendingPage", hyperv.u.syndbg.pending_page),
                ],
            ),
        ],
    ),
    Group(
        "msr",
        &[
            exit!("error", msr.error),
            exit!("reason", msr.reason),
            exit!("index", msr.index),
            exit!("data", msr.data),
        ],
    ),
    Group(
        "xen",
        &[
            exit!("type", xen.type_),
            Group(
                "hcall",
                &[
                    exit!("longmode", xen.u.hcall.longmode),
                    exit!("cpl", xen.u.hcall.cpl),
                    exit!("input", xen.u.hcall.input),
                    exit!("result", xen.u.hcall.result),
                    exit!("params", xen.u.hcall.params),
                ],
            ),
        ],
    ),
    Group("notify", &[exit!("flags", notify.flags)]),
    Group(
        "memoryFault",
        &[
            exit!("flags", memory_fault.flags),
            exit!("gpa", memory_fault.gpa),
            exit!("size", memory_fault.size),
        ],
    ),
    head!("validRegs", kvm_valid_regs),
    head!("dirtyRegs", kvm_dirty_regs),
    Group("syncRegs", &[sync!("regs", regs), sync!("sregs", sregs), sync!("events", events)]),
];
