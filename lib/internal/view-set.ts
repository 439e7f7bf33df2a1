/** The windows of guest memory that JavaScript holds, so that closing can detach them. */
import { native } from './native.ts';

interface Window {
  readonly buffer: WeakRef<ArrayBuffer>;
  readonly address: number;
}

/** Takes windows that were collected off their list; one registry for all machines, because making one is slow. */
const collected = new FinalizationRegistry<{ windows: Set<Window>; window: Window }>(({ windows, window }) =>
  windows.delete(window),
);

/** All live windows of one virtual machine in this isolate. */
export class ViewSet {
  readonly #windows = new Set<Window>();

  /** Enters a window that starts at `address`. */
  add(buffer: ArrayBuffer, address: number): void {
    const window = { buffer: new WeakRef(buffer), address };
    this.#windows.add(window);
    collected.register(buffer, { windows: this.#windows, window });
  }

  /** Empties the windows that start in a range; without one, all. */
  detach(start = 0, length = Infinity): void {
    for (const window of this.#windows) {
      if (window.address < start || window.address >= start + length) continue;
      const buffer = window.buffer.deref();
      if (buffer !== undefined) native().detach(buffer);
      this.#windows.delete(window);
    }
  }
}
