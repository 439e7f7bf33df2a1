/** docs/kvm-api.md: what is read from the crate and from our sources, and what its check finds. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import test, { type ExecutionContext } from 'ava';

import { capabilitiesOf, checkTables, kindsOf } from '../../scripts/kvm-api/check.mjs';
import { findCrate, holds, methodsOf, readCrate, variantsOf } from '../../scripts/kvm-api/crate.mjs';
import { documentOf, table } from '../../scripts/kvm-api/document.mjs';
import { camelCase, keyOf } from '../../scripts/kvm-api/row.mjs';
import { readTables } from '../../scripts/kvm-api/tables.mjs';
import { titlesOf, wrongTest } from '../../scripts/kvm-api/tests.mjs';
import { classesOf, exportsOf, offers, readPackage } from '../../scripts/kvm-api/typescript.mjs';
import { root } from '../../scripts/shared/paths.mjs';

const RUST = `
#[cfg(target_arch = "x86_64")]
use other::thing;

/// A function. { "unbalanced
pub fn reg_size(id: u64) -> usize {
    1
}

pub struct VmFd {}

impl VmFd {
    /// On both. #[cfg(target_arch = "riscv64")]
    pub fn get_clock(&self) -> Result<u64> {
        // KVM_IN_A_COMMENT()
        ioctl_with_mut_ref(self, KVM_GET_CLOCK(), &mut 0)
    }

    #[cfg(target_arch = "x86_64")]
    fn hidden(&self, nr: c_ulong) -> Result<Vec<u8>> {
        if nr == 1 { ioctl(self, KVM_HIDDEN()) } else { Ok(vec![]) }
    }

    #[cfg(target_arch = "x86_64")]
    pub fn through(&self) -> Result<Vec<u8>> {
        self.hidden(1)
    }

    #[cfg(any(
        target_arch = "aarch64",
        target_arch = "riscv64"
    ))]
    pub unsafe fn on_arm<F: Fn(u32)>(
        &self,
        with: F,
    ) -> Result<()> {
        with(KVM_ON_ARM())
    }

    #[cfg(not(target_arch = "aarch64"))]
    pub fn twice(&self) {}
    #[cfg(target_arch = "aarch64")]
    pub fn twice(&self) {}

    pub(crate) fn not_public(&self) {}
}

impl Drop for VmFd {
    fn drop(&mut self) {}
}

impl Private {
    pub fn unseen(&self) {}
}

pub fn new_vmfd() {}

pub enum VcpuExit<'a> {
    IoOut(u16 /* port */, &'a [u8]),
    #[cfg(target_arch = "x86_64")]
    Hlt,
    MemoryFault {
        /// Flags
        flags: u64,
    },
}

#[cfg(test)]
mod tests {
    impl VmFd {
        pub fn tested(&self) {}
    }
}
`;

test('methods are read with their architectures and the ioctls that they make', (t) => {
  const both = ['x86_64', 'aarch64'];
  t.deepEqual(methodsOf(RUST, ['VmFd', 'VcpuExit', 'reg_size']), [
    { owner: 'VmFd', name: 'get_clock', on: both, ioctls: ['KVM_GET_CLOCK'] },
    { owner: 'VmFd', name: 'through', on: ['x86_64'], ioctls: ['KVM_HIDDEN'] },
    { owner: 'VmFd', name: 'on_arm', on: ['aarch64'], ioctls: ['KVM_ON_ARM'] },
    { owner: 'VmFd', name: 'twice', on: both, ioctls: [] },
    { owner: '', name: 'reg_size', on: both, ioctls: [] },
  ]);
  t.deepEqual(variantsOf(RUST, 'VcpuExit'), ['IoOut', 'Hlt', 'MemoryFault']);
  t.throws(() => variantsOf(RUST, 'Nothing'), { message: /no enum Nothing/ });
});

test('conditions are understood, or refused', (t) => {
  t.true(
    holds('any(target_arch = "x86_64", all(target_arch = "x86_64", not(target_arch = "aarch64")))', 'x86_64'),
  );
  t.false(holds('all(target_arch = "x86_64", not(target_arch = "x86_64"))', 'x86_64'));
  t.true(holds('not(target_arch = "x86_64")', 'aarch64'));
  t.throws(() => holds('feature = "serde"', 'x86_64'), { message: /not understood/ });
});

test('the locked crate has what we know that it has', (t) => {
  const { folder, version } = findCrate();
  const crate = readCrate(folder, version);
  const find = (owner: string, name: string): unknown =>
    crate.methods.find((method) => method.owner === owner && method.name === name);
  t.deepEqual(find('VcpuFd', 'run'), {
    owner: 'VcpuFd',
    name: 'run',
    on: ['x86_64', 'aarch64'],
    ioctls: ['KVM_RUN'],
  });
  t.deepEqual(find('VcpuFd', 'vcpu_init'), {
    owner: 'VcpuFd',
    name: 'vcpu_init',
    on: ['aarch64'],
    ioctls: ['KVM_ARM_VCPU_INIT'],
  });
  t.like(find('VcpuFd', 'get_xsave2'), { on: ['x86_64'], ioctls: ['KVM_GET_XSAVE2'] });
  t.like(find('Kvm', 'check_extension'), { ioctls: ['KVM_CHECK_EXTENSION'] });
  t.truthy(find('', 'reg_size'));
  t.true(crate.methods.length >= 120);
  t.true(crate.exits.length >= 34 && crate.exits.includes('MemoryFault'));
  t.true(crate.capabilities.length >= 129 && crate.capabilities.includes('Irqchip'));
});

test('members are read from classes, without comments, private fields and what is internal', (t) => {
  const classes = classesOf(`
