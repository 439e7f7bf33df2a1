import test from 'ava';

import {
  ArmSystemRegister,
  ArmVcpuFeature,
  Cap,
  type KickHandle,
  type KvmError,
  type Vcpu,
} from '../../index.ts';
import { OUTPUT, bootArm, initArm } from '../helpers/arm.ts';
import { LANES } from '../helpers/lanes.ts';
import { exitOf } from '../helpers/machine.ts';

/** `KVM_SYSTEM_EVENT_…` */
const SHUTDOWN = 1;
const RESET = 2;
const SUSPEND = 5;

/** Functions of PSCI and of the SMC Calling Convention. */
const SMCCC_VERSION = 0x8000_0000;
const PSCI_VERSION = 0x8400_0000;
const PSCI_SYSTEM_RESET = 0x8400_0009;
const PSCI_SYSTEM_RESET2 = 0x8400_0012;
const PSCI_SYSTEM_SUSPEND = 0xc400_000e;
const PSCI_CPU_ON = 0xc400_0003;
/** One of the silicon's maker, which KVM does not know. */
const NOBODYS_CALL = 0x8200_0042;
const NOT_SUPPORTED = 2n ** 64n - 1n;
const INVALID_PARAMETERS = 2n ** 64n - 2n;

const ENXIO = 6;
const EINVAL = 22;
const ENOTTY = 25;
/** What a machine says that has no such attribute; before Linux 6.4, one that has no attributes at all. */
const NO_ATTRIBUTE = new Set<number | undefined>([ENXIO, EINVAL, ENOTTY]);

/** `KVM_MP_STATE_…` of vCPUs that are powered off. */
const STOPPED = 5;
const RUNNABLE = 0;

for (const [name, run] of LANES) {
  test(`${name}: a power-off is a system event`, async (t) => {
    const { vcpu } = bootArm(t, 'add-registers');
    t.deepEqual(await run(vcpu, {}), {
      reason: 'exit',
      exit: { kind: 'systemEvent', type: SHUTDOWN, data: [0n] },
    });
    t.is(vcpu.getMpState(), STOPPED);
  });
}

test('a reset is a system event; vcpuInit() does it', (t) => {
  const { vcpu } = bootArm(t, 'hypercall', { regs: { x0: PSCI_SYSTEM_RESET } });
  t.deepEqual(exitOf(vcpu.run(), 'systemEvent'), { kind: 'systemEvent', type: RESET, data: [0n] });
  initArm(vcpu, [], { pc: 0x1000, x0: PSCI_VERSION });
  t.is(vcpu.getMpState(), RUNNABLE);
  t.is(exitOf(vcpu.run(), 'mmioWrite').address, OUTPUT);
});

test('a reset of another kind says so in the event’s data', (t) => {
  const { vcpu } = bootArm(t, 'hypercall', { regs: { x0: PSCI_SYSTEM_RESET2, x1: 0 } });
  const end = vcpu.run();
  if (end.reason === 'exit' && end.exit.kind === 'mmioWrite' && end.exit.value64 === NOT_SUPPORTED) {
    t.log('skipped: the host’s PSCI has no SYSTEM_RESET2');
    t.pass();
    return;
  }
  const PSCI_RESET2 = 1n;
  t.deepEqual(exitOf(end, 'systemEvent'), { kind: 'systemEvent', type: RESET, data: [PSCI_RESET2] });
});

test('a suspend of the system is an event where that is enabled, and not supported otherwise', (t) => {
  const regs = { x0: PSCI_SYSTEM_SUSPEND, x1: 0x1000, x2: 7 };
  const { vcpu } = bootArm(t, 'hypercall', { regs });
  t.is(exitOf(vcpu.run(), 'mmioWrite').value64, NOT_SUPPORTED);
  if (!vcpu.vm.checkExtension(Cap.ArmSystemSuspend)) {
    t.log('skipped: the host lacks KVM_CAP_ARM_SYSTEM_SUSPEND');
    return;
  }
  const { vm, vcpu: other } = bootArm(t, 'hypercall', { regs });
  vm.enableCap(Cap.ArmSystemSuspend);
  t.is(exitOf(other.run(), 'systemEvent').type, SUSPEND);
});

test('calls that KVM answers itself make no exit', (t) => {
  for (const [call, answer] of [
    [SMCCC_VERSION, (value: bigint) => value >= 0x10001n],
    [PSCI_VERSION, (value: bigint) => value >= 2n],
    [NOBODYS_CALL, (value: bigint) => value === NOT_SUPPORTED],
  ] as const) {
    const { vcpu } = bootArm(t, 'hypercall', { regs: { x0: call } });
    const { value64 } = exitOf(vcpu.run(), 'mmioWrite');
    t.true(answer(value64), `${call.toString(16)}: ${value64.toString(16)}`);
    t.is(vcpu.stats.exits, 1);
  }
});

/** The machine's attribute that sends calls to user space: `KVM_ARM_VM_SMCCC_CTRL`, `KVM_ARM_VM_SMCCC_FILTER`. */
const SMCCC_CONTROL = 0;
const SMCCC_FILTER = 0;
const FORWARD_TO_USER = 2;

