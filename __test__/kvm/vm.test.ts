import test from 'ava';

import { Cap, KvmError } from '../../index.ts';
import { OUTPUT, boot, ended, enter, getRegister, load, setRegisters } from '../helpers/common-guests.ts';
import { exitOf, makeEvent, makeVm, openKvm } from '../helpers/machine.ts';
import { PAGE } from '../helpers/page.ts';

const EEXIST = 17;
const ENOENT = 2;

test('vCPUs get the next id, or the one asked for', (t) => {
  const vm = makeVm(t);
  t.is(vm.createVcpu().id, 0);
  t.is(vm.createVcpu().id, 1);
  t.is(vm.createVcpu(7).id, 7);
  t.is(vm.createVcpu().id, 2, 'the lowest free id, not one past the highest');
  t.deepEqual(
    vm.vcpus.map((vcpu) => vcpu.id),
    [0, 1, 7, 2],
  );
  t.is(vm.vcpus[0]!.vm, vm);
});

test('an id that is taken is EEXIST', (t) => {
  const vm = makeVm(t);
  vm.createVcpu(3);
  const error = t.throws<KvmError>(() => vm.createVcpu(3), { instanceOf: KvmError, code: 'ERR_KVM_IOCTL' });
  t.is(error?.errno, EEXIST);
  t.is(error?.syscall, 'KVM_CREATE_VCPU');
});

test('an id beyond the host limit is ERR_KVM_TOO_MANY_VCPUS', (t) => {
  const kvm = openKvm(t);
  using vm = kvm.createVm();
  t.throws(() => vm.createVcpu(kvm.getMaxVcpuId()), { code: 'ERR_KVM_TOO_MANY_VCPUS' });
  t.throws(() => vm.createVcpu(-1), { code: 'ERR_OUT_OF_RANGE' });
});

test('capabilities of the machine are asked of the machine', (t) => {
  const vm = makeVm(t);
  t.true(vm.checkExtension(Cap.Irqchip));
  t.true(vm.checkExtensionInt(Cap.NrMemslots) >= 32);
});

test('a capability that cannot be enabled is ERR_KVM_UNSUPPORTED', (t) => {
  const vm = makeVm(t);
  t.throws(() => vm.enableCap(0xffff_ffff), {
    instanceOf: KvmError,
    code: 'ERR_KVM_UNSUPPORTED',
    message: /this host's KVM \(\w+\) lacks capability 4294967295/,
  });
  t.throws(() => vm.enableCap(Cap.S390UserSigp), { message: /lacks KVM_CAP_S390_USER_SIGP/ });
  t.throws(() => vm.enableCap(Cap.X86UserSpaceMsr, [1, 2, 3, 4, 5]), { code: 'ERR_OUT_OF_RANGE' });
  t.throws(() => vm.enableCap(Cap.X86UserSpaceMsr, ['1' as never]), { code: 'ERR_INVALID_ARG_TYPE' });
});

test('an ioeventfd takes writes of any size without an exit', (t) => {
  const { vm, vcpu } = boot(t, 'mmio-widths');
  const event = makeEvent(t);
  vm.registerIoevent(event, { address: OUTPUT });
  ended(vcpu.run());
  t.is(event.read(), 3n);
  t.is(vcpu.stats.exits, 1);
});

test('an ioeventfd with a length takes only writes of that length', (t) => {
  const { vm, vcpu } = boot(t, 'mmio-widths');
  const event = makeEvent(t);
  vm.registerIoevent(event, { address: OUTPUT }, { length: 2 });
  const sizes: number[] = [];
  ended(vcpu.run({ mmioWrite: (exit) => void sizes.push(exit.size) }));
  t.deepEqual(sizes, [1, 4]);
  t.is(event.read(), 1n);
});

test('an ioeventfd with a value takes only that value', (t) => {
  const { vm, vcpu } = boot(t, 'mmio-storm', { regs: { value: 1 } });
  const matching = makeEvent(t);
  const other = makeEvent(t);
  vm.registerIoevent(matching, { address: OUTPUT }, { length: 4, datamatch: 2 });
  vm.registerIoevent(other, { address: OUTPUT }, { length: 2, datamatch: 3n });
  const values: number[] = [];
  const end = vcpu.run({
    mmioWrite: (exit) => {
      values.push(exit.value);
      if (exit.value === 4) exit.stop();
    },
  });
  t.is(end.reason, 'stopped');
  t.deepEqual(values, [1, 3, 4]);
  t.is(matching.read(), 1n);
  t.is(other.read(), undefined);
});

