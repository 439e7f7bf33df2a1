import type { Exit } from '../../kvm/exits.ts';
import type { Vcpu } from '../../kvm/vcpu.ts';
import { formatMs, hex } from '../quantity.ts';
import type { Ending } from '../shared/ending.ts';
import { JsonLines } from '../shared/json-lines.ts';
import type { OutputName } from '../shared/json-lines.ts';
import { Screen } from '../shared/screen.ts';
import type { Sink } from '../shared/screen.ts';
import { painter } from '../style.ts';
import type { Paint } from '../style.ts';
import { bytesText, detailText, placeText } from './exit-text.ts';
import { registersText } from './registers.ts';

/** The registers that a trace line shows. */
export const tracedRegisters = ['rip', 'rax', 'rbx', 'rcx', 'rdx'] as const;

export type TracedRegisters = Readonly<Record<(typeof tracedRegisters)[number], bigint>>;

/** One line of the trace. */
export interface TracedExit {
  readonly number: number;
  readonly exit: Exit;
  /** What the guest read, if it read. */
  readonly answer: Uint8Array | undefined;
  readonly registers: TracedRegisters | undefined;
}

/** How much the guest did. */
export interface RunFigures {
  readonly exits: number;
  readonly ms: number;
}

/** Where everything goes that a run has to tell. */
export interface Reporter {
  /** Bytes that the guest printed. */
  output(name: OutputName, bytes: Uint8Array): void;
  /** An exit, for the trace. */
  exit(traced: TracedExit): void;
  /** A hint for whoever sits at the keyboard. */
  hint(text: string): void;
  /** The end. The vCPU is still there, if there ever was one to look at. */
  end(ending: Ending, figures: RunFigures, vcpu: Vcpu): void;
}

/** For a person: the guest's output on one stream, everything else on the other. */
export class TextReporter implements Reporter {
  readonly #screen: Screen;
  readonly #paint: Paint;

  constructor(out: Sink, err: Sink) {
    this.#screen = new Screen(out, err);
    this.#paint = painter(err);
  }

  output(_name: OutputName, bytes: Uint8Array): void {
    this.#screen.guest(bytes);
  }

  exit({ number, exit, answer, registers }: TracedExit): void {
    const detail = answer === undefined ? detailText(exit) : bytesText(answer);
    const fields = [exit.kind.padEnd(9), placeText(exit).padEnd(11), detail].join('  ');
    const shown = registers && tracedRegisters.map((name) => `${name}=${hex(registers[name])}`).join(' ');
    const text = shown === undefined ? fields : `${fields.padEnd(35)}  ${this.#paint('cyan', shown)}`;
    this.#screen.line(`${this.#paint('dim', String(number).padStart(6))}  ${text.trimEnd()}`);
  }

  hint(text: string): void {
    this.#screen.line(this.#paint('dim', text));
  }

  end({ message, failed }: Ending, { exits, ms }: RunFigures, vcpu: Vcpu): void {
    const figures = `${exits} exit${exits === 1 ? '' : 's'}, ${formatMs(ms)}`;
    const painted = failed ? this.#paint('red', message) : message;
    this.#screen.line(`${this.#paint('dim', 'vmhatch:')} ${painted} ${this.#paint('dim', `(${figures})`)}`);
    if (failed) this.#screen.line(registersText(vcpu.getRegs(), vcpu.getSregs()));
  }
}

/** For a program: everything on one stream, an object a line. */
export class JsonReporter implements Reporter {
  readonly #lines: JsonLines;

  constructor(out: Sink) {
    this.#lines = new JsonLines(out);
  }

  output(device: OutputName, bytes: Uint8Array): void {
    this.#lines.output(device, bytes);
  }

  exit({ number, exit, answer, registers }: TracedExit): void {
    this.#lines.line({ type: 'exit', number, ...exit, answer, registers });
  }

  hint(): void {
    // Nobody sits there.
  }

  end({ reason, message, exitCode, failed }: Ending, figures: RunFigures, vcpu: Vcpu): void {
    const registers = failed ? { registers: vcpu.getRegs(), specialRegisters: vcpu.getSregs() } : {};
    this.#lines.end();
    this.#lines.line({ type: 'end', reason, message, exitCode, ...figures, ...registers });
  }
}
