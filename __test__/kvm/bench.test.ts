import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import test, { type ExecutionContext } from 'ava';

import { parseReport } from '../../lib/bench/parse-report.ts';
import type { Report } from '../../lib/bench/report.ts';

const root = join(import.meta.dirname, '..', '..');
const cli = ['--import', '@oxc-node/core/register', join(root, 'lib', 'cli', 'main.ts'), 'bench'];

function folder(t: ExecutionContext): string {
  const path = mkdtempSync(join(tmpdir(), 'vmhatch-bench-'));
  t.teardown(() => rmSync(path, { recursive: true }));
  return path;
}

function readReport(path: string): Report {
  const report = parseReport(readFileSync(path, 'utf8'));
  if (typeof report === 'string') throw new Error(report);
  return report;
}

// Never what is measured, only that it is: a test does not fail on a time.
test('a short run of two goals reports them in a table, as JSON and as a page', async (t) => {
  const into = folder(t);
  const [json, html] = [join(into, 'report.json'), join(into, 'report.html')];
  const args = [...cli, '--rows', 'P0,P1', '--seconds', '2', '--json', json, '--html', html];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: root });
  t.regex(stdout, /P0 control/);
  t.regex(stdout, /P1 exit handled by a JavaScript device/);
  t.regex(readFileSync(html, 'utf8'), /<svg /);

  const { host, rows, noopNs, complete, skipped } = readReport(json);
  t.is(host.node, process.version);
  t.true(complete);
  t.deepEqual(skipped, []);
  t.true(noopNs > 0);
  t.deepEqual([...new Set(rows.map(({ id }) => id))], ['P0', 'P1']);
  for (const exit of ['pioOut', 'pioIn', 'mmioRead', 'mmioWrite']) {
    t.truthy(
      rows.find((row) => row.id === 'P1' && row.exit === exit),
      exit,
    );
  }
  for (const row of rows) {
    for (const field of ['ratio', 'addedNs', 'p50Ns', 'p90Ns', 'p99Ns', 'peerP50Ns', 'bar'] as const) {
      t.is(typeof row[field], 'number', `${row.id} ${field}`);
    }
    t.true(row.p50Ns! > 0 && row.p50Ns! <= row.p90Ns! && row.p90Ns! <= row.p99Ns!);
    t.true(row.histogram.length > 0 && row.peerHistogram.length > 0);
    t.true(row.roundRatio!.low <= row.roundRatio!.value && row.roundRatio!.value <= row.roundRatio!.high);
  }
});

test('Ctrl-C ends a run early and keeps what was measured', async (t) => {
  const json = join(folder(t), 'report.json');
  const child = execFile(
    process.execPath,
    [...cli, '--rows', 'P0,P1,P11', '--seconds', '600', '--json', json],
    { cwd: root },
  );
  const exit = once(child, 'exit');
  // The first progress line comes when measuring begins.
  await once(child.stderr!, 'data');
  child.kill('SIGINT');
  const [status] = (await exit) as [number | null];
  t.is(status, 130);
  t.false(readReport(json).complete);
});
