/** The TypeScript in the documents and in the comments of the public classes, made into programs. */
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import * as vmhatch from '../../index.ts';

export const root = fileURLToPath(new URL('../../', import.meta.url));

/** One block of code. */
export interface DocExample {
  /** `docs/exits.md:40`: where it begins. */
  readonly place: string;
  readonly code: string;
  /** False for a block after the comment `<!-- not run: why -->`. */
  readonly runs: boolean;
}

const commentFolders = ['lib/kvm', 'lib/devices', 'lib/machine'];
const commentFiles = ['lib/internal/errors.ts', 'lib/internal/structs.ts'];

function filesOf(folder: string, ending: string): string[] {
  const names = readdirSync(join(root, folder)).filter((name) => name.endsWith(ending));
  return names.toSorted().map((name) => join(folder, name));
}

function blocksOf(path: string, text: string): DocExample[] {
  const fences = /(<!-- not run:[^>]*-->\n+)?^```ts\n([\s\S]*?)^```/gm;
  return Array.from(text.matchAll(fences), ([whole, mark, code = ''], index) => {
    const start = text.indexOf(whole, index === 0 ? 0 : undefined);
    const line = text.slice(0, start).split('\n').length;
    return { place: `${path}:${line}`, code, runs: mark === undefined };
  });
}

/** The comments of a source, each line where it was, without stars; code becomes empty lines. */
function commentsOf(source: string): string {
  let inside = false;
  const lines = source.split('\n').map((line) => {
    if (/^\s*\/\*\*/.test(line)) inside = true;
    const text = inside ? line.replace(/^\s*(?:\/\*\*|\*(?!\/)) ?/, '') : '';
    if (/\*\/\s*$/.test(line)) inside = false;
    return text;
  });
  return lines.join('\n');
}

/** All examples. */
export function docExamples(): DocExample[] {
  const documents = ['README.md', ...filesOf('docs', '.md')];
  const sources = [...commentFolders.flatMap((folder) => filesOf(folder, '.ts')), ...commentFiles];
  const read = (path: string): string => readFileSync(join(root, path), 'utf8');
  return [
    ...documents.flatMap((path) => blocksOf(path, read(path))),
    ...sources.flatMap((path) => blocksOf(path, commentsOf(read(path)))),
  ];
}

const importLine = /^import .*;\n/gm;
const value = String.raw`undefined|true|false|0x[\da-f]+n?|\d+n?|'[^']*'|\[[^\]]*\]|\{[^}]*\}|Uint8Array\.of\([\d, ]*\)`;
const claim = new RegExp(
  String.raw`^(\s*(?:if \(.*?\) )?)(?:console\.log\((.+)\)|([a-z][\w.]*(?:\(.*\))?(?:\.\w+)*)); // (${value})(?![\w'])`,
);

/** `region.dirtyPages(); // [2, 3]` says what comes out: so it is checked. */
function withChecks(code: string): string {
  return code
    .split('\n')
    .map((line) => line.replace(claim, '$1expect($2$3, $4); //'))
    .join('\n');
}

/** The module that an example becomes: it exports a function that takes the machine that examples assume. */
function program({ code }: DocExample): string {
  const imports = code.match(importLine) ?? [];
  const body = withChecks(code.replaceAll(importLine, ''));
  const isComplete = imports.some((line) => line.includes("'vmhatch'"));
  const mentions = (name: string): boolean => new RegExp(String.raw`\b${name}\b`).test(body);
  const names = Object.keys(vmhatch).filter((name) => name !== 'Machine' && mentions(name));
  const assumesMachine = mentions('machine') && !/\b(?:const|using) machine\b/.test(body);
  const here = (path: string): string => `'../../${path}'`;
  return [
    ...imports.map((line) => line.replaceAll("'../", "'../../__test__/").trimEnd()),
    isComplete ? '' : `import { ${names.join(', ')} } from ${here('index.ts')};`,
    isComplete
      ? ''
      : `import type { Device, Handlers, Machine, MachineConfig, MachineDevice } from ${here('index.ts')};`,
    "import { randomBytes } from 'node:crypto';",
    "import { setTimeout } from 'node:timers/promises';",
    `import type { ExampleMachine } from ${here('__test__/helpers/doc-machine.ts')};`,
    'export async function example(given: ExampleMachine): Promise<void> {',
    // The vCPU is made when it is looked at, and some things must be there before it.
    `const { kvm, vm, console, process, expect${mentions('vcpu') ? ', vcpu' : ''} } = given;`,
    isComplete ? '' : 'const { Machine } = given;',
    assumesMachine ? 'const machine = await given.makeMachine();' : '',
    `{\n${body}}`,
    '}',
  ].join('\n');
}

/** The examples as files in a folder of the checkout, where the compiler finds the project's settings. */
export class ExampleFolder {
  readonly path: string;

  constructor(examples: readonly DocExample[]) {
    const parent = join(root, '.cache');
    mkdirSync(parent, { recursive: true });
    this.path = mkdtempSync(join(parent, 'doc-examples-'));
    const settings = {
      extends: '../../tsconfig.json',
      compilerOptions: { noUnusedLocals: false, noUnusedParameters: false, rootDir: '../..' },
      include: [],
      files: examples.map((_, index) => `example-${index}.ts`),
    };
    writeFileSync(join(this.path, 'tsconfig.json'), JSON.stringify(settings));
    for (const [index, one] of examples.entries()) writeFileSync(this.fileOf(index), program(one));
  }

  fileOf(index: number): string {
    return join(this.path, `example-${index}.ts`);
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}
