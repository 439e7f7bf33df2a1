// Configuration fragments: what they ask for, whether they are well written, and whether a kernel's final
// configuration gives all of it. Kconfig itself drops what cannot be without a word.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { inRoot } from '../shared/paths.mjs';

/** Where the fragments, the recipe, the patches and the pinned source version lie. */
export const kernelFolder = inRoot('kernel');

const line = /^(CONFIG_[A-Z0-9_]+)=(y|n|\d+|0x[0-9a-f]+|"[^"]*")$/;

/**
 * The fragments of an architecture, in the order in which they are merged.
 * @param {string} arch
 * @param {string} [base]
 */
export function fragmentsOf(arch, base = kernelFolder) {
  return ['common.config', `${arch}.config`].map((name) => ({
    name,
    text: readFileSync(join(base, name), 'utf8'),
  }));
}

/**
 * What a fragment sets: option to value.
 * @param {string} text
 * @returns {Map<string, string>}
 */
export function settingsOf(text) {
  /** @type {Map<string, string>} */
  const settings = new Map();
  for (const each of text.split('\n')) {
    const [, option, value] = line.exec(each) ?? [];
    if (option !== undefined && value !== undefined) settings.set(option, value);
  }
  return settings;
}

/**
 * What is wrong with how fragments are written: a line that is no setting, an option that is set twice, a group
 * without its reason or out of order.
 * @param {readonly { name: string, text: string }[]} fragments
 * @returns {string[]} one sentence each, beginning with its place
 */
export function problemsOf(fragments) {
  /** @type {string[]} */
  const problems = [];
  /** @type {Map<string, string>} */
  const seen = new Map();
  for (const { name, text } of fragments) {
    let explained = false;
    let last = '';
    for (const [index, each] of text.trimEnd().split('\n').entries()) {
      const place = `${name}:${index + 1}`;
      const [, option] = line.exec(each) ?? [];
      if (each === '') {
        explained = false;
        last = '';
      } else if (each.startsWith('# ') && last === '') {
        explained = true;
      } else if (option === undefined) {
        problems.push(`${place}: is neither a comment above a group nor CONFIG_NAME=VALUE`);
      } else {
        const before = seen.get(option);
        if (before !== undefined) problems.push(`${place}: ${option} is set at ${before} already`);
        if (!explained) problems.push(`${place}: ${option} stands in a group without a comment`);
        if (option < last) problems.push(`${place}: ${option} comes before ${last}`);
        seen.set(option, place);
        last = option;
      }
    }
  }
  return problems;
}

/**
 * The settings that a final configuration does not have. An option that is not there at all counts as missing even
 * where `n` was asked for: the line says nothing, or is misspelt.
 * @param {ReadonlyMap<string, string>} settings
 * @param {string} config the text of the kernel's .config
 * @returns {string[]} one sentence each
 */
export function unmet(settings, config) {
  /** @type {Map<string, string>} */
  const final = new Map();
  for (const each of config.split('\n')) {
    const off = /^# (CONFIG_\w+) is not set$/.exec(each);
    const set = /^(CONFIG_\w+)=(.*)$/.exec(each);
    if (off?.[1] !== undefined) final.set(off[1], 'n');
    if (set?.[1] !== undefined) final.set(set[1], set[2] ?? '');
  }
  return [...settings]
    .filter(([option, value]) => final.get(option) !== value)
    .map(([option, value]) => {
      const got = final.get(option);
      return got === undefined
        ? `${option}=${value}: this kernel has no such option, or not with the others`
        : `${option}=${value}: came out as ${got}`;
    });
}
