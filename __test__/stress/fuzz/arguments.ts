/** What each public member takes when somebody means it; the tests then spoil it. */
import * as fc from 'fast-check';
import { Cap } from 'vmhatch';
import { PAGE } from '../../helpers/page.ts';
import { arm64Vcpu, arm64Vm } from './arguments-arm64.ts';
import { binaryStats, extrasVcpu, extrasVm } from './arguments-extras.ts';
import { descriptor, kvmDevice, x86Vcpu, x86Vm } from './arguments-x86.ts';
import { address, capability, data, flag, length, page, segment, u32, u64, u8 } from './basics.ts';
import { act, action, hostile } from './hostile.ts';
import { from, listOf, oneOf, recipe, values, type Recipe } from './recipe.ts';
import { fields } from './record.ts';
import { keyText } from './surface.ts';
import { CallersOwnError } from './verdict.ts';

type Args = readonly fc.Arbitrary<Recipe>[];

const eventFd = from('eventFd', (world) => world.eventFd);
const msr = oneOf(0x10, 0x1b, 0xc000_0080, 0x174, 0xffff_ffff, 0x8b);
const timeout = oneOf(0, 0.5, 1, 2);
const state = fields({
  kind: oneOf('serial', 'cmos', 'i8042', 'debug-console', 'isa-debug-exit'),
  version: oneOf(0, 1, 2),
  data,
});
const cpuidEntry = fields({
  function: oneOf(0, 1, 7, 0x8000_0001),
  index: u32,
  flags: oneOf(0, 1),
  eax: u32,
  ebx: u32,
  ecx: u32,
  edx: u32,
});
const cpuidLeaf = oneOf(0, 1, 7, 0xb, 0xd, 0x4000_0001, 0x8000_0000, 0x8000_0001, 0xffff_ffff);
const cpuidIndex = oneOf(0, 1, 2, 0xffff_ffff);
const cpuidTable = fc.oneof(
  listOf(cpuidEntry),
  from('the table', (world) => world.cpuid),
);
const cpuidFeature = oneOf('sse4_2', 'nx', 'avx512_bf16', 'sse4.2');
/** A state as some device saved it, whole. */
const savedState = fc.constantFrom(
  recipe("the serial port's state", (world) => world.serial.save()),
  recipe("the debug console's state", (world) => world.debugConsole.save()),
  recipe("the debug exit's state", (world) => world.debugExit.save()),
  recipe("the i8042's state", (world) => world.i8042.save()),
  recipe("the CMOS's state", (world) => world.cmos.save()),
  recipe("the PL031's state", (world) => world.pl031.save()),
  recipe("the ACPI registers' state", (world) => world.acpiPower.save()),
  recipe("the pvpanic's state", (world) => world.pvpanic.save()),
  recipe("the boot timer's state", (world) => world.bootTimer.save()),
);

