// What is wrong with the tables: methods without a row, rows without a method, members and tests that do not exist.
import { readText } from '../house/source.mjs';
import { camelCase, keyOf } from './row.mjs';
import { offers } from './typescript.mjs';
import { wrongTest } from './tests.mjs';

/** @typedef {import('./crate.mjs').Crate} Crate */
/** @typedef {import('./document.mjs').Tables} Tables */
/** @typedef {import('./typescript.mjs').Package} Package */

/**
 * The capabilities of lib/generated/capabilities.ts.
 * @param {string} source
 * @returns {import('./document.mjs').Capability[]}
 */
export function capabilitiesOf(source) {
  return [...source.matchAll(/^ {2}\/\*\* (.+) \*\/\n {2}(\w+): (\d+),$/gm)].map((match) => ({
    doc: match[1] ?? '',
    name: match[2] ?? '',
    number: Number(match[3]),
  }));
}

/**
 * The kinds of exits of lib/kvm/exits.ts.
 * @param {string} source
 */
export function kindsOf(source) {
  const body = /^export interface ExitMap \{\n([\s\S]*?)^\}/m.exec(source)?.[1] ?? '';
  return [...body.matchAll(/^ {2}(\w+): /gm)].map((match) => match[1] ?? '');
}

/**
 * @param {string} root
 * @param {Tables} tables
 * @param {Crate} crate
 * @param {Package} offered
 * @returns {string[]}
 */
function wrongMethods(root, { sections }, crate, offered) {
  /** @type {string[]} */
  const wrong = [];
  for (const method of crate.methods) {
    const section = sections.find(({ owner }) => owner === method.owner);
    if (section === undefined) wrong.push(`${method.owner}::${method.name}: this type has no table`);
    else if (section.rows[method.name] === undefined) {
      wrong.push(`${section.title}::${method.name} of kvm-ioctls ${crate.version} has no row`);
    }
  }
  for (const { owner, title, type, rows } of sections) {
    for (const [name, row] of Object.entries(rows)) {
      const place = `${title}::${name}`;
      if (!crate.methods.some((method) => method.owner === owner && method.name === name)) {
        wrong.push(`${place}: kvm-ioctls ${crate.version} has no such method`);
      }
      if ('reason' in row) {
        if (row.reason.trim() === '') wrong.push(`${place}: no reason why it is not offered`);
        continue;
      }
      const { ts = `${type}.${camelCase(name)}`, test, words = [keyOf(ts)] } = row;
      if (!offers(offered, ts)) wrong.push(`${place}: there is no ${ts}`);
      wrong.push(...wrongTests(root, place, test, words));
    }
  }
  return wrong;
}

/**
 * @param {string} root
 * @param {string} place
 * @param {string | readonly string[]} tests
 * @param {readonly string[]} words
 * @returns {string[]}
 */
function wrongTests(root, place, tests, words) {
  const list = [tests].flat().filter((test) => test !== '');
  if (list.length === 0) return [`${place}: no test`];
  return list
    .map((test) => wrongTest(root, test, words))
    .filter((what) => what !== undefined)
    .map((what) => `${place}: ${what}`);
}

/**
 * @param {string} root
 * @param {Tables} tables
 * @param {Crate} crate
 * @returns {string[]}
 */
function wrongExits(root, { exits, more }, crate) {
  /** @type {string[]} */
  const wrong = [];
  const kinds = kindsOf(readText(root, 'lib/kvm/exits.ts'));
  for (const variant of crate.exits) {
    if (exits[variant] === undefined)
      wrong.push(`VcpuExit::${variant} of kvm-ioctls ${crate.version} has no row`);
  }
  const named = new Set(Object.keys(more));
  for (const [name, exit] of [...Object.entries(exits), ...Object.entries(more)]) {
    const own = exit.kinds ?? (name in more ? [name] : []);
    for (const kind of own) {
      named.add(kind);
      if (!kinds.includes(kind)) wrong.push(`exit ${name}: there is no kind ${kind}`);
    }
    if (exit.test === undefined && (exit.note ?? '') === '')
      wrong.push(`exit ${name}: neither a test nor a reason`);
    if (exit.test !== undefined) wrong.push(...wrongTests(root, `exit ${name}`, exit.test, own));
    if (name in exits && !crate.exits.includes(name)) {
      wrong.push(`exit ${name}: kvm-ioctls ${crate.version} has no such variant`);
    }
  }
  return [...wrong, ...kinds.filter((kind) => !named.has(kind)).map((kind) => `the exit ${kind} has no row`)];
}

/**
 * Members that the sentences of capabilities name, and capabilities that the crate has and Cap lacks.
 * @param {Tables} tables
 * @param {Crate} crate
 * @param {Package} offered
 * @returns {string[]}
 */
function wrongCapabilities({ capabilities }, crate, offered) {
  const names = new Set(capabilities.map(({ name }) => name));
  const wrong = crate.capabilities
    .filter((name) => !names.has(name))
    .map((name) => `Cap::${name} of kvm-ioctls ${crate.version} is not in lib/generated/capabilities.ts`);
  /** @type {Readonly<Record<string, string>>} */
  const types = { kvm: 'Kvm', vm: 'Vm', vcpu: 'Vcpu', memory: 'GuestMemory' };
  for (const { name, doc } of capabilities) {
    for (const [call, variable = '', key = ''] of doc.matchAll(/`(?:vm\.)?(kvm|vm|vcpu|memory)\.(\w+)\(/g)) {
      if (!offers(offered, `${types[variable] ?? ''}.${key}`)) {
        wrong.push(`Cap.${name}: its sentence names ${call.slice(1)}), which does not exist`);
      }
    }
  }
  return wrong;
}

/**
 * @param {string} root
 * @param {Tables} tables
 * @param {Crate} crate
 * @param {Package} offered
 * @returns {string[]} one sentence for each
 */
export function checkTables(root, tables, crate, offered) {
  const { beyond, capabilities } = tables;
  const wrong = [
    ...wrongMethods(root, tables, crate, offered),
    ...wrongExits(root, tables, crate),
    ...wrongCapabilities(tables, crate, offered),
  ];
  for (const { what, ts, capability, test, words } of beyond) {
    for (const name of ts) if (!offers(offered, name)) wrong.push(`${what}: there is no ${name}`);
    if (capability !== undefined && !capabilities.some(({ name }) => name === capability)) {
      wrong.push(`${what}: there is no Cap.${capability}`);
    }
    wrong.push(...wrongTests(root, what, test, words ?? [keyOf(ts[0] ?? '')]));
  }
  return wrong;
}
