/** Objects after their end: typed errors, quiet second closes, and nothing that crashes. */
import test, { type ExecutionContext } from 'ava';

import {
  DebugConsole,
  EventFd,
  KickHandle,
  Kvm,
  KvmError,
  Serial,
  Vcpu,
  type MemoryRegion,
  type Vm,
} from '../../index.ts';
import { expectEnd, hasKvm } from '../helpers/child-program.ts';
import {
  OUTPUT,
  boot,
  ended,
  enter,
  getRegister,
  load,
  onArm,
  setRegisters,
} from '../helpers/common-guests.ts';
import { RAM_SIZE } from '../helpers/machine.ts';
import { PAGE } from '../helpers/page.ts';

interface World {
  kvm: Kvm;
  vm: Vm;
  vcpu: Vcpu;
  region: MemoryRegion;
  event: EventFd;
}

function world(t: ExecutionContext): World {
  const kvm = new Kvm();
  const vm = kvm.createVm();
  t.teardown(() => {
    vm.close();
    kvm.close();
  });
  const region = vm.memory.map({ guestAddress: 0, size: RAM_SIZE, logDirtyPages: true });
  load(vm, 'mmio-storm');
  const vcpu = vm.createVcpu();
  enter(vcpu, 'mmio-storm');
  return { kvm, vm, vcpu, region, event: new EventFd() };
}

type Uses = Record<string, () => unknown>;

async function allClosed(t: ExecutionContext, uses: Uses): Promise<void> {
  for (const [name, use] of Object.entries(uses)) {
    try {
      await use();
      t.fail(`${name} did not throw`);
    } catch (error) {
      t.true(error instanceof KvmError, `${name}: ${String(error)}`);
      t.is((error as KvmError).code, 'ERR_KVM_CLOSED', name);
    }
  }
}

function kvmUses(kvm: Kvm): Uses {
  return {
    apiVersion: () => kvm.apiVersion,
    checkExtension: () => kvm.checkExtension(1),
    checkExtensionInt: () => kvm.checkExtensionInt(1),
    getVcpuMmapSize: () => kvm.getVcpuMmapSize(),
    getNrVcpus: () => kvm.getNrVcpus(),
    getMaxVcpus: () => kvm.getMaxVcpus(),
    getMaxVcpuId: () => kvm.getMaxVcpuId(),
    getNrMemslots: () => kvm.getNrMemslots(),
    createVm: () => kvm.createVm(),
    ...(onArm
      ? { getHostIpaLimit: () => kvm.getHostIpaLimit() }
      : {
          getSupportedCpuid: () => kvm.getSupportedCpuid(),
          getEmulatedCpuid: () => kvm.getEmulatedCpuid(),
          getMsrIndexList: () => kvm.getMsrIndexList(),
          getMsrFeatureIndexList: () => kvm.getMsrFeatureIndexList(),
          getMsrs: () => kvm.getMsrs([0x10]),
        }),
  };
}

function vmUses({ vm, event }: World): Uses {
  return {
    createVcpu: () => vm.createVcpu(),
    checkExtension: () => vm.checkExtension(1),
    enableCap: () => vm.enableCap(1),
    setIrqLine: () => vm.setIrqLine(1, true),
    registerIrqfd: () => vm.registerIrqfd(event, 1),
    unregisterIrqfd: () => vm.unregisterIrqfd(event, 1),
    registerIoevent: () => vm.registerIoevent(event, { port: 1 }),
    unregisterIoevent: () => vm.unregisterIoevent(event, { port: 1 }),
    signalMsi: () => vm.signalMsi({ addressLow: 0xfee0_0000, data: 0 }),
    getDirtyLog: () => vm.getDirtyLog(0),
    clearDirtyLog: () => vm.clearDirtyLog({ slot: 0, bitmap: new BigUint64Array(1) }),
    enableDirtyRing: () => vm.enableDirtyRing({ entries: 256 }),
    harvestDirtyRings: () => vm.harvestDirtyRings(),
    resetDirtyRings: () => vm.resetDirtyRings(),
    enableManualDirtyLogProtect: () => vm.enableManualDirtyLogProtect(),
    binaryStats: () => vm.binaryStats(),
    'io.attach': () => vm.io.attach({ base: 1, length: 1 }, {}),
    'io.attach of a Rust device': () => vm.io.attach({ base: 1, length: 8 }, new Serial()),
    'mmio.attach': () => vm.mmio.attach({ base: 1, length: 1 }, {}),
    'memory.map': () => vm.memory.map({ guestAddress: 0, size: PAGE }),
    'memory.read': () => vm.memory.read(0x1000, 1),
    'memory.readInto': () => vm.memory.readInto(0x1000, new Uint8Array(1)),
    'memory.write': () => vm.memory.write(0x1000, new Uint8Array(1)),
    'memory.fill': () => vm.memory.fill(0x1000, 1),
    'memory.find': () => vm.memory.find('a'),
    'memory.view': () => vm.memory.view(0x1000, 1),
    'memory.readUint8': () => vm.memory.readUint8(0x1000),
    'memory.writeBigUint64': () => vm.memory.writeBigUint64(0x1000, 1n),
    ...(onArm ? armVmUses(vm) : x86VmUses(vm)),
  };
}