test('hypercalls become exits where the host has a filter for them, and the filter is refused elsewhere', (t) => {
  const call = NOBODYS_CALL;
  const { vm, vcpu } = bootArm(t, 'hypercall', { regs: { x0: call, x1: 11, x2: 22 } });
  const filter = new DataView(new ArrayBuffer(24));
  filter.setUint32(0, call, true);
  filter.setUint32(4, 1, true);
  filter.setUint8(8, FORWARD_TO_USER);
  if (!vm.hasDeviceAttr(SMCCC_CONTROL, SMCCC_FILTER)) {
    const error = t.throws<KvmError>(() => vm.setDeviceAttr(SMCCC_CONTROL, SMCCC_FILTER, filter), {
      code: 'ERR_KVM_NO_ATTRIBUTE',
    });
    t.true(NO_ATTRIBUTE.has(error.errno));
    t.is(error?.syscall, 'KVM_SET_DEVICE_ATTR');
    t.log('skipped: the host has no filter of SMC calls (Linux 6.4): its refusal was tested');
    return;
  }
  vm.setDeviceAttr(SMCCC_CONTROL, SMCCC_FILTER, filter);
  const end = vcpu.run({
    hypercall: (exit, { armRegs }) => {
      t.is(exit.nr, BigInt(call));
      t.is(armRegs.x1, 11n);
      armRegs.x0 = 33n;
    },
  });
  t.is(exitOf(end, 'mmioWrite').value64, 33n);
});

test('attributes that a machine does not have are told from those that it has', (t) => {
  const { vm } = bootArm(t, 'spin');
  t.false(vm.hasDeviceAttr(0xffff, 0));
  const error = t.throws<KvmError>(() => vm.setDeviceAttr(0xffff, 0), { code: 'ERR_KVM_NO_ATTRIBUTE' });
  t.true(NO_ATTRIBUTE.has(error.errno));
  t.throws(() => vm.hasDeviceAttr(-1, 0), { code: 'ERR_OUT_OF_RANGE' });
  t.throws(() => vm.setDeviceAttr(0, 0, 'x' as never), { code: 'ERR_INVALID_ARG_TYPE' });
  t.throws(() => vm.setDeviceAttr(0, 0, new Uint8Array(4097)), { code: 'ERR_KVM_STATE' });
});

test('one vCPU starts another, with a word for it, and both run in the background', async (t) => {
  const { vm, vcpu } = bootArm(t, 'start-processor', { regs: { x1: 1, x3: 0x1234_5678_9abc_def0n } });
  const second = vm.createVcpu();
  initArm(second, [ArmVcpuFeature.powerOff]);
  t.is(second.getMpState(), STOPPED);
  // Its own number, by which the first one calls it.
  vcpu.armRegs.x1 = second.getOneReg(ArmSystemRegister.MPIDR_EL1) & 0xff_00ff_ffffn;
  const said: [number, bigint][] = [];
  const handlers = {
    mmioWrite: ({ address, value64 }: { address: number; value64: bigint }) =>
      void said.push([address - OUTPUT, value64]),
  };
  const stop = new AbortController();
  const other = second.runInBackground(handlers, { signal: stop.signal });
  const end = await vcpu.runInBackground(handlers);
  t.is(exitOf(end, 'systemEvent').type, SHUTDOWN);
  t.deepEqual(
    said.toSorted(([a], [b]) => a - b),
    [
      [0, 0n],
      [8, 0x1234_5678_9abc_def0n],
    ],
  );
  const reason = new Error('enough');
  stop.abort(reason);
  t.is(await t.throwsAsync(other), reason);
  t.is(second.getMpState(), STOPPED);
});

test('a processor that does not exist cannot be started', (t) => {
  const { vcpu } = bootArm(t, 'hypercall', { regs: { x0: PSCI_CPU_ON, x1: 9, x2: 0x1000 } });
  t.is(exitOf(vcpu.run(), 'mmioWrite').value64, INVALID_PARAMETERS);
});

for (const [name, run] of LANES) {
  test(`${name}: a guest that waits for an interrupt makes no exit, and ends at its time`, async (t) => {
    const { vcpu } = bootArm(t, 'wait-for-interrupt');
    t.deepEqual(await run(vcpu, {}, { timeoutMs: 50 }), { reason: 'timeout' });
    t.is(vcpu.stats.exits, 0);
  });

  test(`${name}: a vCPU that is powered off waits likewise`, async (t) => {
    const { vm } = bootArm(t, 'spin');
    const second = vm.createVcpu();
    initArm(second, [ArmVcpuFeature.powerOff]);
    t.deepEqual(await run(second, {}, { timeoutMs: 50 }), { reason: 'timeout' });
  });
}

/** `KVM_ARM_IRQ_TYPE_CPU`: the interrupt line of a processor itself, where KVM has no interrupt controller. */
const irqLine = (vcpu: Vcpu) => vcpu.id << 16;

test('without an interrupt controller the line of a vCPU wakes it', async (t) => {
  const { vm, vcpu } = bootArm(t, 'wait-for-interrupt');
  const run = vcpu.runInBackground({
    mmioWrite: (exit) => {
      vm.setIrqLine(irqLine(vcpu), false);
      exit.stop();
    },
  });
  vm.setIrqLine(irqLine(vcpu), true);
  const end = await run;
  t.is(end.reason, 'stopped');
  t.is(exitOf(end, 'mmioWrite').value, 1);
  t.deepEqual(await vcpu.runInBackground({}, { timeoutMs: 50 }), { reason: 'timeout' });
});

test('a kick ends a guest that waits for an interrupt', async (t) => {
  const { vcpu } = bootArm(t, 'wait-for-interrupt');
  const handle: KickHandle = vcpu.kickHandle;
  const run = vcpu.runInBackground();
  setTimeout(() => handle.kick(), 20);
  t.deepEqual(await run, { reason: 'kicked' });
  t.deepEqual(vcpu.run({}, { timeoutMs: 20 }), { reason: 'timeout' });
});
