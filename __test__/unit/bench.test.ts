import test from 'ava';

import { compareReports, renderComparison } from '../../lib/bench/compare.ts';
import { parseReport } from '../../lib/bench/parse-report.ts';
import { ratioRow, type Row } from '../../lib/bench/report.ts';
import { interleave } from '../../lib/bench/rounds.ts';
import {
  histogram,
  medianEstimate,
  pooled,
  quantile,
  roundRatios,
  sorted,
  summarise,
} from '../../lib/bench/stats.ts';
import { allowanceUsed, formatNs, formatValue, type Paint, renderTable } from '../../lib/bench/table.ts';
import { around, sampleReport } from './bench-sample.ts';

const plain: Paint = (_format, text) => text;

test('quantiles lie between their neighbours', (t) => {
  const samples = Float64Array.of(40, 10, 30, 20);
  t.is(quantile(sorted(samples), 0), 10);
  t.is(quantile(sorted(samples), 0.5), 25);
  t.is(quantile(sorted(samples), 1), 40);
  t.deepEqual(samples, Float64Array.of(40, 10, 30, 20), 'the samples stay in the order of their rounds');
  t.is(summarise(Float64Array.of(7)).p99, 7);
  t.true(Number.isNaN(quantile(new Float64Array(0), 0.5)));
});

test('the interval of a median holds it and narrows with the samples', (t) => {
  const few = medianEstimate(around(1, 0.2, 50));
  const many = medianEstimate(around(1, 0.2, 5000));
  for (const { low, value, high } of [few, many]) t.true(low <= value && value <= high);
  t.true(many.high - many.low < few.high - few.low);
  t.true(many.low < 1 && many.high > 0.99);
});

test('ratios are of the same round', (t) => {
  t.deepEqual(roundRatios(Float64Array.of(2, 9, 1), Float64Array.of(1, 3)), Float64Array.of(2, 3));
  t.deepEqual(pooled(Float64Array.of(2, 4), Float64Array.of(4, 8)), Float64Array.of(2, 4, 4, 8));
});

test('a histogram counts every sample once and leaves wide gaps out', (t) => {
  const samples = Float64Array.of(...around(8000, 0.1), 9_000_000);
  const bins = histogram(samples);
  t.is(
    bins.reduce((sum, { count }) => sum + count, 0),
    samples.length,
  );
  for (const { fromNs, toNs } of bins) t.true(toNs > fromNs && toNs / fromNs < 1.03);
  t.true(bins.length < 60);
  t.deepEqual(histogram(new Float64Array(0)), []);
});

test('modes are measured in every round, in changing orders', async (t) => {
  const order: string[] = [];
  const mode = (name: string, block: () => number | Promise<number>) => ({
    name,
    block() {
      order.push(name);
      return block();
    },
  });
  const modes = [mode('a', () => 1), mode('b', async () => 2), mode('c', () => 3)];
  const samples = await interleave(modes, { rounds: 12, warmUp: 3 });
  t.deepEqual([...samples.keys()], ['a', 'b', 'c']);
  t.deepEqual(samples.get('b'), new Float64Array(12).fill(2));
  const rounds = Array.from({ length: 15 }, (_, at) => order.slice(at * 3, at * 3 + 3).join(''));
  for (const round of rounds) t.is(round.split('').toSorted().join(''), 'abc');
  t.is(new Set(rounds).size, 6, 'every order of three comes up');
});

test('rounds end at the deadline, and at once when aborted', async (t) => {
  const mode = { name: 'a', block: () => 1 };
  const late = await interleave([mode], { rounds: 1000, warmUp: 0, deadline: 0 });
  t.is(late.get('a')?.length, 20);
  const abort = new AbortController();
  abort.abort();
  const none = await interleave([mode], { rounds: 1000, warmUp: 0, signal: abort.signal });
  t.is(none.get('a')?.length, 0);
});

test('a row holds if both its ratio and what it adds are within their goals', (t) => {
  const native = around(1000, 0.01);
  const make = (factor: number, addedBarNs?: number) =>
    ratioRow({
      id: 'P1',
      lane: 'js-device',
      exit: 'pioOut',
      peer: 'native',
      addedBarNs,
      goal: { what: '', bar: 1.05, stretch: 1.02 },
      samples: native.map((ns) => ns * factor),
      peerSamples: native,
    });
  t.is(make(1.04).holds, true);
  t.is(make(1.06).holds, false);
  t.is(make(1.04, 30).holds, false);
  t.is(make(1.04, 50).holds, true);
  t.is(make(1.04).ratio, 1.04);
  t.is(make(1.04).roundRatio?.low, 1.04);
  t.is(
    ratioRow({
      id: 'lanes',
      lane: 'c',
      exit: 'hlt',
      peer: 'native',
      samples: native,
      peerSamples: native,
    }).holds,
    null,
  );
});

