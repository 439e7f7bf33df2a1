/** How much of the console a machine's end tells, in bytes. */
const LENGTH = 16 * 1024;

/** The last bytes of a stream. */
export class Tail {
  readonly #chunks: Uint8Array[] = [];
  #length = 0;

  /** Adds bytes and forgets what is too old. */
  push(bytes: Uint8Array): void {
    this.#chunks.push(bytes.subarray(-LENGTH));
    this.#length += Math.min(bytes.length, LENGTH);
    while (this.#length - this.#chunks[0]!.length >= LENGTH) this.#length -= this.#chunks.shift()!.length;
    // Many small chunks would cost more than their bytes.
    if (this.#chunks.length > 256) this.#chunks.splice(0, Infinity, Buffer.concat(this.#chunks));
  }

  /** Forgets all. */
  clear(): void {
    this.#chunks.length = 0;
    this.#length = 0;
  }

  /** The bytes as UTF-8; what is none is replaced. */
  toString(): string {
    return Buffer.concat(this.#chunks).subarray(-LENGTH).toString('utf8');
  }
}
