// `npm run fuzz`: the property tests of npm test, with many more cases and a fresh seed, or the fuzzer of the loaders.
import { parseArgs } from 'node:util';
import { fuzzLoaders } from './fuzz/loaders.mjs';
import { runAva } from './test/ava.mjs';
import { Report, summarize } from './test/report.mjs';
import { buildNative } from './shared/build.mjs';
import { ensureInstalled } from './shared/install.mjs';
import { endChildrenOnSignals } from './shared/process.mjs';
import { say } from './shared/terminal.mjs';

const defaultCases = 5_000_000;
const defaultSeconds = 300;
const usage = `Usage: npm run fuzz [-- --cases N]
       npm run fuzz -- --loaders [--seconds N]

Runs the property tests (__test__/stress/fuzz*.test.ts) with N cases in all, ${defaultCases.toLocaleString('en')} by default. A failure prints
the seed and the path that bring it back.

--loaders fuzzes the loaders of kernels (crates/boot) with cargo-fuzz instead, each target for N seconds, ${defaultSeconds} by
default. A failure prints the input's file and the command that brings it back.`;

/** @returns {{ loaders: boolean, count: number } | 'help' | undefined} undefined for arguments that make no sense */
function readArguments() {
  const options = /** @type {const} */ ({
    cases: { type: 'string' },
    seconds: { type: 'string' },
    loaders: { type: 'boolean' },
    help: { type: 'boolean', short: 'h' },
  });
  try {
    const { cases, seconds, loaders = false, help } = parseArgs({ options }).values;
    if (help) return 'help';
    if ((loaders ? cases : seconds) !== undefined) return undefined;
    const count = Number(loaders ? (seconds ?? defaultSeconds) : (cases ?? defaultCases));
    return Number.isSafeInteger(count) && count >= 1 ? { loaders, count } : undefined;
  } catch {
    return undefined;
  }
}

const wanted = readArguments();
if (wanted === 'help') {
  say(usage);
  process.exit(0);
}
if (wanted === undefined) {
  process.stderr.write(`${usage}\n`);
  process.exit(2);
}

endChildrenOnSignals();
if (wanted.loaders) process.exit((await fuzzLoaders(wanted.count)) ? 0 : 1);
for (const step of [ensureInstalled, buildNative]) {
  const result = await step();
  if (!result.ok) process.exit(1);
}
process.env['VMHATCH_FUZZ_CASES'] = String(wanted.count);
const report = new Report();
const start = performance.now();
await runAva(report, ['stress'], { files: /\/fuzz[^/]*\.test\.ts$/, timeout: '24h' });
const { failed } = summarize([{ name: 'fuzz', report, milliseconds: performance.now() - start }]);
process.exitCode = failed === 0 ? 0 : 1;