test('a report survives its file, and everything else is refused with a reason', (t) => {
  const report = sampleReport();
  t.deepEqual(parseReport(JSON.stringify(report)), report);
  for (const row of report.rows) {
    for (const field of [
      'id',
      'lane',
      'exit',
      'ratio',
      'addedNs',
      'p50Ns',
      'p90Ns',
      'p99Ns',
      'peerP50Ns',
      'bar',
      'holds',
      'histogram',
    ]) {
      t.true(field in row, field);
    }
  }
  const wrong = [
    '',
    'null',
    '[]',
    '{}',
    '{"host":{}}',
    JSON.stringify({ ...report, rows: 1 }),
    JSON.stringify({ ...report, rows: [{}] }),
  ];
  for (const text of wrong) t.is(typeof parseReport(text), 'string', text);
});

test('a comparison calls changes only beyond the noise', (t) => {
  const verdicts = (before: number, after: number) =>
    compareReports(sampleReport(before), sampleReport(after)).find(({ id }) => id === 'P1')?.verdict;
  t.is(verdicts(1.02, 1.02), 'same');
  t.is(verdicts(1.02, 1.021), 'same');
  t.is(verdicts(1.02, 1.1), 'worse');
  t.is(verdicts(1.1, 1.02), 'better');
  const [before, after] = [sampleReport(), sampleReport()];
  const doubled = (row: Row): Row => (row.id === 'P12' ? Object.assign(row, { value: 0.5 }) : row);
  const changed = {
    ...after,
    rows: after.rows.filter(({ id }) => id !== 'kick').map(doubled),
  };
  const differences = compareReports(before, changed);
  t.is(differences.find(({ id }) => id === 'P12')?.verdict, 'worse');
  t.is(differences.find(({ id }) => id === 'kick')?.verdict, 'only before');
  t.is(compareReports(changed, before).find(({ id }) => id === 'kick')?.verdict, 'only after');
});

test('a comparison in words names what makes it doubtful', (t) => {
  const before = sampleReport();
  const after = { ...sampleReport(1.1), valid: false, host: { ...before.host, node: 'v24.0.0' } };
  const text = renderComparison(before, after, plain);
  t.regex(text, /hosts differ \(node\)/);
  t.regex(text, /run after is void/);
  t.regex(text, /JavaScript device, pioOut.*1\.0\d\d.*worse/);
  t.regex(text, /1 worse, 0 better, 5 within the noise/);
});

test('the table shows each row, its share of the goal, and the lanes', (t) => {
  const text = renderTable(sampleReport(), plain);
  t.regex(text, /P1 exit handled by a JavaScript device/);
  t.regex(text, /JavaScript device, pioOut .* ≤ 1\.05 .*█.* ✗ added/);
  t.regex(text, /public classes, idle VM .*0\.25 MiB .*✓✓/);
  t.regex(text, /native loop in the addon +\d\.\d\d µs/);
  t.regex(text, /left out: coalesced/);
  t.regex(text, /2 of 3 goals hold/);
  t.false(text.includes('\u001b'), 'no colours but through the paint');
});

test('the table says when a run is worth nothing', (t) => {
  const report = { ...sampleReport(), valid: false, complete: false, rows: [] };
  t.regex(renderTable(report, plain), /void[^]*Interrupted/);
});

test('allowances and units', (t) => {
  const [p0, p1, p12] = sampleReport(1.025).rows;
  t.true(
    Math.abs(allowanceUsed(p1!)! - p1!.addedNs! / 100) < 0.01,
    'the limit of what is added is the scarcer one',
  );
  t.true(Math.abs(allowanceUsed({ ...p1!, addedBarNs: null })! - 0.5) < 0.15);
  t.is(allowanceUsed(p12!), 0.25);
  t.true(allowanceUsed(p0!)! < 1);
  t.deepEqual([1.26, 83.4, 8321, 1.5e6, null].map(formatNs), ['1.3 ns', '83 ns', '8.32 µs', '1.50 ms', '']);
  t.is(formatValue(1.0204, '×'), '1.020');
  t.is(formatValue(0.031, 'ms'), '0.031 ms');
  t.is(formatValue(3, 'collections'), '3 GCs');
});
