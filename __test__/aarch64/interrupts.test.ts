import test, { type ExecutionContext } from 'ava';

import { ArmSystemRegister, DEVICE_TYPE, KvmError, type Vcpu, type Vm } from '../../index.ts';
import {
  GICD,
  GICR,
  GIC_ADDR,
  GIC_GROUP,
  GIC_INIT,
  ITS_DOORBELL,
  hasGic3,
  makeGic,
  makeIts,
  privateLine,
  sharedLine,
} from '../helpers/arm-gic.ts';
import {
  OUTPUT,
  bootArm,
  initArm,
  u32Bytes,
  u64Bytes,
  writesOf,
  type ArmBootOptions,
} from '../helpers/arm.ts';
import { LANES } from '../helpers/lanes.ts';
import { exitOf, makeEvent, makeVm, type Machine } from '../helpers/machine.ts';
import { until } from '../helpers/wait.ts';

const ENXIO = 6;
const EEXIST = 17;
const ENODEV = 19;
const EINVAL = 22;

/** `KVM_ARM_VCPU_TIMER_CTRL` and an attribute of it. */
const TIMER_CONTROL = 1;
const VIRTUAL = 0;

/** `GICD_ICFGR2`: interrupts 32 to 47, level- or edge-triggered. */
const LEVEL = 0;
const EDGE = 0xaaaa_aaaa;

const errnoOf = (t: ExecutionContext, call: () => unknown): number | undefined =>
  t.throws<KvmError>(call, { instanceOf: KvmError })?.errno;

/** Boots a guest with a GICv3, or skips the test. */
function bootGic(t: ExecutionContext, name: string, options: ArmBootOptions = {}): Machine | undefined {
  if (!hasGic3(makeVm(t))) {
    t.log('skipped: the host has no GICv3 for guests');
    t.pass();
    return undefined;
  }
  return bootArm(t, name, {
    ...options,
    initialized: (vcpu) => {
      makeGic(vcpu.vm);
      options.initialized?.(vcpu);
    },
  });
}

/** Runs the guest `interrupt`: `ready` is called when it is, and the first interrupt that it takes ends the run. */
function takeInterrupt(vcpu: Vcpu, ready: () => void): number {
  const end = vcpu.run(
    {
      mmioWrite: (exit) => {
        if (exit.address === OUTPUT) ready();
        else exit.stop();
      },
    },
    { timeoutMs: 30_000 },
  );
  return exitOf(end, 'mmioWrite').value;
}

for (const [name, run] of LANES) {
  test(`${name}: a line that rises is an interrupt, which the guest takes`, async (t) => {
    const machine = bootGic(t, 'interrupt', { regs: { x19: LEVEL } });
    if (machine === undefined) return;
    const { vm, vcpu } = machine;
    const taken: number[] = [];
    const end = await run(vcpu, {
      mmioWrite: (exit) => {
        if (exit.address === OUTPUT) {
          vm.setIrqLine(sharedLine(35), true);
          return;
        }
        taken.push(exit.value);
        // As long as the line is up, the interrupt comes again.
        if (taken.length === 2) {
          vm.setIrqLine(sharedLine(35), false);
          exit.stop();
        }
      },
    });
    t.is(end.reason, 'stopped');
    t.deepEqual(taken, [35, 35]);
    t.deepEqual(await run(vcpu, {}, { timeoutMs: 30 }), { reason: 'timeout' });
  });
}

test('an edge is one interrupt', (t) => {
  const machine = bootGic(t, 'interrupt', { regs: { x19: EDGE } });
  if (machine === undefined) return;
  const { vm, vcpu } = machine;
  const edge = () => {
    vm.setIrqLine(sharedLine(32), true);
    vm.setIrqLine(sharedLine(32), false);
  };
  t.is(takeInterrupt(vcpu, edge), 32);
  t.deepEqual(vcpu.run({}, { timeoutMs: 30 }), { reason: 'timeout' });
});

test('an interrupt wakes a guest that sleeps, from outside', async (t) => {
  const machine = bootGic(t, 'interrupt', { regs: { x19: EDGE } });
  if (machine === undefined) return;
  const { vm, vcpu } = machine;
  let ready = false;
  const run = vcpu.runInBackground({
    mmioWrite: (exit) => {
      if (exit.address === OUTPUT) ready = true;
      else exit.stop();
    },
  });
  await until(() => ready);
  setTimeout(() => vm.setIrqLine(sharedLine(40), true), 10);
  t.is(exitOf(await run, 'mmioWrite').value, 40);
});

