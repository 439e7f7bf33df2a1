/** Where cargo builds, when several checkouts share the folder. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import test from 'ava';

import { takeOver } from '../../scripts/shared/cargo.mjs';
import { temporaryFolder } from '../helpers/temporary-folder.ts';

test('what another checkout has built of our crates is built again, all else stays', (t) => {
  const folder = temporaryFolder(t);
  const crates = (names: readonly string[]) =>
    ['release', join('aarch64-unknown-linux-gnu', 'release')].flatMap((profile) =>
      names.map((name) => join(folder, profile, '.fingerprint', name)),
    );
  const ours = crates(['vmhatch-vmm-0123456789abcdef', 'vmhatch-node-0123456789abcdef']);
  const others = crates(['libc-0123456789abcdef']);
  const make = () => {
    for (const path of [...ours, ...others]) {
      mkdirSync(path, { recursive: true });
      writeFileSync(join(path, 'lib-vmhatch'), '');
    }
  };
  make();
  takeOver(folder);
  t.deepEqual(ours.filter(existsSync), [], 'nobody knows who has built them');
  t.deepEqual(others.filter(existsSync), others);
  make();
  takeOver(folder);
  t.deepEqual(ours.filter(existsSync), ours, 'they are this checkout’s');
  writeFileSync(join(folder, 'checkout'), '/another/checkout');
  takeOver(folder);
  t.deepEqual(ours.filter(existsSync), []);
});
