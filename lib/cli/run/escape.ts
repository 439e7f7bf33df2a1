/** What the person asked of the terminal, other than typing. */
export type EscapeAction = 'interrupt' | 'quit' | 'help';

const CTRL_A = 0x01;
const CTRL_C = 0x03;

/**
 * Takes the commands out of what is typed at a raw terminal: Ctrl-C interrupts; ctrl-a begins a command of one more
 * key: x quits, c and a type a Ctrl-C and a ctrl-a at the guest, h helps.
 */
export class EscapeDecoder {
  #pending = false;

  /** The bytes that are for the guest, and the commands in the order in which they came. */
  decode(typed: Uint8Array): { readonly bytes: Uint8Array; readonly actions: readonly EscapeAction[] } {
    const bytes: number[] = [];
    const actions: EscapeAction[] = [];
    for (const byte of typed) {
      if (this.#pending) {
        this.#pending = false;
        this.#command(byte, bytes, actions);
      } else if (byte === CTRL_A) {
        this.#pending = true;
      } else if (byte === CTRL_C) {
        actions.push('interrupt');
      } else {
        bytes.push(byte);
      }
    }
    return { bytes: Uint8Array.from(bytes), actions };
  }

  #command(byte: number, bytes: number[], actions: EscapeAction[]): void {
    switch (String.fromCharCode(byte).toLowerCase()) {
      case 'x':
        actions.push('quit');
        break;
      case 'c':
        bytes.push(CTRL_C);
        break;
      case 'a':
      case '\u0001':
        bytes.push(CTRL_A);
        break;
      default:
        actions.push('help');
    }
  }
}
