import { existsSync } from 'node:fs';

import test from 'ava';

import { Cap, type EventFd, type KvmError } from '../../index.ts';
import { realModeGuest } from '../helpers/guests.ts';
import { boot, exitOf, makeEvent, makeVm, openKvm } from '../helpers/machine.ts';

const onPvm = existsSync('/sys/module/kvm_pvm');
const x64 = process.arch === 'x64' ? test : test.skip;

test('memory is populated before the guest touches it, or the host says that it cannot', (t) => {
  const { vm, vcpu } = boot(t, 'spin');
  if (!vm.checkExtension(Cap.PreFaultMemory)) {
    t.log('skipped: this KVM lacks KVM_CAP_PRE_FAULT_MEMORY');
    const error = t.throws(() => vcpu.preFaultMemory({ address: 0, size: 0x8000 }), {
      code: 'ERR_KVM_UNSUPPORTED',
    });
    t.regex(error.message, /KVM_CAP_PRE_FAULT_MEMORY/);
    return;
  }
  vcpu.preFaultMemory({ address: 0, size: 0x8000 });
  const error = t.throws<KvmError>(() => vcpu.preFaultMemory({ address: 2 ** 40, size: 4096 }), {
    code: 'ERR_KVM_IOCTL',
  });
  t.is(error?.errno, 2);
});

test('what is to be populated is whole pages', (t) => {
  const { vcpu } = boot(t, 'spin');
  t.throws(() => vcpu.preFaultMemory({ address: 1, size: 4096 }), { code: 'ERR_INVALID_ARG_VALUE' });
  t.throws(() => vcpu.preFaultMemory({ address: 0, size: 4095 }), { code: 'ERR_INVALID_ARG_VALUE' });
  t.throws(() => vcpu.preFaultMemory({ address: 0, size: 0 }), { code: 'ERR_OUT_OF_RANGE' });
  t.throws(() => vcpu.preFaultMemory({ address: 2 ** 52 - 4096, size: 8192 }), { code: 'ERR_OUT_OF_RANGE' });
  t.throws(() => vcpu.preFaultMemory({ address: 0 } as never), { code: 'ERR_INVALID_ARG_TYPE' });
  vcpu.close();
  t.throws(() => vcpu.preFaultMemory({ address: 0, size: 4096 }), { code: 'ERR_KVM_CLOSED' });
});

/** rdtsc; mov [0x2000], eax; mov [0x2004], edx; hlt */
const CLOCK = realModeGuest([0x0f, 0x31, 0x66, 0xa3, 0x00, 0x20], [0x66, 0x89, 0x16, 0x04, 0x20, 0xf4]);

x64('the offset of the counter is read and set, and the guest sees it', (t) => {
  const { vm, vcpu } = boot(t, CLOCK);
  if (!vm.checkExtension(Cap.VcpuAttributes)) {
    t.log('skipped: this KVM lacks KVM_CAP_VCPU_ATTRIBUTES');
    t.throws(() => vcpu.getTscOffset(), { code: 'ERR_KVM_UNSUPPORTED' });
    t.throws(() => vcpu.setTscOffset(0n), { code: 'ERR_KVM_UNSUPPORTED' });
    return;
  }
  const offset = vcpu.getTscOffset();
  vcpu.setTscOffset(offset);
  t.is(vcpu.getTscOffset(), offset);
  const before = vcpu.getMsrs([0x10])[0]!.data;
  if (onPvm) {
    t.log("skipped: KVM-PVM's guests have the host's counter");
    t.throws(() => vcpu.setTscOffset(offset + 2n ** 50n), { code: 'ERR_KVM_UNSUPPORTED' });
    return;
  }
  vcpu.setTscOffset(offset + 2n ** 50n);
  t.is(vcpu.getTscOffset(), offset + 2n ** 50n);
  const after = vcpu.getMsrs([0x10])[0]!.data;
  t.true(after - before >= 2n ** 50n && after - before < 2n ** 50n + 2n ** 40n);
  exitOf(vcpu.run(), 'hlt');
  t.true(vm.memory.readBigUint64(0x2000) >= 2n ** 50n);
  for (const extreme of [-(2n ** 63n), 2n ** 63n - 1n, 0, -1]) {
    vcpu.setTscOffset(extreme);
    t.is(vcpu.getTscOffset(), BigInt(extreme));
  }
});

