/** What the Worker lane's two threads share. */
import type { VcpuToken } from '../../../index.ts';
import type { ExitKind } from '../exit-kinds.ts';

/** The shared word: who has the turn. */
export const command = { idle: 0, block: 1, stop: 2 } as const;

export interface WorkerOrders {
  readonly token: VcpuToken;
  readonly kind: ExitKind;
  readonly markerPort: number;
  readonly word: Int32Array<SharedArrayBuffer>;
  /** Nanoseconds per exit of the last block. */
  readonly result: Float64Array<SharedArrayBuffer>;
}
