// Tests and the sources they import run as TypeScript, without a build between.
// Processes instead of worker threads: a test may end its process on purpose, and guests keep threads of their own.

/** It makes and closes thousands of machines, and mostly waits for the kernel: begun last, it would go on alone. */
const first = /\/stress\/fuzz-calls\.test\.ts$/;

/** @type {(one: string, other: string) => number} */
const sortTestFiles = (one, other) => Number(first.test(other)) - Number(first.test(one));

export default {
  files: [
    '__test__/{unit,kvm,linux,stress,package}/**/*.test.ts',
    ...(process.arch === 'arm64' ? ['__test__/aarch64/**/*.test.ts'] : []),
  ],
  extensions: { ts: 'module' },
  nodeArguments: ['--import', '@oxc-node/core/register'],
  workerThreads: false,
  concurrency: 2,
  sortTestFiles,
  timeout: '3m',
};
