// Writes lib/generated and docs/errors.md from Rust. With --check it writes nothing and fails if they are stale.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const check = process.argv.includes('--check');
const fresh = mkdtempSync(join(tmpdir(), 'vmhatch-generate-'));

/** Relative paths of the files below a directory. */
function filesOf(/** @type {string} */ directory) {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1));
}

/** The constants of the kernel's header that the bindings have and the generated text lacks. */
function forgotten(/** @type {string} */ text) {
  const metadata = JSON.parse(
    execFileSync('cargo', ['metadata', '--format-version', '1', '--locked'], {
      cwd: root,
      encoding: 'utf8',
      maxBuffer: 1 << 28,
    }),
  );
  /** @type {{ name: string; manifest_path: string }[]} */
  const packages = metadata.packages;
  const bindings = packages.find((entry) => entry.name === 'kvm-bindings');
  if (bindings === undefined) throw new Error('cargo metadata does not list kvm-bindings');
  const source = readFileSync(join(dirname(bindings.manifest_path), 'src/x86_64/bindings.rs'), 'utf8');
  // KVM_EXIT_IO_IN and its like are values inside one exit, not reasons.
  const names = source.matchAll(/^pub const (KVM_CAP_\w+|KVM_EXIT_(?!IO_|HYPERV_|XEN_)\w+): u32/gm);
  return [...names].map((match) => match[1]).filter((name) => !text.includes(`\`${name}\``));
}

let failed = false;
try {
  execFileSync(
    'cargo',
    ['run', '--release', '--quiet', '-p', 'vmhatch-vmm', '--example', 'generate', '--', fresh],
    { cwd: root, stdio: 'inherit' },
  );
  const files = filesOf(fresh);
  const text = files.map((file) => readFileSync(join(fresh, file), 'utf8')).join('');
  for (const name of forgotten(text)) {
    console.error(`${name} is in kvm-bindings but not in crates/vmm/src/layout`);
    failed = true;
  }

  const known = filesOf(join(root, 'lib/generated')).map((file) => join('lib/generated', file));
  for (const file of known.filter((name) => !files.includes(name))) {
    if (check) console.error(`${file} is no longer generated`);
    else rmSync(join(root, file));
    failed ||= check;
  }
  for (const file of files) {
    const wanted = readFileSync(join(fresh, file), 'utf8');
    const target = join(root, file);
    let present;
    try {
      present = readFileSync(target, 'utf8');
    } catch {
      present = undefined;
    }
    if (present === wanted) continue;
    if (check) {
      console.error(`${file} is stale: run node scripts/generate.mjs`);
      failed = true;
    } else {
      mkdirSync(dirname(target), { recursive: true });
      writeFileSync(target, wanted);
      console.log(`wrote ${file}`);
    }
  }
} finally {
  rmSync(fresh, { recursive: true });
}
process.exitCode = failed ? 1 : 0;
