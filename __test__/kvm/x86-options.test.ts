import { existsSync } from 'node:fs';

import test, { type ExecutionContext } from 'ava';

import { Cap, type KvmError, type Vm, type X86Options } from '../../index.ts';
import { enter, findGuest, realModeGuest } from '../helpers/guests.ts';
import { boot, exitOf, makeVm } from '../helpers/machine.ts';

const x64 = process.arch === 'x64' ? test : test.skip;

/** Sets options of one capability; where the host lacks it, tests that it says so, aloud. */
function configured(
  t: ExecutionContext,
  vm: Vm,
  options: X86Options,
  cap: keyof typeof Cap,
  name: string,
): boolean {
  if (vm.checkExtension(Cap[cap])) {
    vm.configureX86(options);
    return true;
  }
  const error = t.throws<KvmError>(() => vm.configureX86(options), { code: 'ERR_KVM_UNSUPPORTED' });
  t.regex(error.message, new RegExp(`\\b${name}\\b`));
  t.regex(error.message, /kvm_(?:intel|amd|pvm)/);
  t.log(`skipped: this KVM lacks ${name}`);
  return false;
}

/** LINT0 of the local APIC: delivery mode in bits 8 to 10, bit 16 masks it. */
const lint0 = (vm: Vm): number => new DataView(vm.createVcpu().getLapic().buffer).getUint32(0x350, true);

x64('without the quirk LINT0 is masked after a reset, as in hardware', (t) => {
  const old = makeVm(t);
  old.createIrqChip();
  t.is(lint0(old), 0x700);
  const vm = makeVm(t);
  vm.createIrqChip();
  if (!configured(t, vm, { disableQuirks: ['lint0Reenabled'] }, 'DisableQuirks2', 'KVM_CAP_DISABLE_QUIRKS2'))
    return;
  t.is(lint0(vm), 0x1_0000);
});

x64('a quirk that the host does not know is refused by its name, and none is switched off', (t) => {
  const vm = makeVm(t);
  const known = vm.checkExtensionInt(Cap.DisableQuirks2);
  if (known === 0 || known & (1 << 9)) return t.pass('this host knows them all, or none');
  vm.createIrqChip();
  const error = t.throws(() => vm.configureX86({ disableQuirks: ['lint0Reenabled', 'ignoreGuestPat'] }), {
    code: 'ERR_KVM_UNSUPPORTED',
  });
  t.regex(error.message, /'ignoreGuestPat'/);
  return t.is(lint0(vm), 0x700);
});

x64('ids of vCPUs stay below the limit', (t) => {
  const vm = makeVm(t);
  if (!configured(t, vm, { maxVcpuId: 4 }, 'MaxVcpuId', 'KVM_CAP_MAX_VCPU_ID')) return;
  t.is(vm.createVcpu(3).id, 3);
  t.throws(() => vm.createVcpu(4), { code: 'ERR_KVM_TOO_MANY_VCPUS' });
  // The same again is nothing new; another limit is too late.
  vm.configureX86({ maxVcpuId: 4 });
  const error = t.throws<KvmError>(() => vm.configureX86({ maxVcpuId: 8 }), { code: 'ERR_KVM_IOCTL' });
  t.is(error?.errno, 22);
  t.regex(error.message, /options\.maxVcpuId: it is set once/);
});

x64('a failure to emulate in a user program is an exit where it is wanted', (t) => {
  const guest = { ...findGuest('emulation-failure'), mode: 'protected32' as const };
  // fst dword ptr [0x10000]: not in the emulator, and the address is a device's; hlt
  guest.bytes = Uint8Array.of(0xd9, 0x15, 0x00, 0x00, 0x01, 0x00, 0xf4);
  const run = (wanted: boolean) => {
    const { vm, vcpu } = boot(t, guest);
    if (wanted) vm.configureX86({ exitOnEmulationFailure: true });
    // A user program's segments, and no vectors: an exception ends in a triple fault.
    const { cs, ss } = vcpu.getSregs();
    vcpu.setSregs({
      cs: { ...cs, dpl: 3, selector: 0x1b },
      ss: { ...ss, dpl: 3, selector: 0x23 },
      idt: { base: 0n, limit: 0 },
    });
    return vcpu.run();
  };
  const probe = makeVm(t);
  if (
    !configured(
      t,
      probe,
      { exitOnEmulationFailure: true },
      'ExitOnEmulationFailure',
      'KVM_CAP_EXIT_ON_EMULATION_FAILURE',
    )
  )
    return;
  exitOf(run(false), 'shutdown');
  const end = run(true);
  if (existsSync('/sys/module/kvm_pvm') && 'exit' in end && end.exit.kind === 'shutdown') {
    t.log('skipped: KVM-PVM emulates user programs in its own way, and gives them the exception');
    t.pass();
    return;
  }
  const exit = exitOf(end, 'internalError');
  t.is(exit.suberror, 1);
  t.deepEqual([...exit.instruction!.subarray(0, 6)], [0xd9, 0x15, 0x00, 0x00, 0x01, 0x00]);
});

