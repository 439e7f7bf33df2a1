import { integer } from '../internal/check.ts';
import { KvmError } from '../internal/errors.ts';
import { checkKey } from '../internal/illegal.ts';

/** `KVM_REG_ARM64`, `KVM_REG_SIZE_…`, `KVM_REG_ARM_CORE` and `KVM_REG_ARM64_SYSREG` of `<asm/kvm.h>`. */
const ARM64 = 0x6000_0000_0000_0000n;
const SIZE_SHIFT = 52n;
const U32 = 2n << SIZE_SHIFT;
const U64 = 3n << SIZE_SHIFT;
const U128 = 4n << SIZE_SHIFT;
const CORE = 0x10n << 16n;
const SYSREG = 0x13n << 16n;

/** A core register, by its place in `struct kvm_regs` of `<asm/kvm.h>`, in bytes. */
const core = (size: bigint, offset: number): bigint => ARM64 | size | CORE | BigInt(offset / 4);

/** Offsets into `struct kvm_regs`: `regs` (user_pt_regs), `sp_el1`, `elr_el1`, `spsr[5]`, `fp_regs` at its alignment of 16. */
const AFTER_USER = 34 * 8;
const FP = 336;

const numbered = (letter: string, count: number, id: (index: number) => bigint): [string, bigint][] =>
  Array.from({ length: count }, (_, index) => [`${letter}${index}`, id(index)]);

/** The name of a register that {@link ArmRegisters} has. */
export type ArmRegisterName =
  | `x${0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10 | 11 | 12 | 13 | 14 | 15 | 16 | 17 | 18 | 19 | 20 | 21 | 22 | 23 | 24 | 25 | 26 | 27 | 28 | 29 | 30}`
  | 'sp'
  | 'pc'
  | 'pstate'
  | 'spEl1'
  | 'elrEl1'
  | `spsr${0 | 1 | 2 | 3 | 4}`
  | `v${0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10 | 11 | 12 | 13 | 14 | 15 | 16 | 17 | 18 | 19 | 20 | 21 | 22 | 23 | 24 | 25 | 26 | 27 | 28 | 29 | 30 | 31}`
  | 'fpsr'
  | 'fpcr';

const IDS: ReadonlyMap<string, bigint> = new Map<string, bigint>([
  ...numbered('x', 31, (index) => core(U64, index * 8)),
  ['sp', core(U64, 31 * 8)],
  ['pc', core(U64, 32 * 8)],
  ['pstate', core(U64, 33 * 8)],
  ['spEl1', core(U64, AFTER_USER)],
  ['elrEl1', core(U64, AFTER_USER + 8)],
  ...numbered('spsr', 5, (index) => core(U64, AFTER_USER + 16 + index * 8)),
  ...numbered('v', 32, (index) => core(U128, FP + index * 16)),
  ['fpsr', core(U32, FP + 512)],
  ['fpcr', core(U32, FP + 516)],
]);

/**
 * The id of a system register, by its encoding in the `mrs` and `msr` instructions (`ARM64_SYS_REG`).
 *
 * @param op0 - 2 or 3.
 * @param op1 - 0 to 7.
 * @param crn - 0 to 15.
 * @param crm - 0 to 15.
 * @param op2 - 0 to 7.
 * @throws `ERR_OUT_OF_RANGE`, `ERR_INVALID_ARG_TYPE`
 * @example
 * ```ts
 * const MIDR_EL1 = armSystemRegister(3, 0, 0, 0, 0);
 * ```
 */
export function armSystemRegister(op0: number, op1: number, crn: number, crm: number, op2: number): bigint {
  const encoding =
    (integer('op0', op0, 0, 3) << 14) |
    (integer('op1', op1, 0, 7) << 11) |
    (integer('crn', crn, 0, 15) << 7) |
    (integer('crm', crm, 0, 15) << 3) |
    integer('op2', op2, 0, 7);
  return ARM64 | U64 | SYSREG | BigInt(encoding);
}

