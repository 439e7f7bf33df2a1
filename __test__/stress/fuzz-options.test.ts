/** Mistyped options: the message names the one that was meant. */
import test from 'ava';
import * as fc from 'fast-check';
import { Cmos, DebugConsole, EventFd, Kvm, Serial } from 'vmhatch';
import { rounds } from './fuzz/rounds.ts';
import { share } from './fuzz/settings.ts';
import { outcomeOf } from './fuzz/verdict.ts';
import { World } from './fuzz/world.ts';

/** Every options object of the API: its keys, and a call that takes it. */
const calls: Readonly<
  Record<string, readonly [keys: readonly string[], call: (world: World, options: never) => unknown]>
> = {
  'new Kvm': [['path', 'closeOnExec'], (_, options) => new Kvm(options)],
  'Kvm.createVm': [['type'], (world, options) => world.kvm.createVm(options)],
  'Vm.createPit2': [['speakerDummy'], (world, options) => world.vm.createPit2(options)],
  'Vm.registerIoevent at': [
    ['port', 'address'],
    (world, options) => world.vm.registerIoevent(world.eventFd, options),
  ],
  'Vm.registerIoevent': [
    ['length', 'datamatch'],
    (world, options) => world.vm.registerIoevent(world.eventFd, { port: 1 }, options),
  ],
  'Vm.setMsrFilter': [['defaultAction', 'ranges'], (world, options) => world.vm.setMsrFilter(options)],
  'Vm.setMsrFilter range': [
    ['base', 'count', 'bitmap', 'read', 'write'],
    (world, options) => world.vm.setMsrFilter({ ranges: [options] }),
  ],
  'Vm.setUserSpaceMsr': [
    ['inval', 'unknown', 'filter'],
    (world, options) => world.vm.setUserSpaceMsr(options),
  ],
  'Vm.createSplitIrqchip': [['ioapicPins'], (world, options) => world.vm.createSplitIrqchip(options)],
  'Vm.createGuestMemfd': [['size', 'flags'], (world, options) => world.vm.createGuestMemfd(options)],
  'Vm.setMemoryAttributes': [
    ['address', 'size', 'attributes'],
    (world, options) => world.vm.setMemoryAttributes(options),
  ],
  'Vm.encryptOpSev': [
    ['id', 'data', 'sevFd', 'pointers'],
    (world, options) => world.vm.encryptOpSev(options),
  ],
  'Vm.signalMsi': [
    ['addressLow', 'addressHigh', 'data', 'deviceId'],
    (world, options) => world.vm.signalMsi(options),
  ],
  'Vm.setClock': [['clock', 'flags', 'realtime'], (world, options) => world.vm.setClock(options)],
  'Vcpu.run': [['timeoutMs', 'syncRegs'], (world, options) => world.vcpu.run({}, options)],
  'Vcpu.run handlers': [
    ['ioOut', 'ioIn', 'mmioRead', 'mmioWrite', 'hlt', 'shutdown', 'internalError'],
    (world, options) => world.vcpu.run(options, { timeoutMs: 1 }),
  ],
  'Vcpu.runSliced': [
    ['timeoutMs', 'syncRegs', 'signal', 'budgetMs'],
    (world, options) => world.vcpu.runSliced({}, options),
  ],
  'Vcpu.runInBackground': [
    ['timeoutMs', 'syncRegs', 'signal'],
    (world, options) => world.vcpu.runInBackground({}, options),
  ],
  'Vcpu.step': [['timeoutMs'], (world, options) => world.vcpu.step(options)],
  'Vcpu.exits': [['timeoutMs'], (world, options) => world.vcpu.exits(options).next()],
  'Vcpu.setGuestDebug': [
    ['singleStep', 'hardwareBreakpoints'],
    (world, options) => world.vcpu.setGuestDebug(options),
  ],
  'Vcpu.setRegs': [['rax', 'rflags', 'r15', 'rip'], (world, options) => world.vcpu.setRegs(options)],
  'Vcpu.setSregs': [
    ['efer', 'interruptBitmap', 'apicBase'],
    (world, options) => world.vcpu.setSregs(options),
  ],
  'Vcpu.setSregs2': [['efer', 'pdptrs', 'apicBase'], (world, options) => world.vcpu.setSregs2(options)],
  'Vcpu.setFpu': [['mxcsr', 'lastIp', 'ftwx'], (world, options) => world.vcpu.setFpu(options)],
  'Vcpu.setVcpuEvents': [
    ['exception', 'interrupt', 'sipiVector', 'tripleFault'],
    (world, options) => world.vcpu.setVcpuEvents(options),
  ],
  'GuestMemory.map': [
    ['guestAddress', 'size', 'backing', 'shared', 'readOnly', 'logDirtyPages', 'slot', 'guestMemfd'],
    (world, options) => world.vm.memory.map(options),
  ],
  'GuestMemory.find': [['start', 'end'], (world, options) => world.vm.memory.find('a', options)],
  'GuestMemory.view': [['readOnly'], (world, options) => world.vm.memory.view(0, 1, options)],
  'MemoryRegion.dirtyPages': [['reset'], (world, options) => world.region.dirtyPages(options)],
  'Vm.enableDirtyRing': [['entries', 'whenFull'], (world, options) => world.vm.enableDirtyRing(options)],
  'Vm.clearDirtyLog': [
    ['slot', 'firstPage', 'pages', 'bitmap'],
    (world, options) => world.vm.clearDirtyLog(options),
  ],
  'Vm.configureX86': [
    ['maxVcpuId', 'disableQuirks', 'disableExits', 'busLockExit'],
    (world, options) => world.vm.configureX86(options),
  ],
  'Vcpu.preFaultMemory': [['address', 'size'], (world, options) => world.vcpu.preFaultMemory(options)],
  'Bus.attach range': [['base', 'length'], (world, options) => world.vm.io.attach(options, {})],
  'Bus.attach': [['posted'], (world, options) => world.vm.io.attach({ base: 1, length: 1 }, {}, options)],
  'new EventFd': [['semaphore'], (_, options) => new EventFd(0, options)],
  'new Serial': [['onOutput', 'interrupt'], (_, options) => new Serial(options)],
  'new DebugConsole': [['onOutput', 'readback'], (_, options) => new DebugConsole(options)],
  'new Cmos': [['memorySize', 'time'], (_, options) => new Cmos(options)],
};

