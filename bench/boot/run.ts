/**
 * `npm run bench -- boot`: the time until a guest's first program runs, beside QEMU's microvm machine with the same kernel
 * and initrd, alternating, by the same mark. On this machine's KVM where it runs Linux, else on the emulated host, whose
 * clock then counts instructions: only the ratio means anything, and says what was executed, not how long it took.
 */
import { join } from 'node:path';
import { writeFileSync } from 'node:fs';

import { goals } from '../../lib/bench/goals.ts';
import { ratioRow, type Report, type Row } from '../../lib/bench/report.ts';
import { renderTable } from '../../lib/bench/table.ts';
import { parseOptions, type OptionSpecs } from '../../lib/cli/options.ts';
import { parseCount } from '../../lib/cli/quantity.ts';
import { painter } from '../../lib/cli/style.ts';
import { packageVersion } from '../../lib/cli/version.ts';
import { readHost } from '../../lib/cli/doctor/host.ts';
import { linuxHost } from '../../scripts/host/kvm-kind.mjs';
import { runOnEmulatedHost } from '../../scripts/host/run.mjs';
import { makeInitrd } from '../../scripts/initrd.mjs';
import { findKernel } from '../../scripts/kernel.mjs';
import { ensurePrograms } from '../../scripts/shared/debian.mjs';
import { run } from '../../scripts/shared/process.mjs';

const options = {
  rounds: { type: 'string', value: 'N', help: 'boots of each; default 11' },
  json: { type: 'string', value: 'FILE', help: 'write the report as JSON as well' },
} as const satisfies OptionSpecs;

/** What measure.mjs prints. Times in milliseconds. */
interface Measured {
  readonly kernel: string;
  readonly node: string;
  readonly vmhatch: readonly number[];
  readonly qemu: readonly number[];
  readonly create: readonly number[];
  readonly exits?: Readonly<Record<'vmhatch' | 'qemu', Readonly<Record<string, number>>>>;
  readonly ioctls: Readonly<Record<'vmhatch' | 'qemu', Readonly<Record<string, number>> | undefined>>;
}

/** Runs the bench; the exit status. */
export async function bootBench(args: readonly string[]): Promise<number> {
  const { values } = parseOptions(options, args);
  const rounds = values.rounds === undefined ? 11 : parseCount(values.rounds, '--rounds');
  const qemu = 'qemu-system-x86_64';
  const absent = await ensurePrograms([{ program: qemu, package: 'qemu-system-x86' }]);
  if (absent !== undefined) throw new Error(absent);
  const kernel = await findKernel({ build: true });
  if ('missing' in kernel) throw new Error(kernel.missing);
  const initrd = await makeInitrd();
  if (initrd.path === undefined) throw new Error(initrd.missing);

  const where = linuxHost();
  process.stderr.write(
    `booting on ${where.host === 'native' ? "this machine's KVM" : 'the emulated host'}: ${where.why}\n`,
  );
  const program = join(import.meta.dirname, 'measure.mjs');
  const command = [program, kernel.vmlinux, initrd.path, qemu, String(rounds)];
  // Progress comes as lines on standard error, the result as one line of JSON.
  const show = (line: string): string | undefined => (line.startsWith('{') ? undefined : line);
  const result =
    where.host === 'native'
      ? await run(process.execPath, command, { show })
      : await runOnEmulatedHost({ command: process.execPath, args: command, icount: true, show });
  const line = result.output.split('\n').find((text) => text.startsWith('{'));
  if (!result.ok || line === undefined) throw new Error(`the boots failed: ${result.ending}`);
  const measured = JSON.parse(line) as Measured;
  const report = reportOf(measured, where.host === 'emulated');
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(report, undefined, 1)}\n`);
  process.stdout.write(renderTable(report, painter(process.stdout)));
  process.stdout.write(countLines(measured));
  return 0;
}

function reportOf(measured: Measured, emulated: boolean): Report {
  const { cpu, module } = readHost();
  return {
    host: {
      cpu: emulated ? 'QEMU TCG (the emulated host; 2 ns are one instruction)' : (cpu.model ?? 'unknown CPU'),
      cpus: emulated ? 1 : cpu.count,
      kernel: measured.kernel,
      kvmModule: emulated ? 'amd' : (module.vendor ?? 'unknown'),
      nested: emulated,
      node: measured.node,
      vmhatch: packageVersion(),
      date: new Date().toISOString(),
    },
    valid: true,
    complete: true,
    noopNs: 0,
    skipped: [],
    rows: [bootRow(measured)],
  };
}

function bootRow(measured: Measured): Row {
  const nanoseconds = (list: readonly number[]): Float64Array => Float64Array.from(list, (ms) => ms * 1e6);
  const create = median(measured.create);
  return ratioRow({
    id: 'P10',
    lane: 'Machine',
    exit: 'boot to init',
    peer: 'QEMU microvm',
    per: 'boot',
    samples: nanoseconds(measured.vmhatch),
    peerSamples: nanoseconds(measured.qemu),
    goal: goals.P10,
    note: `from the call or the spawn to the first program's mark; Machine.create() is ${create.toFixed(0)} ms of it`,
  });
}

function median(list: readonly number[]): number {
  return list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)] ?? 0;
}

/** Counts have no noise: one boot each. */
function countLines({ exits, ioctls }: Measured): string {
  const lines: string[] = ['', 'One boot, counted'];
  const row = (what: string, ours: number | undefined, theirs: number | undefined): void => {
    const cell = (count: number | undefined): string => String(count ?? '-').padStart(10);
    lines.push(`  ${what.padEnd(28)}${cell(ours)}${cell(theirs)}`);
  };
  lines.push(`  ${''.padEnd(28)}${'vmhatch'.padStart(10)}${'QEMU'.padStart(10)}`);
  if (exits === undefined) lines.push("  exits: KVM's counters cannot be read here");
  else for (const name of Object.keys(exits.vmhatch)) row(name, exits.vmhatch[name], exits.qemu[name]);
  const { vmhatch, qemu } = ioctls;
  if (vmhatch === undefined || qemu === undefined) {
    lines.push('  ioctls: strace is not installed');
  } else {
    const sum = (counts: Readonly<Record<string, number>>): number =>
      Object.values(counts).reduce((all, count) => all + count, 0);
    row('KVM ioctls', sum(vmhatch), sum(qemu));
    row('  of them KVM_RUN', vmhatch['KVM_RUN'], qemu['KVM_RUN']);
  }
  return `${lines.join('\n')}\n`;
}