const x86VmUses = (vm: Vm): Uses => ({
  setTssAddress: () => vm.setTssAddress(0x1000),
  setIdentityMapAddress: () => vm.setIdentityMapAddress(0x1000),
  createIrqChip: () => vm.createIrqChip(),
  createPit2: () => vm.createPit2(),
  getIrqchip: () => vm.getIrqchip(0),
  setIrqchip: () => vm.setIrqchip(0, new Uint8Array(520)),
  getPit2: () => vm.getPit2(),
  setPit2: () => vm.setPit2({}),
  getClock: () => vm.getClock(),
  setClock: () => vm.setClock({}),
  setXenHypercallExits: () => vm.setXenHypercallExits(true),
  configureX86: () => vm.configureX86({}),
});

const armVmUses = (vm: Vm): Uses => ({
  getPreferredTarget: () => vm.getPreferredTarget(),
  createDevice: () => vm.createDevice(7),
  hasDeviceAttr: () => vm.hasDeviceAttr(0, 0),
  setDeviceAttr: () => vm.setDeviceAttr(0, 0),
});

function vcpuUses(vcpu: Vcpu): Uses {
  return {
    run: () => vcpu.run(),
    step: () => vcpu.step(),
    exits: () => [...vcpu.exits()],
    runSliced: () => vcpu.runSliced(),
    runInBackground: () => vcpu.runInBackground(),
    complete: () => vcpu.complete(),
    'a register': () => getRegister(vcpu, 'value'),
    'a register =': () => setRegisters(vcpu, { value: 1 }),
    preFaultMemory: () => vcpu.preFaultMemory({ address: 0, size: PAGE }),
    'binaryStats of a vCPU': () => vcpu.binaryStats(),
    getMpState: () => vcpu.getMpState(),
    setMpState: () => vcpu.setMpState(0),
    setGuestDebug: () => vcpu.setGuestDebug(),
    transfer: () => vcpu.transfer(),
    ...(onArm ? armVcpuUses(vcpu) : x86VcpuUses(vcpu)),
  };
}

const x86VcpuUses = (vcpu: Vcpu): Uses => ({
  getRegs: () => vcpu.getRegs(),
  setRegs: () => vcpu.setRegs({ rax: 1 }),
  getSregs: () => vcpu.getSregs(),
  setSregs: () => vcpu.setSregs({}),
  getTscOffset: () => vcpu.getTscOffset(),
  setTscOffset: () => vcpu.setTscOffset(0n),
  enforcePvFeatureCpuid: () => vcpu.enforcePvFeatureCpuid(),
  getCpuid2: () => vcpu.getCpuid2(),
  setCpuid2: () => vcpu.setCpuid2([]),
  getMsrs: () => vcpu.getMsrs([0x10]),
  setMsrs: () => vcpu.setMsrs([]),
  nmi: () => vcpu.nmi(),
  setTprAccessReporting: () => vcpu.setTprAccessReporting(true),
  setVapicAddress: () => vcpu.setVapicAddress(0),
});

const armVcpuUses = (vcpu: Vcpu): Uses => ({
  vcpuInit: () => vcpu.vcpuInit({ target: 5, features: [] }),
  vcpuFinalize: () => vcpu.vcpuFinalize(4),
  getRegList: () => vcpu.getRegList(),
  getOneReg: () => vcpu.getOneReg(0n),
  setOneReg: () => vcpu.setOneReg(0n, 0n),
  getArmVcpuEvents: () => vcpu.getArmVcpuEvents(),
  setArmVcpuEvents: () => vcpu.setArmVcpuEvents({}),
  setDeviceAttr: () => vcpu.setDeviceAttr(0, 0),
});

test('a closed Kvm says so; its machines live on', async (t) => {
  if (!hasKvm(t)) return;
  const { kvm, vcpu } = world(t);
  kvm.close();
  kvm.close();
  kvm[Symbol.dispose]();
  t.true(kvm.closed);
  await allClosed(t, kvmUses(kvm));
  t.is(vcpu.run().reason, 'exit');
});

