import test from 'ava';

import { ArmSystemRegister, KvmError, type EventFd } from '../../index.ts';
import { OUTPUT, armGuest, bootArm, findArmGuest, initArm, writeCode } from '../helpers/arm.ts';
import { LANES } from '../helpers/lanes.ts';
import { exitOf, makeEvent, makeVm, openKvm } from '../helpers/machine.ts';
import { until } from '../helpers/wait.ts';

const PAGE = 0x1000;

for (const backing of ['anonymous', 'memfd'] as const) {
  for (const shared of [false, true]) {
    test(`${backing} memory, ${shared ? 'shared' : 'private'}, holds a guest`, (t) => {
      const vm = makeVm(t);
      vm.memory.map({ guestAddress: 0, size: 0x8000, backing, shared });
      const { bytes, entry } = findArmGuest('dirty-one-page');
      writeCode(vm, entry, bytes);
      const vcpu = vm.createVcpu();
      initArm(vcpu, [], { pc: entry });
      exitOf(vcpu.run(), 'systemEvent');
      t.is(vm.memory.readUint8(0x5000), 0x5a);
    });
  }
}

test('a guest lives far up in the addresses', (t) => {
  const vm = makeVm(t);
  const high = 0xf0_0000_0000; // 40 bits, which is what a machine of type 0 has
  vm.memory.map({ guestAddress: high, size: 0x8000 });
  const { bytes } = findArmGuest('hypercall');
  writeCode(vm, high, bytes);
  const vcpu = vm.createVcpu();
  initArm(vcpu, [], { pc: high, x0: 0x8400_0000 });
  t.is(exitOf(vcpu.run(), 'mmioWrite').address, OUTPUT);
});

test('huge pages are asked for, and the guest runs in them', (t) => {
  const MIB2 = 2 ** 21;
  const { vm, vcpu } = bootArm(t, 'dirty-one-page');
  vm.memory.map({ guestAddress: MIB2, size: 2 * MIB2, hugePages: true });
  vm.memory.fill(MIB2, 2 * MIB2, 0x11);
  writeCode(vm, MIB2, findArmGuest('dirty-one-page').bytes);
  vcpu.armRegs.pc = BigInt(MIB2);
  exitOf(vcpu.run(), 'systemEvent');
  t.is(vm.memory.readUint8(0x5000), 0x5a);
  t.is(vm.memory.readUint8(3 * MIB2 - 1), 0x11);
});

test('a window sees what the guest writes, and is empty when its region is gone', (t) => {
  const { vm, vcpu } = bootArm(t, 'dirty-one-page', { ramSize: 0x5000 });
  const region = vm.memory.map({ guestAddress: 0x5000, size: PAGE });
  const view = vm.memory.view(0x5000, 4, { readOnly: true });
  t.is(view[0], 0);
  exitOf(vcpu.run(), 'systemEvent');
  t.is(view[0], 0x5a);
  region.unmap();
  t.is(view.length, 0);
});

test('what is unmapped is an exit again', (t) => {
  const { vm, vcpu } = bootArm(t, 'dirty-one-page', { ramSize: 0x5000 });
  const region = vm.memory.map({ guestAddress: 0x5000, size: PAGE });
  exitOf(vcpu.run(), 'systemEvent');
  region.unmap();
  initArm(vcpu, [], { pc: 0x1000 });
  const { address, size, value } = exitOf(vcpu.run(), 'mmioWrite');
  t.deepEqual([address, size, value], [0x5000, 1, 0x5a]);
});

test('memory that is mapped under a running guest is there at its next access', async (t) => {
  const { vm, vcpu } = bootArm(t, 'mmio-echo');
  let mapped = false;
  const run = vcpu.runInBackground({
    mmioRead: () => {
      vm.memory.map({ guestAddress: OUTPUT, size: PAGE });
      vm.memory.writeUint32(OUTPUT, 0x99);
      mapped = true;
      return 1;
    },
  });
  await until(() => mapped && vm.memory.readUint32(OUTPUT + 4) === 0x99);
  vcpu.kickHandle.kick();
  t.deepEqual(await run, { reason: 'kicked' });
});

for (const [name, run] of LANES) {
  test(`${name}: a write to memory that is read-only is an exit, and changes nothing`, async (t) => {
    const { vm, vcpu } = bootArm(t, 'write-read-only');
    vm.memory.map({ guestAddress: 0x9000, size: PAGE, readOnly: true });
    vm.memory.writeUint8(0x9000, 0x33);
    const writes: [number, number, number][] = [];
    const end = await run(vcpu, {
      mmioWrite: ({ address, size, value }) => void writes.push([address, size, value]),
    });
    exitOf(end, 'systemEvent');
    t.deepEqual(writes, [
      [0x9000, 1, 0x57],
      [OUTPUT, 1, 0x33],
    ]);
  });
}

test('the guest makes pages dirty where they are logged', (t) => {
  const { vm, vcpu } = bootArm(t, 'dirty-one-page', { ramSize: 0x4000 });
  const region = vm.memory.map({ guestAddress: 0x4000, size: 0x4000, logDirtyPages: true });
  t.deepEqual(region.dirtyPages(), []);
  exitOf(vcpu.run(), 'systemEvent');
  t.deepEqual(region.dirtyPages({ reset: false }), [1]);
  t.deepEqual(region.dirtyPages(), [1]);
  t.deepEqual(region.dirtyPages(), []);
  vm.memory.write(0x6fff, Uint8Array.of(1, 2));
  t.deepEqual(region.dirtyPages(), [2, 3]);
  initArm(vcpu, [], { pc: 0x1000 });
  exitOf(vcpu.run(), 'systemEvent');
  t.deepEqual(region.dirtyPages(), [1]);
});