x64('a triple fault that waits is part of the events where it is wanted', (t) => {
  const KVM_VCPUEVENT_VALID_TRIPLE_FAULT = 0x20;
  const plain = boot(t, 'spin').vcpu;
  t.is(plain.getVcpuEvents().flags & KVM_VCPUEVENT_VALID_TRIPLE_FAULT, 0);
  const { vm, vcpu } = boot(t, 'spin');
  if (!configured(t, vm, { tripleFaultEvent: true }, 'X86TripleFaultEvent', 'KVM_CAP_X86_TRIPLE_FAULT_EVENT'))
    return;
  t.not(vcpu.getVcpuEvents().flags & KVM_VCPUEVENT_VALID_TRIPLE_FAULT, 0);
  vcpu.setVcpuEvents({ tripleFault: { pending: 1 } });
  exitOf(vcpu.run(), 'shutdown');
});

x64('exits that are switched off come before vCPUs, and from the list of the host', (t) => {
  const vm = makeVm(t);
  const can = vm.checkExtensionInt(Cap.X86DisableExits);
  if (!configured(t, vm, { disableExits: [] }, 'X86DisableExits', 'KVM_CAP_X86_DISABLE_EXITS')) return;
  for (const [bit, name] of [
    [1, 'mwait'],
    [2, 'hlt'],
    [4, 'pause'],
    [8, 'cstate'],
    [16, 'aperfmperf'],
  ] as const) {
    if (can & bit) vm.configureX86({ disableExits: [name] });
    else {
      const error = t.throws(() => vm.configureX86({ disableExits: [name] }), {
        code: 'ERR_KVM_UNSUPPORTED',
      });
      t.regex(error.message, new RegExp(`KVM_CAP_X86_DISABLE_EXITS lacks .*'${name}'`));
    }
  }
});

x64('what comes before vCPUs is refused after them, by its name, and nothing else is set', (t) => {
  const vm = makeVm(t);
  if (!vm.checkExtension(Cap.X86ApicBusCyclesNs)) {
    configured(t, vm, { apicBusCyclesNs: 10 }, 'X86ApicBusCyclesNs', 'KVM_CAP_X86_APIC_BUS_CYCLES_NS');
    return;
  }
  // KVM wants the controllers first.
  const early = t.throws<KvmError>(() => vm.configureX86({ apicBusCyclesNs: 10 }), { code: 'ERR_KVM_IOCTL' });
  t.regex(early.message, /options\.apicBusCyclesNs: it is set after createIrqChip\(\)/);
  vm.createIrqChip();
  vm.configureX86({ apicBusCyclesNs: 10 });
  vm.createVcpu();
  const late = t.throws<KvmError>(() => vm.configureX86({ maxVcpuId: 2, apicBusCyclesNs: 20 }), {
    code: 'ERR_KVM_IOCTL',
  });
  t.is(late?.errno, 22);
  t.is(late?.syscall, 'KVM_ENABLE_CAP');
  t.is(vm.createVcpu(2).id, 2);
});

x64('options that this host lacks are refused by the names of their capabilities', (t) => {
  const each: readonly [X86Options, keyof typeof Cap, string][] = [
    [{ busLockExit: true }, 'X86BusLockExit', 'KVM_CAP_X86_BUS_LOCK_EXIT'],
    [{ notifyExit: { window: 0 } }, 'X86NotifyVmexit', 'KVM_CAP_X86_NOTIFY_VMEXIT'],
    [{ disablePmu: true }, 'PmuCapability', 'KVM_CAP_PMU_CAPABILITY'],
    [{ x2apic: { use32BitIds: true, disableBroadcastQuirk: true } }, 'X2ApicApi', 'KVM_CAP_X2APIC_API'],
  ];
  for (const [options, cap, name] of each) configured(t, makeVm(t), options, cap, name);
  t.pass();
});

