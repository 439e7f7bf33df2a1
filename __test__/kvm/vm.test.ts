import test from 'ava';

import { Cap, KvmError } from '../../index.ts';
import { realModeGuest } from '../helpers/guests.ts';
import { boot, exitOf, makeEvent, makeVm, openKvm } from '../helpers/machine.ts';

const EINVAL = 22;
const EEXIST = 17;
const ENOENT = 2;
const ENXIO = 6;

/** mov dx, 0x500; mov al, 0x2a; out dx, al; out dx, ax; hlt (ah is 0) */
const TWO_WRITES = realModeGuest(0xba, 0x00, 0x05, 0xb0, 0x2a, 0xee, 0xef, 0xf4);

/** mov byte ptr [0x9000], 7; hlt */
const MMIO_BYTE = realModeGuest(0xc6, 0x06, 0x00, 0x90, 0x07, 0xf4);

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

test('the interrupt controllers are made once, and needed for the rest', (t) => {
  const vm = makeVm(t);
  t.is(t.throws<KvmError>(() => vm.setIrqLine(4, true), { code: 'ERR_KVM_IOCTL' })?.errno, ENXIO);
  t.is(t.throws<KvmError>(() => vm.getIrqchip(0), { code: 'ERR_KVM_IOCTL' })?.errno, ENXIO);
  vm.createIrqChip();
  const again = t.throws<KvmError>(() => vm.createIrqChip(), { code: 'ERR_KVM_IOCTL' });
  t.is(again?.errno, EEXIST);
  t.is(again?.syscall, 'KVM_CREATE_IRQCHIP');
});

for (const chip of [0, 1, 2] as const) {
  test(`interrupt controller ${chip} gives its state and takes it back`, (t) => {
    const vm = makeVm(t);
    vm.createIrqChip();
    const state = vm.getIrqchip(chip);
    vm.setIrqchip(chip, state);
    t.deepEqual(vm.getIrqchip(chip), state);
    t.throws(() => vm.setIrqchip(chip, state.subarray(1)), { code: 'ERR_KVM_STATE' });
    t.throws(() => vm.getIrqchip(3 as never), { code: 'ERR_INVALID_ARG_VALUE' });
  });
}

test('an interrupt line raises a request in the first PIC', (t) => {
  const vm = makeVm(t);
  vm.createIrqChip();
  // struct kvm_irqchip: chip id and padding, then struct kvm_pic_state: last_irr, irr, …
  const LAST_IRR = 8;
  vm.setIrqLine(5, true);
  t.is(vm.getIrqchip(0)[LAST_IRR]! & (1 << 5), 1 << 5);
  vm.setIrqLine(5, false);
  t.is(vm.getIrqchip(0)[LAST_IRR]! & (1 << 5), 0);
});

test('the timer gives its state and takes a part of it', (t) => {
  const vm = makeVm(t);
  vm.createIrqChip();
  vm.createPit2({ speakerDummy: true });
  const before = vm.getPit2();
  t.is(before.channels.length, 3);
  vm.setPit2({ channels: [{}, {}, { count: 0x1234, mode: 3 }] });
  const after = vm.getPit2();
  t.is(after.channels[2]!.count, 0x1234);
  t.is(after.channels[2]!.mode, 3);
  t.is(after.channels[1]!.count, before.channels[1]!.count);
  t.throws(() => vm.createPit2(), { code: 'ERR_KVM_IOCTL' });
});

test('the timer needs interrupt controllers', (t) => {
  t.is(t.throws<KvmError>(() => makeVm(t).createPit2(), { code: 'ERR_KVM_IOCTL' })?.errno, ENOENT);
});

test('the clock can be set, and runs', (t) => {
  const vm = makeVm(t);
  const HOUR_NS = 3_600_000_000_000n;
  vm.setClock({ clock: 100n * HOUR_NS });
  const first = vm.getClock().clock;
  const second = vm.getClock().clock;
  t.true(first >= 100n * HOUR_NS && first < 101n * HOUR_NS);
  t.true(second >= first);
});

