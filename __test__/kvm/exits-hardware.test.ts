/**
 * Exits that not every host makes: those of the task priority, of states and memory that hardware refuses, of bus locks,
 * of Xen and of Hyper-V. Where one cannot, it says so.
 */
import { existsSync, readFileSync } from 'node:fs';

import test, { type ExecutionContext } from 'ava';

import { Cap, CpuidTable, Msr, type KvmError, type Vcpu } from '../../index.ts';
import { enter, enterUser, realModeGuest, type Guest } from '../helpers/guests.ts';
import { boot, exitOf, makeVm, openKvm } from '../helpers/machine.ts';

function skip(t: ExecutionContext, why: string): void {
  t.log(`skipped: ${why}`);
  t.pass();
}

test('a guest that lowers its task priority says so, where KVM has no local APIC', (t) => {
  const code = [
    [0xb8, 0x05, 0, 0, 0], // mov eax, 5
    [0x44, 0x0f, 0x22, 0xc0], // mov cr8, rax
    [0x31, 0xc0], // xor eax, eax
    [0x44, 0x0f, 0x22, 0xc0], // mov cr8, rax
    [0xf4], // hlt
  ];
  const guest: Guest = {
    mode: 'long64',
    loadAddress: 0x1000,
    entry: 0x1000,
    bytes: Uint8Array.from(code.flat()),
  };
  const { vcpu } = boot(t, guest);
  const first = vcpu.step();
  if (first.kind === 'hlt') {
    skip(t, 'an instruction emulator sets the task priority without an exit');
    return;
  }
  t.is(first.kind, 'setTpr');
  t.is(vcpu.getSregs().cr8, 0n);
  t.is(vcpu.step().kind, 'hlt');
});

// ---- what hardware refuses

test('a state that the processor refuses is a failed entry, and another one goes on', (t) => {
  const guest: Guest = { mode: 'long64', loadAddress: 0x1000, entry: 0x1000, bytes: Uint8Array.of(0xf4) };
  const { vcpu } = boot(t, guest);
  // Code of 64 and of 32 bits at once: what KVM takes, and no processor (AMD's manual, volume 2, 15.5.1).
  vcpu.setSregs({ cs: { l: 1, db: 1 } });
  const end = vcpu.run({}, { timeoutMs: 20_000 });
  if (existsSync('/sys/module/kvm_pvm')) {
    exitOf(end, 'hlt');
    skip(t, 'KVM-PVM enters guests without a check of their state, and runs this one as code of 64 bits');
    return;
  }
  const { hardwareEntryFailureReason, cpu } = exitOf(end, 'failEntry');
  // SVM_EXIT_ERR of <asm/svm.h>, in 32 bits or in 64, or VMX's reason 33 for an invalid guest state.
  const reasons = [0xffff_ffffn, 2n ** 64n - 1n, 0x8000_0021n];
  t.true(reasons.includes(hardwareEntryFailureReason), hardwareEntryFailureReason.toString(16));
  t.true(Number.isInteger(cpu) && cpu >= 0);
  enter(vcpu, guest);
  exitOf(vcpu.run({}, { timeoutMs: 20_000 }), 'hlt');
});

/** `KVM_CAP_GUEST_MEMFD_FLAGS` of <linux/kvm.h>: the flags that a guest memfd can have. */
const GUEST_MEMFD_FLAGS = 244;
/** `GUEST_MEMFD_FLAG_MMAP`: the guest's shared memory, too, comes from it. */
const SHARED = 1;

