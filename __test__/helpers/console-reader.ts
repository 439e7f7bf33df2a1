/** A guest's console as a person uses it: wait for a text, type a line, read what it gives. */
import type { Machine, MachineConsole } from '../../index.ts';

/** How long anything that a guest is asked for may take; emulated processors on a busy machine need some of it. */
const PATIENCE_MS = 120_000;

/** Longer than any text that is waited for: only so much of what was read already is looked at again. */
const LOOK_BACK = 1000;

/** What a failure shows of the console. */
const SHOWN_LINES = 40;

/** Reads a console from the moment it is made. Bytes are characters: the guests of tests print ASCII, or are counted. */
export class ConsoleReader {
  /** All that was read. */
  text = '';
  readonly #console: MachineConsole;
  readonly #machine: Machine;
  /** What is before this was waited for. */
  #cursor = 0;
  #look: () => void = () => undefined;
  #end: string | undefined;
  #commands = 0;

  constructor(machine: Machine, console = machine.console) {
    this.#machine = machine;
    this.#console = console;
    console.on('data', (bytes: Buffer) => {
      this.text += bytes.toString('latin1');
      this.#look();
    });
    console.on('end', () => void this.#finish());
  }

  /** The last lines, for messages. */
  get tail(): string {
    const text = this.text.slice(-SHOWN_LINES * 80).replaceAll('\r', '');
    return text
      .replaceAll(/[^\n -~]/g, '?')
      .split('\n')
      .slice(-SHOWN_LINES)
      .map((line) => `  | ${line}\n`)
      .join('');
  }

  /** Waits for a text behind the last one that was waited for. Case and order count; lines end with `\n`. */
  async expect(pattern: RegExp | string): Promise<RegExpExecArray> {
    const expression = typeof pattern === 'string' ? new RegExp(escaped(pattern)) : pattern;
    let from = this.#cursor;
    const found = await this.#wait(`no ${expression} on the console`, () => {
      const match = expression.exec(this.text.slice(from));
      if (match !== null) {
        this.#cursor = from + match.index + match[0].length;
        return match;
      }
      from = Math.max(from, this.text.length - LOOK_BACK);
      return undefined;
    });
    return found;
  }

  /** Waits for that many bytes behind what was last waited for. */
  async take(count: number): Promise<Buffer> {
    const from = this.#cursor;
    await this.#wait(`fewer than ${count} bytes on the console`, () =>
      this.text.length >= from + count ? true : undefined,
    );
    this.#cursor = from + count;
    return Buffer.from(this.text.slice(from, from + count), 'latin1');
  }

  /** Forgets what was read so far. */
  skip(): void {
    this.#cursor = this.text.length;
  }

  /** Types a line. */
  type(line: string): void {
    this.#console.write(`${line}\n`);
  }

  /** Types bytes; done when the guest's port has taken them all. */
  paste(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#console.write(bytes, (error) => (error ? reject(error) : resolve()));
    });
  }

  /**
   * Makes a shell that shows a prompt one that shows nothing of its own: no prompt, no echo, no escape sequences. The
   * kernel says no more than what ends it. Such a shell takes the end of a child of its own, while it waits for a line,
   * for the end of its input: what shall run beside it is started as `(COMMAND &)`.
   */
  async makeQuiet(): Promise<void> {
    this.type('stty -echo; PS1=; PS2=; dmesg -n 1; echo quiet $((6*7))');
    await this.expect(/quiet 42\r?\n/);
  }

  /**
   * What a command of a quiet shell prints, without the last end of line.
   *
   * @throws If its status is not 0.
   */
  async command(line: string): Promise<string> {
    const mark = `end ${++this.#commands} of`;
    this.type(`${line}\necho; echo ${mark} $?`);
    const from = this.#cursor;
    const [all, status] = await this.expect(new RegExp(`\\r?\\n${mark} (\\d+)\\r?\\n`));
    const output = this.text.slice(from, this.#cursor - all.length).replaceAll('\r\n', '\n');
    if (status !== '0') throw new Error(`'${line}': status ${status}\n${output}\n${this.tail}`);
    return output.replace(/\n$/, '');
  }

  async #finish(): Promise<void> {
    const exit = await this.#machine.exited;
    this.#end = exit.reason === 'error' ? exit.error.message : exit.reason;
    this.#look();
  }

  /** Waits until `look` gives something. It is called again whenever the guest has printed. */
  #wait<T>(failure: string, look: () => T | undefined): Promise<T> {
    return new Promise((resolve, reject) => {
      const settle = (act: () => void): void => {
        clearTimeout(timer);
        this.#look = () => undefined;
        act();
      };
      const fail = (why: string): void =>
        settle(() => reject(new Error(`${failure}: ${why}. Its end:\n${this.tail}`)));
      const timer = setTimeout(
        () => fail(`waited ${PATIENCE_MS / 1000} s, the machine is ${this.#machine.state}`),
        PATIENCE_MS,
      );
      this.#look = () => {
        const found = look();
        if (found !== undefined) settle(() => resolve(found));
        else if (this.#end !== undefined) fail(`the machine ended: ${this.#end}`);
      };
      this.#look();
    });
  }
}

function escaped(text: string): string {
  return text.replaceAll(/[$()*+.?[\\\]^{|}]/g, '\\$&');
}
