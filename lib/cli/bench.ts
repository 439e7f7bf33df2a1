import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';

import { renderComparison } from '../bench/compare.ts';
import { type GoalId, goalIds, goals, isGoalId } from '../bench/goals.ts';
import { renderHtml } from '../bench/html.ts';
import type { PeerProgram } from '../bench/modes/peer.ts';
import { parseReport } from '../bench/parse-report.ts';
import type { Host, Report } from '../bench/report.ts';
import { runBench } from '../bench/run.ts';
import { renderTable } from '../bench/table.ts';
import type { Command } from './command.ts';
import { readHost } from './doctor/host.ts';
import { ExitCode } from './exit-codes.ts';
import { columns, renderHelp } from './help.ts';
import { type OptionSpecs, parseOptions } from './options.ts';
import { parseSeconds } from './quantity.ts';
import { painter } from './style.ts';
import { didYouMean, UsageError } from './usage-error.ts';
import { packageVersion } from './version.ts';

const options = {
  quick: { type: 'boolean', help: 'fewer rounds: under a minute' },
  seconds: { type: 'string', value: 'N', help: 'about so long in all, with as many rounds as that allows' },
  rows: { type: 'string', value: 'P1,P2', help: 'only these goals (below), and what they are compared with' },
  json: { type: 'string', value: 'FILE', help: 'write the report as JSON as well' },
  html: { type: 'string', value: 'FILE', help: 'write the report as a page with histograms as well' },
  compare: { type: 'boolean', help: 'measure nothing: compare two JSON reports, --compare BEFORE AFTER' },
} as const satisfies OptionSpecs;

function help(): string {
  return renderHelp({
    usage: 'bench [options]',
    about:
      'Measures what an exit costs beside a KVM_RUN loop without JavaScript, alternating both in one process, and holds\n' +
      'each lane against its goal. Goals that do not hold are no failure of the command.',
    options,
    notes: [['Goals', columns(goalIds.map((id) => [id, goals[id].what])).trimEnd()]],
    examples: [
      ['vmhatch bench --quick', 'a table in under a minute'],
      ['vmhatch bench --json now.json --html now.html', 'everything, kept'],
      ['vmhatch bench --rows P1,P3 --seconds 10', 'two goals, for ten seconds'],
      ['vmhatch bench --compare before.json now.json', 'what has changed beyond the noise'],
    ],
  });
}

/**
 * The command with programs beside it that are written in C and Rust: `npm run bench` has them, the installed package
 * does not.
 *
 * @returns the exit status
 */
export async function benchMain(
  args: readonly string[],
  peers: readonly PeerProgram[] = [],
): Promise<number> {
  const { values, positionals } = parseOptions(options, args);
  if (values.compare === true) return compare(positionals);
  if (positionals[0] !== undefined) throw new UsageError(`bench takes no argument: '${positionals[0]}'`);
  const rows = values.rows === undefined ? undefined : parseRows(values.rows);
  const seconds = values.seconds === undefined ? undefined : parseSeconds(values.seconds, '--seconds');
  // Before minutes of measuring: can the results be kept?
  for (const path of [values.json, values.html]) if (path !== undefined) checkWritable(path);

  const interrupt = new AbortController();
  const stop = (): void => interrupt.abort();
  // Once each: a second Ctrl-C ends the process at once, as everywhere.
  process.once('SIGINT', stop).once('SIGTERM', stop);
  const progress = progressLine();
  let report: Report;
  try {
    report = await runBench({
      host: benchHost(),
      rows,
      rounds: values.quick === true ? 100 : seconds === undefined ? 400 : 4000,
      budgetMs: seconds ?? (values.quick === true ? 45_000 : undefined),
      peers,
      signal: interrupt.signal,
      progress: progress.show,
    });
  } finally {
    progress.clear();
    process.off('SIGINT', stop).off('SIGTERM', stop);
  }
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(report, undefined, 1)}\n`);
  if (values.html !== undefined) writeFileSync(values.html, renderHtml(report));
  process.stdout.write(renderTable(report, painter(process.stdout)));
  return interrupt.signal.aborted ? ExitCode.interrupted : ExitCode.ok;
}

function parseRows(list: string): ReadonlySet<GoalId> {
  const ids = list.split(',').map((id) => id.trim());
  return new Set(
    ids.map((id) => {
      const known = goalIds.find((goal) => goal.toLowerCase() === id.toLowerCase());
      if (known === undefined || !isGoalId(known))
        throw new UsageError(`--rows: no goal is called '${id}'${didYouMean(id, goalIds)}`);
      return known;
    }),
  );
}

function checkWritable(path: string): void {
  try {
    closeSync(openSync(path, 'a'));
  } catch (error) {
    throw new UsageError(`cannot write '${path}': ${(error as Error).message}`);
  }
}

function compare(paths: readonly string[]): number {
  const [before, after, ...more] = paths;
  if (before === undefined || after === undefined || more.length > 0) {
    throw new UsageError('--compare wants two files: --compare BEFORE AFTER');
  }
  process.stdout.write(renderComparison(readReport(before), readReport(after), painter(process.stdout)));
  return ExitCode.ok;
}

function readReport(path: string): Report {
  let text;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new UsageError(`cannot read '${path}': ${(error as Error).message}`);
  }
  const report = parseReport(text);
  if (typeof report === 'string') throw new UsageError(`'${path}' is no bench report: ${report}`);
  return report;
}

/** This host as the report names it. */
function benchHost(): Host {
  const { cpu, kernel, module, virtual } = readHost();
  return {
    cpu: cpu.model ?? 'unknown CPU',
    cpus: cpu.count,
    kernel: kernel ?? 'unknown',
    kvmModule: module.vendor ?? 'unknown',
    nested: virtual,
    node: process.version,
    vmhatch: packageVersion(),
    date: new Date().toISOString(),
  };
}

/** On a terminal one line that changes; elsewhere a line whenever something new is measured. */
function progressLine(): { readonly show: (text: string) => void; readonly clear: () => void } {
  const { stderr } = process;
  let last = '';
  return {
    show(text) {
      if (stderr.isTTY) {
        stderr.write(`\r\u001b[K${text}`);
        return;
      }
      const what = text.replace(/ \d+\/\d+$/, '');
      if (what !== last) stderr.write(`${what}\n`);
      last = what;
    },
    clear() {
      if (stderr.isTTY) stderr.write('\r\u001b[K');
    },
  };
}

export const command: Command = { help, main: (args) => benchMain(args) };
