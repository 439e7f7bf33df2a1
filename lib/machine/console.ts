import { Duplex } from 'node:stream';
import { KvmError } from '../internal/errors.ts';
import { KEY, checkKey } from '../internal/illegal.ts';
import type { DebugConsole, Serial } from '../kvm/rust-devices.ts';
import { Tail } from './tail.ts';

/** How much the stream holds before the guest waits, in bytes. */
const HIGH_WATER_MARK = 64 * 1024;

/** How long a write waits for a guest that has not read: at first, and at most, in milliseconds. */
const RETRY_MS = { first: 2, most: 100 } as const;

/**
 * A guest's serial port as a stream: what the guest prints is read from it, what is written to it is typed.
 *
 * Nobody has to read: until somebody does, the port holds the last 64 KiB and the guest never waits. From the first read
 * on nothing is lost: a guest that prints faster than the stream is read waits. Writes are done when the guest's port has
 * taken them; it holds 64 KiB that the guest has not read. The stream ends when the machine does.
 *
 * @example
 * ```ts
 * process.stdin.pipe(machine.console).pipe(process.stdout);
 * ```
 */
export class MachineConsole extends Duplex {
  readonly #port: Serial | DebugConsole;
  readonly #tail = new Tail();
  /** Of the guest's present life. */
  readonly #lifeTail = new Tail();
  /** What earlier lives printed and nobody read. */
  #kept: Uint8Array = new Uint8Array(0);
  #listening = false;
  /** Whether the stream holds all that it shall, and the port the rest. */
  #full = false;
  #finished = false;
  #retry: NodeJS.Timeout | undefined;
  #abandon: ((error?: Error) => void) | undefined;

  /** @internal */
  constructor(key: symbol, port: Serial | DebugConsole) {
    checkKey(key);
    super({ readableHighWaterMark: HIGH_WATER_MARK, writableHighWaterMark: HIGH_WATER_MARK });
    this.#port = port;
    // Whoever pipes into it is done as well. A late write to a stream that is destroyed harms nobody, as one to a stream
    // that was ended does.
    this.once('end', () => this.destroy());
  }

  /** @internal */
  override _read(): void {
    if (this.#finished) return;
    this.#full = false;
    if (this.#listening) {
      this.#port.resume();
    } else {
      this.#listening = true;
      if (this.#kept.length > 0) this.push(this.#kept);
      this.#kept = new Uint8Array(0);
      this.#port.listen((bytes) => this.#take(bytes));
    }
  }

  #take(bytes: Uint8Array): boolean {
    this.#note(bytes);
    this.#full = !this.push(bytes);
    return !this.#full;
  }

  #note(bytes: Uint8Array): void {
    this.#tail.push(bytes);
    this.#lifeTail.push(bytes);
  }

  /** @internal */
  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    if (!('input' in this.#port)) {
      callback(new KvmError('ERR_KVM_UNSUPPORTED', 'a debug console has no input'));
      return;
    }
    this.#type(this.#port, chunk, callback, RETRY_MS.first);
  }

  /** Types what the port takes, and the rest when the guest has read some. A machine that ends takes no more. */
  #type(port: Serial, bytes: Buffer, done: (error?: Error | null) => void, waitMs: number): void {
    if (this.#finished) {
      // Not at once: whoever writes for ever would leave the event loop no turn.
      setImmediate(done);
      return;
    }
    const taken = port.input(bytes);
    if (taken === bytes.length) {
      done();
      return;
    }
    const nextMs = taken > 0 ? RETRY_MS.first : Math.min(waitMs * 2, RETRY_MS.most);
    this.#abandon = (error) => {
      clearTimeout(this.#retry);
      this.#abandon = undefined;
      done(error);
    };
    this.#retry = setTimeout(() => {
      this.#abandon = undefined;
      this.#type(port, bytes.subarray(taken), done, nextMs);
    }, waitMs);
    // A guest that never reads is no reason to stay alive: a machine that runs is.
    this.#retry.unref();
  }

  /** @internal */
  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    // The guest prints on, for nobody.
    this.#port.close();
    this.#abandon?.();
    callback(error);
  }

  /** @internal What the guest printed last, once the machine has ended. */
  get tail(): string {
    return this.#tail.toString();
  }

  /** @internal As {@link tail}, since the last reset. */
  get lifeTail(): string {
    return this.#lifeTail.toString();
  }

  /** @internal The guest begins anew: what comes from now on is of another life. */
  beginLife(): void {
    if (!this.#listening || this.destroyed) this.#kept = this.#collect();
    else if (!this.#full) this.#port.resume();
    this.#lifeTail.clear();
  }

  /** Without a reader the port itself holds what came last. */
  #collect(): Uint8Array {
    const bytes = this.#port.takeOutput();
    this.#note(bytes);
    return Buffer.concat([this.#kept, bytes]).subarray(-HIGH_WATER_MARK);
  }

  /** @internal Gives all that the guest printed, and ends: the machine has. */
  finish(): void {
    if (this.#finished) return;
    if (this.#listening) this.#port.close();
    const rest = this.#collect();
    this.#finished = true;
    this.#abandon?.();
    if (this.destroyed) return;
    if (rest.length > 0) this.push(rest);
    this.push(null);
  }

  /** @internal */
  static make(port: Serial | DebugConsole): MachineConsole {
    return new MachineConsole(KEY, port);
  }
}
