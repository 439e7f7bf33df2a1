// The packages of a release, and what may be in each.
import { addonName, targets } from '../cross/targets.mjs';

/**
 * @typedef {object} PackageRules
 * @property {string} name
 * @property {readonly string[]} required paths that must be in it
 * @property {RegExp} allowed paths that may be in it
 */

const licences = ['LICENSE-MIT', 'LICENSE-APACHE'];

/** What every package begins with. */
const common = ['package.json', 'README.md', ...licences];

/** @type {PackageRules} */
export const mainPackage = {
  name: 'vmhatch',
  required: [
    ...common,
    'CHANGELOG.md',
    'native.cjs',
    'dist/index.js',
    'dist/index.d.ts',
    'dist/lib/cli/main.js',
  ],
  allowed:
    /^(?:dist\/(?:index|lib\/[\w/-]+)\.(?:d\.ts|js)|native\.cjs|package\.json|(?:README|CHANGELOG)\.md|LICENSE-(?:MIT|APACHE))$/,
};

/** The packages that hold an addon each. */
export const entryPackages = targets.map((target) => ({
  target,
  name: `vmhatch-${target.platform}`,
  required: [...common, addonName(target)],
  allowed: new RegExp(
    `^(?:package\\.json|README\\.md|LICENSE-(?:MIT|APACHE)|${addonName(target).replaceAll('.', String.raw`\.`)})$`,
  ),
}));

/** The guest kernels: files that we built, and the source that their licence asks for. */
export const kernelPackage = {
  required: [
    'package.json',
    'README.md',
    'LICENSE',
    'SOURCE.md',
    'config',
    'provenance.json',
    'index.js',
    'index.d.ts',
  ],
  allowed:
    /^(?:package\.json|README\.md|LICENSE|SOURCE\.md|config|provenance\.json|index\.(?:js|d\.ts)|bzImage|vmlinux|Image|source\/[\w./-]+)$/,
};

/**
 * What is wrong with the contents of a packed package.
 * @param {Pick<PackageRules, 'required' | 'allowed'>} rules
 * @param {readonly string[]} paths
 */
export function checkContents({ required, allowed }, paths) {
  return [
    ...required.filter((path) => !paths.includes(path)).map((path) => `${path} is missing`),
    ...paths.filter((path) => !allowed.test(path)).map((path) => `${path} must not be in it`),
  ];
}