/**
 * Ids of the system registers that a VMM sets and looks at, for `getOneReg()` and `setOneReg()`; by the names of the Arm
 * Architecture Reference Manual. `armSystemRegister()` makes the others.
 *
 * @example
 * ```ts
 * const id = ArmSystemRegister.MIDR_EL1; // vcpu.getOneReg(id) names the processor
 * ```
 */
export const ArmSystemRegister = {
  /** Monitor debug. */
  MDSCR_EL1: armSystemRegister(2, 0, 0, 2, 2),
  /** Which processor. */
  MIDR_EL1: armSystemRegister(3, 0, 0, 0, 0),
  /** Where the processor is among the others: its affinity. */
  MPIDR_EL1: armSystemRegister(3, 0, 0, 0, 5),
  /** Features: exception levels, SIMD, SVE, GIC. */
  ID_AA64PFR0_EL1: armSystemRegister(3, 0, 0, 4, 0),
  /** Features: more of them. */
  ID_AA64PFR1_EL1: armSystemRegister(3, 0, 0, 4, 1),
  /** Features: debug, breakpoints, PMU. */
  ID_AA64DFR0_EL1: armSystemRegister(3, 0, 0, 5, 0),
  /** Features: debug, more of them. */
  ID_AA64DFR1_EL1: armSystemRegister(3, 0, 0, 5, 1),
  /** Instructions: cryptography, atomics. */
  ID_AA64ISAR0_EL1: armSystemRegister(3, 0, 0, 6, 0),
  /** Instructions: pointer authentication and others. */
  ID_AA64ISAR1_EL1: armSystemRegister(3, 0, 0, 6, 1),
  /** Memory: the size of physical addresses, granules. */
  ID_AA64MMFR0_EL1: armSystemRegister(3, 0, 0, 7, 0),
  /** Memory: virtualization host extensions and others. */
  ID_AA64MMFR1_EL1: armSystemRegister(3, 0, 0, 7, 1),
  /** Memory: more of it. */
  ID_AA64MMFR2_EL1: armSystemRegister(3, 0, 0, 7, 2),
  /** Control: MMU, caches, alignment. */
  SCTLR_EL1: armSystemRegister(3, 0, 1, 0, 0),
  /** Access to SIMD and SVE. */
  CPACR_EL1: armSystemRegister(3, 0, 1, 0, 2),
  /** Page tables of the lower addresses. */
  TTBR0_EL1: armSystemRegister(3, 0, 2, 0, 0),
  /** Page tables of the upper addresses. */
  TTBR1_EL1: armSystemRegister(3, 0, 2, 0, 1),
  /** Translation control. */
  TCR_EL1: armSystemRegister(3, 0, 2, 0, 2),
  /** Why the last exception to EL1 came. */
  ESR_EL1: armSystemRegister(3, 0, 5, 2, 0),
  /** The address that the last exception is about. */
  FAR_EL1: armSystemRegister(3, 0, 6, 0, 0),
  /** The result of an address translation instruction. */
  PAR_EL1: armSystemRegister(3, 0, 7, 4, 0),
  /** Memory attributes. */
  MAIR_EL1: armSystemRegister(3, 0, 10, 2, 0),
  /** Where the exception vectors are. */
  VBAR_EL1: armSystemRegister(3, 0, 12, 0, 0),
  /** The process, for debuggers. */
  CONTEXTIDR_EL1: armSystemRegister(3, 0, 13, 0, 1),
  /** The kernel's thread. */
  TPIDR_EL1: armSystemRegister(3, 0, 13, 0, 4),
  /** The program's thread. */
  TPIDR_EL0: armSystemRegister(3, 3, 13, 0, 2),
  /** The program's thread, read-only for it. */
  TPIDRRO_EL0: armSystemRegister(3, 3, 13, 0, 3),
  /** Who may use the timers and counters. */
  CNTKCTL_EL1: armSystemRegister(3, 0, 14, 1, 0),
  /** Control of the virtual timer (`KVM_REG_ARM_TIMER_CTL`). */
  CNTV_CTL_EL0: armSystemRegister(3, 3, 14, 3, 1),
  /** The virtual timer's time (`KVM_REG_ARM_TIMER_CVAL`): the kernel's interface has it and the counter swapped. */
  CNTV_CVAL_EL0: armSystemRegister(3, 3, 14, 0, 2),
  /** The virtual counter (`KVM_REG_ARM_TIMER_CNT`), likewise. */
  CNTVCT_EL0: armSystemRegister(3, 3, 14, 3, 2),
} as const;

