import { u64 } from '../internal/check.ts';
import { checkKey } from '../internal/illegal.ts';
import { REGISTER_ORDER, type KvmRegs as Regs } from '../generated/structs.ts';

export type { Regs };

/** The name of a general-purpose register, `rip` or `rflags`. */
export type RegisterName = keyof Regs;

/** @internal How a {@link RegisterView} reaches its vCPU. */
export interface RegisterAccess {
  read(index: number): bigint;
  write(index: number, value: bigint): void;
}

/**
 * The live registers of a vCPU: each property reads and writes the register itself. In a handler this costs no ioctl where
 * the host has `KVM_CAP_SYNC_REGS`; elsewhere each access is one.
 *
 * What a handler writes while it answers an access takes effect after the access is complete.
 *
 * @example
 * ```ts
 * vcpu.run({ ioOut: (exit, vcpu) => { if (vcpu.regs.rbx === 7n) vcpu.regs.rax = 1n; } });
 * ```
 */
export interface RegisterView extends Record<RegisterName, bigint> {
  /** A plain copy. */
  toJSON(): Regs;
}

class Registers {
  readonly #access: RegisterAccess;

  constructor(key: symbol, access: RegisterAccess) {
    checkKey(key);
    this.#access = access;
  }

  toJSON(): Regs {
    return Object.fromEntries(
      REGISTER_ORDER.map((name, index) => [name, this.#access.read(index)]),
    ) as unknown as Regs;
  }

  static {
    for (const [index, name] of REGISTER_ORDER.entries()) {
      Object.defineProperty(Registers.prototype, name, {
        enumerable: true,
        get(this: Registers): bigint {
          return this.#access.read(index);
        },
        set(this: Registers, value: unknown) {
          this.#access.write(index, u64(`regs.${name}`, value));
        },
      });
    }
  }
}

/** @internal Makes the view of one vCPU. */
export function makeRegisterView(key: symbol, access: RegisterAccess): RegisterView {
  return Object.preventExtensions(new Registers(key, access)) as unknown as RegisterView;
}
