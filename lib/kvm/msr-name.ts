import { integer } from '../internal/check.ts';
import { Msr } from './msr-index.ts';

/** Registers that come in numbers: `count` of them, `stride` apart. */
interface Run {
  readonly first: number;
  readonly count: number;
  readonly stride: number;
  readonly name: (n: number) => string;
}

function run(first: number, count: number, stride: number, pattern: string): Run {
  return { first, count, stride, name: (n) => pattern.replace('*', String(n)) };
}

/** Where the fixed ranges of 4 KiB pages begin, and how far apart they are. */
const [FIX4K_START, FIX4K_STEP] = [0xc_0000, 0x8000];

const RUNS: readonly Run[] = [
  run(Msr.IA32_PMC0, 8, 1, 'IA32_PMC*'),
  run(Msr.IA32_PERFEVTSEL0, 8, 1, 'IA32_PERFEVTSEL*'),
  run(Msr.IA32_FRED_RSP0, 4, 1, 'IA32_FRED_RSP*'),
  run(Msr.IA32_MTRR_PHYSBASE0, 16, 2, 'IA32_MTRR_PHYSBASE*'),
  run(Msr.IA32_MTRR_PHYSMASK0, 16, 2, 'IA32_MTRR_PHYSMASK*'),
  {
    first: Msr.IA32_MTRR_FIX4K_C0000,
    count: 8,
    stride: 1,
    name: (n) => `IA32_MTRR_FIX4K_${(FIX4K_START + n * FIX4K_STEP).toString(16).toUpperCase()}`,
  },
  run(Msr.IA32_MC0_CTL2, 32, 1, 'IA32_MC*_CTL2'),
  run(Msr.IA32_FIXED_CTR0, 7, 1, 'IA32_FIXED_CTR*'),
  run(Msr.IA32_MC0_CTL, 32, 4, 'IA32_MC*_CTL'),
  run(Msr.IA32_MC0_STATUS, 32, 4, 'IA32_MC*_STATUS'),
  run(Msr.IA32_MC0_ADDR, 32, 4, 'IA32_MC*_ADDR'),
  run(Msr.IA32_MC0_MISC, 32, 4, 'IA32_MC*_MISC'),
  run(Msr.IA32_RTIT_ADDR0_A, 4, 2, 'IA32_RTIT_ADDR*_A'),
  run(Msr.IA32_RTIT_ADDR0_A + 1, 4, 2, 'IA32_RTIT_ADDR*_B'),
  run(Msr.IA32_PL0_SSP, 4, 1, 'IA32_PL*_SSP'),
  run(0x810, 8, 1, 'IA32_X2APIC_ISR*'),
  run(0x818, 8, 1, 'IA32_X2APIC_TMR*'),
  run(0x820, 8, 1, 'IA32_X2APIC_IRR*'),
  run(Msr.PERF_LEGACY_CTL0, 4, 1, 'PERF_LEGACY_CTL*'),
  run(Msr.PERF_LEGACY_CTR0, 4, 1, 'PERF_LEGACY_CTR*'),
  run(Msr.PERF_CTL0, 6, 2, 'PERF_CTL*'),
  run(Msr.PERF_CTR0, 6, 2, 'PERF_CTR*'),
  run(Msr.HV_SINT0, 16, 1, 'HV_SINT*'),
  run(Msr.HV_STIMER0_CONFIG, 4, 2, 'HV_STIMER*_CONFIG'),
  run(Msr.HV_STIMER0_COUNT, 4, 2, 'HV_STIMER*_COUNT'),
  run(Msr.HV_CRASH_P0, 5, 1, 'HV_CRASH_P*'),
];

/** The other registers of x2APIC mode: Intel SDM volume 3, table 12-6. */
const X2APIC: readonly (readonly [index: number, name: string])[] = [
  [0x803, 'VERSION'],
  [0x808, 'TPR'],
  [0x80a, 'PPR'],
  [0x80b, 'EOI'],
  [0x80d, 'LDR'],
  [0x80f, 'SIVR'],
  [0x828, 'ESR'],
  [0x82f, 'LVT_CMCI'],
  [0x832, 'LVT_TIMER'],
  [0x833, 'LVT_THERMAL'],
  [0x834, 'LVT_PMI'],
  [0x835, 'LVT_LINT0'],
  [0x836, 'LVT_LINT1'],
  [0x837, 'LVT_ERROR'],
  [0x838, 'INIT_COUNT'],
  [0x839, 'CUR_COUNT'],
  [0x83e, 'DIV_CONF'],
  [0x83f, 'SELF_IPI'],
];

/** Made at the first question. */
let names: Map<number, string> | undefined;

function makeNames(): Map<number, string> {
  const found = new Map<number, string>();
  for (const { first, count, stride, name } of RUNS) {
    for (let n = 0; n < count; n += 1) found.set(first + n * stride, name(n));
  }
  for (const [index, name] of X2APIC) found.set(index, `IA32_X2APIC_${name}`);
  for (const [name, index] of Object.entries(Msr)) found.set(index, name);
  return found;
}

/**
 * The name of a model-specific register: its key in {@link Msr}, and for registers that come in numbers their own.
 *
 * @param index - The register's number, 0 to 2^32 - 1.
 * @returns `undefined` for one that has no name here.
 * @example
 * ```ts
 * msrName(0xc000_0080); // 'IA32_EFER'
 * msrName(0x404); // 'IA32_MC1_CTL'
 * for (const { index, data } of vcpu.getMsrs(kvm.getMsrIndexList())) {
 *   console.log(msrName(index) ?? index.toString(16), data);
 * }
 * ```
 * @throws `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
 */
export function msrName(index: number): string | undefined {
  names ??= makeNames();
  return names.get(integer('index', index, 0, 0xffff_ffff));
}