test('memory that is lost is a memory fault; a handler maps other memory, and the guest goes on', async (t) => {
  const guest: Guest = {
    mode: 'long64',
    loadAddress: 0x1000,
    entry: 0x1000,
    // inc dword ptr [0x101234]; ud2
    bytes: Uint8Array.of(0xff, 0x04, 0x25, 0x34, 0x12, 0x10, 0x00, 0x0f, 0x0b),
  };
  const { vm, vcpu } = boot(t, guest);
  if ((vm.checkExtensionInt(GUEST_MEMFD_FLAGS) & SHARED) === 0) {
    skip(t, 'this host lacks guest memfds for shared memory, of Linux 6.18');
    return;
  }
  const place = { guestAddress: 0x10_0000, size: 0x4000 };
  const guestMemfd = vm.createGuestMemfd({ size: place.size, flags: SHARED });
  const region = vm.memory.map({ ...place, guestMemfd });
  // Pages that nobody can give any more: the kernel keeps no memfd for the machine's sake.
  guestMemfd.close();
  enterUser(vcpu, guest);
  const fault = { kind: 'memoryFault', flags: 0n, gpa: 0x10_1000, size: 0x1000 } as const;
  for (const lane of ['run', 'runSliced', 'runInBackground'] as const) {
    t.deepEqual(exitOf(await vcpu[lane](), 'memoryFault'), fault, lane);
  }
  const seen: unknown[] = [];
  const end = vcpu.run({
    memoryFault: (exit) => {
      seen.push(exit.toJSON());
      if (seen.length < 3) return;
      region.unmap();
      vm.memory.map(place);
    },
  });
  exitOf(end, 'shutdown');
  t.deepEqual(seen, [fault, fault, fault]);
  t.is(vm.memory.readUint32(0x10_1234), 1);
});

test('a locked access across two cache lines is an exit where it is wanted', (t) => {
  // lock inc word ptr [0x203f]; hlt
  const guest = realModeGuest([0xf0, 0xff, 0x06, 0x3f, 0x20], [0xf4]);
  if (!openKvm(t).checkExtension(Cap.X86BusLockExit)) {
    t.throws(() => makeVm(t).configureX86({ busLockExit: true }), { code: 'ERR_KVM_UNSUPPORTED' });
    skip(t, 'this host lacks KVM_CAP_X86_BUS_LOCK_EXIT');
    return;
  }
  // vCPUs are made with it or without it.
  const { vm, vcpu } = boot(t, guest, { prepare: (machine) => machine.configureX86({ busLockExit: true }) });
  let locks = 0;
  exitOf(vcpu.run({ x86BusLock: () => void locks++ }, { timeoutMs: 20_000 }), 'hlt');
  t.true(locks > 0);
  t.is(vm.memory.readUint16(0x203f), 1);
});

// ---- the task priority in the kernel's local APIC

/** The task priority register of the local APIC: Intel's manual, volume 3, 11.4.1. */
const TPR = [0x80, 0x00, 0xe0, 0xfe];

function flatGuest(...code: (readonly number[])[]): Guest {
  const bytes = Uint8Array.from(code.flat());
  return { mode: 'protected32', loadAddress: 0x1000, entry: 0x1000, bytes };
}

/** Whether the processor serves the register itself: KVM does not always know that there will be no exits. */
function isServed(): boolean {
  const isOn = (parameter: string): boolean => {
    const path = `/sys/module/${parameter}`;
    return existsSync(path) && /^[Y1]/.test(readFileSync(path, 'utf8'));
  };
  return isOn('kvm_intel/parameters/flexpriority') || isOn('kvm_amd/parameters/avic');
}

/** A guest with a local APIC in the kernel, or undefined after saying that this host has no use for more. */
function apicGuest(t: ExecutionContext, guest: Guest): Vcpu | undefined {
  const { vcpu } = boot(t, guest, { prepare: (vm) => vm.createIrqChip() });
  if (vcpu.vm.checkExtension(Cap.Vapic)) return vcpu;
  for (const use of [() => vcpu.setTprAccessReporting(true), () => vcpu.setVapicAddress(0x2000)]) {
    const error = t.throws<KvmError>(use, { code: 'ERR_KVM_UNSUPPORTED' });
    t.regex(error?.message ?? '', /KVM_CAP_VAPIC/);
  }
  skip(t, 'this host lacks KVM_CAP_VAPIC: the processor serves the register');
  return undefined;
}

// Each guest makes no other exit: KVM-PVM reports an access after those of the instructions that follow it.
for (const [what, code, rip, isWrite] of [
  ['writes', [0xb8, 0x20, 0, 0, 0, 0xa3, ...TPR], 0x1005n, true], // mov eax, 0x20; mov [TPR], eax
  ['reads', [0xa1, ...TPR], 0x1000n, false], //                      mov eax, [TPR]
] as const) {
  test(`a guest that ${what} its task priority says so, where that is wanted`, (t) => {
    const vcpu = apicGuest(t, flatGuest(code, [0xeb, 0xfe])); // jmp $
    if (vcpu === undefined) return undefined;
    vcpu.setTprAccessReporting(true);
    if (isServed()) return skip(t, 'the processor serves the task priority register: there are no exits');
    const seen: unknown[] = [];
    const end = vcpu.run(
      {
        tprAccess: (exit) => {
          seen.push(exit.toJSON());
          exit.stop();
        },
      },
      { timeoutMs: 20_000 },
    );
    t.is(end.reason, 'stopped');
    t.deepEqual(seen, [{ kind: 'tprAccess', rip, isWrite }]);
    return t.is(vcpu.getLapic()[0x80], isWrite ? 0x20 : 0);
  });
}

