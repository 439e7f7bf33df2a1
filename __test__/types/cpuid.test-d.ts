// The types of CPUID and MSRs: names are checked by the compiler.
import {
  Cap,
  CpuidLeaf,
  CpuidTable,
  Msr,
  msrName,
  type CpuidEntry,
  type CpuidFeature,
  type Vcpu,
} from 'vmhatch';

declare const vcpu: Vcpu;
declare const entries: readonly CpuidEntry[];

// Tables and their entries are taken alike.
vcpu.setCpuid2(entries);
vcpu.setCpuid2(new CpuidTable(entries).setFeature('avx512f', false));
const again: CpuidTable = new CpuidTable(new CpuidTable()).intersect(entries);
for (const { function: leaf, eax } of again) console.log(leaf satisfies number, eax satisfies number);

const name: CpuidFeature = 'tsc_deadline_timer';
console.log(again.feature(name), again.features satisfies CpuidFeature[]);
// @ts-expect-error: it is called sse4_2
again.feature('sse4.2');
// @ts-expect-error: on or off
again.setFeature('nx', 1);

again.set(CpuidLeaf.ExtendedFeatures, { ebx: 1 }, 1).set(0x12, {});
// @ts-expect-error: there is no such register
again.set(1, { efx: 1 });
// @ts-expect-error: registers of CPUID have 32 bits
again.set(1, { eax: 1n });

// Numbers are literals: they can be told apart in a switch.
const efer: 0xc000_0080 = Msr.IA32_EFER;
const extended: 7 = CpuidLeaf.ExtendedFeatures;
const irqchip: 0 = Cap.Irqchip;
const told: string | undefined = msrName(efer + extended + irqchip);
console.log(told);
// @ts-expect-error: it is called IA32_EFER
console.log(Msr.EFER);
