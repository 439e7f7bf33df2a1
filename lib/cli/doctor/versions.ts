import { packageVersion } from '../version.ts';
import type { Versions } from './facts.ts';

/** The versions that a bug report wants. */
export function readVersions(): Versions {
  return {
    vmhatch: packageVersion(),
    node: process.versions.node,
    v8: process.versions.v8,
    napi: process.versions['napi'] ?? 'unknown',
    libc: libcName(),
  };
}

/** The C library decides which addon loads; Node's report knows glibc's version, and musl by its absence. */
function libcName(): string {
  if (process.platform !== 'linux') return 'none';
  const report = process.report.getReport() as { header?: { glibcVersionRuntime?: string } };
  const glibc = report.header?.glibcVersionRuntime;
  return glibc === undefined ? 'musl' : `glibc ${glibc}`;
}
