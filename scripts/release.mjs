// `npm run release`: all packages, built, checked, packed and published; with --dry-run all of it but the last.
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { checkPublisher } from './release/checks.mjs';
import { Release } from './release/run.mjs';
import { readManifest } from './release/stage.mjs';
import { chooseTargetDirectory } from './shared/cargo.mjs';
import { inRoot } from './shared/paths.mjs';
import { endChildrenOnSignals } from './shared/process.mjs';
import { green, red, say } from './shared/terminal.mjs';

const usage = `Usage: npm run release -- --dry-run [--output FOLDER]

Checks versions, changelog and git, builds and checks the addons of all platforms, packs every package, compares what is
in each with a list, and says what would be published. Without --dry-run it then publishes, which only continuous
integration with a token and an identity (for --provenance) may do.

  --dry-run        publish nothing
  --output FOLDER  keep the tarballs there; it must be empty

Exit status: 0 all is well, 1 something is not, 2 a wrong argument.`;

async function main() {
  const options = /** @type {const} */ ({
    'dry-run': { type: 'boolean', default: false },
    output: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
  });
  const { values } = parseArgs({ options });
  if (values.help) {
    say(usage);
    return;
  }
  const dryRun = values['dry-run'];
  const lacks = dryRun ? [] : checkPublisher(process.env, readManifest(inRoot('package.json')));
  if (lacks.length > 0)
    throw new Error(`Nothing is published: ${lacks.join('; ')}. Try: npm run release -- --dry-run`);
  const folder =
    values.output === undefined ? mkdtempSync(join(tmpdir(), 'vmhatch-release-')) : resolve(values.output);
  mkdirSync(folder, { recursive: true });
  if (readdirSync(folder).length > 0) throw new Error(`${folder} is not empty`);
  endChildrenOnSignals();
  await chooseTargetDirectory();
  try {
    const release = new Release({ dryRun, folder });
    await release.prepare();
    release.describe();
    if (!release.good) {
      const wrong = release.rows.filter(({ state }) => state !== 'ok').map(({ what }) => what);
      throw new Error(`Not ready: ${wrong.join(', ')}.`);
    }
    if (!dryRun) await release.publish();
    const warnings = release.rows.filter(({ state }) => state === 'warning').map(({ what }) => what);
    const left = warnings.length === 0 ? '' : ` A real release still wants: ${warnings.join(', ')}.`;
    say(green(dryRun ? `\nNothing was published; all else is ready.${left}` : '\nPublished.'));
  } finally {
    if (values.output === undefined) rmSync(folder, { recursive: true, force: true });
  }
}

try {
  await main();
} catch (error) {
  const wrongArgument = error instanceof TypeError && 'code' in error;
  console.error(red(error instanceof Error ? error.message : String(error)));
  if (wrongArgument) console.error(usage);
  process.exitCode = wrongArgument ? 2 : 1;
}
