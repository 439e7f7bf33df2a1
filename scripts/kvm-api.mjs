// Writes docs/kvm-api.md: what the crate kvm-ioctls offers, and where it is here. `--check` writes nothing and fails if
// the document is stale. Both fail if a method of the crate has no row, or a row names a member or a test that does
// not exist. The tables are in scripts/kvm-api.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { checkTables } from './kvm-api/check.mjs';
import { findCrate, readCrate } from './kvm-api/crate.mjs';
import { documentOf } from './kvm-api/document.mjs';
import { readTables } from './kvm-api/tables.mjs';
import { readPackage } from './kvm-api/typescript.mjs';
import { inRoot, root } from './shared/paths.mjs';

const path = 'docs/kvm-api.md';
const { folder, version } = findCrate();
const crate = readCrate(folder, version);
const tables = readTables(root);
const wrong = checkTables(root, tables, crate, readPackage(root));
const text = documentOf(tables, crate);
if (process.argv.includes('--check')) {
  const present = existsSync(inRoot(path)) ? readFileSync(inRoot(path), 'utf8') : '';
  if (present !== text) wrong.push(`${path} is stale: run node scripts/kvm-api.mjs`);
} else {
  writeFileSync(inRoot(path), text);
}
for (const line of wrong) console.error(line);
process.exitCode = wrong.length === 0 ? 0 : 1;
