import test from 'ava';

import { Cap, type KvmError, type Vcpu } from '../../index.ts';
import { OUTPUT, REPORT, bootArm, exceptionIn, writesOf } from '../helpers/arm.ts';
import { LANES } from '../helpers/lanes.ts';
import { exitOf, openKvm } from '../helpers/machine.ts';

/** Exception classes of the syndrome. */
const BREAKPOINT = 0x30;
const SOFTWARE_STEP = 0x32;
const DATA_ABORT = 0x25;
const SERROR = 0x2f;

const classOf = (hsr: bigint) => Number((hsr >> 26n) & 0x3fn);

const counters = ({ armRegs }: Vcpu) => [armRegs.x0, armRegs.x1, armRegs.x2, armRegs.x3];

for (const [name, run] of LANES) {
  test(`${name}: a single step is one instruction`, async (t) => {
    const { vcpu } = bootArm(t, 'add-registers');
    vcpu.setGuestDebug({ singleStep: true });
    for (let steps = 1; steps <= 3; steps++) {
      const { hsr } = exitOf(await run(vcpu, {}), 'armDebug');
      t.is(classOf(hsr), SOFTWARE_STEP);
      t.is(vcpu.armRegs.pc, 0x1000n + 4n * BigInt(steps));
      t.deepEqual(
        counters(vcpu),
        [0, 1, 2, 3].map((at) => (at < steps ? 1n : 0n)),
      );
    }
    // Without steps it runs on: to a breakpoint, because a power-off takes x0 to x3 for its answer.
    vcpu.setGuestDebug({ hardwareBreakpoints: [0x1010] });
    exitOf(await run(vcpu, {}), 'armDebug');
    t.deepEqual(counters(vcpu), [1n, 1n, 1n, 1n]);
    vcpu.setGuestDebug();
    exitOf(await run(vcpu, {}), 'systemEvent');
  });

  test(`${name}: a hardware breakpoint stops before its instruction`, async (t) => {
    const { vcpu } = bootArm(t, 'add-registers');
    vcpu.setGuestDebug({ hardwareBreakpoints: [0x1008] });
    const { hsr } = exitOf(await run(vcpu, {}), 'armDebug');
    t.is(classOf(hsr), BREAKPOINT);
    t.is(vcpu.armRegs.pc, 0x1008n);
    t.deepEqual(counters(vcpu), [1n, 1n, 0n, 0n]);
    vcpu.setGuestDebug();
    exitOf(await run(vcpu, {}), 'systemEvent');
  });
}

test('a handler takes the steps, and the run goes on', (t) => {
  const { vcpu } = bootArm(t, 'add-registers');
  vcpu.setGuestDebug({ singleStep: true });
  const seen: bigint[] = [];
  const end = vcpu.run({
    armDebug: (exit, { armRegs }) => {
      t.is(classOf(exit.hsr), SOFTWARE_STEP);
      seen.push(armRegs.pc);
    },
  });
  exitOf(end, 'systemEvent');
  t.deepEqual(seen.slice(0, 4), [0x1004n, 0x1008n, 0x100cn, 0x1010n]);
});

test('step() gives a step as plain data', (t) => {
  const { vcpu } = bootArm(t, 'add-registers');
  vcpu.setGuestDebug({ singleStep: true });
  const exit = vcpu.step();
  t.deepEqual(Object.keys(exit), ['kind', 'hsr', 'far']);
  t.is(exit.kind, 'armDebug');
});

test('as many breakpoints as the host has', (t) => {
  const kvm = openKvm(t);
  t.is(kvm.getGuestDebugHwBps(), kvm.checkExtensionInt(Cap.DebugHwBps));
  t.is(kvm.getGuestDebugHwWps(), kvm.checkExtensionInt(Cap.DebugHwWps));
  t.true(kvm.getGuestDebugHwBps() >= 2);
  const { vcpu } = bootArm(t, 'add-registers');
  vcpu.setGuestDebug({ hardwareBreakpoints: [0x100c, 0x1004] });
  for (const at of [0x1004n, 0x100cn]) {
    exitOf(vcpu.run(), 'armDebug');
    t.is(vcpu.armRegs.pc, at);
    // The instruction itself, without the breakpoint that it has.
    vcpu.setGuestDebug({ singleStep: true });
    exitOf(vcpu.run(), 'armDebug');
    vcpu.setGuestDebug({ hardwareBreakpoints: [0x100c, 0x1004] });
  }
  exitOf(vcpu.run(), 'systemEvent');
  const all = Array.from({ length: kvm.getGuestDebugHwBps() }, (_, at) => 0x1000 + at * 4);
  t.notThrows(() => vcpu.setGuestDebug({ hardwareBreakpoints: all }));
  const tooMany = { hardwareBreakpoints: [...all, 0x2000] };
  t.throws(() => vcpu.setGuestDebug(tooMany), {
    code: all.length < 16 ? 'ERR_KVM_UNSUPPORTED' : 'ERR_OUT_OF_RANGE',
  });
});

// ---- exceptions that the host makes

