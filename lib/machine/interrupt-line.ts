import { boolean } from '../internal/check.ts';
import { KEY, checkKey } from '../internal/illegal.ts';
import type { Vm } from '../kvm/vm.ts';
import { interruptLine } from './device-config.ts';
import { platform } from './platform.ts';

/**
 * An interrupt line of a machine, as a device of the caller's uses it.
 *
 * @example
 * ```ts
 * const line = machine.interrupt(5);
 * line.raise();
 * line.line; // 5
 * ```
 */
export class InterruptLine {
  /** The line: the IOAPIC's pin; on aarch64 the GIC's SPI. */
  readonly line: number;
  readonly #vm: () => Vm;

  /** @internal */
  constructor(key: symbol, line: number, vm: () => Vm) {
    checkKey(key);
    this.line = line;
    this.#vm = vm;
  }

  /** Signals one interrupt: the line goes up and down again. Nothing happens on a machine that was disposed of. */
  raise(): void {
    this.set(true);
    this.set(false);
  }

  /** Sets the level of the line. @throws `ERR_INVALID_ARG_TYPE` */
  set(active: boolean): void {
    const level = boolean('active', active);
    const vm = this.#vm();
    if (!vm.closed) vm.setIrqLine(platform.irqOf(this.line), level);
  }

  /** @internal */
  static make(line: unknown, vm: () => Vm): InterruptLine {
    return new InterruptLine(KEY, interruptLine('line', line), vm);
  }
}
