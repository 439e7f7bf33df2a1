// The main package's manifest as it is published: what only the checkout needs is gone, and the platform packages are
// named. In git they are not, because no lockfile could be complete before they are published.
import { entryPackages } from './packages.mjs';

/** @typedef {Record<string, unknown> & { name: string, version: string, files: string[] }} Manifest */

const ofTheCheckout = new Set(['scripts', 'devDependencies', 'napi', 'overrides']);

/**
 * @param {Manifest} manifest package.json of the checkout
 * @returns {Manifest}
 */
export function publishedManifest(manifest) {
  const kept = Object.entries(manifest).filter(([key]) => !ofTheCheckout.has(key));
  const { version } = manifest;
  return {
    .../** @type {Manifest} */ (Object.fromEntries(kept)),
    files: manifest.files.filter((pattern) => !pattern.endsWith('.node')),
    // For yarn's Plug'n'Play: Node cannot require() an ES module that lies in a zip file.
    preferUnplugged: true,
    optionalDependencies: Object.fromEntries(entryPackages.map(({ name }) => [name, version])),
  };
}
