/** What vCPUs are told about themselves: topology and clocks are changed, nothing else. */
import test from 'ava';
import * as fc from 'fast-check';

import type { CpuidEntry } from '../../index.ts';
import { machineCpuid } from '../../lib/machine/cpuid.ts';

const HAS_INDEX = 1;

function entry(leaf: number, [eax, ebx, ecx, edx]: readonly number[], index = -1): CpuidEntry {
  const sub = { index: Math.max(0, index), flags: index < 0 ? 0 : HAS_INDEX };
  return { function: leaf, ...sub, eax: eax!, ebx: ebx!, ecx: ecx!, edx: edx! };
}

/** What a KVM on a Sapphire Rapids says, abridged: the host's own topology is in it, which no guest shall see. */
const INTEL: readonly CpuidEntry[] = [
  entry(0, [0x20, 0x756e_6547, 0x6c65_746e, 0x4965_6e69]),
  entry(1, [0x0008_06f8, 0x2a40_0800, 0xf7fa_3223, 0x1f8b_fbff]),
  entry(2, [0x00fe_ff01, 0xf0, 0, 0]),
  // 48 KiB of data, 32 KiB of instructions, 2 MiB, 105 MiB, no more.
  entry(4, [0xfc00_4121, 0x02c0_003f, 0x3f, 0], 0),
  entry(4, [0xfc00_4122, 0x01c0_003f, 0x3f, 0], 1),
  entry(4, [0xfc00_4143, 0x03c0_003f, 0x7ff, 0], 2),
  entry(4, [0xfc0f_c163, 0x0380_003f, 0x1_bfff, 4], 3),
  entry(4, [0, 0, 0, 0], 4),
  entry(7, [2, 0xf1bf_27eb, 0x1b41_5f6e, 0xbfc1_0410], 0),
  entry(0xa, [0x0830_0802, 0, 0, 0x8603]),
  entry(0xb, [1, 2, 0x100, 42], 0),
  entry(0xb, [7, 96, 0x201, 42], 1),
  entry(0xd, [0x2e7, 0xa88, 0x2b00, 0], 0),
  entry(0x15, [2, 168, 25_000_000, 0]),
  entry(0x16, [2100, 3800, 100, 0]),
  entry(0x1f, [1, 2, 0x100, 42], 0),
  entry(0x1f, [7, 96, 0x201, 42], 1),
  entry(0x4000_0000, [0x4000_0001, 0x4b4d_564b, 0x564b_4d56, 0x4d]),
  entry(0x4000_0001, [0x0100_7efb, 0, 0, 0]),
  entry(0x8000_0000, [0x8000_0008, 0, 0, 0]),
  entry(0x8000_0001, [0, 0, 0x121, 0x2c10_0800]),
  entry(0x8000_0008, [0x3934, 0x200, 0, 0]),
];

/** Likewise, on a Zen 3. */
const AMD: readonly CpuidEntry[] = [
  entry(0, [0x10, 0x6874_7541, 0x444d_4163, 0x6974_6e65]),
  entry(1, [0x00a2_0f12, 0x0b18_0800, 0xfef8_3203, 0x178b_fbff]),
  entry(7, [0, 0x219c_91a9, 0x0040_0684, 0x10], 0),
  entry(0xb, [1, 2, 0x100, 11], 0),
  entry(0xb, [5, 24, 0x201, 11], 1),
  entry(0xd, [0x207, 0x340, 0x988, 0], 0),
  entry(0x4000_0000, [0x4000_0001, 0x4b4d_564b, 0x564b_4d56, 0x4d]),
  entry(0x4000_0001, [0x0100_7efb, 0, 0, 0]),
  entry(0x8000_0000, [0x8000_0021, 0x6874_7541, 0x444d_4163, 0x6974_6e65]),
  entry(0x8000_0001, [0x00a2_0f12, 0x2000_0000, 0x0040_03f3, 0x2fd3_fbff]),
  entry(0x8000_0008, [0x3030, 0x111e_d205, 0x5017, 0x1_0000]),
  entry(0x8000_001d, [0x4121, 0x01c0_003f, 0x3f, 0], 0),
  entry(0x8000_001d, [0x4143, 0x01c0_003f, 0x3ff, 2], 2),
  entry(0x8000_001d, [0x0002_c163, 0x03c0_003f, 0x7fff, 1], 3),
  entry(0x8000_001d, [0, 0, 0, 0], 4),
  entry(0x8000_001e, [11, 0x105, 0, 0]),
];

const LISTS = { intel: INTEL, amd: AMD } as const;
const CLOCKS = { tscKhz: 2_100_000, tscDeadline: true };

function find(entries: readonly CpuidEntry[], leaf: number, index = 0): CpuidEntry {
  const found = entries.filter((one) => one.function === leaf && one.index === index);
  if (found.length !== 1) throw new Error(`${found.length} entries for ${leaf.toString(16)}, ${index}`);
  return found[0]!;
}

/** Bits `from` to `to` of a register. */
function field(value: number, from: number, to: number): number {
  return Math.floor(value / 2 ** from) % 2 ** (to - from + 1);
}

