import { TextDecoder } from 'node:util';

import { hex } from '../quantity.ts';
import type { Sink } from './screen.ts';

/** What prints, as the lines call it. */
export type OutputName = 'serial' | 'debug-console';

/** Objects, one a line; 64-bit values as hexadecimal strings, bytes as arrays of numbers. */
export class JsonLines {
  readonly #out: Sink;
  readonly #decoders = new Map<OutputName, TextDecoder>();

  constructor(out: Sink) {
    this.#out = out;
  }

  /** Bytes that a guest printed. What is written is the sink's word on whether it wants more. */
  output(device: OutputName, bytes: Uint8Array): unknown {
    // One decoder a device: a character of several bytes may arrive in pieces.
    const decoder = this.#decoders.get(device) ?? new TextDecoder();
    this.#decoders.set(device, decoder);
    const text = decoder.decode(bytes, { stream: true });
    return text === '' || this.line({ type: 'output', device, text });
  }

  /** Nothing more is printed: a character that was cut off is told, too. */
  end(): void {
    for (const [device, decoder] of this.#decoders) {
      const text = decoder.decode();
      if (text !== '') this.line({ type: 'output', device, text });
    }
    this.#decoders.clear();
  }

  line(data: object): unknown {
    const text = JSON.stringify(data, (_key, value: unknown) => {
      if (typeof value === 'bigint') return hex(value);
      return value instanceof Uint8Array ? Array.from(value) : value;
    });
    return this.#out.write(`${text}\n`);
  }
}
