/** What members take that deal with dirty memory, statistics, and what newer hosts offer. */
import * as fc from 'fast-check';
import { PAGE } from '../../helpers/page.ts';
import { flag, page, u64 } from './basics.ts';
import { listOf, oneOf, values, type Recipe } from './recipe.ts';
import { fields } from './record.ts';

type Args = readonly fc.Arbitrary<Recipe>[];
const nothing: Args = [];

const slot = oneOf(0, 1, 2, 0x7fff);
const bitmap = values(
  fc.constantFrom<ArrayBufferView[]>(
    new BigUint64Array(1).fill(2n ** 64n - 1n),
    new BigUint64Array(64),
    new Uint8Array(9),
    new Uint8Array(0),
  ),
);
const words = values(fc.constantFrom(new BigUint64Array(1), new BigUint64Array(60), new BigUint64Array(0)));

export const extrasVm: Readonly<Record<string, Args>> = {
  getDirtyLog: [slot, fc.oneof(oneOf(undefined, undefined), words)],
  enableManualDirtyLogProtect: [fields({ initiallySet: flag })],
  clearDirtyLog: [
    fields({ slot, bitmap, firstPage: oneOf(0, 1, 64, 2 ** 31 - 1), pages: oneOf(1, 2, 64, 2 ** 31 - 1) }, [
      'slot',
      'bitmap',
    ]),
  ],
  enableDirtyRing: [
    fields(
      { entries: oneOf(1024, 1024, 4096, 4096, 256, 64, 1000, 2 ** 27), whenFull: oneOf('collect', 'exit') },
      ['entries'],
    ),
  ],
  harvestDirtyRings: nothing,
  resetDirtyRings: nothing,
  binaryStats: nothing,
  configureX86: [
    fields({
      apicBusCyclesNs: oneOf(1, 10, 0xffff_ffff),
      disablePmu: oneOf(true),
      disableNxHugePages: oneOf(true),
      disableExits: listOf(oneOf('mwait', 'hlt', 'pause', 'cstate', 'aperfmperf')),
      maxVcpuId: oneOf(1, 8, 4096, 0xffff_ffff),
      notifyExit: fields({ window: oneOf(0, 0xffff_ffff), exit: flag }),
      busLockExit: flag,
      disableQuirks: listOf(oneOf('lint0Reenabled', 'slotZapAll', 'ignoreGuestPat')),
      exitOnEmulationFailure: flag,
      tripleFaultEvent: flag,
      x2apic: fields({ use32BitIds: flag, disableBroadcastQuirk: flag }),
    }),
  ],
};

export const extrasVcpu: Readonly<Record<string, Args>> = {
  binaryStats: nothing,
  preFaultMemory: [fields({ address: page, size: oneOf(PAGE, 8 * PAGE, 2 ** 40) }, ['address', 'size'])],
  getTscOffset: nothing,
  setTscOffset: [fc.oneof(u64, oneOf(0, -1, -(2n ** 63n)))],
  enforcePvFeatureCpuid: nothing,
};

export const binaryStats: Readonly<Record<string, Args>> = {
  read: nothing,
  readValues: [fc.oneof(oneOf(undefined, undefined), words)],
};
