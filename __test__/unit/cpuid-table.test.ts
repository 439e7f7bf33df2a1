/** Tables of CPUID leaves: finding, changing, and what two of them have in common. */
import test from 'ava';
import * as fc from 'fast-check';

import { CPUID_FEATURES, CpuidLeaf, CpuidTable, type CpuidEntry, type CpuidFeature } from '../../index.ts';
import { cpuidNumbers } from '../../lib/kvm/cpuid.ts';

const HAS_INDEX = 1;

function entry(leaf: number, [eax, ebx, ecx, edx]: readonly number[], index = -1): CpuidEntry {
  const sub = { index: Math.max(0, index), flags: index < 0 ? 0 : HAS_INDEX };
  return { function: leaf, ...sub, eax: eax!, ebx: ebx!, ecx: ecx!, edx: edx! };
}

const INTEL: readonly CpuidEntry[] = [
  entry(0, [0x1f, 0x756e_6547, 0x6c65_746e, 0x4965_6e69]),
  entry(1, [0x0008_06f8, 0x2a40_0800, 0xf7fa_3223, 0x1f8b_fbff]),
  entry(7, [2, 0xf1bf_27eb, 0x1b41_5f6e, 0xbfc1_0410], 0),
  entry(7, [0x1c30, 0, 0, 0], 1),
  entry(7, [0, 0, 0, 0x17], 2),
  entry(0xa, [0x0830_0805, 1, 0xf, 0x8604]),
  entry(0xb, [1, 2, 0x100, 42], 0),
  entry(0xb, [7, 96, 0x201, 42], 1),
  // x87, SSE, AVX, the three of AVX-512, PKRU.
  entry(0xd, [0x2e7, 0xa88, 0xa88, 0], 0),
  entry(0xd, [0xf, 0xa88, 0x1800, 0], 1),
  entry(0xd, [0x100, 0x240, 0, 0], 2),
  entry(0xd, [0x40, 0x440, 0, 0], 5),
  entry(0xd, [0x200, 0x480, 0, 0], 6),
  entry(0xd, [0x400, 0x680, 0, 0], 7),
  entry(0xd, [8, 0xa80, 0, 0], 9),
  entry(0xd, [0x10, 0, 1, 0], 11),
  entry(0x1f, [1, 2, 0x100, 42], 0),
  entry(0x8000_0000, [0x8000_0008, 0, 0, 0]),
  entry(0x8000_0001, [0, 0, 0x121, 0x2c10_0800]),
  entry(0x8000_0002, [0x65746e49, 0x2952286c, 0x6f655820, 0x2952286e]),
  entry(0x8000_0003, [0x616c5020, 0x756e6974, 0x3038206d, 0x43303831]),
  entry(0x8000_0004, [0x20, 0, 0, 0]),
  entry(0x8000_0008, [0x3934, 0x200, 0, 0]),
];

const AMD: readonly CpuidEntry[] = [
  entry(0, [0x10, 0x6874_7541, 0x444d_4163, 0x6974_6e65]),
  entry(1, [0x00a2_0f12, 0x0b18_0800, 0xfef8_3203, 0x178b_fbff]),
  entry(7, [0, 0x219c_91a9, 0x0040_0684, 0x10], 0),
  entry(0xd, [0x207, 0x988, 0x988, 0], 0),
  entry(0xd, [0xf, 0x348, 0x1800, 0], 1),
  entry(0xd, [0x100, 0x240, 0, 0], 2),
  entry(0xd, [8, 0x980, 0, 0], 9),
  entry(0x4000_0000, [0x4000_0001, 0x4b4d_564b, 0x564b_4d56, 0x4d]),
  entry(0x4000_0001, [0x0100_7efb, 0, 0, 0]),
  entry(0x8000_0000, [0x8000_0021, 0x6874_7541, 0x444d_4163, 0x6974_6e65]),
  entry(0x8000_0001, [0x00a2_0f12, 0x2000_0000, 0x0040_03f3, 0x2fd3_fbff]),
  entry(0x8000_0008, [0x3030, 0x111e_d205, 0x5017, 0x1_0000]),
];

const intel = (): CpuidTable => new CpuidTable(INTEL);
const amd = (): CpuidTable => new CpuidTable(AMD);

// ---- what it is made of

test('a table is a copy of its entries, in their order, and gives copies', (t) => {
  const given = structuredClone(INTEL) as CpuidEntry[];
  const table = new CpuidTable(given);
  given[0]!.eax = 0;
  t.deepEqual(table.entries, [...INTEL]);
  table.entries[0]!.eax = 0;
  table.find(0)!.eax = 0;
  [...table][0]!.eax = 0;
  t.is(table.maxLeaf, 0x1f);
  t.is(table.length, INTEL.length);
  t.is(new CpuidTable().length, 0);
  const second = new CpuidTable(table).set(0, { eax: 1 });
  t.is(second.maxLeaf, 1);
  t.is(table.maxLeaf, 0x1f);
});