test('an event is an interrupt', (t) => {
  const machine = bootGic(t, 'interrupt', { regs: { x19: EDGE } });
  if (machine === undefined) return;
  const { vm, vcpu } = machine;
  const event = makeEvent(t);
  vm.registerIrqfd(event, 5); // counted from 32
  t.is(
    takeInterrupt(vcpu, () => event.write()),
    37,
  );
  t.is(event.read(), undefined);
  vm.unregisterIrqfd(event, 5);
  event.write();
  t.deepEqual(vcpu.run({}, { timeoutMs: 30 }), { reason: 'timeout' });
});

test('the end of a level-triggered interrupt is an event', (t) => {
  const machine = bootGic(t, 'interrupt', { regs: { x19: LEVEL } });
  if (machine === undefined) return;
  const { vm, vcpu } = machine;
  const [event, resample] = [makeEvent(t), makeEvent(t)];
  vm.registerIrqfd(event, 1, resample);
  t.is(
    takeInterrupt(vcpu, () => event.write()),
    33,
  );
  t.is(resample.read(), undefined);
  let ended: bigint | undefined;
  while (ended === undefined) {
    vcpu.run({ mmioWrite: () => undefined }, { timeoutMs: 10 });
    ended = resample.read();
  }
  t.is(ended, 1n);
});

test('the virtual timer interrupts when its time has come', (t) => {
  const TICKS = 50_000n;
  const machine = bootGic(t, 'timer', { regs: { x19: TICKS } });
  if (machine === undefined) return;
  const writes = writesOf(machine.vcpu);
  t.is(writes.get(OUTPUT + 4), 27n);
  t.true(writes.get(OUTPUT + 8)! >= TICKS);
  t.is(machine.vcpu.getOneReg(ArmSystemRegister.CNTV_CTL_EL0) & 1n, 0n);
});

test('the timer can have another interrupt', (t) => {
  const machine = bootGic(t, 'timer', {
    regs: { x19: 1000 },
    initialized: (vcpu) => {
      t.true(vcpu.hasDeviceAttr(TIMER_CONTROL, VIRTUAL));
      t.false(vcpu.hasDeviceAttr(TIMER_CONTROL, 99));
      t.is(
        errnoOf(t, () => vcpu.setDeviceAttr(TIMER_CONTROL, VIRTUAL, u32Bytes(40))),
        EINVAL,
        'a shared one',
      );
      vcpu.setDeviceAttr(TIMER_CONTROL, VIRTUAL, u32Bytes(25));
    },
  });
  if (machine === undefined) return;
  const { vcpu } = machine;
  const TIME_IS_OVER = 4n;
  // The guest has let 27 through only: the timer's time comes, but no interrupt.
  do {
    t.deepEqual(vcpu.run({}, { timeoutMs: 20 }), { reason: 'timeout' });
  } while ((vcpu.getOneReg(ArmSystemRegister.CNTV_CTL_EL0) & TIME_IS_OVER) === 0n);
  t.deepEqual(vcpu.run({}, { timeoutMs: 30 }), { reason: 'timeout' });
});

// ---- messages

/** Commands of the ITS, 32 bytes each. */
const mapDevice = (device: number, bits: number, table: number) =>
  [0x08n | (BigInt(device) << 32n), BigInt(bits - 1), BigInt(table) | (1n << 63n), 0n] as const;
const mapCollection = (collection: number, vcpu: number) =>
  [0x09n, 0n, BigInt(collection) | (BigInt(vcpu) << 16n) | (1n << 63n), 0n] as const;
const mapInterrupt = (device: number, event: number, interrupt: number, collection: number) =>
  [
    0x0an | (BigInt(device) << 32n),
    BigInt(event) | (BigInt(interrupt) << 32n),
    BigInt(collection),
    0n,
  ] as const;

function prepareMessages(vm: Vm): void {
  vm.memory.map({ guestAddress: 0x20000, size: 0x60000 });
  const ENABLED = 0xa1; // priority 0xa0
  vm.memory.fill(0x50000, 16, ENABLED);
  const commands = [mapDevice(7, 4, 0x70000), mapCollection(0, 0), mapInterrupt(7, 3, 8195, 0)].flat();
  vm.memory.write(0x40000, BigUint64Array.from(commands));
}

