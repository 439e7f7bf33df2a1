import { Duplex } from 'node:stream';
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
  #listening = false;
  #finished = false;
  #retry: NodeJS.Timeout | undefined;
  #abandon: ((error?: Error) => void) | undefined;

  /** @internal */
  constructor(key: symbol, port: Serial | DebugConsole) {
    checkKey(key);
    super({ readableHighWaterMark: HIGH_WATER_MARK, writableHighWaterMark: HIGH_WATER_MARK });
    this.#port = port;
  }

  /** @internal */
  override _read(): void {
    if (this.#finished) return;
    if (this.#listening) {
      this.#port.resume();
    } else {
      this.#listening = true;
      this.#port.listen((bytes) => this.#take(bytes));
    }
  }

  #take(bytes: Uint8Array): boolean {
    this.#tail.push(bytes);
    return this.push(bytes);
  }

  /** @internal */
  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    if (!('input' in this.#port)) {
      callback(new Error('a debug console has no input'));
      return;
    }
    this.#type(this.#port, chunk, callback, RETRY_MS.first);
  }

  /** Types what the port takes, and the rest when the guest has read some. A machine that ends takes no more. */
  #type(port: Serial, bytes: Buffer, done: (error?: Error | null) => void, waitMs: number): void {
    const taken = this.#finished ? bytes.length : port.input(bytes);
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

  /** Without a reader the port itself holds what came last. */
  #collect(): void {
    const bytes = this.#port.takeOutput();
    if (bytes.length === 0) return;
    this.#tail.push(bytes);
    if (!this.destroyed) this.push(bytes);
  }

  /** @internal Gives all that the guest printed, and ends: the machine has. */
  finish(): void {
    if (this.#finished) return;
    if (this.#listening) this.#port.close();
    this.#collect();
    this.#finished = true;
    this.#abandon?.();
    if (!this.destroyed) this.push(null);
  }

  /** @internal */
  static make(port: Serial | DebugConsole): MachineConsole {
    return new MachineConsole(KEY, port);
  }
}
