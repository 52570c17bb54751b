import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Terminal } from '../src/commands/command.ts';
import { inspect } from '../src/commands/inspect.ts';
import { writeCall } from '../src/recording/stored-call.ts';
import { eventfulCall } from './support/stored-call.ts';

interface Ran {
  readonly status: number;
  readonly out: string;
}

async function run(...argv: string[]): Promise<Ran> {
  let out = '';
  const terminal: Terminal = {
    env: {},
    isTty: false,
    out: (text) => {
      out += text;
    },
    err: () => undefined,
    onInterrupt: () => () => undefined,
    onStray: () => undefined,
  };
  return { status: await inspect.run(argv, terminal), out };
}

/** A folder that is gone afterwards. */
async function inFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'patchcord-inspect-'));
  try {
    await use(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe('patchcord inspect', () => {
  it('writes the page and says what stands out, where it is and how large', () =>
    inFolder(async (folder) => {
      await writeCall(join(folder, 'call'), eventfulCall());
      const page = join(folder, 'page.html');
      const { status, out } = await run(join(folder, 'call'), '--out', page);
      expect(status).toBe(0);
      const html = readFileSync(page, 'utf8');
      expect(html).toContain('<title>call – call</title>');
      expect(html).toContain('class="sound"');
      expect(statSync(page).mode & 0o777).toBe(0o600);
      expect(out.split('\n')).toEqual([
        '     17.2 s  bad   Provider openai was lost in mid-call (PROVIDER_CLOSED); gemini took over.',
        '     24.0 s  bad   Function send_mail failed (failed).',
        '     19.7 s  slow  The caller waited 3.2 s for an answer.',
        '     19.7 s  slow  The caller waited 3.1 s in silence until gemini spoke.',
        '     17.2 s  note  provider: closed 1011 (keepalive ping timeout)',
        `${page}  0.1 MB, 0.0 MB of it sound`,
        '',
      ]);
    }));

  it('leaves the sound out when it is told to', () =>
    inFolder(async (folder) => {
      await writeCall(join(folder, 'call'), eventfulCall());
      const page = join(folder, 'page.html');
      const { out } = await run(join(folder, 'call'), '--no-audio', '--out', page);
      expect(out).toContain(', without sound: the page was made without sound');
      expect(readFileSync(page, 'utf8')).not.toContain('class="sound"');
    }));

  it('shows nothing that a terminal would obey', () =>
    inFolder(async (folder) => {
      const call = eventfulCall();
      const lines = call.lines.map((line) =>
        'ctl' in line && line.ctl.type === 'close' && line.ctl.code === 1011
          ? { ...line, ctl: { ...line.ctl, reason: '\u001b[2J\u009b31m\nnothing failed \u202e' } }
          : line,
      );
      await writeCall(join(folder, 'call'), { ...call, lines });
      const { out } = await run(join(folder, 'call'), '--out', join(folder, 'page.html'));
      expect(out).not.toMatch(/(?!\n)\p{Cc}|\u202e|^nothing/mu);
      expect(out).toContain('closed 1011 ([U+001B][2J');
    }));

  it('opens a recording whose process died in the middle of a line', () =>
    inFolder(async (folder) => {
      const call = join(folder, 'call');
      await writeCall(call, eventfulCall());
      const lines = readFileSync(join(call, 'events.jsonl'), 'utf8');
      writeFileSync(join(call, 'events.jsonl'), lines.slice(0, lines.length / 2));
      const file = JSON.parse(readFileSync(join(call, 'call.json'), 'utf8'));
      writeFileSync(join(call, 'call.json'), JSON.stringify({ ...file, end: undefined }));
      const { status, out } = await run(call, '--out', join(folder, 'page.html'));
      expect(status).toBe(0);
      expect(out).toContain('The recording is not complete: it goes on, or its process has died.');
      expect(out).toContain('The end of the call is not in the recording.');
    }));

  it.each([
    [[], 'found 0 folders, wanted one'],
    [['a', 'b'], 'found 2 folders, wanted one'],
    [['a', '--max-mb', '0'], '--max-mb: found "0", wanted a whole number from 1 to 1000'],
    [['a', '--nonsense'], "Unknown option '--nonsense'"],
  ])('says what is wrong with %j', async (argv, message) => {
    await expect(run(...argv)).rejects.toMatchObject({
      code: 'BAD_INPUT',
      message: expect.stringContaining(message),
    });
  });

  it('says that a folder holds no call, and that a page cannot be written', () =>
    inFolder(async (folder) => {
      await expect(run(folder)).rejects.toMatchObject({ code: 'BAD_RECORDING' });
      await writeCall(join(folder, 'call'), eventfulCall());
      const out = join(folder, 'no', 'such', 'folder.html');
      await expect(run(join(folder, 'call'), '--out', out)).rejects.toMatchObject({
        code: 'BAD_INPUT',
        message: expect.stringContaining('--out: the page cannot be written'),
      });
    }));
});
