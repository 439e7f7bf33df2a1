/** Exits that not every host makes: those of the task priority and of Hyper-V. Where one cannot, it says so. */
import test, { type ExecutionContext } from 'ava';

import { Cap, CpuidTable, Msr, type Vcpu } from '../../index.ts';
import { realModeGuest, type Guest } from '../helpers/guests.ts';
import { boot, exitOf, openKvm } from '../helpers/machine.ts';

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