/** A handler that does something, and may answer anything. */
const handler = fc.tuple(fc.option(action, { freq: 4 }), hostile).map(([chosen, answer]) => {
  const text = `() => { ${chosen?.text ?? ''}; return ${answer.text} }`;
  return recipe(text, (world) => (): unknown => {
    if (chosen !== null) act(chosen, world);
    return answer.make(world);
  });
});
const handlers = fields({
  ioOut: handler,
  ioIn: handler,
  mmioRead: handler,
  mmioWrite: handler,
  hlt: handler,
});
const device = fc.oneof(
  fields({ read: handler, write: handler, read64: handler, write64: handler }),
  from('serial', (world) => world.serial),
  from('debugConsole', (world) => world.debugConsole),
  from('debugExit', (world) => world.debugExit),
  from('cmos', (world) => world.cmos),
);
const listener = fc.constantFrom(
  recipe('() => {}', () => () => undefined),
  recipe('a listener that throws', () => () => {
    throw new CallersOwnError('a listener');
  }),
);
const signal = fc.constantFrom(
  recipe('a signal', () => new AbortController().signal),
  recipe('a signal that soon fires', () => {
    const controller = new AbortController();
    setTimeout(() => controller.abort(new CallersOwnError('a signal')), 1);
    return controller.signal;
  }),
  recipe('half a signal', () => ({ aborted: false, addEventListener: () => undefined })),
);
const token = fc.oneof(
  from('the transferred token', (world) => world.transferred),
  from('the token', (world) => world.vcpu.kickHandle.token),
  from('the spare token', (world) => world.spareVcpu.kickHandle.token),
  fields({ vcpu: listOf(u32, 3), offer: u32 }),
);
const range = fields({
  base: oneOf(0, 0x3f8, 0x500, 0x600, 0xffff, 0x9000, 2 ** 40),
  length: oneOf(1, 2, 8, 0x100, 0xffff),
});
const postedPart = fields({ offset: oneOf(0, 1, 8), length: oneOf(1, 8, 9) });
const eventPlace = fc.oneof(
  from('{ port: 0x700 }', () => ({ port: 0x700 })),
  fields({ port: oneOf(0x500, 0x700) }),
  fields({ address: oneOf(0x9000, 0xa000) }),
  fields({ port: oneOf(1), address: oneOf(1) }),
);
const eventOptions = fc.oneof(oneOf(undefined), fields({ length: oneOf(0, 1, 2, 4, 8), datamatch: u64 }));
const nothing: Args = [];
const dispose = { '[Symbol.dispose]': nothing };
const closable = { close: nothing, ...dispose };
const offset = oneOf(0, 1, 4, 7, 8, 2 ** 32, 2 ** 52 - 1);
const accessSize = oneOf(1, 2, 4);
const rustDevice = {
  save: nothing,
  restore: [fc.oneof(state, savedState)],
  read: [offset, accessSize],
  write: [offset, oneOf(0, 1, 0xfe, 0xff, 0xffff), accessSize],
};
const stopping = { ...rustDevice, takeRequest: nothing };
const printing = { ...rustDevice, ...closable, takeOutput: nothing, listen: [listener], resume: nothing };

