// `npm run build:all`: the addon for every platform that has a package, built on this machine and checked.
import { copyFileSync, mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { buildAddon } from './cross/build.mjs';
import { addonTable } from './cross/table.mjs';
import { addonName, targetOf, targets } from './cross/targets.mjs';
import { endChildrenOnSignals } from './shared/process.mjs';
import { duration, red, say } from './shared/terminal.mjs';

const usage = `Usage: npm run build:all [-- TARGET…] [--output FOLDER]

Builds the addon for the platforms named, or for all of them, checks what each needs, and prints a table.
What has not changed since it was built last is taken from the cache.

  --all            all of them, which is also what happens where none is named
  --output FOLDER  copies them there; otherwise they stay in the cache, and the table is followed by their paths

Platforms: ${targets.map(({ platform }) => platform).join(', ')}
Exit status: 0 all is well, 1 an addon could not be built or must not be published, 2 a wrong argument.`;

async function main() {
  const options = /** @type {const} */ ({
    all: { type: 'boolean', default: false },
    output: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
  });
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  if (values.help) {
    say(usage);
    return;
  }
  const unknown = positionals.find((name) => targetOf(name) === undefined);
  if (unknown !== undefined)
    throw Object.assign(new TypeError(`There is no platform '${unknown}'.`), { usage });
  const named = positionals.flatMap((name) => targetOf(name) ?? []);
  const wanted = values.all || named.length === 0 ? targets : named;
  endChildrenOnSignals();
  const addons = [];
  for (const target of wanted) {
    const start = performance.now();
    const result = await buildAddon(target);
    if ('missing' in result) throw new Error(`${target.platform}: ${result.missing}`);
    if ('failure' in result) throw new Error(`${target.platform}: ${result.failure}`);
    if (result.built) say(`${target.platform}: built in ${duration(performance.now() - start)}`);
    addons.push(result);
  }
  const { text, violations } = addonTable(addons);
  say(`\n${text}\n`);
  for (const { target, path } of addons) {
    if (values.output === undefined) say(path);
    else {
      const folder = resolve(values.output);
      mkdirSync(folder, { recursive: true });
      copyFileSync(path, join(folder, addonName(target)));
      say(join(folder, addonName(target)));
    }
  }
  if (violations.length > 0) throw new Error(violations.join('\n'));
}

try {
  await main();
} catch (error) {
  const wrongArgument = error instanceof TypeError && ('code' in error || 'usage' in error);
  console.error(red(error instanceof Error ? error.message : String(error)));
  if (wrongArgument) console.error(usage);
  process.exitCode = wrongArgument ? 2 : 1;
}