test('a message of a device becomes the interrupt that the guest has mapped it to', (t) => {
  const machine = bootGic(t, 'message-interrupt', {
    prepare: prepareMessages,
    regs: { x19: 3 * 32 },
    initialized: ({ vm }) => void makeIts(vm),
  });
  if (machine === undefined) return;
  const { vm, vcpu } = machine;
  const message = { addressLow: ITS_DOORBELL, data: 3, deviceId: 7 };
  const sent: boolean[] = [];
  t.is(
    takeInterrupt(vcpu, () => void sent.push(vm.signalMsi(message))),
    8195,
  );
  t.deepEqual(sent, [true]);
  t.false(vm.signalMsi({ ...message, data: 4 }), 'an event that is not mapped');
  t.false(vm.signalMsi({ ...message, deviceId: 8 }), 'a device that is not mapped');
  t.is(
    errnoOf(t, () => vm.signalMsi({ addressLow: ITS_DOORBELL, data: 3 })),
    EINVAL,
    'no device',
  );
});

test('without an ITS, and without any controller, messages are refused', (t) => {
  const message = { addressLow: ITS_DOORBELL, data: 0, deviceId: 1 };
  const vm = makeVm(t);
  t.is(
    errnoOf(t, () => vm.signalMsi(message)),
    EINVAL,
  );
  const machine = bootGic(t, 'spin');
  if (machine === undefined) return;
  t.is(
    errnoOf(t, () => machine.vm.signalMsi(message)),
    ENODEV,
  );
});

// ---- the controllers as devices

test('KVM reads zeros behind an attribute’s value that is too short, not what lies there', (t) => {
  const vm = makeVm(t);
  if (!hasGic3(vm)) {
    t.log('skipped: the host has no GICv3 for guests');
    t.pass();
    return;
  }
  const firstByte = (value: number): Uint8Array => Uint8Array.of(value, 255, 255, 255).subarray(0, 1);
  const gic = vm.createDevice(DEVICE_TYPE.ARM_VGIC_V3);
  gic.setDeviceAttr(GIC_GROUP.nrIrqs, 0, firstByte(96));
  t.deepEqual(gic.getDeviceAttr(GIC_GROUP.nrIrqs, 0, 4), u32Bytes(96));
  const vcpu = vm.createVcpu();
  initArm(vcpu);
  // Whatever lies behind it would make a number of it that no private interrupt has.
  t.notThrows(() => vcpu.setDeviceAttr(TIMER_CONTROL, VIRTUAL, firstByte(25)));
});

test('a GICv3 is made in steps, and refuses what is out of order', (t) => {
  const vm = makeVm(t);
  if (!hasGic3(vm)) {
    t.log('skipped: the host has no GICv3 for guests');
    t.pass();
    return;
  }
  const gic = vm.createDevice(DEVICE_TYPE.ARM_VGIC_V3);
  t.is(
    errnoOf(t, () => vm.createDevice(DEVICE_TYPE.ARM_VGIC_V3)),
    EEXIST,
  );
  t.true(gic.hasDeviceAttr(GIC_GROUP.addr, GIC_ADDR.v3Dist));
  t.true(gic.hasDeviceAttr(GIC_GROUP.ctrl, GIC_INIT));
  t.false(gic.hasDeviceAttr(GIC_GROUP.addr, 99));
  t.throws(() => gic.setDeviceAttr(77, 0, u32Bytes(1)), { code: 'ERR_KVM_NO_ATTRIBUTE' });
  const vcpu = vm.createVcpu();
  initArm(vcpu);
  gic.setDeviceAttr(GIC_GROUP.nrIrqs, 0, u32Bytes(96));
  t.deepEqual(gic.getDeviceAttr(GIC_GROUP.nrIrqs, 0, 4), u32Bytes(96));
  t.is(
    errnoOf(t, () => gic.setDeviceAttr(GIC_GROUP.nrIrqs, 0, u32Bytes(33))),
    EINVAL,
    'a number that is no multiple of 32',
  );
  t.is(
    errnoOf(t, () => gic.setDeviceAttr(GIC_GROUP.addr, GIC_ADDR.v3Dist, u64Bytes(0x1234))),
    EINVAL,
    'an address that is not aligned',
  );
  gic.setDeviceAttr(GIC_GROUP.addr, GIC_ADDR.v3Dist, u64Bytes(GICD));
  t.is(
    errnoOf(t, () => gic.setDeviceAttr(GIC_GROUP.addr, GIC_ADDR.v3Dist, u64Bytes(GICD))),
    EEXIST,
  );
  t.deepEqual(gic.getDeviceAttr(GIC_GROUP.addr, GIC_ADDR.v3Dist, 8), u64Bytes(GICD));
  // Room for one vCPU: index 0, no flags, the place, a count.
  gic.setDeviceAttr(GIC_GROUP.addr, GIC_ADDR.v3RedistRegion, u64Bytes((1n << 52n) | BigInt(GICR)));
  gic.setDeviceAttr(GIC_GROUP.ctrl, GIC_INIT);
  gic.setDeviceAttr(GIC_GROUP.ctrl, GIC_INIT);
  // Its registers, as a snapshot takes them: GICD_TYPER says how many interrupts there are.
  const [typer] = new Uint32Array(gic.getDeviceAttr(GIC_GROUP.distRegs, 4, 4).buffer);
  t.is(((typer! & 0x1f) + 1) * 32, 96);
  t.throws(() => vm.createVcpu(), { instanceOf: KvmError });
  gic.close();
  t.throws(() => gic.hasDeviceAttr(0, 0), { code: 'ERR_KVM_CLOSED' });
  t.deepEqual(vcpu.run({}, { timeoutMs: 20 }), { reason: 'timeout' });
});