test('addresses for Intel hosts are taken', (t) => {
  const vm = makeVm(t);
  vm.setIdentityMapAddress(0xfeff_c000);
  vm.setTssAddress(0xfeff_d000);
  t.throws(() => vm.setTssAddress(-1), { code: 'ERR_OUT_OF_RANGE' });
});

test('an ioeventfd takes writes of any size without an exit', (t) => {
  const { vm, vcpu } = boot(t, TWO_WRITES);
  const event = makeEvent(t);
  vm.registerIoevent(event, { port: 0x500 });
  exitOf(vcpu.run(), 'hlt');
  t.is(event.read(), 2n);
  t.is(vcpu.stats.exits, 1);
});

test('an ioeventfd with a length takes only writes of that length', (t) => {
  const { vm, vcpu } = boot(t, TWO_WRITES);
  const event = makeEvent(t);
  vm.registerIoevent(event, { port: 0x500 }, { length: 1 });
  const sizes: number[] = [];
  exitOf(vcpu.run({ ioOut: (exit) => void sizes.push(exit.size) }), 'hlt');
  t.deepEqual(sizes, [2]);
  t.is(event.read(), 1n);
});

test('an ioeventfd with a value takes only that value', (t) => {
  const { vm, vcpu } = boot(t, TWO_WRITES);
  const matching = makeEvent(t);
  const other = makeEvent(t);
  vm.registerIoevent(matching, { port: 0x500 }, { length: 1, datamatch: 0x2a });
  vm.registerIoevent(other, { port: 0x500 }, { length: 2, datamatch: 0x2bn });
  const values: number[] = [];
  exitOf(vcpu.run({ ioOut: (exit) => void values.push(exit.value) }), 'hlt');
  t.deepEqual(values, [0x2a]);
  t.is(matching.read(), 1n);
  t.is(other.read(), undefined);
});

test('an ioeventfd takes memory writes', (t) => {
  const { vm, vcpu } = boot(t, MMIO_BYTE);
  const event = makeEvent(t);
  vm.registerIoevent(event, { address: 0x9000 });
  exitOf(vcpu.run(), 'hlt');
  t.is(event.read(), 1n);
});

