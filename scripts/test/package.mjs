// What a user gets: the packages of all platforms, built here, published to a registry of our own, installed from it and
// run on every runtime (__test__/package).
import { findMuslNode, findTools } from '../../__test__/package/tools/find.mjs';
import { buildAddon } from '../cross/build.mjs';
import { addonTable } from '../cross/table.mjs';
import { targets } from '../cross/targets.mjs';
import { duration, say } from '../shared/terminal.mjs';
import { runAva } from './ava.mjs';

/** @param {import('./report.mjs').Report} report */
async function buildAddons(report) {
  const addons = [];
  for (const target of targets) {
    const start = performance.now();
    const result = await buildAddon(target);
    if ('missing' in result) report.skip(`the addon for ${target.platform}: ${result.missing}`);
    else if ('failure' in result)
      report.check(`the addon for ${target.platform}`, { ok: false, ending: result.failure });
    else {
      addons.push(result);
      if (result.built) say(`${target.platform}: built in ${duration(performance.now() - start)}`);
    }
  }
  if (addons.length === 0) return;
  const { text, violations } = addonTable(addons);
  say(text);
  report.checkList('what the addons need', violations);
}

/** @type {import('./phases.mjs').Phase} */
export const packageTests = {
  name: 'package',
  about:
    'the packages of all platforms, installed by npm, pnpm and yarn, on Node 20 to 26, Bun, Deno and musl',
  needs: ['install', 'build'],
  async run(report) {
    await buildAddons(report);
    for (const tool of [await findTools(), await findMuslNode('x64'), await findMuslNode('arm64')]) {
      if ('missing' in tool) report.skip(tool.missing);
    }
    // Two sessions of the emulated host, the first of which may stand still, are silent for so long.
    await runAva(report, ['package'], { timeout: '8m' });
  },
};