test('a closed Vm says so, and so does all that belongs to it', async (t) => {
  if (!hasKvm(t)) return;
  const all = world(t);
  const { vm, vcpu, region } = all;
  const view = vm.memory.view(0x1000, 0x100);
  const stopped = vcpu.step();
  const attachment = vm.io.attach({ base: 0x3f8, length: 8 }, new Serial());
  const device = vm.mmio.attach({ base: 0x10_0000, length: 8 }, {});
  vm.close();
  vm.close();
  vm[Symbol.dispose]();
  t.true(vm.closed && vcpu.closed && region.closed);
  t.is(view.length, 0);
  t.is(stopped.kind, 'mmioWrite');
  t.deepEqual(vm.memory.regions, []);
  await allClosed(t, { ...vmUses(all), ...vcpuUses(vcpu), dirtyPages: () => region.dirtyPages() });
  // What only gives back is quiet.
  attachment.detach();
  device[Symbol.dispose]();
  region.unmap();
  vcpu.close();
  vcpu.kickHandle.kick();
  KickHandle.from(vcpu.kickHandle.token).kick();
  t.is(vcpu.stats.exits, 0);
});

test('a closed Vcpu says so; its machine and its siblings live on', async (t) => {
  if (!hasKvm(t)) return;
  const { vm, vcpu } = world(t);
  const { token } = vcpu.kickHandle;
  vcpu.close();
  vcpu.close();
  vcpu[Symbol.dispose]();
  await allClosed(t, vcpuUses(vcpu));
  t.throws(() => Vcpu.adopt({ ...token, offer: 1 }), { code: 'ERR_KVM_TOKEN' });
  const sibling = vm.createVcpu(5);
  enter(sibling, 'mmio-storm');
  t.is(sibling.run().reason, 'exit');
});

test('a transferred Vcpu belongs to whoever adopts it, once', async (t) => {
  if (!hasKvm(t)) return;
  const { vcpu } = world(t);
  const token = vcpu.transfer();
  for (const [name, use] of Object.entries(vcpuUses(vcpu))) {
    await t.throwsAsync(async () => use(), { code: 'ERR_KVM_TRANSFERRED' }, name);
  }
  const adopted = Vcpu.adopt(token);
  t.throws(() => Vcpu.adopt(token), { code: 'ERR_KVM_TOKEN' });
  // Closing what was given away takes nothing from the new owner.
  vcpu.close();
  t.is(adopted.run().reason, 'exit');
});

test('an unmapped region says so and empties its windows; the others live on', (t) => {
  if (!hasKvm(t)) return;
  const { vm, region } = world(t);
  const other = vm.memory.map({ guestAddress: 0x10_0000, size: PAGE });
  const [gone, stays] = [vm.memory.view(0x1000, 16), vm.memory.view(0x10_0000, 16)];
  region.unmap();
  region.unmap();
  region[Symbol.dispose]();
  t.true(region.closed);
  t.false(other.closed);
  t.deepEqual([gone.length, stays.length], [0, 16]);
  t.throws(() => region.dirtyPages(), { code: 'ERR_KVM_CLOSED' });
  t.throws(() => vm.memory.read(0x1000, 1), { code: 'ERR_KVM_MEMORY_BOUNDS' });
  t.deepEqual(vm.memory.regions, [other]);
});

test('a closed EventFd says so; what was registered with it keeps its own', async (t) => {
  if (!hasKvm(t)) return;
  const { vm, event } = world(t);
  vm.registerIoevent(event, { address: OUTPUT });
  const serial = new Serial({ interrupt: event });
  event.close();
  event.close();
  event[Symbol.dispose]();
  t.true(event.closed);
  await allClosed(t, {
    read: () => event.read(),
    write: () => event.write(),
    fd: () => event.fd,
    registerIrqfd: () => vm.registerIrqfd(event, 1),
    registerIoevent: () => vm.registerIoevent(event, { address: OUTPUT + 8 }),
    'interrupt of a Serial': () => new Serial({ interrupt: event }),
  });
  t.is(serial.input('a'), 1);
});

test('a Rust device that no longer listens keeps its output to be taken', (t) => {
  if (!hasKvm(t)) return;
  const { vm, vcpu } = boot(t, 'mmio-burst', { regs: { value: 0x41, step: 1 } });
  const heard: number[] = [];
  const debug = new DebugConsole({ onOutput: (bytes) => heard.push(...bytes) });
  vm.mmio.attach({ base: OUTPUT, length: 4 }, debug);
  ended(vcpu.run({ mmioWrite: () => undefined }));
  debug.close();
  debug.close();
  enter(vcpu, 'mmio-burst', { value: 0x42, step: 1 });
  ended(vcpu.run({ mmioWrite: () => undefined }));
  t.deepEqual(heard, [0x41]);
  t.deepEqual([...debug.takeOutput()], [0x42]);
});

test('a panic in native code is an error, and the process lives', async (t) => {
  if (!hasKvm(t)) return;
  const { stdout } = await expectEnd(t, ['mishaps', 'panic'], 0);
  t.is(stdout, 'ERR_KVM_INTERNAL a panic in native code: on purpose\nexit\n');
});

test('a listener or device that throws holds up nobody else', async (t) => {
  if (!hasKvm(t)) return;
  const { stdout } = await expectEnd(t, ['mishaps', 'a listener that throws'], 0);
  t.is(stdout, 'others went on true\nkicked kicked\n');
});
