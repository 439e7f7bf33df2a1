import type { ReadStream } from 'node:tty';

import { EscapeDecoder } from './escape.ts';
import type { EscapeAction, EscapeKeys } from './escape.ts';

type InputStream = NodeJS.ReadStream | (ReadStream & { fd: 0 });

export interface InputReceiver {
  /** Bytes for the guest; gives back how many it took, the rest is offered again. */
  take(bytes: Uint8Array): number;
  action(action: EscapeAction): void;
  /** A pipe's last byte was taken. Default: that means nothing. */
  end?(): void;
}

/** How often bytes are offered again that the guest had no room for. */
const retryMs = 10;

/**
 * Standard input as the guest's keyboard. A terminal is raw meanwhile, and is restored by `stop()` or, whatever
 * ends the process, when it exits; a pipe's bytes go to the guest as they are.
 */
export class KeyboardInput {
  readonly #stream: InputStream;
  readonly #receiver: InputReceiver;
  readonly #escape: EscapeDecoder;
  readonly #restore = (): void => this.#setRaw(false);
  #retry: NodeJS.Timeout | undefined;
  #ended = false;

  constructor(stream: InputStream, keys: EscapeKeys, receiver: InputReceiver) {
    this.#stream = stream;
    this.#receiver = receiver;
    this.#escape = new EscapeDecoder(keys);
    process.on('exit', this.#restore);
    process.on('SIGCONT', this.#onContinue);
    this.#setRaw(true);
    stream.on('data', this.#onData);
    stream.on('end', this.#onEnd);
    // A terminal that goes away is told by SIGHUP; the read error beside it is no news.
    stream.on('error', () => stream.pause());
  }

  /** Gives the terminal back and lets the process end. */
  stop(): void {
    clearTimeout(this.#retry);
    this.#stream.off('data', this.#onData);
    this.#stream.off('end', this.#onEnd);
    this.#stream.pause();
    this.#restore();
    process.off('exit', this.#restore);
    process.off('SIGCONT', this.#onContinue);
    // A paused pipe or terminal still keeps the process; unlike destroy(), this leaves the descriptor to others.
    this.#stream.unref?.();
  }

  readonly #onData = (typed: Buffer): void => {
    if (!this.#stream.isTTY) return this.#offer(typed);
    const { bytes, actions } = this.#escape.decode(typed);
    // What the guest has no room for is lost, as on a real line: a terminal must be read on, or no command is seen.
    this.#receiver.take(bytes);
    for (const action of actions) this.#receiver.action(action);
  };

  /** Hands over what the guest takes. Meanwhile nothing more is read: a guest that never looks costs no memory. */
  #offer(bytes: Uint8Array): void {
    this.#retry = undefined;
    const rest = bytes.subarray(this.#receiver.take(bytes));
    if (rest.length > 0) {
      this.#stream.pause();
      this.#retry = setTimeout(() => this.#offer(rest), retryMs);
    } else if (this.#ended) {
      this.#receiver.end?.();
    } else {
      this.#stream.resume();
    }
  }

  /** The end may be told while the last bytes are still offered. */
  readonly #onEnd = (): void => {
    this.#ended = true;
    if (this.#retry === undefined && !this.#stream.isTTY) this.#receiver.end?.();
  };

  /** Who stopped us in between (SIGSTOP, and the shell's fg after it) gave the terminal its usual mode. */
  readonly #onContinue = (): void => {
    this.#setRaw(false);
    this.#setRaw(true);
  };

  #setRaw(raw: boolean): void {
    if (this.#stream.isTTY) this.#stream.setRawMode(raw);
  }
}
