import { bytes as checkBytes, integer, u64 } from '../internal/check.ts';
import { checkKey } from '../internal/illegal.ts';
import type { NativeKvmDevice } from '../internal/native.ts';

/** No attribute of a device on x86_64 or aarch64 has more bytes. */
const LARGEST = 4096;

/**
 * A device that KVM makes for a machine, such as the GIC of aarch64 or the link to VFIO: what `vm.createDevice()` gives.
 * What it can do is in its attributes, each a group, a number and some bytes.
 *
 * @example
 * ```ts
 * const vfio = vm.createDevice(DEVICE_TYPE.VFIO);
 * vfio.hasDeviceAttr(1, 1); // true
 * vfio.close();
 * ```
 */
export class KvmDevice implements Disposable {
  readonly #native: NativeKvmDevice;
  /** Which kind it is: one of {@link DEVICE_TYPE}, or another number of the kernel's. */
  readonly type: number;

  /** @internal */
  constructor(key: symbol, native: NativeKvmDevice, type: number) {
    checkKey(key);
    this.#native = native;
    this.type = type;
  }

  /** Whether the device has an attribute (`KVM_HAS_DEVICE_ATTR`). @throws `ERR_KVM_CLOSED` */
  hasDeviceAttr(group: number, attribute: number | bigint): boolean {
    return this.#native.hasDeviceAttr(integer('group', group, 0, 0xffff_ffff), u64('attribute', attribute));
  }

  /**
   * Sets an attribute (`KVM_SET_DEVICE_ATTR`).
   *
   * @param value - Its bytes, as many as the attribute has; left out for one that has none.
   * @throws `ERR_KVM_NO_ATTRIBUTE` for one that the device does not have; `ERR_KVM_STATE` for more than 4096 bytes;
   * `ERR_KVM_IOCTL` when it refuses the value; `ERR_KVM_CLOSED`
   */
  setDeviceAttr(group: number, attribute: number | bigint, value?: ArrayBufferView | ArrayBufferLike): void {
    this.#native.setDeviceAttr(
      integer('group', group, 0, 0xffff_ffff),
      u64('attribute', attribute),
      value === undefined ? new Uint8Array() : checkBytes('value', value),
    );
  }

  /**
   * An attribute's value (`KVM_GET_DEVICE_ATTR`).
   *
   * @param size - How many bytes the attribute has, 1 to 4096: the kernel's documents say it.
   * @throws `ERR_KVM_NO_ATTRIBUTE` for one that the device does not have or that cannot be read; `ERR_KVM_IOCTL`, `ERR_KVM_CLOSED`
   */
  getDeviceAttr(group: number, attribute: number | bigint, size: number): Uint8Array {
    const number = integer('group', group, 0, 0xffff_ffff);
    const which = u64('attribute', attribute);
    const target = new Uint8Array(integer('size', size, 1, LARGEST));
    this.#native.getDeviceAttr(number, which, target);
    return target;
  }

  /** Lets go of the device. The machine keeps it until it is closed itself. Twice is quiet. */
  close(): void {
    this.#native.close();
  }

  /** Whether it was closed, or its machine. */
  get closed(): boolean {
    return this.#native.closed;
  }

  /** Closes it at the end of a `using` block. */
  [Symbol.dispose](): void {
    this.close();
  }
}
