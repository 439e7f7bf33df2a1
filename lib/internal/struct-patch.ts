/** A change of a structure on its way: what was written of it, apart from the structure itself. */

/** The bytes that a change gives, in a buffer as large as the structure. */
export class StructPatch {
  readonly view: DataView;
  readonly #words: BigUint64Array;
  /** Where each run of bytes that were written begins and ends; the last one is not among them yet. */
  readonly #runs: number[] = [];
  #count = 0;
  #start = 0;
  #end = 0;

  constructor(size: number) {
    const buffer = new ArrayBuffer((size + 7) & ~7);
    this.view = new DataView(buffer);
    this.#words = new BigUint64Array(buffer);
  }

  /** Notes that bytes of the view were written. */
  wrote(at: number, width: number): void {
    if (at !== this.#end) {
      this.#endRun();
      this.#start = at;
    }
    this.#end = at + width;
  }

  #endRun(): void {
    if (this.#end === this.#start) return;
    this.#runs[this.#count++] = this.#start;
    this.#runs[this.#count++] = this.#end;
  }

  /** Writes 64 bits and notes it. A typed array is the faster way to do so, where it has an element. */
  setU64(at: number, value: bigint): void {
    if ((at & 7) === 0) this.#words[at >> 3] = value;
    else this.view.setBigUint64(at, value, true);
    this.wrote(at, 8);
  }

  /** Copies what was written to a structure at `from`, and forgets it. */
  apply(target: DataView, from: number): void {
    this.#endRun();
    for (let run = 0; run < this.#count; run += 2) {
      this.#copy(target, from, this.#runs[run]!, this.#runs[run + 1]!);
    }
    this.clear();
  }

  #copy(target: DataView, from: number, start: number, end: number): void {
    let at = start;
    // Numbers, because a bigint of each word would be made for nothing.
    for (; at + 4 <= end; at += 4) target.setUint32(from + at, this.view.getUint32(at, true), true);
    for (; at < end; at += 1) target.setUint8(from + at, this.view.getUint8(at));
  }

  /** Forgets what was written. */
  clear(): void {
    this.#count = 0;
    this.#start = 0;
    this.#end = 0;
  }
}
