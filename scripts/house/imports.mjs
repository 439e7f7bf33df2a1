// Who may use whom among the TypeScript sources: index.ts → lib/* → lib/internal → #native, never back, never round.
import { dirname, posix } from 'node:path';
import { importsOf, lineAt, ourFiles, readText, typescriptCode } from './source.mjs';

/**
 * @typedef {object} Edge
 * @property {string} from
 * @property {string} to a path in the project, or the specifier of what is outside it
 * @property {boolean} typeOnly
 * @property {number} line
 */

/** @param {string} path */
function roomOf(path) {
  return /^lib\/([^/]+)\//.exec(path)?.[1] ?? '';
}

/**
 * @param {string} root
 * @returns {Edge[]}
 */
function edgesOf(root) {
  const sources = ['index.ts', ...ourFiles(root, 'lib')].filter((path) => path.endsWith('.ts'));
  const present = new Set(ourFiles(root));
  return sources
    .filter((path) => present.has(path))
    .flatMap((from) =>
      importsOf(readText(root, from)).map(({ specifier, typeOnly, line }) => {
        const to = specifier.startsWith('.') ? posix.join(dirname(from), specifier) : specifier;
        return { from, to, typeOnly, line };
      }),
    );
}

/**
 * Rules about one import at a time: what is wrong with it, or undefined.
 * @type {((edge: Edge) => string | undefined)[]}
 */
const rules = [
  ({ from, to }) =>
    to === '#native' && roomOf(from) !== 'internal' ? "only lib/internal may use '#native'" : undefined,
  ({ from, to, typeOnly }) =>
    roomOf(from) === 'internal' &&
    ['kvm', 'devices', 'cli', 'bench', 'machine'].includes(roomOf(to)) &&
    !typeOnly
      ? `lib/internal is below lib/${roomOf(to)} and may use its types only`
      : undefined,
  ({ from, to, typeOnly }) =>
    roomOf(from) === 'devices' && roomOf(to) === 'kvm' && !typeOnly
      ? 'lib/devices may use the types of lib/kvm only'
      : undefined,
  ({ from, to }) =>
    roomOf(to) === 'cli' && roomOf(from) !== 'cli' ? 'only lib/cli may use lib/cli' : undefined,
  ({ from, to }) =>
    roomOf(to) === 'bench' && !['cli', 'bench'].includes(roomOf(from))
      ? 'only lib/cli may use lib/bench'
      : undefined,
  ({ from, to }) =>
    to === 'index.ts' && !['cli', 'bench'].includes(roomOf(from)) ? 'index.ts is above lib/' : undefined,
  ({ to }) =>
    to.startsWith('node:') || to.startsWith('lib/') || to === 'index.ts' || to === '#native'
      ? undefined
      : `the package has no runtime dependencies, and its sources stay in lib/: '${to}'`,
];

/**
 * Modules that load each other in a ring. Types are erased, so they may.
 * @param {readonly Edge[]} edges
 * @returns {string[]}
 */
function cyclesIn(edges) {
  /** @type {Map<string, string[]>} */
  const graph = new Map();
  for (const { from, to, typeOnly } of edges) {
    if (!typeOnly) graph.set(from, [...(graph.get(from) ?? []), to]);
  }
  /** @type {Set<string>} */
  const done = new Set();
  /** @type {string[]} */
  const cycles = [];
  /**
   * @param {string} path
   * @param {readonly string[]} trail
   */
  const visit = (path, trail) => {
    const start = trail.indexOf(path);
    if (start >= 0) {
      cycles.push(`${path}: modules load each other: ${[...trail.slice(start), path].join(' → ')}`);
      return;
    }
    if (done.has(path)) return;
    for (const next of graph.get(path) ?? []) visit(next, [...trail, path]);
    done.add(path);
  };
  for (const path of graph.keys()) visit(path, []);
  return cycles;
}

/**
 * The public surface says what is exported and does nothing else.
 * @param {string} root
 * @returns {string[]}
 */
export function checkIndex(root) {
  if (!ourFiles(root).includes('index.ts')) return ['index.ts: is missing'];
  const code = typescriptCode(readText(root, 'index.ts'));
  const reexport = /^export\s+(?:type\s+)?(?:\*(?:\s+as\s+\w+)?|\{[^}]*\})\s+from\s+['"]\.\/lib\/[^'"]+['"]$/;
  const violations = [];
  let offset = 0;
  for (const statement of code.split(';')) {
    const text = statement.trim();
    if (text !== '' && !reexport.test(text)) {
      const line = lineAt(code, offset + statement.indexOf(text));
      violations.push(`index.ts:${line}: only \`export … from './lib/…'\` may stand here`);
    }
    offset += statement.length + 1;
  }
  return violations;
}

/**
 * @param {string} root
 * @returns {string[]} one sentence for each violation, beginning with its place
 */
export function checkImports(root) {
  const edges = edgesOf(root);
  const violations = edges.flatMap((edge) =>
    rules
      .map((rule) => rule(edge))
      .filter((wrong) => wrong !== undefined)
      .map((wrong) => `${edge.from}:${edge.line}: ${wrong}`),
  );
  for (const path of ourFiles(root, 'lib').filter((name) => name.endsWith('.ts'))) {
    if (roomOf(path) === 'internal') continue;
    const code = typescriptCode(readText(root, path));
    const named = /['"][^'"\n]*(?:#native|native\.cjs)['"]/.exec(code);
    if (named && !edges.some((edge) => edge.from === path && edge.to === '#native')) {
      violations.push(`${path}:${lineAt(code, named.index)}: only lib/internal may name the addon`);
    }
  }
  return [...violations, ...cyclesIn(edges)];
}
