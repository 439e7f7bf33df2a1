/** `Cap` has every capability of the bindings of both architectures, each with what it means. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import test from 'ava';

import { Cap } from '../../lib/generated/capabilities.ts';
import { capabilitiesOf } from '../../scripts/kvm-api/check.mjs';
import { root } from '../../scripts/shared/paths.mjs';

interface Metadata {
  packages: { name: string; manifest_path: string }[];
}

/** The constants of the kernel's header that the bindings of an architecture have. */
function constants(architecture: string): Map<string, number> {
  const options = { cwd: root, encoding: 'utf8', maxBuffer: 2 ** 28 } as const;
  const text = execFileSync('cargo', ['metadata', '--format-version', '1', '--locked'], options);
  const bindings = (JSON.parse(text) as Metadata).packages.find(({ name }) => name === 'kvm-bindings')!;
  const source = readFileSync(
    join(dirname(bindings.manifest_path), 'src', architecture, 'bindings.rs'),
    'utf8',
  );
  const found = source.matchAll(/^pub const (KVM_CAP_\w+): u32 = (\d+);/gm);
  return new Map(Array.from(found, ([, name = '', value]) => [name, Number(value)]));
}

const documented = capabilitiesOf(readFileSync(join(root, 'lib/generated/capabilities.ts'), 'utf8'));
const byKernelName = new Map(
  documented.map((capability) => [/`(KVM_CAP_\w+)`\.$/.exec(capability.doc)?.[1], capability]),
);

for (const architecture of ['x86_64', 'arm64']) {
  test(`every capability of the bindings for ${architecture} has a name, its number and a sentence`, (t) => {
    const wanted = constants(architecture);
    t.true(wanted.size > 220);
    for (const [kernel, number] of wanted) {
      const found = byKernelName.get(kernel);
      t.is(found?.number, number, kernel);
      t.is(Cap[found?.name as keyof typeof Cap], number as never, kernel);
    }
  });
}

test('sentences say where a capability means something', (t) => {
  const where = (name: keyof typeof Cap): string | undefined => {
    const doc = documented.find((capability) => capability.name === name)?.doc ?? '';
    return /\. ([\w-]+) only\. `/.exec(doc)?.[1];
  };
  t.is(where('ArmSve'), 'aarch64');
  t.is(where('X86Smm'), 'x86_64');
  t.is(where('Mce'), 'x86_64');
  t.is(where('S390Psw'), 's390x');
  t.is(where('PpcPapr'), 'PowerPC');
  t.is(where('MipsFpu'), 'MIPS');
  t.is(where('VmGpaBits'), 'RISC-V');
  t.is(where('Irqchip'), undefined);
  t.is(where('DeviceCtrl'), undefined);
  t.is(documented.length, Object.keys(Cap).length);
});