/** How many bits number so many CPUs. */
const WIDTHS = [
  [1, 0],
  [2, 1],
  [3, 2],
  [8, 3],
  [32, 5],
] as const;

for (const [name, supported] of Object.entries(LISTS)) {
  for (const [cpus, width] of WIDTHS) {
    test(`${name}, ${cpus} CPUs: each its own id, one package of cores without threads`, (t) => {
      for (let cpu = 0; cpu < cpus; cpu++) {
        const entries = machineCpuid(supported, { cpu, cpus }, CLOCKS);
        const features = find(entries, 1);
        t.is(field(features.ebx, 24, 31), cpu, 'the initial APIC id');
        t.is(field(features.ebx, 16, 23), 2 ** width, 'the ids in the package');
        t.is(field(features.edx, 28, 28), cpus > 1 ? 1 : 0, 'HTT');
        const leaves = name === 'intel' ? [0xb, 0x1f] : [0xb];
        for (const leaf of leaves) {
          t.like(find(entries, leaf, 0), { eax: 0, ebx: 1, ecx: 0x100, edx: cpu, flags: HAS_INDEX });
          t.like(find(entries, leaf, 1), { eax: width, ebx: cpus, ecx: 0x201, edx: cpu, flags: HAS_INDEX });
          t.like(find(entries, leaf, 2), { eax: 0, ebx: 0, ecx: 2, edx: cpu, flags: HAS_INDEX });
        }
        t.is(
          entries.some((one) => one.function === 0x1f),
          name === 'intel',
        );
      }
    });
  }
}

for (const [cpus, width] of WIDTHS) {
  test(`amd, ${cpus} CPUs: the leaves of its own`, (t) => {
    for (let cpu = 0; cpu < cpus; cpu++) {
      const entries = machineCpuid(AMD, { cpu, cpus }, CLOCKS);
      t.is(field(find(entries, 0x8000_0001).ecx, 1, 1), cpus > 1 ? 1 : 0, 'CmpLegacy');
      const size = find(entries, 0x8000_0008);
      t.is(field(size.ecx, 0, 7), cpus - 1, 'NC');
      t.is(field(size.ecx, 12, 15), width, 'ApicIdSize');
      t.like(find(entries, 0x8000_001e), { eax: cpu, ebx: cpu, ecx: 0, edx: 0 });
      const sharing = [0, 2, 3].map((index) => field(find(entries, 0x8000_001d, index).eax, 14, 25));
      t.deepEqual(sharing, [0, 0, 2 ** width - 1], 'the last level is shared by all');
      t.is(find(entries, 0x8000_001d, 4).eax, 0);
    }
  });

  test(`intel, ${cpus} CPUs: caches, and none of AMD’s bits`, (t) => {
    const entries = machineCpuid(INTEL, { cpu: cpus - 1, cpus }, CLOCKS);
    for (const index of [0, 1, 2, 3]) {
      const { eax } = find(entries, 4, index);
      t.is(field(eax, 26, 31), 2 ** width - 1, 'cores in the package');
      t.is(field(eax, 14, 25), index === 3 ? 2 ** width - 1 : 0, 'who shares it');
      t.is(field(eax, 0, 13), field(find(INTEL, 4, index).eax, 0, 13), 'kind and level');
    }
    t.deepEqual(find(entries, 4, 4), find(INTEL, 4, 4));
    // Linux takes CmpLegacy for a reason not to look at Intel's topology.
    t.deepEqual(find(entries, 0x8000_0001), find(INTEL, 0x8000_0001));
    t.deepEqual(find(entries, 0x8000_0008), find(INTEL, 0x8000_0008));
  });
}

test('the clocks: leaves 0x15 and 0x16 on Intel, the timing leaf on both', (t) => {
  for (const [name, supported] of Object.entries(LISTS)) {
    const entries = machineCpuid(supported, { cpu: 0, cpus: 1 }, CLOCKS);
    t.like(find(entries, 0x4000_0010), { eax: 2_100_000, ebx: 1_000_000, ecx: 0, edx: 0 });
    t.is(find(entries, 0x4000_0000).eax, 0x4000_0010);
    if (name === 'intel') {
      const { eax, ebx, ecx } = find(entries, 0x15);
      t.is((ecx * ebx) / eax, 2_100_000_000, 'the TSC in Hz');
      t.like(find(entries, 0x16), { eax: 2100, ebx: 2100, ecx: 1000, edx: 0 });
      t.is(find(entries, 0).eax, 0x20);
    } else {
      t.false(entries.some((one) => [0x15, 0x16].includes(one.function)));
      t.is(find(entries, 0).eax, 0x10);
    }
  }
});

test('an old Intel processor gets a leaf 0 that reaches the clocks', (t) => {
  const old = INTEL.map((one) => (one.function === 0 ? { ...one, eax: 0xd } : one));
  t.is(find(machineCpuid(old, { cpu: 0, cpus: 1 }, CLOCKS), 0).eax, 0x16);
});