export abstract class Base {
  /** A comment:
   * fake(): void {} */
  inherited(): void {
    called(1);
    const x = { notAMember: 1 };
  }
}

export class Child<T extends object> extends Base implements Disposable {
  readonly #hidden = 1;
  static from(): Child {
    return new Child();
  }
  readonly id: number;
  get state(): string {
    return '';
  }
  async later<K>(
    key: K,
  ): Promise<void> {}
  *walk(): Generator<number> {}
  /** @internal */
  inner(): void {}
}
`);
  t.deepEqual([...(classes.get('Base')?.members ?? [])], ['inherited']);
  t.is(classes.get('Child')?.base, 'Base');
  t.deepEqual([...(classes.get('Child')?.members ?? [])], ['from', 'id', 'state', 'later', 'walk']);
  t.deepEqual(
    [...exportsOf("export { A, type B as C } from './a.ts';\nexport type {\n  D,\n} from './d.ts';")],
    ['A', 'C', 'D'],
  );
});

test('what the package offers is found, and what it does not is not', (t) => {
  const offered = readPackage(root);
  for (const name of [
    'Kvm.createVm',
    'Kvm.createVm({ type })',
    'new Kvm({ path })',
    'Vcpu.getRegs',
    'msrName',
    'Msr',
  ]) {
    t.true(offers(offered, name), name);
  }
  for (const name of [
    'Kvm.createMv',
    'new Vn',
    'Nothing.close',
    'msrNames',
    'Vcpu.constructor',
    'VcpuX86.getRegs',
  ]) {
    t.false(offers(offered, name), name);
  }
});

test('titles of tests are found as they are written', (t) => {
  const source = `
test('plain, it isn\\'t hard', (t) => {});
test.serial("double", async (t) => {});
test(
  \`with \${name}\`,
  (t) => {},
);
x64('of a kind', (t) => {});
contest('no test', 1);
t.is(latest('nor this'), 1);
t.throws('nor that', () => t);
`;
  t.deepEqual(titlesOf(source), ["plain, it isn't hard", 'double', 'with ${name}', 'of a kind']);
});

