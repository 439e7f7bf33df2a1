import { Cap } from '../generated/capabilities.ts';
import { SYNC_REGS } from '../generated/run-page.ts';
import {
  kvmClockData,
  kvmPitState2,
  type KvmClockData as ClockData,
  type KvmPitState2 as Pit2State,
} from '../generated/structs.ts';
import {
  address as checkAddress,
  boolean,
  bytes,
  elements,
  integer,
  object,
  oneOf,
  options as checkOptions,
  u64,
} from '../internal/check.ts';
import { invalidArgValue } from '../internal/errors.ts';
import { KEY, checkKey } from '../internal/illegal.ts';
import { onAdoption } from '../internal/adoption.ts';
import { setNativeVm } from '../internal/native-vm.ts';
import type { NativeVcpu, NativeVm } from '../internal/native.ts';
import { decode, encode, type Patch } from '../internal/structs.ts';
import { ViewSet } from '../internal/view-set.ts';
import { Bus } from './bus.ts';
import { nativeEventFd, type EventFd } from './event-fd.ts';
import { GuestMemory } from './memory.ts';
import { Vcpu } from './vcpu.ts';

export type { ClockData, Pit2State };

/** Whether KVM keeps the registers in the shared page. */
let hasSyncRegs: boolean | undefined;

/** A guest write that an ioeventfd takes. */
export type IoEventAddress =
  | {
      /** A port, 0 to 65535. */
      port: number;
    }
  | {
      /** A guest-physical address. */
      address: number;
    };

/** Which writes match. */
export interface IoEventOptions {
  /** The size of the write in bytes; 0, the default, is any. */
  length?: 0 | 1 | 2 | 4 | 8;
  /** The value that the write must have; needs a length. */
  datamatch?: number | bigint;
}

/** A message-signalled interrupt. */
export interface Msi {
  /** Where a device would write, low half. */
  addressLow: number;
  /** High half, 0 by default. */
  addressHigh?: number;
  /** What it would write. */
  data: number;
  /** The device's id, where the host's interrupt controller needs one. */
  deviceId?: number;
}

/**
 * A virtual machine: memory, vCPUs, interrupts, and who answers which ports and addresses.
 *
 * @example
 * ```ts
 * const vm = kvm.createVm();
 * vm.memory.map({ guestAddress: 0, size: 0x100000 });
 * const vcpu = vm.createVcpu();
 * ```
 */
export class Vm implements Disposable {
  /** The guest's memory. */
  readonly memory: GuestMemory;
  /** The ports of x86. */
  readonly io: Bus;
  /** Guest-physical addresses that devices answer. */
  readonly mmio: Bus;
  readonly #native: NativeVm;
  readonly #views = new ViewSet();
  readonly #vcpus: Vcpu[] = [];

