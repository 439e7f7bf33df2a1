/** A folder for a test's files. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { ExecutionContext } from 'ava';

/** A new folder, gone when the test is over. */
export function temporaryFolder(t: ExecutionContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'vmhatch-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
