/**
 * The background lane: the vCPU has a thread of its own, handlers run here. One run lasts for the whole benchmark: at
 * the end of a block the marker's handler returns a promise, the vCPU waits for it, and the next block begins when it
 * settles. So the lane costs nothing while other modes have their turn, and no block starts a thread.
 */
import type { AsyncHandlers } from '../../../index.ts';
import { BenchGuest } from '../bench-guest.ts';
import { type ExitKind, exitsPerBlock } from '../exit-kinds.ts';
import type { LaneMode } from '../lanes.ts';
import { BlockClock, sink } from './block-clock.ts';
import { blockHandlers } from './handlers.ts';
import { attachRustDevice } from './sync.ts';

export async function backgroundMode(kind: ExitKind): Promise<LaneMode> {
  const guest = new BenchGuest(kind);
  if (kind === 'coalesced') attachRustDevice(guest);
  const { markerPort } = guest.layout;
  const clock = new BlockClock(guest.event);
  let closing = false;
  let release = (): void => {};
  let finished = (): void => {};
  /** Resolves at the end of the block that is under way. */
  const blockEnd = (): Promise<void> =>
    new Promise((resolve) => {
      finished = resolve;
    });
  const handlers: AsyncHandlers = {
    ...blockHandlers(kind, markerPort, clock),
    ioOut(exit) {
      if (exit.port !== markerPort) {
        sink.sum += exit.value;
        return undefined;
      }
      if (closing) {
        exit.stop();
        return undefined;
      }
      if (!clock.mark()) return undefined;
      finished();
      return new Promise<void>((resolve) => {
        release = resolve;
      });
    },
  };
  const first = blockEnd();
  const run = guest.vcpu.runInBackground(handlers);
  // A run that fails must not leave a block waiting.
  const failed = (async () => {
    const { reason } = await run;
    if (!closing) throw new Error(`the background run ended by itself: ${reason}`);
  })();
  failed.catch(() => {});
  await Promise.race([first, failed]);
  return {
    name: 'background',
    async block() {
      const end = blockEnd();
      release();
      await Promise.race([end, failed]);
      return clock.ns / exitsPerBlock;
    },
    async close() {
      closing = true;
      release();
      await run;
      guest.close();
    },
  };
}
