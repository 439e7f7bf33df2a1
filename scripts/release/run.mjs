// A release from its first check to what is published last. Each step adds rows to one table; nothing is published
// before all of them are good.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildAddon } from '../cross/build.mjs';
import { judgeFile } from '../cross/gate.mjs';
import { table } from '../cross/table.mjs';
import { targets } from '../cross/targets.mjs';
import { findKernel } from '../kernel.mjs';
import { packKernel } from '../kernel/pack.mjs';
import { buildNative, buildTypeScript } from '../shared/build.mjs';
import { inRoot, root } from '../shared/paths.mjs';
import { ask, run } from '../shared/process.mjs';
import { green, red, say, yellow } from '../shared/terminal.mjs';
import { checkChangelog, checkPlatforms, checkPublisher, checkVersions } from './checks.mjs';
import { kernelPackage } from './packages.mjs';
import { packFolder, readManifest, stagePackages } from './stage.mjs';

/**
 * @typedef {object} Row
 * @property {'ok' | 'warning' | 'wrong'} state a warning is wrong in a real release
 * @property {string} what
 * @property {string} detail
 */

const marks = { ok: green('✔'), warning: yellow('!'), wrong: red('✘') };

/** @param {number} bytes */
function megabytes(bytes) {
  return `${(bytes / 1e6).toFixed(2)} MB`;
}

/** @returns {Promise<string[]>} */
async function checkTree() {
  const status = await ask('git', 'status', '--porcelain');
  if (status === undefined) return ['git does not know this folder'];
  const changed = status.split('\n').filter((line) => line !== '').length;
  return changed === 0 ? [] : [`${changed} files are not committed`];
}

export class Release {
  /** @type {Row[]} */
  rows = [];
  /** @type {import('./stage.mjs').Packed[]} in the order in which they are published */
  packages = [];

  /**
   * @param {object} options
   * @param {boolean} options.dryRun
   * @param {string} options.folder an empty one
   */
  constructor({ dryRun, folder }) {
    this.dryRun = dryRun;
    this.folder = folder;
  }

  get good() {
    return this.rows.every(({ state }) => state === 'ok' || (this.dryRun && state === 'warning'));
  }

  /**
   * @param {string} what
   * @param {readonly string[]} violations
   * @param {string} detail said where there are none
   * @param {'warning' | 'wrong'} [otherwise]
   */
  check(what, violations, detail, otherwise = 'wrong') {
    const state = violations.length === 0 ? 'ok' : otherwise;
    this.rows.push({ state, what, detail: violations.length === 0 ? detail : violations.join('; ') });
    say(`${marks[state]} ${what}: ${this.rows.at(-1)?.detail}`);
  }

  /** What can be read off the checkout. */
  async checkCheckout() {
    const manifest = readManifest(inRoot('package.json'));
    const changelog = readFileSync(inRoot('CHANGELOG.md'), 'utf8');
    this.check('versions', checkVersions(root), `all say ${manifest.version}`);
    this.check('changelog', checkChangelog(changelog, manifest.version), manifest.version, 'warning');
    this.check('platforms', checkPlatforms(root), targets.map(({ platform }) => platform).join(', '));
    this.check('git', await checkTree(), 'nothing is uncommitted', 'warning');
    this.check('publisher', checkPublisher(process.env, manifest), 'token and identity are there', 'warning');
  }

  /** @returns {Promise<import('../cross/build.mjs').Addon[]>} those that may be published */
  async buildAddons() {
    const addons = [];
    for (const target of targets) {
      const result = await buildAddon(target);
      if ('missing' in result || 'failure' in result) {
        this.check(`addon ${target.platform}`, ['missing' in result ? result.missing : result.failure], '');
        continue;
      }
      const { bytes, highest, needed, violations } = judgeFile(target, result.path);
      const facts = [megabytes(bytes), highest, `needs ${needed.join(' ')}`].filter((text) => text !== '');
      this.check(`addon ${target.platform}`, violations, facts.join(', '));
      if (violations.length === 0) addons.push(result);
    }
    return addons;
  }

  /** The guest kernel's package, if the kernel is built: it takes minutes, and changes seldom. */
  async packKernels() {
    const kernel = await findKernel({ build: false });
    if ('missing' in kernel) {
      this.check('vmhatch-kernel-x64', [kernel.missing], '', 'warning');
      return;
    }
    const staged = join(this.folder, 'vmhatch-kernel-x64');
    packKernel(kernel, staged);
    this.packages.push(await packFolder(staged, join(this.folder, 'tarballs'), kernelPackage));
  }

  /** Builds all, packs all, and checks what is in it. */
  async prepare() {
    await this.checkCheckout();
    for (const [what, build] of /** @type {const} */ ([
      ['loader', buildNative],
      ['dist', buildTypeScript],
    ])) {
      const result = await build();
      this.check(what, result.ok ? [] : [result.ending], 'built');
      if (!result.ok) return;
    }
    const addons = await this.buildAddons();
    const { main, platforms } = await stagePackages(addons, this.folder);
    this.packages.push(...platforms);
    await this.packKernels();
    // Whoever installs the main package must find the others.
    this.packages.push(main);
    for (const { name, paths, violations } of this.packages) {
      this.check(`contents of ${name}`, violations, `${paths.length} files, all on the list`);
    }
  }

  /** What is in the packages, and what would be done with them. */
  describe() {
    for (const { name, paths } of this.packages.filter(({ paths: list }) => list.length <= 40)) {
      say(`\n${name}: ${paths.join(' ')}`);
    }
    const rows = this.packages.map(({ name, version, paths, size, unpackedSize }) => [
      name,
      version,
      String(paths.length),
      megabytes(size),
      megabytes(unpackedSize),
    ]);
    say(`\n${table([['package', 'version', 'files', 'packed', 'unpacked'], ...rows])}\n`);
    say(this.dryRun ? 'A release would run:' : 'Runs:');
    for (const { tarball } of this.packages) say(`  npm ${publishArguments(tarball).join(' ')}`);
  }

  /** Publishes the packages, those that others depend on first. What is there already is left as it is. */
  async publish() {
    for (const { name, version, tarball } of this.packages) {
      if ((await ask('npm', 'view', `${name}@${version}`, 'version')) === version) {
        say(`${name}@${version} is published already`);
        continue;
      }
      const result = await run('npm', publishArguments(tarball));
      if (!result.ok)
        throw new Error(`npm publish ${name}: ${result.ending}. What comes after it is not published.`);
    }
  }
}

/** @param {string} tarball */
function publishArguments(tarball) {
  return ['publish', tarball, '--access', 'public', '--provenance'];
}
