import { goals } from '../../lib/bench/goals.ts';
import { ratioRow, type Report, valueRow } from '../../lib/bench/report.ts';

/** Samples around a centre, the same ones at every call: what a block of exits looks like on a quiet machine. */
export function around(centre: number, spread: number, count = 200, seed = 1): Float64Array {
  let state = seed;
  return Float64Array.from({ length: count }, () => {
    state = (state * 48271) % 0x7fff_ffff;
    return centre * (1 + spread * (state / 0x7fff_ffff - 0.5));
  });
}

/** A report with a row of each sort. */
export function sampleReport(jsRatio = 1.02): Report {
  const native = around(8000, 0.05);
  const again = around(8000, 0.05, 200, 7);
  const device = around(8000 * jsRatio, 0.05, 200, 11);
  const p0 = ratioRow({
    id: 'P0',
    lane: 'native again',
    exit: 'pioOut',
    peer: 'native',
    samples: again,
    peerSamples: native,
  });
  return {
    host: {
      cpu: 'A <CPU> & "co"',
      cpus: 2,
      kernel: '6.12.0',
      kvmModule: 'amd',
      nested: true,
      node: 'v20.20.0',
      vmhatch: '0.1.0',
      date: '2026-01-02T03:04:05.678Z',
    },
    valid: true,
    complete: true,
    noopNs: 10,
    skipped: ['coalesced, sliced: no <such> thing'],
    rows: [
      { ...p0, bar: 1.02, holds: true },
      ratioRow({
        id: 'P1',
        lane: 'js-device',
        exit: 'pioOut',
        peer: 'native',
        goal: goals.P1,
        addedBarNs: 100,
        samples: device,
        peerSamples: native,
      }),
      valueRow({
        id: 'P12',
        lane: 'public classes',
        exit: 'idle VM',
        per: 'VM',
        value: 0.25,
        unit: 'MiB',
        goal: goals.P12,
        note: 'resident memory',
      }),
      valueRow({
        id: 'kick',
        lane: 'sync run',
        exit: 'tight loop',
        per: 'kick',
        value: 0.03,
        unit: 'ms',
        goal: goals.kick,
        samples: around(30_000, 0.8),
      }),
      ratioRow({
        id: 'lanes',
        lane: 'native',
        exit: 'pioOut',
        peer: 'native',
        samples: native,
        peerSamples: native,
      }),
      ratioRow({
        id: 'lanes',
        lane: 'worker',
        exit: 'pioOut',
        peer: 'native',
        samples: around(8300, 0.05),
        peerSamples: native,
      }),
    ],
  };
}
