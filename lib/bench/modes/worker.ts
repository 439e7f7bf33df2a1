/**
 * The Worker lane: a vCPU handed over to a Worker, which runs it synchronously there. Both threads meet at a shared
 * word; the Worker reads its own clock, so that waking it is not part of a block.
 */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

import { BenchGuest } from '../bench-guest.ts';
import type { ExitKind } from '../exit-kinds.ts';
import type { LaneMode } from '../lanes.ts';
import { attachRustDevice } from './sync.ts';
import { command, type WorkerOrders } from './worker-orders.ts';

/** The entry beside this file: `.ts` from source, `.js` from the build. */
const entry = new URL(
  import.meta.url.endsWith('.ts') ? './worker-entry.ts' : './worker-entry.js',
  import.meta.url,
);

export async function workerMode(kind: ExitKind): Promise<LaneMode> {
  const guest = new BenchGuest(kind);
  if (kind === 'coalesced') attachRustDevice(guest);
  const orders: WorkerOrders = {
    token: guest.vcpu.transfer(),
    kind,
    markerPort: guest.layout.markerPort,
    word: new Int32Array(new SharedArrayBuffer(4)),
    result: new Float64Array(new SharedArrayBuffer(8)),
  };
  const worker = new Worker(entry, { workerData: orders });
  await once(worker, 'message');
  const { word, result } = orders;
  return {
    name: 'worker',
    block() {
      Atomics.store(word, 0, command.block);
      Atomics.notify(word, 0);
      Atomics.wait(word, 0, command.block);
      return result[0]!;
    },
    async close() {
      const exit = once(worker, 'exit');
      Atomics.store(word, 0, command.stop);
      Atomics.notify(word, 0);
      await exit;
      guest.close();
    },
  };
}