test('regions that overlap or are not aligned are refused', (t) => {
  const { memory } = bootArm(t, 'spin').vm;
  t.throws(() => memory.map({ guestAddress: 0x7000, size: 2 * PAGE }), { instanceOf: KvmError });
  t.throws(() => memory.map({ guestAddress: 0x8001, size: PAGE }), { code: 'ERR_INVALID_ARG_VALUE' });
  t.throws(() => memory.map({ guestAddress: 0x8000, size: 100 }), { code: 'ERR_INVALID_ARG_VALUE' });
  t.notThrows(() => memory.map({ guestAddress: 0x8000, size: PAGE }));
});

test('writes that match become events, without an exit', (t) => {
  const { vm, vcpu } = bootArm(t, 'mmio-storm', { regs: { x1: 1 } });
  const event: EventFd = makeEvent(t);
  vm.registerIoevent(event, { address: OUTPUT }, { length: 4, datamatch: 2 });
  const values: number[] = [];
  const end = vcpu.run({
    mmioWrite: (exit) => {
      values.push(exit.value);
      if (exit.value === 4) exit.stop();
    },
  });
  t.is(end.reason, 'stopped');
  t.deepEqual(values, [1, 3, 4]);
  t.is(event.read(), 1n);
  vm.unregisterIoevent(event, { address: OUTPUT }, { length: 4, datamatch: 2 });
});

test('there are no ports: a guest cannot reach them, and an event of one never comes', (t) => {
  const { vm, vcpu } = bootArm(t, 'mmio-storm');
  vm.io.attach({ base: 0, length: 0x1_0000 }, { write: () => t.fail() });
  t.is(exitOf(vcpu.run(), 'mmioWrite').value, 0);
  t.is(vcpu.stats.byReason['io'] ?? 0, 0);
});

test('with an empty bus the guest reads all ones, and nothing comes out', (t) => {
  // ldr x4, [x9]; str x4, [x9, #8]; then PSCI's SYSTEM_OFF
  const guest = armGuest(0xf940_0124, 0xf900_0524, 0x5280_0100, 0x72b0_8000, 0xd400_0002);
  const { vm, vcpu } = bootArm(t, guest, { regs: { x9: OUTPUT } });
  vm.setEmptyBus(true);
  const end = vcpu.run({ mmioRead: () => t.fail(), mmioWrite: () => t.fail() });
  exitOf(end, 'systemEvent');
  t.is(vcpu.armRegs.x4, 2n ** 64n - 1n);
});

test('an instruction fetch from where nothing is cannot be answered, and the guest gets the abort', (t) => {
  const brk = 0xd420_0000;
  const { vcpu } = bootArm(t, armGuest(brk), { regs: { pc: 0x10_0000 } });
  // Its vectors are at 0, where an endless loop of zeros (undefined instructions) follows: it never ends by itself.
  do {
    t.deepEqual(vcpu.run({}, { timeoutMs: 10 }), { reason: 'timeout' });
  } while (vcpu.armRegs.pc === 0x10_0000n);
  t.is(vcpu.armRegs.pc, 0x200n);
  t.is(vcpu.getOneReg(ArmSystemRegister.FAR_EL1), 0x10_0000n);
});

// ---- the size of addresses

test('a machine has as many bits of address as its type says, up to what the host has', (t) => {
  const kvm = openKvm(t);
  const limit = kvm.getHostIpaLimit();
  t.true(limit >= 40 || limit === 0, `${limit}`);
  if (limit === 0) {
    t.log('skipped: the host has 40 bits only');
    return;
  }
  for (const bits of new Set([32, 36, 40, limit])) {
    const vm = kvm.createVm({ type: bits });
    t.teardown(() => vm.close());
    vm.memory.map({ guestAddress: 2 ** bits - PAGE, size: PAGE });
    const error = t.throws<KvmError>(() => vm.memory.map({ guestAddress: 2 ** bits, size: PAGE }), {
      instanceOf: KvmError,
    });
    t.is(error?.syscall, 'KVM_SET_USER_MEMORY_REGION');
    const vcpu = vm.createVcpu();
    const place = 2 ** bits - PAGE;
    writeCode(vm, place, findArmGuest('hypercall').bytes);
    initArm(vcpu, [], { pc: place, x0: 0x8400_0000 });
    t.is(exitOf(vcpu.run(), 'mmioWrite').address, OUTPUT, `${bits} bits`);
  }
});

test('a machine of too many bits is refused, or too few', (t) => {
  const kvm = openKvm(t);
  const EINVAL = 22;
  for (const type of [kvm.getHostIpaLimit() + 1, 31, 64, 0x100]) {
    const error = t.throws<KvmError>(() => kvm.createVm({ type }), { code: 'ERR_KVM_IOCTL' });
    t.is(error?.errno, EINVAL, `${type}`);
    t.is(error?.syscall, 'KVM_CREATE_VM');
  }
  t.throws(() => kvm.createVm({ type: -1 }), { code: 'ERR_OUT_OF_RANGE' });
});
