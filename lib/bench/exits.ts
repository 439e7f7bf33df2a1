/**
 * P0 to P6 and the table of lanes: what an exit costs, one kind of exit at a time.
 *
 * How a block is made comparable: every peer runs the same guest, 63 accesses and then a write to a marker port, over
 * and over. A block is from one marker to the next, 64 exits, on both sides of the comparison: a native peer sees the
 * marker in its loop, a JavaScript lane in a handler for that port. Before each block every peer runs to a marker
 * untimed, which brings its code and its guest back into the caches; so what calling `run()` costs, once and not for
 * each exit, is not in it (the lane `step` has a call for each exit). The clock is read twice a block, and
 * the percentiles are those of the blocks' mean exits.
 *
 * Where the kernel takes the accesses (ioeventfd, coalesced), a block is one exit and 63 writes; its 64th part is called
 * a write, and is compared with the 64th part of a block of real exits.
 *
 * A thread that has run a vCPU of ours has a timer that interrupts KVM_RUN every few milliseconds. The native loop on
 * the same thread meets it too, at less than 0.2 % of its time; the C and Rust programs do not.
 */
import type { BenchContext } from './context.ts';
import { measure } from './context.ts';
import type { ExitKind } from './exit-kinds.ts';
import { addedNoops, controlRange, type GoalId, goals } from './goals.ts';
import { isLane, type LaneMode } from './lanes.ts';
import { backgroundMode } from './modes/background.ts';
import { readingHandlers, replyingAndWritingHandlers, writingHandlers } from './modes/handlers.ts';
import { nativeMode } from './modes/native.ts';
import { peerMode } from './modes/peer.ts';
import {
  handlersMode,
  jsDeviceMode,
  registersMode,
  rustDeviceMode,
  slicedMode,
  stepMode,
} from './modes/sync.ts';
import { workerMode } from './modes/worker.ts';
import { ratioRow, type Row } from './report.ts';
import { pooled } from './stats.ts';

interface Candidate {
  /** Under which goal the mode is reported. */
  readonly id: GoalId;
  readonly lane: string;
  /** Another lane of the same set that the ratio is over. Default: the native control. */
  readonly over?: string;
  readonly open: () => LaneMode | Promise<LaneMode>;
}

const control = 'native';
const controlAgain = 'native loop again';
/** The native loop of real exits beside modes whose accesses never become exits. */
const exitControl = 'native loop, pioOut';

/** The modes of one kind of exit, the controls aside. */
function candidates(kind: ExitKind, context: BenchContext): Candidate[] {
  const inKernel = kind === 'ioeventfd' || kind === 'coalesced';
  const posted: Pick<Candidate, 'id'> & { over?: string } = { id: 'P5', over: exitControl };
  const list: Candidate[] = [
    { ...(inKernel ? posted : { id: 'P3' }), lane: 'handlers', open: () => handlersMode(kind) },
    { id: inKernel ? 'lanes' : 'P6', lane: 'background', open: () => backgroundMode(kind) },
    { id: 'lanes', lane: 'sliced', open: () => slicedMode(kind) },
    // What P1 asks of a device it asks of step() as well, for the exit that all rows have.
    { id: kind === 'pioOut' ? 'P1' : 'lanes', lane: 'step', open: () => stepMode(kind) },
    { id: 'lanes', lane: 'worker', open: () => workerMode(kind) },
    ...context.peers.map((peer): Candidate => ({
      id: 'lanes',
      lane: peer.lane,
      open: () => peerMode(kind, peer),
    })),
  ];
  // There is no device behind a halt or an eventfd.
  if (kind !== 'hlt' && kind !== 'ioeventfd') {
    list.push(
      { ...(inKernel ? posted : { id: 'P1' }), lane: 'js-device', open: () => jsDeviceMode(kind) },
      { ...(inKernel ? posted : { id: 'P2' }), lane: 'rust-device', open: () => rustDeviceMode(kind) },
    );
  }
  if (kind === 'pioOut') {
    for (const [lane, handlers] of [
      ['registers read', readingHandlers],
      ['register written', writingHandlers],
    ] as const) {
      list.push({ id: 'P4', lane, over: 'handlers', open: () => registersMode(kind, lane, handlers) });
    }
  }
  if (kind === 'pioIn') {
    const lane = 'reply and register written';
    const open = (): LaneMode => registersMode(kind, lane, replyingAndWritingHandlers);
    list.push({ id: 'P4b', lane, over: 'handlers', open });
  }
  return list.filter((candidate) => isWanted(candidate, context));
}

/** Who wants the table of lanes wants all of them, those with a goal too. */
function isWanted({ id, lane }: Candidate, context: BenchContext): boolean {
  return context.wants(id) || (context.wants('lanes') && isLane(lane));
}

/**
 * Measures one kind of exit and adds its rows.
 *
 * @returns whether the control stayed within its range
 */
export async function measureExits(kind: ExitKind, context: BenchContext): Promise<boolean> {
  const wanted = candidates(kind, context);
  if (wanted.length === 0 && !(context.wants('P0') && kind === 'pioOut')) return true;
  // What a wanted row is divided by is measured with it, wanted or not.
  if (wanted.some(({ over }) => over === 'handlers') && !wanted.some(({ lane }) => lane === 'handlers')) {
    wanted.push({ id: 'P3', lane: 'handlers', open: () => handlersMode(kind) });
  }
  return measureCandidates(kind, wanted, context);
}

