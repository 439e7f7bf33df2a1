import { VM_STATE } from '../generated/state-kinds.ts';
import {
  kvmClockData,
  kvmPitState2,
  type KvmClockData as ClockData,
  type KvmPitState2 as Pit2State,
} from '../generated/structs.ts';
import { only } from '../internal/architecture.ts';
import {
  address as checkAddress,
  boolean,
  bytes,
  object,
  oneOf,
  options as checkOptions,
} from '../internal/check.ts';
import type { NativeVm } from '../internal/native.ts';
import { decode, encode, type Patch } from '../internal/structs.ts';
import { VmX86Features } from './vm-x86-features.ts';

export type { ClockData, Pit2State };

/** `struct kvm_irqchip`: the number, and the state of any of the controllers. */
const IRQCHIP_SIZE = 520;

/** What only machines of x86_64 have. `Vm` is made of it; elsewhere its methods throw `ERR_KVM_UNSUPPORTED`. */
export abstract class VmX86 extends VmX86Features {
  readonly #native: NativeVm;

  /** @internal */
  constructor(key: symbol, nativeVm: NativeVm) {
    super(key, nativeVm);
    this.#native = nativeVm;
  }

  /** Where KVM may use three pages on Intel hosts (`KVM_SET_TSS_ADDR`). @throws `ERR_KVM_IOCTL`, `ERR_KVM_CLOSED` */
  setTssAddress(address: number): void {
    only('x64', 'KVM_SET_TSS_ADDR');
    this.#native.setTssAddress(checkAddress('address', address));
  }

  /** Where KVM may use a page on Intel hosts (`KVM_SET_IDENTITY_MAP_ADDR`). @throws `ERR_KVM_IOCTL`, `ERR_KVM_CLOSED` */
  setIdentityMapAddress(address: number): void {
    only('x64', 'KVM_SET_IDENTITY_MAP_ADDR');
    this.#native.setIdentityMapAddress(checkAddress('address', address));
  }

  /**
   * Makes the in-kernel timer, an 8254 (`KVM_CREATE_PIT2`). Needs the interrupt controllers of `createIrqChip()`.
   *
   * @throws `ERR_KVM_IOCTL` (`ENOENT` without the controllers, `EEXIST` the second time), `ERR_KVM_CLOSED`
   */
  createPit2(options?: { speakerDummy?: boolean }): void {
    only('x64', 'KVM_CREATE_PIT2');
    const { speakerDummy = false } = checkOptions('options', options, ['speakerDummy']);
    this.#native.createPit2(boolean('options.speakerDummy', speakerDummy));
  }

  /**
   * The state of an interrupt controller, `struct kvm_irqchip` (`KVM_GET_IRQCHIP`).
   *
   * @param chip - 0 and 1: the two PICs; 2: the IOAPIC.
   * @throws `ERR_KVM_IOCTL`, `ERR_KVM_CLOSED`
   */
  getIrqchip(chip: 0 | 1 | 2): Uint8Array {
    only('x64', 'KVM_GET_IRQCHIP');
    const target = new Uint8Array(IRQCHIP_SIZE);
    this.#native.getState(VM_STATE.irqchip, oneOf('chip', chip, [0, 1, 2]), target);
    return target;
  }

  /** Sets the state of an interrupt controller (`KVM_SET_IRQCHIP`). @throws `ERR_KVM_STATE` for a wrong size, `ERR_KVM_IOCTL`, `ERR_KVM_CLOSED` */
  setIrqchip(chip: 0 | 1 | 2, state: ArrayBufferView | ArrayBufferLike): void {
    only('x64', 'KVM_SET_IRQCHIP');
    this.#native.setState(VM_STATE.irqchip, oneOf('chip', chip, [0, 1, 2]), bytes('state', state));
  }

  /** The timer's state (`KVM_GET_PIT2`). @throws `ERR_KVM_IOCTL`, `ERR_KVM_CLOSED` */
  getPit2(): Pit2State {
    only('x64', 'KVM_GET_PIT2');
    return decode(kvmPitState2, this.#structBytes(VM_STATE.pit2, kvmPitState2.size));
  }

  /** Sets the timer's state; what is left out stays (`KVM_SET_PIT2`). @throws `ERR_KVM_IOCTL`, `ERR_KVM_CLOSED` */
  setPit2(state: Patch<Pit2State>): void {
    only('x64', 'KVM_SET_PIT2');
    const target = this.#structBytes(VM_STATE.pit2, kvmPitState2.size);
    encode(kvmPitState2, object('state', state) as Patch<Pit2State>, target, 'state');
    this.#native.setState(VM_STATE.pit2, 0, target);
  }

  /**
   * The machine's clock, that of kvmclock in the guest (`KVM_GET_CLOCK`). `flags` says what the host told: 2
   * (`KVM_CLOCK_TSC_STABLE`), all vCPUs see one clock that follows their counters; 4 (`KVM_CLOCK_REALTIME`), `realtime` is the
   * host's time at that very moment; 8 (`KVM_CLOCK_HOST_TSC`), `hostTsc` its counter.
   *
   * @throws `ERR_KVM_IOCTL`, `ERR_KVM_CLOSED`
   */
  getClock(): ClockData {
    only('x64', 'KVM_GET_CLOCK');
    return decode(kvmClockData, this.#structBytes(VM_STATE.clock, kvmClockData.size));
  }

  /**
   * Sets the machine's clock (`KVM_SET_CLOCK`). With bit 4 in `flags` and the `realtime` of {@link getClock} KVM adds the
   * time that has passed since: for a guest that shall notice that it was away.
   *
   * @example A clock that goes on as if nothing had happened:
   * ```ts
   * const { clock } = vm.getClock();
   * vm.setClock({ clock });
   * ```
   * @throws `ERR_KVM_IOCTL` with `EINVAL` for other flags; `ERR_KVM_CLOSED`
   */
  setClock(clock: Patch<ClockData>): void {
    only('x64', 'KVM_SET_CLOCK');
    this.#native.checkOpen();
    const target = new Uint8Array(kvmClockData.size);
    encode(kvmClockData, object('clock', clock) as Patch<ClockData>, target, 'clock');
    this.#native.setState(VM_STATE.clock, 0, target);
  }

  #structBytes(state: number, size: number): Uint8Array {
    const target = new Uint8Array(size);
    this.#native.getState(state, 0, target);
    return target;
  }
}