test('no exception waits at first', (t) => {
  const { vcpu } = bootArm(t, 'exceptions');
  const events = vcpu.getArmVcpuEvents();
  t.like(events, { serrorPending: 0, extDabtPending: 0 });
  vcpu.setArmVcpuEvents(events);
  t.deepEqual(vcpu.getArmVcpuEvents(), events);
});

test('a system error reaches the guest when it lets it through', (t) => {
  const { vcpu } = bootArm(t, 'exceptions');
  vcpu.setArmVcpuEvents({ serrorPending: 1 });
  t.is(vcpu.getArmVcpuEvents().serrorPending, 1);
  t.like(exceptionIn(writesOf(vcpu)), { entry: 7, class: SERROR });
  t.is(vcpu.getArmVcpuEvents().serrorPending, 0);
});

test('a system error can have a syndrome, where the host’s can', (t) => {
  const { vm, vcpu } = bootArm(t, 'exceptions');
  const error = { serrorPending: 1, serrorHasEsr: 1, serrorEsr: 0x123 };
  if (!vm.checkExtension(Cap.ArmInjectSerrorEsr)) {
    t.is(t.throws<KvmError>(() => vcpu.setArmVcpuEvents(error), { code: 'ERR_KVM_IOCTL' })?.errno, 22);
    t.log('skipped: the host lacks KVM_CAP_ARM_INJECT_SERROR_ESR: its refusal was tested');
    return;
  }
  vcpu.setArmVcpuEvents(error);
  const report = exceptionIn(writesOf(vcpu));
  t.like(report, { entry: 7, class: SERROR });
  t.is(report!.iss & 0xff_ffff, 0x123);
});

test('a system error from a handler comes after its access', (t) => {
  const { vcpu } = bootArm(t, 'exceptions');
  const writes = new Map<number, bigint>();
  const end = vcpu.run({
    mmioRead: () => {
      vcpu.setArmVcpuEvents({ serrorPending: 1 });
      return 0x55;
    },
    mmioWrite: (exit) => {
      writes.set(exit.address, exit.value64);
      if (exit.address === REPORT) t.is(vcpu.armRegs.x1, 0x55n);
    },
  });
  exitOf(end, 'systemEvent');
  t.like(exceptionIn(writes), { entry: 7, class: SERROR });
});

test('an access that nobody can answer becomes an external abort', (t) => {
  const { vm, vcpu } = bootArm(t, 'exceptions');
  if (!vm.checkExtension(Cap.ArmInjectExtDabt)) {
    t.log('skipped: the host lacks KVM_CAP_ARM_INJECT_EXT_DABT');
    t.pass();
    return;
  }
  const writes = new Map<number, bigint>();
  const end = vcpu.run({
    mmioRead: () => vcpu.setArmVcpuEvents({ extDabtPending: 1 }),
    mmioWrite: (exit) => void writes.set(exit.address, exit.value64),
  });
  exitOf(end, 'systemEvent');
  const report = exceptionIn(writes);
  const EXTERNAL = 0x10;
  t.like(report, { entry: 4, class: DATA_ABORT, address: BigInt(OUTPUT + 4) });
  t.is(report!.iss & 0x3f, EXTERNAL);
});

test('an access that the processor does not describe can be aborted, too', (t) => {
  const { vm, vcpu } = bootArm(t, 'mmio-pair');
  if (!vm.checkExtension(Cap.ArmInjectExtDabt) || !vm.checkExtension(Cap.ArmNisvToUser)) {
    t.log('skipped: the host lacks KVM_CAP_ARM_INJECT_EXT_DABT or KVM_CAP_ARM_NISV_TO_USER');
    t.pass();
    return;
  }
  vm.enableCap(Cap.ArmNisvToUser);
  const writes = new Map<number, bigint>();
  const end = vcpu.run({
    armNisv: () => vcpu.setArmVcpuEvents({ extDabtPending: 1 }),
    mmioWrite: (exit) => void writes.set(exit.address, exit.value64),
  });
  exitOf(end, 'systemEvent');
  t.like(exceptionIn(writes), { entry: 4, class: DATA_ABORT, address: BigInt(OUTPUT) });
  // The guest finds the instruction itself.
  t.is(vcpu.armRegs.elrEl1, 0x1010n);
});

test('events that no processor has are refused, and change nothing', (t) => {
  const { vcpu } = bootArm(t, 'exceptions');
  t.throws(() => vcpu.setArmVcpuEvents({ serrorPending: 256 }), { code: 'ERR_OUT_OF_RANGE' });
  t.throws(() => vcpu.setArmVcpuEvents({ serrorPending: '1' } as never), { code: 'ERR_INVALID_ARG_TYPE' });
  t.throws(() => vcpu.setArmVcpuEvents({ serror: 1 } as never), { code: 'ERR_INVALID_ARG_VALUE' });
  t.throws(() => vcpu.setArmVcpuEvents(undefined as never), { code: 'ERR_INVALID_ARG_TYPE' });
  t.like(vcpu.getArmVcpuEvents(), { serrorPending: 0, extDabtPending: 0 });
});
