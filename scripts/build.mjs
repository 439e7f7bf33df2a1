// `npm run build`, and what `npm pack` runs first: the addon and dist/, where their inputs have changed.
import { buildNative, buildTypeScript } from './shared/build.mjs';
import { chooseTargetDirectory } from './shared/cargo.mjs';
import { ensureInstalled } from './shared/install.mjs';
import { endChildrenOnSignals } from './shared/process.mjs';
import { red } from './shared/terminal.mjs';
import { checkTools } from './shared/tools.mjs';

const usage = `Usage: npm run build [-- native | typescript]

Builds what has changed: the addon (native.cjs, native.d.cts, vmhatch.*.node) and dist/.
Name one half to build only that.`;

const halves = process.argv.slice(2);
if (halves.includes('--help') || halves.includes('-h')) {
  console.log(usage);
  process.exit(0);
}
const unknown = halves.find((half) => half !== 'native' && half !== 'typescript');
if (unknown !== undefined) {
  console.error(`Unknown argument '${unknown}'.\n\n${usage}`);
  process.exit(2);
}

// npm pack's own output may be read by a program (--json), so everything said here goes to standard error.
if (process.env['npm_lifecycle_event'] === 'prepack') {
  process.stdout.write = process.stderr.write.bind(process.stderr);
}

endChildrenOnSignals();
const { missing } = await checkTools();
if (missing.length > 0) {
  for (const sentence of missing) console.error(red(sentence));
  process.exit(1);
}
await chooseTargetDirectory();
const steps = [ensureInstalled];
if (halves.length === 0 || halves.includes('native')) steps.push(buildNative);
if (halves.length === 0 || halves.includes('typescript')) steps.push(buildTypeScript);
for (const step of steps) {
  const result = await step();
  if (!result.ok) {
    console.error(red(`The build stopped: ${result.ending}.`));
    process.exit(1);
  }
}
