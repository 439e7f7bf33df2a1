import { existsSync, readFileSync } from 'node:fs';

/** The package's version, from the package.json above this file: its depth differs between source and build. */
export function packageVersion(): string {
  let directory = new URL('./', import.meta.url);
  for (;;) {
    const manifest = new URL('package.json', directory);
    if (existsSync(manifest)) {
      const { name, version } = JSON.parse(readFileSync(manifest, 'utf8')) as {
        name?: string;
        version?: string;
      };
      if (name === 'vmhatch' && version !== undefined) return version;
    }
    const parent = new URL('../', directory);
    if (parent.href === directory.href) return 'unknown';
    directory = parent;
  }
}
