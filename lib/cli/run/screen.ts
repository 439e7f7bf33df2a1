/** Where text is written. */
export interface Sink {
  readonly isTTY?: boolean;
  write(data: string | Uint8Array): unknown;
}

/**
 * The guest's output and our own lines beside it. The two are different streams (so that each can be redirected),
 * but often the same terminal: there a line of ours never begins in the middle of one of the guest's.
 */
export class Screen {
  readonly #out: Sink;
  readonly #err: Sink;
  readonly #shared: boolean;
  #atLineStart = true;

  constructor(out: Sink, err: Sink) {
    this.#out = out;
    this.#err = err;
    this.#shared = out.isTTY === true && err.isTTY === true;
  }

  /** Bytes that the guest printed. */
  guest(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#out.write(bytes);
    this.#atLineStart = bytes.at(-1) === 0x0a;
  }

  /** A line of ours, without its newline. */
  line(text: string): void {
    if (this.#shared && !this.#atLineStart) {
      this.#err.write('\n');
      this.#atLineStart = true;
    }
    this.#err.write(`${text}\n`);
  }
}
