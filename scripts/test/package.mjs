// What a user gets: the packed tarball, installed in an empty folder (__test__/package).
import { runAva } from './ava.mjs';

/** @type {import('./phases.mjs').Phase} */
export const packageTests = {
  name: 'package',
  about:
    "npm pack, installed in an empty folder, runs the README's first program as ESM, CommonJS and TypeScript",
  needs: ['install', 'build'],
  run: (report) => runAva(report, ['package']),
};
