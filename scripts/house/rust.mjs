// What the crates may do: where `unsafe` may stand, and what each crate may depend on.
import { lineAt, ourFiles, readText, rustCode } from './source.mjs';

/**
 * The files that may hold `unsafe`, each with the reason; docs/safety.md has the argument for each.
 * @type {Readonly<Record<string, string>>}
 */
export const unsafeFiles = {
  'crates/node/src/error.rs': 'throws through raw Node-API',
  'crates/node/src/hot.rs': 'the hot path: raw Node-API functions with a data pointer',
  'crates/node/src/isolate.rs': 'references and cleanup hooks of an isolate, through raw Node-API',
  'crates/node/src/raw.rs':
    'buffers over foreign memory, functions with a data pointer, bytes lent for a call',
  'crates/node/src/measure.rs': 'the native controls of the bench: raw Node-API functions',
  'crates/vmm/examples/raw-loop.rs': "the bench's peer program on kvm-ioctls: gives its memory to KVM",
  'crates/vmm/src/control.rs': 'reads the processor clock',
  'crates/vmm/src/descriptor.rs': 'takes over descriptors that somebody else opened',
  'crates/vmm/src/measure/affinity.rs': 'system calls that pin the thread of a native control',
  'crates/vmm/src/measure/machine.rs': 'the native control: its memory, given to KVM',
  'crates/vmm/src/measure/native_loop.rs': 'the native control: reads kvm_run as a C program does',
  'crates/vmm/src/measure/state.rs': 'the native control of the benchmarks of state: ioctls and a dirty ring',
  'crates/vmm/src/measure/sys.rs': 'the native control: system calls, one each',
  'crates/vmm/src/memory/mapping.rs': 'maps and unmaps guest memory',
  'crates/vmm/src/memory/page_size.rs': 'asks for the size of pages',
  'crates/vmm/src/memory/region.rs': 'hands a mapping to vm-memory',
  'crates/vmm/src/memory/sigbus.rs': 'a signal handler for backing files that shrink',
  'crates/vmm/src/posted.rs': "drains KVM's ring of coalesced writes",
  'crates/vmm/src/raw_ioctl/dirty.rs': 'ioctls of dirty page tracking',
  'crates/vmm/src/raw_ioctl/hyperv.rs': "the ioctl that lists Hyper-V's CPUID leaves",
  'crates/vmm/src/raw_ioctl/pre_fault.rs': 'the ioctl that populates guest memory',
  'crates/vmm/src/raw_ioctl/stats.rs': 'takes the descriptor of statistics',
  'crates/vmm/src/raw_ioctl/tsc.rs': 'attributes of a vCPU on x86_64',
  'crates/vmm/src/raw_ioctl.rs': 'ioctls that kvm-ioctls does not offer',
  'crates/vmm/src/raw_ioctl/x86_64.rs': 'ioctls of x86_64 that kvm-ioctls does not offer in that form',
  'crates/vmm/src/thread_clock.rs': 'a POSIX timer for each thread that runs vCPUs',
  'crates/vmm/src/vcpu/dirty_ring.rs': 'maps the ring of pages that a vCPU wrote',
  'crates/vmm/src/vcpu/mod.rs': 'the vCPU is used by one thread at a time, which the type system cannot see',
  'crates/vmm/src/vcpu/pages.rs': 'maps the pages that KVM and JavaScript share',
  'crates/vmm/src/vm/memory.rs': 'gives guest memory to KVM',
  'crates/vmm/tests/support/mod.rs': 'reads and writes the shared pages as JavaScript does',
};

/** Crates whose root forbids unsafe code altogether. */
const safeCrates = ['boot', 'devices'];

/**
 * What must not be found among the dependencies of a crate, however deep.
 * @type {Readonly<Record<string, RegExp>>}
 */
export const forbiddenDependencies = {
  'vmhatch-boot': /^(?:napi|kvm-|vmm-sys-util|vmhatch-)/,
  'vmhatch-devices': /^(?:napi|kvm-|vmm-sys-util|vm-memory|vmhatch-vmm|vmhatch-node)/,
  'vmhatch-vmm': /^(?:napi|vmhatch-node)/,
  'vmhatch-test-guests': /^(?:napi|kvm-|vmhatch-)(?!test-guests)/,
};

/**
 * @param {string} root
 * @param {Readonly<Record<string, string>>} [allowed]
 * @returns {string[]}
 */
export function checkUnsafe(root, allowed = unsafeFiles) {
  const violations = [];
  const files = ourFiles(root, 'crates').filter((path) => path.endsWith('.rs'));
  for (const path of files) {
    const code = rustCode(readText(root, path));
    const first = /\bunsafe\b/.exec(code);
    if (first && !(path in allowed)) {
      violations.push(
        `${path}:${lineAt(code, first.index)}: \`unsafe\` stands outside the files named in scripts/house/rust.mjs`,
      );
    }
    if (!first && path in allowed) {
      violations.push(
        `${path}: holds no \`unsafe\` any more; take it out of the list in scripts/house/rust.mjs`,
      );
    }
  }
  for (const path of Object.keys(allowed)) {
    if (!files.includes(path))
      violations.push(`${path}: is named in scripts/house/rust.mjs and does not exist`);
  }
  for (const crate of safeCrates) {
    const path = `crates/${crate}/src/lib.rs`;
    if (!files.includes(path)) continue;
    if (!/#!\[forbid\([^)]*\bunsafe_code\b/.test(rustCode(readText(root, path)))) {
      violations.push(`${path}: #![forbid(unsafe_code)] is missing`);
    }
  }
  return violations;
}

/**
 * @param {string} crate
 * @param {string} tree what `cargo tree --prefix none` prints for it
 * @returns {string[]}
 */
export function checkDependencies(crate, tree) {
  const forbidden = forbiddenDependencies[crate];
  if (!forbidden) return [];
  const names = new Set(tree.split('\n').map((line) => line.trim().split(' ')[0] ?? ''));
  return [...names]
    .filter((name) => name !== '' && name !== crate && forbidden.test(name))
    .map((name) => `${crate}: must not depend on ${name}`);
}
