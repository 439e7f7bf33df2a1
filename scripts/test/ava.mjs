// The ava suites: on the Node at hand, and those that touch native code once more on Node 24.
import { existsSync } from 'node:fs';
import { delimiter, dirname, join, relative } from 'node:path';
import { filesUnder } from '../shared/hash.mjs';
import { cacheDirectory, inRoot, root } from '../shared/paths.mjs';
import { ask, environment, run } from '../shared/process.mjs';
import { say } from '../shared/terminal.mjs';
import { avaCounter } from './count.mjs';

/** The other Node that the addon must run on: the one that is supported longest at this time. */
const otherNode = '24.21.0';

/**
 * @typedef {object} AvaOptions
 * @property {string} [node] the Node to run on; by default the one at hand
 * @property {RegExp} [files] only these files
 * @property {string} [timeout] how long nothing may happen, if not as ava.config.mjs says
 */

/**
 * @param {import('./report.mjs').Report} report
 * @param {readonly string[]} suites folders of __test__
 * @param {AvaOptions} [options]
 */
export async function runAva(
  report,
  suites,
  { node = process.execPath, files = /\.test\.ts$/, timeout } = {},
) {
  const folders = suites.map((suite) => `__test__/${suite}`);
  const paths = filesUnder(folders).filter((path) => files.test(path));
  if (paths.length === 0) {
    report.fail(`no tests were found in ${folders.join(', ')}`);
    return;
  }
  const counter = avaCounter();
  const cli = inRoot('node_modules', 'ava', 'entrypoints', 'cli.mjs');
  const env = { PATH: [dirname(node), environment()['PATH']].join(delimiter) };
  const args = [cli, ...(timeout === undefined ? [] : ['--timeout', timeout])];
  args.push(...paths.map((path) => relative(root, path)));
  counter.finish(report, await run(node, args, { env, onLine: counter.line }));
}

/**
 * Another Node in the cache, or why it cannot be had.
 * @returns {Promise<{ node: string } | { missing: string }>}
 */
async function findOtherNode() {
  const name = `node-linux-${process.arch}`;
  const folder = join(cacheDirectory, `node-${otherNode}`);
  const node = join(folder, 'node_modules', name, 'bin', 'node');
  if (!existsSync(node)) {
    const quiet = ['--no-save', '--no-audit', '--no-fund', '--ignore-scripts', '--loglevel', 'error'];
    const result = await run('npm', ['install', '--prefix', folder, ...quiet, `${name}@${otherNode}`]);
    if (!result.ok) return { missing: `npm install ${name}@${otherNode} failed` };
  }
  const version = await ask(node, '--version');
  return version === undefined ? { missing: `${node} does not run on this machine` } : { node };
}

/** @type {import('./phases.mjs').Phase} */
export const ava = {
  name: 'ava',
  about: 'the suites unit, kvm and stress on the Node at hand',
  needs: ['install', 'build'],
  run: (report) => runAva(report, ['unit', 'kvm', 'stress']),
};

/** @type {import('./phases.mjs').Phase} */
export const node24 = {
  name: 'node24',
  about: `the suites kvm and stress once more, on Node ${otherNode}`,
  needs: ['install', 'build'],
  async run(report) {
    if (process.version.startsWith('v24.')) {
      report.skip(`this is Node ${process.version} already`);
      return;
    }
    const found = await findOtherNode();
    if ('missing' in found) {
      report.skip(`Node ${otherNode}: ${found.missing}`);
      return;
    }
    say(found.node);
    await runAva(report, ['kvm', 'stress'], { node: found.node });
  },
};
