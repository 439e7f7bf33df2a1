/** Where text is written. */
export interface Sink {
  readonly isTTY?: boolean;
  write(data: string | Uint8Array): unknown;
}

/**
 * Undoes what a guest may have left of its programs on a terminal: colours, character set, application keys, a line that
 * does not wrap, a hidden cursor, marks around what is pasted. Nothing of it moves the cursor.
 */
const RESET = '\u001b[0m\u000f\u001b(B\u001b[?1l\u001b>\u001b[?7h\u001b[?25h\u001b[?2004l';

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

  /** Bytes that the guest printed. Gives back the stream's word on whether it wants more. */
  guest(bytes: Uint8Array): unknown {
    if (bytes.length === 0) return true;
    this.#atLineStart = bytes.at(-1) === 0x0a;
    return this.#out.write(bytes);
  }

  /** A line of ours, without its newline. */
  line(text: string): void {
    if (this.#shared && !this.#atLineStart) {
      this.#err.write('\n');
      this.#atLineStart = true;
    }
    this.#err.write(`${text}\n`);
  }

  /** The guest prints no more: a terminal is as usual again, the cursor in front of an empty line. */
  restore(): void {
    if (this.#out.isTTY !== true) return;
    this.#out.write(this.#atLineStart ? RESET : `${RESET}\n`);
    this.#atLineStart = true;
  }
}
