import test, { type ExecutionContext } from 'ava';

import { ArmSystemRegister, ArmVcpuFeature, Cap, armSystemRegister, type KvmError } from '../../index.ts';
import { makeGic } from '../helpers/arm-gic.ts';
import { OUTPUT, bootArm, exceptionIn, initArm, u32Bytes, writeCode, writesOf } from '../helpers/arm.ts';
import { RAM_SIZE, exitOf, makeVm, openKvm } from '../helpers/machine.ts';

const EPERM = 1;
const ENXIO = 6;
const ENODEV = 19;
const EINVAL = 22;

/** The syndrome of an undefined instruction, and of an access to SVE that EL1 may not make. */
const UNKNOWN = 0;

const errnoOf = (t: ExecutionContext, call: () => unknown): number | undefined =>
  t.throws<KvmError>(call, { code: 'ERR_KVM_IOCTL' })?.errno;

/** Whether the host has it; a test without it is skipped, and what happens instead is tested. */
function lacks(t: ExecutionContext, name: string, ...capabilities: number[]): boolean {
  const kvm = openKvm(t);
  if (capabilities.every((capability) => kvm.checkExtension(capability))) return false;
  t.log(`skipped: the host lacks ${name}`);
  t.pass();
  return true;
}

test('the host says which processor it can be', (t) => {
  const { target, features } = makeVm(t).getPreferredTarget();
  t.is(typeof target, 'number');
  t.true(Array.isArray(features));
  for (const feature of features) t.true(feature >= 0 && feature < 224);
});

// ---- scalable vectors

/** `KVM_REG_ARM64_SVE_VLS`: the lengths that a vector may have, one bit for each 16 bytes; and register z0. */
const SVE_LENGTHS = 0x6060_0000_0015_ffffn;
const SVE_Z0 = 0x6080_0000_0015_0000n;

test('a vCPU with SVE has vectors of the largest length that the host has', (t) => {
  if (lacks(t, 'KVM_CAP_ARM_SVE', Cap.ArmSve)) return;
  let lengths = 0n;
  const { vcpu } = bootArm(t, 'vector-length', {
    features: [ArmVcpuFeature.sve],
    initialized: (cpu) => {
      lengths = cpu.getOneReg(SVE_LENGTHS);
      t.is(
        errnoOf(t, () => cpu.getOneReg(SVE_Z0)),
        EPERM,
        'not before it is final',
      );
      cpu.vcpuFinalize(ArmVcpuFeature.sve);
      t.is(
        errnoOf(t, () => cpu.vcpuFinalize(ArmVcpuFeature.sve)),
        EPERM,
        'once',
      );
    },
  });
  const bytes = 16n * BigInt(lengths.toString(2).length);
  const writes = writesOf(vcpu);
  t.is(writes.get(OUTPUT), bytes);
  t.is(writes.get(OUTPUT + 8), bytes);
  t.is(vcpu.getOneReg(SVE_Z0) & 0xffffn, 0x0101n);
  t.true(vcpu.getRegList().includes(SVE_Z0));
});

test('its lengths can be chosen before it is final', (t) => {
  if (lacks(t, 'KVM_CAP_ARM_SVE', Cap.ArmSve)) return;
  const { vcpu } = bootArm(t, 'vector-length', {
    features: [ArmVcpuFeature.sve],
    initialized: (cpu) => {
      cpu.setOneReg(SVE_LENGTHS, 1n); // 16 bytes, no more
      cpu.vcpuFinalize(ArmVcpuFeature.sve);
      t.is(
        errnoOf(t, () => cpu.setOneReg(SVE_LENGTHS, 3n)),
        EPERM,
      );
    },
  });
  t.is(writesOf(vcpu).get(OUTPUT), 16n);
});

test('of a vCPU with SVE the registers v0 to v31 are the low parts of the vectors', (t) => {
  if (lacks(t, 'KVM_CAP_ARM_SVE', Cap.ArmSve)) return;
  const { vcpu } = bootArm(t, 'spin', {
    features: [ArmVcpuFeature.sve],
    initialized: (cpu) => cpu.vcpuFinalize(ArmVcpuFeature.sve),
  });
  const { armRegs } = vcpu;
  const high = 0xabcdn << 128n;
  vcpu.setOneReg(SVE_Z0, high | 5n);
  t.is(armRegs.v0, 5n);
  armRegs.v0 = 2n ** 128n - 1n;
  t.is(vcpu.getOneReg(SVE_Z0) & (2n ** 128n - 1n), 2n ** 128n - 1n);
  armRegs.v31 = 31n;
  t.is(armRegs.v31, 31n);
  t.throws(() => (armRegs.v0 = 2n ** 128n), { code: 'ERR_OUT_OF_RANGE' });
  t.is(armRegs.toJSON().v31, 31n);
});

