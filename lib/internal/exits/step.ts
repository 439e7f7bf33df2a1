/**
 * The exits that step() gives: a fresh object each, which says the same for ever and can be answered until the next step.
 * There is one for each exit of the guest, so what costs an allocation is made when somebody asks for it.
 */
import { inspect } from 'node:util';
import { STATUS } from '../../generated/control-page.ts';
import type {
  ExitMap,
  HandlerExit,
  IoInExit,
  IoOutExit,
  MmioReadExit,
  MmioWriteExit,
  StepExit,
} from '../../kvm/exits.ts';
import type { IoIn, IoOut, MmioRead, MmioWrite } from './access.ts';
import { staleExit } from './base.ts';
import { copyExit, type ExitSet } from './set.ts';
import type { OtherExit } from './other.ts';

/** What the objects need of the run that they come from. */
export interface StepOwner {
  /** The current exit's number. */
  readonly sequence: number;
}

/** What all of them can do. */
abstract class StepObject {
  abstract toJSON(): object;

  /** They print as the data that they are. */
  [inspect.custom](): object {
    return this.toJSON();
  }
}

class StepIoOut extends StepObject implements IoOutExit {
  readonly kind = 'ioOut' as const;
  readonly port: number;
  readonly size: 1 | 2 | 4;
  readonly count: number;
  readonly value: number;
  #data: Uint8Array | undefined;

  constructor(exit: IoOut) {
    super();
    this.port = exit.port;
    this.size = exit.size;
    this.count = exit.count;
    this.value = exit.value;
    // Of one element the value has all.
    this.#data = this.count === 1 ? undefined : exit.data;
  }

  get data(): Uint8Array {
    return (this.#data ??= Uint8Array.from({ length: this.size }, (_, byte) => this.value >>> (byte * 8)));
  }

  toJSON(): IoOutExit {
    const { kind, port, size, count, value, data } = this;
    return { kind, port, size, count, value, data };
  }
}

class StepIoIn extends StepObject implements IoInExit {
  readonly kind = 'ioIn' as const;
  readonly port: number;
  readonly size: 1 | 2 | 4;
  readonly count: number;
  readonly #exit: IoIn;
  readonly #owner: StepOwner;
  readonly #sequence: number;

  constructor(exit: IoIn, owner: StepOwner) {
    super();
    this.port = exit.port;
    this.size = exit.size;
    this.count = exit.count;
    this.#exit = exit;
    this.#owner = owner;
    this.#sequence = owner.sequence;
  }

  reply(answer: number | Uint8Array): void {
    if (this.#owner.sequence !== this.#sequence) throw staleExit();
    this.#exit.reply(answer);
  }

  toJSON(): IoInExit {
    const { kind, port, size, count } = this;
    return { kind, port, size, count };
  }
}

class StepMmioRead extends StepObject implements MmioReadExit {
  readonly kind = 'mmioRead' as const;
  readonly address: number;
  readonly size: number;
  readonly #exit: MmioRead;
  readonly #owner: StepOwner;
  readonly #sequence: number;

  constructor(exit: MmioRead, owner: StepOwner) {
    super();
    this.address = exit.address;
    this.size = exit.size;
    this.#exit = exit;
    this.#owner = owner;
    this.#sequence = owner.sequence;
  }

  reply(answer: number | bigint | Uint8Array): void {
    if (this.#owner.sequence !== this.#sequence) throw staleExit();
    this.#exit.reply(answer);
  }

  toJSON(): MmioReadExit {
    const { kind, address, size } = this;
    return { kind, address, size };
  }
}

class StepMmioWrite extends StepObject implements MmioWriteExit {
  readonly kind = 'mmioWrite' as const;
  readonly address: number;
  readonly size: number;
  readonly value: number;
  #value64: bigint | undefined;

  constructor(exit: MmioWrite) {
    super();
    this.address = exit.address;
    this.size = exit.size;
    this.value = exit.value;
    // Of up to four bytes the value has all.
    this.#value64 = this.size > 4 ? exit.value64 : undefined;
  }

  get value64(): bigint {
    return (this.#value64 ??= BigInt(this.value));
  }

  toJSON(): MmioWriteExit {
    const { kind, address, size, value, value64 } = this;
    return { kind, address, size, value, value64 };
  }
}

/** An exit that is no access. Its properties are those of its kind. */
class StepOther extends StepObject {
  constructor(exit: OtherExit, owner: StepOwner) {
    super();
    Object.assign(this, copyExit(exit));
    const { sequence } = owner;
    const define = (name: 'reply' | 'fail', value: (...args: never[]) => void): void => {
      // Not enumerable: a copy has the data alone.
      Object.defineProperty(this, name, { value, enumerable: false });
    };
    const current = (): HandlerExit<'x86Rdmsr'> => {
      if (owner.sequence !== sequence) throw staleExit();
      return exit as unknown as HandlerExit<'x86Rdmsr'>;
    };
    if (exit.reply !== undefined) define('reply', (answer: bigint) => current().reply(answer));
    if (exit.fail !== undefined) define('fail', () => current().fail());
  }

  toJSON(): ExitMap[keyof ExitMap] {
    return Object.assign({}, this) as unknown as ExitMap[keyof ExitMap];
  }
}

/**
 * The exit that a step ended with, to keep.
 *
 * @param status - what the native loop said: of the exit objects, which have a shape each, asking costs more
 */
export function stepExit(status: number, exits: ExitSet, owner: StepOwner): StepExit {
  switch (status) {
    case STATUS.ioOut:
      return new StepIoOut(exits.ioOut);
    case STATUS.ioIn:
      return new StepIoIn(exits.ioIn, owner);
    case STATUS.mmioRead:
      return new StepMmioRead(exits.mmioRead, owner);
    case STATUS.mmioWrite:
      return new StepMmioWrite(exits.mmioWrite);
    default:
      return new StepOther(exits.other(), owner) as unknown as StepExit;
  }
}
