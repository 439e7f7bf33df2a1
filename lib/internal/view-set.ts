/** The windows of guest memory that JavaScript holds, so that closing can detach them. */
import { native } from './native.ts';

interface Window {
  readonly buffer: WeakRef<ArrayBuffer>;
  readonly address: number;
}

/** All live windows of one virtual machine in this isolate. */
export class ViewSet {
  readonly #windows = new Set<Window>();
  readonly #collected = new FinalizationRegistry<Window>((window) => this.#windows.delete(window));

  /** Enters a window that starts at `address`. */
  add(buffer: ArrayBuffer, address: number): void {
    const window = { buffer: new WeakRef(buffer), address };
    this.#windows.add(window);
    this.#collected.register(buffer, window);
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