x64('one offset makes two counters equal', (t) => {
  const { vm, vcpu } = boot(t, CLOCK);
  if (!vm.checkExtension(Cap.VcpuAttributes)) return t.pass();
  const second = vm.createVcpu();
  second.setTscOffset(vcpu.getTscOffset());
  return t.is(second.getTscOffset(), vcpu.getTscOffset());
});

x64('an offset that is none is refused', (t) => {
  const { vcpu } = boot(t, 'spin');
  t.throws(() => vcpu.setTscOffset(2n ** 63n), { code: 'ERR_OUT_OF_RANGE' });
  t.throws(() => vcpu.setTscOffset(1.5), { code: 'ERR_OUT_OF_RANGE' });
  t.throws(() => vcpu.setTscOffset('1' as never), { code: 'ERR_INVALID_ARG_TYPE' });
  vcpu.close();
  t.throws(() => vcpu.getTscOffset(), { code: 'ERR_KVM_CLOSED' });
  t.throws(() => vcpu.setTscOffset(0n), { code: 'ERR_KVM_CLOSED' });
});

x64("Hyper-V's leaves are listed, or the host says that it has none", (t) => {
  const kvm = openKvm(t);
  if (!kvm.checkExtension(Cap.SysHypervCpuid)) {
    t.log('skipped: this KVM lacks KVM_CAP_SYS_HYPERV_CPUID');
    const error = t.throws(() => kvm.getSupportedHvCpuid(), { code: 'ERR_KVM_UNSUPPORTED' });
    t.regex(error.message, /KVM_CAP_SYS_HYPERV_CPUID/);
    return;
  }
  const leaves = kvm.getSupportedHvCpuid();
  t.is(leaves[0]?.function, 0x4000_0000);
  t.true(leaves.some((leaf) => leaf.function === 0x4000_0003));
});

x64('a level-triggered interrupt goes round: raised, taken, ended, resampled, raised again', (t) => {
  const resample = makeEvent(t);
  const interrupt = makeEvent(t);
  const { vm, vcpu } = boot(t, 'level-interrupt', { prepare: (machine) => machine.createIrqChip() });
  vm.registerIrqfd(interrupt, 5, resample);
  const queue = [7, 8, 9];
  const log: string[] = [];
  let early = 0n;
  const end = vcpu.run(
    {
      ioOut: (exit) => {
        if (exit.port === 0x500) interrupt.write();
        // The interrupt is being served, and not ended.
        if (exit.port === 0x3f8) early = resample.read() ?? 0n;
        if (exit.port === 0x501) {
          log.push(`did ${exit.value}, ended ${early + (resample.read() ?? 0n)}`);
          // The device has more: the line goes up again, because somebody looks.
          if (queue.length > 0) interrupt.write();
          else exit.stop();
        }
      },
      ioIn: () => queue.shift()!,
    },
    { timeoutMs: 20_000 },
  );
  t.is(end.reason, 'stopped');
  t.deepEqual(log, ['did 7, ended 1', 'did 8, ended 1', 'did 9, ended 1']);
  // KVM-PVM ends an interrupt when it delivers it.
  if (!onPvm) t.is(early, 0n);
  // Without the irqfd nothing comes any more.
  vm.unregisterIrqfd(interrupt, 5);
  interrupt.write();
  t.is(vcpu.run({}, { timeoutMs: 50 }).reason, 'timeout');
});

x64('resampling needs a descriptor of this package, and interrupt controllers', (t) => {
  const vm = makeVm(t);
  const interrupt = makeEvent(t);
  t.throws(() => vm.registerIrqfd(interrupt, 5, {} as EventFd), { code: 'ERR_INVALID_ARG_TYPE' });
  t.throws(() => vm.registerIrqfd(interrupt, 5, makeEvent(t)), { code: 'ERR_KVM_IOCTL' });
});
