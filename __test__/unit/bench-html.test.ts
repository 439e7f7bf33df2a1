import test from 'ava';

import { renderHtml } from '../../lib/bench/html.ts';
import { sampleReport } from './bench-sample.ts';

/** The first tag that is closed wrongly, or undefined; attributes must be quoted, text must be escaped. */
function malformed(html: string): string | undefined {
  const open: string[] = [];
  const markup = html.replace(/^<!doctype html>/, '').replace(/<style>[^<]*<\/style>/, '');
  let end = 0;
  for (const match of markup.matchAll(/<(\/?)([a-z][a-z0-9]*)((?: [a-zA-Z0-9-]+="[^"<]*")*)(\/?)>/g)) {
    const between = markup.slice(end, match.index);
    if (/[<>]|&(?!(?:amp|lt|gt|quot);)/.test(between)) return `text: ${between.trim()}`;
    end = match.index + match[0].length;
    const [, closing, name, , selfClosing] = match;
    if (name === 'meta' || name === 'br' || selfClosing === '/') continue;
    if (closing === '') open.push(name!);
    else if (open.pop() !== name) return `</${name}>`;
  }
  return open.pop();
}

test('the page is well-formed, whatever names the host has', (t) => {
  const html = renderHtml(sampleReport());
  t.is(malformed(html), undefined);
  t.true(html.includes('A &lt;CPU&gt; &amp; &quot;co&quot;'));
  t.true(html.includes('no &lt;such&gt; thing'));
  t.is(malformed('<p><b></p>'), '</p>');
  t.is(malformed('<p>a < b</p>'), 'text: a < b');
});

test('the page needs nothing from anywhere', (t) => {
  const html = renderHtml(sampleReport());
  t.notRegex(html, /https?:|src=|href=|url\(|@import|<script|<link|<iframe|onload/i);
});

test('the page has a histogram for each row with times, in light and dark', (t) => {
  const html = renderHtml(sampleReport());
  t.is(
    html.match(/<svg /g)?.length,
    4,
    'P0, P1, kick and the Worker lane; not the native lane against itself',
  );
  t.regex(html, /prefers-color-scheme: dark/);
  t.notRegex(html, /NaN|Infinity|undefined/);
});

test('a page of an interrupted run without rows is a page', (t) => {
  const html = renderHtml({ ...sampleReport(), complete: false, valid: false, rows: [] });
  t.is(malformed(html), undefined);
  t.regex(html, /Interrupted/);
  t.regex(html, /void/);
});
