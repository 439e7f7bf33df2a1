import { wordArray } from '../internal/check.ts';
import { KvmError, invalidArgValue } from '../internal/errors.ts';
import { checkKey } from '../internal/illegal.ts';
import type { NativeStats } from '../internal/native.ts';

/**
 * How a statistic behaves. `cumulative` only grows, `instant` goes up and down, `peak` is the largest that was seen; the
 * histograms count occurrences, in buckets of equal width or of powers of two.
 */
export type StatType = 'cumulative' | 'instant' | 'peak' | 'linearHistogram' | 'logHistogram' | 'unknown';

/** What a statistic counts; `none` is plain numbers of something. */
export type StatUnit = 'none' | 'bytes' | 'seconds' | 'cycles' | 'boolean' | 'unknown';

/** One statistic, as the kernel describes it (`struct kvm_stats_desc`). */
export interface StatDescriptor {
  /** The kernel's name: `exits`, `halt_poll_success_ns`. */
  readonly name: string;
  /** How it behaves. */
  readonly type: StatType;
  /** What it counts. A value stands for `value * base ** exponent` of this unit. */
  readonly unit: StatUnit;
  /** 10, or 2 for sizes. */
  readonly base: 2 | 10;
  /** With `seconds`, -9 says nanoseconds. */
  readonly exponent: number;
  /** How many values it has: 1, or the buckets of a histogram. */
  readonly count: number;
  /** The width of a bucket of a linear histogram; 0 for all else. */
  readonly bucketSize: number;
  /** Where its values begin in what {@link BinaryStats.readValues} gives. */
  readonly index: number;
}

/** `KVM_STATS_TYPE_*`, bits 0 to 3 of a descriptor's flags. */
const TYPES: readonly StatType[] = ['cumulative', 'instant', 'peak', 'linearHistogram', 'logHistogram'];
/** `KVM_STATS_UNIT_*`, bits 4 to 7. */
const UNITS: readonly StatUnit[] = ['none', 'bytes', 'seconds', 'cycles', 'boolean'];

/**
 * The kernel's own counters of a machine or a vCPU (`KVM_GET_STATS_FD`): what `/sys/kernel/debug/kvm` shows, for one
 * machine and without root. Made by `vm.binaryStats()` and `vcpu.binaryStats()`; closed with the machine or vCPU.
 *
 * @example
 * ```ts
 * const stats = vcpu.binaryStats();
 * vcpu.run();
 * const { exits, halt_exits: halts } = stats.read();
 * console.log(`${exits} exits, ${halts} of them by hlt`);
 * ```
 */
export class BinaryStats {
  /** The kernel's name for whose statistics they are, as `kvm-1234/vcpu-0`: the number is the process. */
  readonly id: string;
  /** What there is, in the kernel's order. It differs between kernels: look for names. */
  readonly schema: readonly StatDescriptor[];
  readonly #count: number;
  /** Where the values come, and the call that brings them there. */
  readonly #words: BigUint64Array;
  readonly #fill: () => void;

  /** @internal */
  constructor(key: symbol, native: NativeStats) {
    checkKey(key);
    this.#count = native.values;
    const made = functions(native);
    this.#words = made === undefined ? new BigUint64Array(this.#count) : new BigUint64Array(made.values);
    this.#fill = made?.read ?? ((): void => native.read(this.#words));
    this.id = native.id;
    this.schema = Object.freeze(native.schema().map(descriptor));
  }

  /**
   * All values by name, as they are now: one system call, also while the vCPU runs.
   *
   * @returns An array for a histogram, one bigint for all else.
   * @throws `ERR_KVM_CLOSED`, `ERR_KVM_IOCTL`
   */
  read(): Record<string, bigint | bigint[]> {
    this.#fill();
    const words = this.#words;
    const values: Record<string, bigint | bigint[]> = {};
    for (const { name, index, count } of this.schema) {
      values[name] = count === 1 ? words[index]! : Array.from(words.subarray(index, index + count));
    }
    return values;
  }

  /**
   * All values in the kernel's order, without names: the cheapest way to sample. A statistic's values begin at its
   * `index`.
   *
   * @param target - Where they go, to use an array again; its length must be that of an earlier result.
   * @example The rate of exits:
   * ```ts
   * const stats = vm.createVcpu().binaryStats();
   * const { index } = stats.schema.find(({ name }) => name === 'exits')!;
   * const before = stats.readValues();
   * const after = stats.readValues();
   * console.log(after[index]! - before[index]!);
   * ```
   * @throws `ERR_KVM_CLOSED`, `ERR_KVM_IOCTL`, `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`
   */
  readValues(target: BigUint64Array = new BigUint64Array(this.#count)): BigUint64Array {
    wordArray('target', target);
    if (target.length !== this.#count) {
      throw invalidArgValue('target', target, `must have ${this.#count} elements`);
    }
    this.#fill();
    target.set(this.#words);
    return target;
  }
}

/** A buffer that the addon fills, with the function that does so; none where buffers over its memory are forbidden. */
function functions(native: NativeStats): { read: () => void; values: ArrayBuffer } | undefined {
  try {
    return native.functions() as { read: () => void; values: ArrayBuffer };
  } catch (error) {
    if (error instanceof KvmError && error.code === 'ERR_KVM_EXTERNAL_BUFFERS') return undefined;
    throw error;
  }
}

function descriptor(one: ReturnType<NativeStats['schema']>[number]): StatDescriptor {
  const { flags } = one;
  return Object.freeze({
    name: one.name,
    type: TYPES[flags & 0xf] ?? 'unknown',
    unit: UNITS[(flags >> 4) & 0xf] ?? 'unknown',
    base: (flags & 0xf00) === 0x100 ? 2 : 10,
    exponent: one.exponent,
    count: one.count,
    bucketSize: one.bucketSize,
    index: one.index,
  });
}