/** By class, then by member: `new`, methods, `static name`. Accessors take nothing. */
const table: Readonly<Record<string, Readonly<Record<string, Args>>>> = {
  Kvm: {
    new: [fields({ path: oneOf('/dev/kvm', '/dev/null', '/nowhere', '/', '/dev/zero'), closeOnExec: flag })],
    createVmFromRawFd: [descriptor],
    checkExtension: [capability],
    checkExtensionInt: [capability],
    getVcpuMmapSize: nothing,
    getNrVcpus: nothing,
    getMaxVcpus: nothing,
    getMaxVcpuId: nothing,
    getNrMemslots: nothing,
    getHostIpaLimit: nothing,
    getGuestDebugHwBps: nothing,
    getGuestDebugHwWps: nothing,
    getSupportedCpuid: nothing,
    getSupportedHvCpuid: nothing,
    getEmulatedCpuid: nothing,
    getMsrIndexList: nothing,
    getMsrFeatureIndexList: nothing,
    getMsrs: [listOf(msr)],
    createVm: [fields({ type: oneOf(0, 1) })],
    ...closable,
  },
  Vm: {
    new: [hostile, hostile],
    'static adopt': [hostile, hostile],
    createVcpu: [oneOf(0, 1, 2, 3, 255, 4096)],
    checkExtension: [capability],
    checkExtensionInt: [capability],
    enableCap: [
      fc.oneof(oneOf(Cap.X86UserSpaceMsr), capability),
      listOf(fc.oneof(oneOf(1n, 0), u64), 5),
      oneOf(0, 0, 1),
    ],
    ...arm64Vm,
    ...x86Vm,
    ...extrasVm,
    setTssAddress: [page],
    setIdentityMapAddress: [page],
    setEmptyBus: [flag],
    createIrqChip: nothing,
    createPit2: [fields({ speakerDummy: flag })],
    setIrqLine: [oneOf(0, 4, 23, 24), flag],
    getIrqchip: [oneOf(0, 1, 2, 3)],
    setIrqchip: [oneOf(0, 1, 2), values(fc.constantFrom(new Uint8Array(520), new Uint8Array(8)))],
    getPit2: nothing,
    setPit2: [fields({ flags: u32, channels: listOf(fields({ count: u32, mode: u8 }), 3) })],
    getClock: nothing,
    setClock: [fields({ clock: u64, flags: oneOf(0, 2), realtime: u64 })],
    registerIrqfd: [eventFd, oneOf(0, 4, 24), eventFd],
    unregisterIrqfd: [eventFd, oneOf(0, 4, 24)],
    registerIoevent: [eventFd, eventPlace, eventOptions],
    unregisterIoevent: [
      eventFd,
      fc.oneof(
        from('{ port: 0x700 }', () => ({ port: 0x700 })),
        eventPlace,
      ),
      fc.oneof(oneOf(undefined), eventOptions),
    ],
    signalMsi: [
      fields({ addressLow: oneOf(0xfee0_0000, 0), addressHigh: u32, data: u32, deviceId: u32 }, [
        'addressLow',
        'data',
      ]),
    ],
    ...closable,
  },
  Vcpu: {
    new: [hostile, hostile, hostile, hostile],
    'static adopt': [token],
    run: [handlers, fields({ timeoutMs: timeout, syncRegs: flag })],
    runSliced: [handlers, fields({ timeoutMs: timeout, syncRegs: flag, signal, budgetMs: timeout })],
    runInBackground: [handlers, fields({ timeoutMs: timeout, syncRegs: flag, signal, keepAlive: flag })],
    step: [fields({ timeoutMs: timeout })],
    exits: [fields({ timeoutMs: timeout })],
    complete: nothing,
    getRegs: nothing,
    setRegs: [fields({ rax: u64, rip: fc.oneof(address, u64), rflags: u64, rsp: u32 })],
    getSregs: nothing,
    setSregs: [
      fields({
        cs: segment,
        ss: segment,
        cr0: u64,
        cr3: u64,
        cr4: u64,
        efer: u64,
        interruptBitmap: listOf(u64, 4),
      }),
    ],
    getCpuid2: nothing,
    setCpuid2: [cpuidTable],
    getMsrs: [listOf(msr)],
    setMsrs: [listOf(fields({ index: msr, data: u64 }))],
    ...arm64Vcpu,
    ...x86Vcpu,
    ...extrasVcpu,
    getLapic: nothing,
    setLapic: [values(fc.constantFrom(new Uint8Array(1024), new Uint8Array(8)))],
    getTscKhz: nothing,
    getMpState: nothing,
    setMpState: [oneOf(0, 1, 2, 3, 4, 99)],
    setGuestDebug: [fields({ singleStep: flag, hardwareBreakpoints: listOf(u64) })],
    nmi: nothing,
    transfer: nothing,
    ...closable,
  },
  CpuidTable: {
    new: [cpuidTable],
    '[Symbol.iterator]': nothing,
    toJSON: nothing,
    find: [cpuidLeaf, cpuidIndex],
    get: [cpuidLeaf, cpuidIndex],
    set: [cpuidLeaf, fields({ eax: u32, ebx: u32, ecx: u32, edx: u32 }), cpuidIndex],
    delete: [cpuidLeaf, cpuidIndex],
    intersect: [cpuidTable],
    feature: [cpuidFeature],
    setFeature: [cpuidFeature, flag],
  },
  BinaryStats: { new: [hostile, hostile], ...binaryStats },
  KvmDevice: { ...kvmDevice, ...closable },
  GuestMemfd: { new: [hostile, hostile, hostile], ...closable },
  GuestMemory: {
    new: [hostile, hostile, hostile],
    map: [
      fields(
        {
          guestAddress: page,
          // A few terabytes would be granted, and cost the kernel gigabytes for its own tables.
          size: oneOf(PAGE, 2 * PAGE, 0x40_0000, 2 ** 43, 2 ** 46, 2 ** 51),
          backing: fc.oneof(
            oneOf('anonymous', 'memfd'),
            fields({ path: oneOf('/dev/zero', '/proc/self/exe', '/', '/nowhere'), offset: page }),
          ),
          shared: flag,
          readOnly: flag,
          logDirtyPages: flag,
          hugePages: flag,
          smm: flag,
          slot: oneOf(0, 5, 6, 0x7fff),
          guestMemfd: fc.oneof(
            oneOf(undefined, undefined, undefined),
            from('private memory', (world) => world.guestMemfd),
          ),
          guestMemfdOffset: oneOf(0, PAGE),
        },
        ['guestAddress', 'size'],
      ),
    ],
    read: [address, length],
    readInto: [address, data],
    write: [address, data],
    fill: [address, length, u8],
    find: [fc.oneof(data, oneOf('a', 'kvm')), fields({ start: address, end: address })],
    view: [address, length, fields({ readOnly: flag })],
    readUint8: [address],
    readUint16: [address],
    readUint32: [address],
    readBigUint64: [address],
    writeUint8: [address, u8],
    writeUint16: [address, u8],
    writeUint32: [address, u32],
    writeBigUint64: [address, u64],
  },
  MemoryRegion: {
    new: [hostile, hostile, hostile, hostile],
    dirtyPages: [fields({ reset: flag })],
    unmap: nothing,
    ...dispose,
  },
  Bus: {
    new: [hostile, hostile, hostile],
    attach: [range, device, fields({ posted: fc.oneof(flag, postedPart) })],
  },
  Attachment: { new: [hostile, hostile, hostile], detach: nothing, ...dispose },
  EventFd: {
    new: [u32, fields({ semaphore: flag })],
    read: nothing,
    write: [fc.oneof(u32, u64)],
    ...closable,
  },
  KickHandle: { new: [hostile, hostile], 'static from': [token], kick: nothing },
  KvmError: {
    new: [
      oneOf('ERR_KVM_CLOSED'),
      oneOf('why'),
      fields({ errno: u32, syscall: oneOf('KVM_RUN'), cause: hostile }),
    ],
  },
  RustDevice: { new: [hostile, hostile], ...rustDevice },
  Serial: {
    new: [fields({ onOutput: listener, interrupt: eventFd })],
    input: [fc.oneof(data, oneOf('text', ''))],
    ...printing,
  },
  DebugConsole: {
    new: [fields({ onOutput: listener, readback: u8 })],
    ...printing,
  },
  AcpiPower: { new: nothing, ...stopping },
  PvPanic: { new: nothing, ...stopping },
  BootTimer: { new: nothing, restart: nothing, ...rustDevice },
  InterruptLine: {
    new: [hostile, hostile, hostile],
    'static make': [oneOf(5, 23, 24), hostile],
    raise: nothing,
    set: [flag],
  },
  DebugExit: { new: nothing, ...stopping },
  I8042: { new: nothing, ...stopping },
  Cmos: { new: [fields({ memorySize: oneOf(0, 2 ** 30, 2 ** 52), time: values(fc.date()) })], ...rustDevice },
  Pl031: { new: [fields({ time: values(fc.date()), interrupt: eventFd })], ...rustDevice },
};

/** The arguments of a member, or undefined when nobody has said what it takes. */
export function argumentsOf(owner: string, kind: string, key: string | symbol): Args | undefined {
  if (kind === 'getter') return nothing;
  const name = keyText(key);
  const given = table[owner]?.[kind === 'constructor' ? 'new' : kind === 'static' ? `static ${name}` : name];
  return given ?? (kind === 'setter' ? [hostile] : undefined);
}