test('a vCPU with SVE that is not final does not run', (t) => {
  if (lacks(t, 'KVM_CAP_ARM_SVE', Cap.ArmSve)) return;
  const { vcpu } = bootArm(t, 'spin', { features: [ArmVcpuFeature.sve] });
  t.is(
    errnoOf(t, () => vcpu.run()),
    EPERM,
  );
  t.is(
    errnoOf(t, () => vcpu.getRegList()),
    EPERM,
  );
});

test('a vCPU without SVE cannot use it, nor make it final', (t) => {
  const { vcpu } = bootArm(t, 'vector-length');
  t.is(
    errnoOf(t, () => vcpu.vcpuFinalize(ArmVcpuFeature.sve)),
    EINVAL,
  );
  t.is(
    errnoOf(t, () => vcpu.vcpuFinalize(ArmVcpuFeature.psci02)),
    EINVAL,
  );
  t.throws(() => vcpu.vcpuFinalize(224), { code: 'ERR_OUT_OF_RANGE' });
  t.like(exceptionIn(writesOf(vcpu)), { entry: 4, class: UNKNOWN });
  const sve = (vcpu.getOneReg(ArmSystemRegister.ID_AA64PFR0_EL1) >> 32n) & 0xfn;
  t.is(sve, 0n);
});

// ---- pointer authentication

const PTRAUTH = [ArmVcpuFeature.ptrauthAddress, ArmVcpuFeature.ptrauthGeneric];
const POINTER = { x1: 0x1_2340, x2: 0x99, x3: 0x0123_4567_89ab_cdefn, x4: 0xfedc_ba98_7654_3210n };

test('a vCPU with pointer authentication signs pointers, and finds them unchanged', (t) => {
  if (lacks(t, 'KVM_CAP_ARM_PTRAUTH_ADDRESS', Cap.ArmPtrAuthAddress, Cap.ArmPtrAuthGeneric)) return;
  const { vcpu } = bootArm(t, 'sign-pointer', { features: PTRAUTH, regs: { ...POINTER, x5: 1 } });
  const writes = writesOf(vcpu);
  t.is(exceptionIn(writes), undefined);
  t.not(writes.get(OUTPUT), 0x1_2340n);
  t.is(writes.get(OUTPUT)! & 0xffff_ffffn, 0x1_2340n);
  t.is(writes.get(OUTPUT + 8), 0x1_2340n);
  t.not(writes.get(OUTPUT + 16)! >> 32n, 0n);
  t.is(writes.get(OUTPUT + 16)! & 0xffff_ffffn, 0n);
  // The keys are part of the state.
  t.is(vcpu.getOneReg(armSystemRegister(3, 0, 2, 1, 0)), POINTER.x3);
  t.is(vcpu.getOneReg(armSystemRegister(3, 0, 2, 1, 1)), POINTER.x4);
});

test('pointer authentication is for addresses and generic, or not at all', (t) => {
  if (lacks(t, 'KVM_CAP_ARM_PTRAUTH_ADDRESS', Cap.ArmPtrAuthAddress, Cap.ArmPtrAuthGeneric)) return;
  const vm = makeVm(t);
  const vcpu = vm.createVcpu();
  for (const feature of PTRAUTH) {
    t.is(
      errnoOf(t, () => initArm(vcpu, [feature])),
      EINVAL,
    );
  }
  t.notThrows(() => initArm(vcpu, PTRAUTH));
});

test('a vCPU without pointer authentication signs nothing, and cannot have keys', (t) => {
  const { vcpu } = bootArm(t, 'sign-pointer', { regs: { ...POINTER, x5: 0 } });
  const writes = writesOf(vcpu);
  t.is(writes.get(OUTPUT), 0x1_2340n);
  t.is(writes.get(OUTPUT + 8), 0x1_2340n);
  const { vcpu: other } = bootArm(t, 'sign-pointer', { regs: { ...POINTER, x5: 1 } });
  t.like(exceptionIn(writesOf(other)), { entry: 4, class: UNKNOWN });
});

// ---- performance counters

/** `KVM_ARM_VCPU_PMU_V3_CTRL` and its attributes. */
const PMU = 0;
const PMU_IRQ = 0;
const PMU_INIT = 1;

