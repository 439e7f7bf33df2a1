import { elements, integer, object, property } from '../internal/check.ts';
import { KEY, checkKey } from '../internal/illegal.ts';
import { native } from '../internal/native.ts';

/** Names a vCPU in messages between threads: plain data, to be posted. Good for kicks. */
export interface KickToken {
  /** The vCPU's number in this process, and which use of that number it is. */
  readonly vcpu: readonly [number: number, generation: number];
}

/** The right to adopt a vCPU, once: plain data, to be posted. */
export interface VcpuToken extends KickToken {
  /** The number of the transfer. */
  readonly offer: number;
}

/** @internal Reads a token that came from who knows where. */
export function tokenNumbers(name: string, value: unknown): [number, number] {
  const numbers = elements(`${name}.vcpu`, property(name, object(name, value), 'vcpu'), 2);
  return [
    integer(`${name}.vcpu[0]`, numbers[0], 0, 0xffff_ffff),
    integer(`${name}.vcpu[1]`, numbers[1], 0, 0xffff_ffff),
  ];
}

/**
 * Stops a running vCPU, from any thread. A kick is sticky: with no run in progress it ends the next one, so none is
 * ever lost.
 *
 * @example
 * ```ts
 * const { token } = vcpu.kickHandle; // plain data: post it to a Worker
 * KickHandle.from(token).kick(); // there, or here
 * vcpu.run(); // { reason: 'kicked' }
 * ```
 */
export class KickHandle {
  /** Plain data that names the vCPU: post it to another thread and give it to {@link KickHandle.from}. */
  readonly token: KickToken;
  readonly #numbers: readonly [number, number];

  /** @internal */
  constructor(key: symbol, token: KickToken) {
    checkKey(key);
    this.token = token;
    this.#numbers = [...token.vcpu];
  }

  /**
   * A handle for the vCPU that a token names. A vCPU that is gone is no error: it needs no kick.
   *
   * @throws `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE` for what is no token.
   */
  static from(token: KickToken): KickHandle {
    const [number, generation] = tokenNumbers('token', token);
    return new KickHandle(KEY, { vcpu: [number, generation] });
  }

  /** Ends the run in progress with `{ reason: 'kicked' }`, or the next one. Does not wait for it. */
  kick(): void {
    native().kickByToken(...this.#numbers);
  }
}
