/** The Worker that kicks: a few milliseconds after each order, so that the guest is well inside its loop. */
import { parentPort, workerData } from 'node:worker_threads';

import { KickHandle, type KickToken } from '../../index.ts';

export interface KickOrders {
  readonly token: KickToken;
  /** 0: wait, 1: kick, 2: end. */
  readonly word: Int32Array<SharedArrayBuffer>;
  /** `process.hrtime.bigint()` right before the last kick. */
  readonly kickedAt: BigInt64Array<SharedArrayBuffer>;
}

const { token, word, kickedAt } = workerData as KickOrders;
const handle = KickHandle.from(token);

parentPort?.postMessage('ready', []);
for (;;) {
  Atomics.wait(word, 0, 0);
  if (Atomics.load(word, 0) === 2) break;
  Atomics.store(word, 0, 0);
  // Nobody notifies: this is a sleep of 1 to 3 ms, never in step with anything periodic.
  Atomics.wait(word, 0, 0, 1 + Math.random() * 2);
  Atomics.store(kickedAt, 0, process.hrtime.bigint());
  handle.kick();
}
