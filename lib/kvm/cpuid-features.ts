import { string } from '../internal/check.ts';
import { invalidArgValue } from '../internal/errors.ts';
import { nearest } from '../internal/suggest.ts';
import type { CpuidRegisters } from './cpuid-entry.ts';
import { FEATURE_WORDS } from './cpuid-feature-words.ts';

/**
 * A feature that one bit of CPUID tells, by the name that /proc/cpuinfo gives it (`'sse4_2'`, `'pdpe1gb'`,
 * `'tsc_deadline_timer'`); where that shows none, by its X86_FEATURE_ constant in lower case (`'spec_ctrl'`). What KVM
 * itself offers begins with `kvm_` (`'kvm_steal_time'`).
 */
export type CpuidFeature = keyof typeof CPUID_FEATURES;

/** Where CPUID has a feature. */
export interface CpuidFeaturePlace {
  /** The leaf: `eax` of the request. */
  readonly function: number;
  /** The sub-leaf: `ecx` of the request. */
  readonly index: number;
  /** The register that has the bit. */
  readonly register: keyof CpuidRegisters;
  /** The bit, 0 to 31. */
  readonly bit: number;
}

type Word = (typeof FEATURE_WORDS)[number];
type NamesOf<W> = W extends { bits: infer Bits } ? keyof Bits & string : never;

function places(): Readonly<Record<NamesOf<Word>, CpuidFeaturePlace>> {
  const found: Record<string, CpuidFeaturePlace> = {};
  for (const { function: leaf, index, register, bits } of FEATURE_WORDS) {
    for (const [name, bit] of Object.entries<number>(bits)) {
      found[name] = Object.freeze({ function: leaf, index, register, bit });
    }
  }
  return Object.freeze(found) as Record<NamesOf<Word>, CpuidFeaturePlace>;
}

/**
 * The features by name, and where CPUID has them.
 *
 * @example
 * ```ts
 * CPUID_FEATURES.sse4_2; // { function: 1, index: 0, register: 'ecx', bit: 20 }
 * ```
 */
export const CPUID_FEATURES = places();

/** @internal The place of a feature, checked. */
export function featurePlace(name: string, feature: unknown): CpuidFeaturePlace {
  const key = string(name, feature);
  if (Object.hasOwn(CPUID_FEATURES, key)) return CPUID_FEATURES[key as CpuidFeature];
  const near = nearest(key, Object.keys(CPUID_FEATURES));
  // The list of all is too long to be read.
  const hint = near === undefined ? 'CPUID_FEATURES has all' : `did you mean '${near}'?`;
  throw invalidArgValue(name, feature, `must be a feature's name; ${hint}`);
}
