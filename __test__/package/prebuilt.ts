// The packages of a release, packed from the addons that scripts/cross.mjs has built, for the tests that install them.
import type { ExecutionContext } from 'ava';

import { findAddon } from '../../scripts/cross/build.mjs';
import { targets } from '../../scripts/cross/targets.mjs';
import { stagePackages } from '../../scripts/release/stage.mjs';
import { folder, output } from './stage.ts';

export type Target = (typeof targets)[number];
export type Packed = Awaited<ReturnType<typeof stagePackages>>['main'];

export interface Prebuilt {
  readonly main: Packed;
  readonly platforms: readonly Packed[];
  /** The platforms whose addon is built, and why another's is not. */
  readonly built: readonly Target[];
  readonly missing: ReadonlyMap<string, string>;
}

/** Packs what is built. Nothing is built here: the phase `package` does so, and `npm run build:all`. */
export async function packPrebuilt(): Promise<Prebuilt> {
  const addons = [];
  const missing = new Map<string, string>();
  for (const target of targets) {
    const found = await findAddon(target);
    if ('missing' in found) missing.set(target.platform, found.missing);
    else addons.push(found);
  }
  const packed = await stagePackages(addons, folder('release'));
  return { ...packed, built: addons.map(({ target }) => target), missing };
}

/** Whether the addon of a platform is there; where it is not the test is skipped, and says why. */
export function hasAddon(t: ExecutionContext, { missing }: Prebuilt, platform: string): boolean {
  const why = missing.get(platform);
  if (why === undefined) return true;
  t.log(`skipped: ${why}`);
  t.pass();
  return false;
}

/** Puts packages into a folder's node_modules, without a package manager. */
export async function unpack(consumer: string, packages: readonly Packed[]): Promise<void> {
  for (const { name, tarball } of packages) {
    const target = `node_modules/${name}`;
    await output(consumer, 'mkdir', '-p', target);
    await output(consumer, 'tar', '-xzf', tarball, '-C', target, '--strip-components=1');
  }
}