x64('one option that the host lacks, and nothing is set', (t) => {
  const vm = makeVm(t);
  if (vm.checkExtension(Cap.X86BusLockExit)) return t.pass('this host has it');
  vm.createIrqChip();
  t.throws(() => vm.configureX86({ busLockExit: true, disableQuirks: ['lint0Reenabled'], maxVcpuId: 1 }), {
    code: 'ERR_KVM_UNSUPPORTED',
  });
  t.is(lint0(vm), 0x700);
  return t.is(vm.createVcpu(1).id, 1);
});

x64('large pages that may be executed need a privilege', (t) => {
  const vm = makeVm(t);
  if (!vm.checkExtension(Cap.VmDisableNxHugePages)) {
    configured(
      t,
      vm,
      { disableNxHugePages: true },
      'VmDisableNxHugePages',
      'KVM_CAP_VM_DISABLE_NX_HUGE_PAGES',
    );
    return;
  }
  try {
    vm.configureX86({ disableNxHugePages: true });
    t.pass();
  } catch (error) {
    t.like(error, { code: 'ERR_KVM_IOCTL', errno: 1 });
    t.regex((error as Error).message, /CAP_SYS_BOOT/);
  }
  vm.createVcpu();
  t.throws(() => vm.configureX86({ disableNxHugePages: true }), { code: 'ERR_KVM_IOCTL' });
});

x64('wrong options are refused before anything is asked', (t) => {
  const vm = makeVm(t);
  const wrong: readonly [unknown, string][] = [
    [[], 'ERR_INVALID_ARG_TYPE'],
    [{ quirks: [] }, 'ERR_INVALID_ARG_VALUE'],
    [{ disableQuirks: ['lint0'] }, 'ERR_INVALID_ARG_VALUE'],
    [{ disableQuirks: 'lint0Reenabled' }, 'ERR_INVALID_ARG_TYPE'],
    [{ disableExits: ['halt'] }, 'ERR_INVALID_ARG_VALUE'],
    [{ maxVcpuId: 0 }, 'ERR_OUT_OF_RANGE'],
    [{ apicBusCyclesNs: 1.5 }, 'ERR_OUT_OF_RANGE'],
    [{ notifyExit: {} }, 'ERR_INVALID_ARG_TYPE'],
    [{ notifyExit: { window: 2 ** 32 } }, 'ERR_OUT_OF_RANGE'],
    [{ busLockExit: 1 }, 'ERR_INVALID_ARG_TYPE'],
    [{ disablePmu: false }, 'ERR_INVALID_ARG_VALUE'],
    [{ x2apic: { ids: true } }, 'ERR_INVALID_ARG_VALUE'],
  ];
  for (const [options, code] of wrong) {
    t.throws(() => vm.configureX86(options as X86Options), { code }, JSON.stringify(options));
  }
  vm.close();
  t.throws(() => vm.configureX86({}), { code: 'ERR_KVM_CLOSED' });
});

x64('features that CPUID does not offer can be refused', (t) => {
  const MSR_KVM_SYSTEM_TIME_NEW = 0x4b56_4d01;
  const { vm, vcpu } = boot(t, 'spin');
  if (!vm.checkExtension(Cap.EnforcePvFeatureCpuid)) {
    t.log('skipped: this KVM lacks KVM_CAP_ENFORCE_PV_FEATURE_CPUID');
    return t.throws(() => vcpu.enforcePvFeatureCpuid(), { code: 'ERR_KVM_UNSUPPORTED' });
  }
  // mov ecx, 0x4b564d01; mov eax, 0x2001; xor edx, edx; wrmsr; hlt
  const guest = realModeGuest(
    [0x66, 0xb9, 0x01, 0x4d, 0x56, 0x4b],
    [0x66, 0xb8, 0x01, 0x20, 0x00, 0x00],
    [0x66, 0x31, 0xd2, 0x0f, 0x30, 0xf4],
  );
  vm.memory.write(guest.loadAddress, guest.bytes);
  enter(vcpu, guest);
  exitOf(vcpu.run(), 'hlt');
  t.is(vcpu.getMsrs([MSR_KVM_SYSTEM_TIME_NEW])[0]!.data, 0x2001n);
  vcpu.enforcePvFeatureCpuid();
  enter(vcpu, guest);
  vcpu.setSregs({ idt: { base: 0n, limit: 0 } });
  // #GP without a vector for it.
  return exitOf(vcpu.run(), 'shutdown');
});

test('the other architecture has none of it', (t) => {
  const vm = makeVm(t);
  if (process.arch === 'x64') return t.pass();
  return t.throws(() => vm.configureX86({}), { code: 'ERR_KVM_UNSUPPORTED' });
});
