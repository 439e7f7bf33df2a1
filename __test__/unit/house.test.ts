// The house rules catch what they are there for: each test plants one violation in a project made for it.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { checkLengths, checkTestNames, checkTexts } from '../../scripts/house/files.mjs';
import { checkImports, checkIndex } from '../../scripts/house/imports.mjs';
import { checkLinks } from '../../scripts/house/links.mjs';
import { checkDependencies, checkUnsafe } from '../../scripts/house/rust.mjs';
import { importsOf, rustCode } from '../../scripts/house/source.mjs';

/** A project with these files, gone when the test is over. */
function project(t: ExecutionContext, files: Record<string, string>): string {
  const root = mkdtempSync(join(tmpdir(), 'vmhatch-house-'));
  t.teardown(() => rmSync(root, { recursive: true }));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return root;
}

const sound = {
  'index.ts':
    "// The public surface.\nexport { Kvm } from './lib/kvm/kvm.ts';\nexport type * from './lib/kvm/exits.ts';\n",
  'lib/kvm/kvm.ts':
    "import { native } from '../internal/native.ts';\nimport type { Vm } from './vm.ts';\nexport class Kvm {}\n",
  'lib/kvm/vm.ts':
    "import { Kvm } from './kvm.ts';\n/** `import { a } from '#native'` in a comment is no import. */\nexport class Vm {}\n",
  'lib/internal/native.ts':
    "import { createRequire } from 'node:module';\nimport type * as Addon from '#native';\n",
  'lib/cli/main.ts': "import { bench } from '../bench/bench.ts';\nimport { Kvm } from '../../index.ts';\n",
};

test('a sound project has no violations', (t) => {
  const root = project(t, sound);
  t.deepEqual(checkIndex(root), []);
  t.deepEqual(checkImports(root), []);
});

test('imports are found in every form, and types are told apart', (t) => {
  const source = `
    import a, { b } from './a.ts';
    import type { C } from './c.ts';
    import { type D } from './d.ts';
    import './e.ts';
    export * from "./f.ts";
    export type { G } from './g.ts';
    const h = await import('./h.ts');
    const text = \`import i from './i.ts'\`; // import j from './j.ts'
    import type from './k.ts';
  `;
  t.deepEqual(
    importsOf(source).map(({ specifier, typeOnly }) => `${specifier}${typeOnly ? ' (type)' : ''}`),
    ['./a.ts', './c.ts (type)', './d.ts', './e.ts', './f.ts', './g.ts (type)', './k.ts', './h.ts'],
  );
});

const planted: readonly [string, Record<string, string>, RegExp][] = [
  [
    'the addon used outside lib/internal',
    { 'lib/kvm/kvm.ts': "import { Addon } from '#native';" },
    /kvm\.ts:1: .*'#native'/,
  ],
  [
    'the addon required by name',
    { 'lib/kvm/kvm.ts': "require2('../../native.cjs');" },
    /kvm\.ts:1: .*name the addon/,
  ],
  [
    'a ring of modules',
    { 'lib/kvm/kvm.ts': "\nimport './vm.ts';" },
    /load each other: lib\/kvm\/kvm\.ts → lib\/kvm\/vm\.ts → lib\/kvm\/kvm\.ts/,
  ],
  [
    'lib/internal reaching up',
    { 'lib/internal/up.ts': "import { Kvm } from '../kvm/kvm.ts';" },
    /up\.ts:1: lib\/internal is below/,
  ],
  [
    'a device that loads lib/kvm',
    { 'lib/devices/serial.ts': "import { Kvm } from '../kvm/kvm.ts';" },
    /serial\.ts:1: .*types of lib\/kvm/,
  ],
  [
    'the library using the command line',
    { 'lib/kvm/x.ts': "import { main } from '../cli/main.ts';" },
    /x\.ts:1: only lib\/cli/,
  ],
  [
    'the library using the bench',
    { 'lib/kvm/x.ts': "import { main } from '../bench/bench.ts';" },
    /x\.ts:1: only lib\/cli/,
  ],
  [
    'the library using its own surface',
    { 'lib/kvm/x.ts': "import { Kvm } from '../../index.ts';" },
    /x\.ts:1: index\.ts is above/,
  ],
  [
    'a runtime dependency',
    { 'lib/kvm/x.ts': "import chalk from 'chalk';" },
    /x\.ts:1: .*no runtime dependencies.*'chalk'/,
  ],
  [
    'a source outside lib/',
    { 'lib/kvm/x.ts': "import x from '../../scripts/x.mjs';" },
    /x\.ts:1: .*scripts\/x\.mjs/,
  ],
];
for (const [name, files, expected] of planted) {
  test(`caught: ${name}`, (t) => {
    const violations = checkImports(project(t, { ...sound, ...files }));
    t.is(violations.length, 1, violations.join('\n'));
    t.regex(violations[0]!, expected);
  });
}

test('caught: index.ts does something', (t) => {
  const root = project(t, { 'index.ts': `${sound['index.ts']}\nexport const version = '1';\n` });
  t.deepEqual(checkIndex(root), ["index.ts:5: only `export … from './lib/…'` may stand here"]);
});

