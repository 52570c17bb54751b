import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ERRORS } from '../src/errors.ts';

/** The text of a file, by its path from the root of the repository. */
function read(path: string): string {
  return readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');
}

/** The body rows of the table that begins with this header line, each as its trimmed cells. */
function tableRows(markdown: string, header: string): string[][] {
  const lines = markdown.split('\n');
  const start = lines.indexOf(header);
  if (start < 0) throw new Error(`no table ${header}`);
  const rows = lines.slice(start + 2);
  const end = rows.findIndex((line) => !line.startsWith('|'));
  return rows.slice(0, end < 0 ? undefined : end).map((line) =>
    line
      .slice(1, line.lastIndexOf('|'))
      .split('|')
      .map((cell) => cell.trim()),
  );
}

describe('docs/errors.md', () => {
  const page = read('docs/errors.md');
  const word = (value: boolean): string => (value ? 'yes' : 'no');

  it('has the rows of the error table, no more and no fewer, in the same order', () => {
    const wanted = Object.entries(ERRORS).map(([code, { retry, failOver, endCall, text }]) => [
      `\`${code}\``,
      text,
      word(retry),
      word(failOver),
      word(endCall),
    ]);
    expect(tableRows(page, '| Code | Meaning | Retry | Fail over | End call |')).toEqual(wanted);
  });

  it('says for every code what to do', () => {
    const rows = tableRows(page, '| Code | What an operator should do |');
    expect(rows.map(([code]) => code)).toEqual(Object.keys(ERRORS).map((code) => `\`${code}\``));
    for (const [code, advice] of rows) expect(advice, code).toMatch(/^[A-Z].{15,}\.$/);
  });
});
