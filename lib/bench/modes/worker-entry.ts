/** The Worker of the Worker lane: a block whenever the shared word says so. */
import { parentPort, workerData } from 'node:worker_threads';

import { Vcpu } from '../../../index.ts';
import { exitsPerBlock } from '../exit-kinds.ts';
import { BlockClock } from './block-clock.ts';
import { blockHandlers } from './handlers.ts';
import { command, type WorkerOrders } from './worker-orders.ts';

const { token, kind, markerPort, word, result } = workerData as WorkerOrders;
const vcpu = Vcpu.adopt(token);
// With an eventfd only its count would be left to take, and the eventfd is the main thread's.
const clock = new BlockClock(undefined);
const handlers = blockHandlers(kind, markerPort, clock);

parentPort?.postMessage('ready', []);
for (;;) {
  Atomics.wait(word, 0, command.idle);
  if (Atomics.load(word, 0) === command.stop) break;
  vcpu.run(handlers);
  result[0] = clock.ns / exitsPerBlock;
  Atomics.store(word, 0, command.idle);
  Atomics.notify(word, 0);
}
