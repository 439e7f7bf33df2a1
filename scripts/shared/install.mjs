// `npm ci`, when the lockfile is not what was installed last.
import { readFileSync } from 'node:fs';
import { run } from './process.mjs';
import { hashOf, isFresh, markFresh } from './hash.mjs';
import { inRoot } from './paths.mjs';
import { say } from './terminal.mjs';

/**
 * Installs the development tools. No package's own scripts are run: none of them needs one.
 * @returns {Promise<import('./process.mjs').RunResult>}
 */
export async function ensureInstalled() {
  const manifest = JSON.parse(readFileSync(inRoot('package.json'), 'utf8'));
  const wanted = JSON.stringify([manifest.dependencies, manifest.devDependencies, manifest.overrides]);
  const hash = hashOf(['package-lock.json', '.npmrc'], [wanted, process.version, process.arch]);
  if (isFresh('install', hash, [inRoot('node_modules', '.package-lock.json')])) {
    say('node_modules is what package-lock.json says');
    return { ok: true, ending: 'up to date', output: '' };
  }
  const result = await run('npm', [
    'ci',
    '--prefer-offline',
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    '--loglevel',
    'error',
  ]);
  if (result.ok) markFresh('install', hash);
  return result;
}
