// What is left of one CPUID when another has to agree: Intel SDM volume 2, CPUID; AMD APM volume 3, appendix E.
import { answers, type CpuidEntry, type CpuidRegisters } from './cpuid-entry.ts';
import { FEATURE_WORDS } from './cpuid-feature-words.ts';

type Register = keyof CpuidRegisters;

/** Both values of a register, as numbers from 0 to 2^32 - 1, become one. */
type Rule = (ours: number, theirs: number) => number;

const both: Rule = (ours, theirs) => (ours & theirs) >>> 0;
/** For bits that say what is missing, or must not be relied on. */
const either: Rule = (ours, theirs) => (ours | theirs) >>> 0;
const lower: Rule = (ours, theirs) => Math.min(ours, theirs);

/** The lower value of each field, and our bits outside of the fields. */
function lowerFields(...fields: readonly number[]): Rule {
  return (ours, theirs) => {
    let value = ours;
    for (const field of fields) {
      const least = Math.min((ours & field) >>> 0, (theirs & field) >>> 0);
      value = ((value & ~field) | least) >>> 0;
    }
    return value;
  };
}

const BYTES = [0xff, 0xff00, 0xff_0000, 0xff00_0000] as const;
const REGISTERS = ['eax', 'ebx', 'ecx', 'edx'] as const;
const XSAVE = 0xd;

const rules = new Map<string, Rule>();

function rule(leaf: number, index: number, register: Register, how: Rule): void {
  rules.set(`${leaf}.${index}.${register}`, how);
}

for (const word of FEATURE_WORDS) rule(word.function, word.index, word.register, both);
// Bits that are features although not one of them has a name yet.
for (const register of REGISTERS) {
  rule(7, 1, register, both);
  rule(7, 2, register, both);
}
// How far a range of leaves, or the sub-leaves of a leaf, goes.
for (const leaf of [0, 0x4000_0000, 0x8000_0000]) rule(leaf, 0, 'eax', lower);
for (const leaf of [7, 0x14, 0x17, 0x18, 0x1d, 0x20]) rule(leaf, 0, 'eax', lower);
// Performance counters: version, number, width and events; of events and fixed counters the bits, number and width.
rule(0xa, 0, 'eax', lowerFields(...BYTES));
rule(0xa, 0, 'ebx', either);
rule(0xa, 0, 'ecx', both);
rule(0xa, 0, 'edx', lowerFields(0x1f, 0x1fe0));
// State components: of user and of supervisor. Sizes follow from them.
rule(XSAVE, 0, 'eax', both);
rule(XSAVE, 0, 'edx', both);
rule(XSAVE, 1, 'ecx', both);
rule(XSAVE, 1, 'edx', both);
// Processor trace.
rule(0x14, 0, 'ebx', both);
rule(0x14, 0, 'ecx', both);
// Widths of physical and linear addresses, and of a guest's physical ones.
rule(0x8000_0008, 0, 'eax', lowerFields(...BYTES));

/** The legacy area and the header of XSAVE: what is there without any component. */
const XSAVE_LEAST = 576;

/** Components 0 to 62, those of leaf 0xd; 0 and 1, x87 and SSE, lie in the legacy area. */
function hasComponent(low: number, high: number, component: number): boolean {
  return ((component < 32 ? low >>> component : high >>> (component - 32)) & 1) === 1;
}

/** Sub-leaves of components that are gone go, and the size of the area follows: the entries are changed. */
function trimXsave(entries: CpuidEntry[]): CpuidEntry[] {
  const main = entries.find((entry) => answers(entry, XSAVE, 0));
  if (main === undefined) return entries;
  const supervisor = entries.find((entry) => answers(entry, XSAVE, 1)) ?? { ecx: 0, edx: 0 };
  const kept = entries.filter(
    ({ function: leaf, index }) =>
      leaf !== XSAVE ||
      index < 2 ||
      hasComponent(main.eax, main.edx, index) ||
      hasComponent(supervisor.ecx, supervisor.edx, index),
  );
  let size = XSAVE_LEAST;
  for (const entry of kept) {
    const { function: leaf, index } = entry;
    if (leaf === XSAVE && index >= 2 && hasComponent(main.eax, main.edx, index)) {
      size = Math.max(size, entry.eax + entry.ebx);
    }
  }
  main.ebx = Math.min(main.ebx, size);
  main.ecx = Math.min(main.ecx, size);
  return kept;
}

/** @internal See `CpuidTable.intersect()`. */
export function intersectEntries(ours: readonly CpuidEntry[], theirs: readonly CpuidEntry[]): CpuidEntry[] {
  const entries: CpuidEntry[] = [];
  for (const our of ours) {
    const their = theirs.find((entry) => answers(entry, our.function, our.index));
    if (their === undefined) continue;
    const entry = { ...our };
    for (const register of REGISTERS) {
      const how = rules.get(`${our.function}.${our.index}.${register}`);
      if (how !== undefined) entry[register] = how(our[register], their[register]);
    }
    entries.push(entry);
  }
  return trimXsave(entries);
}
