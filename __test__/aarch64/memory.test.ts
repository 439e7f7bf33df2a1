import test from 'ava';

import { ArmSystemRegister, KvmError } from '../../index.ts';
import { OUTPUT, armGuest, bootArm, findArmGuest, initArm, writeCode } from '../helpers/arm.ts';
import { RAM_SIZE, exitOf, makeVm, openKvm } from '../helpers/machine.ts';
import { PAGE } from '../helpers/page.ts';

test('a guest lives far up in the addresses', (t) => {
  const vm = makeVm(t);
  const high = 0xf0_0000_0000; // 40 bits, which is what a machine of type 0 has
  vm.memory.map({ guestAddress: high, size: RAM_SIZE });
  const { bytes } = findArmGuest('hypercall');
  writeCode(vm, high, bytes);
  const vcpu = vm.createVcpu();
  initArm(vcpu, [], { pc: high, x0: 0x8400_0000 });
  t.is(exitOf(vcpu.run(), 'mmioWrite').address, OUTPUT);
});

test('huge pages are asked for, and the guest runs in them', (t) => {
  // What a page of entries maps: 2 MiB where pages have 4 KiB, 32 MiB where they have 16 KiB.
  const huge = (PAGE / 8) * PAGE;
  const { vm, vcpu } = bootArm(t, 'dirty-one-page', { regs: { x3: 0x5000 } });
  vm.memory.map({ guestAddress: huge, size: 2 * huge, hugePages: true });
  vm.memory.fill(huge, PAGE, 0x11);
  vm.memory.fill(3 * huge - PAGE, PAGE, 0x11);
  writeCode(vm, huge, findArmGuest('dirty-one-page').bytes);
  vcpu.armRegs.pc = BigInt(huge);
  exitOf(vcpu.run(), 'systemEvent');
  t.is(vm.memory.readUint8(0x5000), 0x5a);
  t.is(vm.memory.readUint8(3 * huge - 1), 0x11);
});

test('there are no ports: a guest cannot reach them, and an event of one never comes', (t) => {
  const { vm, vcpu } = bootArm(t, 'mmio-storm');
  vm.io.attach({ base: 0, length: 0x1_0000 }, { write: () => t.fail() });
  t.is(exitOf(vcpu.run(), 'mmioWrite').value, 0);
  t.is(vcpu.stats.byReason['io'] ?? 0, 0);
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
  // QEMU (7.2) translates no address of a machine with 52 bits where pages have 16 KiB: that table's first level it refuses.
  const runs = (bits: number) => bits < 52 || PAGE !== 0x4000 || process.env['VMHATCH_EMULATED_HOST'] !== '1';
  for (const bits of new Set([32, 36, 40, Math.min(limit, 51), limit])) {
    const vm = kvm.createVm({ type: bits });
    t.teardown(() => vm.close());
    vm.memory.map({ guestAddress: 2 ** bits - PAGE, size: PAGE });
    const beyond = () => vm.memory.map({ guestAddress: 2 ** bits, size: PAGE });
    // No machine has more than 52 bits: that is known without asking KVM.
    if (bits === 52) t.throws(beyond, { code: 'ERR_OUT_OF_RANGE' });
    else t.is(t.throws<KvmError>(beyond, { instanceOf: KvmError })?.syscall, 'KVM_SET_USER_MEMORY_REGION');
    if (!runs(bits)) continue;
    const vcpu = vm.createVcpu();
    const place = 2 ** bits - PAGE;
    writeCode(vm, place, findArmGuest('hypercall').bytes);
    initArm(vcpu, [], { pc: place, x0: 0x8400_0000 });
    t.is(exitOf(vcpu.run({}, { timeoutMs: 20_000 }), 'mmioWrite').address, OUTPUT, `${bits} bits`);
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
