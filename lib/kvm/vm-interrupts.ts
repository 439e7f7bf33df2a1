import {
  address as checkAddress,
  boolean,
  integer,
  oneOf,
  options as checkOptions,
  u64,
} from '../internal/check.ts';
import { invalidArgValue } from '../internal/errors.ts';
import { checkKey } from '../internal/illegal.ts';
import type { NativeVm } from '../internal/native.ts';
import { nativeEventFd, type EventFd } from './event-fd.ts';
import { routeNumbers, type GsiRoute } from './gsi-routing.ts';

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

/** Interrupts of a machine, and events that take the place of exits. `Vm` is made of it. */
export abstract class VmInterrupts {
  readonly #native: NativeVm;

  /** @internal */
  constructor(key: symbol, nativeVm: NativeVm) {
    checkKey(key);
    this.#native = nativeVm;
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
   * Sets the level of an interrupt line (`KVM_IRQ_LINE`). An edge is two calls: true, then false.
   *
   * @param irq - The line, 0 to 23 with the controllers of {@link createIrqChip}.
   * @throws `ERR_KVM_IOCTL` (`ENXIO` without interrupt controllers), `ERR_KVM_CLOSED`
   */
  setIrqLine(irq: number, active: boolean): void {
    this.#native.setIrqLine(integer('irq', irq, 0, 0xffff_ffff), boolean('active', active));
  }

  /**
   * Says where interrupt lines lead (`KVM_SET_GSI_ROUTING`). It replaces all routes: those that a machine of x86_64 begins
   * with are {@link pcGsiRoutes}.
   *
   * @example A line of its own for a message-signalled interrupt, which an event then raises:
   * ```ts
   * vm.createIrqChip();
   * const msi = { type: 'msi', gsi: 24, addressLow: 0xfee0_0000, data: 0x30 } as const;
   * vm.setGsiRouting([...pcGsiRoutes(), msi]);
   * const interrupt = new EventFd();
   * vm.registerIrqfd(interrupt, 24);
   * ```
   * @throws `ERR_KVM_IOCTL` with `EINVAL` without interrupt controllers, or for a route that leads nowhere;
   * `ERR_KVM_UNSUPPORTED`, `ERR_KVM_CLOSED`
   */
  setGsiRouting(routes: readonly GsiRoute[]): void {
    this.#native.setGsiRouting(routeNumbers('routes', routes));
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
}
