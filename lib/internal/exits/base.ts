/** What all reused exit objects share. */
import { bytes } from '../bytes.ts';
import { KvmError, invalidArgType, outOfRange } from '../errors.ts';
import type { RunView } from '../run-view.ts';

/** What an exit object needs of the run that it belongs to. */
export interface ExitOwner {
  readonly view: RunView;
  /** Ends the run after the handler. */
  requestStop(): void;
  /** Throws when the exit is not the current one. */
  checkCurrent(exit: ExitObject): void;
}

/** The base of the reused exit objects: getters over the shared pages. */
export abstract class ExitObject {
  protected readonly owner: ExitOwner;
  protected readonly view: RunView;

  constructor(owner: ExitOwner) {
    this.owner = owner;
    this.view = owner.view;
  }

  /** The pages, unless a handler has closed the vCPU: they are empty then. */
  protected get live(): RunView {
    if (this.view.u8.length === 0) throw new KvmError('ERR_KVM_CLOSED', 'the Vcpu is closed');
    return this.view;
  }

  /** Ends the run after this handler. */
  stop(): void {
    this.owner.requestStop();
  }

  abstract toJSON(): object;
}

/** The largest value of an element of 1, 2 or 4 bytes. */
function limit(size: number): number {
  return size >= 4 ? 0xffff_ffff : (1 << (size * 8)) - 1;
}

/** Checks what answers a read of up to 4 bytes. */
export function checkAnswer(value: unknown, size: number): number {
  if (typeof value !== 'number') throw invalidArgType('answer', 'of type number', value);
  if (value >>> 0 !== value || value > limit(size)) {
    throw outOfRange('answer', `an integer >= 0 && <= ${limit(size)} (${size} bytes)`, value);
  }
  return value;
}

/** Checks what answers a read of up to 8 bytes. */
export function checkAnswer64(value: unknown, size: number): bigint {
  const wide = typeof value === 'number' && Number.isSafeInteger(value) ? BigInt(value) : value;
  if (typeof wide !== 'bigint') {
    if (typeof value === 'number') throw outOfRange('answer', 'an integer', value);
    throw invalidArgType('answer', 'of type bigint or number', value);
  }
  if (wide < 0n || wide >> BigInt(size * 8) !== 0n)
    throw outOfRange('answer', `>= 0 && < 2 ** ${size * 8}`, wide);
  return wide;
}

/** Checks what answers with bytes. */
export function checkAnswerBytes(value: unknown, length: number): Uint8Array {
  const given = bytes('answer', value);
  if (given.length !== length) throw outOfRange('answer.length', `${length}`, given.length);
  return given;
}

/** The error for an answer that comes when the guest has gone on. */
export function staleExit(): KvmError {
  return new KvmError(
    'ERR_KVM_STALE_EXIT',
    'the guest has gone on since this exit: it cannot be answered any more',
  );
}
