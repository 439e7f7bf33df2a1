// What a mistyped word most likely meant.

/**
 * Edits (insert, delete, replace) that turn one word into the other.
 * @param {string} a
 * @param {string} b
 */
function distance(a, b) {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      current.push(Math.min(replaced, (previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1));
    }
    previous = current;
  }
  return previous[b.length] ?? 0;
}

/**
 * The candidate next to a word, if one is near enough to be a help.
 * @param {string} word
 * @param {readonly string[]} candidates
 * @returns {string | undefined}
 */
export function nearest(word, candidates) {
  const far = Math.max(1, Math.floor(word.length / 3));
  const sorted = candidates
    .map((candidate) => ({ candidate, edits: distance(word.slice(0, 64), candidate) }))
    .toSorted((a, b) => a.edits - b.edits);
  return sorted[0] !== undefined && sorted[0].edits <= far ? sorted[0].candidate : undefined;
}
