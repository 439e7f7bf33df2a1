// Links between the documents: each leads to a file that exists, and to a heading that is there.
import { existsSync, statSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { lineAt, ourFiles, readText } from './source.mjs';

/** @param {string} text */
function withoutCode(text) {
  return text.replaceAll(/^```[\s\S]*?^```|`[^`\n]*`/gm, (code) => code.replaceAll(/[^\n]/g, ' '));
}

/**
 * The anchors that a Markdown file offers, as its readers' sites make them from the headings.
 * @param {string} text
 */
function anchorsOf(text) {
  const headings = [...text.matchAll(/^#{1,6}\s+(.+?)\s*#*$/gm)].map((match) => match[1] ?? '');
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
        .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
        .replaceAll(/\s/g, '-'),
    ),
  );
}

/**
 * @param {string} root
 * @returns {string[]}
 */
export function checkLinks(root) {
  const violations = [];
  for (const path of ourFiles(root).filter((name) => name.endsWith('.md'))) {
    const text = withoutCode(readText(root, path));
    const links = /\]\(<?([^)\s>]+)>?(?:\s+"[^"]*")?\)|\b(?:src|href|srcset)="([^"]+)"/g;
    for (const match of text.matchAll(links)) {
      const link = match[1] ?? match[2] ?? '';
      if (/^[a-z][a-z+.-]*:/i.test(link)) continue;
      const place = `${path}:${lineAt(text, match.index)}`;
      const [file = '', anchor] = decodeURI(link).split('#');
      const target = file === '' ? path : posix.join(dirname(path), file);
      if (target === 'docs/api' || target.startsWith('docs/api/')) continue;
      if (!existsSync(join(root, target))) {
        violations.push(`${place}: ${link} leads nowhere`);
      } else if (anchor && target.endsWith('.md') && statSync(join(root, target)).isFile()) {
        if (!anchorsOf(readText(root, target)).has(anchor))
          violations.push(`${place}: ${target} has no heading #${anchor}`);
      }
    }
  }
  return violations;
}