test('a table survives JSON', (t) => {
  const text = JSON.stringify({ cpuid: intel() });
  const { cpuid } = JSON.parse(text) as { cpuid: CpuidEntry[] };
  t.deepEqual(new CpuidTable(cpuid).entries, [...INTEL]);
});

test('what an entry lacks is 0; what it has too much or wrong is refused', (t) => {
  t.deepEqual(new CpuidTable([{ function: 7 }] as never).entries, [entry(7, [0, 0, 0, 0])]);
  t.throws(() => new CpuidTable([{ function: 1, eaxx: 1 }] as never), {
    code: 'ERR_INVALID_ARG_VALUE',
    message: /entries\[0\]\.eaxx.*did you mean 'eax'/,
  });
  t.throws(() => new CpuidTable([{ function: 1, eax: -1 }] as never), { code: 'ERR_OUT_OF_RANGE' });
  t.throws(() => new CpuidTable([{ function: 1, eax: 2 ** 32 }] as never), { code: 'ERR_OUT_OF_RANGE' });
  for (const wrong of [null, 1, 'x', {}, new Map(), [1], [null]]) {
    t.throws(() => new CpuidTable(wrong as never), { code: 'ERR_INVALID_ARG_TYPE' });
  }
  const pretender = Object.create(CpuidTable.prototype) as CpuidTable;
  t.throws(() => new CpuidTable(pretender), { code: 'ERR_INVALID_ARG_TYPE' });
  t.throws(() => cpuidNumbers('entries', pretender), { code: 'ERR_INVALID_ARG_TYPE' });
});

test('a table crosses to the native side as its entries do', (t) => {
  t.deepEqual(cpuidNumbers('entries', intel()), cpuidNumbers('entries', INTEL));
  t.is(cpuidNumbers('entries', amd()).length, AMD.length * 7);
  t.deepEqual(cpuidNumbers('entries', [AMD[2]!]), [7, 0, 1, 0, 0x219c_91a9, 0x0040_0684, 0x10]);
});

// ---- leaves

test('a leaf without sub-leaves answers whatever the index', (t) => {
  t.is(intel().find(1, 9)?.eax, 0x0008_06f8);
  t.is(intel().find(7)?.eax, 2);
  t.is(intel().find(7, 1)?.eax, 0x1c30);
  t.is(intel().find(7, 3), undefined);
  t.is(intel().find(2), undefined);
});

test('registers that are left out stay; a leaf that is not there is made of zeros', (t) => {
  const table = intel();
  t.is(table.set(1, { ebx: 5 }), table);
  t.deepEqual(table.find(1), entry(1, [0x0008_06f8, 5, 0xf7fa_3223, 0x1f8b_fbff]));
  table.set(7, { edx: 1 }, 3);
  t.deepEqual(table.find(7, 3), entry(7, [0, 0, 0, 1], 3));
  t.deepEqual(
    table.entries.filter((one) => one.function === 7).map(({ index }) => index),
    [0, 1, 2, 3],
  );
  table.set(2, { eax: 1 });
  t.deepEqual(table.entries.at(-1), entry(2, [1, 0, 0, 0]));
  // Leaf 0x12 has sub-leaves by its nature, leaf 0x4fff_0000 because it is asked for.
  t.is(table.set(0x12, {}).find(0x12)?.flags, HAS_INDEX);
  t.is(table.set(0x4fff_0000, { eax: 1 }, 1).find(0x4fff_0000, 1)?.flags, HAS_INDEX);
});

test('a wrong register changes nothing', (t) => {
  const table = intel();
  for (const [registers, code] of [
    [{ eax: 1, ebx: -1 }, 'ERR_OUT_OF_RANGE'],
    [{ eax: 1n }, 'ERR_INVALID_ARG_TYPE'],
    [{ eax: 1, efx: 1 }, 'ERR_INVALID_ARG_VALUE'],
    [null, 'ERR_INVALID_ARG_TYPE'],
  ] as const) {
    t.throws(() => table.set(1, registers as never), { code });
    t.throws(() => table.set(2, registers as never), { code });
  }
  t.throws(() => table.set(-1, {}), { code: 'ERR_OUT_OF_RANGE' });
  t.throws(() => table.set(2, {}, 2 ** 32), { code: 'ERR_OUT_OF_RANGE' });
  t.throws(() => table.find('1' as never), { code: 'ERR_INVALID_ARG_TYPE' });
  t.throws(() => table.delete(1.5), { code: 'ERR_OUT_OF_RANGE' });
  t.deepEqual(table.entries, [...INTEL]);
});