test('an ITS is made beside a GICv3', (t) => {
  const machine = bootGic(t, 'spin');
  if (machine === undefined) return;
  const { vm } = machine;
  const its = makeIts(vm);
  t.true(its.hasDeviceAttr(GIC_GROUP.itsRegs, 8));
  // GITS_TYPER: it has physical interrupts.
  t.is(its.getDeviceAttr(GIC_GROUP.itsRegs, 8, 8)[0]! & 1, 1);
  vm.close();
  t.true(its.closed);
});

test('an ITS at an address that is not aligned is refused', (t) => {
  const machine = bootGic(t, 'spin');
  if (machine === undefined) return;
  const its = machine.vm.createDevice(DEVICE_TYPE.ARM_VGIC_ITS);
  t.is(
    errnoOf(t, () => its.setDeviceAttr(GIC_GROUP.addr, GIC_ADDR.its, u64Bytes(0x100))),
    EINVAL,
  );
});

test('a GICv2 is there where the host has one, by both of its names', (t) => {
  const vm = makeVm(t);
  if (vm.hasDeviceType(DEVICE_TYPE.ARM_VGIC_V2)) {
    vm.createIrqChip();
    t.is(
      errnoOf(t, () => vm.createIrqChip()),
      EEXIST,
    );
    return;
  }
  t.throws(() => vm.createDevice(DEVICE_TYPE.ARM_VGIC_V2), {
    instanceOf: KvmError,
    code: 'ERR_KVM_UNSUPPORTED',
  });
  t.is(
    errnoOf(t, () => vm.createIrqChip()),
    ENODEV,
  );
  t.log('skipped: the host has no GICv2 for guests: its refusal was tested');
});

test('lines that do not exist are refused', (t) => {
  const vm = makeVm(t);
  const vcpu = vm.createVcpu();
  initArm(vcpu);
  t.is(
    errnoOf(t, () => vm.setIrqLine(sharedLine(32), true)),
    ENXIO,
    'no controller',
  );
  t.is(
    errnoOf(t, () => vm.setIrqLine(1 << 16, true)),
    EINVAL,
    'the line of a vCPU that does not exist',
  );
  if (!hasGic3(vm)) return;
  makeGic(vm);
  t.is(
    errnoOf(t, () => vm.setIrqLine(sharedLine(31), true)),
    EINVAL,
    'a private one',
  );
  t.is(
    errnoOf(t, () => vm.setIrqLine(sharedLine(64), true)),
    EINVAL,
    'beyond the last one',
  );
  t.is(
    errnoOf(t, () => vm.setIrqLine(privateLine(0, 40), true)),
    EINVAL,
    'a shared one',
  );
  t.is(
    errnoOf(t, () => vm.setIrqLine(0, true)),
    ENXIO,
    'the line of a vCPU, which the controller has',
  );
  t.notThrows(() => vm.setIrqLine(privateLine(0, 20), true));
});
