/** What the person asked of the terminal, other than typing. */
export type EscapeAction = 'interrupt' | 'quit' | 'resize' | 'help';

/** What a command takes out of the typing. */
export interface EscapeKeys {
  /** Whose Ctrl-C is: `'interrupt'` is an action of ours, `'typed'` goes to the guest as any other key. */
  readonly ctrlC: 'interrupt' | 'typed';
  /** Keys behind ctrl-a and what they do, in lower case; c, a and h are always there. */
  readonly commands: Readonly<Record<string, EscapeAction>>;
}

const CTRL_A = 0x01;
const CTRL_C = 0x03;

/**
 * Takes the commands out of what is typed at a raw terminal. Ctrl-a begins a command of one more key: those of
 * {@link EscapeKeys}; c and a type a Ctrl-C and a ctrl-a at the guest; h, or any other key, helps.
 */
export class EscapeDecoder {
  readonly #keys: EscapeKeys;
  #pending = false;

  constructor(keys: EscapeKeys) {
    this.#keys = keys;
  }

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
      } else if (byte === CTRL_C && this.#keys.ctrlC === 'interrupt') {
        actions.push('interrupt');
      } else {
        bytes.push(byte);
      }
    }
    return { bytes: Uint8Array.from(bytes), actions };
  }

  #command(byte: number, bytes: number[], actions: EscapeAction[]): void {
    const key = String.fromCharCode(byte).toLowerCase();
    const { commands } = this.#keys;
    if (key === 'c') bytes.push(CTRL_C);
    else if (key === 'a' || byte === CTRL_A) bytes.push(CTRL_A);
    else actions.push(Object.hasOwn(commands, key) ? commands[key]! : 'help');
  }
}
