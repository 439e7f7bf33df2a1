/** Peers in processes of their own: they run the same guest and time each block themselves. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

import { guestLayout } from '../bench-guest.ts';
import { type ExitKind, exitsPerBlock } from '../exit-kinds.ts';
import type { LaneMode } from '../lanes.ts';

/** A program that serves blocks: bench/peers says how. */
export interface PeerProgram {
  readonly lane: 'c' | 'rust';
  readonly path: string;
}

export async function peerMode(kind: ExitKind, peer: PeerProgram): Promise<LaneMode> {
  const child = spawn(peer.path, [kind, '--serve'], { stdio: ['pipe', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  exited.catch(() => {});
  // A peer that died closes its input; the block that waits for its answer reports it.
  child.stdin.on('error', () => {});
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const answerOf = async (): Promise<string> => {
    const line = await lines.next();
    if (line.done === true) throw new Error(`the ${peer.lane} peer ended`);
    return line.value;
  };
  const guest = await answerOf();
  if (guest !== Buffer.from(guestLayout(kind).program).toString('hex')) {
    child.kill();
    throw new Error(`the ${peer.lane} peer has another guest program`);
  }
  return {
    name: peer.lane,
    async block() {
      child.stdin.write('\n');
      return Number(await answerOf()) / exitsPerBlock;
    },
    async close() {
      child.stdin.end();
      await exited;
    },
  };
}