test('a host that does not know its clock, or has no deadline timer', (t) => {
  for (const supported of Object.values(LISTS)) {
    const bare = supported.map((one) => (one.function === 1 ? { ...one, ecx: 0 } : one));
    const entries = machineCpuid(bare, { cpu: 0, cpus: 1 }, { tscKhz: 0, tscDeadline: false });
    t.false(entries.some((one) => [0x15, 0x16, 0x4000_0010].includes(one.function)));
    t.deepEqual(find(entries, 0), find(supported, 0));
    t.deepEqual(find(entries, 0x4000_0000), find(supported, 0x4000_0000));
    t.is(find(entries, 1).ecx, 2 ** 31, 'a hypervisor, and nothing else');
    const withTimer = machineCpuid(bare, { cpu: 0, cpus: 1 }, { tscKhz: 0, tscDeadline: true });
    t.is(find(withTimer, 1).ecx, 2 ** 31 + 2 ** 24);
  }
});

/** Leaves that a guest is told something else in. */
const CHANGED = {
  intel: [0, 1, 4, 0xa, 0xb, 0x15, 0x16, 0x1f, 0x4000_0000, 0x4000_0010],
  amd: [
    1, 0xa, 0xb, 0x15, 0x16, 0x1f, 0x4000_0000, 0x4000_0010, 0x8000_0001, 0x8000_0008, 0x8000_001d,
    0x8000_001e,
  ],
};

const register = fc.integer({ min: 0, max: 0xffff_ffff });
const leaf = fc.oneof(
  fc.integer({ min: 1, max: 0x30 }),
  fc.integer({ min: 0x4000_0000, max: 0x4000_0020 }),
  fc.integer({ min: 0x8000_0000, max: 0x8000_0030 }),
);
const anyEntry: fc.Arbitrary<CpuidEntry> = fc.record({
  function: leaf,
  index: fc.integer({ min: 0, max: 4 }),
  flags: fc.constantFrom(0, HAS_INDEX),
  eax: register,
  ebx: register,
  ecx: register,
  edx: register,
});
const HIGHEST_EXTENDED = 0x8000_0000;
// A host's highest leaf is one: what it has above is for the test after this one.
const anyList = fc
  .uniqueArray(anyEntry, { maxLength: 40, selector: (one) => `${one.function} ${one.index}` })
  .map((list) =>
    list.map((one) =>
      one.function === HIGHEST_EXTENDED ? { ...one, eax: Math.max(one.eax, HIGHEST_EXTENDED + 0x30) } : one,
    ),
  );

for (const name of ['intel', 'amd'] as const) {
  test(`${name}: whatever the host supports, all else stays, and every register is one`, (t) => {
    fc.assert(
      fc.property(
        anyList,
        fc.integer({ min: 1, max: 32 }).chain((cpus) => fc.tuple(fc.constant(cpus), fc.nat(cpus - 1))),
        fc.record({ tscKhz: fc.integer({ min: 0, max: 10_000_000 }), tscDeadline: fc.boolean() }),
        (list, [cpus, cpu], clocks) => {
          const supported = [find(LISTS[name], 0), ...list];
          const before = structuredClone(supported);
          const entries = machineCpuid(supported, { cpu, cpus }, clocks);
          if (JSON.stringify(supported) !== JSON.stringify(before)) throw new Error('the list was changed');
          const keys = entries.map((one) => `${one.function} ${one.index}`);
          if (new Set(keys).size !== keys.length) throw new Error('a leaf is there twice');
          for (const one of entries) {
            for (const key of ['eax', 'ebx', 'ecx', 'edx'] as const) {
              if (one[key] >>> 0 !== one[key]) throw new Error(`${key} is ${one[key]}`);
            }
          }
          const same = (one: CpuidEntry): boolean => !CHANGED[name].includes(one.function);
          t.deepEqual(entries.filter(same), supported.filter(same));
        },
      ),
      { numRuns: 500 },
    );
  });
}

test('a leaf above the highest that the host tells is found once it is changed, and only then', (t) => {
  const low = [
    ...AMD.filter((one) => one.function !== HIGHEST_EXTENDED),
    entry(HIGHEST_EXTENDED, [HIGHEST_EXTENDED, 0, 0, 0]),
  ];
  const highest = (cpus: number): number =>
    find(machineCpuid(low, { cpu: 0, cpus }, CLOCKS), HIGHEST_EXTENDED).eax;
  t.is(highest(2), 0x8000_0001, 'CmpLegacy is on');
  t.is(highest(1), HIGHEST_EXTENDED, 'and off');
});

test('ids tell CPUs apart, and the shift of the core level takes them all to one package', (t) => {
  for (let cpus = 1; cpus <= 32; cpus++) {
    const ids = new Set<number>();
    for (let cpu = 0; cpu < cpus; cpu++) {
      const core = find(machineCpuid(INTEL, { cpu, cpus }, CLOCKS), 0xb, 1);
      ids.add(core.edx);
      t.is(core.edx >>> core.eax, 0);
    }
    t.is(ids.size, cpus);
  }
});
