/** A whole bench run: its parts in order, within the time that it is given. */
import { Kvm } from '../../index.ts';
import type { BenchContext } from './context.ts';
import { measureEventLoop } from './event-loop.ts';
import { exitKinds } from './exit-kinds.ts';
import { measureAfterDetach, measureExits } from './exits.ts';
import { measureCollections, measureFootprint } from './footprint.ts';
import { type GoalId, goalIds } from './goals.ts';
import { measureKick } from './kick.ts';
import { measureLifecycle } from './lifecycle.ts';
import { detachABuffer, measureMemoryView } from './memory-view.ts';
import { measureNoop } from './modes/native.ts';
import type { PeerProgram } from './modes/peer.ts';
import type { Host, Report, Row } from './report.ts';
import { measureState } from './state.ts';

export interface BenchOptions {
  readonly host: Host;
  /** The goals to measure; default all. */
  readonly rows?: ReadonlySet<GoalId> | undefined;
  /** Rounds of each comparison, if the time allows. Default 400. */
  readonly rounds?: number;
  /** Milliseconds for all of it together, roughly; default: as long as the rounds take. */
  readonly budgetMs?: number | undefined;
  /** C and Rust programs to put beside the lanes. */
  readonly peers?: readonly PeerProgram[];
  /** Ends the run soon; what was measured until then is reported. */
  readonly signal?: AbortSignal;
  readonly progress?: (text: string) => void;
}

/** Fewer samples have no median to speak of. */
const leastSamples = 3;

interface Part {
  /** The goals that it has something for; it runs if one of them is wanted. */
  readonly ids: readonly GoalId[];
  /** Its share of the time. */
  readonly weight: number;
  /** False: its control was off. */
  run(context: BenchContext): Promise<boolean | void>;
}

const parts: readonly Part[] = [
  ...exitKinds.map((kind): Part => {
    const inKernel = kind === 'ioeventfd' || kind === 'coalesced';
    const ids: GoalId[] = inKernel ? ['P5', 'lanes'] : ['P3', 'P6', 'lanes'];
    if (!inKernel && kind !== 'hlt') ids.push('P1', 'P2');
    if (kind === 'pioOut') ids.push('P0', 'P4');
    if (kind === 'pioIn') ids.push('P4b');
    return {
      ids,
      weight: kind === 'pioOut' || kind === 'pioIn' ? 3 : 2,
      run: (context) => measureExits(kind, context),
    };
  }),
  { ids: ['P11'], weight: 0.5, run: (context) => measureMemoryView(context) },
  { ids: ['P6b'], weight: 3, run: measureEventLoop },
  { ids: ['kick'], weight: 1, run: measureKick },
  { ids: ['P7'], weight: 1, run: measureLifecycle },
  { ids: ['P12'], weight: 0.5, run: measureFootprint },
  { ids: ['state'], weight: 2, run: measureState },
  { ids: ['gc'], weight: 0.5, run: measureCollections },
  {
    // Last: detaching cannot be undone. (Closing a VM detaches buffers too; here it is certain, and said.)
    ids: ['P1', 'P2', 'P3', 'P11'],
    weight: 1.5,
    async run(context) {
      detachABuffer();
      const valid = await measureAfterDetach(context);
      if (context.wants('P11')) await measureMemoryView(context, ' after a detach');
      return valid;
    },
  },
];

/**
 * Measures what is wanted.
 *
 * @throws what opening KVM says, if there is none: ERR_KVM_UNAVAILABLE, ERR_KVM_PERMISSION, …
 */
export async function runBench(options: BenchOptions): Promise<Report> {
  const { host, rows: wantedRows, rounds = 400, budgetMs, peers = [], signal, progress = () => {} } = options;
  const wants = (id: GoalId): boolean => wantedRows?.has(id) ?? true;
  const todo = parts.filter(({ ids }) => ids.some(wants));
  const rows: Row[] = [];
  const skipped: string[] = [];
  const skip = (what: string, why: unknown): void => {
    skipped.push(`${what}: ${why instanceof Error ? why.message : String(why)}`);
  };
  // It needs a kernel, an initrd and QEMU, which the repository knows how to get.
  if (wantedRows?.has('P10') === true) skip('P10', 'measured by npm run bench -- boot, in the repository');
  progress('warming up');
  // Without KVM this is the error to see, not one of each part.
  new Kvm().close();
  const noopNs = measureNoop();
  let valid = true;
  let weightLeft = todo.reduce((sum, { weight }) => sum + weight, 0);
  const end = performance.now() + (budgetMs ?? Infinity);
  for (const [index, part] of todo.entries()) {
    if (signal?.aborted === true) break;
    // A part that needed less than its share leaves the rest to those after it.
    const now = performance.now();
    const deadline = now + ((end - now) * part.weight) / weightLeft;
    weightLeft -= part.weight;
    const context: BenchContext = {
      wants,
      rounds,
      deadline: Number.isNaN(deadline) ? Infinity : deadline,
      signal,
      noopNs,
      peers,
      skip,
      add: (row) => {
        // What was interrupted before it had a median is left out.
        if (row.samples >= leastSamples || row.p50Ns === null) rows.push(row);
      },
      progress: (what, done, of) =>
        progress(`${index + 1}/${todo.length} ${what} ${Math.max(done, 0)}/${of}`),
    };
    if ((await part.run(context)) === false) valid = false;
  }
  return { host, valid, complete: signal?.aborted !== true, noopNs, skipped, rows: byGoal(rows) };
}

/** In the order of the goals, and as measured within each. */
function byGoal(rows: readonly Row[]): Row[] {
  const order: readonly string[] = goalIds;
  return rows.toSorted((a, b) => order.indexOf(a.id) - order.indexOf(b.id));
}