test('an ioeventfd that is unregistered takes nothing', (t) => {
  const { vm, vcpu } = boot(t, 'mmio-widths', { regs: { value: 7 } });
  const event = makeEvent(t);
  vm.registerIoevent(event, { address: OUTPUT }, { length: 1, datamatch: 7 });
  const twice = t.throws<KvmError>(
    () => vm.registerIoevent(event, { address: OUTPUT }, { length: 1, datamatch: 7 }),
    { code: 'ERR_KVM_IOCTL' },
  );
  t.is(twice?.errno, EEXIST);
  t.is(twice?.syscall, 'KVM_IOEVENTFD');
  vm.unregisterIoevent(event, { address: OUTPUT }, { length: 1, datamatch: 7 });
  const gone = t.throws<KvmError>(() => vm.unregisterIoevent(event, { address: OUTPUT }), {
    code: 'ERR_KVM_IOCTL',
  });
  t.is(gone?.errno, ENOENT);
  exitOf(vcpu.run(), 'mmioWrite');
  t.is(event.read(), undefined);
});

test('an ioeventfd needs a place, and a length for a value', (t) => {
  const vm = makeVm(t);
  const event = makeEvent(t);
  t.throws(() => vm.registerIoevent(event, {} as never), { code: 'ERR_INVALID_ARG_VALUE' });
  t.throws(() => vm.registerIoevent(event, { port: 1, address: 1 }), { code: 'ERR_INVALID_ARG_VALUE' });
  t.throws(() => vm.registerIoevent(event, { port: 0x1_0000 }), { code: 'ERR_OUT_OF_RANGE' });
  t.throws(() => vm.registerIoevent(event, { port: 1 }, { datamatch: 1 }), { code: 'ERR_INVALID_ARG_VALUE' });
  t.throws(() => vm.registerIoevent(event, { port: 1 }, { length: 3 as never }), {
    code: 'ERR_INVALID_ARG_VALUE',
  });
  t.throws(() => vm.registerIoevent({} as never, { port: 1 }), { code: 'ERR_INVALID_ARG_TYPE' });
  event.close();
  t.throws(() => vm.registerIoevent(event, { port: 1 }), { code: 'ERR_KVM_CLOSED' });
});

test('the dirty log has one bit a page and is cleared by reading', (t) => {
  const regs = { own: 5 * PAGE };
  const { vm, vcpu } = boot(t, 'dirty-one-page', { regs, ramSize: 8 * PAGE });
  const [region] = vm.memory.regions;
  const error = t.throws<KvmError>(() => vm.getDirtyLog(region!.slot), { code: 'ERR_KVM_IOCTL' });
  t.is(error?.errno, ENOENT);
  ended(vcpu.run());

  const logged = makeVm(t);
  const { slot } = logged.memory.map({ guestAddress: 0, size: 8 * PAGE, logDirtyPages: true });
  load(logged, 'dirty-one-page');
  const second = logged.createVcpu();
  enter(second, 'dirty-one-page', regs);
  logged.getDirtyLog(slot);
  ended(second.run());
  t.deepEqual([...logged.getDirtyLog(slot)], [1n << 5n]);
  t.deepEqual([...logged.getDirtyLog(slot)], [0n]);
});

test('a closed machine refuses everything, and says that it is closed', (t) => {
  const vm = makeVm(t);
  const vcpu = vm.createVcpu();
  const region = vm.memory.map({ guestAddress: 0, size: PAGE });
  vm.close();
  vm.close();
  t.true(vm.closed);
  t.true(vcpu.closed);
  t.true(region.closed);
  t.deepEqual(vm.memory.regions, []);
  const refused: (() => unknown)[] = [
    () => vm.createVcpu(),
    () => vm.setIrqLine(1, true),
    () => vm.checkExtension(Cap.Irqchip),
    () => vm.enableCap(Cap.X86UserSpaceMsr),
    () => vm.getDirtyLog(0),
    () => vm.memory.map({ guestAddress: 0, size: PAGE }),
    () => vm.memory.read(0, 1),
    () => vm.memory.write(0, new Uint8Array(1)),
    () => vm.memory.find('x'),
    () => vm.memory.view(0, 1),
    () => region.dirtyPages(),
    () => vm.io.attach({ base: 0, length: 1 }, {}),
    () => getRegister(vcpu, 'value'),
    () => setRegisters(vcpu, { value: 1 }),
    () => vcpu.run(),
    () => vcpu.step(),
    () => vcpu.complete(),
    () => vcpu.transfer(),
  ];
  for (const call of refused) t.throws(call, { instanceOf: KvmError, code: 'ERR_KVM_CLOSED' }, String(call));
  t.notThrows(() => region.unmap());
  t.is(vcpu.stats.exits, 0);
});

test('nobody but a machine makes a vCPU', (t) => {
  const { constructor } = makeVm(t).createVcpu();
  t.throws(() => Reflect.construct(constructor, []), { instanceOf: TypeError });
});
