// The methods of VcpuFd and of what else the crate exports: what offers each, and the test that makes it on a real KVM.
/** @typedef {import('./row.mjs').Rows} Rows */

const page =
  'the page is read and written by vmhatch alone: an exit is a typed object, a kick is `Vcpu.kickHandle`';
const sync =
  'registers come and go through the shared page by themselves where the host can; `{ syncRegs: true }` of a run asks for them in advance';

/** @type {Rows} */
export const vcpu = {
  get_regs: { test: 'kvm/registers.test.ts › all registers can be read and set' },
  set_regs: { test: 'kvm/registers.test.ts › all registers can be read and set' },
  set_device_attr: {
    test: 'aarch64/features.test.ts › attributes that a vCPU does not have are told from those that it has',
  },
  has_device_attr: {
    test: 'aarch64/features.test.ts › attributes that a vCPU does not have are told from those that it has',
  },
  get_sregs: { test: 'kvm/cpu-state.test.ts › special registers merge, inside of segments too' },
  set_sregs: { test: 'kvm/cpu-state.test.ts › special registers merge, inside of segments too' },
  get_fpu: { test: 'kvm/extended-state.test.ts › x87 and SSE registers: a part is set, the rest stays' },
  set_fpu: { test: 'kvm/extended-state.test.ts › x87 and SSE registers: a part is set, the rest stays' },
  set_cpuid2: { test: 'kvm/cpuid-table.test.ts › a guest reads the table as get() gives it' },
  get_cpuid2: { test: 'kvm/cpu-state.test.ts › the CPUID that was set is the one that is read' },
  enable_cap: {
    test: [
      'kvm/extended-state.test.ts › a capability of a vCPU that nobody has is ERR_KVM_UNSUPPORTED',
      "kvm/extended-state.test.ts › Hyper-V's interrupt controller is turned on, where the host has it",
    ],
  },
  get_lapic: { test: 'kvm/machine-vcpu.test.ts › the registers of the local APIC are 1 KiB that can be set' },
  set_lapic: { test: 'kvm/machine-vcpu.test.ts › the registers of the local APIC are 1 KiB that can be set' },
  get_msrs: { test: 'kvm/cpu-state.test.ts › MSRs are written and read back' },
  set_msrs: { test: 'kvm/cpu-state.test.ts › MSRs are written and read back' },
  get_mp_state: { test: 'kvm/cpu-state.test.ts › a second vCPU waits for its startup, and can be set going' },
  set_mp_state: { test: 'kvm/cpu-state.test.ts › a second vCPU waits for its startup, and can be set going' },
  get_xsave: {
    test: 'kvm/extended-state.test.ts › ${name}: what was given back is what was there, and a changed register is seen',
  },
  get_xsave2: {
    test: 'kvm/extended-state.test.ts › ${name}: what was given back is what was there, and a changed register is seen',
  },
  set_xsave: {
    test: 'kvm/extended-state.test.ts › ${name}: what was given back is what was there, and a changed register is seen',
  },
  set_xsave2: {
    test: 'kvm/extended-state.test.ts › ${name}: what was given back is what was there, and a changed register is seen',
  },
  get_xcrs: { test: 'kvm/extended-state.test.ts › extended control registers take what the CPUID allows' },
  set_xcrs: { test: 'kvm/extended-state.test.ts › extended control registers take what the CPUID allows' },
  get_debug_regs: {
    test: 'kvm/extended-state.test.ts › debug registers are set one by one; bits that do not exist are refused',
  },
  set_debug_regs: {
    test: 'kvm/extended-state.test.ts › debug registers are set one by one; bits that do not exist are refused',
  },
  get_vcpu_events: {
    note: 'on aarch64 `getArmVcpuEvents`: the structures have nothing in common',
    test: [
      'kvm/injection.test.ts › events go back as they came',
      'aarch64/debug.test.ts › no exception waits at first',
    ],
    words: ['getVcpuEvents', 'getArmVcpuEvents'],
  },
  set_vcpu_events: {
    note: 'on aarch64 `setArmVcpuEvents`',
    test: [
      'kvm/injection.test.ts › an exception reaches the handler of the guest',
      'aarch64/debug.test.ts › a system error reaches the guest when it lets it through',
    ],
    words: ['setVcpuEvents', 'setArmVcpuEvents'],
  },
  vcpu_init: {
    test: 'aarch64/registers.test.ts › vcpuInit() again is a reset; with other features it is refused',
  },
  vcpu_finalize: {
    test: 'aarch64/features.test.ts › a vCPU with SVE has vectors of the largest length that the host has',
  },
  get_reg_list: {
    test: 'aarch64/registers.test.ts › the list of registers is all of the state: what can be read is read, and set again unchanged',
  },
  set_guest_debug: {
    test: [
      'kvm/exits.test.ts › a hardware breakpoint is a debug exit before the instruction',
      'aarch64/debug.test.ts › ${name}: a hardware breakpoint stops before its instruction',
    ],
  },
  set_one_reg: { test: 'aarch64/registers.test.ts › system registers are reached by their encoding' },
  get_one_reg: { test: 'aarch64/registers.test.ts › system registers are reached by their encoding' },
  kvmclock_ctrl: {
    test: 'kvm/extended-state.test.ts › a guest that uses kvmclock is told that it was stopped',
  },
  run: {
    test: 'kvm/run.test.ts › ${name}: an exit that no handler takes ends the run',
  },
  get_kvm_run: { reason: page },
  set_kvm_immediate_exit: {
    ts: 'KickHandle.kick',
    note: 'sets the byte, and sends a signal: neither alone is enough',
    test: 'kvm/run.test.ts › ${name}: a kick before the run ends it at once, and only that one',
  },
  get_tsc_khz: { test: 'kvm/machine-vcpu.test.ts › the clock of the guest, in kHz' },
  set_tsc_khz: {
    test: "kvm/extended-state.test.ts › the time stamp counter keeps the host's speed, or takes another one where the host can",
  },
  translate_gva: {
    test: 'kvm/extended-state.test.ts › addresses are translated by the page tables of the guest',
  },
  set_sync_valid_reg: { reason: sync },
  set_sync_dirty_reg: { reason: sync },
  clear_sync_valid_reg: { reason: sync },
  clear_sync_dirty_reg: { reason: sync },
  sync_regs: {
    ts: 'Vcpu.regs',
    note: 'of the page where the host can',
    test: 'kvm/cpu-state.test.ts › this host has sync regs, or each access is an ioctl',
  },
  sync_regs_mut: {
    ts: 'Vcpu.regs',
    note: 'of the page where the host can',
    test: 'kvm/registers.test.ts › ${name}: registers written at an out are there at the next instruction',
  },
  smi: { test: 'kvm/injection.test.ts › a system management interrupt reaches its handler' },
  nested_state: {
    ts: 'Vcpu.getNestedState',
    test: 'kvm/extended-state.test.ts › nested state is a header where the guest runs no hypervisor, and goes back as it came',
  },
  set_nested_state: {
    test: 'kvm/extended-state.test.ts › nested state is a header where the guest runs no hypervisor, and goes back as it came',
  },
  nmi: {
    test: [
      'kvm/cpu-state.test.ts › an NMI runs its handler',
      'kvm/injection.test.ts › an NMI reaches the handler of the guest',
    ],
  },
  map_coalesced_mmio_ring: {
    ts: 'Bus.attach({ posted })',
    note: 'the ring is mapped when the first posted range is attached',
    words: ['posted'],
    test: 'kvm/posted-x86.test.ts › ${name}: posted port writes make no exits and come before the exit that follows',
  },
  coalesced_mmio_read: {
    ts: 'Bus.attach({ posted })',
    note: 'the ring is read at each exit, and by a timer while the guest runs',
    words: ['posted'],
    test: 'kvm/posted.test.ts › ${name}: more posted writes than the ring holds all come, in order',
  },
};

/** @type {Rows} */
export const functions = {
  reg_size: { reason: 'a register is a bigint or bytes, as wide as its id says: `Vcpu.getOneReg` knows' },
};

/** @type {Rows} */
export const runWrapper = {
  mmap_from_fd: { reason: page },
  as_mut_ref: { reason: page },
};
