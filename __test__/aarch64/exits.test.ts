import test from 'ava';

import { Cap, KvmError } from '../../index.ts';
import { OUTPUT, bootArm, exceptionIn, writesOf } from '../helpers/arm.ts';
import { LANES } from '../helpers/lanes.ts';
import { exitOf } from '../helpers/machine.ts';

const ENOSYS = 38;

test('a load that extends the sign reads a byte, and the guest gets it', (t) => {
  const { vcpu } = bootArm(t, 'mmio-sign');
  const reads: number[] = [];
  const writes: bigint[] = [];
  const end = vcpu.run({
    mmioRead: (exit) => {
      reads.push(exit.size);
      return 0x80;
    },
    mmioWrite: (exit) => void writes.push(exit.value64),
  });
  exitOf(end, 'systemEvent');
  t.deepEqual(reads, [1]);
  // The processor tells KVM that the sign is extended; QEMU's (7.2) forgets to.
  t.true(writes[0] === 0xffff_ffff_ffff_ff80n || writes[0] === 0x80n, String(writes));
});

test('an access that the processor does not describe fails the run, and says so', (t) => {
  const { vcpu } = bootArm(t, 'mmio-pair');
  const error = t.throws<KvmError>(() => vcpu.run(), { instanceOf: KvmError, code: 'ERR_KVM_IOCTL' });
  t.is(error?.errno, ENOSYS);
  t.is(error?.syscall, 'KVM_RUN');
  // Nothing has happened: the vCPU is at the instruction, and its user can do what it wants to do.
  vcpu.armRegs.x1 = 0x77n;
  vcpu.armRegs.pc += 4n;
  t.is(exitOf(vcpu.run(), 'mmioWrite').value, 0x77);
});

for (const [name, run] of LANES) {
  test(`${name}: with the capability such an access is an exit, which a handler can emulate`, async (t) => {
    const { vm, vcpu } = bootArm(t, 'mmio-pair');
    if (!vm.checkExtension(Cap.ArmNisvToUser)) {
      t.log('skipped: the host lacks KVM_CAP_ARM_NISV_TO_USER');
      t.pass();
      return;
    }
    vm.enableCap(Cap.ArmNisvToUser);
    const seen: [bigint, number, bigint][] = [];
    const written: number[] = [];
    const end = await run(vcpu, {
      armNisv: (exit, { armRegs }) => {
        seen.push([exit.esrIss, exit.faultIpa, armRegs.pc]);
        armRegs.x1 = 0x11n;
        armRegs.x2 = 0x22n;
        armRegs.pc += 4n;
      },
      mmioWrite: (exit, { armRegs }) => void written.push(exit.value, Number(armRegs.x2)),
    });
    exitOf(end, 'systemEvent');
    const [[iss, address, pc]] = seen as [[bigint, number, bigint]];
    const ISV = 1n << 24n;
    t.is(iss & ISV, 0n);
    t.is(address & ~0xfff, OUTPUT);
    t.is(pc & ~0xffn, 0x1000n);
    t.deepEqual(written, [0x11, 0x22]);
    t.is(vcpu.stats.byReason['armNisv'], 1);
  });
}

test('an exit of step() for such an access is plain data', (t) => {
  const { vm, vcpu } = bootArm(t, 'mmio-pair');
  if (!vm.checkExtension(Cap.ArmNisvToUser)) {
    t.log('skipped: the host lacks KVM_CAP_ARM_NISV_TO_USER');
    t.pass();
    return;
  }
  vm.enableCap(Cap.ArmNisvToUser);
  const exit = vcpu.step();
  t.deepEqual(Object.keys(exit), ['kind', 'esrIss', 'faultIpa']);
  t.is(exit.kind, 'armNisv');
});

test('an instruction that does not exist is the guest’s to handle', (t) => {
  const { vcpu } = bootArm(t, 'mmio-pair');
  // The load of a pair becomes `udf #0`, whose class is "unknown".
  vcpu.vm.memory.writeUint32(Number(vcpu.armRegs.pc) + 0x10, 0);
  t.like(exceptionIn(writesOf(vcpu)), { entry: 4, class: 0 });
});