test('accesses to the task priority are no exits when they are not wanted any more', (t) => {
  const code = [
    [0xa3, ...TPR], // mov [TPR], eax
    [0xe6, 0x80], //   out 0x80, al
  ];
  const vcpu = apicGuest(t, flatGuest(...code));
  if (vcpu === undefined) return;
  vcpu.setTprAccessReporting(true);
  vcpu.setTprAccessReporting(false);
  t.is(vcpu.step({ timeoutMs: 20_000 }).kind, 'ioOut');
  t.throws(() => vcpu.setTprAccessReporting(1 as never), { code: 'ERR_INVALID_ARG_TYPE' });
});

test('the task priority is what guest memory says, where it is kept there', (t) => {
  const PLACE = 0x2000;
  const code = [
    [0xa1, ...TPR], // mov eax, [TPR]
    [0xe6, 0x80], //   out 0x80, al
    [0xeb, 0xf7], //   jmp to the start
  ];
  const vcpu = apicGuest(t, flatGuest(...code));
  if (vcpu === undefined) return;
  const { memory } = vcpu.vm;
  const read = (): number => {
    const exit = vcpu.step({ timeoutMs: 20_000 });
    return exit.kind === 'ioOut' ? exit.value : -1;
  };
  vcpu.setVapicAddress(PLACE);
  t.is(read(), 0);
  // KVM looks there when the guest leaves, and may write what it has before it looks.
  for (let turn = 0, seen = 0; turn < 10 && seen !== 0x50; turn++) {
    memory.writeUint8(PLACE, 0x50);
    seen = read();
  }
  t.is(vcpu.getLapic()[0x80], 0x50);
  vcpu.setVapicAddress(0);
  memory.writeUint8(PLACE, 0x30);
  t.is(read(), 0x50);
  t.is(read(), 0x50);
  const error = t.throws<KvmError>(() => vcpu.setVapicAddress(0x8000_0000), { code: 'ERR_KVM_IOCTL' });
  t.is(error?.syscall, 'KVM_SET_VAPIC_ADDR');
  t.throws(() => vcpu.setVapicAddress(-1), { code: 'ERR_OUT_OF_RANGE' });
});

test('without a local APIC in the kernel its task priority is kept nowhere', (t) => {
  const { vcpu } = boot(t, 'spin');
  if (!vcpu.vm.checkExtension(Cap.Vapic)) return skip(t, 'this host lacks KVM_CAP_VAPIC');
  const error = t.throws<KvmError>(() => vcpu.setVapicAddress(0x2000), { code: 'ERR_KVM_IOCTL' });
  return t.is(error?.errno, 22);
});

// ---- Xen

/** `__HYPERVISOR_hvm_op` of Xen, which KVM leaves to the program. */
const HVM_OP = 34n;

test("a hypercall of Xen's is an exit where it is wanted, and its answer reaches the guest", (t) => {
  const guest: Guest = {
    mode: 'long64',
    loadAddress: 0x1000,
    entry: 0x1000,
    bytes: Uint8Array.of(0x0f, 0x01, 0xd9, 0xf4), // vmmcall; hlt
  };
  const regs = { rax: HVM_OP, rdi: 1, rsi: 2, rdx: 3, r10: 4, r8: 5, r9: 2n ** 63n };
  const { vm, vcpu } = boot(t, guest, { regs });
  if (!vm.checkExtension(Cap.XenHvm)) {
    t.throws(() => vm.setXenHypercallExits(true), {
      code: 'ERR_KVM_UNSUPPORTED',
      message: /KVM_CAP_XEN_HVM/,
    });
    skip(t, 'this host lacks KVM_CAP_XEN_HVM');
    return;
  }
  vm.setXenHypercallExits(true, { msr: 0x4000_0000 });
  const seen: unknown[] = [];
  const end = vcpu.run(
    {
      xen: (exit) => {
        seen.push(exit.toJSON());
        return 0x1234_5678_9abc_def0n;
      },
    },
    { timeoutMs: 20_000 },
  );
  exitOf(end, 'hlt');
  const params = [1n, 2n, 3n, 4n, 5n, 2n ** 63n];
  t.deepEqual(seen, [{ kind: 'xen', type: 1, longmode: true, cpl: 0, input: HVM_OP, params }]);
  t.is(vcpu.regs.rax, 0x1234_5678_9abc_def0n);
  // Without it the hypercall is KVM's own, which has none of that number: -KVM_ENOSYS.
  vm.setXenHypercallExits(false);
  enter(vcpu, guest, regs);
  exitOf(vcpu.run({}, { timeoutMs: 20_000 }), 'hlt');
  t.is(BigInt.asIntN(64, vcpu.regs.rax), -1000n);
});

