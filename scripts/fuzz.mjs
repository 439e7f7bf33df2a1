// `npm run fuzz`: the property tests of npm test, with many more cases and a fresh seed.
import { runAva } from './test/ava.mjs';
import { Report, summarize } from './test/report.mjs';
import { buildNative } from './shared/build.mjs';
import { ensureInstalled } from './shared/install.mjs';
import { endChildrenOnSignals } from './shared/process.mjs';
import { say } from './shared/terminal.mjs';

const defaultCases = 5_000_000;
const usage = `Usage: npm run fuzz [-- --cases N]

Runs the property tests (__test__/stress/fuzz*.test.ts) with N cases in all, ${defaultCases.toLocaleString('en')} by default. A failure prints
the seed and the path that bring it back.`;

const args = process.argv.slice(2);
if (args.includes('--help') || args.includes('-h')) {
  say(usage);
  process.exit(0);
}
const cases = args[0] === '--cases' && args.length === 2 ? Number(args[1]) : defaultCases;
if ((args.length > 0 && args[0] !== '--cases') || !Number.isSafeInteger(cases) || cases < 1) {
  process.stderr.write(`${usage}\n`);
  process.exit(2);
}

endChildrenOnSignals();
for (const step of [ensureInstalled, buildNative]) {
  const result = await step();
  if (!result.ok) process.exit(1);
}
process.env['VMHATCH_FUZZ_CASES'] = String(cases);
const report = new Report();
const start = performance.now();
await runAva(report, ['stress'], { files: /\/fuzz[^/]*\.test\.ts$/, timeout: '24h' });
const { failed } = summarize([{ name: 'fuzz', report, milliseconds: performance.now() - start }]);
process.exitCode = failed === 0 ? 0 : 1;