/** `KVM_REG_ARM64_SVE_ZREG`: a scalable vector, of 2048 bits whatever the vCPU has of them. */
const sveVector = (index: number): bigint => ARM64 | (8n << SIZE_SHIFT) | (0x15n << 16n) | BigInt(index << 5);

/** Where SVE has a register that a vCPU with SVE has no other id for: `v0` is the low part of `z0`. */
const SVE_IDS: ReadonlyMap<bigint, bigint> = new Map(
  Array.from({ length: 32 }, (_, index) => [IDS.get(`v${index}`)!, sveVector(index)]),
);

const LOW_128 = (1n << 128n) - 1n;

const ENOENT = 2;
const EINVAL = 22;

/**
 * The live registers of an aarch64 vCPU: each property reads and writes one register, an ioctl each time
 * (`KVM_GET_ONE_REG`, `KVM_SET_ONE_REG`). `v0` to `v31` have 128 bits, `fpsr` and `fpcr` 32, all others 64. On a
 * vCPU with SVE `v0` to `v31` are the low 128 bits of its vectors, and writing one leaves the others as they are.
 *
 * What a handler writes while it answers an access takes effect after the access is complete.
 */
export type ArmRegisters = Record<ArmRegisterName, bigint> & {
  /** A plain copy. */
  toJSON(): Record<ArmRegisterName, bigint>;
};

/** @internal How {@link ArmRegisters} reach their vCPU. */
export interface OneRegAccess {
  read(id: bigint): bigint;
  /** Writes a register, or the low `width` bytes of it. */
  write(id: bigint, name: string, value: unknown, width?: number): void;
}

class Registers {
  readonly #access: OneRegAccess;
  /** Whether the vCPU has SVE, once that is known: it never changes. */
  #hasSve: boolean | undefined;

  constructor(key: symbol, access: OneRegAccess) {
    checkKey(key);
    this.#access = access;
  }

  toJSON(): Record<string, bigint> {
    return Object.fromEntries([...IDS].map(([name, id]) => [name, this.#read(id)]));
  }

  #read(id: bigint): bigint {
    const vector = this.#sveVectorOf(id);
    return vector === undefined ? this.#access.read(id) : this.#access.read(vector) & LOW_128;
  }

  #write(id: bigint, name: string, value: unknown): void {
    const vector = this.#sveVectorOf(id);
    if (vector === undefined) this.#access.write(id, name, value);
    else this.#access.write(vector, name, value, 16);
  }

  /** The vector that a register is a part of, where the vCPU has SVE: KVM then refuses the core registers `v0` to `v31`. */
  #sveVectorOf(id: bigint): bigint | undefined {
    const vector = SVE_IDS.get(id);
    if (vector === undefined) return undefined;
    this.#hasSve ??= this.#refuses(id);
    return this.#hasSve ? vector : undefined;
  }

  /** Whether the vCPU has no register of this id: `EINVAL` or, on other kernels, `ENOENT`. */
  #refuses(id: bigint): boolean {
    try {
      this.#access.read(id);
      return false;
    } catch (error) {
      const refused = error instanceof KvmError && (error.errno === EINVAL || error.errno === ENOENT);
      if (!refused) throw error;
      return true;
    }
  }

  static {
    for (const [name, id] of IDS) {
      Object.defineProperty(Registers.prototype, name, {
        enumerable: true,
        get(this: Registers): bigint {
          return this.#read(id);
        },
        set(this: Registers, value: unknown) {
          this.#write(id, `armRegs.${name}`, value);
        },
      });
    }
  }
}

/** @internal Makes the registers of one vCPU. */
export function makeArmRegisters(key: symbol, access: OneRegAccess): ArmRegisters {
  return Object.preventExtensions(new Registers(key, access)) as unknown as ArmRegisters;
}
