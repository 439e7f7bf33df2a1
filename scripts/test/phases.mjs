// The phases of npm test, in the order they run: what fails soonest and costs least comes first. The lint comes after
// the build, because it looks at types and those of the addon are made there.
import { aarch64 } from './aarch64.mjs';
import { ava, node24 } from './ava.mjs';
import { build } from './build.mjs';
import { docs } from './docs.mjs';
import { format } from './format.mjs';
import { house } from './house.mjs';
import { install } from './install.mjs';
import { lint } from './lint.mjs';
import { linux } from './linux.mjs';
import { packageTests } from './package.mjs';
import { rust } from './rust.mjs';
import { types } from './types.mjs';

/**
 * @typedef {object} Phase
 * @property {string} name
 * @property {string} about one line for --list
 * @property {readonly string[]} [needs] phases that run first, whose failure leaves this one without a meaning
 * @property {(report: import('./report.mjs').Report) => Promise<void>} run
 */

/** @type {readonly Phase[]} */
export const phases = [
  install,
  format,
  build,
  lint,
  types,
  house,
  rust,
  ava,
  node24,
  linux,
  aarch64,
  packageTests,
  docs,
];
