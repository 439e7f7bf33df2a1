/** The controls inside the addon, and what else of it only the benchmarks use. */
import { native } from '../../internal/native.ts';
import type { ExitKind } from '../exit-kinds.ts';
import { exitsPerBlock } from '../exit-kinds.ts';
import type { LaneMode } from '../lanes.ts';
import { quantile, sorted } from '../stats.ts';

/** A KVM_RUN loop in Rust, timed there. */
export function nativeMode(kind: ExitKind, name = 'native'): LaneMode {
  const loop = new (native().MeasureLoop)(kind);
  return {
    name,
    block: () => loop.block() / exitsPerBlock,
    close: () => loop.close(),
  };
}

/**
 * Nanoseconds of one call of a raw Node-API function that does nothing, called as the run loop calls: by a field, and
 * with more than one function that it may be, because a process may have more than one vCPU. (If V8 can be sure of
 * the function, a call costs less than half.) The median of many short loops.
 */
export function measureNoop(): number {
  const callers = Array.from({ length: 4 }, () => ({ noop: native().measureNoop() }));
  const calls = 1000;
  const samples = new Float64Array(400);
  // The first half is the warm-up.
  for (let sample = 0; sample < samples.length; sample++) {
    const caller = callers[sample % callers.length]!;
    const start = performance.now();
    for (let call = 0; call < calls; call++) caller.noop();
    samples[sample] = ((performance.now() - start) * 1e6) / calls;
  }
  return quantile(sorted(samples.subarray(samples.length / 2)), 0.5);
}

/** Runs `work` with this thread on one CPU, and gives it its CPUs back. */
export function pinned<T>(work: () => T): T {
  const before = native().measurePin();
  const release = (): void => native().measureUnpin(before);
  try {
    const result = work();
    if (!(result instanceof Promise)) {
      release();
      return result;
    }
    return result.finally(release) as T;
  } catch (error) {
    release();
    throw error;
  }
}

/** A VM made, run to its first exit and dropped without JavaScript; nanoseconds. */
export function nativeLifetime(): { createNs: number; disposeNs: number } {
  return native().measureCreateAndDispose();
}
