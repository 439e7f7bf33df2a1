// A stream that ends with a mark: what comes before it is passed on as it comes.
import { Transform } from 'node:stream';

/** Passes bytes on and keeps the mark back; `complete` tells whether the mark has come. */
export class UntilMark extends Transform {
  /** True once the mark has been seen: all that was written is here. */
  complete = false;
  /** @type {Buffer} */
  #held = Buffer.alloc(0);
  #mark;

  /** @param {string} mark */
  constructor(mark) {
    super();
    this.#mark = Buffer.from(mark);
  }

  /**
   * @override
   * @param {Buffer} chunk
   * @param {BufferEncoding} _encoding
   * @param {import('node:stream').TransformCallback} done
   */
  _transform(chunk, _encoding, done) {
    if (this.complete) {
      done();
      return;
    }
    const bytes = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    const at = bytes.indexOf(this.#mark);
    if (at >= 0) {
      this.complete = true;
      this.#held = Buffer.alloc(0);
      if (at > 0) this.push(bytes.subarray(0, at));
      this.push(null);
      done();
      return;
    }
    const held = this.#beginning(bytes);
    this.#held = bytes.subarray(bytes.length - held);
    done(null, bytes.subarray(0, bytes.length - held));
  }

  /**
   * @override
   * @param {import('node:stream').TransformCallback} done
   */
  _flush(done) {
    done(null, this.complete ? undefined : this.#held);
  }

  /**
   * How many of the last bytes may be the beginning of the mark.
   * @param {Buffer} bytes
   */
  #beginning(bytes) {
    const longest = Math.min(bytes.length, this.#mark.length - 1);
    for (let length = longest; length > 0; length--) {
      if (bytes.subarray(bytes.length - length).equals(this.#mark.subarray(0, length))) return length;
    }
    return 0;
  }
}
