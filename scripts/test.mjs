// `npm test`: everything that must hold, phase by phase, with one line at the end that says how it went.
import { chooseTargetDirectory } from './shared/cargo.mjs';
import { endChildrenOnSignals } from './shared/process.mjs';
import { dim, duration, green, heading, red, say } from './shared/terminal.mjs';
import { phases } from './test/phases.mjs';
import { Report, summarize } from './test/report.mjs';

const names = phases.map(({ name }) => name);
const usage = `Usage: npm test [-- PHASE…]

Runs every phase, or the phases named and what they need, in the order of the list. The last line is
'N passed, N failed, N skipped'; the exit status is 0 if nothing failed, 1 if something did, 2 for a wrong argument.

  --all     what takes long, too: all of each choice of boots, megabytes instead of kilobytes (npm run test:all)
  --list    the phases
  --help    this text

One ava file: npx ava __test__/kvm/NAME.test.ts
In continuous integration (CI=true) cargo builds in \${XDG_CACHE_HOME:-~/.cache}/vmhatch, which a fresh clone finds again.`;

const list = () => phases.map(({ name, about }) => `  ${name.padEnd(9)} ${about}`).join('\n');

const asked = process.argv.slice(2);
if (asked.includes('--help') || asked.includes('-h')) {
  say(`${usage}\n\nPhases:\n${list()}`);
  process.exit(0);
}
if (asked.includes('--list')) {
  say(list());
  process.exit(0);
}
if (asked.includes('--all')) {
  process.env['VMHATCH_TEST_ALL'] = '1';
  asked.splice(0, asked.length, ...asked.filter((word) => word !== '--all'));
}
const unknown = asked.find((name) => !names.includes(name));
if (unknown !== undefined) {
  process.stderr.write(`There is no phase '${unknown}'. The phases are: ${names.join(', ')}.\n`);
  process.exit(2);
}

/** @type {Set<string>} */
const wanted = new Set(asked.length === 0 ? names : asked);
for (const phase of phases.toReversed()) {
  if (wanted.has(phase.name)) for (const need of phase.needs ?? []) wanted.add(need);
}

endChildrenOnSignals();
await chooseTargetDirectory();
const selected = phases.filter(({ name }) => wanted.has(name));
/** @type {{ name: string, report: Report, milliseconds: number }[]} */
const done = [];
for (const [index, phase] of selected.entries()) {
  heading(phase.name, `${index + 1} of ${selected.length}: ${phase.about}`);
  const report = new Report();
  const start = performance.now();
  const broken = phase.needs?.find((need) =>
    done.some(({ name, report: other }) => name === need && other.failures.length > 0),
  );
  if (broken === undefined) {
    try {
      await phase.run(report);
    } catch (error) {
      say(error instanceof Error ? (error.stack ?? error.message) : String(error));
      report.fail(`the phase itself broke: ${error instanceof Error ? error.message : String(error)}`);
    }
  } else {
    report.fail(`was not run: ${broken} failed`);
  }
  const milliseconds = performance.now() - start;
  done.push({ name: phase.name, report, milliseconds });
  const mark = report.failures.length === 0 ? green('✔') : red('✘');
  const counts = `${report.passed} passed, ${report.failures.length} failed, ${report.skips.length} skipped`;
  say(`${mark} ${phase.name}: ${counts} ${dim(`in ${duration(milliseconds)}`)}`);
}
const { passed, failed } = summarize(done);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
