/** Every public member of every exported class, with arguments of every sort. */
import test from 'ava';
import * as fc from 'fast-check';
import { arm64Vcpu, arm64Vm } from './fuzz/arguments-arm64.ts';
import { anyCall, make, meantCall, succeeded, unknownMembers } from './fuzz/call.ts';
import { rounds } from './fuzz/rounds.ts';
import { SEED, share } from './fuzz/settings.ts';
import { members } from './fuzz/surface.ts';
import { World, canary } from './fuzz/world.ts';

const CALLS_A_WORLD = 64;

/** What only aarch64 has, and registers by id, which few x86_64 hosts have. */
const ofArm64: ReadonlySet<string> = new Set([
  'Kvm.getHostIpaLimit',
  'Kvm.getGuestDebugHwBps',
  'Kvm.getGuestDebugHwWps',
  'get Vcpu.armRegs',
  ...Object.keys(arm64Vm).map((key) => `Vm.${key}`),
  ...Object.keys(arm64Vcpu).map((key) => `Vcpu.${key}`),
]);

/** Only the package makes these; and what needs hardware that not every host has. */
function neverSucceeds(name: string): boolean {
  if (process.arch !== 'arm64' && ofArm64.has(name)) return true;
  const makers = [
    'Vm',
    'Vcpu',
    'GuestMemory',
    'MemoryRegion',
    'Bus',
    'Attachment',
    'KickHandle',
    'KvmDevice',
    'GuestMemfd',
    'InterruptLine',
    'RustDevice',
    'BinaryStats',
  ];
  const hardware = [
    'Vcpu.smi',
    'Vcpu.preFaultMemory',
    'Kvm.getSupportedHvCpuid',
    'Vcpu.enableCap',
    'Vcpu.kvmclockCtrl',
    'Vcpu.getNestedState',
    'Vcpu.setNestedState',
    'Vm.encryptOp',
    'Vm.encryptOpSev',
    'Vm.registerEncMemoryRegion',
    'Vm.unregisterEncMemoryRegion',
    'Vm.setMemoryAttributes',
    'Vm.setXenHypercallExits',
    'KvmDevice.setDeviceAttr',
    'KvmDevice.getDeviceAttr',
  ];
  const made = makers.some((maker) => name === `new ${maker}`) || name === 'static Vm.adopt';
  return made || hardware.includes(name) || name.includes('GuestMemfd') || name.startsWith('KvmDevice.');
}

/** Interrupt controllers take long to make and to take down. */
const irqChip = fc.nat(3).map((number) => number === 3);

test('the generators know every public member', (t) => {
  t.true(members.length > 100, `only ${members.length} members were found`);
  t.deepEqual(unknownMembers, [], 'say in __test__/stress/fuzz/arguments.ts what these take');
});

test('every call succeeds or throws a typed error, and the process goes on', async (t) => {
  t.timeout(86_400_000);
  const made = await rounds(t, share(0.88), async (count, parameters) => {
    const property = fc.asyncProperty(
      fc.array(anyCall, { minLength: 1, maxLength: CALLS_A_WORLD, size: 'max' }),
      irqChip,
      async (calls, hasIrqChip) => {
        const world = new World(hasIrqChip);
        try {
          for (const call of calls) await make(call, world);
          world.check();
        } finally {
          world.close();
        }
        count(calls.length);
      },
    );
    await fc.assert(property, parameters);
    canary();
  });
  t.true(made >= share(0.88));
  // Fewer calls say little about what can succeed.
  if (made < 80_000) return;
  // Little succeeds in a world that another call has closed: who had no luck gets fresh ones.
  for (const member of members.filter(({ name }) => !succeeded.has(name) && !neverSucceeds(name))) {
    const calls = fc.sample(meantCall(member), { seed: SEED, numRuns: 60 });
    for (const [index, call] of calls.entries()) {
      if (succeeded.has(member.name)) break;
      const world = new World(index % 2 === 1);
      try {
        await make(call, world);
        world.check();
      } finally {
        world.close();
      }
    }
  }
  const missed = members.filter(({ name }) => !succeeded.has(name) && !neverSucceeds(name));
  if (missed.length > 0) t.log(`never succeeded: ${missed.map(({ name }) => name).join(', ')}`);
  // A few may be unlucky, or beyond the host; many would mean that arguments.ts is wrong about what they take.
  t.true(missed.length < 6);
});