/** A project with these files, gone when the test is over. */
function project(t: ExecutionContext, files: Record<string, string>): string {
  const folder = mkdtempSync(join(tmpdir(), 'vmhatch-kvm-api-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  return folder;
}

const FILES = {
  'index.ts': "export { Vm } from './lib/vm.ts';\n",
  'lib/vm.ts': 'export class Vm {\n  getClock(): void {}\n}\n',
  'lib/kvm/exits.ts': 'export interface ExitMap {\n  /** … */\n  hlt: HltExit;\n  notify: NotifyExit;\n}\n',
  '__test__/kvm/vm.test.ts': "test('the clock', (t) => {\n  vm.getClock();\n  hlt();\n});\n",
  'crates/vmm/tests/x.rs': '#[test]\nfn notify_is_notified() {}\n',
};

const CRATE = {
  version: '9.9.9',
  methods: [
    { owner: 'VmFd', name: 'get_clock', on: ['x86_64'] as const, ioctls: ['KVM_GET_CLOCK'] },
    { owner: 'VmFd', name: 'get_magic', on: ['x86_64', 'aarch64'] as const, ioctls: [] },
  ],
  exits: ['Hlt'],
  capabilities: ['Irqchip'],
};

const TABLES = {
  sections: [
    {
      owner: 'VmFd',
      title: 'VmFd',
      type: 'Vm',
      rows: {
        get_clock: { test: 'kvm/vm.test.ts › the clock' },
        get_magic: { reason: 'there is no magic: use `Vm.getClock`' },
      },
    },
  ],
  exits: { Hlt: { kinds: ['hlt'], test: 'kvm/vm.test.ts › the clock' } },
  more: { notify: { test: 'crates/vmm/tests/x.rs › notify_is_notified' } },
  beyond: [
    {
      what: 'the clock once more',
      ts: ['Vm.getClock'],
      ioctl: 'KVM_GET_CLOCK',
      capability: 'Irqchip',
      on: ['x86_64'] as const,
      test: 'kvm/vm.test.ts › the clock',
    },
  ],
  capabilities: [{ name: 'Irqchip', number: 0, doc: 'One can be made: `vm.getClock()`. `KVM_CAP_IRQCHIP`.' }],
};

type Tables = Parameters<typeof checkTables>[1];
type Crate = Parameters<typeof checkTables>[2];

function check(t: ExecutionContext, tables: Partial<Tables> = {}, crate: Partial<Crate> = {}): string[] {
  const folder = project(t, FILES);
  return checkTables(folder, { ...TABLES, ...tables }, { ...CRATE, ...crate }, readPackage(folder));
}

test('sound tables have nothing wrong', (t) => {
  t.deepEqual(check(t), []);
});

test('a newer crate with one more method, exit or capability fails', (t) => {
  const more = { owner: 'VmFd', name: 'get_more', on: ['x86_64'] as const, ioctls: [] };
  t.deepEqual(check(t, {}, { methods: [...CRATE.methods, more] }), [
    'VmFd::get_more of kvm-ioctls 9.9.9 has no row',
  ]);
  t.deepEqual(check(t, {}, { methods: [...CRATE.methods, { ...more, owner: 'GicFd' }] }), [
    'GicFd::get_more: this type has no table',
  ]);
  t.deepEqual(check(t, {}, { exits: ['Hlt', 'Newest'] }), [
    'VcpuExit::Newest of kvm-ioctls 9.9.9 has no row',
  ]);
  t.deepEqual(check(t, {}, { capabilities: ['Irqchip', 'Newest'] }), [
    'Cap::Newest of kvm-ioctls 9.9.9 is not in lib/generated/capabilities.ts',
  ]);
});

test('rows of what the crate no longer has fail', (t) => {
  t.deepEqual(check(t, {}, { methods: CRATE.methods.slice(0, 1) }), [
    'VmFd::get_magic: kvm-ioctls 9.9.9 has no such method',
  ]);
  t.deepEqual(check(t, {}, { exits: [] }), ['exit Hlt: kvm-ioctls 9.9.9 has no such variant']);
});

test('members, tests and reasons that do not exist fail', (t) => {
  const [section] = TABLES.sections;
  const withRow = (row: object): string[] =>
    check(t, { sections: [{ ...section!, rows: { ...section!.rows, get_clock: row as never } }] });
  t.deepEqual(withRow({ test: '' }), ['VmFd::get_clock: no test']);
  t.deepEqual(withRow({ reason: ' ' }), ['VmFd::get_clock: no reason why it is not offered']);
  t.deepEqual(withRow({ ts: 'Vm.clock', words: [], test: 'kvm/vm.test.ts › the clock' }), [
    'VmFd::get_clock: there is no Vm.clock',
  ]);
  t.deepEqual(withRow({ test: 'kvm/vm.test.ts › a clock' }), [
    "VmFd::get_clock: __test__/kvm/vm.test.ts has no test 'a clock'",
  ]);
  t.deepEqual(withRow({ test: 'kvm/no.test.ts › the clock' }), [
    'VmFd::get_clock: __test__/kvm/no.test.ts does not exist',
  ]);
  t.deepEqual(withRow({ words: ['setClock'], test: 'kvm/vm.test.ts › the clock' }), [
    'VmFd::get_clock: __test__/kvm/vm.test.ts does not mention setClock',
  ]);
});

test('kinds of exits without a row fail, and so do rows without a kind', (t) => {
  t.deepEqual(check(t, { more: {} }), ['the exit notify has no row']);
  t.deepEqual(check(t, { exits: { Hlt: { kinds: ['halt'], note: 'why' } } }), [
    'exit Hlt: there is no kind halt',
    'the exit hlt has no row',
  ]);
  t.deepEqual(check(t, { exits: { Hlt: { kinds: ['hlt'] } } }), ['exit Hlt: neither a test nor a reason']);
});

test('sentences of capabilities and rows beyond the crate name what exists', (t) => {
  const doc = 'One can be made: `vm.makeOne()`. `KVM_CAP_IRQCHIP`.';
  t.deepEqual(check(t, { capabilities: [{ name: 'Irqchip', number: 0, doc }] }), [
    'Cap.Irqchip: its sentence names vm.makeOne(), which does not exist',
  ]);
  const [row] = TABLES.beyond;
  t.deepEqual(
    check(t, { beyond: [{ ...row!, ts: ['Vm.setClock'], capability: 'None', words: ['Clock'] }] }),
    [
      'the clock once more: there is no Vm.setClock',
      'the clock once more: there is no Cap.None',
      'the clock once more: __test__/kvm/vm.test.ts does not mention Clock',
    ],
  );
});

test('a test in Rust is found by its function', (t) => {
  const folder = project(t, FILES);
  t.is(wrongTest(folder, 'crates/vmm/tests/x.rs › notify_is_notified', ['notify']), undefined);
  t.is(wrongTest(folder, 'crates/vmm/tests/x.rs › other', []), "crates/vmm/tests/x.rs has no test 'other'");
});

test('the document has a row for each method, and tables as prettier has them', (t) => {
  t.is(
    table(['a', 'long head'], [['x|y', 'z']]),
    '| a    | long head |\n| ---- | --------- |\n| x\\|y | z         |',
  );
  const text = documentOf(TABLES, CRATE);
  t.regex(text, /^\| `get_clock` +\| `Vm\.getClock` +\| `KVM_GET_CLOCK` +\| x86_64 +\| \[vm\.test\.ts\]\(/m);
  t.regex(text, /^\| `get_magic` +\| — +\| — +\| all +\| not offered: there is no magic/m);
  t.regex(text, /^\| `Hlt` +\| `hlt` +\| \[vm\.test\.ts\]/m);
  t.regex(
    text,
    /^\| `notify` +\| `notify` +\| \[x\.rs\]\(\.\.\/crates\/vmm\/tests\/x\.rs\) › notify_is_notified/m,
  );
  t.regex(text, /^\| `Irqchip` +\| 0 +\| yes +\|/m);
});

test('names are those of the crate in camelCase', (t) => {
  t.is(camelCase('get_msr_feature_index_list'), 'getMsrFeatureIndexList');
  t.is(camelCase('run'), 'run');
  t.deepEqual(['Vm.createVcpu', 'new Kvm({ path })', 'msrName'].map(keyOf), ['createVcpu', 'Kvm', 'msrName']);
  t.deepEqual(kindsOf(FILES['lib/kvm/exits.ts']), ['hlt', 'notify']);
  t.deepEqual(capabilitiesOf('  /** A thing. `KVM_CAP_X`. */\n  X: 7,\n'), [
    { name: 'X', number: 7, doc: 'A thing. `KVM_CAP_X`.' },
  ]);
});

test('each capability has its own name and sentence', (t) => {
  const { capabilities } = readTables(root);
  t.true(capabilities.length >= 234);
  for (const { name, doc } of capabilities) t.regex(doc, /^.{20,}\. `KVM_CAP_\w+`\.$/, name);
});