test("wrong options of Xen's hypercalls are refused before the host is asked", (t) => {
  const vm = makeVm(t);
  t.throws(() => vm.setXenHypercallExits(1 as never), { code: 'ERR_INVALID_ARG_TYPE' });
  t.throws(() => vm.setXenHypercallExits(true, { msr: -1 }), { code: 'ERR_OUT_OF_RANGE' });
  t.throws(() => vm.setXenHypercallExits(true, { msrs: 0 } as never), { code: 'ERR_INVALID_ARG_VALUE' });
});

// ---- Hyper-V

/** `wrmsr` of an MSR, then a port write, which says that it was not the exit. */
function writeMsr(index: number, high: number, low: number): Guest {
  const u32 = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer);
  return realModeGuest(
    [0x66, 0xb9, ...u32(index)], // mov ecx, index
    [0x66, 0xb8, ...u32(low)], //   mov eax, low
    [0x66, 0xba, ...u32(high)], //  mov edx, high
    [0x0f, 0x30], //                wrmsr
    [0xe6, 0x80], //                out 0x80, al
  );
}

/** `Hv#1`, the signature of leaf 0x40000001: Hyper-V Top Level Functional Specification, 2.4.1. */
const HYPERV = 0x3123_7648;

/** A guest that is told that it runs on Hyper-V, or undefined after saying that this host cannot tell it so. */
function hypervGuest(t: ExecutionContext, guest: Guest): Vcpu | undefined {
  const kvm = openKvm(t);
  if (!kvm.checkExtension(Cap.HypervSynic)) {
    skip(t, 'this host lacks KVM_CAP_HYPERV_SYNIC');
    return undefined;
  }
  const { vcpu } = boot(t, guest, { prepare: (vm) => vm.createIrqChip() });
  const table = new CpuidTable(kvm.getSupportedCpuid());
  table.set(0x4000_0000, { eax: 0x4000_0005 }).set(0x4000_0001, { eax: HYPERV });
  vcpu.setCpuid2(table);
  vcpu.enableCap(Cap.HypervSynic);
  return vcpu;
}

test("a write to Hyper-V's interrupt controller is an exit with what was written", (t) => {
  const vcpu = hypervGuest(t, writeMsr(Msr.HV_SCONTROL, 0, 1));
  if (vcpu === undefined) return;
  const exit = exitOf(vcpu.run(), 'hyperv');
  t.like(exit, { type: 1, msr: Msr.HV_SCONTROL, control: 1n });
  t.like(vcpu.run(), { exit: { kind: 'ioOut', port: 0x80 } });
});

test('a reset by Hyper-V is a system event', (t) => {
  const vcpu = hypervGuest(t, writeMsr(Msr.HV_RESET, 0, 1));
  if (vcpu === undefined) return;
  // KVM_SYSTEM_EVENT_RESET of <linux/kvm.h>.
  t.like(exitOf(vcpu.run(), 'systemEvent'), { type: 2, data: [] });
});

test('a crash that a guest of Hyper-V tells is a system event', (t) => {
  const vcpu = hypervGuest(t, writeMsr(Msr.HV_CRASH_CTL, 0x8000_0000, 0));
  if (vcpu === undefined) return;
  // KVM_SYSTEM_EVENT_CRASH of <linux/kvm.h>.
  t.like(exitOf(vcpu.run(), 'systemEvent'), { type: 3, data: [] });
});
