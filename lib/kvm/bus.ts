import type { Device } from '../devices/device.ts';
import { boolean, func, integer, object, options as checkOptions, property } from '../internal/check.ts';
import { KEY, checkKey } from '../internal/illegal.ts';
import { addDevice, forgetDevice } from '../internal/isolate.ts';
import type { NativeVm } from '../internal/native.ts';
import { nativeModel, type RustDevice } from './rust-devices.ts';

/** A range of ports or guest-physical addresses. */
export interface Range {
  /** The first port or address. */
  base: number;
  /** How many ports or bytes. */
  length: number;
}

/** The part of a claimed range whose writes are posted. */
export interface PostedRange {
  /** Where it starts, from the range's base. */
  offset: number;
  /** How many ports or bytes. */
  length: number;
}

/** What a claim can ask for. */
export interface AttachOptions {
  /**
   * Writes are collected by KVM and arrive in batches, within a few milliseconds and before any other exit of
   * their vCPU is handled, without an exit each (`KVM_CAP_COALESCED_PIO`, `KVM_CAP_COALESCED_MMIO`). For devices
   * that are written often and read seldom. `true` for the whole range, or the part of it that is: `{ offset, length }`.
   * Default false.
   */
  posted?: boolean | PostedRange;
}

/**
 * The ports (`vm.io`) or the memory-mapped devices (`vm.mmio`) of a virtual machine: who answers which range.
 */
export class Bus {
  readonly #vm: NativeVm;
  readonly #mmio: boolean;

  /** @internal */
  constructor(key: symbol, vm: NativeVm, mmio: boolean) {
    checkKey(key);
    this.#vm = vm;
    this.#mmio = mmio;
  }

  /**
   * Lets a device answer a range. A JavaScript device belongs to this isolate: a vCPU that runs on another thread
   * waits for it. A Rust device is served where the vCPU runs.
   *
   * @param range - Ports 0 to 65535 on `vm.io`; guest-physical addresses below 2^52, that no memory region backs, on
   *   `vm.mmio`.
   * @param device - It gets offsets from `range.base`, never ports or addresses.
   * @returns The claim; `detach()` gives the range up.
   * @example A device with one register:
   * ```ts
   * let value = 0;
   * const claim = vm.io.attach(
   *   { base: 0x500, length: 4 },
   *   {
   *     read: () => value,
   *     write: (_offset, written) => {
   *       value = written;
   *     },
   *   },
   * );
   * claim.detach();
   * ```
   * @throws `ERR_KVM_RANGE_CLAIMED` when part of the range has a device.
   * @throws `ERR_KVM_UNSUPPORTED` when the host cannot collect posted writes.
   * @throws `ERR_KVM_CLOSED`, `ERR_OUT_OF_RANGE`, `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`
   */
  attach(range: Range, device: Device | RustDevice, options?: AttachOptions): Attachment {
    const { base: from, length: many } = checkOptions('range', range, ['base', 'length']);
    const limit = this.#mmio ? 2 ** 52 : 0x1_0000;
    const base = integer('range.base', from, 0, limit - 1);
    const length = integer('range.length', many, 1, limit - base);
    const { posted: post = false } = checkOptions('options', options, ['posted']);
    const posted = postedRange(post, length);
    object('device', device);
    const model = nativeModel(device);
    if (model !== undefined) {
      this.#vm.attachNative(this.#mmio, base, length, posted, model);
      return new Attachment(KEY, { base, length }, () => void this.#detach(base));
    }
    checkDevice('device', device);
    const route = addDevice(device);
    this.#vm.attachScript(this.#mmio, base, length, posted, route);
    return new Attachment(KEY, { base, length }, () => {
      if (this.#detach(base)) forgetDevice(route);
    });
  }

  #detach(base: number): boolean {
    // A closed machine has let go of all claims, and the route may be another device's by now.
    if (this.#vm.closed) return false;
    this.#vm.detach(this.#mmio, base);
    return true;
  }
}

/** A device's claim on a range. */
export class Attachment implements Disposable {
  /** The first port or address. */
  readonly base: number;
  /** How many ports or bytes. */
  readonly length: number;
  #detach: (() => void) | undefined;

  /** @internal */
  constructor(key: symbol, range: Range, detach: () => void) {
    checkKey(key);
    this.base = range.base;
    this.length = range.length;
    this.#detach = detach;
  }

  /** Gives the range up: its accesses go to the handlers again. Twice is quiet. */
  detach(): void {
    const detach = this.#detach;
    this.#detach = undefined;
    detach?.();
  }

  /** Gives the range up at the end of a `using` block. */
  [Symbol.dispose](): void {
    this.detach();
  }
}

/** Offset and length of the posted part, as the native side takes them. */
function postedRange(posted: boolean | PostedRange, length: number): [number, number] | undefined {
  if (typeof posted !== 'object' || posted === null) {
    return boolean('options.posted', posted) ? [0, length] : undefined;
  }
  const given = checkOptions('options.posted', posted, ['offset', 'length']);
  const offset = integer('options.posted.offset', given.offset, 0, length - 1);
  return [offset, integer('options.posted.length', given.length, 1, length - offset)];
}

/**
 * @internal A device's methods are looked at once, so that a mistake is reported here and not at the guest's first access.
 */
export function checkDevice(argument: string, device: Device | RustDevice): void {
  for (const name of ['read', 'write', 'read64', 'write64', 'save', 'restore'] as const) {
    const method = property(argument, device, name);
    if (method !== undefined) func(`${argument}.${name}`, method as () => void);
  }
}
