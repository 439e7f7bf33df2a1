/** What a bench run says: the shape of the JSON file, and how a row comes out of samples. */
import type { Goal } from './goals.ts';
import type { Bin, Summary } from './stats.ts';
import { histogram, medianEstimate, round, roundRatios, summarise } from './stats.ts';

/** Where it was measured. */
export interface Host {
  readonly cpu: string;
  readonly cpus: number;
  readonly kernel: string;
  /** The module under KVM: intel, amd or pvm. */
  readonly kvmModule: string;
  /** This host is itself a virtual machine. */
  readonly nested: boolean;
  readonly node: string;
  readonly vmhatch: string;
  /** ISO 8601, UTC. */
  readonly date: string;
}

export interface Row {
  /** The goal: P0 to P12, `kick`, `gc`, or `lanes` for what has no goal of its own. */
  readonly id: string;
  /** How the exit is handled: `native`, `c`, `rust`, `js-device`, `rust-device`, `handlers`, `sliced`, `background`, `worker`, … */
  readonly lane: string;
  /** What the guest does, or what is done with the VM. */
  readonly exit: string;
  /** What the ratio's denominator is. */
  readonly peer: string;
  /** What one sample of the times below is a time of. */
  readonly per: string;
  /** How many samples of it there are; 0 for a count or a size. */
  readonly samples: number;
  /** p50 over the peer's p50 (for P7: p25 over p25); null where there is no peer. */
  readonly ratio: number | null;
  /** The median of the ratios of single rounds, with the interval that holds it 95 times of 100. */
  readonly roundRatio: { readonly value: number; readonly low: number; readonly high: number } | null;
  /** p50 less the peer's p50. */
  readonly addedNs: number | null;
  readonly p25Ns: number | null;
  readonly p50Ns: number | null;
  readonly p90Ns: number | null;
  readonly p99Ns: number | null;
  readonly peerP50Ns: number | null;
  /** What is held against the bar: the ratio, or a number in `unit`. */
  readonly value: number;
  readonly unit: '×' | 'MiB' | 'ms' | 'collections';
  /** The most that `value` may be; null: the row is reported only. */
  readonly bar: number | null;
  /** What one may hope for. */
  readonly stretch: number | null;
  /** The most that `addedNs` may be as well; null: no such limit. */
  readonly addedBarNs: number | null;
  /** Null without a bar, and where the control was too noisy to say. */
  readonly holds: boolean | null;
  /** Distribution of the times. */
  readonly histogram: readonly Bin[];
  readonly peerHistogram: readonly Bin[];
  /** Words for the reader, where a row needs them. */
  readonly note: string;
}

export interface Report {
  readonly host: Host;
  /** The control against itself was within 0.98 to 1.02 wherever it was measured. If not, the run says nothing. */
  readonly valid: boolean;
  /** The run was interrupted, or the time given ran out: rows are missing. */
  readonly complete: boolean;
  /** What one call of a raw Node-API function cost in this run: the unit that additions are judged in. */
  readonly noopNs: number;
  /** What could not be measured, and why. */
  readonly skipped: readonly string[];
  readonly rows: readonly Row[];
}

export interface RatioInput {
  readonly id: string;
  readonly lane: string;
  readonly exit: string;
  readonly peer: string;
  readonly per?: string;
  /** Nanoseconds, one a round. */
  readonly samples: Float64Array;
  /** The peer's, of the same rounds. */
  readonly peerSamples: Float64Array;
  readonly goal?: Goal | undefined;
  readonly addedBarNs?: number | undefined;
  /** Which quantile the ratio is of. Default p50. */
  readonly by?: 'p25' | 'p50';
  readonly note?: string;
}

/** A row that compares times with a peer's. */
export function ratioRow(input: RatioInput): Row {
  const own = summarise(input.samples);
  const peer = summarise(input.peerSamples);
  const by = input.by ?? 'p50';
  const ratio = own[by] / peer[by];
  const addedNs = own[by] - peer[by];
  const rounds = medianEstimate(roundRatios(input.samples, input.peerSamples));
  const bar = input.goal?.bar ?? null;
  const addedBarNs = input.addedBarNs ?? null;
  return {
    id: input.id,
    lane: input.lane,
    exit: input.exit,
    peer: input.peer,
    per: input.per ?? 'exit',
    samples: input.samples.length,
    ratio: round(ratio),
    roundRatio: { value: round(rounds.value), low: round(rounds.low), high: round(rounds.high) },
    addedNs: round(addedNs),
    ...times(own),
    peerP50Ns: round(peer.p50),
    value: round(ratio),
    unit: '×',
    bar,
    stretch: input.goal?.stretch ?? null,
    addedBarNs: addedBarNs === null ? null : round(addedBarNs),
    holds: bar === null ? null : ratio <= bar && (addedBarNs === null || addedNs <= addedBarNs),
    histogram: histogram(input.samples),
    peerHistogram: histogram(input.peerSamples),
    note: input.note ?? '',
  };
}

export interface ValueInput {
  readonly id: string;
  readonly lane: string;
  readonly exit: string;
  readonly per: string;
  readonly value: number;
  readonly unit: Row['unit'];
  readonly goal?: Goal | undefined;
  /** Nanoseconds, where the value is a time. */
  readonly samples?: Float64Array;
  readonly note?: string;
}

/** A row that is held against a number, without a peer. */
export function valueRow(input: ValueInput): Row {
  const bar = input.goal?.bar ?? null;
  return {
    id: input.id,
    lane: input.lane,
    exit: input.exit,
    peer: '',
    per: input.per,
    samples: input.samples?.length ?? 0,
    ratio: null,
    roundRatio: null,
    addedNs: null,
    ...(input.samples === undefined ? noTimes : times(summarise(input.samples))),
    peerP50Ns: null,
    value: round(input.value),
    unit: input.unit,
    bar,
    stretch: input.goal?.stretch ?? null,
    addedBarNs: null,
    holds: bar === null ? null : input.value <= bar,
    histogram: input.samples === undefined ? [] : histogram(input.samples),
    peerHistogram: [],
    note: input.note ?? '',
  };
}

const noTimes = { p25Ns: null, p50Ns: null, p90Ns: null, p99Ns: null } as const;

function times(summary: Summary): Pick<Row, 'p25Ns' | 'p50Ns' | 'p90Ns' | 'p99Ns'> {
  return {
    p25Ns: round(summary.p25),
    p50Ns: round(summary.p50),
    p90Ns: round(summary.p90),
    p99Ns: round(summary.p99),
  };
}