test('a leaf is taken out whole, or one of its sub-leaves', (t) => {
  const table = intel();
  t.true(table.delete(7, 1));
  t.false(table.delete(7, 1));
  t.is(table.find(7, 1), undefined);
  t.is(table.find(7, 2)?.edx, 0x17);
  t.true(table.delete(7));
  t.false(table.delete(7));
  t.is(table.length, INTEL.length - 3);
});

test('a guest reads zeros beyond the highest leaf on AMD, and the highest basic leaf elsewhere', (t) => {
  const zeros = { eax: 0, ebx: 0, ecx: 0, edx: 0 };
  t.deepEqual(amd().get(0x11), zeros);
  t.deepEqual(amd().get(0x9000_0000), zeros);
  t.deepEqual(amd().get(1), { eax: 0x00a2_0f12, ebx: 0x0b18_0800, ecx: 0xfef8_3203, edx: 0x178b_fbff });
  const last = { eax: 1, ebx: 2, ecx: 0x100, edx: 42 };
  for (const leaf of [0x20, 0x8000_0009, 0x4000_0000, 0x9000_0000, 0xc000_0000]) {
    t.deepEqual(intel().get(leaf), last, leaf.toString(16));
  }
  // In range and not there: zeros.
  t.deepEqual(intel().get(2), zeros);
  t.deepEqual(intel().get(7, 9), zeros);
  t.deepEqual(new CpuidTable().get(1), zeros);
});

test('sub-leaves of topology that are not there tell which they are, and the APIC id', (t) => {
  t.deepEqual(intel().get(0xb, 0x102), { eax: 0, ebx: 0, ecx: 2, edx: 42 });
  t.deepEqual(amd().get(0xb, 2), { eax: 0, ebx: 0, ecx: 0, edx: 0 });
});

// ---- what it says about the processor

test('vendor, brand, family, model and stepping', (t) => {
  t.is(intel().vendor, 'GenuineIntel');
  t.is(intel().brand, 'Intel(R) Xeon(R) Platinum 80180C');
  t.deepEqual([intel().family, intel().model, intel().stepping], [6, 0x8f, 8]);
  t.is(amd().vendor, 'AuthenticAMD');
  t.is(amd().brand, '');
  t.deepEqual([amd().family, amd().model, amd().stepping], [0x19, 0x21, 2]);
  t.deepEqual([amd().maxLeaf, amd().maxExtendedLeaf], [0x10, 0x8000_0021]);
  const none = new CpuidTable();
  t.deepEqual([none.vendor, none.brand, none.maxLeaf, none.maxExtendedLeaf, none.family], ['', '', 0, 0, 0]);
});

// Written by hand, of Intel's manual: volume 2, CPUID, and of AMD's: volume 3, appendix E.
const PLACES: readonly (readonly [CpuidFeature, number, number, string, number])[] = [
  ['fpu', 1, 0, 'edx', 0],
  ['apic', 1, 0, 'edx', 9],
  ['ht', 1, 0, 'edx', 28],
  ['pni', 1, 0, 'ecx', 0],
  ['vmx', 1, 0, 'ecx', 5],
  ['sse4_2', 1, 0, 'ecx', 20],
  ['x2apic', 1, 0, 'ecx', 21],
  ['tsc_deadline_timer', 1, 0, 'ecx', 24],
  ['xsave', 1, 0, 'ecx', 26],
  ['hypervisor', 1, 0, 'ecx', 31],
  ['fsgsbase', 7, 0, 'ebx', 0],
  ['avx2', 7, 0, 'ebx', 5],
  ['smep', 7, 0, 'ebx', 7],
  ['avx512f', 7, 0, 'ebx', 16],
  ['smap', 7, 0, 'ebx', 20],
  ['umip', 7, 0, 'ecx', 2],
  ['la57', 7, 0, 'ecx', 16],
  ['spec_ctrl', 7, 0, 'edx', 26],
  ['arch_capabilities', 7, 0, 'edx', 29],
  ['avx_vnni', 7, 1, 'eax', 4],
  ['xsaveopt', 0xd, 1, 'eax', 0],
  ['xsaves', 0xd, 1, 'eax', 3],
  ['syscall', 0x8000_0001, 0, 'edx', 11],
  ['nx', 0x8000_0001, 0, 'edx', 20],
  ['pdpe1gb', 0x8000_0001, 0, 'edx', 26],
  ['lm', 0x8000_0001, 0, 'edx', 29],
  ['svm', 0x8000_0001, 0, 'ecx', 2],
  ['topoext', 0x8000_0001, 0, 'ecx', 22],
  ['constant_tsc', 0x8000_0007, 0, 'edx', 8],
  ['npt', 0x8000_000a, 0, 'edx', 0],
  ['nrip_save', 0x8000_000a, 0, 'edx', 3],
  ['sev', 0x8000_001f, 0, 'eax', 1],
  ['kvm_steal_time', 0x4000_0001, 0, 'eax', 5],
  ['kvm_clocksource_stable_bit', 0x4000_0001, 0, 'eax', 24],
];

