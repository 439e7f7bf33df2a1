// Where cargo builds. In continuous integration each run is a fresh clone: there the built dependencies live
// in the cache, one folder for each lockfile and compiler.
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { hashOf } from './hash.mjs';
import { cacheDirectory, root } from './paths.mjs';
import { ask } from './process.mjs';

const keptTargets = 2;

/** True on a continuous integration machine, by the convention that all of them follow. */
export function onIntegrationMachine() {
  const value = process.env['CI'];
  return value !== undefined && value !== '' && value !== '0' && value !== 'false';
}

/** Points cargo, here and in every child, at a target folder that a fresh clone finds filled. */
export async function chooseTargetDirectory() {
  if (process.env['CARGO_TARGET_DIR'] || !onIntegrationMachine()) return;
  const rustc = (await ask('rustc', '--version', '--verbose')) ?? '';
  const target = join(cacheDirectory, `target-${hashOf(['Cargo.lock'], [rustc])}`);
  mkdirSync(target, { recursive: true });
  const now = new Date();
  utimesSync(target, now, now);
  takeOver(target);
  process.env['CARGO_TARGET_DIR'] = target;
  forgetOldTargets();
}

/**
 * Makes a target folder this checkout's. Cargo takes a crate of ours for built when no source is younger than what was
 * built, and does not ask from which checkout: after another one's turn it would give us the other's.
 * @param {string} folder
 */
export function takeOver(folder) {
  const mark = join(folder, 'checkout');
  const last = existsSync(mark) ? readFileSync(mark, 'utf8') : undefined;
  if (last === root) return;
  const entries = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  for (const entry of entries) {
    if (/(?:^|\/)\.fingerprint\/vmhatch[^/]*$/.test(entry)) rmSync(join(folder, entry), { recursive: true });
  }
  writeFileSync(mark, root);
}

function forgetOldTargets() {
  if (!existsSync(cacheDirectory)) return;
  const targets = readdirSync(cacheDirectory)
    .filter((name) => name.startsWith('target-'))
    .map((name) => join(cacheDirectory, name))
    .toSorted((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs);
  for (const old of targets.slice(keptTargets)) rmSync(old, { recursive: true, force: true });
}
