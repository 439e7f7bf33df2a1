/**
 * The statistics of the benchmarks: medians, never means, because a shared machine only ever adds time, and adds it in
 * lumps. Everything here is a pure function of samples.
 */

/** One bar of a histogram: how many samples were at least `fromNs` and below `toNs`. */
export interface Bin {
  readonly fromNs: number;
  readonly toNs: number;
  readonly count: number;
}

export interface Summary {
  readonly p25: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
}

/** A value with the interval that holds the true one in 95 of 100 runs. */
export interface Estimate {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

/** The samples in ascending order; the argument stays as it is. */
export function sorted(samples: Float64Array): Float64Array {
  return samples.toSorted();
}

/** A quantile of sorted samples, between two neighbours by their distance; NaN without samples. */
export function quantile(ascending: Float64Array, q: number): number {
  const position = (ascending.length - 1) * q;
  const below = Math.floor(position);
  const low = ascending[below] ?? Number.NaN;
  const high = ascending[Math.min(below + 1, ascending.length - 1)] ?? Number.NaN;
  return low + (high - low) * (position - below);
}

export function summarise(samples: Float64Array): Summary {
  const ascending = sorted(samples);
  return {
    p25: quantile(ascending, 0.25),
    p50: quantile(ascending, 0.5),
    p90: quantile(ascending, 0.9),
    p99: quantile(ascending, 0.99),
  };
}

/**
 * The median of samples and the interval of order statistics around it (the binomial distribution's, approximated):
 * it assumes nothing about the shape of the samples.
 */
export function medianEstimate(samples: Float64Array): Estimate {
  const ascending = sorted(samples);
  const half = (1.96 * Math.sqrt(ascending.length)) / 2;
  const middle = (ascending.length - 1) / 2;
  const at = (rank: number): number =>
    ascending[Math.min(Math.max(Math.round(rank), 0), ascending.length - 1)] ?? Number.NaN;
  return { value: quantile(ascending, 0.5), low: at(middle - half), high: at(middle + half) };
}

/** Each sample over the peer's of the same round; as many as both have. */
export function roundRatios(samples: Float64Array, peers: Float64Array): Float64Array {
  const ratios = new Float64Array(Math.min(samples.length, peers.length));
  for (let at = 0; at < ratios.length; at++) ratios[at] = samples[at]! / peers[at]!;
  return ratios;
}

/**
 * The control measured twice as one control: the samples of the first, then those of the second. Quantiles are over
 * both; what goes by rounds finds the first one's. (A mean of both in each round would have a higher median than
 * either, because times are skewed, and flatter whatever is compared with it.)
 */
export function pooled(first: Float64Array, second: Float64Array): Float64Array {
  const both = new Float64Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}

/** Bins an octave: 2^(1/64) is 1.1 % wide, fine enough to see two modes that a few percent part. */
const binsPerOctave = 64;

/** A histogram of logarithmic bins from the first one that holds a sample to the last; the ones between may be empty. */
export function histogram(samples: Float64Array): Bin[] {
  const counts = new Map<number, number>();
  for (const sample of samples) {
    const bin = Math.floor(Math.log2(Math.max(sample, 2 ** -20)) * binsPerOctave);
    counts.set(bin, (counts.get(bin) ?? 0) + 1);
  }
  const bins = [...counts.keys()].toSorted((a, b) => a - b);
  const first = bins[0];
  if (first === undefined) return [];
  // An outlier a thousand times slower would make thousands of empty bins: they are left out beyond an octave's worth.
  const shown: number[] = [];
  let previous = first;
  for (const bin of bins) {
    if (bin - previous <= binsPerOctave)
      for (let empty = previous + 1; empty < bin; empty++) shown.push(empty);
    shown.push(bin);
    previous = bin;
  }
  return shown.map((bin) => ({
    fromNs: round(2 ** (bin / binsPerOctave)),
    toNs: round(2 ** ((bin + 1) / binsPerOctave)),
    count: counts.get(bin) ?? 0,
  }));
}

/** Five significant digits: more would only make files long. */
export function round(value: number): number {
  return Number(value.toPrecision(5));
}