for (const [name, leaf, index, register, bit] of PLACES) {
  test(`${name} is where the manuals have it`, (t) => {
    t.deepEqual(CPUID_FEATURES[name], { function: leaf, index, register: register as 'eax', bit });
    const table = new CpuidTable().set(leaf, { [register]: 2 ** bit }, index);
    t.deepEqual(table.features, [name]);
  });
}

test('each feature has a place of its own', (t) => {
  const all = Object.values(CPUID_FEATURES);
  const places = all.map(({ function: leaf, index, register, bit }) =>
    [leaf, index, register, bit].join('.'),
  );
  t.is(new Set(places).size, all.length);
  t.true(all.every(({ bit }) => Number.isInteger(bit) && bit >= 0 && bit < 32));
  t.true(Object.isFrozen(CPUID_FEATURES) && Object.isFrozen(CPUID_FEATURES.fpu));
});

test('a feature is turned on and off, and nothing else', (t) => {
  const table = intel();
  for (const name of Object.keys(CPUID_FEATURES) as CpuidFeature[]) {
    const before = table.feature(name);
    const others = table.features.filter((one) => one !== name);
    t.true(table.setFeature(name, true).feature(name), name);
    t.false(table.setFeature(name, false).feature(name), name);
    t.deepEqual(
      table.features.filter((one) => one !== name),
      others,
      name,
    );
    table.setFeature(name, before);
  }
});

test('a feature in a leaf that has to be made raises the limits that a guest looks at first', (t) => {
  const table = amd()
    .setFeature('avx512_bf16', true)
    .setFeature('perfmon_v2', true)
    .setFeature('avx10_512', true);
  t.is(table.find(7)?.eax, 1);
  t.is(table.find(7, 1)?.flags, HAS_INDEX);
  t.is(table.maxLeaf, 0x24);
  t.is(table.maxExtendedLeaf, 0x8000_0022);
  const other = intel().setFeature('kvm_pv_eoi', true);
  t.is(other.find(0x4000_0001)?.eax, 1 << 6);
  t.is(other.find(0x4000_0000), undefined);
  // What is there is not raised, and nothing is made to be turned off.
  t.is(intel().setFeature('sse4_2', true).maxLeaf, 0x1f);
  t.is(amd().setFeature('avx512_bf16', false).find(7, 1), undefined);
});

test('a name that no feature has is refused with the nearest', (t) => {
  t.throws(() => intel().feature('sse4.2' as never), {
    code: 'ERR_INVALID_ARG_VALUE',
    message: /did you mean 'sse4_2'\?/,
  });
  t.throws(() => intel().setFeature('nothing at all' as never, true), { message: /CPUID_FEATURES has all/ });
  t.throws(() => intel().feature('constructor' as never), { code: 'ERR_INVALID_ARG_VALUE' });
  t.throws(() => intel().feature(1 as never), { code: 'ERR_INVALID_ARG_TYPE' });
  t.throws(() => intel().setFeature('nx', 1 as never), { code: 'ERR_INVALID_ARG_TYPE' });
});

// ---- what two have in common

test('the intersection of a table with itself is that table', (t) => {
  t.deepEqual(intel().intersect(INTEL).entries, [...INTEL]);
  t.deepEqual(amd().intersect(amd()).entries, [...AMD]);
});

test('the intersection has the features of both, and those only', (t) => {
  const both = intel().intersect(AMD);
  const expected = intel().features.filter((name) => amd().feature(name));
  t.deepEqual(both.features, expected);
  t.deepEqual(
    amd()
      .intersect(intel())
      .features.filter((name) => !name.startsWith('kvm_')),
    expected,
  );
  t.true(expected.length > 40);
  t.false(both.feature('avx512f'));
  t.true(both.feature('avx2'));
});