test('a vCPU with performance counters counts cycles', (t) => {
  if (lacks(t, 'KVM_CAP_ARM_PMU_V3', Cap.ArmPmuV3)) return;
  const { vcpu } = bootArm(t, 'count-cycles', {
    features: [ArmVcpuFeature.pmuV3],
    initialized: (cpu) => {
      t.true(cpu.hasDeviceAttr(PMU, PMU_INIT));
      t.is(
        errnoOf(t, () => cpu.run()),
        EINVAL,
        'not before they are ready',
      );
      cpu.setDeviceAttr(PMU, PMU_INIT);
    },
  });
  const writes = writesOf(vcpu);
  t.is(exceptionIn(writes), undefined);
  t.true(writes.get(OUTPUT)! > 0n);
});

test('with an interrupt controller they need an interrupt, too', (t) => {
  if (lacks(t, 'KVM_CAP_ARM_PMU_V3', Cap.ArmPmuV3)) return;
  const { vcpu } = bootArm(t, 'spin', { features: [ArmVcpuFeature.pmuV3] });
  t.is(
    errnoOf(t, () => vcpu.setDeviceAttr(PMU, PMU_IRQ, u32Bytes(23))),
    EINVAL,
    'no controller',
  );
  makeGic(vcpu.vm);
  t.is(
    errnoOf(t, () => vcpu.setDeviceAttr(PMU, PMU_INIT)),
    ENXIO,
    'no interrupt',
  );
  t.is(
    errnoOf(t, () => vcpu.setDeviceAttr(PMU, PMU_IRQ, u32Bytes(8))),
    EINVAL,
    'what is no interrupt of a device',
  );
  vcpu.setDeviceAttr(PMU, PMU_IRQ, u32Bytes(23));
  vcpu.setDeviceAttr(PMU, PMU_INIT);
  t.deepEqual(vcpu.run({}, { timeoutMs: 20 }), { reason: 'timeout' });
});

test('a vCPU without performance counters cannot use them', (t) => {
  const { vcpu } = bootArm(t, 'count-cycles');
  t.false(vcpu.hasDeviceAttr(PMU, PMU_INIT));
  const error = t.throws<KvmError>(() => vcpu.setDeviceAttr(PMU, PMU_INIT), { code: 'ERR_KVM_NO_ATTRIBUTE' });
  t.true([ENXIO, ENODEV].includes(error.errno!));
  t.like(exceptionIn(writesOf(vcpu)), { entry: 4, class: UNKNOWN });
});

test('attributes that a vCPU does not have are told from those that it has', (t) => {
  const { vcpu } = bootArm(t, 'spin');
  t.false(vcpu.hasDeviceAttr(0xffff, 0));
  const error = t.throws<KvmError>(() => vcpu.setDeviceAttr(0xffff, 0), {
    code: 'ERR_KVM_NO_ATTRIBUTE',
    message: 'there is no attribute 0x0 in group 65535',
  });
  t.is(error.errno, ENXIO);
  t.is(error.syscall, 'KVM_SET_DEVICE_ATTR');
  t.throws(() => vcpu.hasDeviceAttr(2 ** 32, 0), { code: 'ERR_OUT_OF_RANGE' });
  t.throws(() => vcpu.setDeviceAttr(0, -1), { code: 'ERR_OUT_OF_RANGE' });
  t.throws(() => vcpu.setDeviceAttr(0, 0, 7 as never), { code: 'ERR_INVALID_ARG_TYPE' });
  t.throws(() => vcpu.setDeviceAttr(0, 0, new Uint8Array(4097)), { code: 'ERR_KVM_STATE' });
});

// ---- 32 bits

test('a processor can be 32-bit where the host’s can', (t) => {
  const vm = makeVm(t);
  const vcpu = vm.createVcpu();
  if (!vm.checkExtension(Cap.ArmEl132bit)) {
    t.is(
      errnoOf(t, () => initArm(vcpu, [ArmVcpuFeature.el1Bits32])),
      EINVAL,
    );
    t.log('skipped: the host lacks KVM_CAP_ARM_EL1_32BIT: its refusal was tested');
    return;
  }
  vm.memory.map({ guestAddress: 0, size: RAM_SIZE });
  // mov r1, #0x10000; mov r0, #0x41; strb r0, [r1]
  writeCode(vm, 0x1000, new Uint8Array(Uint32Array.of(0xe3a0_1801, 0xe3a0_0041, 0xe5c1_0000).buffer));
  initArm(vcpu, [ArmVcpuFeature.el1Bits32], { pc: 0x1000 });
  const SUPERVISOR = 0x13n;
  t.is(vcpu.armRegs.pstate & 0x1fn, SUPERVISOR);
  const { address, size, value } = exitOf(vcpu.run(), 'mmioWrite');
  t.deepEqual([address, size, value], [OUTPUT, 1, 0x41]);
});
