// The build that npm run build makes.
import { buildNative, buildTypeScript } from '../shared/build.mjs';

/** @type {import('./phases.mjs').Phase} */
export const build = {
  name: 'build',
  about: 'the addon (napi build) and dist/ (tsc)',
  needs: ['install'],
  async run(report) {
    report.check('addon', await buildNative());
    report.check('dist', await buildTypeScript());
  },
};
