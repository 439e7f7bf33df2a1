import { boolean, instance, integer, options as checkOptions, u64 } from '../internal/check.ts';
import { invalidArgType } from '../internal/errors.ts';
import { native, type NativeEventFd } from '../internal/native.ts';

const natives = new WeakMap<EventFd, NativeEventFd>();

/** @internal The native side of an EventFd that a caller gave. */
export function nativeEventFd(name: string, value: unknown): NativeEventFd {
  const found = natives.get(instance(name, value, EventFd));
  if (found === undefined) throw invalidArgType(name, 'an instance of EventFd', value);
  return found;
}

/**
 * An event counter of the kernel, eventfd(2): non-blocking, closed on exec. KVM turns its events into interrupts
 * (`vm.registerIrqfd`), or guest writes into its events (`vm.registerIoevent`), without an exit.
 *
 * @example
 * ```ts
 * const event = new EventFd();
 * event.write(3);
 * event.read(); // 3n
 * event.read(); // undefined: nothing there
 * event.close();
 * ```
 */
export class EventFd implements Disposable {
  readonly #native: NativeEventFd;
  #closed = false;

  /**
   * @param initial - Where the counter starts, 0 to 2^32 - 1.
   * @param options - `semaphore`: each read takes one of the counter instead of all of it.
   * @throws `ERR_OUT_OF_RANGE`, `ERR_INVALID_ARG_TYPE`; `ERR_KVM_IOCTL` when no descriptor is left.
   */
  constructor(initial = 0, options?: { semaphore?: boolean }) {
    const start = integer('initial', initial, 0, 0xffff_ffff);
    const { semaphore = false } = checkOptions('options', options, ['semaphore']);
    this.#native = new (native().NativeEventFd)(start, boolean('options.semaphore', semaphore));
    natives.set(this, this.#native);
  }

  /**
   * The descriptor's number.
   *
   * @throws `ERR_KVM_CLOSED`
   */
  get fd(): number {
    return this.#native.fd();
  }

  /**
   * Takes the counter.
   *
   * @returns What it held, or undefined when it was zero.
   * @throws `ERR_KVM_CLOSED`
   */
  read(): bigint | undefined {
    return this.#native.read() ?? undefined;
  }

  /**
   * Adds to the counter, 1 by default.
   *
   * @throws `ERR_KVM_CLOSED`; `ERR_KVM_IOCTL` with `EAGAIN` when the counter would overflow.
   */
  write(value: number | bigint = 1n): void {
    this.#native.write(u64('value', value));
  }

  /** Closes the descriptor. Devices and interrupt routes that use it keep theirs. Twice is quiet. */
  close(): void {
    this.#closed = true;
    this.#native.close();
  }

  /** Whether `close()` was called. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Closes the descriptor at the end of a `using` block. */
  [Symbol.dispose](): void {
    this.close();
  }
}
