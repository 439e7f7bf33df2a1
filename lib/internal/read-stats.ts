/** Reads a vCPU's counters from its control page. */
import { CONTROL } from '../generated/control-page.ts';
import type { VcpuStats } from '../kvm/stats.ts';
import { reasonName } from './exits/set.ts';
import { native, type NativeVcpu } from './native.ts';
import type { RunView } from './run-view.ts';

export function readStats(view: RunView, vcpu: NativeVcpu): VcpuStats {
  const { counters } = CONTROL;
  const count = (offset: number): number => Number(view.counter(offset));
  const byReason: Record<string, number> = {};
  let exits = 0;
  for (let reason = 0; reason < counters.reasons; reason++) {
    const times = count(counters.byReason + reason * 8);
    if (times === 0) continue;
    exits += times;
    const name = reasonName(reason);
    byReason[name] = (byReason[name] ?? 0) + times;
  }
  return {
    exits,
    byReason,
    byRoute: {
      rust: count(counters.rust),
      javascript: count(counters.javascript),
      posted: count(counters.posted),
    },
    kicks: vcpu.kicks(),
    slices: count(counters.slices),
    guestTimeNs: Math.round(count(counters.guestCycles) * native().nanosecondsPerCycle()),
  };
}