  /** @internal */
  constructor(key: symbol, nativeVm: NativeVm) {
    checkKey(key);
    this.#native = nativeVm;
    setNativeVm(this, nativeVm);
    this.memory = new GuestMemory(KEY, nativeVm, this.#views);
    this.io = new Bus(KEY, nativeVm, false);
    this.mmio = new Bus(KEY, nativeVm, true);
  }

  static {
    onAdoption((nativeVcpu) => new Vm(KEY, nativeVcpu.vm()).#enter(nativeVcpu));
  }

  /** The vCPUs that this isolate made or adopted, in that order. */
  get vcpus(): readonly Vcpu[] {
    return this.#vcpus;
  }

  /**
   * Makes a vCPU (`KVM_CREATE_VCPU`).
   *
   * @param id - Its APIC id; by default the lowest that none of {@link vcpus} has or had.
   * @throws `ERR_KVM_TOO_MANY_VCPUS`; `ERR_KVM_IOCTL` with `EEXIST` for an id that is taken; `ERR_KVM_CLOSED`
   */
  createVcpu(id: number = this.#freeId()): Vcpu {
    return this.#enter(this.#native.createVcpu(integer('id', id, 0, 0xffff_ffff)));
  }

  #freeId(): number {
    const taken = new Set(this.#vcpus.map((vcpu) => vcpu.id));
    let id = 0;
    while (taken.has(id)) id++;
    return id;
  }

  #enter(nativeVcpu: NativeVcpu): Vcpu {
    // A property of the host, asked once.
    hasSyncRegs ??= (this.#native.checkExtension(Cap.SyncRegs) & SYNC_REGS.REGS) !== 0;
    const vcpu = new Vcpu(KEY, this, nativeVcpu, hasSyncRegs);
    this.#vcpus.push(vcpu);
    return vcpu;
  }

  /**
   * Whether this machine has a capability (`KVM_CHECK_EXTENSION`).
   *
   * @throws `ERR_KVM_CLOSED`, `ERR_OUT_OF_RANGE`, `ERR_INVALID_ARG_TYPE`
   */
  checkExtension(capability: number): boolean {
    return this.checkExtensionInt(capability) > 0;
  }

  /** A capability's value for this machine. @throws As {@link checkExtension}. */
  checkExtensionInt(capability: number): number {
    return this.#native.checkExtension(integer('capability', capability, 0, 0xffff_ffff));
  }

  /**
   * Turns a capability on (`KVM_ENABLE_CAP`).
   *
   * @param args - Up to four values that the capability documents.
   * @param flags - What the capability documents; 0 on all that x86 has.
   * @throws `ERR_KVM_UNSUPPORTED` when the host lacks it, `ERR_KVM_IOCTL`, `ERR_KVM_CLOSED`
   */
  enableCap(capability: number, args: readonly (number | bigint)[] = [], flags = 0): void {
    const values = elements('args', args, 4).map((value, index) => u64(`args[${index}]`, value));
    const number = integer('capability', capability, 0, 0xffff_ffff);
    this.#native.enableCap(number, values, integer('flags', flags, 0, 0xffff_ffff));
  }

  /** Where KVM may use three pages on Intel hosts (`KVM_SET_TSS_ADDR`). @throws `ERR_KVM_IOCTL`, `ERR_KVM_CLOSED` */
  setTssAddress(address: number): void {
    this.#native.setTssAddress(checkAddress('address', address));
  }

  /** Where KVM may use a page on Intel hosts (`KVM_SET_IDENTITY_MAP_ADDR`). @throws `ERR_KVM_IOCTL`, `ERR_KVM_CLOSED` */
  setIdentityMapAddress(address: number): void {
    this.#native.setIdentityMapAddress(checkAddress('address', address));
  }

  /**
   * Says what becomes of an access to a port or address that no device claims and no memory backs. By default it is an
   * exit, for a handler. With an empty bus the guest reads all ones, its writes are dropped, and no exit reaches
   * JavaScript: what a guest wants that looks for hardware.
   *
   * @example
   * ```ts
   * vm.setEmptyBus(true);
   * ```
   * @throws `ERR_KVM_CLOSED`, `ERR_INVALID_ARG_TYPE`
   */
  setEmptyBus(empty: boolean): void {
    this.#native.setEmptyBus(boolean('empty', empty));
  }

  /**
   * Makes the in-kernel interrupt controllers: two PICs, an IOAPIC, a local APIC for each vCPU made afterwards
   * (`KVM_CREATE_IRQCHIP`). From then on `hlt` waits inside KVM for an interrupt.
   *
   * @throws `ERR_KVM_IOCTL` (`EEXIST` the second time), `ERR_KVM_CLOSED`
   */
  createIrqChip(): void {
    this.#native.createIrqChip();
  }

  /**
   * Makes the in-kernel timer, an 8254 (`KVM_CREATE_PIT2`). Needs the interrupt controllers.
   *
   * @throws `ERR_KVM_IOCTL`, `ERR_KVM_CLOSED`
   */
  createPit2(options?: { speakerDummy?: boolean }): void {
    const { speakerDummy = false } = checkOptions('options', options, ['speakerDummy']);
    this.#native.createPit2(boolean('options.speakerDummy', speakerDummy));
  }

  /**
   * Sets the level of an interrupt line (`KVM_IRQ_LINE`). An edge is two calls: true, then false.
   *
   * @param irq - The line, 0 to 23 with the controllers of {@link createIrqChip}.
   * @throws `ERR_KVM_IOCTL` (`ENXIO` without interrupt controllers), `ERR_KVM_CLOSED`
   */
  setIrqLine(irq: number, active: boolean): void {
    this.#native.setIrqLine(integer('irq', irq, 0, 0xffff_ffff), boolean('active', active));
  }

  /**
   * The state of an interrupt controller, `struct kvm_irqchip` (`KVM_GET_IRQCHIP`).
   *
   * @param chip - 0 and 1: the two PICs; 2: the IOAPIC.
   * @throws `ERR_KVM_IOCTL`, `ERR_KVM_CLOSED`
   */
  getIrqchip(chip: 0 | 1 | 2): Uint8Array {
    const target = new Uint8Array(this.#native.irqchipSize());
    this.#native.getStruct('irqchip', oneOf('chip', chip, [0, 1, 2]), target);
    return target;
  }

  /** Sets the state of an interrupt controller (`KVM_SET_IRQCHIP`). @throws `ERR_KVM_STATE` for a wrong size, `ERR_KVM_IOCTL`, `ERR_KVM_CLOSED` */
  setIrqchip(chip: 0 | 1 | 2, state: ArrayBufferView | ArrayBufferLike): void {
    this.#native.setStruct('irqchip', oneOf('chip', chip, [0, 1, 2]), bytes('state', state));
  }

  /** The timer's state (`KVM_GET_PIT2`). @throws `ERR_KVM_IOCTL`, `ERR_KVM_CLOSED` */
  getPit2(): Pit2State {
    return decode(kvmPitState2, this.#structBytes('pit2', kvmPitState2.size));
  }

  /** Sets the timer's state; what is left out stays (`KVM_SET_PIT2`). @throws `ERR_KVM_IOCTL`, `ERR_KVM_CLOSED` */
  setPit2(state: Patch<Pit2State>): void {
    const target = this.#structBytes('pit2', kvmPitState2.size);
    encode(kvmPitState2, object('state', state) as Patch<Pit2State>, target, 'state');
    this.#native.setStruct('pit2', 0, target);
  }

  /** The machine's clock (`KVM_GET_CLOCK`). @throws `ERR_KVM_IOCTL`, `ERR_KVM_CLOSED` */
  getClock(): ClockData {
    return decode(kvmClockData, this.#structBytes('clock', kvmClockData.size));
  }

  /** Sets the machine's clock (`KVM_SET_CLOCK`). @throws `ERR_KVM_IOCTL`, `ERR_KVM_CLOSED` */
  setClock(clock: Patch<ClockData>): void {
    this.#native.checkOpen();
    const target = new Uint8Array(kvmClockData.size);
    encode(kvmClockData, object('clock', clock) as Patch<ClockData>, target, 'clock');
    this.#native.setStruct('clock', 0, target);
  }

  #structBytes(name: string, size: number): Uint8Array {
    const target = new Uint8Array(size);
    this.#native.getStruct(name, 0, target);
    return target;
  }

  /**
   * Turns the events of a descriptor into interrupts (`KVM_IRQFD`).
   *
   * @param gsi - The interrupt line.
   * @param resample - For level-triggered interrupts: signalled when the guest has acknowledged it.
   * @example A serial port with its interrupt:
   * ```ts
   * vm.createIrqChip();
   * const interrupt = new EventFd();
   * vm.registerIrqfd(interrupt, 4);
   * vm.io.attach({ base: 0x3f8, length: 8 }, new Serial({ interrupt }));
   * ```
   * @throws `ERR_KVM_IOCTL`, `ERR_KVM_CLOSED`, `ERR_INVALID_ARG_TYPE`
   */
  registerIrqfd(event: EventFd, gsi: number, resample?: EventFd): void {
    const again = resample === undefined ? undefined : nativeEventFd('resample', resample);
    this.#native.registerIrqfd(nativeEventFd('event', event), integer('gsi', gsi, 0, 0xffff_ffff), again);
  }

  /** Undoes {@link registerIrqfd}. @throws `ERR_KVM_IOCTL`, `ERR_KVM_CLOSED` */
  unregisterIrqfd(event: EventFd, gsi: number): void {
    this.#native.unregisterIrqfd(nativeEventFd('event', event), integer('gsi', gsi, 0, 0xffff_ffff));
  }

  /**
   * Turns guest writes into events of a descriptor, without an exit (`KVM_IOEVENTFD`).
   *
   * @example A doorbell:
   * ```ts
   * const doorbell = new EventFd();
   * vm.registerIoevent(doorbell, { address: 0xfe00_0000 }, { length: 4, datamatch: 1 });
   * doorbell.read(); // undefined until the guest writes 1 there
   * ```
   * @throws `ERR_KVM_IOCTL` (`EEXIST` when the same writes are taken), `ERR_KVM_CLOSED`
   */
  registerIoevent(event: EventFd, at: IoEventAddress, options?: IoEventOptions): void {
    this.#ioevent(event, at, options, true);
  }

  /** Undoes {@link registerIoevent}; all arguments must be the same. @throws `ERR_KVM_IOCTL`, `ERR_KVM_CLOSED` */
  unregisterIoevent(event: EventFd, at: IoEventAddress, options?: IoEventOptions): void {
    this.#ioevent(event, at, options, false);
  }

  #ioevent(event: EventFd, at: IoEventAddress, options: IoEventOptions | undefined, assign: boolean): void {
    const descriptor = nativeEventFd('event', event);
    const given = checkOptions('at', at as { port?: number; address?: number }, ['port', 'address']);
    if ((given.port === undefined) === (given.address === undefined)) {
      throw invalidArgValue('at', at, 'must have either port or address');
    }
    const mmio = given.port === undefined;
    const place = mmio
      ? checkAddress('at.address', given.address)
      : integer('at.port', given.port, 0, 0xffff);
    const { length = 0, datamatch } = checkOptions('options', options, ['length', 'datamatch']);
    const size = oneOf('options.length', length, [0, 1, 2, 4, 8]);
    const value = datamatch === undefined ? undefined : u64('options.datamatch', datamatch);
    if (value !== undefined && size === 0)
      throw invalidArgValue('options.length', size, 'is needed with datamatch');
    this.#native.ioeventfd(descriptor, mmio, place, size, value, assign);
  }

  /**
   * Delivers a message-signalled interrupt (`KVM_SIGNAL_MSI`).
   *
   * @returns false when the guest has it blocked.
   * @throws `ERR_KVM_IOCTL`, `ERR_KVM_CLOSED`
   */
  signalMsi(msi: Msi): boolean {
    const {
      addressLow,
      addressHigh = 0,
      data,
      deviceId,
    } = checkOptions('msi', msi, ['addressLow', 'addressHigh', 'data', 'deviceId']);
    const low = integer('msi.addressLow', addressLow, 0, 0xffff_ffff);
    const high = integer('msi.addressHigh', addressHigh, 0, 0xffff_ffff);
    const id = deviceId === undefined ? undefined : integer('msi.deviceId', deviceId, 0, 0xffff_ffff);
    const target = (BigInt(high) << 32n) | BigInt(low);
    return this.#native.signalMsi(target, integer('msi.data', data, 0, 0xffff_ffff), id);
  }

  /**
   * KVM's own log of the pages that the guest wrote, one bit a page; the call clears it (`KVM_GET_DIRTY_LOG`). For the
   * host's writes as well, see `MemoryRegion.dirtyPages`.
   *
   * @throws `ERR_KVM_IOCTL` with `ENOENT` for a slot that keeps no log; `ERR_KVM_CLOSED`
   */
  getDirtyLog(slot: number): BigUint64Array {
    const words = this.#native.dirtyLog(integer('slot', slot, 0, 0x7fff));
    return new BigUint64Array(Uint32Array.from(words).buffer);
  }

  /**
   * Ends every run, closes the vCPUs and gives the memory back: windows of it become empty. Runs elsewhere end with
   * `ERR_KVM_CLOSED`. Twice is quiet.
   */
  close(): void {
    for (const vcpu of this.#vcpus) vcpu.close();
    this.#views.detach();
    this.#native.close();
  }

  /** Whether the machine was closed, here or in another isolate. */
  get closed(): boolean {
    return this.#native.closed;
  }

  /** Closes the machine at the end of a `using` block. */
  [Symbol.dispose](): void {
    this.close();
  }
}