/**
 * P0, P1, P2 and P3 once more: a buffer was detached in this process, which makes V8 slower at typed arrays for good.
 */
export function measureAfterDetach(context: BenchContext): Promise<boolean> {
  const kind = 'pioOut';
  const list: Candidate[] = [
    { id: 'P1', lane: 'js-device', open: () => jsDeviceMode(kind) },
    { id: 'P1', lane: 'step', open: () => stepMode(kind) },
    { id: 'P2', lane: 'rust-device', open: () => rustDeviceMode(kind) },
    { id: 'P3', lane: 'handlers', open: () => handlersMode(kind) },
  ];
  const wanted = list.filter(({ id }) => context.wants(id));
  return wanted.length === 0
    ? Promise.resolve(true)
    : measureCandidates(kind, wanted, context, ' after a detach');
}

async function measureCandidates(
  kind: ExitKind,
  wanted: readonly Candidate[],
  context: BenchContext,
  suffix = '',
): Promise<boolean> {
  const controls: Candidate[] = [control, controlAgain].map((lane) => ({
    id: 'P0',
    lane,
    open: () => nativeMode(kind, lane),
  }));
  if (wanted.some(({ over }) => over === exitControl)) {
    controls.push({ id: 'P0', lane: exitControl, open: () => nativeMode('pioOut', exitControl) });
  }
  const modes = new Map<string, LaneMode>();
  try {
    for (const { lane, open } of [...controls, ...wanted]) {
      if (context.signal?.aborted === true) return true;
      try {
        modes.set(lane, await open());
      } catch (error) {
        context.skip(`${kind}, ${lane}`, error);
        // Without its control a kind of exit cannot be compared at all.
        if (lane === control || lane === controlAgain) return true;
      }
    }
    const what = `${kind}${suffix}`;
    let samples = await measure(context, what, [...modes.values()]);
    // Interrupted before the first round.
    if (samples.get(control)!.length === 0) return true;
    let p0 = controlRow(kind, samples, suffix);
    if (!within(p0) && context.signal?.aborted !== true) {
      // Once more with twice the rounds: what disturbed the first try may be over.
      const again = { ...context, rounds: context.rounds * 2, deadline: extended(context.deadline) };
      samples = await measure(again, `${what}, again: the control was off`, [...modes.values()]);
      p0 = controlRow(kind, samples, suffix);
    }
    const valid = within(p0);
    context.add(p0);
    if (context.wants('lanes') && suffix === '') context.add(nativeRow(kind, samples));
    for (const candidate of wanted) {
      if (!modes.has(candidate.lane) || !isWanted(candidate, context)) continue;
      const row = candidateRow(kind, candidate, samples, context, suffix);
      context.add(valid ? row : { ...row, holds: null, note: 'void: the control was off' });
    }
    return valid;
  } finally {
    for (const mode of modes.values()) await mode.close();
  }
}

/** A second try may take as long again as the first one might. */
function extended(deadline: number): number {
  const now = performance.now();
  return now + Math.max(deadline - now, 1000);
}

function within({ ratio }: Row): boolean {
  return ratio !== null && ratio >= controlRange.low && ratio <= controlRange.high;
}

function controlRow(kind: ExitKind, samples: ReadonlyMap<string, Float64Array>, suffix: string): Row {
  const row = ratioRow({
    id: 'P0',
    lane: `${controlAgain}${suffix}`,
    exit: kind,
    peer: control,
    per: perOf(kind),
    samples: samples.get(controlAgain)!,
    peerSamples: samples.get(control)!,
  });
  return { ...row, bar: controlRange.high, holds: within(row) };
}

/** The native loop itself, for the table of lanes. */
function nativeRow(kind: ExitKind, samples: ReadonlyMap<string, Float64Array>): Row {
  const own = controlSamples(samples);
  return ratioRow({
    id: 'lanes',
    lane: control,
    exit: kind,
    peer: control,
    per: perOf(kind),
    samples: own,
    peerSamples: own,
  });
}

function candidateRow(
  kind: ExitKind,
  { id, lane, over }: Candidate,
  samples: ReadonlyMap<string, Float64Array>,
  context: BenchContext,
  suffix: string,
): Row {
  return ratioRow({
    id,
    lane: `${lane}${suffix}`,
    exit: kind,
    peer: over ?? control,
    per: perOf(kind),
    samples: samples.get(lane)!,
    peerSamples: over === undefined ? controlSamples(samples) : samples.get(over)!,
    goal: goals[id],
    addedBarNs: id === 'P1' ? addedNoops * context.noopNs : undefined,
  });
}

function controlSamples(samples: ReadonlyMap<string, Float64Array>): Float64Array {
  return pooled(samples.get(control)!, samples.get(controlAgain)!);
}

function perOf(kind: ExitKind): string {
  return kind === 'ioeventfd' || kind === 'coalesced' ? 'write' : 'exit';
}
