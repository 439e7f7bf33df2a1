import { instance } from '../internal/check.ts';
import { invalidArgType } from '../internal/errors.ts';
import { checkKey } from '../internal/illegal.ts';
import type { NativeGuestMemfd } from '../internal/native.ts';

const natives = new WeakMap<GuestMemfd, NativeGuestMemfd>();

/** @internal The native side of a GuestMemfd that a caller gave. */
export function nativeGuestMemfd(name: string, value: unknown): NativeGuestMemfd {
  const found = natives.get(instance(name, value, GuestMemfd));
  if (found === undefined) throw invalidArgType(name, 'an instance of GuestMemfd', value);
  return found;
}

/**
 * Private memory of a machine: it has no address in the process, so that nobody but the guest reads it. `vm.createGuestMemfd()`
 * makes it, `vm.memory.map({ guestMemfd })` places it, `vm.setMemoryAttributes()` says which pages of a region are private.
 */
export class GuestMemfd implements Disposable {
  readonly #native: NativeGuestMemfd;
  /** Its length in bytes. */
  readonly size: number;
  #closed = false;

  /** @internal */
  constructor(key: symbol, native: NativeGuestMemfd, size: number) {
    checkKey(key);
    this.#native = native;
    this.size = size;
    natives.set(this, native);
  }

  /** The descriptor's number. @throws `ERR_KVM_CLOSED` */
  get fd(): number {
    return this.#native.fd();
  }

  /** Closes the descriptor. Regions that use the memory keep it. Twice is quiet. */
  close(): void {
    this.#closed = true;
    this.#native.close();
  }

  /** Whether `close()` was called. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Closes it at the end of a `using` block. */
  [Symbol.dispose](): void {
    this.close();
  }
}