type Edit = 'drop' | 'double' | 'swap' | 'replace';

/** One slip of the finger. */
function mistype(key: string, edit: Edit, where: number): string {
  const at = where % key.length;
  switch (edit) {
    case 'drop':
      return key.slice(0, at) + key.slice(at + 1);
    case 'double':
      return key.slice(0, at + 1) + key.slice(at);
    case 'swap':
      return key.slice(0, at) + (key[at + 1] ?? 'x') + key[at]! + key.slice(at + 2);
    default:
      return `${key.slice(0, at)}x${key.slice(at + 1)}`;
  }
}

const slip = fc.constantFrom(...Object.keys(calls)).chain((name) =>
  fc.record({
    name: fc.constant(name),
    key: fc.constantFrom(...calls[name]![0]),
    edit: fc.constantFrom<Edit[]>('drop', 'double', 'swap', 'replace'),
    where: fc.nat(20),
  }),
);

test('an unknown option is refused, and the nearest known one named', async (t) => {
  t.timeout(86_400_000);
  const world = new World();
  try {
    await rounds(t, share(0.03), async (count, parameters) => {
      const property = fc.asyncProperty(slip, async ({ name, key, edit, where }) => {
        const [keys, call] = calls[name]!;
        const wrong = mistype(key, edit, where);
        count(1);
        if (keys.includes(wrong)) return;
        const outcome = await outcomeOf(() => call(world, { [wrong]: undefined } as never));
        const { code, message } = ('error' in outcome ? outcome.error : {}) as {
          code?: unknown;
          message?: string;
        };
        if (code !== 'ERR_INVALID_ARG_VALUE')
          throw new Error(`${name} with ${wrong} gave ${String(code)}: ${message}`);
        if (message?.includes(wrong) !== true) throw new Error(`not named: ${message}`);
        // Of a short name, one slip leaves another word.
        if (key.length > 4 && !/did you mean '\w+'\?/.test(message))
          throw new Error(`no name is offered: ${message}`);
      });
      await fc.assert(property, parameters);
    });
  } finally {
    world.close();
  }
  t.pass();
});
