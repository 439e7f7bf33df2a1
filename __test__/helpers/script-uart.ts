/** A serial port in JavaScript, as a device of a machine's that Linux has a driver for: registers and interrupts. */
import type { Device, InterruptLine } from '../../index.ts';

// Registers and bits: include/uapi/linux/serial_reg.h.
const DATA = 0;
const IER = 1;
const IIR = 2;
const LCR = 3;
const MCR = 4;
const LSR = 5;
const MSR = 6;
const SCRATCH = 7;
const IER_RECEIVED = 1;
const IER_TRANSMITTED = 2;
const IIR_NONE = 1;
const IIR_TRANSMITTED = 2;
const IIR_RECEIVED = 4;
const LCR_DIVISOR = 0x80;
const LSR_READY = 1;
const LSR_IDLE = 0x60;
const MSR_CONNECTED = 0xb0;

/** A 16450: no FIFO, so each byte is an interrupt. */
export class ScriptUart implements Device {
  /** What the guest sent. */
  sent = '';
  /** How often the guest was interrupted. */
  interrupts = 0;
  #line: InterruptLine | undefined;
  readonly #registers = new Uint8Array(8);
  readonly #divisor = new Uint8Array(2);
  readonly #received: number[] = [];
  #transmitted = false;

  /** Gives it its interrupt. */
  connect(line: InterruptLine): void {
    this.#line = line;
  }

  /** Types a text. */
  type(text: string): void {
    this.#received.push(...Buffer.from(text));
    if (this.#enabled(IER_RECEIVED)) this.#interrupt();
  }

  read(offset: number): number {
    if (this.#latched(offset)) return this.#divisor[offset]!;
    switch (offset) {
      case DATA: {
        const byte = this.#received.shift() ?? 0;
        // Edges: what is still there is told anew.
        if (this.#received.length > 0 && this.#enabled(IER_RECEIVED)) this.#interrupt();
        return byte;
      }
      case IIR:
        return this.#cause();
      case LSR:
        return LSR_IDLE | (this.#received.length > 0 ? LSR_READY : 0);
      case MSR:
        return MSR_CONNECTED;
      default:
        return this.#registers[offset]!;
    }
  }

  write(offset: number, value: number): void {
    if (this.#latched(offset)) {
      this.#divisor[offset] = value;
    } else if (offset === DATA) {
      this.sent += String.fromCharCode(value);
      this.#becomeIdle();
    } else if (offset === IER) {
      const before = this.#registers[IER]!;
      this.#registers[IER] = value & 0x0f;
      if (value & ~before & IER_TRANSMITTED) this.#becomeIdle();
      if (value & ~before & IER_RECEIVED && this.#received.length > 0) this.#interrupt();
    } else if ([LCR, MCR, SCRATCH].includes(offset)) {
      this.#registers[offset] = value;
    }
  }

  #latched(offset: number): boolean {
    return offset <= IER && (this.#registers[LCR]! & LCR_DIVISOR) !== 0;
  }

  #enabled(bit: number): boolean {
    return (this.#registers[IER]! & bit) !== 0;
  }

  #becomeIdle(): void {
    this.#transmitted = true;
    if (this.#enabled(IER_TRANSMITTED)) this.#interrupt();
  }

  #cause(): number {
    if (this.#enabled(IER_RECEIVED) && this.#received.length > 0) return IIR_RECEIVED;
    if (!this.#enabled(IER_TRANSMITTED) || !this.#transmitted) return IIR_NONE;
    this.#transmitted = false;
    return IIR_TRANSMITTED;
  }

  #interrupt(): void {
    this.interrupts++;
    this.#line?.raise();
  }
}
