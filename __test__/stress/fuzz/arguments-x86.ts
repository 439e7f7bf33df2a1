/** What members take that deal with x86_64's state, with devices of the kernel and with descriptors. */
import * as fc from 'fast-check';
import { address, capability, data, flag, page, segment, u32, u64 } from './basics.ts';
import { hostile } from './hostile.ts';
import { from, listOf, oneOf, recipe, values, type Recipe } from './recipe.ts';
import { fields } from './record.ts';

type Args = readonly fc.Arbitrary<Recipe>[];
const nothing: Args = [];

/** A descriptor: of KVM's own ones, of others, and of none. */
export const descriptor = fc.constantFrom(
  recipe("the machine's descriptor", (world) => world.descriptor('vm')),
  recipe("the vCPU's descriptor", (world) => world.descriptor('vcpu')),
  recipe("KVM's descriptor", (world) => world.descriptor('kvm')),
  recipe('a high descriptor', () => 1_000_000),
);
const blob = fc.oneof(
  values(fc.constantFrom(new Uint8Array(4096), new Uint8Array(128), new Uint8Array(0))),
  data,
);
const gsiRoute = fc.oneof(
  fields(
    { type: oneOf('irqchip'), gsi: oneOf(0, 5, 30, 5000), irqchip: oneOf(0, 1, 2, 3), pin: oneOf(0, 7, 24) },
    ['type', 'gsi', 'irqchip', 'pin'],
  ),
  fields(
    { type: oneOf('msi'), gsi: oneOf(24, 4095), addressLow: u32, addressHigh: u32, data: u32, deviceId: u32 },
    ['type', 'gsi', 'addressLow', 'data'],
  ),
  fields({ type: oneOf('hvSint'), gsi: oneOf(24), vcpu: oneOf(0, 9), sint: oneOf(0, 15, 16) }, [
    'type',
    'gsi',
    'vcpu',
    'sint',
  ]),
);
const msrRange = fields(
  {
    base: oneOf(0, 0x174, 0xc000_0000, 0xffff_ffff),
    count: oneOf(1, 8, 9, 12_288),
    bitmap: values(fc.constantFrom(new Uint8Array(1), new Uint8Array(2), new Uint8Array(1536))),
    read: flag,
    write: flag,
  },
  ['base', 'count', 'bitmap'],
);
const sevPointer = fields({ offset: oneOf(0, 8, 16, 4088), guestAddress: address }, [
  'offset',
  'guestAddress',
]);

/** Of `Vm`. */
export const x86Vm = {
  createVcpuFromRawFd: [descriptor],
  createDevice: [oneOf(4, 4, 5, 7, 99)],
  hasDeviceType: [oneOf(4, 7, 99)],
  createGuestMemfd: [
    fields({ size: oneOf(0x1000, 0x8000, 2 ** 40), flags: oneOf(0, 1, 2n ** 63n) }, ['size']),
  ],
  setMemoryAttributes: [
    fields({ address: page, size: oneOf(0x1000, 0x2000), attributes: oneOf(0, 8, 8n, 1) }, [
      'address',
      'size',
      'attributes',
    ]),
  ],
  setGsiRouting: [listOf(gsiRoute)],
  setMsrFilter: [
    fc.oneof(
      fields({ defaultAction: oneOf('allow', 'deny'), ranges: listOf(msrRange, 3) }),
      from('{}', () => ({})),
    ),
  ],
  setUserSpaceMsr: [fields({ inval: flag, unknown: flag, filter: flag })],
  setXenHypercallExits: [flag, fields({ msr: oneOf(0, 0x4000_0000, 0x174) })],
  setHypercallExits: [listOf(oneOf(12, 12, 1, 30), 2)],
  createSplitIrqchip: [fields({ ioapicPins: oneOf(0, 24, 4096) })],
  encryptOp: nothing,
  encryptOpSev: [
    fields({ id: oneOf(0, 1, 3), data: blob, sevFd: oneOf(0, 1), pointers: listOf(sevPointer, 2) }, ['id']),
  ],
  registerEncMemoryRegion: [page, oneOf(0x1000, 0x8000)],
  unregisterEncMemoryRegion: [page, oneOf(0x1000, 0x8000)],
} satisfies Record<string, Args>;

/** Of `Vcpu`. */
export const x86Vcpu = {
  getFpu: nothing,
  setFpu: [fields({ fcw: oneOf(0x37f, 0xffff), xmm: listOf(data, 16), lastIp: u64 })],
  getXsave: nothing,
  setXsave: [blob],
  getXsave2: nothing,
  setXsave2: [blob],
  getXcrs: nothing,
  setXcrs: [fields({ nrXcrs: oneOf(0, 1, 16, 17), flags: oneOf(0, 1) })],
  getDebugRegs: nothing,
  setDebugRegs: [fields({ dr6: u64, dr7: oneOf(0x400, 2n ** 40n), db: listOf(u64, 4), flags: oneOf(0, 1) })],
  getSregs2: nothing,
  setSregs2: [
    fields({ cs: segment, cr0: u64, cr3: u64, efer: u64, flags: oneOf(0, 1), pdptrs: listOf(u64, 4) }),
  ],
  getNestedState: nothing,
  setNestedState: [blob],
  getVcpuEvents: nothing,
  setVcpuEvents: [
    fields({
      exception: fields({ injected: oneOf(0, 1), nr: oneOf(0, 6, 13, 31), hasErrorCode: oneOf(0, 1) }),
      nmi: fields({ pending: oneOf(0, 1), masked: oneOf(0, 1) }),
      flags: oneOf(0, 1, 4, 63),
    }),
  ],
  smi: nothing,
  interrupt: [oneOf(0x20, 0, 255)],
  requestInterruptWindow: [flag],
  setTprAccessReporting: [flag],
  setVapicAddress: [fc.oneof(oneOf(0), address)],
  kvmclockCtrl: nothing,
  setTscKhz: [oneOf(0, 1_000_000, 0xffff_ffff)],
  translateGva: [fc.oneof(address, u64)],
  enableCap: [capability, listOf(fc.oneof(oneOf(1n, 0), u64), 5), oneOf(0, 0, 1)],
} satisfies Record<string, Args>;

/** Of `KvmDevice`. */
export const kvmDevice = {
  new: [hostile, hostile, hostile],
  hasDeviceAttr: [oneOf(0, 1, 99), fc.oneof(oneOf(1, 2), u64)],
  setDeviceAttr: [oneOf(0, 1, 99), oneOf(1, 2, 2n ** 63n), fc.oneof(oneOf(undefined), data)],
  getDeviceAttr: [oneOf(0, 1, 99), oneOf(1, 2), oneOf(1, 4, 8, 4096)],
} satisfies Record<string, Args>;