test('limits, widths and counters of the intersection are the lower ones', (t) => {
  const both = intel().intersect(AMD);
  t.is(both.maxLeaf, 0x10);
  t.is(both.maxExtendedLeaf, 0x8000_0008);
  t.is(both.find(7)?.eax, 0);
  t.is(both.find(7, 1), undefined);
  t.is(both.find(0x8000_0008)?.eax, 0x3030);
  const fewer = intel().set(0xa, { eax: 0x0730_0402, ebx: 2, ecx: 7, edx: 0x8403 });
  t.deepEqual(intel().intersect(fewer).find(0xa), entry(0xa, [0x0730_0402, 3, 7, 0x8403]));
});

test('the area of XSAVE shrinks with its components', (t) => {
  const both = intel().intersect(AMD);
  // x87, SSE, AVX, and PKRU, which on this Intel lies at 0xa80.
  t.deepEqual(both.find(0xd), entry(0xd, [0x207, 0xa88, 0xa88, 0], 0));
  const withoutPkru = intel().set(0xd, { eax: 7 });
  const less = intel().intersect(withoutPkru);
  t.deepEqual(less.find(0xd), entry(0xd, [7, 0x340, 0x340, 0], 0));
  t.deepEqual(
    less.entries.filter((one) => one.function === 0xd).map(({ index }) => index),
    // 11 is a supervisor's, which has no place in the area of user state.
    [0, 1, 2, 11],
  );
  const none = intel().set(0xd, { eax: 3 }).set(0xd, { ecx: 0 }, 1);
  t.deepEqual(
    intel()
      .intersect(none)
      .entries.filter((one) => one.function === 0xd)
      .map(({ index, ecx }) => [index, ecx]),
    [
      [0, 576],
      [1, 0],
    ],
  );
});

test('all else of the intersection is that of the first', (t) => {
  const both = intel().intersect(AMD);
  t.is(both.vendor, 'GenuineIntel');
  t.is(both.find(1)?.eax, 0x0008_06f8);
  t.is(both.find(1)?.ebx, 0x2a40_0800);
  t.is(both.find(0x4000_0001), undefined);
  t.is(intel().intersect([]).length, 0);
  t.throws(() => intel().intersect({} as never), { code: 'ERR_INVALID_ARG_TYPE' });
});

const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const leaves = fc.constantFrom(
  0,
  1,
  4,
  6,
  7,
  0xa,
  0xb,
  0xd,
  0x14,
  0x4000_0000,
  0x4000_0001,
  0x8000_0001,
  0x8000_0008,
);
const anyTable = fc
  .uniqueArray(
    fc.record({
      function: leaves,
      index: fc.nat(12),
      flags: fc.constant(HAS_INDEX),
      eax: u32,
      ebx: u32,
      ecx: u32,
      edx: u32,
    }),
    { selector: (one) => `${one.function}.${one.index}`, maxLength: 20 },
  )
  .map((entries) => new CpuidTable(entries));

test('intersecting is idempotent, gives nothing that one lacks, and registers of 32 bits', (t) => {
  fc.assert(
    fc.property(anyTable, anyTable, (ours, theirs) => {
      const both = ours.intersect(theirs);
      t.true(both.features.every((name) => ours.feature(name) && theirs.feature(name)));
      t.true(both.entries.every((one) => theirs.find(one.function, one.index) !== undefined));
      t.deepEqual(both.intersect(theirs).entries, both.entries);
      t.deepEqual(both.intersect(both).entries, both.entries);
      t.true(both.maxLeaf <= ours.maxLeaf);
    }),
    { numRuns: 300 },
  );
});

test('any change can be read back, and changes that leaf only', (t) => {
  fc.assert(
    fc.property(anyTable, leaves, fc.nat(12), u32, (table, leaf, index, value) => {
      const others = table.entries.filter((one) => one.function !== leaf || one.index !== index);
      table.set(leaf, { ebx: value }, index);
      t.is(table.find(leaf, index)?.ebx, value);
      t.deepEqual(
        table.entries.filter((one) => one.function !== leaf || one.index !== index),
        others,
      );
      t.true(table.delete(leaf, index));
      t.deepEqual(table.entries, others);
    }),
    { numRuns: 300 },
  );
});

test('the names of leaves are unique, and their numbers', (t) => {
  const numbers = Object.values(CpuidLeaf);
  t.is(new Set(numbers).size, numbers.length);
  t.like(CpuidLeaf, { Vendor: 0, ExtendedFeatures: 7, ExtendedState: 0xd, KvmFeatures: 0x4000_0001 });
  t.like(CpuidLeaf, { AddressSizes: 0x8000_0008, Svm: 0x8000_000a, MemoryEncryption: 0x8000_001f });
});
