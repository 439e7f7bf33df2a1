import test from 'ava';

import { Cap } from '../../lib/generated/capabilities.ts';
import { CONTROL, POSTED, STATUS, STATUS_FLAG } from '../../lib/generated/control-page.ts';
import { EXIT_REASONS } from '../../lib/generated/exit-reasons.ts';
import { GUEST_DEBUG, MP_STATE } from '../../lib/generated/flags.ts';
import { RUN, SYNC_REGS } from '../../lib/generated/run-page.ts';
import { REGISTER_ORDER, kvmRegs, kvmSregs, kvmVcpuEvents } from '../../lib/generated/structs.ts';

// The numbers below are of <linux/kvm.h> and <asm/kvm.h>, written by hand: a generator that reads the wrong constant
// would agree with itself.

test('the run page lies as in <linux/kvm.h>', (t) => {
  t.like(RUN, { immediateExit: 1, exitReason: 8, readyForInterruptInjection: 12, cr8: 16, apicBase: 24 });
  t.like(RUN.io, { direction: 32, size: 33, port: 34, count: 36, dataOffset: 40 });
  t.like(RUN.mmio, { physAddr: 32, data: 40, len: 48, isWrite: 52 });
  t.like(RUN.msr, { error: 32, reason: 40, index: 44, data: 48 });
  t.like(RUN.hypercall, { nr: 32, args: 40, ret: 88, longmode: 96 });
  t.like(RUN.emulationFailure, { flags: 40, insnSize: 48, insnBytes: 49 });
  // The union is 256 bytes long and the register sets follow the two masks.
  t.like(RUN, { validRegs: 32 + 256, dirtyRegs: 32 + 256 + 8, size: 32 + 256 + 16 + 2048 });
  t.deepEqual(RUN.syncRegs, {
    regs: 304,
    sregs: 304 + kvmRegs.size,
    events: 304 + kvmRegs.size + kvmSregs.size,
  });
  t.deepEqual(SYNC_REGS, { REGS: 1, SREGS: 2, EVENTS: 4 });
});

test('exit reasons are the numbers of <linux/kvm.h>', (t) => {
  t.like(EXIT_REASONS, {
    unknown: 0,
    exception: 1,
    io: 2,
    hypercall: 3,
    debug: 4,
    hlt: 5,
    mmio: 6,
    irqWindowOpen: 7,
    shutdown: 8,
    failEntry: 9,
    intr: 10,
    setTpr: 11,
    tprAccess: 12,
    nmi: 16,
    internalError: 17,
    systemEvent: 24,
    ioapicEoi: 26,
    hyperv: 27,
    x86Rdmsr: 29,
    x86Wrmsr: 30,
    dirtyRingFull: 31,
    apResetHold: 32,
    x86BusLock: 33,
    xen: 34,
    notify: 37,
    memoryFault: 39,
  });
  const numbers = Object.values(EXIT_REASONS);
  t.is(new Set(numbers).size, numbers.length);
});

test('capabilities have the crate’s names and unique numbers', (t) => {
  t.like(Cap, {
    Irqchip: 0,
    Hlt: 1,
    UserMemory: 3,
    NrMemslots: 10,
    Irqfd: 32,
    SyncRegs: 74,
    ReadonlyMem: 81,
  });
  t.like(Cap, { ArmEl132bit: 93, ArmVmIPASize: 165, DebugHwBps: 119, ImmediateExit: 136, GuestMemfd: 234 });
  t.like(Cap, { DisableQuirks2: 213, X86NotifyVmexit: 219, S390MemOp: 108, IoeventfdAnyLength: 122 });
  const numbers = Object.values(Cap);
  t.is(new Set(numbers).size, numbers.length);
  t.true(numbers.length >= 234);
});

test('registers are in the order of <asm/kvm.h>', (t) => {
  t.is(REGISTER_ORDER.length, 18);
  t.deepEqual(REGISTER_ORDER.slice(0, 8), ['rax', 'rbx', 'rcx', 'rdx', 'rsi', 'rdi', 'rsp', 'rbp']);
  t.deepEqual(REGISTER_ORDER.slice(16), ['rip', 'rflags']);
  for (const [index, name] of REGISTER_ORDER.entries()) {
    t.like(kvmRegs.fields[index], { name, offset: index * 8, type: 'u64' });
  }
  t.is(kvmSregs.size, 312);
  t.is(kvmVcpuEvents.size, 64);
});

test('flags are the numbers of <linux/kvm.h> and <asm/kvm.h>', (t) => {
  t.like(GUEST_DEBUG, { ENABLE: 1, SINGLESTEP: 2, USE_SW_BP: 0x10000, USE_HW_BP: 0x20000 });
  t.like(MP_STATE, { RUNNABLE: 0, UNINITIALIZED: 1, HALTED: 3 });
});

test('our own pages can be read through typed arrays', (t) => {
  const { counters, exchange, offset, ...words } = CONTROL;
  for (const at of Object.values(words)) t.is(at % 4, 0);
  t.is(offset % 8, 0);
  const { reasons, ...places } = counters;
  for (const at of Object.values(places)) t.is(at % 8, 0);
  t.is(counters.byReason % 64, 0);
  t.is(exchange.offset % 8, 0);
  t.true(exchange.offset >= counters.byReason + reasons * 8 && exchange.offset + exchange.size <= 4096);
  t.true(Object.values(places).every((at) => at <= counters.byReason));
  t.true(Object.values(EXIT_REASONS).every((reason) => reason < reasons));
  t.is(POSTED.stride % 8, 0);
  t.true(POSTED.entries * POSTED.stride <= 4096);
});

test('a status and its flags do not touch', (t) => {
  for (const status of Object.values(STATUS)) t.is(status & STATUS_FLAG.POSTED, 0);
});
