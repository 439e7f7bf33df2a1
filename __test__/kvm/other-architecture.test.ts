import test from 'ava';

import { Kvm, KvmError, Vcpu, Vm } from '../../index.ts';
import { VcpuArm64 } from '../../lib/kvm/vcpu-arm64.ts';
import { VcpuX86 } from '../../lib/kvm/vcpu-x86.ts';
import { VmArm64 } from '../../lib/kvm/vm-arm64.ts';
import { VmX86 } from '../../lib/kvm/vm-x86.ts';
import { openKvm } from '../helpers/machine.ts';

const NAMES: Readonly<Record<string, string>> = { x64: 'x86_64', arm64: 'aarch64' };
const here = process.arch;
const other = here === 'x64' ? 'arm64' : 'x64';

/** One member of a class, and the classes that it is made of. */
interface Member {
  name: string;
  /** The class that has it. */
  owner: object;
  /** Its getter or its method. */
  code: (...args: unknown[]) => unknown;
}

function membersOf(type: { prototype: object }): Member[] {
  const members: Member[] = [];
  for (
    let owner: object = type.prototype;
    owner !== Object.prototype;
    owner = Object.getPrototypeOf(owner) as object
  ) {
    for (const [name, { get, value }] of Object.entries(Object.getOwnPropertyDescriptors(owner))) {
      const code = (get ?? value) as Member['code'] | undefined;
      if (typeof code === 'function' && name !== 'constructor') members.push({ name, owner, code });
    }
  }
  return members;
}

/** The architecture that a member says it belongs to, in its first statement. */
function architectureOf({ code }: Member): string | undefined {
  return /^[^{]*\{\s*only\(['"](x64|arm64)['"]/.exec(code.toString())?.[1];
}

const CLASSES = { Kvm, Vm, Vcpu };

function objects(t: Parameters<typeof openKvm>[0]): Record<keyof typeof CLASSES, object> {
  const kvm = openKvm(t);
  const vm = kvm.createVm();
  t.teardown(() => vm.close());
  return { Kvm: kvm, Vm: vm, Vcpu: vm.createVcpu() };
}

for (const name of ['Kvm', 'Vm', 'Vcpu'] as const) {
  const foreign = membersOf(CLASSES[name]).filter((member) => architectureOf(member) === other);

  test(`${name}: what only ${NAMES[other]} has says so, whatever it is called with`, (t) => {
    t.true(foreign.length >= 3, `${foreign.length} members`);
    const receiver = objects(t)[name];
    for (const { name: member, code } of foreign) {
      for (const args of [[], [0, 0, 0], [{}, {}]]) {
        t.throws(
          () => code.apply(receiver, args),
          {
            instanceOf: KvmError,
            code: 'ERR_KVM_UNSUPPORTED',
            message: new RegExp(`exists on ${NAMES[other]} only; this host is ${NAMES[here]}`),
          },
          `${name}.${member}(${args.length})`,
        );
      }
    }
  });

  test(`${name}: after that it is as it was`, (t) => {
    const receiver = objects(t)[name];
    for (const { code } of foreign) t.throws(() => code.call(receiver));
    t.false((receiver as Kvm).closed);
    t.notThrows(() => (receiver as Kvm).close());
  });
}

test('every member of the parts of one architecture says which one', (t) => {
  const parts: [{ prototype: object }, { prototype: object }, string][] = [
    [Vcpu, VcpuX86, 'x64'],
    [Vcpu, VcpuArm64, 'arm64'],
    [Vm, VmX86, 'x64'],
    [Vm, VmArm64, 'arm64'],
  ];
  for (const [whole, part, architecture] of parts) {
    const own = membersOf(whole).filter(({ owner }) => owner === part.prototype);
    t.true(own.length > 0);
    for (const member of own) t.is(architectureOf(member), architecture, member.name);
  }
});