test('an ioeventfd that is unregistered takes nothing', (t) => {
  const { vm, vcpu } = boot(t, MMIO_BYTE);
  const event = makeEvent(t);
  vm.registerIoevent(event, { address: 0x9000 }, { length: 1, datamatch: 7 });
  const twice = t.throws<KvmError>(
    () => vm.registerIoevent(event, { address: 0x9000 }, { length: 1, datamatch: 7 }),
    { code: 'ERR_KVM_IOCTL' },
  );
  t.is(twice?.errno, EEXIST);
  t.is(twice?.syscall, 'KVM_IOEVENTFD');
  vm.unregisterIoevent(event, { address: 0x9000 }, { length: 1, datamatch: 7 });
  const gone = t.throws<KvmError>(() => vm.unregisterIoevent(event, { address: 0x9000 }), {
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

test('an irqfd wakes the guest; unregistered, it does not', (t) => {
  const event = makeEvent(t);
  const { vm, vcpu } = boot(t, 'device-interrupt', { prepare: (machine) => machine.createIrqChip() });
  vm.registerIrqfd(event, 5);
  const data = [...Buffer.from('ok'), 0];
  const printed: number[] = [];
  const end = vcpu.run({
    ioOut: (exit) => {
      if (exit.port === 0x500) event.write();
      else if (exit.port === 0xf4) exit.stop();
      else printed.push(exit.value);
    },
    ioIn: () => {
      const next = data.shift()!;
      if (next !== 0) event.write();
      return next;
    },
  });
  t.is(end.reason, 'stopped');
  t.is(String.fromCharCode(...printed), 'ok');
  vm.unregisterIrqfd(event, 5);
  vm.registerIrqfd(event, 5);
});

test('an irqfd needs interrupt controllers, and is registered once', (t) => {
  const vm = makeVm(t);
  const event = makeEvent(t);
  t.is(t.throws<KvmError>(() => vm.registerIrqfd(event, 5), { code: 'ERR_KVM_IOCTL' })?.errno, EINVAL);
  vm.createIrqChip();
  vm.registerIrqfd(event, 5);
  const twice = t.throws<KvmError>(() => vm.registerIrqfd(event, 6), { code: 'ERR_KVM_IOCTL' });
  t.is(twice?.syscall, 'KVM_IRQFD');
  const resample = makeEvent(t);
  vm.unregisterIrqfd(event, 5);
  vm.registerIrqfd(event, 5, resample);
});

test('an interrupt message reaches a local APIC that is on, and no other', (t) => {
  const vm = makeVm(t);
  t.throws(() => vm.signalMsi({ addressLow: 0xfee0_0000, data: 0x30 }), { code: 'ERR_KVM_IOCTL' });
  vm.createIrqChip();
  vm.createVcpu();
  t.is(typeof vm.signalMsi({ addressLow: 0xfee0_0000, data: 0x30 }), 'boolean');
  t.throws(() => vm.signalMsi({ data: 0x30 } as never), { code: 'ERR_INVALID_ARG_TYPE' });
});

test('the dirty log has one bit a page and is cleared by reading', (t) => {
  const { vm, vcpu } = boot(t, 'dirty-one-page');
  const [region] = vm.memory.regions;
  const error = t.throws<KvmError>(() => vm.getDirtyLog(region!.slot), { code: 'ERR_KVM_IOCTL' });
  t.is(error?.errno, ENOENT);
  exitOf(vcpu.run(), 'hlt');

  const logged = makeVm(t);
  const { slot } = logged.memory.map({ guestAddress: 0, size: 0x8000, logDirtyPages: true });
  logged.memory.write(0x1000, vm.memory.read(0x1000, 16));
  const second = logged.createVcpu();
  second.setSregs({ cs: { base: 0n, selector: 0 } });
  second.setRegs({ rip: 0x1000, rflags: 2 });
  logged.getDirtyLog(slot);
  exitOf(second.run(), 'hlt');
  t.deepEqual([...logged.getDirtyLog(slot)], [1n << 5n]);
  t.deepEqual([...logged.getDirtyLog(slot)], [0n]);
});

test('a closed machine refuses everything, and says that it is closed', (t) => {
  const vm = makeVm(t);
  const vcpu = vm.createVcpu();
  const region = vm.memory.map({ guestAddress: 0, size: 0x1000 });
  vm.close();
  vm.close();
  t.true(vm.closed);
  t.true(vcpu.closed);
  t.true(region.closed);
  t.deepEqual(vm.memory.regions, []);
  const refused: (() => unknown)[] = [
    () => vm.createVcpu(),
    () => vm.createIrqChip(),
    () => vm.createPit2(),
    () => vm.setIrqLine(1, true),
    () => vm.getClock(),
    () => vm.setClock({ clock: 1n }),
    () => vm.checkExtension(Cap.Irqchip),
    () => vm.enableCap(Cap.X86UserSpaceMsr),
    () => vm.getDirtyLog(0),
    () => vm.memory.map({ guestAddress: 0, size: 0x1000 }),
    () => vm.memory.read(0, 1),
    () => vm.memory.write(0, new Uint8Array(1)),
    () => vm.memory.find('x'),
    () => vm.memory.view(0, 1),
    () => region.dirtyPages(),
    () => vm.io.attach({ base: 0, length: 1 }, {}),
    () => vcpu.getRegs(),
    () => vcpu.setRegs({ rax: 1 }),
    () => vcpu.regs.rax,
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
