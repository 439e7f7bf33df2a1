import { formatMs } from '../quantity.ts';
import { JsonLines } from '../shared/json-lines.ts';
import type { OutputName } from '../shared/json-lines.ts';
import { Screen } from '../shared/screen.ts';
import type { Sink } from '../shared/screen.ts';
import { painter } from '../style.ts';
import type { Paint } from '../style.ts';
import type { BootEnding } from './ending.ts';

/** How long things took. */
export interface BootFigures {
  /** From the start to the end. */
  readonly ms: number;
  /** From the start until the guest said that it is up. */
  readonly bootTimeMs: number | undefined;
}

/** Where everything goes that a machine has to tell. */
export interface BootReporter {
  /** Bytes that the guest printed; false when the reader is behind. */
  output(name: OutputName, bytes: Uint8Array): unknown;
  /** Something that a person may want to know. */
  hint(text: string): void;
  /** Something that will most likely go wrong. */
  warning(text: string): void;
  /** The guest prints no more: its screen is ours again. */
  restore(): void;
  end(ending: BootEnding, figures: BootFigures): void;
}

/** For a person: the guest's output on one stream, everything else on the other. */
export class TextBootReporter implements BootReporter {
  readonly #screen: Screen;
  readonly #paint: Paint;
  readonly #options: { readonly quiet: boolean; readonly bootTime: boolean };

  constructor(out: Sink, err: Sink, options: { readonly quiet: boolean; readonly bootTime: boolean }) {
    this.#screen = new Screen(out, err);
    this.#paint = painter(err);
    this.#options = options;
  }

  output(_name: OutputName, bytes: Uint8Array): unknown {
    return this.#screen.guest(bytes);
  }

  hint(text: string): void {
    if (!this.#options.quiet) this.#screen.line(this.#paint('dim', `vmhatch: ${text}`));
  }

  warning(text: string): void {
    if (!this.#options.quiet) this.#say('yellow', text);
  }

  restore(): void {
    this.#screen.restore();
  }

  end({ message, note, failed, quiet }: BootEnding, { ms, bootTimeMs }: BootFigures): void {
    const text = `${printable(message)} ${this.#paint('dim', `(after ${formatMs(ms)})`)}`;
    if (failed) this.#say('red', text);
    else if (quiet !== true && !this.#options.quiet) this.#say('reset', text);
    if (note !== undefined) this.#screen.line(note);
    if (this.#options.bootTime) {
      this.#say(
        'reset',
        bootTimeMs === undefined ? 'boot time: the guest did not say' : `boot time: ${formatMs(bootTimeMs)}`,
      );
    }
  }

  #say(colour: 'red' | 'yellow' | 'reset', text: string): void {
    const painted = colour === 'reset' ? text : this.#paint(colour, text);
    this.#screen.line(`${this.#paint('dim', 'vmhatch:')} ${painted}`);
  }
}

/** A message may have words of the guest's, and go where its output does not. */
function printable(text: string): string {
  // oxlint-disable-next-line no-control-regex -- they are what is looked for
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, '?');
}

/** For a program: everything on one stream, an object a line. */
export class JsonBootReporter implements BootReporter {
  readonly #lines: JsonLines;

  constructor(out: Sink) {
    this.#lines = new JsonLines(out);
  }

  output(device: OutputName, bytes: Uint8Array): unknown {
    return this.#lines.output(device, bytes);
  }

  hint(): void {
    // Nobody sits there.
  }

  warning(message: string): void {
    this.#lines.line({ type: 'warning', message });
  }

  restore(): void {
    // No line has a guest's control characters.
  }

  end({ reason, message, note, exitCode }: BootEnding, figures: BootFigures): void {
    this.#lines.end();
    this.#lines.line({ type: 'end', reason, message, note, exitCode, ...figures });
  }
}
