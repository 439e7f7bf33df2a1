import { stripVTControlCharacters } from 'node:util';

import type { Paint } from '../style.ts';

const indent = '  ';
const labelWidth = 13;

/** A screen of labelled rows that keeps to a width. */
export class Page {
  readonly paint: Paint;
  readonly #room: number;
  readonly #lines: string[] = [];

  constructor(paint: Paint, width: number) {
    this.paint = paint;
    this.#room = Math.max(30, width - indent.length - labelWidth);
  }

  /** One row of prose, on as many lines as it needs. */
  row(label: string, text: string): void {
    this.#rows(label, fill(text.split(' '), ' ', this.#room));
  }

  /** Short items side by side, none of them broken. */
  items(label: string, items: readonly string[]): void {
    this.#rows(label, fill(items, '  ', this.#room));
  }

  /** One item a row, each behind a mark. */
  list(label: string, mark: string, items: readonly string[]): void {
    const lines = items.flatMap((item) =>
      fill(item.split(' '), ' ', this.#room - 2).map((text, index) => `${index === 0 ? mark : ' '} ${text}`),
    );
    this.#rows(label, lines);
  }

  /** Prose without a label. */
  prose(text: string): void {
    const lines = fill(text.split(' '), ' ', this.#room + labelWidth);
    this.#lines.push(...lines.map((line) => indent + line));
  }

  /** A line that is to be copied, so it is left as it is. */
  command(text: string): void {
    this.#lines.push(`${indent}${indent}${text}`);
  }

  gap(): void {
    this.#lines.push('');
  }

  toString(): string {
    return `${this.#lines.join('\n')}\n`;
  }

  #rows(label: string, lines: readonly string[]): void {
    for (const [index, line] of lines.entries()) {
      const shown = (index === 0 ? label : '').padEnd(labelWidth);
      this.#lines.push(indent + this.paint('dim', shown) + line);
    }
  }
}

/** Puts pieces into lines of at most a width; a piece that is wider has a line of its own. */
function fill(pieces: readonly string[], gap: string, width: number): string[] {
  const lines: string[] = [];
  let used = 0;
  for (const piece of pieces) {
    const length = stripVTControlCharacters(piece).length;
    const last = lines.length - 1;
    if (last >= 0 && used + gap.length + length <= width) {
      lines[last] += gap + piece;
      used += gap.length + length;
    } else {
      lines.push(piece);
      used = length;
    }
  }
  return lines;
}
