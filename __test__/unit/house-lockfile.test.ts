// The lockfile names the prebuilt packages of every platform, whatever the registry at hand carries.
import { readFileSync } from 'node:fs';
import test from 'ava';
import { missingFrom, platformOf } from '../../scripts/complete-lockfile.mjs';

test('a prebuilt package says in its name where it runs', (t) => {
  t.deepEqual(platformOf('@oxlint/binding-linux-x64-musl'), { cpu: ['x64'], os: ['linux'], libc: ['musl'] });
  t.deepEqual(platformOf('@oxlint/binding-linux-arm-gnueabihf'), {
    cpu: ['arm'],
    os: ['linux'],
    libc: ['glibc'],
  });
  t.deepEqual(platformOf('@oxlint-tsgolint/darwin-arm64'), { cpu: ['arm64'], os: ['darwin'] });
  t.deepEqual(platformOf('@napi-rs/tar-android-arm-eabi'), { cpu: ['arm'], os: ['android'] });
  t.deepEqual(platformOf('@napi-rs/tar-wasm32-wasi'), { cpu: ['wasm32'] });
  t.is(platformOf('fast-check'), undefined);
});

test('only what is missing is added, with the version that its parent asks for', (t) => {
  const packages = {
    'node_modules/tool': {
      version: '1.0.0',
      optionalDependencies: { 'tool-linux-x64': '1.0.0', 'tool-win32-x64': '1.0.0', plain: '^2.0.0' },
    },
    'node_modules/tool-linux-x64': { version: '1.0.0' },
  };
  t.deepEqual(missingFrom(packages), {
    'node_modules/tool-win32-x64': {
      version: '1.0.0',
      cpu: ['x64'],
      dev: true,
      optional: true,
      os: ['win32'],
    },
  });
});

test('package-lock.json is complete', (t) => {
  const lock = JSON.parse(readFileSync(new URL('../../package-lock.json', import.meta.url), 'utf8')) as {
    packages: Parameters<typeof missingFrom>[0];
  };
  t.deepEqual(missingFrom(lock.packages), {});
});