test('caught: unsafe code outside its files, and a list that is out of date', (t) => {
  const root = project(t, {
    'crates/devices/src/lib.rs': '//! Pure.\n',
    'crates/vmm/src/memory.rs': '// SAFETY: …\nunsafe { go() }\n',
    'crates/vmm/src/vm.rs': '// nothing unsafe here\nconst A: &str = "unsafe";\n',
    'crates/vmm/src/new.rs': "fn f<'a>() {}\n\nunsafe impl Send for X {}\n",
  });
  const allowed = {
    'crates/vmm/src/memory.rs': 'mappings',
    'crates/vmm/src/vm.rs': 'x',
    'crates/vmm/src/gone.rs': 'x',
  };
  const violations = checkUnsafe(root, allowed);
  t.is(violations.length, 4, violations.join('\n'));
  t.regex(violations[0]!, /new\.rs:3: `unsafe` stands outside/);
  t.regex(violations[1]!, /vm\.rs: holds no `unsafe`/);
  t.regex(violations[2]!, /gone\.rs: .*does not exist/);
  t.regex(violations[3]!, /devices\/src\/lib\.rs: #!\[forbid\(unsafe_code\)\]/);
});

test('Rust code is read without its comments and literals', (t) => {
  const code = rustCode(
    `let q = '"'; let s = r#"unsafe " "#; /* unsafe */ let c = '\\u{41}'; fn f<'a>(x: &'a str) {} // unsafe`,
  );
  t.false(code.includes('unsafe'));
  t.true(code.includes("fn f<'a>(x: &'a str) {}"));
});

test('caught: a crate that depends on what lies above it', (t) => {
  const tree = 'vmhatch-vmm v0.1.0\nkvm-ioctls v0.25.1\nvmhatch-devices v0.1.0\nnapi-sys v3.1.0\n';
  t.deepEqual(checkDependencies('vmhatch-vmm', tree), ['vmhatch-vmm: must not depend on napi-sys']);
  t.deepEqual(checkDependencies('vmhatch-devices', 'vmhatch-devices v0.1.0\nthiserror v2.0.0\n'), []);
  t.is(checkDependencies('vmhatch-devices', tree).length, 3);
});

test('caught: a long file', (t) => {
  const root = project(t, {
    'lib/a.ts': 'a;\n'.repeat(500),
    'lib/b.ts': 'b;\n'.repeat(501),
    'docs/c.md': 'c\n'.repeat(900),
  });
  t.deepEqual(checkLengths(root), ['lib/b.ts: 501 lines; at most 500']);
});

test('caught: what no file may hold', (t) => {
  // Written in two halves, or this file would be caught itself.
  const word = (...halves: string[]) => halves.join('');
  const root = project(t, {
    'lib/a.ts': `// ${word('TO', 'DO')}: later\n`,
    'crates/vmm/src/a.rs': `fn f() {\n  ${word('to', 'do')}!()\n}\n`,
    '__test__/unit/a.test.ts': `test.${word('on', 'ly')}('a', () => {});\n`,
    'package-lock.json': '{ "resolved": "https://registry.example/a.tgz" }\n',
    '.npmrc': 'registry=https://registry.example/\n',
    'Cargo.lock': 'source = "registry+https://mirror.example/index"\n',
    'docs/a.md': `cd ${word('/ho', 'me')}/someone/src\n`,
    'docs/fine.md': 'https://example.org/home/x and ~/.cache\n',
  });
  t.deepEqual(
    checkTexts(root).map((violation) => violation.split(':')[0]),
    [
      '.npmrc',
      'Cargo.lock',
      '__test__/unit/a.test.ts',
      'crates/vmm/src/a.rs',
      'docs/a.md',
      'lib/a.ts',
      'package-lock.json',
    ],
  );
});

test('caught: a test that no runner finds', (t) => {
  const root = project(t, {
    '__test__/unit/a.test.ts': '',
    '__test__/types/a.test-d.ts': '',
    '__test__/helpers/kvm.ts': '',
    '__test__/unit/b.test.mts': '',
    '__test__/nowhere/c.test.ts': '',
  });
  t.deepEqual(
    checkTestNames(root).map((violation) => violation.split(':')[0]),
    ['__test__/nowhere/c.test.ts', '__test__/unit/b.test.mts'],
  );
});

test('caught: links that lead nowhere', (t) => {
  const root = project(t, {
    'README.md':
      '# A `b` title!\n[good](docs/a.md#first-heading) [here](#a-b-title) [web](https://example.org)\n' +
      '[bad](docs/gone.md) [anchor](docs/a.md#second)\n<img src="docs/gone.svg">\n`[code](x.md)`\n',
    'docs/a.md': '## First heading\n[up](../README.md)\n',
  });
  t.deepEqual(checkLinks(root), [
    'README.md:3: docs/gone.md leads nowhere',
    'README.md:3: docs/a.md has no heading #second',
    'README.md:4: docs/gone.svg leads nowhere',
  ]);
});
