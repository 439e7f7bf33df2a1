/** What every part of a bench run is given. */
import type { GoalId } from './goals.ts';
import type { PeerProgram } from './modes/peer.ts';
import type { Row } from './report.ts';
import { interleave, type Mode } from './rounds.ts';

export interface BenchContext {
  readonly wants: (id: GoalId) => boolean;
  readonly rounds: number;
  /** The time of this part ends here, by `performance.now()`. */
  readonly deadline: number;
  readonly signal: AbortSignal | undefined;
  readonly noopNs: number;
  readonly peers: readonly PeerProgram[];
  /** Says what is being done, and how far it is. */
  readonly progress: (what: string, done: number, of: number) => void;
  /** A mode that this host or kernel does not have is left out of the run, not a failure of it. */
  readonly skip: (what: string, why: unknown) => void;
  readonly add: (row: Row) => void;
}

/** Rounds with a context's limits. */
export function measure(
  context: BenchContext,
  what: string,
  modes: readonly Mode[],
): Promise<Map<string, Float64Array>> {
  const { rounds, deadline, signal } = context;
  return interleave(modes, {
    rounds,
    warmUp: Math.min(30, Math.ceil(rounds / 4)),
    deadline,
    signal,
    progress: (done, of) => context.progress(what, done, of),
  });
}
